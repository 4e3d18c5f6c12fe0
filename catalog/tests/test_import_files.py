"""Files of all kinds are read: encodings, separators, titles, numbers, spreadsheets."""

import io
import zipfile
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import xlsxwriter

from catalog.imports import csv_files, xlsx_files
from catalog.imports.columns import assign_fields, recognize
from catalog.imports.errors import CellError, FileRefused
from catalog.imports.numbers import normalize_number
from catalog.imports.uploaded_file import detect_format
from catalog.imports.validation import RowValidator

HEADER = "Artikelnummer;Bezeichnung;Preis;Bestand"
ROW = "0123;Geländer für die Treppe;12,50;4"
BOMS = {"utf-8-sig": "utf-8-sig", "utf-16": "utf-16"}


def read(data: bytes) -> tuple[Any, list[tuple[int, list[str]]]]:
    """Return the format of a CSV file, and its records without the header."""
    file = io.BytesIO(data)
    file_format = detect_format(file, mode="upsert", ignore_unknown=True)
    file.seek(0)
    records = csv_files.read_records(file, file_format.encoding, file_format.separator)
    return file_format, list(records)[1:]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252", "latin-1"]
)
def test_each_encoding_is_detected(encoding: str) -> None:
    _, records = read(f"{HEADER}\n{ROW}\n".encode(encoding))
    assert records == [(2, ROW.split(";"))]


@pytest.mark.parametrize("name", ["Müller", "Señal", "Ä", "5 µm – Größe", "Café"])
def test_a_single_word_is_read_in_the_most_common_encoding(name: str) -> None:
    assert read(f"sku;name\nA;{name}\n".encode("cp1252"))[1] == [(2, ["A", name])]


def test_a_table_in_no_plausible_encoding_is_refused() -> None:
    data = "sku;name\nA;Krzesło żółte\nB;Półka na książki\n".encode("cp1250")
    assert refused_code(lambda: read(data)) == "unsupported"


def test_a_letter_beyond_ascii_far_from_the_start_decides_the_encoding() -> None:
    rows = "".join(f"{n};Lamp;1;1\n" for n in range(200_000))
    _, records = read(f"{HEADER}\n{rows}{ROW}\n".encode("cp1252"))
    assert records[-1] == (200_002, ROW.split(";"))


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_each_separator_and_line_end_is_read(separator: str, line_end: str) -> None:
    lines = ["sku,name,price", 'A, "two\nlines, quoted ""x""; |",1', "", ",,", "B,C,2"]
    text = line_end.join(line if '"' in line else line.replace(",", separator) for line in lines)
    text = text.replace("A, ", f"A{separator} ").replace('",1', f'"{separator}1')
    file_format, records = read(text.encode())
    assert (file_format.separator, file_format.header) == (separator, ["sku", "name", "price"])
    assert [cells for _, cells in records] == [
        ["A", 'two\nlines, quoted "x"; |', "1"],
        ["B", "C", "2"],
    ]


def test_excels_line_with_the_separator_is_skipped() -> None:
    file_format, records = read(b"sep=;\r\nsku;name\r\nA;B\r\n")
    assert (file_format.header, records) == (["sku", "name"], [(3, ["A", "B"])])


@pytest.mark.parametrize("text", ['sku,name\nA,"never closed\n', 'sku,name\nA,"x"y\n'])
def test_wrong_quotation_marks_are_an_error_with_the_line(text: str) -> None:
    with pytest.raises(FileRefused, match="Line 2"):
        read(text.encode())


def test_a_file_without_line_ends_is_refused() -> None:
    assert refused_code(lambda: read(b"sku,name" + b"," * 2_000_000)) == "line_too_long"
    assert refused_code(lambda: read(b"\xe9" * 2_000_000)) == "line_too_long"


@pytest.mark.parametrize(
    ("title", "field"),
    [
        ("SKU", "sku"),
        ("Article Number", "sku"),
        ("Artikel-Nr.", "sku"),
        ("product name", "name"),
        ("Bezeichnung", "name"),
        ("Preis (EUR)", "price"),
        ("Price €", "price"),
        ("Unit_Price", "price"),
        ("QTY", "stock"),
        ("Lagerbestand", "stock"),
        ("Catégorie", "category"),
        ("Beschreibung", "description"),
        ("Colour", None),
        ("", None),
    ],
)
def test_columns_are_recognised_by_their_titles(title: str, field: str | None) -> None:
    assert recognize(title) == field


def test_an_own_name_and_a_synonym_for_one_field_are_refused() -> None:
    with pytest.raises(FileRefused, match="'sku', 'Article number'"):
        assign_fields(["sku", "Article number"], mode="upsert", ignore_unknown=False)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", "12"),
        ("12.5", "12.5"),
        ("12,50", "12.50"),
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("1,234,567", "1234567"),
        ("1.234.567,8", "1234567.8"),
        ("1 234,56", "1234.56"),
        ("1\u00a0234,56 €", "1234.56"),
        ("1\u202f234", "1234"),
        ("1'234.50", "1234.50"),
        ("€ 12,50", "12.50"),
        ("$12.50", "12.50"),
        ("USD 12.50", "12.50"),
        ("12.50 CHF", "12.50"),
        ("-5", "-5"),
        ("0,125", "0.125"),
        ("1234.567", "1234.567"),
        ("12.34.56", "12.34.56"),
        ("1,2,3", "1,2,3"),
        ("12 pcs", "12 pcs"),
        ("1e5", "1e5"),
        ("free", "free"),
        ("", ""),
    ],
)
def test_numbers_are_read_as_people_write_them(text: str, number: str) -> None:
    assert normalize_number(text) == number


@pytest.mark.parametrize("text", ["1.234", "1,234", "12.345 €", "123,456"])
def test_a_number_with_two_meanings_is_refused(text: str) -> None:
    with pytest.raises(CellError, match="may be"):
        normalize_number(text)


def build_xlsx(*rows: list[Any]) -> io.BytesIO:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as workbook:
        sheet = workbook.add_worksheet()
        date_format = workbook.add_format({"num_format": "yyyy-mm-dd"})
        for number, row in enumerate(rows):
            for column, value in enumerate(row):
                if isinstance(value, date):
                    sheet.write_datetime(number, column, value, date_format)
                elif isinstance(value, str) and value.startswith("="):
                    sheet.write_formula(number, column, value, value=7)
                elif value is not None:
                    sheet.write(number, column, value)
    return file


def read_xlsx(tmp_path: Any, file: io.BytesIO) -> list[tuple[int, list[Any]]]:
    path = tmp_path / "file.xlsx"
    path.write_bytes(file.getvalue())
    with path.open("rb") as stored:
        return list(xlsx_files.read_records(stored))


def test_cells_of_spreadsheets_are_read_with_their_types(tmp_path: Any) -> None:
    header = ["sku", "name", "price", "stock"]
    file = build_xlsx(
        header,
        ["00123", "Desk", 0.1 + 0.2, 4],
        [],
        [123, "=1+6", 1.5, "4"],
        [True, date(2026, 1, 2), 1, 2.5],
    )
    file_format = detect_format(file, mode="upsert", ignore_unknown=False)
    assert (file_format.file_type, file_format.fields) == ("xlsx", header)
    records = read_xlsx(tmp_path, file)[1:]
    assert [line for line, _ in records] == [2, 4, 5]
    rows = [RowValidator(header, header).validate(cells) for _, cells in records]
    assert rows[0] == ({"sku": "00123", "name": "Desk", "price": "0.30", "stock": 4}, [])
    assert rows[1] == ({"sku": "123", "name": "7", "price": "1.50", "stock": 4}, [])
    errors = [(e["column"], e["code"], e["value"]) for e in rows[2][1]]
    assert errors == [
        ("sku", "invalid", "TRUE"),
        ("name", "invalid", "2026-01-02"),
        ("stock", "invalid", "2.5"),
    ]


def refused_code(read_file: Callable[[], Any]) -> str:
    with pytest.raises(FileRefused) as refused:
        read_file()
    return refused.value.errors[0][0]


def build_zip(members: dict[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file


def test_hostile_archives_are_refused(monkeypatch: Any) -> None:
    monkeypatch.setattr(xlsx_files, "MAX_UNPACKED_BYTES", 1_000_000)
    bomb = build_zip({"xl/worksheets/sheet1.xml": b"0" * 2_000_000})
    broken = build_zip({"xl/worksheets/sheet1.xml": b"<broken"})
    other = build_zip({"word/document.xml": b"<w/>"})
    codes = [
        refused_code(lambda file=file: detect_format(file, mode="upsert", ignore_unknown=False))
        for file in (bomb, broken, other)
    ]
    assert codes == ["unpacked_too_large", "broken", "unsupported"]


def test_a_row_with_more_cells_than_the_header_is_an_error_and_with_fewer_is_none() -> None:
    validator = RowValidator(["sku", "stock"], ["sku", "stock"])
    assert validator.validate(["A"]) == ({"sku": "A"}, [])
    assert validator.validate(["A", "1", ""]) == ({"sku": "A", "stock": 1}, [])
    _, [error] = validator.validate(["A", "1", "extra"])
    assert (error["code"], error["value"]) == ("extra_cell", "extra")
