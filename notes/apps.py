from typing import Any

from django.apps import AppConfig


class NotesConfig(AppConfig):
    name = "notes"

    def dashboard(self, user: Any) -> list[Any]:
        from notes.dashboard import build_sections

        return build_sections(user)

    def seed_demo(self, people: dict) -> None:
        """Create a note and a template for the demo company's agent."""
        from notes.demo import seed_notes

        seed_notes(people["agent"])
