"""Parse the text of a PDF. Runs only in `parser_process`."""

from itertools import chain
from typing import IO, NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from common.documents import plain_text
from common.documents.errors import (
    DocumentRefused,
    damaged_error,
    no_text_error,
    too_long_error,
    unreadable_error,
)
from common.documents.line_joining import is_continued, join_lines
from common.documents.page_layout import read_paragraphs
from common.documents.pdf_pages import PageContent, read_page
from common.documents.readability import is_readable
from common.documents.running_heads import remove_running_heads
from common.documents.types import DocumentLimits, ExtractedText


class _Pages(NamedTuple):
    readable: list[PageContent]
    damaged: int
    unreadable: int

    @property
    def pictures(self) -> int:
        return sum(page.is_picture for page in self.readable)

    @property
    def total(self) -> int:
        return len(self.readable) + self.damaged + self.unreadable


def parse_pdf(stream: IO[bytes], limits: DocumentLimits) -> ExtractedText:
    """Return the text of all pages. Those that cannot be read are left out and `omitted`."""
    with _open(stream.read()) as document:
        if len(document) > limits.max_pages:
            raise DocumentRefused(
                f"The PDF has more than {limits.max_pages:,} pages.", "too_many_pages"
            )
        pages = _read_pages(document, limits)
    text = _join_pages(pages.readable)
    if not text:
        raise _explain_missing_text(pages)
    return ExtractedText(text, _describe_omitted(pages))


def _open(data: bytes) -> pypdfium2.PdfDocument:
    """Open a PDF, also one that is encrypted with the empty password.

    Most encrypted files have it; their other password only restricts printing and changes.
    """
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in {pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY}:
            raise DocumentRefused(
                "The PDF is encrypted. Save it without a password.", "encrypted"
            ) from None
        raise damaged_error("PDF") from None
    document.init_forms()
    return document


def _read_pages(document: pypdfium2.PdfDocument, limits: DocumentLimits) -> _Pages:
    readable, damaged, unreadable, chars_left = [], 0, 0, limits.max_characters
    for number in range(len(document)):
        try:
            page = read_page(document, number)
        except pypdfium2.PdfiumError:
            damaged += 1
            continue
        text = " ".join(chain((each.text for each in page.fragments), page.turned))
        chars_left -= len(text)
        if chars_left < 0:
            raise too_long_error(limits)
        if page.is_incomplete or not is_readable(text, page.guessed_ratio):
            unreadable += 1
        else:
            readable.append(page)
    return _Pages(readable, damaged, unreadable)


def _join_pages(pages: list[PageContent]) -> str:
    texts: list[str] = []
    all_fragments = remove_running_heads(pages)
    for page, fragments in zip(pages, all_fragments, strict=True):
        text = "\n".join([*read_paragraphs(fragments), *page.turned]).strip()
        if texts and text and is_continued(texts[-1], text):
            texts[-1] = join_lines(texts[-1], text)
        elif text:
            texts.append(text)
    return plain_text.normalize("\n".join(texts))


def _explain_missing_text(pages: _Pages) -> DocumentRefused:
    if pages.unreadable:
        return unreadable_error()
    if pages.damaged and not pages.readable:
        return DocumentRefused("None of the pages can be read.", "broken")
    return no_text_error("it may be a scan")


def _describe_omitted(pages: _Pages) -> str:
    reasons = (
        (pages.damaged, "which are damaged"),
        (pages.pictures, "which are pictures without text"),
        (pages.unreadable, "whose fonts do not say which characters they show"),
    )
    return "; ".join(
        f"{count} of {pages.total} pages, {reason}" for count, reason in reasons if count
    )
