"""Documents for tests, made by libraries or, if malformed, by hand."""

import zlib
from collections.abc import Sequence
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import docx
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate

NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
PAGE_CONTENT = b"BT /F1 12 Tf 50 700 Td (The pump works well.) Tj ET\n"


def make_pdf(*pages: str, password: str | None = None) -> bytes:
    """Return a PDF by reportlab: each page has the wrapped paragraphs of one text.

    A `password` encrypts it; "" only restricts printing and changes.
    """
    style = getSampleStyleSheet()["BodyText"]
    story: list[Flowable] = []
    for page in pages:
        story += [Paragraph(text, style) for text in page.split("\n\n")]
        story.append(PageBreak())
    file = BytesIO()
    SimpleDocTemplate(file, encrypt=password and _encryption(password)).build(story)
    return file.getvalue()


def _encryption(password: str) -> object:
    from reportlab.lib.pdfencrypt import StandardEncryption

    return StandardEncryption(password, strength=128)


def make_plain_pdf(pages: int, lines: Sequence[str] = ("The pump works well.",)) -> bytes:
    """Return a PDF of many pages with the same lines, made quickly."""
    file = BytesIO()
    canvas = Canvas(file, pageCompression=1)
    for number in range(1, pages + 1):
        text = canvas.beginText(50, 780)
        for line in (f"On day {number} nobody was in the hall.", *lines):
            text.textLine(line)
        canvas.drawText(text)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def make_scan_pdf() -> bytes:
    """Return a PDF with a drawing and no text, like a scan."""
    file = BytesIO()
    canvas = Canvas(file)
    canvas.line(50, 50, 500, 700)
    canvas.save()
    return file.getvalue()


def make_docx(*paragraphs: str) -> bytes:
    """Return a Word document by python-docx."""
    file = BytesIO()
    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    document.save(file)
    return file.getvalue()


def make_zip(members: dict[str, str | bytes]) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def build_docx(main_part: str | bytes, **other_parts: str | bytes) -> bytes:
    """Return a Word document of the fewest possible parts."""
    parts = {"[Content_Types].xml": "<Types/>", "word/document.xml": main_part}
    others = {f"word/{name}.xml": part for name, part in other_parts.items()}
    return make_zip({**parts, **others})


def word_part(content: str, *, name: str = "document", before: str = "") -> str:
    return f'{before}<w:{name} xmlns:w="{NAMESPACE}">{content}</w:{name}>'


def word_paragraph(text: str, *, before: str = "") -> str:
    return f"<w:p>{before}<w:r><w:t>{text}</w:t></w:r></w:p>"


def build_pdf(*objects: bytes) -> bytes:
    """Return a PDF of `objects`, numbered from 1. The first is the catalogue."""
    file, offsets = BytesIO(), []
    file.write(b"%PDF-1.7\n")
    for number, content in enumerate(objects, start=1):
        offsets.append(file.tell())
        file.write(b"%d 0 obj\n%b\nendobj\n" % (number, content))
    xref_offset = file.tell()
    file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    file.writelines(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Root 1 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF"
    file.write(trailer % (len(objects) + 1, xref_offset))
    return file.getvalue()


def pdf_stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<< %b /Length %d >>\nstream\n%b\nendstream" % (entries, len(data), data)


def compressed_stream(unit: bytes, repeats: int) -> bytes:
    """Return a compressed PDF stream of `unit` repeated, without the whole in memory."""
    compressor = zlib.compressobj(9)
    data = b"".join(compressor.compress(unit) for _ in range(repeats)) + compressor.flush()
    return pdf_stream(data, b"/Filter /FlateDecode")


def build_single_page_pdf(content: bytes, *others: bytes, resources: bytes = b"") -> bytes:
    """Return a PDF of one page. `others` are its objects from number 6 on."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources "
    page += b"<< /Font << /F1 5 0 R >> %b >> >>" % resources
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    catalogue = b"<< /Type /Catalog /Pages 2 0 R >>"
    return build_pdf(catalogue, pages, page, content, FONT, *others)
