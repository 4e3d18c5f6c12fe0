import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Event as Signal
from threading import Thread
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import RequestFactory
from rest_framework.test import APIClient

from accounts import services
from accounts.models import Login, User
from accounts.tokens import AccessToken
from catalog.import_models import ProductImport
from catalog.tests.factories import ProductFactory
from common.events import Audience, announce_progress, record
from common.events.models import ActorType, Event
from common.events.querysets import ALLOW_CHANGES
from integrations.tests.live_client import LiveServer, Stream
from notes.tests.factories import NoteFactory
from uploads.tests.factories import SessionFactory

pytestmark = pytest.mark.django_db(transaction=True)
EVENTS = "/api/v1/events"
UNKNOWN = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def live() -> Iterator[LiveServer]:
    with LiveServer().running() as server:
        yield server


def start_login(user: User) -> Login:
    return services.start_login(user, request=RequestFactory().get("/"))


def token_of(user: User) -> str:
    return str(AccessToken.for_login(start_login(user)))


def create_product(user: User, name: str = "Pump") -> Any:
    product = ProductFactory(company=user.company, name=name)
    record("product.created", by=user, target=product)
    return product


def create_products(count: int, *, by: User) -> list[str]:
    return [str(create_product(by, f"Pump {number}").pk) for number in range(count)]


def create_note(user: User) -> Any:
    note = NoteFactory(user=user, company=user.company)
    record("note.created", by=user, target=note)
    return note


def read_ids(stream: Stream, count: int) -> list[str]:
    """Return the ids of the rows of the next events."""
    return [stream.read_event()["data"]["targets"][0]["id"] for _ in range(count)]


PRODUCTS = "types=product.*"


class TestEvents:
    def test_are_those_of_the_list(
        self, live: LiveServer, as_user: Any, admin: User, owner: User
    ) -> None:
        stream = live.open(token_of(owner), PRODUCTS)
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
        assert stream.read_block().startswith(": connected\nretry: ")
        create_product(admin)
        event = stream.read_event()
        (listed,) = as_user(owner).get(f"{EVENTS}?{PRODUCTS}").json()["items"]
        assert event == {"id": listed["id"], "event": "product.created", "data": listed}
        assert listed["data"]["name"] == "Pump"

    def test_come_in_their_order_once(self, live: LiveServer, admin: User) -> None:
        stream = live.open(token_of(admin), PRODUCTS)
        ids = create_products(51, by=admin)
        assert read_ids(stream, 51) == ids
        assert stream.is_silent()

    def test_of_a_note_reach_its_owner_and_admins_only(
        self,
        live: LiveServer,
        owner: User,
        colleague: User,
        admin: User,
        worker_account: User,
        outsider: User,
        superuser: User,
    ) -> None:
        streams = {
            user: live.open(token_of(user), "types=note.*")
            for user in (owner, colleague, admin, worker_account, outsider, superuser)
        }
        note = create_note(owner)
        for user in (owner, admin, superuser):
            event = streams[user].read_event()["data"]
            assert event["data"]["id"] == event["targets"][0]["id"] == str(note.pk)
        for user in (colleague, worker_account, outsider):
            assert streams[user].is_silent()

    def test_have_the_rows_as_each_user_reads_them(
        self, live: LiveServer, as_user: Any, admin: User, owner: User
    ) -> None:
        streams = {user: live.open(token_of(user), "types=user.*") for user in (admin, owner)}
        record("user.updated", by=admin, target=owner)
        for user, stream in streams.items():
            sent = stream.read_event()["data"]
            (listed,) = as_user(user).get(f"{EVENTS}?types=user.updated").json()["items"]
            assert sent == listed

    @pytest.mark.parametrize(
        "types", ["*", "note.*,product.created", " note.created ,product.*,", ""]
    )
    def test_of_some_types(self, live: LiveServer, admin: User, types: str) -> None:
        stream = live.open(token_of(admin), f"types={types}")
        create_note(admin)
        create_product(admin)
        names = [event["event"] for event in (stream.read_event(), stream.read_event())]
        assert names == ["note.created", "product.created"]

    def test_of_other_types_are_left_out(self, live: LiveServer, admin: User) -> None:
        stream = live.open(token_of(admin), PRODUCTS)
        create_note(admin)
        create_product(admin)
        assert stream.read_event()["event"] == "product.created"
        assert stream.is_silent()

    def test_that_commit_late_are_not_lost(self, live: LiveServer, admin: User) -> None:
        stream = live.open(token_of(admin), PRODUCTS)
        has_recorded, may_commit = Signal(), Signal()

        def commit_late() -> None:
            with transaction.atomic():
                create_product(admin, "Late")
                has_recorded.set()
                may_commit.wait(5)
            connection.close()

        thread = Thread(target=commit_late)
        thread.start()
        has_recorded.wait(5)
        create_product(admin, "Early")
        assert stream.is_silent()
        may_commit.set()
        thread.join()
        names = [stream.read_event()["data"]["data"]["name"] for _ in range(2)]
        assert names == ["Late", "Early"]


class TestReadingOn:
    def test_repeats_and_leaves_out_nothing(self, live: LiveServer, admin: User) -> None:
        token = token_of(admin)
        first = live.open(token, PRODUCTS)
        ids = create_products(3, by=admin)
        seen = [first.read_event() for _ in range(2)]
        live.disconnect(first)
        ids += create_products(51, by=admin)  # more than a page
        second = live.open(token, PRODUCTS, last_event_id=seen[-1]["id"])
        ids += create_products(2, by=admin)
        assert read_ids(second, 54) == ids[2:]
        assert second.is_silent()

    @pytest.mark.parametrize("is_header", [True, False])
    def test_is_asked_for_by_header_or_parameter(
        self, live: LiveServer, admin: User, is_header: bool
    ) -> None:
        ids = create_products(2, by=admin)
        first = Event.objects.get(target_id=ids[0])
        since = {"last_event_id": str(first.id)} if is_header else {}
        query = f"since={UNKNOWN if is_header else first.id}&{PRODUCTS}"
        assert read_ids(live.open(token_of(admin), query, **since), 1) == ids[1:]

    def test_leaves_out_what_the_user_may_not_see(
        self, live: LiveServer, owner: User, colleague: User
    ) -> None:
        create_note(owner)
        create_note(colleague)
        mine = create_note(owner)
        (first, _) = Event.objects.filter(action="note.created", owner_id=owner.pk)
        stream = live.open(token_of(owner), f"since={first.id}&types=note.*")
        assert read_ids(stream, 1) == [str(mine.pk)]
        assert stream.is_silent()

    @pytest.mark.parametrize("last_event_id", [UNKNOWN, "x", "\xff", "1" * 5000])
    def test_after_an_unknown_event_is_a_reset(
        self, live: LiveServer, admin: User, last_event_id: str
    ) -> None:
        stream = live.open(token_of(admin), PRODUCTS, last_event_id=last_event_id)
        event = stream.read_event()
        assert (event["event"], event["data"]["code"]) == ("reset", "history_gone")
        assert "id" not in event
        create_product(admin)
        assert stream.read_event()["event"] == "product.created"

    def test_after_an_event_that_is_no_longer_kept_is_a_reset(
        self, live: LiveServer, admin: User
    ) -> None:
        create_product(admin)
        event_id = Event.objects.latest("sequence").id
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(ALLOW_CHANGES)
            Event.objects.all().delete()
        stream = live.open(token_of(admin), f"since={event_id}")
        assert stream.read_event()["event"] == "reset"

    def test_after_an_event_of_others_is_a_reset(
        self, live: LiveServer, owner: User, colleague: User
    ) -> None:
        create_note(colleague)
        event_id = Event.objects.latest("sequence").id
        assert live.open(token_of(owner), f"since={event_id}").read_event()["event"] == "reset"


class TestProgress:
    def test_of_a_session_has_no_id(self, live: LiveServer, owner: User, outsider: User) -> None:
        session = SessionFactory(company=owner.company, files_uploaded=3, total_files=7)
        mine = live.open(token_of(owner), "types=session.progress")
        foreign = live.open(token_of(outsider), "types=session.*")
        announce_progress(session)
        event = mine.read_event()
        assert (event["event"], "id" in event) == ("session.progress", False)
        assert event["data"]["targets"] == [{"type": "session", "id": str(session.pk), "label": ""}]
        assert event["data"]["data"]["files_uploaded"] == 3
        assert foreign.is_silent()

    def test_of_a_summary_reaches_its_owner_only(
        self, live: LiveServer, owner: User, colleague: User
    ) -> None:
        note = NoteFactory(user=owner, company=owner.company)
        mine, foreign = (
            live.open(token_of(owner), "types=summary.*"),
            live.open(token_of(colleague), "types=summary.*"),
        )
        announce_progress(note.own_summary)
        assert mine.read_event()["event"] == "summary.progress"
        assert foreign.is_silent()

    def test_of_a_deleted_row_is_not_sent(self, live: LiveServer, admin: User) -> None:
        stream = live.open(token_of(admin), "types=product_import.*")
        product_import = ProductImport(company=admin.company, user=admin)
        announce_progress(product_import)
        assert stream.is_silent()


class TestEnd:
    """A stream ends when what it was opened with is no longer valid."""

    @pytest.mark.parametrize(
        "end",
        [
            lambda user, by: services.deactivate_user(user, by=by),
            lambda user, by: services.delete_user(user, by=by),
            lambda user, by: services.change_role(user, role="worker", by=by),
            lambda user, by: services.end_login(user.logins.get(), by=by),
            lambda user, by: services.end_all_sessions(user, by=by),
            lambda user, by: services.update_company(user.company, by=by, is_active=False),
        ],
        ids=["deactivated", "deleted", "role", "logout", "sessions", "company"],
    )
    def test_comes_at_once(
        self, live: LiveServer, owner: User, superuser: User, end: Callable[..., Any]
    ) -> None:
        stream, other = live.open(token_of(owner)), live.open(token_of(superuser), PRODUCTS)
        started = time.monotonic()
        end(owner, by=superuser)
        create_product(owner)
        text = stream.read_all()
        assert time.monotonic() - started < 2
        assert "product.created" not in text
        assert other.read_event()["event"] == "product.created"

    def test_comes_while_a_long_transaction_holds_back_events(
        self, live: LiveServer, owner: User, superuser: User
    ) -> None:
        stream = live.open(token_of(owner))
        with transaction.atomic():
            create_product(superuser)
            thread = Thread(target=_deactivate, args=(owner, superuser))
            thread.start()
            thread.join()
            stream.read_all()

    def test_comes_with_the_end_of_the_token(
        self, live: LiveServer, owner: User, admin: User
    ) -> None:
        token = AccessToken.for_login(start_login(owner))
        token.set_exp(lifetime=timedelta(seconds=1))
        stream = live.open(str(token))
        time.sleep(1.1)
        start_login(admin)  # an event of an account: all credentials are checked
        stream.read_all()

    def test_comes_when_the_process_ends(self, live: LiveServer, owner: User) -> None:
        stream = live.open(token_of(owner))
        live.end_streams()
        assert stream.read_all().startswith(": connected")


def _deactivate(user: User, by: User) -> None:
    services.deactivate_user(user, by=by)
    connection.close()


class TestTickets:
    def get(self, client: APIClient) -> dict[str, Any]:
        response = client.post(f"{EVENTS}/tickets")
        assert (response.status_code, response.json()["expires_in"]) == (200, 30)
        return response.json()

    def test_opens_one_stream(self, live: LiveServer, as_user: Any, owner: User) -> None:
        ticket = self.get(as_user(owner))
        query = ticket["stream_url"].partition("?")[2]
        stream = live.open(query=f"{query}&types=note.*")
        create_note(owner)
        assert stream.read_event()["event"] == "note.created"
        second = live.open(query=query)
        assert (second.status, second.json()["code"]) == (401, "invalid_token")

    def test_works_once_in_all_processes(self, live: LiveServer, as_user: Any, owner: User) -> None:
        query = f"ticket={self.get(as_user(owner))['ticket']}"
        assert live.open(query=query).status == 200
        with LiveServer().running() as other:
            assert other.open(query=query).status == 401

    def test_may_be_added_to_the_url_once_more(
        self, live: LiveServer, as_user: Any, owner: User
    ) -> None:
        ticket = self.get(as_user(owner))
        url = f"{ticket['stream_url']}?ticket={ticket['ticket']}"
        assert live.open(query=url.partition("?")[2]).status == 200

    def test_of_a_session_of_the_admin_site(self, live: LiveServer, admin: User) -> None:
        client = APIClient()
        client.force_login(admin)
        stream = live.open(query=f"ticket={self.get(client)['ticket']}")
        assert stream.status == 200
        services.end_all_sessions(admin, by=admin)
        stream.read_all()

    @pytest.mark.parametrize("ticket", ["x", "a:b:c", "\xff", "WyJ4Il0:1xYMje:abc"])
    def test_a_wrong_one_is_refused(self, live: LiveServer, ticket: str) -> None:
        response = live.open(query=f"ticket={ticket}")
        assert (response.status, response.headers["www-authenticate"]) == (
            401,
            'Bearer realm="bureau"',
        )

    def test_expires(
        self, live: LiveServer, as_user: Any, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("django.core.signing.time.time", lambda: time.monotonic())
        ticket = self.get(as_user(owner))["ticket"]  # signed in 1970
        monkeypatch.undo()
        assert live.open(query=f"ticket={ticket}").status == 401

    def test_of_a_login_that_has_ended_is_refused(
        self, live: LiveServer, as_user: Any, owner: User
    ) -> None:
        ticket = self.get(as_user(owner))["ticket"]
        services.end_logins(owner, by=owner)
        assert live.open(query=f"ticket={ticket}").status == 401

    def test_needs_a_sign_in(self, api: APIClient) -> None:
        assert api.post(f"{EVENTS}/tickets").status_code == 401


class TestRequests:
    def test_needs_a_sign_in(self, live: LiveServer) -> None:
        response = live.open(x_request_id="abc-1")
        assert (response.status, response.json()["code"]) == (401, "not_authenticated")
        assert response.headers["x-request-id"] == "abc-1"

    @pytest.mark.parametrize("path", ["/api/events/stream", "/api/v1/events/stream/"])
    def test_accepts_the_spellings_of_the_api(
        self, live: LiveServer, owner: User, path: str
    ) -> None:
        assert live.open(token_of(owner), path=path).status == 200

    def test_refuses_bad_parameters(self, live: LiveServer, owner: User) -> None:
        response = live.open(token_of(owner), "types=note.create&since=x")
        errors = response.json()["errors"]
        assert (response.status, [error["field"] for error in errors]) == (400, ["types", "since"])
        assert "note.created" in errors[0]["message"]
        response = live.open(token_of(owner), "type=note.created")
        assert response.json()["errors"][0]["code"] == "unknown_parameter"

    def test_other_methods(self, live: LiveServer, owner: User) -> None:
        head = live.open(token_of(owner), method="HEAD")
        assert (head.status, head.read_all()) == (200, "")
        assert live.open(token_of(owner), method="POST").status == 405
        preflight = live.open(
            method="OPTIONS",
            origin="http://localhost:3000",
            access_control_request_method="GET",
            access_control_request_headers="authorization, last-event-id",
        )
        assert preflight.headers["access-control-allow-origin"] == "http://localhost:3000"
        assert "last-event-id" in preflight.headers["access-control-allow-headers"]

    @pytest.mark.parametrize("query", ["", "?ticket=x"])
    def test_the_web_process_says_where_the_stream_is(
        self, as_user: Any, owner: User, query: str
    ) -> None:
        response = as_user(owner).get(f"{EVENTS}/stream{query}")
        assert (response.status_code, response.json()["code"]) == (421, "misdirected_request")
        assert "http://testserver:8001/api/v1/events/stream" in response.json()["detail"]

    def test_the_number_of_streams_is_limited(self, owner: User, admin: User) -> None:
        with LiveServer(max_streams=3, max_per_user=2).running() as live:
            first, _ = live.open(token_of(owner)), live.open(token_of(owner))
            response = live.open(token_of(owner))
            assert (response.status, response.headers["retry-after"]) == (429, "10")
            assert live.open(token_of(admin)).status == 200
            response = live.open(token_of(admin))
            assert (response.status, response.json()["code"]) == (503, "too_many_streams")
            live.disconnect(first)
            first.read_all()
            assert live.open(token_of(owner)).status == 200


class TestClients:
    def test_get_a_comment_while_nothing_happens(self, owner: User) -> None:
        with LiveServer(heartbeat_s=0.1).running() as live:
            stream = live.open(token_of(owner), "types=note.deleted")
            assert [stream.read_block() for _ in range(3)][1:] == [": keep-alive"] * 2

    def test_that_do_not_read_are_closed_and_read_on_later(self, admin: User) -> None:
        async def block(_: Any) -> None:
            await asyncio.Event().wait()

        with LiveServer(send_timeout_s=0.2).running() as live:
            stream = live.open(token_of(admin), PRODUCTS, send=block)
            other = live.open(token_of(admin), PRODUCTS)
            ids = create_products(2, by=admin)
            assert read_ids(other, 2) == ids
            time.sleep(0.3)
            assert [part.get("body") for part in stream.parts.queue][1:] == []

    def test_get_events_that_are_not_announced(self, live: LiveServer, owner: User) -> None:
        """As while Valkey is down."""
        stream = live.open(token_of(owner), PRODUCTS)
        Event.objects.create(
            action="product.created",
            company_id=owner.company_id,
            audience=Audience.COMPANY,
            actor_type=ActorType.SYSTEM,
        )
        assert stream.read_event()["event"] == "product.created"
