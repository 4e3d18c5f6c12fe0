"""A cache of rendered responses that every write to their data invalidates.

A namespace ("products") is a group of cached responses that one write invalidates together. Its
state in the cache is its version, a random token, or "" during a write. A cached response starts
with the version it was computed for and is valid only while that is the state of the namespace.

    reader                                      writer
    state is v, response has v ── hit ──▶       begin_write: add the writer, state ""
      │ miss: one caller computes,              (meanwhile nothing is read or stored)
      ▼ others wait                             COMMIT
    stored with v, if the state is              end_write: remove the writer; if it was the
    still v                                     last one, the state is a new version v'

A response is stored only if no write began while it was computed, and no version is used twice.
So a reader never gets older data than an earlier reader. If the cache is unavailable at the end of
a write, a job invalidates the namespace later (`Invalidation`). A writer that does not end within
30 seconds is ignored, and a stored response expires after 60 seconds.
"""
