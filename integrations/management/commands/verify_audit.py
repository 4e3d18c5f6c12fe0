from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import F, Sum

from integrations.audit.heads import FILE_PATTERN
from integrations.audit.models import AuditChain
from integrations.audit.verification import find_problems

MAX_PROBLEMS_SHOWN = 100


class Command(BaseCommand):
    help = "Check that no event of the audit log was changed, deleted, inserted or cut off."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--heads",
            type=Path,
            default=settings.AUDIT_HEADS_DIR,
            help="The folder of signed heads, such as a copy on another machine. Default: "
            "AUDIT_HEADS_DIR.",
        )

    def handle(self, *, heads: Path, **_: Any) -> None:
        count = 0
        for count, problem in enumerate(find_problems(heads), 1):
            if count <= MAX_PROBLEMS_SHOWN:
                self.stdout.write(problem)
        if count:
            raise CommandError(f"The audit log was changed. Problems: {count}.")
        totals = AuditChain.objects.aggregate(n=Sum(F("position") - F("anchor_position")))
        files = len(list(heads.glob(FILE_PATTERN)))
        self.stdout.write(
            f"The audit log is unchanged: {totals['n'] or 0} events, {files} files of signed heads."
        )
        if not files:
            self.stdout.write(f"{heads} has no signed heads, so a cut end might not be noticed.")
