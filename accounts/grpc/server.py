"""The gRPC server by which other programs ask what an access token is worth."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import grpc  # type: ignore[import-untyped]
import structlog
from django.db import InterfaceError, OperationalError, close_old_connections, reset_queries
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection
from structlog.contextvars import bind_contextvars, clear_contextvars

from accounts.authentication import AccessTokenAuthentication, InvalidToken
from accounts.grpc import auth_pb2_grpc
from accounts.grpc.auth_pb2 import DESCRIPTOR, ValidateTokenRequest, ValidateTokenResponse
from accounts.grpc.metrics import record_call
from common.ids import uuid7
from common.middleware import REQUEST_ID
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

SERVICE = DESCRIPTOR.services_by_name["AuthService"].full_name
OPTIONS = [
    # Else a second server would take the same port and get some of the calls, without a word.
    ("grpc.so_reuseport", 0),
    # Clients may look after a quiet connection twice a minute, and dead ones are noticed.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]
MOST_CALLS = 2048  # at once, with those that wait for a thread; more are RESOURCE_EXHAUSTED
DETAILS = {
    grpc.StatusCode.INVALID_ARGUMENT: "The message is not what auth.proto describes.",
    grpc.StatusCode.UNAVAILABLE: "The database is away at the moment. Try again soon.",
    grpc.StatusCode.INTERNAL: "Something went wrong on our side. The request id helps to find it.",
}


class AuthServer:
    """`AuthService`, health and reflection at one address; port 0 takes any free one.

    Calls of `AuthService` run in `threads` threads, each with a database connection of the pool.
    """

    def __init__(self, host: str, port: int, *, threads: int) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(threads, "grpc"),
            interceptors=[Calls()],
            options=OPTIONS,
            maximum_concurrent_rpcs=MOST_CALLS,
        )
        self._health = health.HealthServicer()
        self._health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
        auth_pb2_grpc.add_AuthServiceServicer_to_server(AuthService(), self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def start(self) -> int:
        """Serve, and return the port; RuntimeError if the address can't be had."""
        port = self._server.add_insecure_port(self.address)
        self._server.start()
        return int(port)

    def stop(self, grace: float) -> None:
        """Take no more calls and give those that run `grace` seconds; returns when all ended."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace).wait()


class AuthService(auth_pb2_grpc.AuthServiceServicer):
    def ValidateToken(  # noqa: N802 - the proto's name
        self, request: ValidateTokenRequest, context: grpc.ServicerContext
    ) -> ValidateTokenResponse:
        """The checks of the REST API, by its own class, at the cost of at most one query."""
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


class Calls(grpc.ServerInterceptor):
    """Gives each unary call a request id, one log line, and a status where it fails.

    What is not `AuthService` gets threads of its own: health is answered while all others wait
    for the database, and clients that keep reflection streams open hold up nobody's tokens.
    """

    def __init__(self) -> None:
        self._aside = ThreadPoolExecutor(4, "grpc-aside")

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        handler = continuation(details)
        if handler is None or handler.unary_stream:  # health's Watch, which needs no thread
            return handler
        if handler.stream_stream:
            return grpc.stream_stream_rpc_method_handler(
                self._put_aside(handler.stream_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        call = partial(_call, handler, details.method)
        is_ours = details.method.startswith(f"/{SERVICE}/")
        # With no deserializer a malformed message comes to us, and not to grpc's own log.
        return grpc.unary_unary_rpc_method_handler(
            call if is_ours else self._put_aside(call), None, handler.response_serializer
        )

    def _put_aside(self, behavior: Any) -> Any:
        moved = partial(behavior)
        moved.experimental_thread_pool = self._aside  # type: ignore[attr-defined]
        return moved


def _call(
    handler: grpc.RpcMethodHandler, method: str, message: bytes, context: grpc.ServicerContext
) -> Message:
    started = time.perf_counter()
    request_id = _request_id(context)
    clear_contextvars()
    bind_contextvars(request_id=request_id)
    context.send_initial_metadata([("x-request-id", request_id)])
    code, answer = _answer(handler, message, context)
    seconds = time.perf_counter() - started
    record_call(method, code.name, seconds)
    log.info("grpc", method=method, code=code.name, ms=round(seconds * 1000, 1))
    if answer is None:
        context.abort(code, DETAILS[code])
    return answer


def _request_id(context: grpc.ServicerContext) -> str:
    given = dict(context.invocation_metadata()).get("x-request-id", "")
    return given if REQUEST_ID.fullmatch(given) else str(uuid7())


def _answer(
    handler: grpc.RpcMethodHandler, message: bytes, context: grpc.ServicerContext
) -> tuple[grpc.StatusCode, Message | None]:
    try:
        answer = _with_database(handler, message, context)
    except DecodeError:
        return grpc.StatusCode.INVALID_ARGUMENT, None
    except (OperationalError, InterfaceError) as error:
        log.error("database_away", error=redacted_message(error))
        return grpc.StatusCode.UNAVAILABLE, None
    except Exception:
        log.exception("grpc_failed")
        return grpc.StatusCode.INTERNAL, None
    return context.code() or grpc.StatusCode.OK, answer


def _with_database(
    handler: grpc.RpcMethodHandler, message: bytes, context: grpc.ServicerContext
) -> Message:
    """Run the call as Django runs a request: its connection goes back to the pool at the end."""
    reset_queries()
    try:
        return handler.unary_unary(handler.request_deserializer(message), context)
    finally:
        close_old_connections()
