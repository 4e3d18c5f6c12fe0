"""Signed heads: each day a file with the end of each chain, kept outside of the database.

Who can change the tables could cut off the end of a chain, or compute a chain again. Neither
matches the heads of the days before.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from integrations.audit.models import AuditChain
from integrations.audit.signing import is_signed, sign

FILE_PATTERN = "heads-*.json"


class HeadsError(Exception):
    """A file of heads can't be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain when it was signed."""

    company_id: str
    position: int
    hash: str


@dataclass(frozen=True, slots=True)
class SignedHeads:
    signed_at: str
    heads: list[Head]

    @property
    def day(self) -> str:
        return self.signed_at[:10]


def write_heads() -> Path | None:
    """Write the file of today; return its path, or None if it is there already."""
    now = timezone.now()
    path = settings.AUDIT_HEADS_DIR / f"heads-{now:%Y-%m-%d}.json"
    if path.exists():
        return None
    chains = AuditChain.objects.order_by("company_id")
    heads = [Head(str(chain.company_id), chain.position, chain.hash) for chain in chains]
    content = asdict(SignedHeads(now.isoformat(), heads))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps({**content, "signature": sign(content)}, indent=1))
    os.replace(temporary, path)
    return path


def read_all_heads(folder: Path) -> Iterator[SignedHeads | HeadsError]:
    """Yield the files in the order of their days; an error for each that can't be used."""
    for path in sorted(folder.glob(FILE_PATTERN)):
        try:
            yield read_heads(path)
        except HeadsError as error:
            yield error


def read_heads(path: Path) -> SignedHeads:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
        signature = content.pop("signature")
        heads = SignedHeads(content["signed_at"], [Head(**head) for head in content["heads"]])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise HeadsError(f"The file {path} is damaged or can't be read.") from None
    if not is_signed(content, str(signature)):
        raise HeadsError(
            f"The file {path} was changed, or signed with a key that is neither SECRET_KEY nor "
            "among SECRET_KEY_FALLBACKS."
        )
    return heads
