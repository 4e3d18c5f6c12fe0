"""Patterns of event types: a type, or a wildcard such as `note.*` or `*`."""

from collections.abc import Iterable

from django.db.models import Q


def as_query(patterns: Iterable[str]) -> Q:
    """Return the events whose type matches one of the patterns; none without a pattern."""
    query = Q(pk=None)
    for pattern in patterns:
        start = pattern.removesuffix("*")
        query |= Q(action=pattern) if start == pattern else Q(action__startswith=start)
    return query


def matches(action: str, patterns: Iterable[str]) -> bool:
    """Return whether the type `action` matches one of the patterns."""
    return any(
        action.startswith(pattern[:-1]) if pattern.endswith("*") else action == pattern
        for pattern in patterns
    )
