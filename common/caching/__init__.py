"""Answers kept as rendered bytes, under a version that every write changes.

A namespace ("products") has a state in the cache: its version, a random name, or "" while somebody
writes. A copy begins with the version that it was computed under, and counts for as long as that is
the state; the next copy of the same request is written over it.

    reader                                      writer
    state v, and the copy is of v ─ hit ──▶     announce: among the writers, state ""
      │ miss: one computes, others wait         (nobody reads or stores copies)
      ▼                                         COMMIT
    stored as v + copy, if the state is         end: not among the writers, state deleted;
    still v                                     a new version v', if there are no other writers

A copy of `v` is stored only if no write began while it was computed, and once one begins `v` never
comes back. So what a reader gets is never older than what any reader got before. If the end can't
be told to the cache, a job tells it later (`CacheBump`). A writer that says nothing for half a
minute counts as dead, and no copy is kept for longer than a minute.
"""
