"""PostgreSQL, and the cache in Valkey or Redis."""

from common.postgres.options import database_settings
from config.settings.runtime import env, local

DATABASE_URL = env.database_url or local.database_url
DATABASES = {"default": database_settings(DATABASE_URL, pool_size=env.database_pool_size)}
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

# Public reads that are answered with rendered bytes from the cache, and the namespace of each.
BYTE_CACHE = {
    "/api/v1/products": "products",
    "/api/v1/products/search": "products",
    "/api/v1/products/<uuid:pk>": "products",
    "/api/v1/search/smart": "products",
    "/api/v1/posts": "posts",
    "/api/v1/posts/<int:pk>": "posts",
}
# The most memory that their responses use; see `common.caching.slots`.
BYTE_CACHE_MAX_BYTES = env.byte_cache_max_mb * 1024 * 1024
BYTE_CACHE_HEADERS = {"posts": "posts.freshness.headers"}
