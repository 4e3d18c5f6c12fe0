"""Documents as the usual libraries make them, and by hand where those would make none so bad."""

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
WORDS = b"BT /F1 12 Tf 50 700 Td (The pump works well.) Tj ET\n"


def pdf_of(*pages: str, password: str | None = None) -> bytes:
    """Set by reportlab: on each page the paragraphs of one text, broken into lines.

    A `password` encrypts it; "" guards only what may be done with it.
    """
    style = getSampleStyleSheet()["BodyText"]
    story: list[Flowable] = []
    for page in pages:
        story += [Paragraph(text, style) for text in page.split("\n\n")]
        story.append(PageBreak())
    file = BytesIO()
    SimpleDocTemplate(file, encrypt=password and _locked(password)).build(story)
    return file.getvalue()


def _locked(password: str) -> object:
    from reportlab.lib.pdfencrypt import StandardEncryption

    return StandardEncryption(password, strength=128)


def plain_pdf(pages: int, lines: Sequence[str] = ("The pump works well.",)) -> bytes:
    """The same lines on each of many pages, quickly."""
    file = BytesIO()
    canvas = Canvas(file, pageCompression=1)
    for number in range(1, pages + 1):
        text = canvas.beginText(50, 780)
        for line in (f"Page {number}.", *lines):
            text.textLine(line)
        canvas.drawText(text)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def drawn_pdf() -> bytes:
    """A page of lines and no text, as a scan is."""
    file = BytesIO()
    canvas = Canvas(file)
    canvas.line(50, 50, 500, 700)
    canvas.save()
    return file.getvalue()


def docx_of(*paragraphs: str) -> bytes:
    file = BytesIO()
    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    document.save(file)
    return file.getvalue()


def zipped(members: dict[str, str | bytes]) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def word_file(document: str | bytes, **others: str | bytes) -> bytes:
    """The least that a Word document is made of, `document` being its main part."""
    parts = {"[Content_Types].xml": "<Types/>", "word/document.xml": document}
    return zipped({**parts, **{f"word/{name}.xml": part for name, part in others.items()}})


def part(content: str, *, name: str = "document", before: str = "") -> str:
    return f'{before}<w:{name} xmlns:w="{NAMESPACE}">{content}</w:{name}>'


def paragraph(text: str, *, before: str = "") -> str:
    return f"<w:p>{before}<w:r><w:t>{text}</w:t></w:r></w:p>"


def pdf_by_hand(*objects: bytes) -> bytes:
    """The first object is the catalogue."""
    file, places = BytesIO(), []
    file.write(b"%PDF-1.7\n")
    for number, content in enumerate(objects, start=1):
        places.append(file.tell())
        file.write(b"%d 0 obj\n%b\nendobj\n" % (number, content))
    start = file.tell()
    file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    file.writelines(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Root 1 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF"
    file.write(end % (len(objects) + 1, start))
    return file.getvalue()


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<< %b /Length %d >>\nstream\n%b\nendstream" % (entries, len(data), data)


def flate(unit: bytes, times: int) -> bytes:
    """A compressed stream of `unit` so many times, never whole in memory."""
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(unit) for _ in range(times)) + packer.flush()
    return stream(data, b"/Filter /FlateDecode")


def page_by_hand(content: bytes, *others: bytes, resources: bytes = b"") -> bytes:
    """One page; `content` is its stream, and `others` are the objects from number 6 on."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources "
    page += b"<< /Font << /F1 5 0 R >> %b >> >>" % resources
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    catalogue = b"<< /Type /Catalog /Pages 2 0 R >>"
    return pdf_by_hand(catalogue, pages, page, content, FONT, *others)
