"""Run management commands, with a sentence instead of a traceback for an unusable database."""

import sys
from contextlib import nullcontext

from django.core.management import BaseCommand, ManagementUtility

from common.postgres.failures import exit_on_database_errors
from config.local import LocalServiceError, LocalServices

# Commands that read or change rows: they need the schema that the migrations of this version make.
# `migrate` and `check --database` compare it themselves, and so does each server when it starts.
DATABASE_COMMANDS = frozenset(
    {
        "backup",
        "changepassword",
        "clearsessions",
        "createsuperuser",
        "dumpdata",
        "flush",
        "loaddata",
        "reconcile_calls",
        "remove_stale_contenttypes",
        "restore",
        "runserver",
        "seed_admin",
        "seed_demo",
        "shell",
        "verify_audit",
    }
)


class CommandLine(ManagementUtility):
    """Django's command line, which refuses a database that other migrations made."""

    def fetch_command(self, subcommand: str) -> BaseCommand:
        # `help NAME` and `NAME --help` fetch the command too, and need no database.
        is_help = self.argv[1:2] != [subcommand] or {"-h", "--help"} & set(self.argv)
        if subcommand in DATABASE_COMMANDS and not is_help:
            from common.migration_checksums import find_incompatibility

            if error := find_incompatibility():
                raise SystemExit(f"{subcommand} can't run. {error.msg} {error.hint}")
        return super().fetch_command(subcommand)


def run(arguments: list[str], services: LocalServices) -> None:
    """Run a command on the local servers; exit with a sentence if a server can't be used."""
    is_traceback_wanted = "--traceback" in arguments
    try:
        with services, nullcontext() if is_traceback_wanted else exit_on_database_errors():
            CommandLine(arguments).execute()
    except LocalServiceError as error:
        sys.exit(f"Bureau can't run. {error}")
