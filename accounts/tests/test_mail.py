"""The mails, sent by the jobs that the requests queue."""

from email import message_from_bytes
from typing import Any

import pytest
from django.core import mail as outbox
from rest_framework.test import APIClient

from accounts import services
from accounts.models import Mail, PasswordReset, User
from accounts.tests.factories import PASSWORD, CompanyFactory, UserFactory
from common.jobs import runner
from common.jobs.models import JobStatus

pytestmark = pytest.mark.django_db


def deliver() -> list[Any]:
    """Do what a worker would do with all that is queued; returns the mails that were sent."""
    for reset in PasswordReset.objects.due():
        runner.run(PasswordReset, reset.pk)
    for mail in Mail.objects.due():
        runner.run(Mail, mail.pk)
    return outbox.outbox


def test_welcome(api: APIClient) -> None:
    api.post(
        "/api/v1/auth/signup",
        {"email": "mia@example.org", "password": PASSWORD, "full_name": "Mia <b>"},
    )
    (message,) = deliver()
    assert message.to == ["mia@example.org"]
    assert message.subject == "Welcome to Default Company"
    assert "Hello Mia <b>," in message.body
    assert "Hello Mia &lt;b&gt;," in message.alternatives[0][0]


def test_a_mail_has_one_message_id_for_ever(owner: User) -> None:
    services.deactivate(owner, by=owner)
    mail = Mail.objects.get()
    (message,) = deliver()
    assert message.extra_headers["Message-ID"] == f"<{mail.pk}@localhost>"
    Mail.objects.update(status=JobStatus.QUEUED)
    again = deliver()[1]
    assert again.extra_headers["Message-ID"] == message.extra_headers["Message-ID"]


@pytest.mark.parametrize("kind", Mail.Kind)
def test_every_kind_has_a_subject_and_both_bodies(owner: User, admin: User, kind: str) -> None:
    from accounts.mail import message_of

    reset = PasswordReset.objects.create(email=owner.email)
    services.offer_password_reset(reset)
    reset.refresh_from_db()
    invitation = services.invite(by=admin, company=owner.company, email="x@y.org", role="agent")
    about = {"invitation": {"invitation": invitation}, "password_reset": {"password_reset": reset}}
    mail = Mail.objects.create(
        company=owner.company, kind=kind, to=owner.email, user=owner, **about.get(kind, {})
    )
    message = message_of(mail)
    html = message.alternatives[0][0]
    assert message.subject
    assert "{" not in message.subject + message.body
    assert "Acme" in html
    place = {"invitation": "/invitation/", "password_reset": "/password/"}.get(kind)
    for body in (message.body, html):
        assert place is None or f"http://localhost:8000{place}" in body


@pytest.mark.parametrize("field", ["full_name", "company_name"])
@pytest.mark.parametrize("name", ["Mia\r\nBcc: all@example.org", "a\nb", "a\u2028b"])
def test_no_header_comes_in_through_a_name(api: APIClient, field: str, name: str) -> None:
    body = {"email": "mia@example.org", "password": PASSWORD, field: name}
    response = api.post("/api/v1/auth/signup", body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == field


def test_a_name_that_got_into_the_database_all_the_same_breaks_no_header(db: None) -> None:
    company = CompanyFactory(name="Evil\r\nBcc: all@example.org")
    services.deactivate(UserFactory(company=company), by=UserFactory(company=company))
    services.create_user(email="n@example.org", password=PASSWORD, company=company, role="agent")
    for message in deliver():
        parsed = message_from_bytes(message.message().as_bytes())
        assert parsed["Bcc"] is None


class TestServerTrouble:
    @pytest.fixture
    def mail(self, owner: User) -> Mail:
        services.deactivate(owner, by=owner)
        return Mail.objects.get()

    def run(self, mail: Mail, settings: Any, port: int) -> Mail:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
        settings.EMAIL_TIMEOUT = 1
        runner.run(Mail, mail.pk)
        mail.refresh_from_db()
        return mail

    def test_a_server_that_is_away_delays_and_loses_nothing(
        self, mail: Mail, settings: Any, unused_port: int
    ) -> None:
        mail = self.run(mail, settings, unused_port)
        assert mail.status == JobStatus.QUEUED
        assert mail.error == "The mail server did not take it: ConnectionRefusedError."

    def test_a_recipient_that_is_refused_for_good_ends_it(
        self, mail: Mail, settings: Any, smtp_server: Any
    ) -> None:
        smtp_server.refuse_with = "550 no such user"
        mail = self.run(mail, settings, smtp_server.port)
        assert mail.status == JobStatus.FAILED
        assert mail.error == "The mail server refused the recipient (550)."

    def test_a_recipient_that_is_put_off_is_tried_again(
        self, mail: Mail, settings: Any, smtp_server: Any
    ) -> None:
        smtp_server.refuse_with = "451 later"
        mail = self.run(mail, settings, smtp_server.port)
        assert mail.status == JobStatus.QUEUED

    def test_a_mail_arrives(self, mail: Mail, settings: Any, smtp_server: Any) -> None:
        mail = self.run(mail, settings, smtp_server.port)
        assert mail.status == JobStatus.COMPLETED
        (received,) = smtp_server.received
        assert f"Message-ID: <{mail.pk}@localhost>" in received
        assert "Subject: Your account was closed" in received

    def test_the_last_try_comes_after_days(self) -> None:
        waits = [Mail(attempts=n).backoff() for n in range(1, Mail.max_attempts)]
        assert sum(waits) > 2 * 86_400
        assert max(waits) <= 900
