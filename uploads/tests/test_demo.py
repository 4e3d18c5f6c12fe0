from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from uploads.demo import FILES, FOLDER
from uploads.models import Session

pytestmark = pytest.mark.django_db


def test_seed_demo_queues_a_session_and_writes_its_files_once(
    settings: Any, tmp_path: Path
) -> None:
    settings.UPLOAD_SOURCE_ROOT = tmp_path
    for _ in range(2):
        call_command("seed_demo", password="demo-pass-2026")
    assert Session.objects.get().status == "queued"
    assert all((tmp_path / "demo" / FOLDER / name).exists() for name in FILES)
