from typing import Any

from django.apps import AppConfig


class UploadsConfig(AppConfig):
    name = "uploads"

    def dashboard(self, user: Any) -> list[Any]:
        from uploads.dashboard import sections

        return sections(user)

    def seed_demo(self, people: dict) -> None:
        """Create a project in the demo company, with some files to upload."""
        from uploads.demo import seed

        seed(people["agent"])
