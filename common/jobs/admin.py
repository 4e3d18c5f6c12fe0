from common.jobs.models import JobStatus

# How the admin site shows a job's status; the words are Unfold's.
STATUS_COLOURS = {
    JobStatus.QUEUED: "info",
    JobStatus.IN_PROGRESS: "warning",
    JobStatus.COMPLETED: "success",
    JobStatus.FAILED: "danger",
    JobStatus.CANCELLED: "",
}
