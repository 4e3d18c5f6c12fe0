"""Django itself: identity, apps, middleware, templates, static files, language, transport."""

import sys

from config.environment import BASE_DIR
from config.settings.runtime import DEBUG, env
from config.settings.uploads import UPLOAD_BACKEND
from config.version import VERSION  # noqa: F401

SECRET_KEY = env.signing_key
SECRET_KEY_FALLBACKS = env.secret_key_fallbacks
ALLOWED_HOSTS = env.served_hosts
PUBLIC_URL = env.public_url or f"http://localhost:{env.port}"
VAR_DIR = env.var_dir
HOST = env.host
WEB_THREADS = env.web_threads
GRPC_PORT = env.grpc_port
LIVE_PORT = env.live_port
# Behind a proxy the stream has the installation's address; else the live process has its own.
LIVE_URL = env.live_url or ("" if DEBUG else env.public_url)
LIVE_MAX_STREAMS = env.live_max_streams
LIVE_MAX_STREAMS_PER_USER = env.live_max_streams_per_user
REVISION = env.revision
if DEBUG:
    DEFAULT_EXCEPTION_REPORTER = "common.debug_page.MaskingExceptionReporter"
    DEBUG_PAGE_SECRETS = env.secret_values()
TRUSTED_PROXIES = env.trusted_proxies

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "corsheaders",
    "django_celery_results",
    "common",
    "accounts",
    "catalog",
    "notes",
    "uploads",
    "posts",
    "integrations",
]

MIDDLEWARE = [
    "common.middleware.ForwardedHeadersMiddleware",
    "common.middleware.RequestLogMiddleware",
    "common.middleware.AllowedHostMiddleware",
    "common.middleware.CharsetMiddleware",
    "common.caching.middleware.ByteCacheMiddleware",
    "common.ratelimit.middleware.RateLimitHeadersMiddleware",
    "common.middleware.CanonicalPathMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "common.csp.ContentSecurityPolicyMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "common.middleware.ProblemDetailsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "common.middleware.AnonymousFormMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
DATETIME_FORMAT = "j M Y, H:i"
DATE_FORMAT = "j M Y"

STATIC_URL = "/static/"
STATIC_ROOT = env.static_root or VAR_DIR / "static"
# Without `collectstatic`, the packages' own files are served under their plain names.
_COLLECTED = not DEBUG and (STATIC_ROOT / "staticfiles.json").exists()
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not _COLLECTED
STORAGES = {
    "uploads": UPLOAD_BACKEND,
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if _COLLECTED or "collectstatic" in sys.argv
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

if not DEBUG:
    if env.trusted_proxies:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True

SILENCED_SYSTEM_CHECKS = [
    # The proxy redirects to HTTPS: a redirect by the API would lose request bodies.
    "security.W008",
    # Emails are unique among live users by a constraint that this check does not read.
    "auth.W004",
]
# The checksums of the locked migrations; see `common.migration_checksums`.
MIGRATIONS_LOCK_FILE = BASE_DIR / "config" / "migrations.lock"
