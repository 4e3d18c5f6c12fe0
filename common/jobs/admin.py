from common.jobs.status import JobStatus

# The names of the colours are those of the admin theme, Unfold.
STATUS_COLOURS = {
    JobStatus.QUEUED: "info",
    JobStatus.IN_PROGRESS: "warning",
    JobStatus.COMPLETED: "success",
    JobStatus.FAILED: "danger",
    JobStatus.CANCELLED: "",
}
