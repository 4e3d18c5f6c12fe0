from typing import Any

from django.apps import AppConfig


class NotesConfig(AppConfig):
    name = "notes"

    def dashboard(self, user: Any) -> list[Any]:
        from notes.dashboard import sections

        return sections(user)

    def seed_demo(self, people: dict) -> None:
        """Give the demo company's agent something to read."""
        from notes.demo import seed

        seed(people["agent"])
