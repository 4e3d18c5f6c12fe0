"""What schemathesis can't know: how to sign in, and what is refused by a rule of the contract.

`clients/check_contract.py` runs schemathesis with this module. Each deviation from its checks
stands here once, with its reason.
"""

import json
import os
import urllib.request
from typing import Any, ClassVar

import schemathesis
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    positive_data_acceptance,
    response_schema_conformance,
)

SERVER_URL = os.environ["SERVER_URL"]
CREDENTIALS = {
    "username": os.environ.get("CHECK_USERNAME", ""),
    "password": os.environ.get("CHECK_PASSWORD", ""),
}
# Bad requests by rules that a JSON schema can't express, since they depend on rows, on other fields
# or on the meaning of a text: the codes of the errors, and the fields that may have them.
RULES = {
    # Another row has this value.
    "unique": {"code", "email", "name", "number", "sku", "username"},
    # No row that the caller sees has this id or name.
    "does_not_exist": {"company_id", "cycle_id", "note_id", "project_id", "template"},
    # One of two fields must be there: `username` or `email`, `password` or `new_password`.
    "required": {"username", "current_password", "new_password", "text"},
    # Only one of these may be there.
    "exclusive": {"text", "note_id", "file"},
    # Only a superuser may change this.
    "forbidden": {"code", "is_active"},
    # What the row allows in its present state.
    "inactive": {"project_id"},
    "immutable": {"project_id"},
    "other_project": {"cycle_id"},
    # What the role of the caller may not send: only a worker reports counters, and only admins
    # read and change more of an account than its names.
    "unknown_field": {"company_id", "fields", "password"},
    "read_only": {
        "email",
        "is_active",
        "role",
        "status",
        "total_files",
        "files_uploaded",
        "files_failed",
        "files_skipped",
        "total_size_bytes",
        "bytes_uploaded",
    },
    # Secrets.
    "wrong_password": {"current_password", "password"},
    "unusable": {"token", "invitation"},
    "password_too_short": {"password", "new_password"},
    "password_too_common": {"password", "new_password"},
    "password_entirely_numeric": {"password", "new_password"},
    "password_too_similar": {"password", "new_password"},
    # The content of a file.
    "empty": {"file"},
    "unsupported": {"file"},
    "unknown_column": {"file"},
    "missing_column": {"file"},
    "duplicate_column": {"file"},
    "invalid_encoding": {"file"},
    "invalid_csv": {"file"},
    "line_too_long": {"file"},
    "too_many_columns": {"file"},
    "broken": {"file"},
    # The types of events, and wildcards for them.
    "invalid_choice": {"types", "action"},
    # A user stays in their company. The first day is not after the last. Paths without `..`, globs,
    # names of languages, domains by IDNA.
    "invalid": {
        "company_id",
        "contact_email",
        "email",
        "exclude",
        "file_key",
        "from",
        "include",
        "language",
        "local_directory",
        "new_email",
        "prefix",
    },
}
# A text without null characters, in any field.
RULES_OF_ALL_FIELDS = {"null_characters", "null_characters_not_allowed"}


class SignIn:
    """Signs in, and again after the login has ended: some operations end it."""

    token = ""
    own_ids: ClassVar[set[str]] = set()

    def get(self, case: Any, context: Any) -> str:
        if not SignIn.token:
            answer = _sign_in()
            SignIn.token, user = answer["access_token"], answer["user"]
            SignIn.own_ids = {user["id"], user["company"]["id"]}
        return SignIn.token

    def set(self, case: Any, token: str, context: Any) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}


if CREDENTIALS["username"]:
    schemathesis.auth(refresh_interval=None)(SignIn)


# `filter_case`, since the coverage phase runs no filters of parts of a case.
@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    return not _is_own_id(case) and not _has_empty_value(case)


@schemathesis.hook
def after_call(context: Any, case: Any, response: Response) -> None:
    ends_logins = "/auth/" in case.path and case.method in ("POST", "DELETE")
    if ends_logins or response.status_code == 401:
        SignIn.token = ""


@schemathesis.check
def full_response_conformance(context: Any, response: Response, case: Any) -> bool | None:
    """Check as `response_schema_conformance`, unless `fields` leaves out required fields."""
    if "fields" in (case.query or {}):
        return None
    return response_schema_conformance(context, response, case)


@schemathesis.check
def valid_data_acceptance(context: Any, response: Response, case: Any) -> bool | None:
    """Check as `positive_data_acceptance`, but let the server refuse what breaks a rule."""
    if _is_random_header(case, response.status_code):
        return None
    # An event that does not exist, as 404 for other rows; the stream, which another process serves.
    if response.status_code in (410, 421):
        return None
    if response.status_code == 400 and all(map(_is_rule, _read_errors(response))):
        return None
    return positive_data_acceptance(context, response, case)


def _is_own_id(case: Any) -> bool:
    """Return whether a case is about the caller's own account or company; the run needs them."""
    return str((case.path_parameters or {}).get("id", "")).lower() in SignIn.own_ids


def _has_empty_value(case: Any) -> bool:
    """Return whether a query has empty values: they count as none, since forms send them."""
    values = (case.query or {}).values()
    return any(value == "" or (isinstance(value, list) and "" in value) for value in values)


def _is_random_header(case: Any, status: int) -> bool:
    """Return whether a random value of a header that schemathesis sent leads to this status."""
    header = {412: "If-Match", 422: "Idempotency-Key"}.get(status, "")
    return bool(header) and header in (case.headers or {})


def _read_errors(response: Response) -> list[dict[str, str]]:
    problem = response.json()
    return problem.get("errors") or [{"field": "", **problem}]


def _is_rule(error: dict[str, str]) -> bool:
    name = error["field"].partition(".")[0]
    return error["code"] in RULES_OF_ALL_FIELDS or name in RULES.get(error["code"], ())


def _sign_in() -> dict[str, Any]:
    request = urllib.request.Request(
        f"{SERVER_URL}/api/v1/auth/login",
        json.dumps(CREDENTIALS).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        answer: dict[str, Any] = json.load(response)
        return answer
