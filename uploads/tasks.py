from celery import shared_task

from common.jobs import handles
from uploads import completion, presigned
from uploads.models import Session
from uploads.session_job import SessionResult, upload


@handles(Session)
def upload_session(session: Session) -> SessionResult:
    return upload(session)


@shared_task
def delete_expired_urls() -> int:
    """Delete presigned URLs that expired over a day ago; return how many."""
    return presigned.delete_expired()


@shared_task
def fill_checksums() -> int:
    """Compute the checksums of large files that clients have sent to S3; return how many."""
    return completion.fill_checksums()
