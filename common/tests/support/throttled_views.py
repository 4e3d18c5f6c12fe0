"""Views with the throttles of the API."""

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from common.ratelimit.ai_throttle import AiThrottle
from common.ratelimit.throttles import AuthThrottle, get_first_value, remember_address


class PublicView(APIView):
    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get(self, request: Request) -> Response:
        return Response({})


class PrivateView(APIView):
    def get(self, request: Request) -> Response:
        return Response({})


class LoginView(PublicView):
    """A login that accepts the password `correct`."""

    throttle_classes = (AuthThrottle,)
    throttle_scope = "login"

    def get_throttled_account(self, request: Request) -> str:
        return get_first_value(request, "name", "email").lower()

    def post(self, request: Request) -> Response:
        if get_first_value(request, "password") == "correct":
            remember_address(request, self.get_throttled_account(request))
        return Response({})


class SummariesView(PublicView):
    throttle_classes = (AiThrottle,)

    def post(self, request: Request) -> Response:
        return Response({}, status=202)
