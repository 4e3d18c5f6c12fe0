"""The hash of a link: of the previous hash and the canonical text of an event."""

import hashlib
import json
from datetime import UTC
from operator import attrgetter

from django.core.serializers.json import DjangoJSONEncoder

from common.events.models import Event

# Of the values that describe people only the digests are part of the text, so the chain stays
# valid when they are erased; `xid` is not, since a restore renumbers it. The list is frozen: other
# fields would change all hashes.
CHAINED_FIELDS = (
    "occurred_at",
    "sequence",
    "id",
    "action",
    "outcome",
    "company_id",
    "audience",
    "owner_id",
    "actor_type",
    "actor_id",
    "target_type",
    "target_id",
    "target_label",
    "changes",
    "request_id",
    "actor_digest",
    "person_id",
    "target_digest",
)
UNCHAINED_FIELDS = ("xid", "actor_values", "target_values")
_get_other_values = attrgetter(*CHAINED_FIELDS[1:])


def canonical_text(event: Event) -> str:
    """Return the chained values as a JSON list; the time is in UTC with microseconds."""
    time = event.occurred_at.astimezone(UTC)
    values = [time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), *_get_other_values(event)]
    return json.dumps(values, sort_keys=True, separators=(",", ":"), cls=DjangoJSONEncoder)


def hash_of(previous_hash: str, event: Event) -> str:
    return hashlib.sha256(f"{previous_hash}{canonical_text(event)}".encode()).hexdigest()
