"""Which files are taken for documents, and what text is read from them."""

import codecs
import zlib
from io import BytesIO
from pathlib import Path

import docx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.documents import DocumentRefused, Extracted, Kind, extract, plain_text, sniff
from common.tests.support import documents as made

PUMP = (
    "The pump in the eastern hall failed on Monday morning, shortly before the first shift began. "
    "Bob replaced it on Tuesday with the spare one, which had been in store for eleven years. "
    "A new spare has to be ordered before December, and the supplier wants to be paid in advance."
)
ROOF = "The roof is tight again. It cost 4,800 euros and took the three of them a whole week."


def kind_of(data: bytes) -> Kind:
    stream = BytesIO(data)
    kind = sniff(stream, len(data))
    assert stream.tell() == 0
    return kind


def refusal(data: bytes) -> str:
    """The code with which it is refused at sight."""
    with pytest.raises(DocumentRefused) as caught:
        kind_of(data)
    assert caught.value.message.endswith(".")
    return caught.value.code


def read(data: bytes | Path) -> Extracted:
    return extract(data, kind_of(data if isinstance(data, bytes) else data.read_bytes()))


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
def test_text_is_told_by_what_it_holds(data):
    assert kind_of(data) is Kind.TEXT


def test_kinds_are_told_by_content():
    assert kind_of(made.pdf_of("Hello")) is Kind.PDF
    assert kind_of(b"\x01\x02junk before it\n" + made.pdf_of("Hello")) is Kind.PDF
    assert kind_of(made.docx_of("Hello")) is Kind.DOCX


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b" \r\n\t", "no_text"),
        (codecs.BOM_UTF8, "no_text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "unsupported"),
        (b"text with a \0 in it", "unsupported"),
        (b"\x7fELF\x02\x01\x01" + b"\0" * 64, "unsupported"),
        ("Привет из Москвы, всё хорошо".encode("cp1251"), "unsupported"),
        ("こんにちは世界".encode("shift-jis"), "unsupported"),
        ("Grüße".encode("utf-16-le"), "unsupported"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8" * 20, "unsupported"),
        (rb"{\rtf1 Hello}", "unsupported"),
        (zlib.compress(bytes(range(256))), "unsupported"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 512, "encrypted"),
        (b"PK\x05\x06" + b"\0" * 18, "unsupported"),
        (b"PK\x03\x04 and no more", "broken"),
        (made.docx_of("Hello")[:-40], "broken"),
        (made.zipped({"[Content_Types].xml": "", "xl/workbook.xml": ""}), "unsupported"),
        (made.zipped({"mimetype": "", "content.xml": ""}), "unsupported"),
        (made.zipped({"META-INF/MANIFEST.MF": "", "word/document.xml": ""}), "unsupported"),
    ],
)
def test_what_is_no_document_is_refused_at_sight(data, code):
    assert refusal(data) == code


def test_word_documents_that_are_not_taken():
    document = made.part(made.paragraph("Hello"))
    macros = made.zipped(
        {"[Content_Types].xml": "", "word/document.xml": document, "word/vbaProject.bin": b"x"}
    )
    assert refusal(macros) == "unsupported"
    encrypted = bytearray(made.word_file(document))
    encrypted[encrypted.rindex(b"PK\x01\x02") + 8] |= 1
    assert refusal(bytes(encrypted)) == "encrypted"


def test_size_is_limited(settings):
    settings.DOCUMENTS = settings.DOCUMENTS | {"max_bytes": 1000, "max_characters": 100}
    assert refusal(b"x" * 1001) == "too_large"
    assert refusal(b"x" * 101) == "too_long"
    assert refusal("é".encode() * 101) == "too_long"
    assert kind_of("é".encode() * 100) is Kind.TEXT


NOTE = f'<w:footnote w:id="2">{made.paragraph("A note.")}{made.paragraph("More.")}</w:footnote>'
ITEM = '<w:pPr><w:numPr><w:numId w:val="3"/></w:numPr></w:pPr>'
ROW = "".join(f"<w:tc>{made.paragraph(word)}</w:tc>" for word in ("one", "two", "three"))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<w:p><w:r><w:t>a</w:t><w:br/><w:t>b</w:t><w:tab/><w:t>c</w:t></w:r></w:p>", "a\nb c"),
        (made.paragraph("One.") + made.paragraph("Two."), "One.\n\nTwo."),
        (made.paragraph("one", before=ITEM) + made.paragraph("two", before=ITEM), "- one\n- two"),
        (f"<w:tr>{ROW}</w:tr><w:tr>{ROW}</w:tr>", "one | two | three\none | two | three"),
        (f"<w:tr><w:tc><w:tr>{ROW}</w:tr></w:tc></w:tr>", "one | two | three"),
        (
            '<w:p><w:r><w:t>a</w:t><w:footnoteReference w:id="2"/></w:r></w:p>',
            "a\n\nA note.\n\nMore.",
        ),
        (made.paragraph("\ufb03\ufb03"), "ffiffi"),
    ],
    ids=["signs", "paragraphs", "a list", "a table", "a frame", "a note", "ligatures"],
)
def test_all_that_is_put_into_a_text_counts(settings, content, text):
    notes = {"footnotes": made.part(NOTE, name="footnotes")} if "footnote" in content else {}
    assert_longest(settings, made.word_file(made.part(content), **notes), text)


def test_what_divides_the_pages_of_a_pdf_counts(settings):
    page = b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
    data = made.pdf_by_hand(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R 6 0 R] /Count 2 >>",
        page, made.stream(made.WORDS), made.FONT, page,
    )  # fmt: skip
    assert_longest(settings, data, "The pump works well.\nThe pump works well.")


def test_a_ligature_counts_as_its_letters(settings):
    assert_longest(settings, "\ufb03\ufb03".encode(), "ffiffi")


def assert_longest(settings, data, text):
    """A limit of the length of `text`, which `data` holds, lets it pass; one less does not."""
    settings.DOCUMENTS = settings.DOCUMENTS | {"max_characters": len(text)}
    assert read(data).text == text
    settings.DOCUMENTS = settings.DOCUMENTS | {"max_characters": len(text) - 1}
    with pytest.raises(DocumentRefused) as caught:
        read(data)
    assert caught.value.code == "too_long"


def test_a_pdf_is_read_in_whole_sentences():
    """Though its lines are broken, and a sentence goes on over the page."""
    first, last = PUMP.split("on Tuesday")
    text = read(made.pdf_of(f"Minutes\n\n{ROOF}\n\n{first}", f"on Tuesday{last}")).text
    assert "Minutes\n" in text
    assert PUMP in text.replace("\n", " ")
    assert all(sentence in text for sentence in (ROOF.split(". ")[1], PUMP.split(". ")[1]))


def test_a_long_pdf_is_read_to_its_end(tmp_path):
    file = tmp_path / "long.pdf"
    file.write_bytes(made.plain_pdf(300, ["The pump works well."] * 20))
    text = read(file).text
    assert text.startswith("Page 1.")
    assert [f"Page {n}." in text for n in (150, 300, 301)] == [True, True, False]


def test_too_many_pages_are_refused():
    with pytest.raises(DocumentRefused, match="more than 1,000 pages"):
        read(made.plain_pdf(1001))


def test_a_pdf_that_asks_for_a_password_is_refused():
    with pytest.raises(DocumentRefused, match="encrypted"):
        read(made.pdf_of(PUMP, password="secret"))
    assert "eastern hall" in read(made.pdf_of(PUMP, password="")).text


def test_a_scan_says_that_there_is_no_text():
    with pytest.raises(DocumentRefused, match=r"no text in it: it may be a scan\."):
        read(made.drawn_pdf())


def test_a_damaged_page_is_left_out_and_told():
    good, bad = made.stream(made.WORDS), b"<< /Filter [1 2] /Length 3 >>\nstream\nxyz\nendstream"
    page = (
        b"<< /Type /Page /Parent 2 0 R /Contents %d 0 R /Resources << /Font << /F1 7 0 R >> >> >>"
    )
    found = read(
        made.pdf_by_hand(
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>",
            page % 5, page % 6, good, bad, made.FONT,
        )
    )  # fmt: skip
    assert found == Extracted("The pump works well.", "1 of 2 pages, which are damaged")


def test_a_pdf_with_a_wrong_table_of_contents_is_read():
    whole = made.page_by_hand(made.stream(made.WORDS))
    at = whole.rindex(b"startxref")
    assert read(whole[:at] + b"startxref\n7\n%%EOF").text == "The pump works well."


def test_a_word_document_is_read_in_order():
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "Harbour Works"
    document.sections[0].footer.paragraphs[0].text = "Confidential"
    document.add_heading("Minutes", 1)
    document.add_paragraph(ROOF).add_run("\tNo leaks.\nNone.")
    document.add_paragraph("Paint it", style="List Bullet")
    document.add_paragraph("Pay Bob", style="List Number")
    table = document.add_table(2, 2)
    for at, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"cell {at}"
    table.cell(1, 1).add_table(1, 2).cell(0, 1).text = "inner"
    file = BytesIO()
    document.save(file)
    assert read(file.getvalue()).text == (
        f"Harbour Works\n\nMinutes\n\n{ROOF} No leaks.\nNone.\n\n- Paint it\n- Pay Bob\n\n"
        "cell 0 | cell 1\ncell 2 | cell 3 inner\n\nConfidential"
    )


def test_what_word_keeps_beside_the_text():
    """Changes are taken as accepted, a box is read once, a note follows its paragraph."""
    number = (
        '<w:pPr><w:tabs><w:tab w:val="left"/></w:tabs>'
        '<w:numPr><w:numId w:val="%d"/></w:numPr></w:pPr>'
    )
    box = f"<w:txbxContent>{made.paragraph('In a box.')}</w:txbxContent>"
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
        + made.paragraph("An item", before=number % 3)
        + made.paragraph("No item", before=number % 0)
        + "<w:p><w:r><w:instrText>DATE</w:instrText></w:r><w:r><w:t>Today</w:t></w:r></w:p>"
    )
    note = f'<w:footnote w:id="2">{made.paragraph("Not all of us.")}</w:footnote>'
    found = read(made.word_file(made.part(body), footnotes=made.part(note, name="footnotes")))
    assert found.text.split("\n\n") == [
        "We do agree.", "Not all of us.", "In a box.", "Beside it.", "- An item", "No item",
        "Today",
    ]  # fmt: skip


def test_an_empty_word_document_has_no_text():
    with pytest.raises(DocumentRefused, match="no text"):
        read(made.docx_of(""))


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
def test_text_is_tidied(data, text):
    assert read(data) == Extracted(text)


def test_a_file_of_spaces_alone_is_refused_by_the_worker_too():
    with pytest.raises(DocumentRefused, match="no text"):
        extract("\u200b\xad".encode(), Kind.TEXT)


WRAPPED = """Sehr geehrte Damen und Herren,

die Pumpe in der östlichen Halle ist am Montag ausgefallen, kurz bevor die
erste Schicht begann. Bob hat sie am Dienstag durch die Er-
satzpumpe ersetzt, die seit elf Jahren im Lager lag. Vor Dezember muss eine
neue bestellt werden.

- Angebot einholen
- Zahlung im Voraus klären"""


def test_lines_that_a_mail_program_broke_are_joined():
    lines = plain_text.unwrapped(WRAPPED).split("\n")
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
def test_other_lines_are_left_alone(text):
    assert plain_text.unwrapped(text) == text


@given(st.text(st.characters(codec=None, exclude_categories=[])))
@example("\ud800\x00\x1d\x85\u2029")
def test_any_text_is_made_fit_for_json_and_postgresql(text):
    tidy = plain_text.tidied(text)
    assert "\0" not in tidy
    tidy.encode()
    assert plain_text.tidied(tidy) == tidy
    joined = plain_text.unwrapped(tidy)
    assert not set(joined) - set(tidy) - {" "}
