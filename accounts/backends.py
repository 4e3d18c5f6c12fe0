from functools import cache
from typing import Any

from django.apps import apps
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model
from django.http import HttpRequest

from accounts.identifiers import canonical_identifier
from accounts.models import CompanyOwned, User
from accounts.tokens import is_welcome
from common.ratelimit.throttles import count_auth_attempt


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
        # The API's own login is limited by its throttle; this is the admin site's.
        if isinstance(request, HttpRequest):
            verdict = count_auth_attempt(
                request, scope="admin", account=canonical_identifier(username)
            )
            if verdict and not verdict.allowed:
                raise PermissionDenied
        user = self._find(username)
        if user is None:
            # As long as a real check takes, or the time would tell which accounts exist.
            User().set_password(password)
            return None
        known = user.check_password(password)
        return user if known and self.user_can_authenticate(user) else None

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """A company's admin who is staff may do in the admin site what they may do by the API."""
        if super().has_perm(user_obj, perm, obj):
            return True
        is_company_staff = user_obj.is_active and user_obj.is_staff and user_obj.is_admin
        return is_company_staff and perm in _permissions_of_company_staff()

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        granted = super().has_module_perms(user_obj, app_label)
        return granted or (
            user_obj.is_staff
            and any(p.startswith(f"{app_label}.") for p in _permissions_of_company_staff())
        )

    def user_can_authenticate(self, user: Any) -> bool:
        return is_welcome(user)

    def get_user(self, user_id: Any) -> User | None:
        user = User.objects.live().select_related("company").filter(pk=user_id).first()
        return user if user and self.user_can_authenticate(user) else None

    def _find(self, identifier: str) -> User | None:
        try:
            users = User.objects.with_identifier(identifier).select_related("company")
        except ValidationError:
            return None
        return users.first()


@cache
def _permissions_of_company_staff() -> set[str]:
    """All rights on rows that a company owns and its people; its own row to read and change."""
    owned = (model for model in apps.get_models() if issubclass(model, CompanyOwned))
    ours: list[type[Model]] = [*owned, User]
    rights = {
        f"{model._meta.app_label}.{verb}_{model._meta.model_name}"
        for model in ours
        for verb in ("view", "add", "change", "delete")
    }
    return rights | {"accounts.view_company", "accounts.change_company", "accounts.view_login"}
