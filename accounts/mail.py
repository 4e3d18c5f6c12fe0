"""From a mail's row to the mail: text and HTML by template, one Message-ID for ever."""

import smtplib
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from accounts.link_secrets import mailed_secret
from accounts.models import Mail
from common.jobs import JobFailed, RetryLater

SUBJECTS = {
    Mail.Kind.WELCOME: "Welcome to {company}",
    Mail.Kind.INVITATION: "You are invited to join {company}",
    Mail.Kind.PASSWORD_RESET: "Choose a new password",
    Mail.Kind.PASSWORD_CHANGED: "Your password was changed",
    Mail.Kind.DEACTIVATED: "Your account was closed",
}


def send(mail: Mail) -> None:
    """Hand a mail to the mail server.

    Raises `RetryLater` while the server is away or busy, and `JobFailed` when it refuses the
    recipient for good. The Message-ID is the row's own, so that a mail which is handed over
    twice, because a worker died in between, is one mail to those who receive it.
    """
    try:
        message_of(mail).send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        if all(code >= 500 for code in codes):
            raise JobFailed(f"The mail server refused the recipient ({codes[0]}).") from None
        raise RetryLater("The mail server put the recipient off.") from None
    except (OSError, smtplib.SMTPException) as error:
        raise RetryLater(f"The mail server did not take it: {type(error).__name__}.") from None


def message_of(mail: Mail) -> EmailMultiAlternatives:
    """The mail as it will be sent."""
    context = _context(mail)
    subject = SUBJECTS[Mail.Kind(mail.kind)].format(company=mail.company.name)
    message = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=render_to_string(f"mail/{mail.kind}.txt", context),
        to=[mail.to],
        headers={"Message-ID": f"<{mail.pk}@{urlsplit(settings.PUBLIC_URL).hostname}>"},
    )
    message.attach_alternative(render_to_string(f"mail/{mail.kind}.html", context), "text/html")
    return message


def _context(mail: Mail) -> dict[str, Any]:
    # The address is a setting: a Host header from outside could send people elsewhere.
    context = {"mail": mail, "company": mail.company, "user": mail.user, "url": settings.PUBLIC_URL}
    if mail.invitation:
        secret = mailed_secret(mail.invitation)
        context |= {"secret": secret, "link": f"{settings.PUBLIC_URL}/invitation/{secret}"}
    if mail.password_reset:
        secret = mailed_secret(mail.password_reset)
        context |= {"secret": secret, "link": f"{settings.PUBLIC_URL}/password/{secret}"}
    return context
