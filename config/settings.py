"""Django's settings, made from `config.environment`; what does not depend on it stands in rooms of
its own: `browsers`, `description` and `looks`."""

import sys
from datetime import timedelta
from decimal import Decimal
from typing import Any

from common.ai.types import Price
from common.logs import logging_config
from common.postgres.options import database
from config.admin_theme import ADMIN_APPS, ADMIN_ICONS, UNFOLD  # noqa: F401 - settings too
from config.environment import BASE_DIR, load
from config.local.services import LocalServices
from config.openapi import API_TAGS, SPECTACULAR_SETTINGS, VERSION  # noqa: F401 - settings too
from config.security_headers import (  # noqa: F401 - settings too
    CONTENT_SECURITY_POLICY,
    CONTENT_SECURITY_POLICY_FOR,
    CORS_ALLOW_HEADERS,
    CORS_EXPOSE_HEADERS,
    PERMISSIONS_POLICY,
    SECURE_CROSS_ORIGIN_OPENER_POLICY,
    SECURE_REFERRER_POLICY,
    X_FRAME_OPTIONS,
)

env = load()
local = LocalServices(env.var_dir, postgres=env.uses_local_postgres, valkey=env.uses_local_valkey)

DEBUG = bool(env.debug)
SECRET_KEY = env.signing_key
SECRET_KEY_FALLBACKS = env.secret_key_fallbacks
ALLOWED_HOSTS = env.allowed_hosts or (["*"] if DEBUG else [])
PUBLIC_URL = env.public_url or f"http://localhost:{env.port}"
VAR_DIR = env.var_dir
HOST = env.host
GRPC_PORT = env.grpc_port
REVISION = env.revision

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
]

# Public reads that are answered with bytes rendered before, and the namespace of each.
BYTE_CACHE = {
    "/api/v1/products": "products",
    "/api/v1/products/search": "products",
    "/api/v1/products/<uuid:pk>": "products",
    "/api/v1/posts": "posts",
    "/api/v1/posts/<int:pk>": "posts",
}
BYTE_CACHE_HEADERS = {"posts": "posts.freshness.headers"}

MIDDLEWARE = [
    "common.middleware.RequestLogMiddleware",
    "common.caching.middleware.ByteCacheMiddleware",
    "common.ratelimit.middleware.RateLimitHeadersMiddleware",
    "common.middleware.CanonicalPathMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "common.csp.BrowserPolicyMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "common.middleware.ProblemDetailsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
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

DATABASE_URL = env.database_url or local.database_url
DATABASES = {"default": database(DATABASE_URL, pool_size=env.database_pool_size)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.redis_url or local.redis_url
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "bureau",
        "OPTIONS": {
            # redis-py's own defaults would let a dead server stall a request for seconds.
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 1,
            "CONNECTION_POOL_KWARGS": {"retry": None, "max_connections": 64},
        },
    }
}


def _broker(redis_url: str) -> str:
    """The cache's server in Celery's words; a local one has a database of its own for messages."""
    if not redis_url.startswith("unix://"):
        return redis_url
    path, _, query = redis_url.removeprefix("unix://").partition("?")
    number = int(query.removeprefix("db=") or 0)
    return f"redis+socket://{path}?virtual_host={number + 1}"


CELERY_BROKER_URL = env.celery_broker_url or _broker(REDIS_URL)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_connect_timeout": 1,
    "socket_timeout": 5,
    # Longer than the hard time limit, or a message would start its task again while it runs.
    "visibility_timeout": 3600,
    "retry_policy": {"timeout": 2.0, "max_retries": 0},
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_TIME_LIMIT = 1800
CELERY_TASK_SOFT_TIME_LIMIT = 1740
CELERY_WORKER_CONCURRENCY = env.worker_concurrency
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# With Redis a worker fetches no more than it has processes for: what it held besides would wait for
# them while another worker is idle, and a batch's messages in front of what came alone.
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 5
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
CELERY_RESULT_EXPIRES = timedelta(days=1)
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "config.celery:Scheduler"
CELERY_BEAT_SCHEDULE = {
    "sweep-jobs": {
        "task": "common.tasks.sweep_jobs",
        "schedule": timedelta(seconds=env.job_sweep_seconds),
    },
    "refresh-vocabulary": {
        "task": "catalog.tasks.refresh_vocabulary",
        "schedule": timedelta(seconds=30),
        "options": {"expires": 30},
    },
    "close-lost-calls": {
        "task": "notes.tasks.close_lost_calls",
        "schedule": timedelta(minutes=5),
        "options": {"expires": 300, "queue": "control"},
    },
    "delete-expired-upload-urls": {
        "task": "uploads.tasks.delete_expired_urls",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600, "queue": "control"},
    },
    "refresh-posts": {
        "task": "posts.tasks.refresh_posts",
        "schedule": timedelta(seconds=env.posts_refresh_seconds),
        "options": {"expires": env.posts_refresh_seconds, "queue": "control"},
    },
    "forget-idempotency-keys": {
        "task": "common.tasks.forget_idempotency_keys",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600, "queue": "control"},
    },
}

JOB_LEASE = timedelta(seconds=env.job_lease_seconds)

AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = [
    "accounts.hashers.Argon2Hasher",
    "accounts.hashers.ImportedBcryptHasher",
]
_VALIDATORS = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": f"{_VALIDATORS}.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("username", "email", "full_name")},
    },
    {"NAME": f"{_VALIDATORS}.MinimumLengthValidator"},
    {"NAME": f"{_VALIDATORS}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATORS}.NumericPasswordValidator"},
]
AUTHENTICATION_BACKENDS = ["accounts.backends.AccountBackend"]
FIRST_SUPERUSER = env.first_superuser
FIRST_SUPERUSER_PASSWORD = env.admin_password
SIGNUP = env.signup or ("open" if DEBUG else "invite")
DEFAULT_COMPANY_CODE = env.default_company_code
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.AccessTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["common.ratelimit.throttles.ApiThrottle"],
    "DEFAULT_PARSER_CLASSES": [
        "common.api.parsers.JSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": [
        "rest_framework.renderers.JSONRenderer",
        "rest_framework.renderers.BrowsableAPIRenderer",
    ],
    "DEFAULT_PAGINATION_CLASS": "common.api.pagination.Pagination",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "common.api.filters.StrictOrderingFilter",
    ],
    "DEFAULT_SCHEMA_CLASS": "common.api.schema.AutoSchema",
    "EXCEPTION_HANDLER": "common.api.problems.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
TRUSTED_PROXIES = env.trusted_proxies
API_RATE_LIMIT = env.api_rate_limit
AUTH_RATE_LIMIT = env.auth_rate_limit
AUTH_ACCOUNT_RATE_LIMIT = env.auth_account_rate_limit
RATE_LIMIT_PER_MINUTE = env.rate_limit_per_minute
RATE_LIMIT_PER_HOUR = env.rate_limit_per_hour
SIMPLE_JWT: dict[str, Any] = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=env.access_token_expire_minutes),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=env.refresh_token_expire_days),
    "ALGORITHM": "HS256",
    "SIGNING_KEY": SECRET_KEY,
    "AUDIENCE": "bureau",
    "ISSUER": "bureau",
    "USER_ID_CLAIM": "sub",
    "TOKEN_TYPE_CLAIM": "type",
    "AUTH_TOKEN_CLASSES": ("accounts.tokens.AccessToken",),
}
CORS_ALLOWED_ORIGINS = [origin for origin in env.cors_origins if origin != "*"]
CORS_ALLOW_ALL_ORIGINS = "*" in env.cors_origins
CSRF_TRUSTED_ORIGINS = env.csrf_trusted_origins

# A day's work in the admin.
SESSION_COOKIE_AGE = 12 * 60 * 60

DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024

# USD for a million tokens: prompt, completion, prompt read from the provider's cache. The longest
# name that a model's own begins with counts; `OPENAI_PRICES` adds and replaces.
_PRICES = {
    "gpt-3.5-turbo": ("0.50", "1.50", "0.50"),
    "gpt-4o": ("2.50", "10.00", "1.25"),
    "gpt-4o-mini": ("0.15", "0.60", "0.075"),
    "gpt-4.1": ("2.00", "8.00", "0.50"),
    "gpt-4.1-mini": ("0.40", "1.60", "0.10"),
    "gpt-4.1-nano": ("0.10", "0.40", "0.025"),
    "gpt-5": ("1.25", "10.00", "0.125"),
    "gpt-5-mini": ("0.25", "2.00", "0.025"),
    "gpt-5-nano": ("0.05", "0.40", "0.005"),
} | env.openai_prices

OPENAI: dict[str, Any] = {
    "api_key": env.openai_api_key.get_secret_value(),
    "base_url": env.openai_base_url,
    "model": env.openai_model,
    "max_tokens": env.openai_max_tokens,
    "temperature": env.openai_temperature,
    "timeout": env.openai_timeout,
    "attempts": env.openai_attempts,
    "context_tokens": env.openai_context_tokens,
    "concurrency": env.openai_concurrency,
    "prices": {name: Price(*map(Decimal, price)) for name, price in _PRICES.items()},
}

# See `common.documents.Limits`.
DOCUMENTS: dict[str, int] = {
    "max_bytes": env.document_max_bytes,
    "max_unpacked_bytes": env.document_max_unpacked_bytes,
    "max_pages": env.document_max_pages,
    "max_characters": env.document_max_characters,
    "memory_mb": env.document_memory_mb,
    "seconds": env.document_seconds,
}

# With neither of the two that follow.
METRICS_OPEN = DEBUG
METRICS_TOKEN = env.metrics_token.get_secret_value()
METRICS_ALLOW = env.metrics_allow
METRICS_PORT = env.metrics_port
METRICS_DIR = env.metrics_dir

POSTS_API_URL = env.posts_api_url
POSTS_REFRESH = timedelta(seconds=env.posts_refresh_seconds)
POSTS_TIMEOUT = env.posts_timeout
POSTS_MAX_BYTES = env.posts_max_bytes
POSTS_MAX_COUNT = env.posts_max_count

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False
DATETIME_FORMAT = "j M Y, H:i"
DATE_FORMAT = "j M Y"

STATIC_URL = "/static/"
STATIC_ROOT = env.static_root or VAR_DIR / "static"
# Where `collectstatic` was not run, the packages' own files serve, under their plain names.
_COLLECTED = not DEBUG and (STATIC_ROOT / "staticfiles.json").exists()
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not _COLLECTED
UPLOAD_SOURCE_ROOT = env.upload_source_root
UPLOAD_STORAGE = env.upload_storage
# Folders that a backup takes along, by their name in it. What is on S3 has its own.
BACKUP_FOLDERS = {"uploads": env.upload_root} if env.upload_storage == "folder" else {}
UPLOAD_URL_SECONDS = env.upload_url_seconds
UPLOAD_URL_MAX_BYTES = env.upload_url_max_bytes
S3_BUCKETS = env.s3_buckets
# `uploads.transfer.stores` adds the company and its bucket.
_STORES: dict[str, dict[str, Any]] = {
    "folder": {
        "BACKEND": "uploads.transfer.stores.folder.FolderStore",
        "OPTIONS": {"root": env.upload_root, "durable": env.upload_fsync},
    },
    "s3": {
        "BACKEND": "uploads.transfer.stores.s3.S3Store",
        "OPTIONS": {
            "endpoint_url": env.s3_endpoint_url,
            "region_name": env.s3_region,
            "access_key": env.s3_access_key_id,
            "secret_key": env.s3_secret_access_key.get_secret_value(),
        },
    },
}
STORAGES = {
    "uploads": _STORES[UPLOAD_STORAGE],
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if _COLLECTED or "collectstatic" in sys.argv
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
_MAIL = "django.core.mail.backends"
EMAIL_BACKEND = f"{_MAIL}.{'smtp' if env.email_host else 'filebased'}.EmailBackend"
EMAIL_FILE_PATH = VAR_DIR / "mail"
EMAIL_HOST = env.email_host
EMAIL_PORT = env.email_port
EMAIL_HOST_USER = env.email_host_user
EMAIL_HOST_PASSWORD = env.email_host_password.get_secret_value()
EMAIL_USE_TLS = env.email_use_tls and not env.email_use_ssl
EMAIL_USE_SSL = env.email_use_ssl
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.default_from_email

if not DEBUG:
    if env.trusted_proxies:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

SILENCED_SYSTEM_CHECKS = [
    # Sending HTTP over to TLS is the proxy's work: an API that redirects loses request bodies.
    "security.W008",
    # Emails are unique among live users, by a constraint that this check does not read.
    "auth.W004",
]

LOGGING_CONFIG = "common.logs.configure"
LOGGING = logging_config(
    level=env.log_level, as_json=(env.log_format or ("console" if DEBUG else "json")) == "json"
)
