from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from accounts import services
from accounts.models import Company, Role, User

PASSWORD = "demo-pass-2026"  # noqa: S105 - the stated login of a demo company, in DEBUG only
PEOPLE = {
    "admin": ("olivia@demo.example.com", "Olivia Owner", Role.ADMIN),
    "agent": ("ann@demo.example.com", "Ann Agent", Role.AGENT),
    "colleague": ("bob@demo.example.com", "Bob Colleague", Role.AGENT),
    "worker": ("machine@demo.example.com", "Upload Machine", Role.WORKER),
}


class Command(BaseCommand):
    help = "Make a small demo company with people and data. Safe to run again and again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--password", default=PASSWORD if settings.DEBUG else "")

    @transaction.atomic
    def handle(self, *, password: str, **_: Any) -> None:
        if not password:
            raise CommandError("Without DEBUG the demo people need a password: give --password.")
        company, _created = Company.objects.get_or_create(
            code="demo", defaults={"name": "Demo Ltd", "contact_email": "office@demo.example.com"}
        )
        people = {
            name: self._person(company, password, email, full_name, role)
            for name, (email, full_name, role) in PEOPLE.items()
        }
        for app in apps.get_app_configs():
            if hasattr(app, "seed_demo"):
                app.seed_demo(people)
        self.stdout.write(f"Demo company {company.code!r} is ready: {people['admin']} and others.")

    def _person(
        self, company: Company, password: str, email: str, full_name: str, role: Role
    ) -> User:
        known = User.objects.live().filter(email__lower=email).first()
        return known or services.create_user(
            email=email,
            password=password,
            full_name=full_name,
            company=company,
            role=role,
            welcome=False,
        )
