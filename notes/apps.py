from typing import Any

from django.apps import AppConfig

from common.api.schema_examples import LEFT_OUT
from notes.field_descriptions import FIELD_DESCRIPTIONS


class NotesConfig(AppConfig):
    name = "notes"
    schema_descriptions = FIELD_DESCRIPTIONS
    schema_examples = {
        "Template.description": "What was decided, and who does what.",
        "instructions": "List the decisions, and who does what by when.",
        "max_words": 50,
        "texts": [
            "The cooling pump failed on Monday. Bob replaced it on Tuesday.",
            "The spare pump was ordered on Wednesday. It arrives next week.",
        ],
        "SummaryRequest.note_id": LEFT_OUT,
        "SummaryRequest.file": LEFT_OUT,
        "raw_text": (
            "The cooling pump failed on Monday. Bob replaced it on Tuesday with the spare one."
        ),
        "summary": "Bob replaced the failed cooling pump.",
        "model": "gpt-4o-mini",
        "omitted": "",
        "cost_usd": "0.000213",
        "Template.name": "Minutes",
    }

    def ready(self) -> None:
        """Register the ledger for the AI calls of all apps."""
        from common.ai.ledger import register_ledger
        from notes.ledger import CallLedger

        register_ledger(CallLedger)

    def dashboard(self, user: Any) -> list[Any]:
        from notes.dashboard import build_sections

        return build_sections(user)

    def seed_demo(self, users: dict) -> None:
        """Create a note and a template for the demo company's agent."""
        from notes.demo import seed_notes

        seed_notes(users["agent"])
