from django.conf import settings
from rest_framework.request import Request
from rest_framework.views import APIView

from common.ratelimit.rates import parse_rates
from common.ratelimit.throttles import ApiThrottle, make_windows
from common.ratelimit.windows import Window


class InvitationThrottle(ApiThrottle):
    """Throttle that also applies `INVITATION_RATE_LIMIT` to the new invitations of a company."""

    def get_windows(self, request: Request, view: APIView) -> list[Window]:
        windows = super().get_windows(request, view)
        # `request.user` would authenticate again after a failed authentication.
        user = getattr(request, "_user", None)
        if request.method != "POST" or user is None or not user.is_authenticated:
            return windows
        if not (user.is_admin or user.is_superuser):  # refused by 403
            return windows
        rates = parse_rates(settings.INVITATION_RATE_LIMIT)
        return windows + make_windows(f"invitations:{user.company_id}", rates)
