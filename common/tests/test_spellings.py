"""Lists find a text in composed (NFC) and decomposed (NFD) spelling."""

import unicodedata
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Company, Invitation, User
from accounts.tests.factories import UserFactory
from catalog.models import Product
from catalog.tests.factories import ProductFactory
from common.normalization import MAX_NORMALIZED_CHARS, get_spellings, to_nfc
from notes.models import Batch, SummaryTemplate
from notes.tests.factories import NoteFactory, TextSummaryFactory
from posts.models import Feed, Post
from uploads.tests.factories import SessionFactory, SessionFileFactory

FORMS: tuple[Any, ...] = ("NFC", "NFD")
# An umlaut, two marks on one letter, and a syllable of two letters.
TEXT = "Kühlung Việt 가"


@pytest.fixture
def rows(admin: User, settings: Any) -> dict[str, str]:
    """Create a row with the text in each form, for every list; return the lists' queries."""
    settings.POSTS_API_URL = "http://127.0.0.1:1/posts"
    Feed.objects.create(name=Feed.NAME, fresh_at=timezone.now())
    company = admin.company
    for number, form in enumerate(FORMS, start=1):
        text = unicodedata.normalize(form, TEXT)
        UserFactory(company=company, full_name=text)
        Company.objects.create(name=text, code=f"house-{number}")
        NoteFactory(user=admin, title=text, raw_text="a")
        NoteFactory(user=admin, raw_text=f"a {text}")
        TextSummaryFactory(user=admin, summary=text)
        Batch.objects.create(company=company, user=admin, template=text)
        SummaryTemplate.objects.create(company=company, name=text + form, instructions="x")
        Post.objects.create(id=number, user_id=1, title=text, body="b")
        Product.objects.create(
            company=company, name=text, category=text, price=1, sku=f"{text} {number}"
        )
        session = SessionFactory(
            cycle__project__company=company,
            cycle__project__name=f"{text} {form}",
            cycle__name=text,
            local_directory=f"{text} {form}",
        )
    for form in FORMS:
        key = unicodedata.normalize(form, TEXT)
        SessionFileFactory(session=session, path=key, key=key)
    return {
        "users?search=": "full_name",
        "admin/users?search=": "full_name",
        "notes?search=": "title",
        "summaries?search=": "summary",
        "summaries/batches?search=": "template",
        "summaries/batches?template=": "template",
        "summary-templates?search=": "name",
        "posts?search=": "title",
        "products?name=": "name",
        "products?search=": "name",
        "products?category=": "category",
        "projects?search=": "name",
        "cycles?search=": "name",
        "sessions?search=": "local_directory",
        f"sessions/{session.pk}/files?search=": "key",
    }


@pytest.mark.django_db
def test_every_list_finds_both_spellings_by_each(
    as_user: Any, admin: User, superuser: User, rows: dict[str, str]
) -> None:
    client = as_user(admin)
    for query, field in rows.items():
        for form in FORMS:
            text = unicodedata.normalize(form, TEXT)
            if field != "category":
                text = text.lower()
            response = client.get(f"/api/v1/{query}{text}&page_size=100")
            assert response.status_code == 200, (query, response.content)
            found = [item[field] for item in response.json()["items"]]
            count = 4 if query.startswith("notes?") else 2
            assert len(found) == count, (query, form, found)
    companies = as_user(superuser).get(f"/api/v1/companies?search={TEXT}")
    assert companies.json()["total"] == 2


@pytest.mark.django_db
def test_invitations_are_found_in_any_spelling(as_user: Any, admin: User) -> None:
    for form in FORMS:
        Invitation.objects.create(
            company=admin.company,
            email=unicodedata.normalize(form, "müller@example.org"),
            invited_by=admin,
            expires_at=timezone.now(),
            token_hash=form,
        )
    for form in FORMS:
        text = unicodedata.normalize(form, "MÜLLER")
        assert as_user(admin).get(f"/api/v1/invitations?search={text}").json()["total"] == 2


@pytest.mark.django_db
def test_texts_keep_the_spelling_in_which_they_were_sent(as_user: Any, admin: User) -> None:
    text = unicodedata.normalize("NFD", TEXT)
    client = as_user(admin)
    assert client.post("/api/v1/notes", {"raw_text": text}).json()["raw_text"] == text


@pytest.mark.django_db
def test_a_template_is_found_by_its_name_in_any_spelling(as_user: Any, admin: User) -> None:
    for form, other in (FORMS, FORMS[::-1]):
        name = unicodedata.normalize(form, f"Kühl {form}")
        SummaryTemplate.objects.create(company=admin.company, name=name, instructions="x")
        body = {"text": "A.", "template": unicodedata.normalize(other, name)}
        assert as_user(admin).post("/api/v1/summaries", body).json()["template"] == name


@pytest.mark.django_db
def test_products_are_stored_in_nfc(as_user: Any, admin: User) -> None:
    decomposed = unicodedata.normalize("NFD", TEXT)
    body = {"name": decomposed, "category": decomposed, "sku": decomposed, "price": "1"}
    client = as_user(admin)
    product = client.post("/api/v1/products", body).json()
    assert [product[name] for name in ("name", "category", "sku")] == [TEXT] * 3
    response = client.post("/api/v1/products", body | {"sku": TEXT})
    assert [(e["field"], e["code"]) for e in response.json()["errors"]] == [("sku", "unique")]
    url = f"/api/v1/products/{product['id']}"
    assert client.patch(url, {"name": decomposed}).json()["name"] == TEXT


@pytest.mark.django_db
def test_the_migration_converts_existing_products(admin: User) -> None:
    old = ProductFactory(company=admin.company)
    decomposed = unicodedata.normalize("NFD", TEXT)
    statement = "UPDATE catalog_product SET name = %s, category = %s WHERE id = %s"
    migration = import_module("catalog.migrations.0002_text_in_nfc")
    with connection.cursor() as cursor:
        cursor.execute(statement, [decomposed, decomposed, old.pk])
        cursor.execute(migration.NORMALIZE_ROWS)
    old.refresh_from_db()
    assert (old.name, old.category) == (TEXT, TEXT)


def test_a_text_has_few_spellings() -> None:
    assert get_spellings("Pump") == {"Pump"}
    assert get_spellings("ü") == {"ü", "u\u0308"}
    # Vietnamese keyboards of Windows compose only one of two marks.
    assert get_spellings("ê\u0323") == {"ê\u0323", "ệ", "e\u0323\u0302"}


def test_hostile_texts_are_not_converted() -> None:
    hostile = "a" + "\u0301\u0316" * MAX_NORMALIZED_CHARS
    assert get_spellings(hostile) == {hostile}
    assert to_nfc(hostile) == hostile
