"""`manage.py verify_audit` finds what was changed, and only that."""

import io
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Company, User
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from common.backup import Backup, restore_backup, write_backup
from common.events import record
from common.events.models import Event
from common.ids import uuid7
from integrations.audit import chain, verification
from integrations.audit.chain import extend_chains
from integrations.audit.hashing import CHAINED_FIELDS, UNCHAINED_FIELDS
from integrations.audit.heads import write_heads
from integrations.audit.metrics import collect
from integrations.audit.models import NO_COMPANY, AuditChain, AuditLink
from integrations.tests.audit_support import chain_all, execute, tables_put_back

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def heads_folder(tmp_path: Path, settings: Any) -> Path:
    settings.AUDIT_HEADS_DIR = tmp_path / "audit"
    settings.BACKUP_FOLDERS = {"audit": settings.AUDIT_HEADS_DIR}
    return settings.AUDIT_HEADS_DIR


@pytest.fixture
def product(admin: User) -> Product:
    return ProductFactory(company=admin.company)


@pytest.fixture
def log(admin: User, outsider: User, product: Product, heads_folder: Path) -> list[int]:
    """The sequences of a company's ten events; their number in the chain is one higher each.

    Another company, and no company, have some too. All are chained and their heads are signed.
    """
    for number in range(5):
        record("product.updated", by=admin, target=product, changes={"stock": (number, 1)})
        record("user.updated", by=admin, target=admin, changes={"full_name": ("", "Ann")})
        record("product.updated", by=outsider, target=ProductFactory(company=outsider.company))
        record("access.denied", by=None, target=None, username="eve")
    chain_all()
    write_heads()
    return list(
        Event.objects.filter(company_id=admin.company_id)
        .order_by("sequence")
        .values_list("sequence", flat=True)
    )


def find_problems(folder: Path) -> list[str]:
    return list(verification.find_problems(folder))


def verify(folder: Path) -> str:
    """Return what the command prints; raises `CommandError` if it finds a change."""
    output = io.StringIO()
    call_command("verify_audit", heads=folder, stdout=output)
    return output.getvalue()


def test_each_way_to_change_the_log_is_found(
    log: list[int], company: Company, heads_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "CHUNK_SIZE", 3)
    third, fourth, last = log[2], log[3], log[-1]
    event, link = "common_event", "integrations_auditlink"
    end = f"WHERE company_id = '{company.pk}'"
    cases = [
        ([f"UPDATE {event} SET {change} WHERE sequence = {third}"], ["number 3 was changed"])
        for change in (
            "action = 'product.deleted'",
            "occurred_at = occurred_at - interval '1 microsecond'",
            "actor_id = NULL",
            "outcome = 'failed'",
            "changes = '{}'",
            "company_id = NULL",
            "request_id = 'x'",
            f"id = '{uuid4()}'",
            "actor_digest = 'x'",
            """actor_values = '{"ip_address": "192.0.2.1"}'""",
        )
    ] + [
        (
            [f"UPDATE {event} SET target_values = '{{}}' WHERE sequence = {fourth}"],
            ["number 4 was changed: the target's personal values"],
        ),
        ([f"UPDATE {event} SET xid = 1 WHERE sequence = {third}"], ["number 3 was moved"]),
        (
            [f"DELETE FROM {event} WHERE sequence IN ({third}, {fourth})"],
            ["number 3 is missing", "number 4 is missing"],
        ),
        (
            [f"DELETE FROM {t} WHERE sequence IN ({third}, {fourth})" for t in (event, link)],
            ["numbers 3 to 4 are missing"],
        ),
        (
            [f"DELETE FROM {link} WHERE sequence = {third}"],
            ["numbers 3 to 3 are missing", "was inserted, or its hash was deleted"],
        ),
        (
            [
                (
                    f"INSERT INTO {event} SELECT (jsonb_populate_record(e, jsonb_build_object("
                    f"'sequence', 1000000, 'id', '{uuid7()}'))).* FROM {event} e "
                    f"WHERE sequence = {third}"
                )
            ],
            ["was inserted"],
        ),
        ([f"UPDATE {link} SET hash = '0' WHERE sequence = {third}"], ["number 3", "number 4"]),
        (
            [f"DELETE FROM {event} WHERE sequence = {last}"],
            [f"number {len(log)} is missing"],
        ),
        (
            [f"DELETE FROM {t} WHERE sequence = {last}" for t in (event, link)],
            [
                "the end was cut off. Numbers 10 to 10 are missing",
                "the end was cut off. The head of",
            ],
        ),
        (
            [
                *(f"DELETE FROM {t} WHERE sequence = {last}" for t in (event, link)),
                (
                    f"UPDATE integrations_auditchain SET position = 9, last_sequence = {log[-2]}, "
                    f"hash = (SELECT hash FROM {link} WHERE sequence = {log[-2]}) {end}"
                ),
            ],
            ["the end was cut off. The head of"],
        ),
        (
            [
                *(f"DELETE FROM {t} WHERE sequence < {third}" for t in (link, event)),
                (
                    "UPDATE integrations_auditchain SET anchor_position = 2, anchor_hash = "
                    f"(SELECT previous_hash FROM {link} WHERE sequence = {third}) {end}"
                ),
            ],
            ["the beginning up to number 2 was not deleted by the retention job"],
        ),
    ]
    assert find_problems(heads_folder) == []
    for statements, expected in cases:
        with tables_put_back():
            execute(*statements)
            problems = [p for p in find_problems(heads_folder) if p.startswith("Company acme: ")]
        assert len(problems) == len(expected), (statements, problems)
        for problem, words in zip(problems, expected, strict=True):
            assert words in problem, statements
    assert find_problems(heads_folder) == [], "each case was undone"


def test_a_chain_that_was_computed_again_differs_from_the_signed_heads(
    log: list[int], heads_folder: Path
) -> None:
    execute(
        f"UPDATE common_event SET outcome = 'failed' WHERE sequence = {log[2]}",
        "DELETE FROM integrations_auditlink",
        "DELETE FROM integrations_auditchain",
    )
    chain_all()
    (problem,) = find_problems(heads_folder)
    assert problem.startswith("Company acme: the chain was computed again. Number 10")


def test_signed_heads_can_not_be_changed(log: list[int], heads_folder: Path, settings: Any) -> None:
    (path,) = heads_folder.iterdir()
    text = path.read_text()
    path.write_text(text.replace('"position": 10', '"position": 9'))
    (problem,) = find_problems(heads_folder)
    assert f"The file {path} was changed" in problem
    path.write_text(text[:100])
    assert find_problems(heads_folder) == [f"The file {path} is damaged or can't be read."]
    path.write_text(text)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-" * 5
    assert find_problems(heads_folder) == []


def test_the_command_says_what_it_found_and_fails(
    log: list[int], heads_folder: Path, capsys: Any
) -> None:
    assert verify(heads_folder).startswith("The audit log is unchanged: 20 events, 1 file")
    assert "no signed heads" in verify(heads_folder / "other")
    execute(f"UPDATE common_event SET outcome = 'failed' WHERE sequence = {log[2]}")
    with pytest.raises(CommandError, match="Problems: 1") as failure:
        call_command("verify_audit", heads=heads_folder)
    assert failure.value.returncode == 1
    assert "Company acme: number 3 was changed: the event" in capsys.readouterr().out


def test_the_chain_stays_valid_when_personal_values_are_erased(
    log: list[int], heads_folder: Path
) -> None:
    execute("UPDATE common_event SET actor_values = NULL, target_values = NULL")
    assert find_problems(heads_folder) == []


def test_the_chain_stays_valid_after_a_restore(
    log: list[int], admin: User, product: Product, heads_folder: Path, tmp_path: Path
) -> None:
    write_backup(tmp_path / "backup.tar.gz")
    record("product.updated", by=admin, target=product)
    chain_all()
    restore_backup(Backup(tmp_path / "backup.tar.gz"), replace=True)
    assert find_problems(heads_folder) == []
    record("product.updated", by=admin, target=product)
    assert chain_all() == 2  # the first is that of the restore
    assert find_problems(heads_folder) == []
    assert AuditLink.objects.filter(chain_id=admin.company_id).count() == 11


class TestChain:
    def test_each_company_has_one_in_the_order_of_its_events(
        self, log: list[int], admin: User
    ) -> None:
        links = AuditLink.objects.filter(chain_id=admin.company_id).order_by("position")
        assert [link.sequence for link in links] == log
        assert [link.position for link in links] == list(range(1, 11))
        assert [link.previous_hash for link in links][1:] == [link.hash for link in links][:-1]
        assert AuditChain.objects.get(pk=NO_COMPANY).position == 5

    def test_grows_by_batches(
        self, log: list[int], admin: User, product: Product, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(chain, "BATCH_SIZE", 2)
        for _ in range(5):
            record("product.updated", by=admin, target=product)
        assert age_of_oldest_unchained() > 0
        assert chain_all() == 5
        assert extend_chains() == 0
        assert age_of_oldest_unchained() == 0

    def test_every_field_of_an_event_is_in_the_hash_or_left_out_by_name(self) -> None:
        names = {field.name for field in Event._meta.fields}
        assert names == {*CHAINED_FIELDS, *UNCHAINED_FIELDS}


def age_of_oldest_unchained() -> float:
    (metric,) = collect()
    return metric.samples[0].value
