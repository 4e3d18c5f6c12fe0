"""Accounts, sign-in, tokens and sessions."""

from datetime import timedelta
from typing import Any

from config.settings.base import SECRET_KEY
from config.settings.runtime import DEBUG, env

AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = [
    "accounts.hashers.Argon2Hasher",
    "accounts.hashers.ImportedBcryptHasher",
]


def password_validators(*, debug: bool) -> list[dict[str, Any]]:
    """Return the validators; development accepts common passwords such as `password123`."""
    module = "django.contrib.auth.password_validation"
    attributes = {"user_attributes": ("username", "email", "full_name")}
    validators: list[dict[str, Any]] = [
        {"NAME": f"{module}.UserAttributeSimilarityValidator", "OPTIONS": attributes},
        {"NAME": f"{module}.MinimumLengthValidator"},
        {"NAME": f"{module}.NumericPasswordValidator"},
    ]
    return validators + [{"NAME": f"{module}.CommonPasswordValidator"}] * (not debug)


AUTH_PASSWORD_VALIDATORS = password_validators(debug=DEBUG)
AUTHENTICATION_BACKENDS = ["accounts.backends.AccountBackend"]
FIRST_SUPERUSER = env.first_superuser
FIRST_SUPERUSER_PASSWORD = env.admin_password
SIGNUP = env.signup or ("open" if DEBUG else "invite")
DEFAULT_COMPANY_CODE = env.default_company_code
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

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

SESSION_COOKIE_AGE = 12 * 60 * 60  # seconds: a working day in the admin
if not DEBUG:
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
