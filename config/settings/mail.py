"""Outgoing mail."""

from config.settings.runtime import env

_MODULE = "django.core.mail.backends.smtp" if env.email_host else "accounts.mail_files"
EMAIL_BACKEND = f"{_MODULE}.EmailBackend"
EMAIL_FILE_PATH = env.var_dir / "mail"
EMAIL_HOST = env.email_host
EMAIL_PORT = env.email_port
EMAIL_HOST_USER = env.email_host_user
EMAIL_HOST_PASSWORD = env.email_host_password.get_secret_value()
EMAIL_USE_TLS = env.email_use_tls and not env.email_use_ssl
EMAIL_USE_SSL = env.email_use_ssl
# For each step of the dialogue; `Mail.time_limit` limits the whole.
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.default_from_email
