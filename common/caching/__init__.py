"""Responses cached as bytes, under a version that every write to their data replaces.

A namespace ("products") is a group of cached responses that one write invalidates together. Its
state in the cache is its version, a random token, or "" during a write. A cached response starts
with the version it was computed for and is valid only while that is the state of the namespace.

    reader                                      writer
    state is v, response has v ── hit ──▶       begin_write: add the writer, state ""
      │ miss: one caller computes,              (meanwhile nothing is read or stored)
      ▼ others wait                             COMMIT
    stored with v, if the state is              end_write: remove the writer; if it was the
    still v                                     last one, the state is a new version v'

So a response is stored only if no write began while it was computed, and a version never comes
back: no reader gets data older than any reader got before. If the cache is unavailable at the end
of a write, a job invalidates the namespace later (`Invalidation`). A writer that does not end
within half a minute counts as dead, and a stored response expires after a minute.
"""
