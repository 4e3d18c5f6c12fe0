"""Build a mail from its row and templates, and send it.

Mails contain no text that a user has chosen, because anyone can sign up or create users with a
stranger's address. The one exception is a company's name in an invitation, if it is harmless.
"""

import re
import smtplib
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from accounts.link_secrets import get_mailed_secret
from accounts.models import Company, Mail, MailKind
from common.jobs import JobFailed, RetryLater

SUBJECTS = {
    MailKind.WELCOME: "Your account is ready",
    MailKind.INVITATION: "You are invited to join {company}",
    MailKind.PASSWORD_RESET: "Choose a password",
    MailKind.PASSWORD_CHANGED: "Your password was changed",
    MailKind.DEACTIVATED: "Your account was deactivated",
    MailKind.EMAIL_CHANGE: "Confirm your new email address",
    MailKind.EMAIL_TAKEN: "This email address is in use already",
    MailKind.EMAIL_REQUESTED: "A change of your email address was requested",
    MailKind.EMAIL_CHANGED: "Your email address was changed",
}

# Letters of any script and at most four digits, so neither a URL nor a phone number.
HARMLESS_NAME = re.compile(r"(?!(?:\D*\d){5})(?:[\w&'’,+() -]|\.(?!\w))+")
MAX_MAILED_NAME_CHARS = 40


def send(mail: Mail) -> None:
    """Send a mail to the mail server.

    Raises `JobFailed` if the server permanently (5xx) refuses the recipient or the mail, and
    `RetryLater` if it refuses them for now (4xx), is unreachable, or refuses the sender or the
    login: an operator can correct those. The Message-ID is derived from the row, so if a worker
    dies and the mail is sent twice, mail clients recognise the duplicate.
    """
    try:
        build_message(mail).send()
    except smtplib.SMTPRecipientsRefused as error:
        # A mail has one recipient.
        ((code, _),) = error.recipients.values()
        raise _refusal("recipient", code) from None
    except smtplib.SMTPDataError as error:
        raise _refusal("mail", error.smtp_code) from None
    except (OSError, smtplib.SMTPException) as error:
        raise RetryLater(f"The mail could not be sent: {type(error).__name__}.") from None


def _refusal(what: str, code: int) -> JobFailed | RetryLater:
    if code >= 500:
        return JobFailed(f"The mail server refused the {what} ({code}).")
    return RetryLater(f"The mail server refused the {what} for now ({code}).")


def build_message(mail: Mail) -> EmailMultiAlternatives:
    """Return the mail as text and HTML."""
    context = _build_context(mail)
    subject = SUBJECTS[MailKind(mail.kind)].format(company=context["company"])
    message = EmailMultiAlternatives(
        subject=subject,
        body=render_to_string(f"mail/{mail.kind}.txt", context),
        to=[mail.to],
        headers={"Message-ID": f"<{mail.pk}@{urlsplit(settings.PUBLIC_URL).hostname}>"},
    )
    message.attach_alternative(render_to_string(f"mail/{mail.kind}.html", context), "text/html")
    return message


def _build_context(mail: Mail) -> dict[str, Any]:
    # Links start with the setting, because a forged Host header could point them elsewhere.
    context = {
        "mail": mail,
        "company": _harmless_name(mail.company),
        "user": mail.user,
        "url": settings.PUBLIC_URL,
    }
    if mail.invitation:
        secret = get_mailed_secret(mail.invitation)
        context |= {"secret": secret, "link": f"{settings.PUBLIC_URL}/invitation/{secret}"}
    if mail.password_reset:
        secret = get_mailed_secret(mail.password_reset)
        context |= {"secret": secret, "link": f"{settings.PUBLIC_URL}/password/{secret}"}
    if mail.kind == MailKind.EMAIL_CHANGE:
        secret = get_mailed_secret(mail.email_change)
        context |= {"secret": secret, "link": f"{settings.PUBLIC_URL}/email/{secret}"}
    return context


def _harmless_name(company: Company) -> str:
    """Return the company's name if it is short and contains no address, else "a company"."""
    is_harmless = len(company.name) <= MAX_MAILED_NAME_CHARS
    return company.name if is_harmless and HARMLESS_NAME.fullmatch(company.name) else "a company"
