"""Request ids, logs, metrics and error statuses of gRPC calls."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc  # type: ignore[import-untyped]
import structlog
from django.db import InterfaceError, OperationalError, close_old_connections, reset_queries
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from structlog.contextvars import bind_contextvars, clear_contextvars

from accounts.grpc.metrics import record_call
from common.ids import uuid7
from common.middleware import REQUEST_ID
from common.redaction import redacted_message

log = structlog.get_logger(__name__)

SUPPORT_THREADS = 4
ERROR_DETAILS = {
    grpc.StatusCode.INVALID_ARGUMENT: "The message does not match auth.proto.",
    grpc.StatusCode.UNAVAILABLE: "The database is not available. Try again soon.",
    grpc.StatusCode.INTERNAL: "An internal error occurred. Use the request id to report it.",
}


class CallInterceptor(grpc.ServerInterceptor):
    """Interceptor that gives each unary call a request id, a log line and an error status.

    Calls of `service_name` run in the server's threads. Other services have threads of their own.
    So health checks are answered while all other threads wait for the database, and open reflection
    streams delay no call of `service_name`.
    """

    def __init__(self, service_name: str) -> None:
        self._method_prefix = f"/{service_name}/"
        self._support_pool = ThreadPoolExecutor(SUPPORT_THREADS, "grpc-support")

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        handler = continuation(details)
        if handler is None or handler.unary_stream:  # health's Watch, which needs no thread
            return handler
        if handler.stream_stream:
            return grpc.stream_stream_rpc_method_handler(
                self._use_support_pool(handler.stream_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        handle = partial(_handle_call, handler, details.method)
        is_own_service = details.method.startswith(self._method_prefix)
        # `_handle_call` deserializes the request, so that it can log a malformed message.
        return grpc.unary_unary_rpc_method_handler(
            handle if is_own_service else self._use_support_pool(handle),
            request_deserializer=None,
            response_serializer=handler.response_serializer,
        )

    def _use_support_pool(self, behavior: Any) -> Any:
        wrapped = partial(behavior)
        wrapped.experimental_thread_pool = self._support_pool  # type: ignore[attr-defined]
        return wrapped


def _handle_call(
    handler: grpc.RpcMethodHandler, method: str, message: bytes, context: grpc.ServicerContext
) -> Message:
    started = time.perf_counter()
    request_id = _get_request_id(context)
    clear_contextvars()
    bind_contextvars(request_id=request_id)
    context.send_initial_metadata([("x-request-id", request_id)])
    code, response = _get_response(handler, message, context)
    seconds = time.perf_counter() - started
    record_call(method, code.name, seconds)
    log.info("grpc", method=method, code=code.name, ms=round(seconds * 1000, 1))
    if response is None:
        context.abort(code, ERROR_DETAILS[code])
    return response


def _get_request_id(context: grpc.ServicerContext) -> str:
    request_id = dict(context.invocation_metadata()).get("x-request-id", "")
    return request_id if REQUEST_ID.fullmatch(request_id) else str(uuid7())


def _get_response(
    handler: grpc.RpcMethodHandler, message: bytes, context: grpc.ServicerContext
) -> tuple[grpc.StatusCode, Message | None]:
    """Return the status and the response; no response if the call failed."""
    try:
        response = _run_handler(handler, message, context)
    except DecodeError:
        return grpc.StatusCode.INVALID_ARGUMENT, None
    except (OperationalError, InterfaceError) as error:
        log.error("database_unavailable", error=redacted_message(error))
        return grpc.StatusCode.UNAVAILABLE, None
    except Exception:
        log.exception("grpc_failed")
        return grpc.StatusCode.INTERNAL, None
    return context.code() or grpc.StatusCode.OK, response


def _run_handler(
    handler: grpc.RpcMethodHandler, message: bytes, context: grpc.ServicerContext
) -> Message:
    """Run the handler and then return the database connection, as after a Django request."""
    reset_queries()
    try:
        return handler.unary_unary(handler.request_deserializer(message), context)
    finally:
        close_old_connections()
