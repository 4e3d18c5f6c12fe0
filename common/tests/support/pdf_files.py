"""Small PDF files with what is hard to read: fonts, forms, columns, tables, heads."""

from collections.abc import Sequence
from io import BytesIO
from textwrap import wrap

from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Table

from common.tests.support.documents import FONT, build_pdf, build_single_page_pdf, pdf_stream

LINE_HEIGHT = 13
PAGE_WIDTH = 480


def build_font_pdf(font: bytes, shown: bytes, *others: bytes) -> bytes:
    """Return a page that shows the bytes `shown` in a font, object 5. `others` are from 6 on."""
    return build_pdf(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        pdf_stream(b"BT /F1 12 Tf 100 700 Td <%b> Tj ET" % shown.hex().encode()),
        font,
        *others,
    )


def build_cid_pdf(cmap: str, ordering: str, shown: bytes) -> bytes:
    """Return a page in a font of Adobe's character collection `ordering`, without ToUnicode."""
    return build_font_pdf(
        b"<< /Type /Font /Subtype /Type0 /BaseFont /Font /Encoding /%b /DescendantFonts [6 0 R] >>"
        % cmap.encode(),
        shown,
        b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Font /CIDSystemInfo"
        b" << /Registry (Adobe) /Ordering (%b) /Supplement 2 >> /FontDescriptor"
        b" << /Type /FontDescriptor /FontName /Font /Flags 4 >> >>" % ordering.encode(),
    )


def build_form_pdf(labels: Sequence[str], annotations: Sequence[bytes], *others: bytes) -> bytes:
    """Return a page with labels from the top, each 40 points below the last, and annotations.

    `others` are the objects after them, which begin with number 6.
    """
    lines = b" 0 -40 Td ".join(b"(%b) Tj" % label.encode("latin-1") for label in labels)
    fields = b" ".join(b"%d 0 R" % (6 + number) for number in range(len(annotations)))
    return build_pdf(
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [%b]"
        b" /DR << /Font << /Helv 5 0 R >> >> /DA (/Helv 12 Tf 0 g) >> >>" % fields,
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Annots [%b]"
        b" /Resources << /Font << /F1 5 0 R >> >> >>" % fields,
        pdf_stream(b"BT /F1 12 Tf 50 700 Td %b ET" % lines),
        FONT,
        *annotations,
        *others,
    )


def build_annotation(kind: str, y: int, entries: str, *, flags: int = 4, x: int = 120) -> bytes:
    return (
        f"<< /Type /Annot /Subtype /{kind} /F {flags} /Rect [{x} {y} {x + 200} {y + 20}]"
        f" /DA (/Helv 12 Tf 0 g) {entries} >>"
    ).encode("latin-1")


def build_appearance(content: bytes) -> bytes:
    """Return the form that draws an annotation."""
    return pdf_stream(
        b"BT /F1 12 Tf 5 5 Td (%b) Tj ET" % content,
        b"/Type /XObject /Subtype /Form /BBox [0 0 200 20] /Resources << /Font << /F1 5 0 R >> >>",
    )


def make_lines_pdf(*lines: str) -> bytes:
    """Return a page with these lines."""
    shown = b" T* ".join(
        b"(%b) Tj" % line.encode("cp1252").replace(b"(", b"\\(").replace(b")", b"\\)")
        for line in lines
    )
    content = b"BT /F1 12 Tf 14 TL 50 700 Td %b ET" % shown
    return build_single_page_pdf(pdf_stream(content)).replace(
        b"/BaseFont /Helvetica", b"/BaseFont /Helvetica /Encoding /WinAnsiEncoding"
    )


def make_columns_pdf(
    texts: Sequence[str], *, title: str = "", foot: str = "", by_rows: bool = True
) -> bytes:
    """Return a page with a column for each text, drawn row by row or column by column."""
    file = BytesIO()
    canvas = Canvas(file)
    width = (PAGE_WIDTH - 20 * (len(texts) - 1)) / len(texts)
    columns = [wrap(text, int(width / 5)) for text in texts]
    height = max(map(len, columns))
    places = [(column, row) for column in range(len(texts)) for row in range(height)]
    if by_rows:
        places.sort(key=lambda place: place[1])
    canvas.setFont("Helvetica", 10)
    canvas.drawString(60, 740 + 2 * LINE_HEIGHT, title)
    for column, row in places:
        if row < len(columns[column]):
            x, y = 60 + column * (width + 20), 740 - row * LINE_HEIGHT
            canvas.drawString(x, y, columns[column][row])
    canvas.drawString(60, 740 - (height + 1) * LINE_HEIGHT, foot)
    canvas.save()
    return file.getvalue()


def make_story_pdf(*parts: str | Sequence[Sequence[str]]) -> bytes:
    """Return a PDF of paragraphs and tables. Long cells are wrapped."""
    style = getSampleStyleSheet()["BodyText"]

    def build_cell(text: str) -> Paragraph | str:
        return Paragraph(text, style) if len(text) > 40 else text

    story: list[Flowable] = [
        Paragraph(part, style)
        if isinstance(part, str)
        else Table(
            [[build_cell(cell) for cell in row] for row in part],
            colWidths=[PAGE_WIDTH / len(part[0])] * len(part[0]),
        )
        for part in parts
    ]
    file = BytesIO()
    SimpleDocTemplate(file).build(story)
    return file.getvalue()


def make_pages_pdf(pages: Sequence[Sequence[tuple[float, float, str]]]) -> bytes:
    """Return pages with texts at given places."""
    file = BytesIO()
    canvas = Canvas(file)
    for page in pages:
        canvas.setFont("Helvetica", 11)
        for x, y, text in page:
            canvas.drawString(x, y, text)
        canvas.showPage()
    canvas.save()
    return file.getvalue()
