from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.link_secrets import get_mailed_secret
from accounts.models import Company, Invitation, Mail, User
from accounts.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
URL = "/api/v1/invitations"
EMAIL = "new@example.org"


@pytest.fixture
def invitation(as_user: Any, admin: User, settings: Any) -> Invitation:
    settings.SIGNUP = "invite"
    response = as_user(admin).post(URL, {"email": EMAIL, "role": "admin"})
    assert response.status_code == 201
    return Invitation.objects.get(pk=response.json()["id"])


def accept(row: Invitation, **fields: Any) -> Any:
    body = {"email": EMAIL, "password": PASSWORD, "invitation": get_mailed_secret(row)}
    return APIClient().post("/api/v1/auth/signup", body | fields)


def test_the_secret_is_mailed_and_never_returned(
    as_user: Any, admin: User, invitation: Invitation
) -> None:
    mail = Mail.objects.get()
    assert (mail.kind, mail.to, mail.invitation) == ("invitation", EMAIL, invitation)
    body = as_user(admin).get(f"{URL}/{invitation.pk}").json()
    assert (body["email"], body["role"], body["status"]) == (EMAIL, "admin", "pending")
    assert get_mailed_secret(invitation) not in str(body)
    assert get_mailed_secret(invitation) != invitation.token_hash


def test_accepting_creates_a_user_in_the_invited_role(
    invitation: Invitation, company: Company
) -> None:
    before = invitation.updated_at
    response = accept(invitation)
    assert response.status_code == 201
    assert (response.json()["role"], response.json()["company"]["code"]) == ("admin", "acme")
    invitation.refresh_from_db()
    assert invitation.status == "accepted"
    assert invitation.updated_at > before


def test_an_invitation_works_once(invitation: Invitation) -> None:
    accept(invitation)
    User.objects.filter(email=EMAIL).soft_delete()
    response = accept(invitation)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "invitation"


def test_an_invitation_works_only_for_its_address(invitation: Invitation) -> None:
    response = accept(invitation, email="other@example.org")
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "email"
    invitation.refresh_from_db()
    assert invitation.status == "pending"


@pytest.mark.parametrize("column", ["revoked_at", "accepted_at", "expires_at"])
def test_an_ended_invitation_is_refused(invitation: Invitation, column: str) -> None:
    Invitation.objects.update(**{column: timezone.now() - timedelta(seconds=1)})
    assert accept(invitation).status_code == 400
    assert not User.objects.filter(email=EMAIL).exists()


@pytest.mark.parametrize("secret", ["x", "a\x00b", "x" * 101])
def test_malformed_secrets_are_refused(invitation: Invitation, secret: str) -> None:
    assert accept(invitation, invitation=secret).status_code == 400


def test_an_invitation_of_an_inactive_company_is_refused(invitation: Invitation) -> None:
    Company.objects.update(is_active=False)
    assert accept(invitation).status_code == 400


def test_a_second_invitation_replaces_the_first(
    as_user: Any, admin: User, invitation: Invitation
) -> None:
    before = invitation.updated_at
    as_user(admin).post(URL, {"email": EMAIL})
    invitation.refresh_from_db()
    assert invitation.status == "revoked"
    assert invitation.updated_at > before
    assert Invitation.objects.pending().get().role == "agent"


def test_delete_revokes_a_pending_invitation(
    as_user: Any, admin: User, invitation: Invitation
) -> None:
    client = as_user(admin)
    assert client.delete(f"{URL}/{invitation.pk}").status_code == 204
    assert client.get(f"{URL}/{invitation.pk}").json()["status"] == "revoked"
    assert client.delete(f"{URL}/{invitation.pk}").status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "owner@example.org"}, "email"),
        ({"email": EMAIL, "role": "x"}, "role"),
    ],
    ids=str,
)
def test_invalid_input_is_refused_by_field(
    as_user: Any, admin: User, owner: User, body: dict, field: str
) -> None:
    response = as_user(admin).post(URL, body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


def test_the_address_of_another_companys_user_is_invited_like_any_other(
    as_user: Any, admin: User, outsider: User
) -> None:
    response = as_user(admin).post(URL, {"email": outsider.email})
    unknown = as_user(admin).post(URL, {"email": EMAIL})
    assert (response.status_code, unknown.status_code) == (201, 201)
    assert set(response.json()) == set(unknown.json())
    assert accept(Invitation.objects.get(email=outsider.email), email=outsider.email).json()[
        "errors"
    ][0] == {
        "field": "email",
        "code": "unique",
        "message": "A user with this email already exists.",
    }


def test_a_fourth_invitation_of_an_address_in_a_day_is_refused(as_user: Any, admin: User) -> None:
    client = as_user(admin)
    answers = [client.post(URL, {"email": EMAIL}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201] * 3 + [429]
    assert 86_390 < int(answers[-1]["Retry-After"]) <= 86_400
    assert "several invitations" in answers[-1].json()["detail"]
    # The last one stays usable.
    assert Invitation.objects.pending().count() == 1


def test_the_invitations_of_a_company_are_limited(
    as_user: Any, admin: User, owner: User, outsider: User, settings: Any
) -> None:
    settings.INVITATION_RATE_LIMIT = "2/hour"
    second_admin = UserFactory(company=admin.company, role="admin")
    assert as_user(owner).post(URL, {"email": EMAIL}).status_code == 403
    answers = [
        as_user(by).post(URL, {"email": f"n{number}@example.org"})
        for number, by in enumerate([admin, second_admin, admin])
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert answers[1]["RateLimit-Remaining"] == "0"
    assert 3590 < int(answers[2]["Retry-After"]) <= 3600
    assert as_user(admin).get(URL).status_code == 200
    assert as_user(outsider).post(URL, {"email": EMAIL}).status_code == 201


@pytest.mark.parametrize("user_fixture", ["owner", "worker_account"])
def test_agents_and_workers_are_refused(
    as_user: Any, user_fixture: str, invitation: Invitation, request: pytest.FixtureRequest
) -> None:
    client = as_user(request.getfixturevalue(user_fixture))
    assert client.get(URL).status_code == 403
    assert client.post(URL, {"email": EMAIL}).status_code == 403
    assert client.delete(f"{URL}/{invitation.pk}").status_code == 403


def test_another_companys_invitation_does_not_exist(
    as_user: Any, outsider: User, invitation: Invitation
) -> None:
    client = as_user(outsider)
    assert client.get(URL).json()["items"] == []
    assert client.get(f"{URL}/{invitation.pk}").status_code == 404
    assert client.delete(f"{URL}/{invitation.pk}").status_code == 404


def test_the_list_has_a_constant_query_count(
    as_user: Any, admin: User, invitation: Invitation, count_queries: Any
) -> None:
    client = as_user(admin)
    baseline = count_queries(lambda: client.get(URL, {"page_size": 100}))
    for number in range(30):
        client.post(URL, {"email": f"n{number}@example.org"})
    assert count_queries(lambda: client.get(URL, {"page_size": 100})) == baseline


class TestPage:
    def test_the_form_creates_the_account(self, invitation: Invitation) -> None:
        client, page = Client(), f"/invitation/{get_mailed_secret(invitation)}"
        assert b"Join Acme" in client.get(page).content
        response = client.post(page, {"full_name": "New", "password": PASSWORD})
        assert b"Your account is ready." in response.content
        assert User.objects.get(email=EMAIL).role == "admin"

    def test_the_form_shows_errors(self, invitation: Invitation) -> None:
        page = f"/invitation/{get_mailed_secret(invitation)}"
        assert b"too short" in Client().post(page, {"password": "x"}).content
        assert not User.objects.filter(email=EMAIL).exists()

    def test_a_used_invitation_is_a_404(self, invitation: Invitation) -> None:
        accept(invitation)
        browser = Client(headers={"accept": "text/html"})
        response = browser.get(f"/invitation/{get_mailed_secret(invitation)}")
        assert response.status_code == 404
        assert b"was used" in response.content

    def test_the_form_requires_a_csrf_token(self, invitation: Invitation) -> None:
        client = Client(enforce_csrf_checks=True)
        response = client.post(
            f"/invitation/{get_mailed_secret(invitation)}", {"password": PASSWORD}
        )
        assert response.status_code == 403


@pytest.mark.parametrize(
    "change", [{"is_active": False}, {"role": "agent"}, {"company": "another"}], ids=str
)
def test_an_invitation_ends_with_the_inviters_rights(
    invitation: Invitation, admin: User, outsider: User, change: dict
) -> None:
    if "company" in change:
        change = {"company": outsider.company}
    User.objects.filter(pk=admin.pk).update(**change)
    assert accept(invitation).status_code == 400
