"""Settings of the live process: the apps, middleware and routes that the stream needs.

It has no pages, so it saves the memory of what they need.
"""

from config import settings
from config.settings import *  # noqa: F403

APPS_OF_PAGES = {
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "drf_spectacular_sidecar",
    "django_celery_results",
}
INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app not in APPS_OF_PAGES]
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
