from functools import cache
from typing import Any

from django.apps import apps
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest

from accounts.models import CompanyOwned, User
from accounts.password_checks import check_password
from common.events import record
from common.events.models import Outcome


class AccountBackend(ModelBackend):
    """Login by email or username, in any letter case."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **_: Any,
    ) -> User | None:
        if username is None or password is None:
            return None
        user = self._find_user(username)
        if check_password(user, password, request=request, identifier=username):
            return user
        company_id = user.company_id if user else None
        record(
            "login.failed",
            by=None,
            target=None,
            company_id=company_id,
            outcome=Outcome.FAILED,
            username=username,
        )
        return None

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Give a company's admin with staff status the permissions that they have in the API."""
        if super().has_perm(user_obj, perm, obj):
            return True
        return _is_company_staff(user_obj) and perm in _company_staff_permissions()

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        if super().has_module_perms(user_obj, app_label):
            return True
        prefix = f"{app_label}."
        return _is_company_staff(user_obj) and any(
            permission.startswith(prefix) for permission in _company_staff_permissions()
        )

    def user_can_authenticate(self, user: Any) -> bool:
        return user.can_sign_in

    def get_user(self, user_id: Any) -> User | None:
        user = User.objects.live().select_related("company").filter(pk=user_id).first()
        return user if user and self.user_can_authenticate(user) else None

    def _find_user(self, identifier: str) -> User | None:
        try:
            users = User.objects.with_identifier(identifier).select_related("company")
        except ValidationError:
            return None
        return users.first()


def _is_company_staff(user: Any) -> bool:
    return user.is_active and user.is_staff and user.is_admin


@cache
def _company_staff_permissions() -> set[str]:
    """Return the permissions of a company's admin with staff status.

    These are all permissions on users and on the rows of a company, and some on the company itself,
    on logins and on events.
    """
    owned_models = (model for model in apps.get_models() if issubclass(model, CompanyOwned))
    models: list[type[Model]] = [*owned_models, User]
    permissions = {
        f"{model._meta.app_label}.{verb}_{model._meta.model_name}"
        for model in models
        for verb in ("view", "add", "change", "delete")
    }
    return permissions | {
        "accounts.view_company",
        "accounts.change_company",
        "accounts.view_login",
        "common.view_event",
    }
