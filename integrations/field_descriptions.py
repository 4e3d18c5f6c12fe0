"""Descriptions of this app's fields in the OpenAPI schema; see `common.api.schema_descriptions`."""

FIELD_DESCRIPTIONS = {
    "Event.id": "The cursor: send it as `since` to read what came after.",
    "Event.type": "What happened, as `row.past_participle`, for example `note.created`.",
    "Event.sequence": "Of two events of the same row, the later one has the larger number.",
    "Event.actor": "Who caused it.",
    "Event.targets": "The rows that it tells of.",
    "Event.occurred_at": "When it happened.",
    "Event.company_id": "The company in which it happened.",
    "Event.request_id": "The `X-Request-ID` of the request that caused it.",
    "EventTarget.type": "The type of the row.",
    "EventTarget.id": "The row's id.",
    "EventTarget.label": "The row's name when it happened; empty if the person was deleted.",
    "EventChange.old": "The value before.",
    "EventChange.new": "The value after.",
    "EventActor.type": "What kind of actor it is.",
    "EventActor.id": "The user's id; null for others.",
    "EventActor.label": "The user's name; empty if the user was deleted.",
}
