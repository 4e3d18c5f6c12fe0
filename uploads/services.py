"""Writes to projects, cycles and sessions; each records an event by `by`."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Model
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError

from accounts.models import Company, User
from common.api.exceptions import Conflict
from common.events import Changes, find_changes, record, record_all
from common.jobs.status import ACTIVE
from uploads.counters import COUNTER_FIELDS
from uploads.models import REPORTABLE_STATUSES, Cycle, Project, Session, SessionFile
from uploads.querysets import UNFINISHED_STATUSES


@transaction.atomic
def create_project(*, by: User, company: Company, **fields: Any) -> Project:
    project = Project.objects.create(company=company, **fields)
    record("project.created", by=by, target=project)
    return project


@transaction.atomic
def update_project(project: Project, *, by: User, **fields: Any) -> Project:
    """Change a project.

    Raises `Conflict` if the bucket or region would change while sessions are active or while an
    incomplete session has files in the bucket: its other files would go to another bucket.
    """
    locked = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    changes_bucket = bool(find_changes(locked, fields).keys() & {"bucket_name", "aws_region"})
    if changes_bucket and locked.sessions.active().exists():
        raise Conflict("Active sessions upload to this bucket. Cancel them first.")
    if changes_bucket and locked.sessions.partially_uploaded().exists():
        raise Conflict(
            "Incomplete sessions have files in this bucket. Complete or delete them first."
        )
    if changes := _save_changed_fields(locked, fields):
        record("project.updated", by=by, target=locked, changes=changes)
    return locked


@transaction.atomic
def delete_project(project: Project, *, by: User) -> None:
    """Delete a project and its cycles; `Conflict` if it has sessions."""
    _require_no_sessions(project)
    record_all("cycle.deleted", by=by, targets=((cycle, {}) for cycle in project.cycles.all()))
    record("project.deleted", by=by, target=project)
    project.delete()


@transaction.atomic
def create_cycle(*, by: User, project: Project, **fields: Any) -> Cycle:
    cycle = Cycle.objects.create(company_id=project.company_id, project=project, **fields)
    record("cycle.created", by=by, target=cycle)
    return cycle


@transaction.atomic
def update_cycle(cycle: Cycle, *, by: User, **fields: Any) -> Cycle:
    if changes := _save_changed_fields(cycle, fields):
        record("cycle.updated", by=by, target=cycle, changes=changes)
    return cycle


@transaction.atomic
def delete_cycle(cycle: Cycle, *, by: User) -> None:
    """Delete a cycle; `Conflict` if it has sessions."""
    _require_no_sessions(cycle)
    record("cycle.deleted", by=by, target=cycle)
    cycle.delete()


@transaction.atomic
def create_session(*, by: User, project: Project, cycle: Cycle, **fields: Any) -> Session:
    """Create a pending session; its prefix defaults to the cycle's."""
    fields = {"prefix": cycle.prefix} | fields
    session = Session.objects.create(
        company_id=project.company_id, user=by, project=project, cycle=cycle, **fields
    )
    record("session.created", by=by, target=session)
    return session


@transaction.atomic
def update_session(session: Session, *, by: User, **fields: Any) -> Session:
    """Change the configuration of a session; `Conflict` unless it is pending."""
    changes = find_changes(session, fields)
    if changes and not session.edit(**_new_values(changes)):
        raise Conflict("Only a pending session can be changed.")
    session.refresh_from_db()
    if changes:
        record("session.updated", by=by, target=session, changes=changes)
    return session


@transaction.atomic
def delete_session(session: Session, *, by: User) -> None:
    """Delete a session and its file rows, but no object; `Conflict` if it is active."""
    locked = Session.objects.select_for_update().get(pk=session.pk)
    if locked.status in ACTIVE:
        raise Conflict("This session is active. Cancel it first.")
    record("session.deleted", by=by, target=locked)
    locked.delete()


@transaction.atomic
def start_session(session: Session, *, by: User) -> Session:
    """Queue a pending session for the workers.

    Raises `Conflict` if it is not pending, its project is inactive, or clients send its files.
    Counters that a client has reported are replaced by those of the file rows.
    """
    _lock_active_project(session.project_id)
    if not session.start():
        raise Conflict(f"This session is {session.status}; only a pending one can be started.")
    if session.is_filled_by_clients:
        raise Conflict(
            "Clients send the files of this session to presigned URLs. End it by "
            f"POST /sessions/{session.pk}/complete."
        )
    session.refresh_counters()
    record("session.started", by=by, target=session)
    return session


@transaction.atomic
def retry_session(session: Session, *, by: User) -> Session:
    """Queue a session again for its failed and pending files.

    If clients send its files, it becomes pending again instead. Raises `Conflict` unless it ended
    partial, failed or cancelled.
    """
    _lock_active_project(session.project_id)
    if not (session.reopen() if session.is_filled_by_clients else session.retry()):
        raise Conflict(
            f"This session is {session.status}; only a partial, failed or cancelled one "
            "can be retried."
        )
    session.files.filter(status=SessionFile.Status.FAILED).update(
        status=SessionFile.Status.PENDING, error="", attempts=0
    )
    session.refresh_counters()
    record("session.retried", by=by, target=session)
    return session


@transaction.atomic
def cancel_session(session: Session, *, by: User) -> Session:
    """Cancel a session and keep the uploaded files; `Conflict` if it has ended."""
    if not session.cancel():
        session.refresh_from_db()
        raise Conflict(f"This session has already ended: it is {session.status}.")
    record("session.cancelled", by=by, target=session)
    return session


@transaction.atomic
def report_session(session: Session, *, by: User, **fields: Any) -> Session:
    """Store the `status` and counters reported by the client that runs the session.

    Raises `Conflict` if the session has ended or a worker runs it, `ValidationError` if a counter
    would decrease.
    """
    changes = find_changes(session, fields)
    changed = _new_values(changes)
    if changed.get("status", session.status) not in (*REPORTABLE_STATUSES, session.status):
        message = f"The reported status must be one of: {', '.join(REPORTABLE_STATUSES)}."
        raise ValidationError({"status": [ErrorDetail(message, "invalid_choice")]})
    if changed and not session.report(**changed):
        session.refresh_from_db()
        raise _report_error(session, changed)
    session.refresh_from_db()
    if changed:
        record("session.reported", by=by, target=session, changes=changes)
    if "status" in changed and session.status not in UNFINISHED_STATUSES:
        record(f"session.{session.status}", by=by, target=session)
    return session


def _report_error(session: Session, changed: dict[str, Any]) -> APIException:
    """Return the reason why `Session.report` did not store `changed`."""
    if session.status not in UNFINISHED_STATUSES:
        return Conflict(f"This session has already ended: it is {session.status}.")
    if session.run_id:
        return Conflict("A Bureau worker runs this session and counts its files itself.")
    stored = {name: getattr(session, name) for name in COUNTER_FIELDS if name in changed}
    return ValidationError(
        {
            name: [ErrorDetail(f"The counter is at {value} and cannot decrease.", "backwards")]
            for name, value in stored.items()
            if changed[name] < value
        }
    )


def _lock_active_project(project_id: UUID) -> None:
    """Lock a project so that its bucket cannot change; `Conflict` if it is inactive."""
    projects = Project.objects.select_for_update(no_key=True)
    if not projects.get(pk=project_id).is_active:
        raise Conflict("The project is not active.")


def _require_no_sessions(row: Project | Cycle) -> None:
    if row.sessions.exists():
        raise Conflict(f"This {row._meta.verbose_name} has sessions. Delete them first.")


def _new_values(changes: Changes) -> dict[str, Any]:
    return {name: new for name, (_, new) in changes.items()}


def _save_changed_fields(row: Model, fields: dict[str, Any]) -> Changes:
    """Write only the columns that change; return the changes."""
    changes = find_changes(row, fields)
    for name, value in _new_values(changes).items():
        setattr(row, name, value)
    row.save(update_fields=[*changes, "updated_at"])
    return changes
