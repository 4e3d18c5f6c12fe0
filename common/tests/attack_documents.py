"""Documents that attack the parsers, and the processes that parse them."""

import io
import os
import signal
import struct
import subprocess
import sys
import threading
import zlib
from contextlib import suppress
from functools import partial

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common import subprocesses
from common.documents import (
    DocumentLimits,
    DocumentRefused,
    DocumentType,
    extract,
    sniff,
)
from common.documents.parser_process import build_answer
from common.subprocesses import INHERITED_VARIABLES, ROOT
from common.tests.support import eventually
from common.tests.support.documents import (
    PAGE_CONTENT,
    build_docx,
    build_pdf,
    build_single_page_pdf,
    compressed_stream,
    make_docx,
    make_pdf,
    make_zip,
    pdf_stream,
    word_paragraph,
    word_part,
)

pytestmark = pytest.mark.slow

MB = 1_000_000
LINUX = sys.platform == "linux"
WORD_PART = word_part(word_paragraph("The pump works well."))
NESTED_ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
ENTITY_DOCTYPE = (
    f'<!DOCTYPE w [<!ENTITY l0 "lol">{NESTED_ENTITIES}<!ENTITY x SYSTEM "file:///etc/passwd">]>'
)


@pytest.fixture
def small_limits(settings):
    settings.DOCUMENTS = settings.DOCUMENTS | {"memory_mb": 160, "seconds": 1}


def extract_or_error_code(data: bytes) -> str:
    """Return the text of `data`, or the code with which it is refused."""
    try:
        return extract(data, sniff(io.BytesIO(data), len(data))).text
    except DocumentRefused as error:
        return error.code


def form_object(number: int, content: bytes) -> bytes:
    """Return a form XObject that may draw the form of this object number."""
    drawn = b"/Resources << /Font << /F1 5 0 R >> /XObject << /X %d 0 R >> >>" % number
    return pdf_stream(content, b"/Type /XObject /Subtype /Form /BBox [0 0 600 800] " + drawn)


def nested_forms_pdf() -> bytes:
    """Return a PDF whose forms each draw the next one twenty times."""
    forms = [form_object(number + 1, b"/X Do " * 20) for number in range(6, 18)]
    forms.append(form_object(18, PAGE_CONTENT))
    start = b"/XObject << /X 6 0 R >>"
    return build_single_page_pdf(pdf_stream(b"/X Do " * 20), *forms, resources=start)


def cross_reference_pdf(entries: int) -> bytes:
    packed = zlib.compress(bytes(3) * entries, 9)
    what = b"/Type /XRef /Size %d /W [1 1 1] /Root 1 0 R /Filter /FlateDecode" % entries
    return b"%PDF-1.5\n1 0 obj\n" + pdf_stream(packed, what) + b"\nendobj\nstartxref\n9\n%%EOF"


CATALOGUE = b"<< /Type /Catalog /Pages 2 0 R >>"
HOSTILE_PDFS = {
    "a gigabyte of content": lambda: build_single_page_pdf(compressed_stream(b"\n" * MB, 1000)),
    "millions of words": lambda: build_single_page_pdf(compressed_stream(PAGE_CONTENT * 1000, 200)),
    "deeply nested brackets": lambda: build_single_page_pdf(compressed_stream(b"[" * MB, 50)),
    "a form that draws itself": lambda: build_single_page_pdf(
        pdf_stream(b"/X Do"),
        form_object(6, b"/X Do"),
        resources=b"/XObject << /X 6 0 R >>",
    ),
    "nested forms": nested_forms_pdf,
    "pages that contain themselves": lambda: build_pdf(
        CATALOGUE, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"
    ),
    "one page a thousand times": lambda: build_pdf(
        CATALOGUE,
        b"<< /Type /Pages /Count 1 /Kids [%b] >>" % (b"3 0 R " * 50_000),
        b"<< /Type /Page >>",
    ),
    "objects in a circle": lambda: build_pdf(b"2 0 R", b"1 0 R"),
    "a deeply nested object": lambda: build_pdf(CATALOGUE, b"[" * 200_000),
    "a huge table of objects": lambda: cross_reference_pdf(9 * MB),
    "no pages": lambda: build_pdf(b"<< /Type /Catalog >>"),
    "only a signature": lambda: b"%PDF-1.7\n",
    "noise": lambda: b"%PDF-1.7\n" + bytes(range(256)) * 400,
}


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("name", HOSTILE_PDFS)
def test_a_hostile_pdf_is_refused(name):
    assert extract_or_error_code(HOSTILE_PDFS[name]()) in {
        "broken",
        "too_expensive",
        "too_many_pages",
        "no_text",
    }


HOSTILE_WORD_PARTS = {
    "entities that multiply": lambda: word_part(word_paragraph("&l11;"), before=ENTITY_DOCTYPE),
    "a file of the server": lambda: word_part(word_paragraph("&x;"), before=ENTITY_DOCTYPE),
    "nested cells": lambda: "<w:p xmlns:w='w'>" + "<w:tc>" * 4 * MB,
    "many empty paragraphs": lambda: word_part("<w:p/>" * 6 * MB),
    "no XML": lambda: "The pump works well.",
    "a cut-off part": lambda: WORD_PART[:-40],
}


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("name", HOSTILE_WORD_PARTS)
def test_a_hostile_word_document_is_refused(name):
    assert extract_or_error_code(build_docx(HOSTILE_WORD_PARTS[name]())) in {
        "broken",
        "too_expensive",
    }


LONG_WORD_CONTENTS = {
    "words": lambda: word_paragraph("word " * MB),
    "line breaks": lambda: f"<p><r>{'<br/><t>a</t>' * MB}</r></p>",
    "paragraphs": lambda: "<p><t>a</t></p>" * MB,
    "cells": lambda: f"<tr>{'<tc><p><t>a</t></p></tc>' * MB}</tr>",
}


@pytest.mark.parametrize("name", LONG_WORD_CONTENTS)
def test_too_long_word_text_is_refused(settings, name):
    """Except for "words", the letters alone would be within the limit."""
    settings.DOCUMENTS = settings.DOCUMENTS | {"max_characters": MB}
    assert extract_or_error_code(build_docx(word_part(LONG_WORD_CONTENTS[name]()))) == "too_long"


def test_an_archive_that_unpacks_to_too_much_is_refused_without_parsing():
    data = build_docx(WORD_PART + " " * 101 * MB)
    with pytest.raises(DocumentRefused) as error:
        sniff(io.BytesIO(data), len(data))
    assert error.value.code == "unpacked_too_large"


def test_an_archive_with_a_false_size_is_refused():
    content = WORD_PART + " " * 20 * MB
    actual, declared = struct.pack("<I", len(content)), struct.pack("<I", len(WORD_PART))
    assert extract_or_error_code(build_docx(content).replace(actual, declared)) == "broken"


@pytest.mark.parametrize("count", [6_000, 30_000])
def test_an_archive_of_too_many_files_is_refused_without_parsing(count):
    """The directory of 30,000 files is not read."""
    members = {f"{number:0>40}": "" for number in range(count)}
    data = make_zip({"[Content_Types].xml": "", "word/document.xml": WORD_PART, **members})
    with pytest.raises(DocumentRefused) as error:
        sniff(io.BytesIO(data), len(data))
    assert error.value.code == "too_many_members"


def test_other_files_of_an_archive_are_not_unpacked(tmp_path):
    inner = make_zip({"bomb": "0" * MB})
    members = {"../../outside.txt": "x", "/tmp/outside.txt": "x", "word/media/inner.zip": inner}
    data = make_zip({"[Content_Types].xml": "", "word/document.xml": WORD_PART, **members})
    assert extract_or_error_code(data) == "The pump works well."


def test_the_child_process_stays_within_its_memory_limit(settings):
    """And this process does not grow with it."""
    settings.DOCUMENTS = settings.DOCUMENTS | {"memory_mb": 200, "seconds": 20}
    data = build_docx("<w:p xmlns:w='w'>" + "<w:p>" * 4 * MB)
    rss_before, child_rss, finished = psutil.Process().memory_info().rss, [0], threading.Event()

    def watch():
        while not finished.wait(0.01):
            for child in parser_processes():
                with suppress(psutil.Error):
                    child_rss.append(child.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    assert extract_or_error_code(data) == "too_expensive"
    finished.set()
    thread.join()
    assert 20 * MB < max(child_rss) <= 200 * MB
    assert psutil.Process().memory_info().rss - rss_before < 30 * MB


def parser_processes(parent_pid: int | None = None) -> list[psutil.Process]:
    """Return the children of this or another process that are parsing documents."""
    return [child for child in psutil.Process(parent_pid).children() if is_parser(child)]


def is_parser(child: psutil.Process) -> bool:
    try:
        return "common.documents.parser_process" in child.cmdline()
    except psutil.Error:
        return False


def has_ended(child: psutil.Process) -> bool:
    return not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


class Interrupted(Exception):
    pass


def test_an_interrupted_worker_leaves_no_child_process():
    data = build_docx(HOSTILE_WORD_PARTS["many empty paragraphs"]())

    def interrupt(*_):
        raise Interrupted

    def is_parsing():
        # A younger child may be unknown to the worker, because `Popen` has not returned yet.
        return any(child.cpu_times().user > 0.1 for child in parser_processes())

    def interrupt_parsing():
        eventually(is_parsing, "a child parses")
        os.kill(os.getpid(), signal.SIGUSR1)

    previous_handler = signal.signal(signal.SIGUSR1, interrupt)
    thread = threading.Thread(target=interrupt_parsing)
    thread.start()
    try:
        with pytest.raises(Interrupted):
            extract(data, DocumentType.DOCX)
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, previous_handler)
    assert not parser_processes()


def test_a_killed_worker_leaves_no_child_process(tmp_path):
    """On other systems than Linux, the child ends when its time is up."""
    file = tmp_path / "slow.docx"
    file.write_bytes(build_docx(HOSTILE_WORD_PARTS["many empty paragraphs"]()))
    settings = dict.fromkeys(DocumentLimits.__slots__, 1000) | {"seconds": 4}
    code = f"""
from pathlib import Path
from django.conf import settings
from common.documents import DocumentType, extract
settings.configure(DOCUMENTS={settings})
extract(Path({str(file)!r}), DocumentType.DOCX)"""
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    eventually(lambda: parser_processes(worker.pid), "a child parses")
    (child,) = parser_processes(worker.pid)
    worker.kill()
    worker.wait()
    eventually(lambda: has_ended(child), "the child ends", within=1 if LINUX else 10)


@pytest.mark.usefixtures("small_limits")
def test_the_child_process_inherits_no_secrets(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "swordfish")
    data = build_docx(HOSTILE_WORD_PARTS["many empty paragraphs"]())
    thread = threading.Thread(target=extract_or_error_code, args=[data])
    thread.start()
    eventually(parser_processes, "a child parses")
    names = set(parser_processes()[0].environ())
    thread.join()
    assert "PATH" in names
    assert names <= {*INHERITED_VARIABLES, "LC_CTYPE"}


def test_a_parser_that_cannot_start_does_not_refuse_the_document(monkeypatch, tmp_path):
    monkeypatch.setattr("common.subprocesses.ROOT", tmp_path)
    with pytest.raises(RuntimeError, match="status 1"):
        extract(make_docx("Hello"), DocumentType.DOCX)


def test_a_too_large_answer_is_refused(monkeypatch):
    """A later run would end the same way."""
    start_unbounded = partial(subprocesses.start, "common.tests.support.unbounded_parser")
    monkeypatch.setattr(
        subprocesses, "start", lambda _, arguments, **kw: start_unbounded(arguments, **kw)
    )
    assert extract_or_error_code(make_docx("Hello")) == "too_long"


LIMITS = DocumentLimits(10 * MB, 10 * MB, 100, 100_000, 500, 60)
FILES = {
    DocumentType.PDF: [
        make_pdf("One. Two.", "Three."),
        build_single_page_pdf(pdf_stream(PAGE_CONTENT)),
    ],
    DocumentType.DOCX: [make_docx("One.", "Two."), build_docx(WORD_PART)],
}
damage_strategy = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8
)


@given(st.data(), damage_strategy, st.floats(0.2, 1))
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_read_or_refused(data, damage, kept_ratio):
    document_type = data.draw(st.sampled_from(list(FILES)))
    file = bytearray(data.draw(st.sampled_from(FILES[document_type])))
    for position, value in damage:
        file[int(position * len(file))] = value
    damaged = bytes(file[: int(kept_ratio * len(file))])
    answer = build_answer(document_type, io.BytesIO(damaged), LIMITS)
    assert set(answer) in ({"text", "omitted"}, {"message", "code"})
    with suppress(DocumentRefused):
        sniff(io.BytesIO(damaged), len(damaged))
