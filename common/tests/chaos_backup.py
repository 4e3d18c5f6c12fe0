"""Restores that are killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from accounts.models import User
from common.models import PendingRestore
from common.startup import prepare_database
from common.tests.support.worker import database_url
from config.environment import BASE_DIR

pytestmark = pytest.mark.django_db(transaction=True)

# Restores a backup, and kills itself before the given file operation of the restore.
KILLED_RESTORE = """
import os, signal, sys
path, event, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
def kill_before(name, arguments):
    global count
    if name == event and ".restore-" in repr(arguments):
        count -= 1
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill_before)
import django
django.setup()
from django.core.management import call_command
call_command("restore", path, replace=True)
"""


@pytest.mark.parametrize(
    ("event", "count", "is_restored"),
    [
        ("open", 1, False),
        ("os.rename", 1, True),
        ("os.rename", 3, True),
        ("shutil.rmtree", 1, True),
    ],
    ids=["before the commit", "after it", "between the renames", "after them"],
)
def test_a_killed_restore_leaves_the_old_or_the_new_state(
    small_backup: Path, uploads: Path, event: str, count: int, is_restored: bool
) -> None:
    picture = uploads / "acme" / "bucket" / "bild größe.png"
    User.objects.update(full_name="Later")
    picture.write_bytes(b"later")
    environment = {
        **os.environ,
        "ENV_FILE": os.devnull,
        "DJANGO_SETTINGS_MODULE": "config.settings_for_tests",
        "DATABASE_URL": database_url(),
        "REDIS_URL": settings.REDIS_URL,
        "UPLOAD_ROOT": str(uploads),
        "AUDIT_HEADS_DIR": str(uploads.parent / "audit"),
    }
    command = [sys.executable, "-c", KILLED_RESTORE, str(small_backup), event, str(count)]
    assert subprocess.run(command, cwd=BASE_DIR, env=environment).returncode == -signal.SIGKILL
    prepare_database()  # what the next server does
    assert User.objects.get().full_name == ("Zoë" if is_restored else "Later")
    assert picture.read_bytes() == (bytes(range(256)) * 5000 if is_restored else b"later")
    assert [path.name for path in uploads.parent.glob(".*")] == []
    assert not PendingRestore.objects.exists()
