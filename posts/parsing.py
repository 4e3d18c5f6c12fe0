"""Parsing the feed's payload: the valid posts, and why others were rejected."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from posts.errors import FeedError

MAX_ID = 2**63 - 1
MAX_TITLE_CHARS, MAX_BODY_CHARS = 1_000, 100_000


@dataclass(frozen=True, slots=True)
class FeedItem:
    """A valid post of the feed."""

    id: int
    user_id: int
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class FeedContents:
    """The valid items in the feed's order, and the number of rejected ones by reason."""

    items: list[FeedItem] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def is_complete(self) -> bool:
        return not self.rejected


class _ItemRejected(Exception):
    """Why an item is rejected; quotes nothing of its text."""


def parse(body: bytes) -> FeedContents:
    """Return the posts of a payload.

    Raises `FeedError` if it is not a list of posts, or has more invalid posts than valid ones.
    """
    entries = _load_entries(body)
    contents = _parse_entries(entries)
    if len(contents.items) * 2 < len(entries):
        reasons = ", ".join(f"{reason}: {n}" for reason, n in contents.rejected.most_common())
        raise FeedError(f"has more invalid posts than valid ones ({reasons}).")
    return contents


def _load_entries(body: bytes) -> list[Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise FeedError("is not JSON.") from None
    if not isinstance(payload, list):
        raise FeedError("is not a list.")
    if not payload:
        raise FeedError("is empty.")
    if len(payload) > settings.POSTS_MAX_COUNT:
        raise FeedError(f"has more than {settings.POSTS_MAX_COUNT} posts.")
    return payload


def _parse_entries(entries: list[Any]) -> FeedContents:
    contents, seen = FeedContents(), set()
    for entry in entries:
        try:
            item = _parse_item(entry)
            if item.id in seen:
                raise _ItemRejected("duplicate id")
        except _ItemRejected as reason:
            contents.rejected[str(reason)] += 1
        else:
            seen.add(item.id)
            contents.items.append(item)
    return contents


def _parse_item(entry: Any) -> FeedItem:
    if not isinstance(entry, dict):
        raise _ItemRejected("not an object")
    return FeedItem(
        id=_read_id(entry, "id"),
        user_id=_read_id(entry, "userId"),
        title=_read_text(entry, "title", MAX_TITLE_CHARS),
        body=_read_text(entry, "body", MAX_BODY_CHARS),
    )


def _read_id(entry: dict[str, Any], name: str) -> int:
    value = entry.get(name)
    # `isinstance` would accept `true`.
    if type(value) is not int or not 1 <= value <= MAX_ID:
        raise _ItemRejected(f"invalid {name}")
    return value


def _read_text(entry: dict[str, Any], name: str, max_chars: int) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or len(value) > max_chars or "\0" in value:
        raise _ItemRejected(f"invalid {name}")
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise _ItemRejected(f"invalid {name}") from None
    return value
