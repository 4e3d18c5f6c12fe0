"""Which files are accepted as documents, and what text is extracted from them."""

import codecs
import zlib
from io import BytesIO
from pathlib import Path

import docx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.documents import (
    DocumentRefused,
    DocumentType,
    ExtractedText,
    extract,
    plain_text,
    sniff,
)
from common.tests.support.documents import (
    FONT,
    PAGE_CONTENT,
    build_docx,
    build_pdf,
    build_single_page_pdf,
    make_docx,
    make_pdf,
    make_plain_pdf,
    make_scan_pdf,
    make_zip,
    pdf_stream,
    word_paragraph,
    word_part,
)

pytestmark = pytest.mark.slow

PUMP = (
    "The pump in the eastern hall failed on Monday morning, shortly before the first shift began. "
    "Bob replaced it on Tuesday with the spare one, which had been in store for eleven years. "
    "A new spare has to be ordered before December, and the supplier wants to be paid in advance."
)
ROOF = "The roof is tight again. It cost 4,800 euros and took the three of them a whole week."


def detect_type(data: bytes) -> DocumentType:
    stream = BytesIO(data)
    document_type = sniff(stream, len(data))
    assert stream.tell() == 0
    return document_type


def sniff_error_code(data: bytes) -> str:
    """Return the code with which `sniff` refuses `data`."""
    with pytest.raises(DocumentRefused) as error:
        detect_type(data)
    assert error.value.message.endswith(".")
    return error.value.code


def sniff_and_extract(source: bytes | Path) -> ExtractedText:
    data = source if isinstance(source, bytes) else source.read_bytes()
    return extract(source, detect_type(data))


@pytest.mark.parametrize(
    "data",
    [
        b"# Title\n\nSome *Markdown*.",
        b"PDF files begin with %PDF-1.7, say the rules.",
        "Grüße aus Köln".encode(),
        codecs.BOM_UTF8 + b"With a mark",
        "Grüße".encode("utf-16"),
        codecs.BOM_UTF16_BE + "Привет".encode("utf-16-be"),
        "Grüße – “alles gut”".encode("cp1252"),
        b"<p>PK\x03\x04</p>".replace(b"\x03\x04", b""),
        b"x",
    ],
)
def test_plain_text_is_detected_by_content(data):
    assert detect_type(data) is DocumentType.TEXT


def test_pdf_and_docx_are_detected_by_content():
    assert detect_type(make_pdf("Hello")) is DocumentType.PDF
    assert detect_type(b"\x01\x02junk before it\n" + make_pdf("Hello")) is DocumentType.PDF
    assert detect_type(make_docx("Hello")) is DocumentType.DOCX


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b" \r\n\t", "no_text"),
        (codecs.BOM_UTF8, "no_text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "unsupported"),
        (b"text with a \0 in it", "unsupported"),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 64, "unsupported"),
        (b"M\xe1y b\xfdm", "unsupported"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8" * 20, "unsupported"),
        (rb"{\rtf1 Hello}", "unsupported"),
        (zlib.compress(bytes(range(256))), "unsupported"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512, "encrypted"),
        (b"PK\x05\x06" + b"\0" * 18, "unsupported"),
        (b"PK\x03\x04 and no more", "broken"),
        (make_docx("Hello")[:-40], "broken"),
        (make_zip({"[Content_Types].xml": "", "xl/workbook.xml": ""}), "unsupported"),
        (make_zip({"mimetype": "", "content.xml": ""}), "unsupported"),
        (make_zip({"META-INF/MANIFEST.MF": "", "word/document.xml": ""}), "unsupported"),
    ],
)
def test_other_files_are_refused_without_parsing(data, code):
    assert sniff_error_code(data) == code


def test_encrypted_documents_and_macros_are_refused():
    document = word_part(word_paragraph("Hello"))
    macros = make_zip(
        {"[Content_Types].xml": "", "word/document.xml": document, "word/vbaProject.bin": b"x"}
    )
    assert sniff_error_code(macros) == "unsupported"
    encrypted = bytearray(build_docx(document))
    encrypted[encrypted.rindex(b"PK\x01\x02") + 8] |= 1
    assert sniff_error_code(bytes(encrypted)) == "encrypted"


def test_bytes_and_characters_are_limited(settings):
    settings.DOCUMENTS = settings.DOCUMENTS | {"max_bytes": 1000, "max_characters": 100}
    assert sniff_error_code(b"x" * 1001) == "too_large"
    assert sniff_error_code(b"x" * 101) == "too_long"
    assert sniff_error_code("é".encode() * 101) == "too_long"
    assert detect_type("é".encode() * 100) is DocumentType.TEXT


NOTE = f'<w:footnote w:id="2">{word_paragraph("A note.")}{word_paragraph("More.")}</w:footnote>'
ITEM = '<w:pPr><w:numPr><w:numId w:val="3"/></w:numPr></w:pPr>'
ROW = "".join(f"<w:tc>{word_paragraph(word)}</w:tc>" for word in ("one", "two", "three"))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<w:p><w:r><w:t>a</w:t><w:br/><w:t>b</w:t><w:tab/><w:t>c</w:t></w:r></w:p>", "a\nb c"),
        (word_paragraph("One.") + word_paragraph("Two."), "One.\n\nTwo."),
        (
            word_paragraph("one", before=ITEM) + word_paragraph("two", before=ITEM),
            "- one\n- two",
        ),
        (f"<w:tr>{ROW}</w:tr><w:tr>{ROW}</w:tr>", "one | two | three\none | two | three"),
        (f"<w:tr><w:tc><w:tr>{ROW}</w:tr></w:tc></w:tr>", "one | two | three"),
        (
            '<w:p><w:r><w:t>a</w:t><w:footnoteReference w:id="2"/></w:r></w:p>',
            "a\n\nA note.\n\nMore.",
        ),
        (word_paragraph("\ufb03\ufb03"), "ffiffi"),
    ],
    ids=["characters", "paragraphs", "a list", "a table", "a frame", "a note", "ligatures"],
)
def test_all_characters_added_to_a_docx_text_count(settings, content, text):
    notes = {"footnotes": word_part(NOTE, name="footnotes")} if "footnote" in content else {}
    assert_exact_length(settings, build_docx(word_part(content), **notes), text)


def test_separators_between_pdf_pages_count(settings):
    page = b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
    data = build_pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R 6 0 R] /Count 2 >>",
        page, pdf_stream(PAGE_CONTENT), FONT, page,
    )  # fmt: skip
    assert_exact_length(settings, data, "The pump works well.\nThe pump works well.")


def test_a_ligature_counts_as_its_letters(settings):
    assert_exact_length(settings, "\ufb03\ufb03".encode(), "ffiffi")


def assert_exact_length(settings, data, text):
    """Assert that `data` has `text` and that each of its characters counts."""
    settings.DOCUMENTS = settings.DOCUMENTS | {"max_characters": len(text)}
    assert sniff_and_extract(data).text == text
    settings.DOCUMENTS = settings.DOCUMENTS | {"max_characters": len(text) - 1}
    with pytest.raises(DocumentRefused) as error:
        sniff_and_extract(data)
    assert error.value.code == "too_long"


def test_wrapped_lines_of_a_pdf_are_joined():
    """Also in a sentence that continues on the next page."""
    first, last = PUMP.split("on Tuesday")
    text = sniff_and_extract(make_pdf(f"Minutes\n\n{ROOF}\n\n{first}", f"on Tuesday{last}")).text
    assert "Minutes\n" in text
    assert PUMP in text.replace("\n", " ")
    assert all(sentence in text for sentence in (ROOF.split(". ")[1], PUMP.split(". ")[1]))


def test_a_long_pdf_is_read_to_its_end(tmp_path):
    file = tmp_path / "long.pdf"
    file.write_bytes(make_plain_pdf(300, ["The pump works well."] * 20))
    text = sniff_and_extract(file).text
    assert text.startswith("On day 1 nobody")
    assert [f"On day {n} nobody" in text for n in (150, 300, 301)] == [True, True, False]


def test_too_many_pages_are_refused():
    with pytest.raises(DocumentRefused, match="more than 1,000 pages"):
        sniff_and_extract(make_plain_pdf(1001))


def test_a_pdf_with_a_password_is_refused():
    with pytest.raises(DocumentRefused, match="encrypted"):
        sniff_and_extract(make_pdf(PUMP, password="secret"))
    assert "eastern hall" in sniff_and_extract(make_pdf(PUMP, password="")).text


def test_a_scan_is_refused_because_it_has_no_text():
    with pytest.raises(DocumentRefused, match=r"contains no text: it may be a scan\."):
        sniff_and_extract(make_scan_pdf())


def test_a_missing_page_and_a_scanned_page_are_reported_as_omitted():
    page = b"<< /Type /Page /Parent 2 0 R /Contents %d 0 R /Resources << %b >> >>"
    picture = b"/Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8"
    extracted = sniff_and_extract(
        build_pdf(
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R 4 0 R 9 0 R] /Count 3 >>",
            page % (5, b"/Font << /F1 7 0 R >>"),
            page % (6, b"/XObject << /P 8 0 R >>"),
            pdf_stream(PAGE_CONTENT),
            pdf_stream(b"600 0 0 800 0 0 cm /P Do"),
            FONT,
            pdf_stream(b"x", picture + b" /ColorSpace /DeviceGray"),
        )
    )
    assert extracted == ExtractedText(
        "The pump works well.",
        "1 of 3 pages, which are damaged; 1 of 3 pages, which are pictures without text",
    )


def test_a_pdf_with_a_wrong_cross_reference_offset_is_read():
    pdf = build_single_page_pdf(pdf_stream(PAGE_CONTENT))
    offset = pdf.rindex(b"startxref")
    assert sniff_and_extract(pdf[:offset] + b"startxref\n7\n%%EOF").text == "The pump works well."


def test_a_word_document_is_read_in_order():
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Harbour Works"
    document.sections[0].footer.paragraphs[0].text = "Confidential"
    document.add_heading("Minutes", 1)
    document.add_paragraph(ROOF).add_run("\tNo leaks.\nNone.")
    document.add_paragraph("Paint it", style="List Bullet")
    document.add_paragraph("Pay Bob", style="List Number")
    table = document.add_table(2, 2)
    for n, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"cell {n}"
    table.cell(1, 1).add_table(1, 2).cell(0, 1).text = "inner"
    file = BytesIO()
    document.save(file)
    assert sniff_and_extract(file.getvalue()).text == (
        f"Harbour Works\n\nMinutes\n\n{ROOF} No leaks.\nNone.\n\n- Paint it\n- Pay Bob\n\n"
        "cell 0 | cell 1\ncell 2 | cell 3 inner\n\nConfidential"
    )


def test_revisions_text_boxes_and_notes_of_word():
    """Changes count as accepted, a box is read once, and a note follows its paragraph."""
    number = (
        '<w:pPr><w:tabs><w:tab w:val="left"/></w:tabs>'
        '<w:numPr><w:numId w:val="%d"/></w:numPr></w:pPr>'
    )
    box = f"<w:txbxContent>{word_paragraph('In a box.')}</w:txbxContent>"
    both = f"<x:Choice xmlns:x='y'>{box}</x:Choice><x:Fallback xmlns:x='y'>{box}</x:Fallback>"
    changed = (
        "<w:p><w:r><w:t>We </w:t></w:r><w:ins><w:r><w:t>do</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>do not</w:delText></w:r></w:del>"
        "<w:moveFrom><w:r><w:t>never</w:t></w:r></w:moveFrom>"
        '<w:r><w:t> agree.</w:t><w:footnoteReference w:id="2"/></w:r></w:p>'
    )
    body = (
        changed
        + f"<w:p><w:r>{both}<w:t>Beside it.</w:t></w:r></w:p>"
        + word_paragraph("An item", before=number % 3)
        + word_paragraph("No item", before=number % 0)
        + "<w:p><w:r><w:instrText>DATE</w:instrText></w:r><w:r><w:t>Today</w:t></w:r></w:p>"
    )
    note = f'<w:footnote w:id="2">{word_paragraph("Not all of us.")}</w:footnote>'
    extracted = sniff_and_extract(
        build_docx(word_part(body), footnotes=word_part(note, name="footnotes"))
    )
    assert extracted.text.split("\n\n") == [
        "We do agree.", "Not all of us.", "In a box.", "Beside it.", "- An item", "No item",
        "Today",
    ]  # fmt: skip


def test_an_empty_word_document_has_no_text():
    with pytest.raises(DocumentRefused, match="no text"):
        sniff_and_extract(make_docx(""))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("Grüße".encode("utf-16"), "Grüße"),
        ("Grüße aus Köln – “gut”".encode("cp1252"), "Grüße aus Köln – “gut”"),
        ("Привет из Москвы, всё хорошо".encode()[:-1], "Привет из Москвы, всё хорош\ufffd"),
        (b"one\r\ntwo\rthree\x0cfour\n\n\n\nfive", "one\ntwo\nthree\nfour\n\nfive"),
        ("a\xadb \u200b \t c\x07 \ufb01ne".encode() + b" word" * 999, "ab c fine" + " word" * 999),
    ],
)
def test_text_is_decoded_and_normalised(data, text):
    assert sniff_and_extract(data) == ExtractedText(text)


def test_a_file_of_invisible_characters_is_refused_by_the_worker():
    with pytest.raises(DocumentRefused, match="no text"):
        extract("\u200b\xad".encode(), DocumentType.TEXT)


WRAPPED = """Sehr geehrte Damen und Herren,

die Pumpe in der östlichen Halle ist am Montag ausgefallen, kurz bevor die
erste Schicht begann. Bob hat sie am Dienstag durch die Er-
satzpumpe ersetzt, die seit elf Jahren im Lager lag. Vor Dezember muss eine
neue bestellt werden.

- Angebot einholen
- Zahlung im Voraus klären"""


def test_wrapped_lines_of_a_mail_are_joined():
    lines = plain_text.unwrap_lines(WRAPPED).split("\n")
    assert len(lines) == 6
    assert lines[2].count(". ") == 2
    assert "durch die Ersatzpumpe ersetzt" in lines[2]


@pytest.mark.parametrize(
    "text",
    [
        "milk\nbread and butter\neggs",
        "Ann: We should do that before the winter comes\nBob: Yes, that is right, and more\n" * 3,
        "| item number | price of it |\n| pump for the hall | 4,800 euros |\n" * 4,
        "A line that is a paragraph and ends with a full stop.\nAnother one that does the same.",
        "",
    ],
)
def test_lines_of_lists_and_tables_are_not_joined(text):
    assert plain_text.unwrap_lines(text) == text


@given(st.text(st.characters(codec=None, exclude_categories=[])))
@example("\ud800\x00\x1d\x85\u2029")
def test_any_text_becomes_valid_in_json_and_postgresql(text):
    normalized = plain_text.normalize(text)
    assert "\0" not in normalized
    normalized.encode()
    assert plain_text.normalize(normalized) == normalized
    joined = plain_text.unwrap_lines(normalized)
    assert not set(joined) - set(normalized) - {" "}
