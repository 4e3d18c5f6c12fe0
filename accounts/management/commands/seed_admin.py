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
from accounts.identifiers import normalize_email, normalize_username
from accounts.models import Role, User


class Command(BaseCommand):
    help = (
        "Create the installation's superuser, unless there is an account with this email: that is "
        "left as it is. Safe to run again and again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", default=settings.FIRST_SUPERUSER)
        parser.add_argument("--username", default="")
        parser.add_argument(
            "--password",
            default=settings.FIRST_SUPERUSER_PASSWORD,
            help="Only for a new account; better given as FIRST_SUPERUSER_PASSWORD.",
        )

    def handle(self, *, email: str, username: str, password: str, **_: Any) -> None:
        try:
            validate_email(email := normalize_email(email))
            # A deleted account too: who was removed is not to come back with the next release.
            known = User.objects.filter(email__lower=email)
            if user := known.order_by(F("deleted_at").desc(nulls_first=True)).first():
                self.stdout.write(_told_of(user))
                return
            _check(email, username, password)
        except ValidationError as error:
            raise CommandError("\n".join(error.messages)) from None
        _create(email, username, password)
        self.stdout.write(f"Superuser {email} created.")


def _check(email: str, username: str, password: str) -> None:
    """Raise `ValidationError`s of what no account may have."""
    if not password:
        raise CommandError("Set FIRST_SUPERUSER_PASSWORD or give --password.")
    user = User(email=email, username=normalize_username(username))
    unknown = {"company", "password"} if username else {"company", "password", "username"}
    user.full_clean(exclude=unknown)
    # The settings' own has been judged at the start: development's is known to all.
    if password != settings.FIRST_SUPERUSER_PASSWORD:
        validate_password(password, user)


@transaction.atomic
def _create(email: str, username: str, password: str) -> None:
    user = services.create_user(
        email=email,
        password=password,
        username=username,
        company=services.default_company(),
        role=Role.ADMIN,
        welcome=False,
    )
    user.is_staff = user.is_superuser = True
    user.save(update_fields=["is_staff", "is_superuser", "updated_at"])


def _told_of(user: User) -> str:
    """A release must not fail for what an operator has done to the account on purpose."""
    if user.deleted_at:
        standing = "was deleted"
    elif not user.is_active:
        standing = "is deactivated"
    elif not user.is_superuser:
        standing = "is no superuser"
    else:
        return f"Superuser {user.email} is there already."
    return f"The account {user.email} {standing}: left as it is. Another --email makes another."
