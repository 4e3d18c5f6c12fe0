from celery import shared_task

from common.jobs import handles, on_end
from uploads import completion, presigned, session_job
from uploads.models import Session


@handles(Session)
def upload_session(session: Session) -> session_job.SessionResult:
    return session_job.upload(session)


@on_end(Session)
def record_end(session: Session) -> None:
    session_job.record_end(session)


@shared_task
def delete_expired_urls() -> int:
    """Delete presigned URLs that expired over a day ago; return how many."""
    return presigned.delete_expired()


@shared_task
def fill_checksums() -> int:
    """Compute the checksums of large files that clients have sent to S3; return how many."""
    return completion.fill_checksums()
