"""API exceptions that DRF does not have."""

from rest_framework import status
from rest_framework.exceptions import APIException


class Conflict(APIException):
    """409: the row's state does not allow the request."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "The row's state does not allow this."
    default_code = "conflict"


class ServiceUnavailable(APIException):
    """503: the database or another service is unavailable; `wait` is `Retry-After` in seconds."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "A required service is unavailable. Try again soon."
    default_code = "service_unavailable"
    wait = 2


class BadGateway(APIException):
    """502: another server refused what we asked for; a repeated request would fail again."""

    status_code = status.HTTP_502_BAD_GATEWAY
    default_detail = "Another server refused the request."
    default_code = "bad_gateway"


class GatewayTimeout(APIException):
    """504: another server did not answer in time."""

    status_code = status.HTTP_504_GATEWAY_TIMEOUT
    default_detail = "Another server did not answer in time. Try again."
    default_code = "gateway_timeout"


class RequestTimeout(APIException):
    """408: the client sent the request body too slowly."""

    status_code = status.HTTP_408_REQUEST_TIMEOUT
    default_code = "request_timeout"


class ResponseTooLarge(APIException):
    """400: the response would be larger than allowed."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_detail = "The response would be too large."
    default_code = "answer_too_large"


class LengthRequired(APIException):
    """411: the request has a body but no `Content-Length`."""

    status_code = status.HTTP_411_LENGTH_REQUIRED
    default_detail = "The request needs a Content-Length."
    default_code = "length_required"


class RequestTooLarge(APIException):
    """413: the request body is larger than allowed."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The request body is too large."
    default_code = "too_large"


class PreconditionFailed(APIException):
    """412: the row's current ETag is not the one in `If-Match`."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "The row has changed since you read it."
    default_code = "precondition_failed"
