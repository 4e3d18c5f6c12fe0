"""The gRPC server with which other programs validate access tokens."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import grpc  # type: ignore[import-untyped]
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection
from structlog.contextvars import bind_contextvars

from accounts.authentication import AccessTokenAuthentication, InvalidToken
from accounts.grpc import auth_pb2_grpc
from accounts.grpc.auth_pb2 import DESCRIPTOR, ValidateTokenRequest, ValidateTokenResponse
from accounts.grpc.interceptors import CallInterceptor

SERVICE_NAME = DESCRIPTOR.services_by_name["AuthService"].full_name
# Running and waiting calls; further ones get RESOURCE_EXHAUSTED.
MAX_CONCURRENT_CALLS = 2048
OPTIONS = [
    # With SO_REUSEPORT a second server could silently take a part of the calls.
    ("grpc.so_reuseport", 0),
    # Accept keepalive pings of idle clients, and detect clients that are gone.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]


class AuthServer:
    """Server of `AuthService`, health and reflection at one address; port 0 is any free port.

    Calls of `AuthService` run in `threads` threads, each with a database connection of the pool.
    """

    def __init__(self, host: str, port: int, *, threads: int) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(threads, "grpc"),
            interceptors=[CallInterceptor(SERVICE_NAME)],
            options=OPTIONS,
            maximum_concurrent_rpcs=MAX_CONCURRENT_CALLS,
        )
        self._health = HealthService()
        self._health.set(SERVICE_NAME, health_pb2.HealthCheckResponse.SERVING)
        auth_pb2_grpc.add_AuthServiceServicer_to_server(AuthService(), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self) -> int:
        """Start serving and return the port; raise RuntimeError if it can't be bound."""
        port = self._server.add_insecure_port(self.address)
        self._server.start()
        return int(port)

    def stop(self, timeout_s: float) -> None:
        """Refuse new calls, and abort the running ones after `timeout_s`; wait for the end."""
        self._health.enter_graceful_shutdown()
        self._server.stop(timeout_s).wait()


class HealthService(health.HealthServicer):
    """The library's service, and `List`, which the library does not implement."""

    def List(  # noqa: N802 - the name in health.proto
        self, request: health_pb2.HealthListRequest, context: grpc.ServicerContext
    ) -> health_pb2.HealthListResponse:
        """Return the status of the server as a whole, which has no name, and of its service."""
        names = (health.OVERALL_HEALTH, SERVICE_NAME)
        requests = {name: health_pb2.HealthCheckRequest(service=name) for name in names}
        statuses = {name: self.Check(request, context) for name, request in requests.items()}
        return health_pb2.HealthListResponse(statuses=statuses)


class AuthService(auth_pb2_grpc.AuthServiceServicer):
    def ValidateToken(  # noqa: N802 - the name in auth.proto
        self, request: ValidateTokenRequest, context: grpc.ServicerContext
    ) -> ValidateTokenResponse:
        """Validate a token with the REST API's authentication class; at most one query."""
        authentication = AccessTokenAuthentication()
        try:
            token = authentication.get_validated_token(request.token.encode())
            user = authentication.get_user(token)
        except InvalidToken as error:
            return ValidateTokenResponse(valid=False, error=str(error.detail))
        bind_contextvars(user=str(user.pk), company=str(user.company_id))
        return ValidateTokenResponse(
            valid=True,
            user_id=str(user.pk),
            email=user.email,
            username=user.username,
            role=user.role,
            company_id=str(user.company_id),
            expires_at=f"{datetime.fromtimestamp(token['exp'], UTC):%Y-%m-%dT%H:%M:%SZ}",
        )
