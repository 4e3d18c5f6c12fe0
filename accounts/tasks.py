"""Handlers of this app's jobs."""

from accounts import mail, services
from accounts.models import Mail, PasswordReset
from common.jobs import JobResult, handles


@handles(Mail)
def send_mail(row: Mail) -> JobResult:
    mail.send(row)
    return JobResult()


@handles(PasswordReset)
def offer_password_reset(reset: PasswordReset) -> JobResult:
    services.offer_password_reset(reset)
    return JobResult()
