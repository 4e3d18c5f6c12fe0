from celery import shared_task

from common.jobs import handles
from uploads import presigned
from uploads.models import Session
from uploads.session_job import SessionResult, upload


@handles(Session)
def upload_session(session: Session) -> SessionResult:
    return upload(session)


@shared_task
def forget_urls() -> int:
    """Remove URLs for direct uploads that expired long ago; returns how many."""
    return presigned.forget_expired()
