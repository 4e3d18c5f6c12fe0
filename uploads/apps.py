from typing import Any

from django.apps import AppConfig

from common.api.schema_examples import LEFT_OUT
from uploads.counters import COUNTER_FIELDS
from uploads.field_descriptions import FIELD_DESCRIPTIONS


class UploadsConfig(AppConfig):
    name = "uploads"
    schema_descriptions = FIELD_DESCRIPTIONS
    schema_examples = {
        "prefix": "2026/spring",
        "include": ["*.csv"],
        "exclude": ["tmp/**"],
        "metadata": {"season": "spring"},
        # Only for clients with the role `worker`.
        "SessionReportRequest.status": LEFT_OUT,
        **{f"SessionReportRequest.{name}": LEFT_OUT for name in COUNTER_FIELDS},
        "file_key": "2026/run-7/frame-0001.png",
        "local_directory": "run-7",
        "bucket_name": "acme-field-data",
        "aws_region": "eu-central-1",
        "Project.name": "North yard",
        "Project.description": "Drone surveys of the north yard.",
        "Cycle.name": "Spring survey",
        "Cycle.number": 1,
        "Cycle.description": "The first round.",
    }

    def dashboard(self, user: Any) -> list[Any]:
        from uploads.dashboard import sections

        return sections(user)

    def seed_demo(self, people: dict) -> None:
        """Create a project in the demo company, with some files to upload."""
        from uploads.demo import seed

        seed(people["agent"])
