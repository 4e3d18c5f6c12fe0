"""Everything that changes rows records an event, or is listed here with the reason why not."""

from collections.abc import Iterator
from functools import cache
from inspect import getmodule, getsource
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from rest_framework import mixins
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import GenericViewSet

from common.tests.support.unrecorded_writes import (
    find_unrecorded,
    find_writing_methods,
    has_writing_sql,
    is_model_module,
    list_modules,
)
from config import urls
from config.environment import BASE_DIR

APPS = ("accounts", "catalog", "integrations", "notes", "posts", "uploads")

# What is not recorded, by module or by function.
NOT_RECORDED = {
    "accounts.services.invitations.accept_invitation": "`sign_up`, which calls it, records it",
    "accounts.services.links.use_link": "its callers record what the link was used for",
    "accounts.views.auth.PasswordResetView.post": "recorded when a mail is sent to an account",
    "catalog.embedding_job": "derived from products",
    "catalog.imports.batch_sql": "`batches` records the products that it writes",
    "catalog.imports.batches": "a batch records its products by SQL, and counts",
    "catalog.imports.job": "old rows of files, and counters",
    "catalog.imports.staging": "the rows of a file, before they are imported",
    "catalog.recommendations": "who viewed what is no change, and the counts derive from it",
    "catalog.vocabulary_refresh": "derived from products",
    "integrations.audit.chain": "derived from events",
    "notes.deduplication": "when a job runs",
    "notes.ledger": "each call to the provider has a row in the ledger already",
    "notes.summary_job": "steps of a run, whose end is recorded",
    "notes.tasks.close_lost_calls": "part of the ledger",
    "posts.admin.FeedAdmin.changelist_view": "the row of the feed, before its first refresh",
    "posts.services": "a mirror of another server's posts",
    "posts.tasks.refresh_posts": "by schedule",
    "uploads.completion._fill_checksum": "computed from the file",
    "uploads.file_rows": "steps of a run, whose end is recorded",
    "uploads.presigned.PresignedContent.check": "`receive` records the file",
    "uploads.presigned.delete_expired": "URLs that no longer work, by schedule",
    "uploads.serializers.CompanyRowSerializer.save": "calls a service",
    "uploads.transfer": "files, and no rows",
}


@cache
def writing_methods() -> frozenset[str]:
    modules = list_modules(BASE_DIR, ("common", *APPS))
    return find_writing_methods(path.read_text() for path in modules if is_model_module(path))


def dotted_name(path: Path) -> str:
    return ".".join(path.relative_to(BASE_DIR).with_suffix("").parts).removesuffix(".__init__")


@cache
def unrecorded_writes() -> frozenset[str]:
    found = set()
    for path in list_modules(BASE_DIR, (*APPS, "common/management")):
        source, module = path.read_text(), dotted_name(path)
        if has_writing_sql(source):
            found.add(module)
        if not is_model_module(path):
            functions = find_unrecorded(source, writing_methods())
            found |= {f"{module}.{function}" for function in functions}
    return frozenset(found)


def is_listed(name: str) -> bool:
    return any(name == listed or name.startswith(f"{listed}.") for listed in NOT_RECORDED)


def test_each_function_that_writes_records_an_event() -> None:
    assert sorted(name for name in unrecorded_writes() if not is_listed(name)) == []


def test_the_list_has_no_outdated_entries() -> None:
    for listed in NOT_RECORDED:
        names = unrecorded_writes()
        assert any(name == listed or name.startswith(f"{listed}.") for name in names), listed


@pytest.mark.parametrize(
    "line",
    [
        "Product.objects.filter(pk=1).update(stock=0)",
        "Product(name='Lamp').save()",
        "product.delete()",
        "summary.requeue(progress=0)",
        "session.cancel()",
        "Summary.objects.all().cancel_all()",
        "Mail.objects.enqueue_to(user, 'welcome')",
    ],
)
def test_a_write_without_an_event_is_found(line: str) -> None:
    plain = f"def change(product):\n    {line}\n"
    assert find_unrecorded(plain, writing_methods()) == {"change"}
    assert find_unrecorded(f"{plain}    record('x', by=by)\n", writing_methods()) == set()
    nested = f"class View:\n    def post(self):\n        {line}\n"
    assert find_unrecorded(nested, writing_methods()) == {"View.post"}


def test_a_helper_may_leave_recording_to_all_its_callers() -> None:
    helper = "def _save(row):\n    row.save()\n"
    recorded = "def create(row):\n    _save(row)\n    record('x', by=by)\n"
    unrecorded = "def copy(row):\n    _save(row)\n"
    assert find_unrecorded(helper + recorded) == set()
    assert find_unrecorded(helper + recorded + unrecorded) == {"_save"}
    assert find_unrecorded(helper) == {"_save"}


@pytest.mark.parametrize(
    "line", ["values.update({'a': 1})", "digest.update(chunk)", "storage.delete(name)", "m.end()"]
)
def test_writes_to_other_things_than_rows_need_no_event(line: str) -> None:
    assert find_unrecorded(f"def f():\n    {line}\n", writing_methods()) == set()


def test_sql_that_writes_is_found() -> None:
    assert has_writing_sql("SQL = 'UPDATE catalog_product AS product SET stock = 0'")
    assert not has_writing_sql("SQL = 'SELECT 1 FOR NO KEY UPDATE'")


def is_ours(method: Any) -> bool:
    module = getmodule(method)
    return module is not None and module.__name__.partition(".")[0] in (*APPS, "common")


def test_no_admin_page_writes_by_django_alone() -> None:
    """`ScopedAdmin` records what no service writes."""
    for model, page in admin.site._registry.items():
        if model._meta.app_label not in APPS:
            continue
        for name in ("save_model", "delete_model", "delete_queryset"):
            assert is_ours(getattr(type(page), name)), f"{type(page).__name__}.{name}"


def viewsets(base: type = GenericViewSet) -> Iterator[type]:
    for subclass in base.__subclasses__():
        yield subclass
        yield from viewsets(subclass)


def test_no_viewset_writes_by_the_framework_alone() -> None:
    """A serializer of ours calls a service, as does each `perform_destroy`."""
    assert urls.api  # the views are loaded
    for viewset in set(viewsets()):
        if not is_ours(viewset) or getattr(viewset, "queryset", None) is None:
            continue
        if issubclass(viewset, mixins.DestroyModelMixin) and viewset.__module__ != (
            "accounts.viewsets"
        ):
            assert is_ours(viewset.perform_destroy), viewset
        serializer = getattr(viewset, "serializer_class", None)
        for name in ("create", "update"):
            perform = getattr(viewset, f"perform_{name}", None)
            saves = perform is not None and "serializer.save(" in getsource(perform)
            if saves and serializer and issubclass(serializer, ModelSerializer):
                assert is_ours(getattr(serializer, name)), f"{serializer.__name__}.{name}"
