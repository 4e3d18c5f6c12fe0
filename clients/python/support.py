"""What the generated program of calls needs: clients of all roles, and checks of answers."""

import json
import os
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from bureau_client import AuthenticatedClient, Client
from bureau_client.api.auth import auth_login
from bureau_client.models import LoginRequest, Problem, TokenPair
from bureau_client.types import File, Response
from openapi_schema_validator import OAS30Validator

T = TypeVar("T")
URL, PASSWORD = os.environ["CHECK_URL"], os.environ["CHECK_PASSWORD"]
SCHEMA: dict[str, Any] = json.loads(Path(os.environ["CHECK_SCHEMA"]).read_text())
OPERATIONS = {o["operationId"]: o for path in SCHEMA["paths"].values() for o in path.values()}


def client_of(token: str) -> AuthenticatedClient:
    return AuthenticatedClient(base_url=URL, token=token)


def sign_in(role: str) -> AuthenticatedClient:
    body = LoginRequest(username=os.environ[f"CHECK_{role}"], password=PASSWORD)
    pair = auth_login.sync(client=anyone, body=body)
    assert isinstance(pair, TokenPair), pair
    return client_of(pair.access_token)


# An operation that both may call takes either client.
anyone: Any = Client(base_url=URL)
absent = 1
agent, worker, admin, superuser = map(sign_in, ("AGENT", "WORKER", "ADMIN", "SUPERUSER"))


def check(operation: str, status: int, response: Response[T | Problem]) -> T:
    """Return the parsed answer; fail unless status, media type and body are as documented."""
    check_documented(operation, status, response)
    parsed = response.parsed
    assert not isinstance(parsed, Problem), parsed
    return parsed  # type: ignore[return-value]


def check_refused(operation: str, status: int, response: Response[Any]) -> None:
    check_documented(operation, status, response)
    assert isinstance(response.parsed, Problem), operation


def check_documented(operation: str, status: int, response: Response[Any]) -> None:
    assert response.status_code == status, (operation, response.status_code, response.content)
    contents = resolve(OPERATIONS[operation]["responses"][str(status)]).get("content")
    if not contents:
        assert response.content == b"", operation
        return
    media_type = response.headers["Content-Type"].partition(";")[0]
    assert media_type in contents, (operation, media_type)
    validator = build_validator(json.dumps(contents[media_type]["schema"]))
    errors = [error.message for error in validator.iter_errors(json.loads(response.content))]
    assert not errors, (operation, errors)
    assert response.parsed is not None, operation


@cache
def build_validator(schema: str) -> OAS30Validator:
    return OAS30Validator({**json.loads(schema), "components": SCHEMA["components"]})


def resolve(response: dict[str, Any]) -> dict[str, Any]:
    name = response.get("$ref", "").rpartition("/")[2]
    return SCHEMA["components"]["responses"][name] if name else response


def first(items: list[T]) -> T:
    return items[0]


def file_of(text: str) -> File:
    return File(payload=BytesIO(text.encode()), file_name="report.txt")


def id_in(url: str) -> UUID:
    return UUID(urlsplit(url).path.rpartition("/")[2])


def signature_in(url: str) -> str:
    return parse_qs(urlsplit(url).query)["signature"][0]
