"""The mails that queued jobs send."""

import socket
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db import connection
from django.db.models.functions import Now
from rest_framework.exceptions import Throttled
from rest_framework.test import APIClient

from accounts import services
from accounts.mail import build_message
from accounts.models import EmailChange, Mail, MailKind, PasswordReset, User
from accounts.tests.factories import PASSWORD, CompanyFactory, UserFactory
from accounts.tests.support import run_due_jobs
from common.jobs import runner
from common.jobs.status import JobStatus

pytestmark = pytest.mark.django_db


def test_a_signup_sends_a_welcome_mail(api: APIClient) -> None:
    api.post(
        "/api/v1/auth/signup",
        {"email": "mia@example.org", "password": PASSWORD, "full_name": "Mia"},
    )
    (message,) = run_due_jobs()
    assert message.to == ["mia@example.org"]
    assert message.subject == "Your account is ready"
    assert "mia@example.org" in message.body


def test_a_mail_that_is_sent_twice_keeps_its_message_id(owner: User) -> None:
    services.deactivate_user(owner, by=owner)
    mail = Mail.objects.get()
    (message,) = run_due_jobs()
    assert message.extra_headers["Message-ID"] == f"<{mail.pk}@localhost>"
    Mail.objects.update(status=JobStatus.QUEUED)
    again = run_due_jobs()[1]
    assert again.extra_headers["Message-ID"] == message.extra_headers["Message-ID"]


def test_a_new_user_without_a_password_gets_a_mail_that_explains_it(admin: User) -> None:
    services.create_user(
        by=admin, email="neo@example.org", password=None, company=admin.company, role="agent"
    )
    (message,) = run_due_jobs()
    for body in (message.body, message.alternatives[0][0]):
        assert "that has no password yet" in body
        assert "requested a new password" not in body


@pytest.mark.parametrize("kind", MailKind)
def test_every_kind_has_a_subject_and_both_bodies(owner: User, admin: User, kind: str) -> None:
    reset = PasswordReset.objects.create(email=owner.email)
    services.send_password_reset_mail(reset)
    reset.refresh_from_db()
    invitation = services.create_invitation(
        by=admin, company=owner.company, email="x@y.org", role="agent"
    )
    services.request_email_change(owner, new_email="new@example.org", by=owner)
    related = {
        "invitation": {"invitation": invitation},
        "password_reset": {"password_reset": reset},
        "email_change": {"email_change": EmailChange.objects.get()},
    }
    mail = Mail.objects.create(
        company=owner.company, kind=kind, to=owner.email, user=owner, **related.get(kind, {})
    )
    message = build_message(mail)
    html = message.alternatives[0][0]
    assert message.subject
    assert "{" not in message.subject + message.body
    assert ("Acme" in html) == (kind == "invitation")
    paths = {
        "invitation": "/invitation/",
        "password_reset": "/password/",
        "email_change": "/email/",
    }
    path = paths.get(kind)
    for body in (message.body, html):
        assert path is None or f"http://localhost:8000{path}" in body


LURE = "Your parcel waits at http://evil.example.net"


def test_no_mail_contains_what_a_visitor_types(api: APIClient, settings: Any) -> None:
    settings.SIGNUP = "company"
    body = {"email": "victim@example.org", "password": PASSWORD, "username": "evil.example.net"}
    api.post("/api/v1/auth/signup", body | {"full_name": LURE, "company_name": LURE})
    user = User.objects.get()
    services.create_user(
        by=user,
        email="other@example.org",
        password=None,
        company=user.company,
        role="admin",
        username="evil.example.com",
        full_name=LURE,
    )
    services.create_invitation(
        by=user, company=user.company, email="third@example.org", role="agent"
    )
    api.post("/api/v1/auth/password/reset", {"email": user.email})
    services.change_password(user, password=PASSWORD, by=user)
    services.deactivate_user(user, by=user)
    messages = run_due_jobs()
    assert {message.to[0] for message in messages} == {
        *("victim@example.org", "other@example.org", "third@example.org"),
    }
    text = str([(m.subject, m.body, m.alternatives[0][0]) for m in messages]).lower()
    assert "parcel" not in text
    assert "evil" not in text


@pytest.mark.parametrize(
    ("name", "mailed"),
    [
        ("Acme", "Acme"),
        ("Müller & Söhne GmbH", "Müller & Söhne GmbH"),
        ("J. Smith (Paris) Co., Ltd.", "J. Smith (Paris) Co., Ltd."),
        ("東京商事 2000", "東京商事 2000"),
        ("evil.com", "a company"),
        ("see http:evil", "a company"),
        ("evil。com", "a company"),
        ("mail me@x", "a company"),
        ("call 0900 123456", "a company"),
        ("A" * 41, "a company"),
        ("<b>", "a company"),
    ],
)
def test_an_invitation_contains_only_a_harmless_company_name(
    admin: User, name: str, mailed: str
) -> None:
    services.update_company(admin.company, by=admin, name=name)
    services.create_invitation(
        by=admin, company=admin.company, email="new@example.org", role="agent"
    )
    (message,) = run_due_jobs()
    assert message.subject == f"You are invited to join {mailed}"
    assert f"An admin of {mailed} invites you" in message.body


class TestLimit:
    """At most three mails of a kind to one address from one company in a day."""

    def test_each_kind_company_and_address_has_its_own_count(
        self, admin: User, outsider: User
    ) -> None:
        def invite(by: User, email: str) -> None:
            services.create_invitation(by=by, company=by.company, email=email, role="agent")

        for _ in range(3):
            invite(admin, "a@example.org")
        with pytest.raises(Throttled) as refused:
            invite(admin, "a@example.org")
        assert 86_390 < refused.value.wait <= 86_400
        invite(admin, "b@example.org")
        invite(outsider, "a@example.org")
        services.create_user(
            by=admin, email="a@example.org", password=PASSWORD, company=admin.company, role="agent"
        )
        assert sorted(Mail.objects.values_list("kind", "to", "company__code")) == [
            *([("invitation", "a@example.org", "acme")] * 3),
            ("invitation", "a@example.org", "rival"),
            ("invitation", "b@example.org", "acme"),
            ("welcome", "a@example.org", "acme"),
        ]

    def test_further_notices_are_left_out(self, admin: User, owner: User) -> None:
        for _ in range(5):
            services.deactivate_user(owner, by=admin)
            services.activate_user(owner, by=admin)
        assert Mail.objects.filter(kind="deactivated").count() == 3

    @pytest.mark.django_db(transaction=True)
    def test_parallel_requests_do_not_pass_it(self, admin: User, as_user: Any) -> None:
        client = as_user(admin)

        def invite(_: int) -> int:
            try:
                return client.post("/api/v1/invitations", {"email": "a@example.org"}).status_code
            finally:
                connection.close()

        with ThreadPoolExecutor(6) as threads:
            statuses = sorted(threads.map(invite, range(6)))
        assert statuses == [201] * 3 + [429] * 3
        assert Mail.objects.count() == 3


@pytest.mark.parametrize("field", ["full_name", "company_name"])
@pytest.mark.parametrize("name", ["Mia\r\nBcc: all@example.org", "a\nb", "a\u2028b"])
def test_names_with_line_breaks_are_refused(api: APIClient, field: str, name: str) -> None:
    body = {"email": "mia@example.org", "password": PASSWORD, field: name}
    response = api.post("/api/v1/auth/signup", body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


def test_a_stored_name_with_line_breaks_adds_no_header(db: None) -> None:
    company = CompanyFactory(name="Evil\r\nBcc: all@example.org")
    services.deactivate_user(UserFactory(company=company), by=UserFactory(company=company))
    services.create_user(
        by=None, email="n@example.org", password=PASSWORD, company=company, role="agent"
    )
    for message in run_due_jobs():
        parsed = message_from_bytes(message.message().as_bytes())
        assert parsed["Bcc"] is None


class TestSmtpServer:
    @pytest.fixture
    def mail(self, owner: User) -> Mail:
        services.deactivate_user(owner, by=owner)
        return Mail.objects.get()

    def run(self, mail: Mail, settings: Any, port: int) -> Mail:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        settings.EMAIL_TIMEOUT = 0.5
        runner.run(Mail, mail.pk)
        mail.refresh_from_db()
        return mail

    def test_an_unreachable_server_delays_the_mail(
        self, mail: Mail, settings: Any, unused_port: int
    ) -> None:
        mail = self.run(mail, settings, unused_port)
        assert mail.status == JobStatus.QUEUED
        assert mail.error == "The mail could not be sent: ConnectionRefusedError."

    @pytest.mark.parametrize(
        ("command", "answer", "error"),
        [
            ("RCPT", "550 no such user", "The mail server refused the recipient (550)."),
            ("RCPT", "553 bad name", "The mail server refused the recipient (553)."),
            ("DATA", "554 no valid recipients", "The mail server refused the mail (554)."),
            (".", "554 rejected as spam", "The mail server refused the mail (554)."),
            (".", "552 mailbox full", "The mail server refused the mail (552)."),
        ],
    )
    def test_a_permanent_refusal_fails_the_mail_at_once(
        self, mail: Mail, settings: Any, smtp_server: Any, command: str, answer: str, error: str
    ) -> None:
        smtp_server.answers[command] = answer
        mail = self.run(mail, settings, smtp_server.port)
        assert (mail.status, mail.attempts, mail.error) == (JobStatus.FAILED, 1, error)
        assert smtp_server.received == []

    @pytest.mark.parametrize(
        ("command", "answer", "error"),
        [
            ("RCPT", "451 greylisted", "The mail server refused the recipient for now (451)."),
            ("RCPT", "421 too busy", "The mail server refused the recipient for now (421)."),
            (".", "452 disk full", "The mail server refused the mail for now (452)."),
            ("MAIL", "530 sign in first", "The mail could not be sent: SMTPSenderRefused."),
        ],
    )
    def test_other_refusals_are_retried(
        self, mail: Mail, settings: Any, smtp_server: Any, command: str, answer: str, error: str
    ) -> None:
        smtp_server.answers[command] = answer
        mail = self.run(mail, settings, smtp_server.port)
        assert (mail.status, mail.attempts, mail.error) == (JobStatus.QUEUED, 1, error)
        smtp_server.answers.clear()
        Mail.objects.update(run_after=Now())
        assert self.run(mail, settings, smtp_server.port).status == JobStatus.COMPLETED

    def test_a_server_that_does_not_answer_delays_the_mail(self, mail: Mail, settings: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            mail = self.run(mail, settings, silent.getsockname()[1])
        assert mail.status == JobStatus.QUEUED
        assert mail.error == "The mail could not be sent: SMTPServerDisconnected."

    def test_an_accepted_mail_is_completed(
        self, mail: Mail, settings: Any, smtp_server: Any
    ) -> None:
        mail = self.run(mail, settings, smtp_server.port)
        assert mail.status == JobStatus.COMPLETED
        (received,) = smtp_server.received
        assert f"Message-ID: <{mail.pk}@localhost>" in received
        assert "Subject: Your account was deactivated" in received

    def test_retries_last_for_days(self) -> None:
        waits = [Mail(attempts=n).backoff() for n in range(1, Mail.max_attempts)]
        assert sum(waits) > 2 * 86_400
        assert max(waits) <= 900


def test_mails_in_files_can_only_be_read_by_their_owner(settings: Any, tmp_path: Path) -> None:
    settings.EMAIL_BACKEND = "accounts.mail_files.EmailBackend"
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    EmailMessage("Hello", "Your link", to=["mia@example.org"]).send()
    (file,) = settings.EMAIL_FILE_PATH.iterdir()
    assert "Your link" in file.read_text()
    modes = [path.stat().st_mode & 0o777 for path in (file, file.parent)]
    assert modes == [0o600, 0o700]
