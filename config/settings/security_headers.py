"""Cross-origin requests, and the response headers that restrict browsers: CORS, CSP and others."""

from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

from config.settings.base import LIVE_URL
from config.settings.runtime import DEBUG, env

CORS_ALLOWED_ORIGINS = [origin for origin in env.cors_origins if origin != "*"]
CORS_ALLOW_ALL_ORIGINS = "*" in env.cors_origins
# In development, pages that are served on any port of this machine.
CORS_ALLOWED_ORIGIN_REGEXES = [r"^http://(localhost|127\.0\.0\.1)(:\d+)?$"] if DEBUG else []
CSRF_TRUSTED_ORIGINS = env.csrf_trusted_origins
CORS_ALLOW_HEADERS = [
    *default_headers,
    "idempotency-key",
    "if-match",
    "if-none-match",
    "last-event-id",
    "x-request-id",
]
CORS_EXPOSE_HEADERS = [
    "Age",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "RateLimit-Limit",
    "RateLimit-Policy",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "X-Feed-Status",
    "X-Request-ID",
]

# For HTML pages: the admin, the docs, the browsable API and the pages behind mailed links. Their
# scripts are files of our own; styles are inline too.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        # Without a proxy the live stream has a port of its own.
        "connect-src": [SELF, LIVE_URL or f"*:{env.live_port}"],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
CONTENT_SECURITY_POLICY_FOR: dict[str, dict[str, list[str]]] = {
    # Unfold uses Alpine, which evaluates attributes as JavaScript.
    "/admin/": {"script-src": [UNSAFE_EVAL]},
    # ReDoc searches in a web worker that it creates.
    "/redoc": {"worker-src": ["blob:"]},
    "/api/v1/redoc": {"worker-src": ["blob:"]},
}
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer",
        "browsing-topics",
        "camera",
        "display-capture",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "payment",
        "usb",
    )
)
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
