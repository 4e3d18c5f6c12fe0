"""No log line contains data that people wrote, or a secret, whatever happens to a request.

Every text here contains `CANARY`, and every secret that Bureau creates is collected. They are sent
to every route with every method, to get successes, errors and crashes. Then the logs of a web
process are searched, in both formats and at level DEBUG; those of a worker in `chaos_processes.py`.
"""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stamina
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DataError, IntegrityError, OperationalError, connection
from django.http import HttpRequest
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from rest_framework.test import APIClient

from accounts.link_secrets import get_mailed_secret
from accounts.models import Company, Invitation, PasswordReset, User
from accounts.tests.factories import PASSWORD, UserFactory
from accounts.tests.support import iter_routes
from catalog.tests.factories import ProductFactory
from common.jobs import JobResult, handles, runner
from common.logs import RedactingFilter, logging_config
from common.tests.models import SampleJob
from common.tests.support import reject_rows
from notes.models import Note
from posts.models import Feed

CANARY = "Kanarienvogel81"
TEXT = f"{CANARY}: the pump failed on Monday. {CANARY} replaced it on Tuesday, with the spare one."
# Fields of request bodies; a route rejects those it does not know by name.
FIELD_NAMES = (
    "email username password full_name company_name invitation refresh_token token new_password "
    "current_password old_password name code description sku category price raw_text title text "
    "template language url secret q search local_directory prefix metadata"
).split()


class CapturedLog:
    """Everything that this process logs, in both formats."""

    def __init__(self) -> None:
        self.streams = [io.StringIO(), io.StringIO()]
        self.handlers = [self._handler(stream, n) for n, stream in enumerate(self.streams)]

    def _handler(self, stream: io.StringIO, number: int) -> logging.Handler:
        config = logging_config(level="DEBUG", as_json=bool(number))["formatters"]["structured"]
        make = config.pop("()")
        handler = logging.StreamHandler(stream)
        handler.setFormatter(make(**config))
        handler.addFilter(RedactingFilter())
        return handler

    def text(self) -> str:
        return "".join(stream.getvalue() for stream in self.streams)

    def lines(self, event: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self.streams[1].getvalue().splitlines())
        return [line for line in lines if line["event"] == event]

    def leaks(self, *secrets: str) -> list[str]:
        """Return each line that contains the canary or a secret."""
        lines = self.text().splitlines()
        return [line for line in lines if any(secret in line for secret in (CANARY, *secrets))]


@pytest.fixture
def log() -> Iterator[CapturedLog]:
    root, log = logging.getLogger(), CapturedLog()
    loggers = [root, *(logging.getLogger(name) for name in ("django", "django.request"))]
    levels = [logger.level for logger in loggers]
    # Before the handlers of pytest.
    root.handlers[:0] = log.handlers
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield log
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    for handler in log.handlers:
        root.removeHandler(handler)


def crash(request: HttpRequest, secret: str = "") -> None:
    """Raise a chain of errors whose messages quote the request, as libraries do."""
    body = request.body.decode(errors="replace")
    try:
        try:
            raise KeyError(body)
        except KeyError as error:
            raise ValueError(f"can't read {body}, {secret}, {request.headers}") from error
    except ValueError:
        message = f"duplicate key\nDETAIL: Key (email)=({body}) exists. {request.headers}"
        errors = {"GET": DataError, "POST": IntegrityError, "PUT": OperationalError}
        raise errors.get(request.method or "", RuntimeError)(message)  # noqa: B904


@pytest.fixture
def crashing(route: Callable[..., str]) -> None:
    """Add two routes that always crash."""
    for where in ("crash", "crash/<str:secret>"):
        route(where, csrf_exempt(crash))


def fill_template(where: str, ids: dict[str, str]) -> str:
    path = "/" + where.replace("<str:secret>", f"{CANARY}-secret").replace("<int:pk>", "1")
    kind = next((kind for kind in ids if f"v1/{kind}" in where), "")
    return path.replace("<uuid:pk>", ids.get(kind, "0" * 8 + "-0000-0000-0000-" + "0" * 12))


def bodies() -> Iterator[dict[str, Any]]:
    fields = {name: f"{CANARY}-{name}" for name in FIELD_NAMES}
    yield {"data": fields, "format": "json"}
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


def send_everywhere(sign_in: Callable[[], APIClient], ids: dict[str, str]) -> set[int]:
    """Send all methods to all routes and return the statuses of the responses."""
    statuses = set()
    for where in [where for where, _ in iter_routes()] + ["no/such/" + CANARY]:
        client = sign_in()  # each time, as some routes end the login
        query = f"q={CANARY}&token={CANARY}&email={CANARY}&page={CANARY}"
        address = f"{fill_template(where, ids)}?{query}"
        body, *other_bodies = bodies()
        responses = [
            getattr(client, method)(address, headers=HEADERS) for method in ("get", "head")
        ]
        responses += [client.post(address, **b, headers=HEADERS) for b in (body, *other_bodies)]
        for method in ("put", "patch", "delete"):
            responses.append(getattr(client, method)(address, **body, headers=HEADERS))
        statuses |= {response.status_code for response in responses}
    return statuses


@pytest.mark.django_db
def test_no_route_logs_data_or_tokens(
    log: CapturedLog, api: APIClient, as_user: Any, superuser: User, crashing: None, settings: Any
) -> None:
    settings.API_RATE_LIMIT = settings.AUTH_RATE_LIMIT = "off"
    # Another user, as deleting the sender would end the login.
    other = UserFactory(company=superuser.company)
    ids = {
        "notes": str(Note.objects.create(company=other.company, user=other, raw_text=TEXT).pk),
        "products": str(ProductFactory(description=TEXT).pk),
        "users": str(other.pk),
        "companies": str(Company.objects.get(pk=other.company_id).pk),
    }
    # With a fresh copy no request waits for the feed.
    Feed.objects.create(name=Feed.NAME, fresh_at=timezone.now())
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {CANARY}")
    assert {200, 400, 401, 404, 405, 500, 503} <= send_everywhere(lambda: api, ids)
    tokens = []

    def sign_in() -> APIClient:
        client = as_user(superuser)
        tokens.append(client._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer "))
        return client

    assert {200, 400, 404, 405, 500, 503} <= send_everywhere(sign_in, ids)
    assert any(line.get("user") == str(superuser.pk) for line in log.lines("request"))
    assert log.text().count("Traceback") > 20
    assert log.leaks(*tokens) == []


@pytest.mark.django_db
class TestScenarios:
    def test_a_retry_logs_no_message(self, log: CapturedLog) -> None:
        for attempt in stamina.retry_context(ValueError, attempts=2, wait_max=0.01):
            with attempt:
                if attempt.num == 1:
                    raise ValueError(CANARY)
        assert [line["error"] for line in log.lines("stamina.retry_scheduled")] == ["ValueError"]
        assert log.leaks() == []

    def test_signup_login_and_password_change_log_no_secret(
        self, log: CapturedLog, api: APIClient, settings: Any
    ) -> None:
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
        assert log.leaks(*tokens) == []

    def test_mailed_links_are_not_logged(
        self,
        log: CapturedLog,
        api: APIClient,
        as_user: Any,
        admin: User,
        owner: User,
        settings: Any,
    ) -> None:
        settings.SIGNUP = "invite"
        as_user(admin).post("/api/v1/invitations", {"email": "new@example.org", "role": "agent"})
        invitation = get_mailed_secret(Invitation.objects.get())
        api.post("/api/v1/auth/password/reset", {"email": owner.email})
        runner.run(PasswordReset, PasswordReset.objects.get().pk)
        reset = get_mailed_secret(PasswordReset.objects.get())
        for page in (f"/invitation/{invitation}", f"/password/{reset}"):
            assert api.get(page, headers={"accept": "text/html"}).status_code == 200
            api.post(page, {"password": CANARY}, format="multipart")
        form = {"token": reset, "new_password": f"{CANARY}-green-44"}
        api.post("/api/v1/auth/password/reset/confirm", form)
        body = {"email": "new@example.org", "password": PASSWORD, "invitation": invitation}
        api.post("/api/v1/auth/signup", body)
        # If the page raises, Django logs a line with the URL.
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE accounts_passwordreset RENAME TO gone")
        form = {"new_password": f"{CANARY}-blue-45"}
        broken = api.post(f"/password/{reset}", form, format="multipart")
        assert broken.status_code == 500
        assert log.leaks(invitation, reset, PASSWORD) == []
        assert "/password/<str:secret>" in log.text()

    def test_a_failing_job_logs_no_message(self, log: CapturedLog, transactional_db: None) -> None:
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
            runner.run(SampleJob, SampleJob.objects.create(log_path="", result=CANARY).pk)
        assert {
            line["event"] for line in log.lines("job_handler_error") + log.lines("job_end_error")
        } == {
            "job_handler_error",
            "job_end_error",
        }
        assert log.leaks() == []
