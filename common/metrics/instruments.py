"""The counters and histograms; `common.metrics` says what each of them counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from common.metrics import multiprocess

# Which holds them where no folder can be shared; otherwise the files do.
REGISTRY = CollectorRegistry()

# In seconds: what comes from a cache takes less than one millisecond.
ANSWER = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
WORK = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
MODEL = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)

multiprocess.prepare()


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"bureau_{name}", text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    return Histogram(f"bureau_{name}", text, labels, buckets=buckets, registry=REGISTRY)


def _gauge(name: str, text: str) -> Gauge:
    return Gauge(f"bureau_{name}", text, registry=REGISTRY, multiprocess_mode="livesum")


HTTP_REQUESTS = _counter("http_requests_total", "HTTP requests.", "route", "method", "status")
HTTP_SECONDS = _histogram(
    "http_request_duration_seconds", "Times of HTTP requests.", ANSWER, "route", "method"
)
GRPC_REQUESTS = _counter("grpc_requests_total", "gRPC calls.", "method", "code")
GRPC_SECONDS = _histogram("grpc_request_duration_seconds", "Times of gRPC calls.", ANSWER, "method")
CACHE_REQUESTS = _counter(
    "cache_requests_total", "Reads that the byte cache may answer.", "namespace", "result"
)
JOBS = _counter("jobs_total", "Tries of jobs by their end.", "kind", "outcome")
JOB_WAIT = _histogram("job_wait_seconds", "From due to the start of a try.", WORK, "kind")
JOB_RUN = _histogram("job_run_seconds", "Times of tries.", WORK, "kind")
JOBS_SWEPT = _counter("jobs_swept_total", "Jobs that a sweep looked after.", "kind", "action")
SWEEPS = _counter("job_sweeps_total", "Sweeps of all kinds of jobs.", "outcome")
PUBLISH_FAILURES = _counter(
    "job_publish_failures_total", "Messages that the broker did not take.", "kind"
)
AI_REQUESTS = _counter("ai_requests_total", "Requests to the provider.", "model", "outcome")
AI_SECONDS = _histogram(
    "ai_request_duration_seconds", "Times of requests to the provider.", MODEL, "model"
)
AI_TOKENS = _counter("ai_tokens_total", "Tokens used.", "model", "type")
AI_COST = _counter("ai_cost_usd_total", "What they cost in USD.", "model")
FEED_REFRESHES = _counter("feed_refreshes_total", "Refreshes of the posts.", "outcome")
POOL_SIZE = _gauge("database_pool_size", "Connections to the database.")
POOL_AVAILABLE = _gauge("database_pool_available", "Connections that nobody uses.")
POOL_WAITING = _gauge("database_pool_waiting", "Threads that wait for a connection.")
POOL_MAX = _gauge("database_pool_max", "Connections that there may be.")
