"""The mirrored news feed."""

from datetime import timedelta

from config.settings.runtime import env

# Empty if there is no feed.
POSTS_API_URL = env.feed_url
POSTS_REFRESH = timedelta(seconds=env.posts_refresh_seconds)
POSTS_TIMEOUT = env.posts_timeout
POSTS_MAX_BYTES = env.posts_max_bytes
POSTS_MAX_COUNT = env.posts_max_count
