from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import services
from accounts.identifiers import normalize_email
from accounts.models import Role, User


class Command(BaseCommand):
    help = "Make sure that the installation's superuser exists. Safe to run again and again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", default=settings.FIRST_SUPERUSER)
        parser.add_argument("--username", default="")
        parser.add_argument(
            "--password",
            default=settings.FIRST_SUPERUSER_PASSWORD,
            help="Only for a new account; better given as FIRST_SUPERUSER_PASSWORD.",
        )

    @transaction.atomic
    def handle(self, *, email: str, username: str, password: str, **_: Any) -> None:
        email = normalize_email(email)
        user = User.objects.live().filter(email__lower=email).first()
        known = user is not None
        if user is None:
            user = self._create(email, username, password)
        user.is_staff = user.is_superuser = user.is_active = True
        user.role = Role.ADMIN
        user.save()
        self.stdout.write(f"Admin {email} {'is there already' if known else 'created'}.")

    def _create(self, email: str, username: str, password: str) -> User:
        if not password:
            raise CommandError("Set FIRST_SUPERUSER_PASSWORD or give --password.")
        return services.create_user(
            email=email,
            password=password,
            username=username,
            company=services.default_company(),
            role=Role.ADMIN,
            welcome=False,
        )
