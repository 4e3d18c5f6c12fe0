"""The events that services record, with their actor and target."""

from typing import Any

import bcrypt
import pytest
from django.test import Client, RequestFactory
from rest_framework.exceptions import ValidationError
from rest_framework_simplejwt.exceptions import TokenError

from accounts import services
from accounts.link_secrets import get_mailed_secret
from accounts.models import Company, Invitation, Login, Role, User
from accounts.tests.factories import PASSWORD, UserFactory
from accounts.tokens import RefreshToken
from common.api.exceptions import Conflict
from common.events.models import Event
from common.tests.support.events import RecordedEvents

pytestmark = pytest.mark.django_db
NEW_PASSWORD = "violet-anchor-42"


@pytest.fixture
def login(owner: User) -> Login:
    return services.start_login(owner, request=RequestFactory().get("/"))


def target(row: Any) -> str:
    return str(row.pk)


class TestUsers:
    def test_creating_a_user_is_recorded(
        self, admin: User, recorded_events: RecordedEvents
    ) -> None:
        fields = {"email": "new@example.org", "password": PASSWORD, "role": Role.AGENT}
        events = recorded_events(
            lambda: services.create_user(by=admin, company=admin.company, **fields)
        )
        user = User.objects.get(email="new@example.org")
        assert events == [("user.created", str(admin.pk), target(user))]

    def test_each_kind_of_change_is_recorded(
        self, admin: User, owner: User, recorded_events: RecordedEvents
    ) -> None:
        events = recorded_events(
            lambda: services.update_user(
                owner,
                by=admin,
                full_name="Olive",
                role=Role.WORKER,
                is_active=False,
                password=NEW_PASSWORD,
            )
        )
        actions = ["user.password_changed", "user.updated", "user.role_changed", "user.deactivated"]
        assert events == [(action, str(admin.pk), target(owner)) for action in actions]

    def test_unchanged_values_are_not_recorded(
        self, admin: User, owner: User, recorded_events: RecordedEvents
    ) -> None:
        assert recorded_events(lambda: services.change_role(owner, role="agent", by=admin)) == []
        assert recorded_events(lambda: services.activate_user(owner, by=admin)) == []

    def test_a_refused_change_is_not_recorded(
        self, admin: User, recorded_events: RecordedEvents
    ) -> None:
        def deactivate_last_admin() -> None:
            with pytest.raises(Conflict):
                services.deactivate_user(admin, by=admin)

        assert recorded_events(deactivate_last_admin) == []

    def test_deleting_a_user_is_recorded(
        self, admin: User, owner: User, recorded_events: RecordedEvents
    ) -> None:
        events = recorded_events(lambda: services.delete_user(owner, by=admin))
        assert events == [("user.deleted", str(admin.pk), target(owner))]

    def test_a_change_of_the_own_profile_is_recorded(
        self, as_user: Any, owner: User, recorded_events: RecordedEvents
    ) -> None:
        client = as_user(owner)
        events = recorded_events(lambda: client.patch("/api/v1/profile/me", {"full_name": "Olive"}))
        assert events == [("user.updated", str(owner.pk), target(owner))]

    def test_adding_a_user_in_the_admin_site_is_recorded(
        self, superuser: User, recorded_events: RecordedEvents
    ) -> None:
        browser = Client()
        browser.force_login(superuser)
        form = {
            "email": "new@example.org",
            "username": "new",
            "company": str(superuser.company_id),
            "role": Role.AGENT,
            "usable_password": "true",
            "password1": NEW_PASSWORD,
            "password2": NEW_PASSWORD,
        }
        events = recorded_events(lambda: browser.post("/admin/accounts/user/add/", form))
        user = User.objects.get(username="new")
        assert events == [("user.created", str(superuser.pk), target(user))]

    def test_old_and_new_values_are_recorded_but_no_secrets(self, admin: User, owner: User) -> None:
        old_email = owner.email
        fields = {"full_name": "Olive", "email": "olive@example.org", "is_staff": True}
        services.update_user(owner, by=admin, password=NEW_PASSWORD, role="worker", **fields)
        events = Event.objects.filter(person_id=owner.pk)
        changes = {event.action: event.target_values["changes"] for event in events}
        assert changes["user.updated"] == {
            "full_name": {"old": "", "new": "Olive"},
            "email": {"old": old_email, "new": "olive@example.org"},
            "is_staff": {"old": False, "new": True},
        }
        assert changes["user.role_changed"] == {"role": {"old": "agent", "new": "worker"}}
        assert NEW_PASSWORD not in str(list(events.values()))


class TestPasswords:
    def test_a_password_set_on_the_model_is_recorded(
        self, owner: User, recorded_events: RecordedEvents
    ) -> None:
        owner.set_password(NEW_PASSWORD)
        assert recorded_events(owner.save) == [("user.password_changed", "system", target(owner))]

    def test_a_new_user_or_an_upgraded_hash_is_no_password_change(
        self, owner: User, recorded_events: RecordedEvents
    ) -> None:
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        User.objects.filter(pk=owner.pk).update(password=hashed)
        owner.refresh_from_db()
        assert recorded_events(lambda: owner.check_password(PASSWORD)) == []
        assert owner.password.startswith("argon2$")
        new = User(email="n@example.org", username="n", company=owner.company)
        new.set_password(PASSWORD)
        assert recorded_events(new.save) == []


class TestCompanies:
    def test_changes_by_the_api_are_recorded(
        self, as_user: Any, superuser: User, recorded_events: RecordedEvents
    ) -> None:
        client = as_user(superuser)
        body = {"name": "Fresh", "code": "fresh"}
        events = recorded_events(lambda: client.post("/api/v1/companies", body))
        company = Company.objects.get(code="fresh")
        assert events == [("company.created", str(superuser.pk), target(company))]
        url = f"/api/v1/companies/{company.pk}"
        events = recorded_events(lambda: client.patch(url, {"name": "Fresher"}))
        assert events == [("company.updated", str(superuser.pk), target(company))]

    def test_changes_in_the_admin_site_are_recorded(
        self, superuser: User, company: Company, recorded_events: RecordedEvents
    ) -> None:
        browser = Client()
        browser.force_login(superuser)
        form = {"name": "Acme & Sons", "code": "acme", "is_active": "on"}
        url = f"/admin/accounts/company/{company.pk}/change/"
        events = recorded_events(lambda: browser.post(url, form))
        assert events == [("company.updated", str(superuser.pk), target(company))]


class TestInvitations:
    @pytest.fixture
    def invitation(self, admin: User) -> Invitation:
        return services.create_invitation(
            by=admin, company=admin.company, email="new@example.org", role="agent"
        )

    def test_a_second_invitation_revokes_the_first(
        self, admin: User, invitation: Invitation, recorded_events: RecordedEvents
    ) -> None:
        events = recorded_events(
            lambda: services.create_invitation(
                by=admin, company=admin.company, email="new@example.org", role="admin"
            )
        )
        second = Invitation.objects.pending().get()
        assert events == [
            ("invitation.revoked", str(admin.pk), target(invitation)),
            ("invitation.created", str(admin.pk), target(second)),
        ]

    def test_accepting_is_recorded_for_the_new_user(
        self, invitation: Invitation, recorded_events: RecordedEvents
    ) -> None:
        secret = get_mailed_secret(invitation)
        events = recorded_events(
            lambda: services.sign_up(email="new@example.org", password=PASSWORD, invitation=secret)
        )
        user = User.objects.get(email="new@example.org")
        assert events == [
            ("user.created", "system", target(user)),
            ("invitation.accepted", str(user.pk), target(invitation)),
        ]
        assert secret not in str(events)

    def test_revoking_twice_is_recorded_once(
        self, admin: User, invitation: Invitation, recorded_events: RecordedEvents
    ) -> None:
        def revoke_twice() -> None:
            services.revoke_invitation(invitation, by=admin)
            with pytest.raises(Conflict):
                services.revoke_invitation(invitation, by=admin)

        assert recorded_events(revoke_twice) == [
            ("invitation.revoked", str(admin.pk), target(invitation))
        ]
        with pytest.raises(ValidationError):
            services.get_pending_invitation(get_mailed_secret(invitation))


class TestLogins:
    def test_the_start_and_end_of_a_login_are_recorded(
        self, owner: User, login: Login, recorded_events: RecordedEvents
    ) -> None:
        request = RequestFactory().get("/")
        events = recorded_events(lambda: services.start_login(owner, request=request))
        second = Login.objects.exclude(pk=login.pk).get()
        assert events == [("login.started", str(owner.pk), target(second))]
        events = recorded_events(lambda: services.end_login(login, by=owner))
        assert events == [("login.ended", str(owner.pk), target(login))]
        assert recorded_events(lambda: services.end_login(login, by=owner)) == []

    def test_reuse_of_an_old_refresh_token_is_recorded(
        self, owner: User, login: Login, recorded_events: RecordedEvents
    ) -> None:
        first = str(RefreshToken.for_login(login))
        services.rotate_login(str(RefreshToken.for_login(services.rotate_login(first))))

        def reuse() -> None:
            with pytest.raises(TokenError):
                services.rotate_login(first)

        assert recorded_events(reuse) == [("login.ended", "system", target(login))]

    def test_ending_logins_in_the_admin_site_is_recorded_per_user(
        self, superuser: User, login: Login, recorded_events: RecordedEvents
    ) -> None:
        other = UserFactory()
        browser = Client()
        browser.force_login(superuser)
        form = {"action": "end_logins", "_selected_action": [str(login.user_id), str(other.pk)]}
        events = recorded_events(lambda: browser.post("/admin/accounts/user/", form))
        assert events == [("user.logins_ended", str(superuser.pk), target(login.user))]
