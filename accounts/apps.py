from django.apps import AppConfig

from accounts.field_descriptions import FIELD_DESCRIPTIONS


class AccountsConfig(AppConfig):
    name = "accounts"
    schema_descriptions = FIELD_DESCRIPTIONS
    schema_examples = {
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
        """Load the schema extension, which registers itself with drf-spectacular."""
        from accounts import schema  # noqa: F401
