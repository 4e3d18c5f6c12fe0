"""The mails that queued jobs send."""

import socket
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMessage
from django.db.models.functions import Now
from rest_framework.test import APIClient

from accounts import services
from accounts.mail import build_message
from accounts.models import Mail, MailKind, PasswordReset, User
from accounts.tests.factories import PASSWORD, CompanyFactory, UserFactory
from accounts.tests.support import run_due_jobs
from common.jobs import runner
from common.jobs.status import JobStatus

pytestmark = pytest.mark.django_db


def test_a_signup_sends_a_welcome_mail(api: APIClient) -> None:
    api.post(
        "/api/v1/auth/signup",
        {"email": "mia@example.org", "password": PASSWORD, "full_name": "Mia <b>"},
    )
    (message,) = run_due_jobs()
    assert message.to == ["mia@example.org"]
    assert message.subject == "Welcome to Default Company"
    assert "Hello Mia <b>," in message.body
    assert "Hello Mia &lt;b&gt;," in message.alternatives[0][0]


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
    related = {
        "invitation": {"invitation": invitation},
        "password_reset": {"password_reset": reset},
    }
    mail = Mail.objects.create(
        company=owner.company, kind=kind, to=owner.email, user=owner, **related.get(kind, {})
    )
    message = build_message(mail)
    html = message.alternatives[0][0]
    assert message.subject
    assert "{" not in message.subject + message.body
    assert "Acme" in html
    path = {"invitation": "/invitation/", "password_reset": "/password/"}.get(kind)
    for body in (message.body, html):
        assert path is None or f"http://localhost:8000{path}" in body


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
