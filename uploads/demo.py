from pathlib import Path

from django.conf import settings

from accounts.models import User
from uploads import services
from uploads.models import Project

PROJECT_NAME = "Glacier survey"
FOLDER = "glaciers/spring"
FILES = {
    "station-1.csv": "time,depth_m,temperature_c\n2026-04-01T06:00Z,2.0,-4.1\n",
    "station-2.csv": "time,depth_m,temperature_c\n2026-04-01T06:00Z,2.0,-3.7\n",
    "notes/crew.txt": "Ann and Bob. Fresh snow at station 2; the sensor was dug out twice.\n",
}


def seed(author: User) -> None:
    """Create a project with a queued session, which a worker runs once it starts."""
    company = author.company
    if Project.objects.filter(company=company, name=PROJECT_NAME).exists():
        return
    project = services.create_project(
        by=author,
        company=company,
        name=PROJECT_NAME,
        bucket_name="demo-field-data",
        description="Snow and ice, twice a year.",
    )
    cycle = services.create_cycle(
        by=author,
        project=project,
        name="Spring",
        number=1,
        prefix="2026/spring",
        metadata={"crew": ["Ann", "Bob"]},
    )
    _write_files(settings.UPLOAD_SOURCE_ROOT / company.code / FOLDER)
    session = services.create_session(
        by=author, project=project, cycle=cycle, local_directory=FOLDER
    )
    services.start_session(session, by=author)


def _write_files(folder: Path) -> None:
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
