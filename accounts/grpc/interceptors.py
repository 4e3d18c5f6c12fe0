"""Request ids, logs, metrics and error statuses of gRPC calls."""

import time
from collections.abc import Callable, Iterator
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
    grpc.StatusCode.INVALID_ARGUMENT: "The message does not match the method's request type.",
    grpc.StatusCode.UNAVAILABLE: "The database is not available. Try again soon.",
    grpc.StatusCode.INTERNAL: "An internal error occurred. Use the request id to report it.",
}


class CallInterceptor(grpc.ServerInterceptor):
    """Interceptor that gives each unary call a request id, a log line and an error status.

    Malformed messages of streams are INVALID_ARGUMENT too.

    Calls of `service_name` run in the server's threads. Other services have threads of their own.
    So health checks are answered while all other threads wait for the database, and open reflection
    streams delay no call of `service_name`.
    """

    def __init__(self, service_name: str) -> None:
        self._method_prefix = f"/{service_name}/"
        self._support_pool = ThreadPoolExecutor(SUPPORT_THREADS, "grpc-support")

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        handler = continuation(details)
        if handler is None:
            return None
        handle: Any
        if handler.stream_stream:  # reflection
            make_handler = grpc.stream_stream_rpc_method_handler
            handle = partial(_handle_stream, handler)
        elif handler.unary_stream:  # health's Watch, which keeps no thread
            make_handler = grpc.unary_stream_rpc_method_handler
            handle = partial(_handle_watch, handler)
            handle.experimental_non_blocking = True
        else:
            make_handler = grpc.unary_unary_rpc_method_handler
            handle = partial(_handle_call, handler, details.method)
        if not details.method.startswith(self._method_prefix):
            handle.experimental_thread_pool = self._support_pool
        # The functions above deserialize the requests: grpc answers INTERNAL to a malformed one.
        return make_handler(handle, response_serializer=handler.response_serializer)


def _handle_stream(
    handler: grpc.RpcMethodHandler, messages: Iterator[bytes], context: grpc.ServicerContext
) -> Iterator[Message]:
    requests = (_parse_or_abort(handler, message, context) for message in messages)
    return handler.stream_stream(requests, context)


def _handle_watch(
    handler: grpc.RpcMethodHandler,
    message: bytes,
    context: grpc.ServicerContext,
    send_response: Callable[[Message | None], None],
) -> None:
    handler.unary_stream(_parse_or_abort(handler, message, context), context, send_response)


def _parse_or_abort(
    handler: grpc.RpcMethodHandler, message: bytes, context: grpc.ServicerContext
) -> Message:
    try:
        return handler.request_deserializer(message)
    except DecodeError:
        code = grpc.StatusCode.INVALID_ARGUMENT
        context.abort(code, ERROR_DETAILS[code])


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
