from common.metrics.registry import REQUEST_SECONDS, counter, histogram

CALLS = counter("grpc_requests_total", "gRPC calls.", "method", "code")
DURATION = histogram(
    "grpc_request_duration_seconds", "Duration of gRPC calls.", REQUEST_SECONDS, "method"
)


def record_call(method: str, code: str, seconds: float) -> None:
    CALLS.labels(method, code).inc()
    DURATION.labels(method).observe(seconds)
