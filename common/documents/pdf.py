"""The text of a PDF. For `child.py` alone."""

from itertools import pairwise
from typing import IO

from pypdf import PageObject, PdfReader, overwrite_configuration
from pypdf.errors import DependencyError, LimitReachedError

from common.documents import plain_text
from common.documents.limits import too_long
from common.documents.types import DocumentRefused, Extracted, Limits, no_text, too_expensive


def read(stream: IO[bytes], most: Limits) -> Extracted:
    """The text of all pages. One that is damaged is left out, and `omitted` says so."""
    overwrite_configuration(
        page_tree_maximum_entries=4 * most.max_pages,
        zlib_maximum_output_length=most.max_unpacked_bytes,
        jbig2dec_binary=None,
    )
    try:
        return _read(stream, most)
    except LimitReachedError:
        raise too_expensive() from None


def _read(stream: IO[bytes], most: Limits) -> Extracted:
    reader = PdfReader(stream)
    _unlock(reader)
    _check_pages(reader, most)
    texts, left = [], most.max_characters
    for page in reader.pages:
        text = _text_of(page)
        left -= len(text or "")
        if left < 0:
            raise too_long(most)
        texts.append(text)
    return _joined(texts)


def _unlock(reader: PdfReader) -> None:
    """Most encrypted files open without a password: it only guards what may be done with them."""
    try:
        locked = reader.is_encrypted and not reader.decrypt("")
    except (DependencyError, NotImplementedError):
        locked = True
    if locked:
        raise DocumentRefused("It is encrypted: save it without a password.", "encrypted")


def _check_pages(reader: PdfReader, most: Limits) -> None:
    """By what the file says first: it takes a second to find ten thousand pages."""
    said = reader.root_object["/Pages"].get("/Count")  # type: ignore[attr-defined]
    if (isinstance(said, int) and said > most.max_pages) or len(reader.pages) > most.max_pages:
        raise DocumentRefused(f"It has more than {most.max_pages:,} pages.", "too_many_pages")


def _text_of(page: PageObject) -> str | None:
    """None where the page can't be read."""
    try:
        return page.extract_text()
    except (LimitReachedError, MemoryError):
        raise
    except Exception:  # pypdf raises anything at all on what is broken
        return None


def _joined(texts: list[str | None]) -> Extracted:
    unread = texts.count(None)
    pages = [text.strip() for text in texts if text]
    divided = "".join(
        before + (" " if plain_text.goes_on(before, after) else "\n")
        for before, after in pairwise([*pages, ""])
    )
    text = plain_text.unwrapped(plain_text.tidied(divided))
    if unread == len(texts):
        raise DocumentRefused("None of its pages can be read.", "broken")
    if not text:
        raise no_text("it may be a scan")
    omitted = f"{unread} of {len(texts)} pages, which are damaged" if unread else ""
    return Extracted(text, omitted)
