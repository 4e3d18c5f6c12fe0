from typing import Any

from django.apps import AppConfig


class NotesConfig(AppConfig):
    name = "notes"
    schema_examples = {
        "raw_text": (
            "The cooling pump failed on Monday. Bob replaced it on Tuesday with the spare one."
        ),
        "summary": "Bob replaced the failed cooling pump.",
        "model": "gpt-4o-mini",
        "omitted": "",
        "cost_usd": "0.000213",
        "Template.name": "Minutes",
    }

    def dashboard(self, user: Any) -> list[Any]:
        from notes.dashboard import sections

        return sections(user)

    def seed_demo(self, people: dict) -> None:
        """Give the demo company's agent something to read."""
        from notes.demo import seed

        seed(people["agent"])
