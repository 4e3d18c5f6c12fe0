"""The examples of requests in the OpenAPI schema: each is accepted when it is sent."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.db import transaction
from rest_framework.test import APIClient

from accounts.models import User
from accounts.tests.factories import CompanyFactory, UserFactory
from catalog.tests.factories import ProductFactory
from common.api.schema import CachedSchemaGenerator
from common.api.schema_examples import UUID_EXAMPLE
from notes.models import SummaryTemplate
from notes.tests.factories import NoteFactory
from uploads.tests.factories import CycleFactory, ProjectFactory, SessionFactory

# A code that is mailed, a token, or a file can't be an example that works.
REFUSED = {
    "/api/v1/products/import": "invalid",
    "/api/v1/products/imports": "invalid",
    "/api/v1/auth/password/reset/confirm": "unusable",
    "/api/v1/auth/refresh": "invalid_token",
    "/api/v1/profile/email/confirm": "unusable",
}
PASSWORD = "violet-anchor-42"


def request_examples() -> Iterator[tuple[str, str, str, Any]]:
    for path, operations in CachedSchemaGenerator().get_schema()["paths"].items():
        for method, operation in operations.items():
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                if media_type != "application/octet-stream":
                    yield method, path, media_type, content["example"]


@pytest.fixture
def rows(outsider: User) -> None:
    """Rows of all kinds with the id that the examples have."""
    row = {"pk": UUID_EXAMPLE, "company": outsider.company}
    CompanyFactory(pk=UUID_EXAMPLE)
    UserFactory(**row, username="noah")
    outsider.set_password(PASSWORD)
    outsider.save()
    ProductFactory(**row)
    NoteFactory(**row, user=outsider)
    SummaryTemplate.objects.create(**row, name="Own", instructions="Be short.")
    project = ProjectFactory(**row)
    cycle = CycleFactory(**row, project=project, number=7)
    SessionFactory(**row, user=outsider, project=project, cycle=cycle)


def send(client: APIClient, method: str, path: str, media_type: str, example: Any) -> Any:
    url = path.replace("{id}", UUID_EXAMPLE)
    kind = "json" if "json" in media_type else "multipart"
    with transaction.atomic():
        response = getattr(client, method)(url, example, format=kind)
        transaction.set_rollback(True)
    return response


def test_every_request_example_is_accepted(
    rows: None, as_user: Any, outsider: User, superuser: User
) -> None:
    refused = {}
    for method, path, media_type, example in request_examples():
        by = superuser if path.startswith("/api/v1/companies") else outsider
        with transaction.atomic():
            if "login" in path:
                UserFactory(username=example["username"], password=make_password(PASSWORD))
            response = send(as_user(by), method, path, media_type, example)
            transaction.set_rollback(True)
        if response.status_code >= 300:
            problem = response.json()
            refused[f"{method} {path}"] = problem.get("errors", [problem])[0]["code"]
    assert refused == {f"post {path}": code for path, code in REFUSED.items()}
