from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import F

from accounts import services
from accounts.identifiers import normalize_email, normalize_password, normalize_username
from accounts.models import Role, User


class Command(BaseCommand):
    help = (
        "Create the first superuser. An existing account with this email is left unchanged, so the "
        "command can be run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", default=settings.FIRST_SUPERUSER)
        parser.add_argument("--username", default="")
        parser.add_argument(
            "--password",
            default=settings.FIRST_SUPERUSER_PASSWORD,
            help="Used only for a new account. FIRST_SUPERUSER_PASSWORD is safer.",
        )

    def handle(self, *, email: str, username: str, password: str, **_: Any) -> None:
        try:
            validate_email(email := normalize_email(email))
            if user := _find_user(email):
                self.stdout.write(_describe_existing_user(user))
                return
            _validate(email, username, password)
        except ValidationError as error:
            raise CommandError("\n".join(error.messages)) from None
        _create_superuser(email, username, password)
        self.stdout.write(f"Superuser {email} created.")


def _find_user(email: str) -> User | None:
    """Return the live user with this email, else the one that was deleted last.

    A deleted superuser is found too, so that the next deployment does not create them again.
    """
    users = User.objects.filter(email__lower=email)
    return users.order_by(F("deleted_at").desc(nulls_first=True)).first()


def _validate(email: str, username: str, password: str) -> None:
    """Raise the errors of a new account's fields."""
    if not password:
        raise CommandError("Set FIRST_SUPERUSER_PASSWORD or pass --password.")
    user = User(email=email, username=normalize_username(username))
    generated = {"company", "password"} if username else {"company", "password", "username"}
    user.full_clean(exclude=generated)
    # The settings validate their own password at start; development has a weak default.
    if password != settings.FIRST_SUPERUSER_PASSWORD:
        validate_password(normalize_password(password), user)


@transaction.atomic
def _create_superuser(email: str, username: str, password: str) -> None:
    user = services.create_user(
        by=None,
        email=email,
        password=password,
        username=username,
        company=services.get_default_company(),
        role=Role.ADMIN,
        send_welcome_mail=False,
    )
    services.update_user(user, by=None, is_staff=True, is_superuser=True)


def _describe_existing_user(user: User) -> str:
    """Return a message for an account that stays as it is; an operator may have changed it."""
    if user.deleted_at:
        state = "was deleted"
    elif not user.is_active:
        state = "is deactivated"
    elif not user.is_superuser:
        state = "is not a superuser"
    else:
        return f"Superuser {user.email} already exists."
    return (
        f"The account {user.email} {state} and is left unchanged. "
        "Pass another --email to create another superuser."
    )
