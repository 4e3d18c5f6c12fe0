"""Descriptions of this app's fields in the OpenAPI schema; see `common.api.schema_descriptions`."""

EVENT_FIELDS = {
    "id": "The cursor: send it as `since` to read what came after.",
    "type": "What happened, as `row.past_participle`, for example `note.created`.",
    "sequence": "Of two events of the same row, the later one has the larger number.",
    "actor": "Who caused it.",
    "targets": "The rows that it tells of.",
    "occurred_at": "When it happened.",
    "company_id": "The company in which it happened.",
    "request_id": "The `X-Request-ID` of the request that caused it.",
}
FIELD_DESCRIPTIONS = {
    **{f"Event.{name}": text for name, text in EVENT_FIELDS.items()},
    **{f"AuditEntry.{name}": text for name, text in EVENT_FIELDS.items()},
    "EventTarget.type": "The type of the row.",
    "EventTarget.id": "The row's id.",
    "EventTarget.label": "The row's name when it happened; empty if the person was deleted.",
    "EventChange.old": "The value before.",
    "EventChange.new": "The value after.",
    "EventActor.type": "What kind of actor it is.",
    "EventActor.id": "The user's id; null for others.",
    "EventActor.label": "The user's name; empty if the user was deleted.",
}
