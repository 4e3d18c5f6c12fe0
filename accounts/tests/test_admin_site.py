"""The admin site of accounts: pages, actions, and what a company's staff can see and do."""

from typing import Any

import pytest
from django.contrib import admin as site
from django.test import Client
from django.urls import reverse

from accounts import services
from accounts.models import Login, Mail, Role, User
from accounts.tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db
USERS = "/admin/accounts/user/"


@pytest.fixture
def operator(superuser: User) -> Client:
    """A client of the superuser."""
    client = Client()
    client.force_login(superuser)
    return client


@pytest.fixture
def staff(admin: User) -> Client:
    """A client of a company's admin with staff status."""
    User.objects.filter(pk=admin.pk).update(is_staff=True)
    client = Client()
    client.force_login(admin)
    return client


def run_action(client: Client, url: str, action: str, *rows: Any) -> Any:
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(url, data, follow=True)


@pytest.mark.parametrize("model", sorted(site.site._registry, key=lambda m: m._meta.label))
def test_every_list_and_form_opens(operator: Client, owner: User, admin: User, model: Any) -> None:
    services.create_invitation(by=admin, company=owner.company, email="x@example.org", role="agent")
    services.deactivate_user(owner, by=admin)
    Login.objects.create(user=owner, expires_at="2099-01-01T00:00Z")
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    assert operator.get(reverse(f"{name}_changelist"), {"q": "x"}).status_code == 200
    for row in model.objects.all()[:1]:
        assert operator.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
    assert operator.get(reverse(f"{name}_add")).status_code in (200, 403)


def test_login_by_email_or_username(superuser: User) -> None:
    for name in ("super", "super@example.org"):
        client = Client()
        response = client.post("/admin/login/", {"username": name, "password": PASSWORD})
        assert (response.status_code, response["Location"]) == (302, "/admin/")
        assert client.get("/admin/").status_code == 200


def test_the_page_to_change_the_own_password_opens(operator: Client) -> None:
    page = operator.get("/admin/password_change/")
    assert page.status_code == 200
    assert b"Bureau" in page.content


@pytest.mark.parametrize("role", [Role.AGENT, Role.WORKER])
def test_staff_who_are_no_admins_see_no_apps(owner: User, role: str) -> None:
    User.objects.filter(pk=owner.pk).update(is_staff=True, role=role)
    owner.refresh_from_db()
    assert not owner.has_module_perms("accounts")
    client = Client()
    client.force_login(owner)
    page = client.get("/admin/")
    assert page.status_code == 200
    assert page.context["available_apps"] == []


def test_inactive_admins_have_no_permissions(admin: User) -> None:
    User.objects.filter(pk=admin.pk).update(is_staff=True)
    admin.refresh_from_db()
    assert (admin.has_module_perms("accounts"), admin.has_module_perms("auth")) == (True, False)
    admin.is_active = False
    assert not admin.has_module_perms("accounts")


@pytest.mark.parametrize(
    ("email", "stored"),
    [
        ("Olive@Stra\u00dfe.DE", "olive@xn--strae-oqa.de"),
        ("m\u0131ke@example.org", "owner@example.org"),
        ("olive@localhost", "owner@example.org"),
    ],
)
def test_a_changed_email_is_stored_in_its_normal_form(
    operator: Client, owner: User, email: str, stored: str
) -> None:
    form = {"username": "owner", "company": str(owner.company_id), "role": "agent"}
    operator.post(f"{USERS}{owner.pk}/change/", form | {"email": email, "is_active": "on"})
    owner.refresh_from_db()
    assert owner.email == stored


def test_an_old_email_does_not_prevent_other_changes(operator: Client, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(email="owner@localhost")
    form = {"username": "owner", "company": str(owner.company_id), "role": "worker"}
    operator.post(f"{USERS}{owner.pk}/change/", form | {"email": "owner@localhost"})
    owner.refresh_from_db()
    assert (owner.role, owner.email) == ("worker", "owner@localhost")


def test_a_user_without_staff_status_is_refused(owner: User) -> None:
    client = Client()
    client.force_login(owner)
    assert client.get(USERS).status_code == 302


class TestActions:
    def test_deactivate_and_activate_users(self, operator: Client, owner: User) -> None:
        run_action(operator, USERS, "deactivate_selected", owner)
        owner.refresh_from_db()
        assert owner.is_active is False
        assert Mail.objects.get().kind == "deactivated"
        run_action(operator, USERS, "activate_selected", owner)
        owner.refresh_from_db()
        assert owner.is_active is True

    def test_the_last_admin_stays_active_with_an_error_message(
        self, operator: Client, owner: User, admin: User
    ) -> None:
        response = run_action(operator, USERS, "deactivate_selected", admin, owner)
        assert b"last active admin" in response.content
        assert User.objects.filter(is_active=True, company=owner.company).get() == admin

    def test_end_all_logins_of_a_user(self, operator: Client, owner: User, as_user: Any) -> None:
        client_of_owner = as_user(owner)
        run_action(operator, USERS, "end_logins", owner)
        assert client_of_owner.get("/api/v1/auth/me").status_code == 401

    def test_delete_only_marks_the_row(self, operator: Client, owner: User) -> None:
        operator.post(f"{USERS}{owner.pk}/delete/", {"post": "yes"})
        owner.refresh_from_db()
        assert owner.deleted_at is not None

    def test_changing_the_role_revokes_the_tokens(
        self, operator: Client, owner: User, as_user: Any
    ) -> None:
        client_of_owner = as_user(owner)
        form = {
            "email": owner.email,
            "username": owner.username,
            "full_name": "Olive",
            "company": str(owner.company_id),
            "role": "worker",
            "is_active": "on",
        }
        assert operator.post(f"{USERS}{owner.pk}/change/", form).status_code == 302
        owner.refresh_from_db()
        assert (owner.role, owner.full_name) == ("worker", "Olive")
        assert client_of_owner.get("/api/v1/auth/me").status_code == 401


class TestCompanyStaff:
    def test_see_only_their_own_company(self, staff: Client, owner: User, outsider: User) -> None:
        page = staff.get(USERS).content
        assert owner.email.encode() in page
        assert outsider.email.encode() not in page
        assert b"Rival" not in page
        assert staff.get(f"{USERS}{outsider.pk}/change/").status_code == 302
        assert outsider.email.encode() not in staff.get("/admin/accounts/login/").content

    def test_do_not_see_superusers(self, staff: Client, admin: User) -> None:
        other_superuser = UserFactory(company=admin.company, username="root", is_superuser=True)
        assert b"root@example.org" not in staff.get(USERS).content
        assert staff.get(f"{USERS}{other_superuser.pk}/change/").status_code == 302

    @pytest.mark.parametrize("page", ["change", "password", "delete"])
    def test_cannot_change_superusers_of_their_company(
        self, staff: Client, admin: User, page: str
    ) -> None:
        target = UserFactory(company=admin.company, username="root", is_superuser=True)
        passwords = {"password1": "violet-anchor-42", "password2": "violet-anchor-42"}
        form = {"email": "x@example.org", "username": "x", "role": "agent", "post": "yes"}
        response = staff.post(f"{USERS}{target.pk}/{page}/", form | passwords)
        assert response.status_code in (302, 403, 404)
        run_action(staff, USERS, "deactivate_selected", target)
        target.refresh_from_db()
        assert (target.email, target.is_active) == ("root@example.org", True)
        assert target.deleted_at is None
        assert target.check_password(PASSWORD)

    def test_cannot_grant_superuser_or_staff_status(self, staff: Client, owner: User) -> None:
        form = {
            "email": owner.email,
            "username": owner.username,
            "role": "agent",
            "is_active": "on",
            "is_staff": "on",
            "is_superuser": "on",
        }
        assert staff.post(f"{USERS}{owner.pk}/change/", form).status_code == 302
        owner.refresh_from_db()
        assert (owner.is_staff, owner.is_superuser) == (False, False)

    def test_cannot_add_users_to_another_company(
        self, staff: Client, admin: User, outsider: User
    ) -> None:
        form = {
            "email": "New@example.org",
            "username": "new",
            "company": str(outsider.company_id),
            "role": Role.AGENT,
            "password1": PASSWORD,
            "password2": PASSWORD,
        }
        staff.post(f"{USERS}add/", form)
        assert not User.objects.filter(username="new", company=outsider.company).exists()

    def test_cannot_create_a_company(self, staff: Client) -> None:
        assert staff.get("/admin/accounts/company/add/").status_code == 403
