"""What is in the feed's bytes: the good posts, and why others were refused."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from posts.errors import FeedError

LARGEST = 2**63 - 1
LONGEST_TITLE, LONGEST_BODY = 1_000, 100_000


@dataclass(frozen=True, slots=True)
class Item:
    """A post as the feed has it."""

    id: int
    user_id: int
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Contents:
    """The good items in the feed's order, and how many others there were for which reason."""

    items: list[Item] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    @property
    def is_whole(self) -> bool:
        return not self.refused


class _RefusedError(Exception):
    """Why an item can't be taken, without any of its words."""


def read(body: bytes) -> Contents:
    """The posts in a payload; raises `FeedError` where it is none, or has more bad than good."""
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
    contents = _sorted_out(payload)
    if len(contents.items) * 2 < len(payload):
        reasons = ", ".join(f"{reason}: {n}" for reason, n in contents.refused.most_common())
        raise FeedError(f"has more bad posts than good ones ({reasons}).")
    return contents


def _sorted_out(payload: list[Any]) -> Contents:
    contents, seen = Contents(), set()
    for entry in payload:
        try:
            item = _item(entry)
            if item.id in seen:
                raise _RefusedError("an id that came before")
        except _RefusedError as reason:
            contents.refused[str(reason)] += 1
        else:
            seen.add(item.id)
            contents.items.append(item)
    return contents


def _item(entry: Any) -> Item:
    if not isinstance(entry, dict):
        raise _RefusedError("not an object")
    return Item(
        id=_number(entry, "id"),
        user_id=_number(entry, "userId"),
        title=_text(entry, "title", LONGEST_TITLE),
        body=_text(entry, "body", LONGEST_BODY),
    )


def _number(entry: dict[str, Any], name: str) -> int:
    value = entry.get(name)
    # `true` is an int to Python.
    if type(value) is not int or not 1 <= value <= LARGEST:
        raise _RefusedError(f"no usable {name}")
    return value


def _text(entry: dict[str, Any], name: str, longest: int) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or len(value) > longest or "\0" in value:
        raise _RefusedError(f"no usable {name}")
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise _RefusedError(f"no usable {name}") from None
    return value
