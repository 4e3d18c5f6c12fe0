"""Choose which due job runs next, so that each company, and each person in it, gets a turn.

`Job.fairness_keys` names the columns, usually company and person. The next job is chosen in steps:

1. Of the companies with a due job, the one with the fewest running jobs. If several have as few,
   the one that was served least recently.
2. In this company, a person by the same rule.
3. Of this person's jobs, the one that has been due the longest.

A job whose lease has expired waits for its turn too.

The cost depends on how many people wait, not on how many jobs: the query jumps from person to
person along a partial index of the queued jobs (fairness keys, `run_after`), which each model with
fairness keys declares.
"""

from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models.functions import Now

from common.jobs.status import JobStatus
from common.models import Turn

if TYPE_CHECKING:
    from common.jobs.models import Job

# `heads` are the oldest queued job of each person. A recursive query finds them because PostgreSQL
# has no "loose index scan" that would skip the other jobs of the same person.
QUERY = """
WITH RECURSIVE heads AS (
    (SELECT {keys}, run_after AS due_at, id FROM {table}
     WHERE {queued} ORDER BY {keys}, run_after LIMIT 1)
    UNION ALL
    SELECT next.* FROM heads, LATERAL (
        SELECT {keys}, run_after AS due_at, id FROM {table}
        WHERE {queued} AND ({keys}) > ({head_keys}) ORDER BY {keys}, run_after LIMIT 1
    ) AS next
), running AS (
    SELECT {keys} FROM {table} WHERE {in_progress} AND lease_until >= STATEMENT_TIMESTAMP()
), due AS (
    SELECT * FROM heads WHERE due_at <= STATEMENT_TIMESTAMP()
    UNION ALL
    SELECT {keys}, lease_until, id FROM {table}
    WHERE {in_progress} AND lease_until < STATEMENT_TIMESTAMP()
      AND {in_queue} AND attempts < %(max_attempts)s
)
SELECT due.id FROM due {joins} ORDER BY {order}, due_at LIMIT 1
"""
JOINS = """
LEFT JOIN (SELECT {key}, COUNT(*) FROM running GROUP BY {key}) AS running_{key} USING ({key})
LEFT JOIN {turns} AS turn_{key}
    ON turn_{key}.kind = %(kind)s AND turn_{key}.queue = %(queue)s AND turn_{key}.holder = due.{key}
"""
ORDER = "COALESCE(running_{key}.count, 0), turn_{key}.served_at NULLS FIRST"


def choose(model: type["Job"], queue: str) -> Any | None:
    """Return the id of the job whose turn it is, or `None` if no job of `queue` is due."""
    if not model.fairness_keys:
        due = model.objects.due().in_queue(queue).order_by("run_after")
        return due.values_list("pk", flat=True).first()
    parameters: dict[str, Any] = {
        "kind": model._meta.label,
        "queue": queue,
        "max_attempts": model.max_attempts,
    }
    with connection.cursor() as cursor:
        cursor.execute(_build_query(model, queue), parameters)
        row = cursor.fetchone()
    return row and row[0]


def record_turn(job: "Job") -> None:
    """Store that the company and the person of a job have just been served."""
    kind, queue = job._meta.label, job.queue
    turns = [
        Turn(kind=kind, queue=queue, holder=getattr(job, key), served_at=Now())
        for key in job.fairness_keys
    ]
    Turn.objects.bulk_create(
        turns,
        update_conflicts=True,
        unique_fields=["kind", "queue", "holder"],
        update_fields=["served_at"],
    )


def _build_query(model: type["Job"], queue: str) -> str:
    keys = model.fairness_keys
    in_queue = "true"
    if model.bulk_field:
        in_queue = f"{model.bulk_field} IS {'NULL' if queue == model.queue_name else 'NOT NULL'}"
    # The planner only uses a partial index if the query contains its condition as a constant.
    return QUERY.format(
        table=model._meta.db_table,
        keys=", ".join(keys),
        head_keys=", ".join(f"heads.{key}" for key in keys),
        queued=f"status = '{JobStatus.QUEUED}' AND {in_queue}",
        in_progress=f"status = '{JobStatus.IN_PROGRESS}'",
        in_queue=in_queue,
        joins="".join(JOINS.format(key=key, turns=Turn._meta.db_table) for key in keys),
        order=", ".join(ORDER.format(key=key) for key in keys),
    )
