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
from schemathesis.specs.openapi.checks import positive_data_acceptance

SERVER_URL = os.environ["SERVER_URL"]
CREDENTIALS = {
    "username": os.environ.get("CHECK_USERNAME", ""),
    "password": os.environ.get("CHECK_PASSWORD", ""),
}
# Bad requests by rules that a JSON schema can't express: they depend on rows, on other fields, or
# on the meaning of a text.
RULES = {
    "unique": "another row has this value",
    "does_not_exist": "no visible row has this id or name",
    "required": "one of two fields, such as `username` and `email`, must be there",
    "exclusive": "only one of several fields may be there",
    "blank": "a text must have more than white space",
    "forbidden": "only a superuser may change this field",
    "inactive": "the project is not active",
    "immutable": "a cycle stays in its project",
    "other_project": "the cycle belongs to another project",
    "wrong_password": "the current password",
    "unusable": "a code that was mailed",
    "read_only": "the caller's role may not change this field",
    "null_characters_not_allowed": "a text without null characters",
    "surrogate_characters_not_allowed": "a text without halves of characters",
    "empty": "a file with content",
    "unsupported": "a kind of file, or an encoding, that can be read",
    "password_too_short": "a weak password",
    "password_too_common": "a weak password",
    "password_entirely_numeric": "a weak password",
    "password_too_similar": "a weak password",
}
# The same for fields whose error has the code `invalid`.
TEXT_RULES = {
    "bucket_name": "a company may use only its own buckets",
    "local_directory": "a path below the company's folder",
    "prefix": "a path without `..`",
    "file_key": "a path without `..`",
    "include": "a glob",
    "exclude": "a glob",
    "language": "the name or code of a language",
    "email": "a domain by IDNA",
    "new_email": "a domain by IDNA",
    "contact_email": "a domain by IDNA",
    "username": "letters, digits and a few signs",
    "company_id": "a user stays in their company",
    # schemathesis takes the UUID of a user for the number of a post's author.
    "user_id": "a number in posts, an id elsewhere",
}


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


@schemathesis.hook
def filter_path_parameters(context: Any, path_parameters: Any) -> bool:
    """Leave the caller's own account and company as they are; the run needs them."""
    return str((path_parameters or {}).get("id", "")).lower() not in SignIn.own_ids


@schemathesis.hook
def after_call(context: Any, case: Any, response: Response) -> None:
    ends_logins = "/auth/" in case.path and case.method in ("POST", "DELETE")
    if ends_logins or response.status_code == 401:
        SignIn.token = ""


@schemathesis.hook
def filter_query(context: Any, query: Any) -> bool:
    """Leave out what the schema can't describe.

    With `fields` the answer lacks fields that the schema requires. An empty value counts as none,
    as forms send it.
    """
    return "fields" not in (query or {}) and "" not in (query or {}).values()


@schemathesis.check
def valid_data_acceptance(context: Any, response: Response, case: Any) -> bool | None:
    """Check as `positive_data_acceptance`, but let the server refuse what breaks a rule."""
    if response.status_code == 412:  # a random `If-Match`
        return None
    if response.status_code == 400 and all(map(_is_rule, _read_errors(response))):
        return None
    return positive_data_acceptance(context, response, case)


def _read_errors(response: Response) -> list[dict[str, str]]:
    problem = response.json()
    return problem.get("errors") or [{"field": "", **problem}]


def _is_rule(error: dict[str, str]) -> bool:
    name = error["field"].partition(".")[0]
    return error["code"] in RULES or (error["code"] == "invalid" and name in TEXT_RULES)


def _sign_in() -> dict[str, Any]:
    request = urllib.request.Request(
        f"{SERVER_URL}/api/v1/auth/login",
        json.dumps(CREDENTIALS).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        answer: dict[str, Any] = json.load(response)
        return answer
