"""Writes to projects, cycles and sessions that look at other rows too, or queue work."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Model
from rest_framework.exceptions import APIException, ErrorDetail, ValidationError

from accounts.models import User
from common.api.exceptions import Conflict
from common.jobs.status import ACTIVE
from uploads.models import (
    FIGURES,
    REPORTABLE,
    Cycle,
    Project,
    Session,
    SessionFile,
)
from uploads.querysets import UNENDED


@transaction.atomic
def update_project(project: Project, *, by: User, **fields: Any) -> Project:
    """Change a project; its bucket stays the same while sessions are under way, and while some have
    files there and are not complete: the rest would go elsewhere (`Conflict`)."""
    locked = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    moves = _changed(locked, fields).keys() & {"bucket_name", "aws_region"}
    if moves and locked.sessions.active().exists():
        raise Conflict("Sessions upload to this bucket at the moment. Cancel them first.")
    if moves and locked.sessions.begun().exists():
        raise Conflict("Sessions have left files in this bucket. Complete or delete them first.")
    return _save(locked, fields)


def update_cycle(cycle: Cycle, *, by: User, **fields: Any) -> Cycle:
    return _save(cycle, fields)


def delete_project(project: Project, *, by: User) -> None:
    """Remove a project and its cycles; one that has sessions stays (`Conflict`)."""
    _refuse_with_sessions(project)
    project.delete()


def delete_cycle(cycle: Cycle, *, by: User) -> None:
    """Remove a cycle; one that has sessions stays (`Conflict`)."""
    _refuse_with_sessions(cycle)
    cycle.delete()


def create_session(*, by: User, project: Project, cycle: Cycle, **fields: Any) -> Session:
    """Store a pending session; its prefix is the cycle's unless one is given."""
    fields = {"prefix": cycle.prefix} | fields
    return Session.objects.create(
        company_id=project.company_id, user=by, project=project, cycle=cycle, **fields
    )


def update_session(session: Session, *, by: User, **fields: Any) -> Session:
    """Change what a session is to do, as long as it is pending (`Conflict`)."""
    changed = _changed(session, fields)
    if changed and not session.edit(**changed):
        raise Conflict("Only a pending session can be changed.")
    session.refresh_from_db()
    return session


@transaction.atomic
def delete_session(session: Session, *, by: User) -> None:
    """Remove a session and its list of files, but no object; an active one stays (`Conflict`)."""
    locked = Session.objects.select_for_update().get(pk=session.pk)
    if locked.status in ACTIVE:
        raise Conflict("This session is active. Cancel it first.")
    locked.delete()


@transaction.atomic
def start(session: Session, *, by: User) -> Session:
    """Queue a pending session; `Conflict` for any other, and where its project is closed.

    What a machine may have reported of it no longer counts: the figures are those of its files.
    """
    _lock_open(session.project_id)
    if not session.start():
        raise Conflict(f"This session is {session.status}; only a pending one can be started.")
    session.count_files()
    return session


@transaction.atomic
def retry(session: Session, *, by: User) -> Session:
    """Queue a session again for what did not arrive; `Conflict` unless it ended without success."""
    _lock_open(session.project_id)
    if not session.retry():
        raise Conflict(f"This session is {session.status}; there is nothing to do again.")
    session.files.filter(status=SessionFile.Status.FAILED).update(
        status=SessionFile.Status.PENDING, error="", attempts=0
    )
    session.count_files()
    return session


def cancel(session: Session, *, by: User) -> Session:
    """End a session; what has arrived stays. `Conflict` where it has ended already."""
    if not session.cancel():
        session.refresh_from_db()
        raise Conflict(f"This session is {session.status} already.")
    return session


def report(session: Session, *, by: User, **fields: Any) -> Session:
    """Store what a machine that runs the session says: its `status` and figures.

    A session that has ended or that a worker of ours runs takes no report (`Conflict`), and no
    figure falls (`ValidationError`).
    """
    changed = _changed(session, fields)
    if changed.get("status", session.status) not in (*REPORTABLE, session.status):
        message = f"A report may say {', '.join(REPORTABLE)}."
        raise ValidationError({"status": [ErrorDetail(message, "invalid_choice")]})
    if changed and not session.report(**changed):
        session.refresh_from_db()
        raise _why_not_reported(session, changed)
    session.refresh_from_db()
    return session


def _why_not_reported(session: Session, changed: dict[str, Any]) -> APIException:
    if session.status not in UNENDED:
        return Conflict(f"This session is {session.status} already.")
    if session.run_id:
        return Conflict("A worker of Bureau's own runs this session, and counts by itself.")
    known = {name: getattr(session, name) for name in FIGURES if name in changed}
    return ValidationError(
        {
            name: [ErrorDetail(f"It is {figure} already, and figures don't fall.", "backwards")]
            for name, figure in known.items()
            if changed[name] < figure
        }
    )


def _lock_open(project_id: UUID) -> None:
    """Let no one change the project's bucket meanwhile; `Conflict` where it is closed."""
    projects = Project.objects.select_for_update(no_key=True)
    if not projects.get(pk=project_id).is_active:
        raise Conflict("The project is not active.")


def _refuse_with_sessions(row: Project | Cycle) -> None:
    if row.sessions.exists():
        raise Conflict("Sessions belong to it. Delete these first.")


def _changed(row: Model, fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if getattr(row, name) != value}


def _save(row: Any, fields: dict[str, Any]) -> Any:
    """Write the columns that change, and no others."""
    changed = _changed(row, fields)
    for name, value in changed.items():
        setattr(row, name, value)
    row.save(update_fields=[*changed, "updated_at"])
    return row
