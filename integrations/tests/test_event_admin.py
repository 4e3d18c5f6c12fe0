"""Events in the admin site: the read-only list, and the history of each row."""

from collections.abc import Callable

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.test import Client

from accounts.models import User
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from common.admin import EventHistoryAdmin
from common.events import record
from common.events.context import client_of_events
from common.events.models import Event

pytestmark = pytest.mark.django_db
EVENTS = "/admin/common/event/"


@pytest.fixture
def operator(superuser: User) -> Client:
    client = Client()
    client.force_login(superuser)
    return client


@pytest.fixture
def staff(admin: User) -> Client:
    User.objects.filter(pk=admin.pk).update(is_staff=True)
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def product(owner: User) -> Product:
    return ProductFactory(company=owner.company, name="Pump")


def actions_of(client: Client, **query: str) -> list[str]:
    response = client.get(EVENTS, query)
    assert response.status_code == 200, response
    return [event.action for event in response.context["cl"].result_list]


class TestList:
    @pytest.fixture(autouse=True)
    def _events(self, admin: User, outsider: User, product: Product) -> None:
        record("product.created", by=admin, target=product)
        record("access.denied", by=outsider, target=None, company_id=outsider.company_id)
        record("user.updated", by=outsider, target=outsider)

    def test_shows_the_newest_first(self, operator: Client) -> None:
        newest = ["user.updated", "access.denied", "product.created"]
        assert [name for name in actions_of(operator) if name in newest] == newest

    @pytest.mark.parametrize(
        ("name", "value", "actions"),
        [
            ("action", "access.denied", ["access.denied"]),
            ("actor", "Admin", ["product.created"]),
            ("actor", "{admin}", ["product.created"]),
            ("actor", "nobody", []),
            ("company", "rival", ["user.updated", "access.denied"]),
            ("company", "acme", ["product.created"]),
            ("target", "{product}", ["product.created"]),
            ("target", "17", []),
            ("target", "a\x00b", []),
        ],
    )
    def test_has_filters(
        self,
        operator: Client,
        admin: User,
        product: Product,
        name: str,
        value: str,
        actions: list[str],
    ) -> None:
        text = value.format(admin=admin.pk, product=str(product.pk).upper())
        expected = {"product.created", "access.denied", "user.updated"}
        found = actions_of(operator, **{name: text})
        assert [name for name in found if name in expected] == actions

    def test_has_a_filter_by_time(self, operator: Client) -> None:
        assert actions_of(operator, occurred_at__gte="2099-01-01 00:00:00+00:00") == []
        assert actions_of(operator, occurred_at__lt="2099-01-01 00:00:00+00:00") != []

    def test_staff_see_their_company_only(self, staff: Client) -> None:
        found = actions_of(staff)
        assert "product.created" in found
        assert not {"access.denied", "user.updated"} & set(found)

    def test_the_number_of_queries_does_not_grow(
        self, operator: Client, admin: User, product: Product, count_queries: Callable[..., int]
    ) -> None:
        few = count_queries(lambda: operator.get(EVENTS))
        for _ in range(20):
            record("product.updated", by=admin, target=product)
            record("user.updated", by=admin, target=admin)
        assert count_queries(lambda: operator.get(EVENTS)) == few


class TestPage:
    def test_shows_an_event_and_changes_nothing(self, operator: Client, admin: User) -> None:
        with client_of_events(read_address=lambda: "192.0.2.7", read_user=lambda: None):
            record("user.updated", by=admin, target=admin, changes={"full_name": ("Ann", "Anna")})
        event = Event.objects.get(action="user.updated")
        url = f"{EVENTS}{event.pk}/change/"
        page = operator.get(url).content.decode()
        for text in ("192.0.2.7", "full_name: Ann → Anna", "not computed yet", str(event.id)):
            assert text in page
        assert operator.post(url, {"action": "x"}).status_code == 403
        assert operator.post(f"{EVENTS}{event.pk}/delete/", {"post": "yes"}).status_code == 403
        assert operator.get(f"{EVENTS}add/").status_code == 403

    def test_another_companys_event_is_not_found(self, staff: Client, outsider: User) -> None:
        record("user.updated", by=outsider, target=outsider)
        event = Event.objects.get(action="user.updated")
        assert staff.get(f"{EVENTS}{event.pk}/change/").status_code == 302


class TestHistory:
    def test_shows_changes_by_the_api(
        self, operator: Client, admin: User, product: Product
    ) -> None:
        record("product.updated", by=admin, target=product, changes={"stock": (1, 2)})
        record("product.updated", by=None, target=product)
        response = operator.get(f"/admin/catalog/product/{product.pk}/history/")
        system, change = response.context["table"]["rows"]
        assert change[1:5] == ["product.updated", "admin", "Success", "stock: 1 → 2"]
        assert system[2] == "System"
        assert "stock: 1 → 2" in response.content.decode()

    def test_shows_what_describes_the_person(self, operator: Client, admin: User) -> None:
        record("user.updated", by=admin, target=admin, changes={"password": ("a", "b")})
        response = operator.get(f"/admin/accounts/user/{admin.pk}/history/")
        assert [row[4] for row in response.context["table"]["rows"]] == ["password"]

    def test_a_row_without_events_says_so(self, operator: Client, product: Product) -> None:
        response = operator.get(f"/admin/catalog/product/{product.pk}/history/")
        assert "This row has no events." in response.content.decode()

    def test_pages_are_of_a_hundred(
        self, operator: Client, admin: User, product: Product, count_queries: Callable[..., int]
    ) -> None:
        url = f"/admin/catalog/product/{product.pk}/history/"
        record("product.updated", by=admin, target=product)
        few = count_queries(lambda: operator.get(url))
        for _ in range(100):
            record("product.updated", by=admin, target=product)
        assert count_queries(lambda: operator.get(url)) == few
        assert len(operator.get(url, {"p": "2"}).context["table"]["rows"]) == 1

    def test_is_shown_of_visible_rows_only(self, staff: Client, outsider: User) -> None:
        foreign_product = ProductFactory(company=outsider.company)
        response = staff.get(f"/admin/catalog/product/{foreign_product.pk}/history/")
        assert response.status_code == 302

    def test_every_page_of_the_admin_has_it(self) -> None:
        others = [a for a in site._registry.values() if not isinstance(a, EventHistoryAdmin)]
        assert others == []

    def test_djangos_own_log_is_not_written(self, operator: Client, product: Product) -> None:
        url = f"/admin/catalog/product/{product.pk}/delete/"
        assert operator.post(url, {"post": "yes"}).status_code == 302
        assert not LogEntry.objects.exists()
