"""Settings of the live process: the routes and middleware that the stream needs."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "config.live_urls"
MIDDLEWARE = [
    "common.middleware.ForwardedHeadersMiddleware",
    "common.middleware.RequestLogMiddleware",
    "common.middleware.AllowedHostMiddleware",
    "common.middleware.CharsetMiddleware",
    "common.ratelimit.middleware.RateLimitHeadersMiddleware",
    "common.middleware.CanonicalPathMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "common.csp.ContentSecurityPolicyMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "common.middleware.ProblemDetailsMiddleware",
]
