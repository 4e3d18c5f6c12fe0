"""Parse the text of a PDF. Runs only in `parser_process`."""

from itertools import pairwise
from typing import IO

from pypdf import PageObject, PdfReader, overwrite_configuration
from pypdf.errors import DependencyError, LimitReachedError

from common.documents import plain_text
from common.documents.errors import (
    DocumentRefused,
    no_text_error,
    too_expensive_error,
    too_long_error,
)
from common.documents.types import DocumentLimits, ExtractedText


def parse_pdf(stream: IO[bytes], limits: DocumentLimits) -> ExtractedText:
    """Return the text of all pages. Damaged ones are left out and `omitted`."""
    overwrite_configuration(
        page_tree_maximum_entries=4 * limits.max_pages,
        zlib_maximum_output_length=limits.max_unpacked_bytes,
        jbig2dec_binary=None,
    )
    try:
        return _join_pages(_read_pages(PdfReader(stream), limits))
    except LimitReachedError:
        raise too_expensive_error() from None


def _read_pages(reader: PdfReader, limits: DocumentLimits) -> list[str | None]:
    """Return the text of each page, None for a damaged one."""
    _decrypt(reader)
    _check_page_count(reader, limits)
    texts, chars_left = [], limits.max_characters
    for page in reader.pages:
        text = _extract_page(page)
        chars_left -= len(text or "")
        if chars_left < 0:
            raise too_long_error(limits)
        texts.append(text)
    return texts


def _decrypt(reader: PdfReader) -> None:
    """Decrypt with the empty password, which most encrypted files have.

    Their other password only restricts printing and changes.
    """
    try:
        locked = reader.is_encrypted and not reader.decrypt("")
    except (DependencyError, NotImplementedError):
        locked = True
    if locked:
        raise DocumentRefused("The PDF is encrypted. Save it without a password.", "encrypted")


def _check_page_count(reader: PdfReader, limits: DocumentLimits) -> None:
    """Refuse too many pages.

    The declared count is checked first, because counting 10,000 pages takes a second.
    """
    declared = reader.root_object["/Pages"].get("/Count")  # type: ignore[attr-defined]
    exceeds = isinstance(declared, int) and declared > limits.max_pages
    if exceeds or len(reader.pages) > limits.max_pages:
        raise DocumentRefused(
            f"The PDF has more than {limits.max_pages:,} pages.", "too_many_pages"
        )


def _extract_page(page: PageObject) -> str | None:
    """Return the text of `page`, or None if it is damaged."""
    try:
        return page.extract_text()
    except (LimitReachedError, MemoryError):
        raise
    except Exception:  # pypdf raises errors of any type on damaged pages
        return None


def _join_pages(texts: list[str | None]) -> ExtractedText:
    damaged = texts.count(None)
    pages = [text.strip() for text in texts if text]
    joined = "".join(
        page + (" " if plain_text.continues_sentence(page, next_page) else "\n")
        for page, next_page in pairwise([*pages, ""])
    )
    text = plain_text.unwrap_lines(plain_text.normalize(joined))
    if damaged == len(texts):
        raise DocumentRefused("None of the pages can be read.", "broken")
    if not text:
        raise no_text_error("it may be a scan")
    omitted = f"{damaged} of {len(texts)} pages, which are damaged" if damaged else ""
    return ExtractedText(text, omitted)
