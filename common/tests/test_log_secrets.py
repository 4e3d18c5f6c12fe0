"""What people write and what opens doors is in no line of a log, whatever happens to it.

Every text here holds `CANARY`, and every secret that Bureau makes is collected as it is made. All
is sent to every route, by every method, with good answers, refusals and crashes; then the logs are
searched, of a web process and of a real worker, in both formats and with all that DEBUG adds.
"""

import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DataError, IntegrityError, OperationalError, connection
from django.http import HttpRequest
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from pytest_httpserver import HTTPServer
from rest_framework.test import APIClient

from accounts.link_secrets import mailed_secret
from accounts.models import Company, Invitation, PasswordReset, User
from accounts.tests.factories import PASSWORD, UserFactory
from accounts.tests.test_guards import routes
from catalog.tests.factories import ProductFactory
from common.jobs import JobResult, handles, runner
from common.jobs.status import JobStatus
from common.logs import Discreet, logging_config
from common.tests.models import SampleJob
from common.tests.support import Broker, Worker, eventually, reject_rows
from config.local import LocalServices
from notes.models import Note, Summary
from posts.models import Feed

CANARY = "Kanarienvogel81"
TEXT = f"{CANARY}: the pump failed on Monday. {CANARY} replaced it on Tuesday, with the spare one."
# What bodies of the API are made of; what a route does not know it refuses by name.
NAMES = (
    "email username password full_name company_name invitation refresh_token token new_password "
    "current_password old_password name code description sku category price raw_text title text "
    "template language url secret q search local_directory prefix metadata"
).split()


class Log:
    """All that a process would write, as people in a terminal and as programs read it."""

    def __init__(self) -> None:
        self.streams = [io.StringIO(), io.StringIO()]
        self.handlers = [self._handler(stream, n) for n, stream in enumerate(self.streams)]

    def _handler(self, stream: io.StringIO, number: int) -> logging.Handler:
        config = logging_config(level="DEBUG", as_json=bool(number))["formatters"]["structured"]
        make = config.pop("()")
        handler = logging.StreamHandler(stream)
        handler.setFormatter(make(**config))
        handler.addFilter(Discreet())
        return handler

    def text(self) -> str:
        return "".join(stream.getvalue() for stream in self.streams)

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self.streams[1].getvalue().splitlines())
        return [line for line in lines if line["event"] == event]

    def tells(self, *secrets: str) -> list[str]:
        """Each line with a secret in it."""
        lines = self.text().splitlines()
        return [line for line in lines if any(secret in line for secret in (CANARY, *secrets))]


@pytest.fixture
def log() -> Iterator[Log]:
    root, log = logging.getLogger(), Log()
    loggers = [root, *(logging.getLogger(name) for name in ("django", "django.request"))]
    levels = [logger.level for logger in loggers]
    # In front of pytest's own, and behind the filter that stands before all handlers.
    root.handlers[:0] = log.handlers
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield log
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    for handler in log.handlers:
        root.removeHandler(handler)


def crash(request: HttpRequest, secret: str = "") -> None:
    """Fail with what was sent in the message, as libraries do, at the end of a chain."""
    body = request.body.decode(errors="replace")
    try:
        try:
            raise KeyError(body)
        except KeyError as error:
            raise ValueError(f"can't read {body}, {secret}, {request.headers}") from error
    except ValueError:
        message = f"duplicate key\nDETAIL: Key (email)=({body}) exists. {request.headers}"
        kinds = {"GET": DataError, "POST": IntegrityError, "PUT": OperationalError}
        raise kinds.get(request.method or "", RuntimeError)(message)  # noqa: B904


@pytest.fixture
def crashing(route: Callable[..., str]) -> None:
    """Two routes that always crash."""
    for where in ("crash", "crash/<str:secret>"):
        route(where, csrf_exempt(crash))


def filled(where: str, known: dict[str, str]) -> str:
    path = "/" + where.replace("<str:secret>", f"{CANARY}-secret").replace("<int:pk>", "1")
    kind = next((kind for kind in known if f"v1/{kind}" in where), "")
    return path.replace("<uuid:pk>", known.get(kind, "0" * 8 + "-0000-0000-0000-" + "0" * 12))


def bodies() -> Iterator[dict[str, Any]]:
    words = {name: f"{CANARY}-{name}" for name in NAMES}
    yield {"data": words, "format": "json"}
    yield {"data": f'{{"{CANARY}": ', "content_type": "application/json"}
    file = SimpleUploadedFile(f"{CANARY}.csv", TEXT.encode(), "text/csv")
    yield {"data": {"file": file, "password": CANARY}, "format": "multipart"}


HEADERS = {
    "idempotency-key": f"{CANARY}-key",
    "cookie": f"sessionid={CANARY}; csrftoken={CANARY}",
    "user-agent": CANARY,
    "referer": f"http://x/{CANARY}",
    "if-match": f'"{CANARY}"',
}


def send_everywhere(sign_in: Callable[[], APIClient], known: dict[str, str]) -> set[int]:
    """All methods to all routes; returns the statuses that came back."""
    statuses = set()
    for where in [where for where, _ in routes()] + ["no/such/" + CANARY]:
        client = sign_in()  # each time, as some routes end the login
        address = f"{filled(where, known)}?q={CANARY}&token={CANARY}&email={CANARY}&page={CANARY}"
        words, *odd = bodies()
        answers = [getattr(client, method)(address, headers=HEADERS) for method in ("get", "head")]
        answers += [client.post(address, **body, headers=HEADERS) for body in (words, *odd)]
        for method in ("put", "patch", "delete"):
            answers.append(getattr(client, method)(address, **words, headers=HEADERS))
        statuses |= {answer.status_code for answer in answers}
    return statuses


@pytest.mark.django_db
def test_no_route_tells(
    log: Log, api: APIClient, as_user: Any, superuser: User, crashing: None, settings: Any
) -> None:
    settings.API_RATE_LIMIT = settings.AUTH_RATE_LIMIT = "off"
    # Not the person who asks, whose login a deletion would end.
    other = UserFactory(company=superuser.company)
    known = {
        "notes": str(Note.objects.create(company=other.company, user=other, raw_text=TEXT).pk),
        "products": str(ProductFactory(description=TEXT).pk),
        "users": str(other.pk),
        "companies": str(Company.objects.get(pk=other.company_id).pk),
    }
    # With a copy there, no request waits for a feed.
    Feed.objects.create(name=Feed.NAME, fresh_at=timezone.now())
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {CANARY}")
    assert {200, 400, 401, 404, 405, 500, 503} <= send_everywhere(lambda: api, known)
    tokens = []

    def sign_in() -> APIClient:
        client = as_user(superuser)
        tokens.append(client._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
        return client

    assert {200, 400, 404, 405, 500, 503} <= send_everywhere(sign_in, known)
    assert any(line.get("user") == str(superuser.pk) for line in log.lines("request"))
    assert log.text().count("Traceback") > 20
    assert log.tells(*tokens) == []


@pytest.mark.django_db
class TestGoodWays:
    def test_retries(self, log: Log) -> None:
        for attempt in stamina.retry_context(ValueError, attempts=2, wait_max=0.01):
            with attempt:
                if attempt.num == 1:
                    raise ValueError(CANARY)
        assert [line["error"] for line in log.lines("stamina.retry_scheduled")] == ["ValueError"]
        assert log.tells() == []

    def test_in_and_out(self, log: Log, api: APIClient, settings: Any) -> None:
        settings.SIGNUP, password = "open", f"{CANARY}-violet-42"
        person = {"email": "mia@example.org", "password": password}
        assert api.post("/api/v1/auth/signup", person).status_code == 201
        login = api.post("/api/v1/auth/login", person).json()
        again = api.post("/api/v1/auth/refresh", {"refresh_token": login["refresh_token"]}).json()
        api.credentials(HTTP_AUTHORIZATION=f"Bearer {again['access_token']}")
        changed = {"current_password": password, "new_password": f"{CANARY}-orange-43"}
        api.post("/api/v1/auth/password/change", changed)
        api.post("/api/v1/auth/login", {**person, "password": f"{CANARY}-wrong"})
        tokens = [pair[name] for pair in (login, again) for name in pair if name.endswith("_token")]
        assert len(tokens) == 4
        assert len(log.lines("request")) == 5
        assert log.tells(*tokens) == []

    def test_mailed_links(
        self, log: Log, api: APIClient, as_user: Any, admin: User, owner: User, settings: Any
    ) -> None:
        settings.SIGNUP = "invite"
        as_user(admin).post("/api/v1/invitations", {"email": "new@example.org", "role": "agent"})
        invitation = mailed_secret(Invitation.objects.get())
        api.post("/api/v1/auth/password/reset", {"email": owner.email})
        runner.run(PasswordReset, PasswordReset.objects.get().pk)
        reset = mailed_secret(PasswordReset.objects.get())
        for page in (f"/invitation/{invitation}", f"/password/{reset}"):
            assert api.get(page, headers={"accept": "text/html"}).status_code == 200
            api.post(page, {"password": CANARY}, format="multipart")
        form = {"token": reset, "new_password": f"{CANARY}-green-44"}
        api.post("/api/v1/auth/password/reset/confirm", form)
        body = {"email": "new@example.org", "password": PASSWORD, "invitation": invitation}
        api.post("/api/v1/auth/signup", body)
        # And where the page breaks: Django's own line has the address.
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE accounts_passwordreset RENAME TO gone")
        form = {"new_password": f"{CANARY}-blue-45"}
        broken = api.post(f"/password/{reset}", form, format="multipart")
        assert broken.status_code == 500
        assert log.tells(invitation, reset, PASSWORD) == []
        assert "/password/<str:secret>" in log.text()

    def test_a_job_that_raises(self, log: Log, transactional_db: None) -> None:
        class Poison(SampleJob):
            class Meta:
                proxy = True
                app_label = "tests"

        @handles(Poison)
        def fail(job: Poison) -> JobResult:
            raise ValueError(f"{CANARY} can't be read")

        job = SampleJob.objects.create(result=CANARY)
        runner.run(Poison, job.pk)
        with reject_rows(SampleJob, "status = 'completed'"):
            runner.run(SampleJob, SampleJob.objects.create(log="", result=CANARY).pk)
        assert {
            line["event"] for line in log.lines("job_raised") + log.lines("job_end_raised")
        } == {
            "job_raised",
            "job_end_raised",
        }
        assert log.tells() == []


@pytest.mark.django_db(transaction=True)
def test_no_worker_tells_and_the_request_id_goes_with_the_job(
    tmp_path: Path, as_user: Any, owner: User, httpserver: HTTPServer
) -> None:
    def answer(text: str) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {"choices": [{"message": message, "finish_reason": "stop"}], "usage": {}}

    chat = ("/v1/chat/completions", "POST")
    # First an answer that the row refuses, quoting all of it; then refusals that quote the key.
    httpserver.expect_oneshot_request(*chat).respond_with_json(answer(f"{CANARY} was busy."))
    httpserver.expect_request(*chat).respond_with_json(
        {"error": {"message": f"Incorrect API key provided: {CANARY}-key. {TEXT}"}}, status=401
    )
    environment = {
        "LOG_LEVEL": "DEBUG",
        "OPENAI_API_KEY": f"{CANARY}-key",
        "OPENAI_BASE_URL": httpserver.url_for("/v1"),
    }
    with (
        reject_rows(Summary, "status = 'completed'"),
        Broker(lambda: LocalServices(tmp_path, postgres=False)) as broker,
        Worker(broker.url, tmp_path, environment=environment) as worker,
    ):
        client, named = as_user(owner), {"x-request-id": "from-web-to-worker"}
        for number in range(2):
            client.post(
                "/api/v1/notes", {"raw_text": f"{TEXT} {number}", "title": CANARY}, headers=named
            )
        eventually(lambda: Summary.objects.filter(status=JobStatus.FAILED).exists(), "one failed")
        eventually(lambda: worker.has_logged("job_end_raised"), "the other was refused")
        eventually(lambda: worker.read_log().count('"event": "job"') >= 2, "both are logged")
        text = worker.read_log()
    assert "IntegrityError" in text
    assert [line for line in text.splitlines() if CANARY in line] == []
    jobs = [json.loads(line) for line in text.splitlines() if '"event": "job"' in line]
    assert {(job["request_id"], job["user"], job["company"], job["kind"]) for job in jobs} == {
        ("from-web-to-worker", str(owner.pk), str(owner.company_id), "notes.Summary")
    }
