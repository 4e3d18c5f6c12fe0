"""What operators are told of this installation, at `/metrics` in Prometheus' format.

| metric | type | labels | counts |
|---|---|---|---|
| `bureau_http_requests_total` | counter | `route`, `method`, `status` | HTTP requests, cache hits too |
| `bureau_http_request_duration_seconds` | histogram | `route`, `method` | their times |
| `bureau_grpc_requests_total` | counter | `method`, `code` | gRPC calls |
| `bureau_grpc_request_duration_seconds` | histogram | `method` | their times |
| `bureau_cache_requests_total` | counter | `namespace`, `result` | byte cache: `hit`, `miss`, `bypass` |
| `bureau_jobs_total` | counter | `kind`, `outcome` | tries of jobs: `completed`, `failed`, `retried`, \
`lost` (taken over by another run), `cancelled` |
| `bureau_job_wait_seconds` | histogram | `kind` | from due to the start of a try |
| `bureau_job_run_seconds` | histogram | `kind` | the try itself |
| `bureau_jobs_swept_total` | counter | `kind`, `action` | by sweeps: `published` again, `failed` |
| `bureau_job_sweeps_total` | counter | `outcome` | sweeps of all kinds: `ok`, `error` |
| `bureau_job_publish_failures_total` | counter | `kind` | messages that the broker did not take |
| `bureau_jobs_queued` | gauge | `kind` | jobs that wait, delayed ones too |
| `bureau_jobs_in_progress` | gauge | `kind` | jobs that run or have lost their worker |
| `bureau_jobs_oldest_seconds` | gauge | `kind` | how long the longest waiting job is overdue |
| `bureau_ai_requests_total` | counter | `model`, `outcome` | requests to the provider |
| `bureau_ai_request_duration_seconds` | histogram | `model` | their times |
| `bureau_ai_tokens_total` | counter | `model`, `type` | `prompt`, `completion`; of these `cached`, \
`reasoning` |
| `bureau_ai_cost_usd_total` | counter | `model` | USD |
| `bureau_feed_refreshes_total` | counter | `outcome` | of the posts: `updated`, `unchanged`, `failed` |
| `bureau_feed_age_seconds` | gauge | | since the posts were last known to be fresh |
| `bureau_feed_posts` | gauge | | posts in the mirror |
| `bureau_database_up` | gauge | | whether the database answered this scrape |
| `bureau_database_pool_size` | gauge | | connections of all processes of this machine |
| `bureau_database_pool_available` | gauge | | of these, free ones |
| `bureau_database_pool_waiting` | gauge | | threads that wait for one |
| `bureau_database_pool_max` | gauge | | connections that all processes may have |
| `bureau_build_info` | gauge | `version`, `revision`, `python`, `django` | always 1 |

`route` is the template (`/api/v1/notes/<uuid:pk>`), `/static/` for files and `unmatched` for all
that is no route; a `method` that HTTP does not know is `other`; `kind` is the model (`notes.Summary`).

Counters and times are those of all processes on one machine (`values.py`). What comes from the
database (jobs that wait, the feed) is the whole installation's, and every web process tells the
same. A worker, beat or gRPC server on a machine of its own tells its part at `METRICS_PORT`.
"""

from common.metrics.recording import (
    ai_request_ended,
    cache_asked,
    feed_refreshed,
    grpc_ended,
    http_ended,
    job_cancelled,
    job_ended,
    job_not_published,
    jobs_swept,
    sweep_ended,
)

__all__ = [
    "ai_request_ended",
    "cache_asked",
    "feed_refreshed",
    "grpc_ended",
    "http_ended",
    "job_cancelled",
    "job_ended",
    "job_not_published",
    "jobs_swept",
    "sweep_ended",
]
