from django.apps import AppConfig


class NotesConfig(AppConfig):
    name = "notes"

    def seed_demo(self, people: dict) -> None:
        """Give the demo company's agent something to read."""
        from notes.demo import seed

        seed(people["agent"])
