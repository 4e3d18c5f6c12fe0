"""Answers kept as rendered bytes, under a version that every write moves on.

A namespace ("products") has a version in the cache, and the keys of its copies hold it. Nothing is
ever deleted: a write moves the version on, and the old copies lapse unread.

    reader                                writer
    version v, nobody writes ─ hit ──▶    announce: version v', "somebody writes"
      │ miss: one computes, others wait   (until the end nobody reads or stores copies)
      ▼                                   COMMIT
    stored under v                        end: version v'', nobody writes

A copy that is stored under `v` was computed when no write was under way, and from the next write
on nobody asks for `v`. So what a reader gets is never older than what any reader got before. If
the end can't be told to the cache, a job tells it later (`CacheBump`).
"""
