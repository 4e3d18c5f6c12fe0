"""The columns of a file, recognised by their titles."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from catalog.import_models import ProductImport
from catalog.imports.errors import FileRefused
from catalog.imports.validation import IMPORTED_FIELDS, READ_ONLY_FIELDS, REQUIRED_FIELDS
from common.api.text import find_nearest, shorten

# The column of a file of failed rows that says what was wrong with each.
ERROR_COLUMN = "import_error"
MAX_ERRORS_NAMED = 20
MIN_SIMILARITY = 60

# Other titles in English, German, French, Spanish, Italian and Dutch, as `_simplify` returns them.
SYNONYMS = {
    "name": "title productname producttitle itemname articlename bezeichnung artikelbezeichnung "
    "produktname artikelname titel nom nomduproduit nombre titulo titolo nome naam",
    "description": "productdescription longdescription details text beschreibung "
    "produktbeschreibung artikelbeschreibung descripcion descrizione omschrijving",
    "price": "unitprice productprice saleprice sellingprice retailprice listprice preis "
    "einzelpreis verkaufspreis stueckpreis stuckpreis prix prixunitaire precio prezzo prijs",
    "stock": "quantity qty stockquantity stockqty stocklevel instock available inventory onhand "
    "bestand lagerbestand menge anzahl quantite cantidad existencias quantita giacenza voorraad "
    "aantal",
    "category": "productcategory categoryname group productgroup kategorie produktkategorie "
    "warengruppe categorie categoria",
    "sku": "skucode productsku articlenumber articleno articlenr itemnumber itemno itemcode "
    "productnumber productcode partnumber partno artikelnummer artikelnr artnr artikelcode "
    "produktnummer bestellnummer reference referenceproduit referencia codice codicearticolo "
    "artikelnummer",
}
_FIELD_OF_TITLE = {
    title: field for field, titles in SYNONYMS.items() for title in [field, *titles.split()]
}
_unit = re.compile(r"[(\[].*?[)\]]")


def recognize(title: str) -> str | None:
    """Return the field of a column's title, or None for an unknown one."""
    simple = _simplify(title)
    if simple in IMPORTED_FIELDS:
        return simple
    return _FIELD_OF_TITLE.get(simple)


def _simplify(title: str) -> str:
    """Return the letters and digits of a title in small letters, without accents and units."""
    decomposed = unicodedata.normalize("NFKD", _unit.sub("", title).casefold())
    return "".join(filter(str.isalnum, decomposed))


def assign_fields(header: Sequence[str], *, mode: str, ignore_unknown: bool) -> list[str]:
    """Return the field of each column, or "" for one that is not imported.

    Raises `FileRefused` with all wrong columns: unknown ones, two for one field, and missing ones.
    """
    fields = [recognize(title) or "" for title in header]
    errors = [*_find_repeated(header, fields), *_find_missing(fields, mode)]
    if not ignore_unknown:
        errors = [*_find_unknown(header, fields), *errors]
    if errors:
        raise FileRefused(*errors[:MAX_ERRORS_NAMED])
    return fields


def _find_unknown(header: Sequence[str], fields: list[str]) -> list[tuple[str, str]]:
    pairs = zip(header, fields, strict=True)
    unknown = [title for title, field in pairs if title and not field and title != ERROR_COLUMN]
    return [("unknown_column", _describe_unknown(title)) for title in unknown]


def _describe_unknown(title: str) -> str:
    nearest = find_nearest(_simplify(title), IMPORTED_FIELDS, min_similarity=MIN_SIMILARITY)
    hint = f"Did you mean {nearest!r}?" if nearest else f"Known: {', '.join(IMPORTED_FIELDS)}."
    if title in READ_ONLY_FIELDS:
        hint = "The server sets it."
    return (
        f"The column {shorten(title)!r} can't be imported. {hint} Remove the column, or send "
        "`ignore_unknown_columns=true`."
    )


def _find_repeated(header: Sequence[str], fields: list[str]) -> list[tuple[str, str]]:
    repeated = [field for field, count in Counter(filter(None, fields)).items() if count > 1]
    return [
        (
            "duplicate_column",
            f"Several columns contain the {field}: "
            + ", ".join(repr(shorten(t)) for t, f in zip(header, fields, strict=True) if f == field)
            + ".",
        )
        for field in repeated
    ]


def _find_missing(fields: list[str], mode: str) -> list[tuple[str, str]]:
    needed = REQUIRED_FIELDS if mode == ProductImport.Mode.CREATE else ("sku",)
    return [
        (
            "missing_column",
            f"The file has no column `{name}`. Its first row must be the names of its columns.",
        )
        for name in needed
        if name not in fields
    ]
