from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from accounts.models import User


class AccountBackend(ModelBackend):
    """Signs a person in by email or username, without regard to case."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **_: Any,
    ) -> User | None:
        if username is None or password is None:
            return None
        user = self._find(username)
        if user is None:
            # As long as a real check takes, or the time would tell which accounts exist.
            User().set_password(password)
            return None
        known = user.check_password(password)
        return user if known and self.user_can_authenticate(user) else None

    def user_can_authenticate(self, user: Any) -> bool:
        return user.is_active and user.deleted_at is None and user.company.is_active

    def get_user(self, user_id: Any) -> User | None:
        user = User.objects.live().select_related("company").filter(pk=user_id).first()
        return user if user and self.user_can_authenticate(user) else None

    def _find(self, identifier: str) -> User | None:
        try:
            users = User.objects.with_identifier(identifier).select_related("company")
        except ValidationError:
            return None
        return users.first()
