"""Logs and metrics."""

from common.logs import logging_config
from config.settings.runtime import DEBUG, env

LOGGING_CONFIG = "common.logs.configure"
LOGGING = logging_config(
    level=env.log_level, as_json=(env.log_format or ("console" if DEBUG else "json")) == "json"
)

# With neither a token nor an address list, /metrics is open in development only.
METRICS_OPEN = DEBUG
METRICS_TOKEN = env.metrics_token.get_secret_value()
METRICS_ALLOW = env.metrics_allow
METRICS_PORT = env.metrics_port
METRICS_DIR = env.metrics_dir
