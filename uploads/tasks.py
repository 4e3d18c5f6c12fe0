from celery import shared_task

from common.jobs import handles
from uploads import presigned
from uploads.models import Session
from uploads.session_job import SessionResult, upload


@handles(Session)
def upload_session(session: Session) -> SessionResult:
    return upload(session)


@shared_task
def delete_expired_urls() -> int:
    """Delete presigned URLs that expired over a day ago; return how many."""
    return presigned.delete_expired()
