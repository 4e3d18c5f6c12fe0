from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out

from accounts.field_descriptions import FIELD_DESCRIPTIONS
from common.api.schema_examples import LEFT_OUT


class AccountsConfig(AppConfig):
    name = "accounts"
    schema_descriptions = FIELD_DESCRIPTIONS
    schema_examples = {
        "token": "kJ8s0dQm3vX7yZ2aB5cD9eF1gH4iL6nP8rT0uW3xY5",
        "LoginRequest.email": LEFT_OUT,
        "LoginRequest.grant_type": LEFT_OUT,
        "LoginRequest.scope": LEFT_OUT,
        "LoginRequest.client_id": LEFT_OUT,
        "LoginRequest.client_secret": LEFT_OUT,
        "SignupRequest.invitation": LEFT_OUT,
        "ManagedUserRequest.company_id": LEFT_OUT,
        "PasswordChangeRequest.old_password": LEFT_OUT,
        "PasswordChangeRequest.password": LEFT_OUT,
        "PasswordResetConfirmRequest.password": LEFT_OUT,
        "access_token": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoiYWNjZXNzIn0.c2ln",
        "refresh_token": "eyJhbGciOiJIUzI1NiJ9.eyJ0eXBlIjoicmVmcmVzaCJ9.c2ln",
        "token_type": "bearer",
        "expires_in": 1800,
        "password": "violet-anchor-42",
        "current_password": "violet-anchor-42",
        "new_password": "amber-harbour-17",
        "username": "mia",
        "full_name": "Mia Berg",
        "code": "acme",
        "company_name": "Acme Ltd",
        "user_agent": "curl/8.5",
        "Company.name": "Acme Ltd",
        "User.title": "Engineer",
    }

    def ready(self) -> None:
        """Load the schema extension, which registers itself, and connect Django's signals."""
        from accounts import schema  # noqa: F401
        from accounts.services import logins

        user_logged_in.connect(logins.record_admin_session_start)
        user_logged_out.connect(logins.record_admin_session_end)
