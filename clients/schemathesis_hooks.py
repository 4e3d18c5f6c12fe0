"""What schemathesis can't know: how to sign in, and what is refused by a rule of the contract.

`clients/check_contract.py` runs schemathesis with this module. Each deviation from its checks
stands here once, with its reason.
"""

import json
import os
import urllib.request
from typing import Any

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
    "invalid_invitation": "the code of an invitation",
    "invalid_token": "a code that was mailed",
    "password_too_short": "a weak password",
    "password_too_common": "a weak password",
    "password_entirely_numeric": "a weak password",
    "password_too_similar": "a weak password",
}


class SignIn:
    """Signs in, and again after the login has ended: some operations end it."""

    token = ""

    def get(self, case: Any, context: Any) -> str:
        if not SignIn.token:
            SignIn.token = _sign_in()
        return SignIn.token

    def set(self, case: Any, token: str, context: Any) -> None:
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}


if CREDENTIALS["username"]:
    schemathesis.auth(refresh_interval=None)(SignIn)


@schemathesis.hook
def after_call(context: Any, case: Any, response: Response) -> None:
    ends_logins = "/auth/" in case.path and case.method in ("POST", "DELETE")
    if ends_logins or response.status_code == 401:
        SignIn.token = ""


@schemathesis.hook
def filter_query(context: Any, query: Any) -> bool:
    """Leave out `fields`: the answer then lacks fields that the schema requires."""
    return "fields" not in (query or {})


@schemathesis.check
def valid_data_acceptance(context: Any, response: Response, case: Any) -> bool | None:
    """Check as `positive_data_acceptance`, but let the server refuse what breaks a rule."""
    if response.status_code == 400 and _read_codes(response) <= RULES.keys():
        return None
    return positive_data_acceptance(context, response, case)


def _read_codes(response: Response) -> set[str]:
    problem = response.json()
    return {error["code"] for error in problem.get("errors", ())} or {problem["code"]}


def _sign_in() -> str:
    request = urllib.request.Request(
        f"{SERVER_URL}/api/v1/auth/login",
        json.dumps(CREDENTIALS).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        token: str = json.load(response)["access_token"]
        return token
