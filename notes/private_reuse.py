"""Reuse of a summary from rows that the user can't see, such as a colleague's private note.

A company pays once for equal requests, but a user must not learn that a colleague has the same
text. So the user's row looks as if its summary was made for it: `cached` is false, and the tokens
and cost include those of making the reused summary. Admins, who see the colleague's row too, see
the reuse and what was paid. The ledger has only what was paid. The time until a summary is
completed is not hidden: that would need an artificial delay.
"""

from copy import copy

from accounts.models import User
from notes import reused_usage
from notes.models import Summary
from notes.querysets import USAGE_FIELDS, sees_colleagues_rows
from notes.reused_usage import ReusedUsage


def describe_usage(stored: Summary) -> ReusedUsage:
    """Return the usage of making a stored summary."""
    if stored.reused_usage is not None:
        return stored.reused_usage
    columns = {name: getattr(stored, name) for name in USAGE_FIELDS}
    return reused_usage.to_json(columns, calls=stored.calls.count())


def as_seen_by(summary: Summary, viewer: User) -> Summary:
    """Return the summary with the values that `viewer` may see; do not save it."""
    if not (summary.reuse_is_private and sees_colleagues_rows(viewer)):
        return summary
    seen = copy(summary)
    seen.cached = True
    for name, value in reused_usage.to_columns(summary.reused_usage).items():
        setattr(seen, name, reused_usage.subtract(getattr(summary, name), value))
    return seen
