"""The handlers of this app's jobs."""

from accounts import mail, services
from accounts.models import Mail, PasswordReset
from common.jobs import JobResult, handles


@handles(Mail)
def send_mail(row: Mail) -> JobResult:
    mail.send(row)
    return JobResult()


@handles(PasswordReset)
def send_password_reset_mail(reset: PasswordReset) -> JobResult:
    services.send_password_reset_mail(reset)
    return JobResult()
