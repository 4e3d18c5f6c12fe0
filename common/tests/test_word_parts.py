"""Tables, inserted files and other parts of Word documents."""

from io import BytesIO

import pytest

from common.documents import DocumentRefused, ExtractedText
from common.documents.docx_parser import parse_docx
from common.documents.limits import get_limits
from common.tests.support.documents import build_docx, make_zip, word_paragraph, word_part

RELATIONS = (
    '<Relationships><Relationship Id="r1" Target="{target}" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/aFChunk"/>'
    "</Relationships>"
)
HTML = "<html><style>p{}</style><body><p>The pump failed.</p><p>Order one.</p></body></html>"
MAIL = (
    b'MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary="b"\r\n\r\n--b\r\n'
    b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"<html><body><p>The pump failed.</p><p>Order =\r\none.</p></body></html>\r\n--b--\r\n"
)


def parse(docx: bytes) -> ExtractedText:
    return parse_docx(BytesIO(docx), get_limits())


def build_docx_with_chunk(
    data: str | bytes, *, target: str = "afchunk.dat", body: str = ""
) -> bytes:
    main = word_part(f'{body}<w:altChunk xmlns:r="urn:r" r:id="r1"/>{word_paragraph("The end.")}')
    return make_zip(
        {
            "[Content_Types].xml": "<Types/>",
            "word/document.xml": main,
            "word/_rels/document.xml.rels": RELATIONS.format(target=target),
            "word/afchunk.dat": data,
        }
    )


def cell(text: str = "", properties: str = "") -> str:
    paragraph = word_paragraph(text) if text else "<w:p/>"
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{paragraph}</w:tc>"


def row(*cells: str, properties: str = "") -> str:
    return f"<w:tr><w:trPr>{properties}</w:trPr>{''.join(cells)}</w:tr>"


def parse_table(*rows: str) -> str:
    return parse(build_docx(word_part(f"<w:tbl>{''.join(rows)}</w:tbl>"))).text


HEAD = row(cell("Task"), cell("Owner"), cell("Due"))


@pytest.mark.parametrize(
    ("table_row", "line"),
    [
        (row(cell("Order"), cell(), cell("May")), "Order | | May"),
        (row(cell(), cell("Bob"), cell("June")), "| Bob | June"),
        (row(cell("Bob"), cell("June"), properties='<w:gridBefore w:val="1"/>'), "| Bob | June"),
        (row(cell("Order", '<w:gridSpan w:val="2"/>'), cell("May")), "Order | | May"),
        (row(cell("Order"), cell("", "<w:vMerge/>"), cell("May")), "Order | | May"),
        (row(cell("All of it", '<w:gridSpan w:val="3"/>')), "All of it"),
        (row(cell(), cell(), cell()), ""),
        (row(cell("A", '<w:gridSpan w:val="x"/>'), cell("B")), "A | B"),
    ],
)
def test_the_cells_of_a_table_keep_their_columns(table_row, line):
    head, _, rest = parse_table(HEAD, table_row).partition("\n")
    assert (head, rest.strip()) == ("Task | Owner | Due", line)


def test_a_table_in_a_cell_does_not_move_the_other_cells():
    inner = f"<w:tbl>{row(cell(), cell('x'))}{row(cell('y'), cell('z'))}</w:tbl>"
    outer = row(f"<w:tc>{inner}<w:p/></w:tc>", cell("Bob"), cell("May"))
    assert parse_table(HEAD, outer) == "Task | Owner | Due\nx y z | Bob | May"


@pytest.mark.parametrize("target", ["afchunk.dat", "/word/afchunk.dat", "../word/afchunk.dat"])
@pytest.mark.parametrize(
    "chunk",
    [
        HTML,
        HTML.encode("utf-16"),
        MAIL,
        "The pump failed.\n\nOrder one.",
        build_docx(word_part(word_paragraph("The pump failed.") + word_paragraph("Order one."))),
    ],
    ids=["html", "utf-16", "web archive", "text", "document"],
)
def test_an_inserted_file_is_read_in_its_place(chunk, target):
    docx = build_docx_with_chunk(chunk, target=target, body=word_paragraph("The start."))
    assert parse(docx) == ExtractedText("The start.\n\nThe pump failed.\n\nOrder one.\n\nThe end.")


@pytest.mark.parametrize(
    "chunk",
    [
        rb"{\rtf1 The pump failed.}",
        b"\x89PNG\r\n\x1a\n\0\0",
        make_zip({"x": "y"}),
    ],
    ids=["rtf", "image", "zip"],
)
def test_an_inserted_file_that_is_not_read_is_named(chunk):
    extracted = parse(build_docx_with_chunk(chunk))
    assert extracted == ExtractedText("The end.", "inserted files of a type that is not supported")


def test_a_document_of_nothing_but_unread_parts_says_so():
    relations = {"word/_rels/document.xml.rels": RELATIONS.format(target="afchunk.dat")}
    main = word_part('<w:altChunk xmlns:r="urn:r" r:id="r1"/>')
    parts = {"[Content_Types].xml": "", "word/document.xml": main, "word/afchunk.dat": r"{\rtf1 x}"}
    with pytest.raises(DocumentRefused, match="no text: it has inserted files"):
        parse(make_zip({**parts, **relations}))


def test_diagrams_are_read_and_other_parts_are_named():
    diagram = '<m xmlns:a="urn:a"><a:p><a:r><a:t>Plan, build, test</a:t></a:r></a:p></m>'
    docx = build_docx(
        word_part(word_paragraph("The process:")),
        **{
            "diagrams/data1": diagram,
            "comments": word_part(word_paragraph("Really?"), name="comments"),
            "charts/chart1": "<c/>",
            "embeddings/sheet": "<x/>",
        },
    )
    assert parse(docx) == ExtractedText(
        "The process:\n\nPlan, build, test", "comments, charts, embedded files"
    )


def test_text_in_content_controls_boxes_and_insertions_is_read_and_deletions_are_not():
    box = f"<w:r><w:txbxContent>{word_paragraph('In a box.')}</w:txbxContent></w:r>"
    body = (
        f"<w:sdt><w:sdtContent>{word_paragraph('In a control.')}</w:sdtContent></w:sdt>"
        f"<w:p>{box}<w:ins><w:r><w:t>New. </w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>Old. </w:delText></w:r></w:del><w:r><w:t>Kept.</w:t></w:r></w:p>"
    )
    assert parse(build_docx(word_part(body))).text == "In a control.\n\nIn a box.\n\nNew. Kept."
