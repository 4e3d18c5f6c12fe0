"""What operators are told of this installation, at `/metrics` in Prometheus' format.

Counters and histograms, of all processes on one machine (`values.py`):

    bureau_http_requests_total            route method status
    bureau_http_request_duration_seconds  route method
    bureau_grpc_requests_total            method code
    bureau_grpc_request_duration_seconds  method
    bureau_cache_requests_total           namespace result    hit, miss, bypass
    bureau_jobs_total                     kind outcome        completed, failed, retried, cancelled,
                                                              lost (taken over by another run)
    bureau_job_wait_seconds               kind                from due to the start of a try
    bureau_job_run_seconds                kind                a try itself
    bureau_jobs_swept_total               kind action         published (again), failed
    bureau_job_sweeps_total               outcome             ok, error
    bureau_job_publish_failures_total     kind                what the broker did not take
    bureau_ai_requests_total              model outcome       ok, rate_limited, error, timeout,
                                                              invalid
    bureau_ai_request_duration_seconds    model
    bureau_ai_tokens_total                model type          prompt, completion; of these cached,
                                                              reasoning
    bureau_ai_cost_usd_total              model
    bureau_feed_refreshes_total           outcome             updated, unchanged, failed

Gauges of the same processes, as long as they live:

    bureau_database_pool_size             connections
    bureau_database_pool_available        of these, free ones
    bureau_database_pool_waiting          threads that wait for one
    bureau_database_pool_max              connections that there may be

Gauges read at each scrape; these are the whole installation's, and every web process tells them:

    bureau_jobs_queued                    kind queue          delayed ones too
    bureau_jobs_in_progress               kind queue          those too that lost their worker
    bureau_jobs_oldest_seconds            kind queue          how long the first in turn is overdue
    bureau_feed_age_seconds                                   since the posts were known to be fresh
    bureau_feed_posts
    bureau_database_up                                        0 where it did not answer in time
    bureau_build_info                     version revision python django

`route` is a template (`/api/v1/notes/<uuid:pk>`), `/static/` for files and `unmatched` for what is
no route; a `method` that HTTP does not know is `other`; a `kind` is a model (`notes.Summary`); a
`queue` is `jobs`, or `bulk` for what came together, a batch's summaries.

A worker, beat or gRPC server on a machine of its own tells its part at `METRICS_PORT`.
"""

from common.metrics.recording import (
    ai_request_ended,
    ai_used,
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
    "ai_used",
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
