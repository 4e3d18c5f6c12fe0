from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import services
from accounts.models import Company, Role, User

DEMO_PASSWORD = "demo-pass-2026"  # noqa: S105 - the documented login of the demo, in DEBUG only
DEMO_USERS = {
    "admin": ("olivia@demo.example.com", "Olivia Owner", Role.ADMIN),
    "agent": ("ann@demo.example.com", "Ann Agent", Role.AGENT),
    "colleague": ("bob@demo.example.com", "Bob Colleague", Role.AGENT),
    "worker": ("machine@demo.example.com", "Upload Machine", Role.WORKER),
}


class Command(BaseCommand):
    help = "Create a small demo company with users and data. Can be run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--password", default=DEMO_PASSWORD if settings.DEBUG else "")

    @transaction.atomic
    def handle(self, *, password: str, **options: Any) -> None:
        if not password:
            raise CommandError("If DEBUG is off, pass --password for the demo users.")
        company = _get_or_create_company()
        users = {
            name: _get_or_create_user(company, password, email, full_name, role)
            for name, (email, full_name, role) in DEMO_USERS.items()
        }
        for app in apps.get_app_configs():
            if hasattr(app, "seed_demo"):
                app.seed_demo(users)
        self.stdout.write(f"Demo company {company.code!r} is ready: {users['admin']} and others.")


def _get_or_create_company() -> Company:
    return Company.objects.filter(code="demo").first() or services.create_company(
        by=None, code="demo", name="Demo Ltd", contact_email="office@demo.example.com"
    )


def _get_or_create_user(
    company: Company, password: str, email: str, full_name: str, role: Role
) -> User:
    existing = User.objects.live().filter(email__lower=email).first()
    return existing or services.create_user(
        by=None,
        email=email,
        password=password,
        full_name=full_name,
        company=company,
        role=role,
        send_welcome_mail=False,
    )
