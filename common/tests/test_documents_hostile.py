"""Documents that are attacks, and what is left of the worker that reads them."""

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
from common.documents import DocumentRefused, Kind, Limits, extract, sniff
from common.documents.parser_process import answer_to
from common.subprocesses import ENVIRONMENT, ROOT
from common.tests.support import documents as made
from common.tests.support import eventually

MB = 1_000_000
LINUX = sys.platform == "linux"
HELLO = made.part(made.paragraph("The pump works well."))
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
ENTITIES = f'<!DOCTYPE w [<!ENTITY l0 "lol">{LAUGHS}<!ENTITY x SYSTEM "file:///etc/passwd">]>'


@pytest.fixture
def small_limits(settings):
    settings.DOCUMENTS = settings.DOCUMENTS | {"memory_mb": 160, "seconds": 1}


def outcome(data: bytes) -> str:
    """The text that is read, or the code with which it is refused."""
    try:
        return extract(data, sniff(io.BytesIO(data), len(data))).text
    except DocumentRefused as refused:
        return refused.code


def form(number: int, content: bytes) -> bytes:
    """A form XObject that may draw the one with this number."""
    drawn = b"/Resources << /Font << /F1 5 0 R >> /XObject << /X %d 0 R >> >>" % number
    return made.stream(content, b"/Type /XObject /Subtype /Form /BBox [0 0 600 800] " + drawn)


def laughing_forms() -> bytes:
    """Each draws the next twenty times."""
    forms = [form(number + 1, b"/X Do " * 20) for number in range(6, 18)]
    forms.append(form(18, made.WORDS))
    start = b"/XObject << /X 6 0 R >>"
    return made.page_by_hand(made.stream(b"/X Do " * 20), *forms, resources=start)


def cross_references(entries: int) -> bytes:
    packed = zlib.compress(bytes(3) * entries, 9)
    what = b"/Type /XRef /Size %d /W [1 1 1] /Root 1 0 R /Filter /FlateDecode" % entries
    return b"%PDF-1.5\n1 0 obj\n" + made.stream(packed, what) + b"\nendobj\nstartxref\n9\n%%EOF"


CATALOGUE = b"<< /Type /Catalog /Pages 2 0 R >>"
PDFS = {
    "a gigabyte of content": made.page_by_hand(made.flate(b"\n" * MB, 1000)),
    "millions of words": made.page_by_hand(made.flate(made.WORDS * 1000, 200)),
    "deep brackets": made.page_by_hand(made.flate(b"[" * MB, 50)),
    "a form of itself": made.page_by_hand(
        made.stream(b"/X Do"), form(6, b"/X Do"), resources=b"/XObject << /X 6 0 R >>"
    ),
    "pages of themselves": made.pdf_by_hand(
        CATALOGUE, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"
    ),
    "one page a thousand times": made.pdf_by_hand(
        CATALOGUE,
        b"<< /Type /Pages /Count 1 /Kids [%b] >>" % (b"3 0 R " * 50_000),
        b"<< /Type /Page >>",
    ),
    "objects in a circle": made.pdf_by_hand(b"2 0 R", b"1 0 R"),
    "a deep object": made.pdf_by_hand(CATALOGUE, b"[" * 200_000),
    "a huge table of objects": cross_references(9 * MB),
    "no pages": made.pdf_by_hand(b"<< /Type /Catalog >>"),
    "no more than a mark": b"%PDF-1.7\n",
    "noise": b"%PDF-1.7\n" + bytes(range(256)) * 400,
}


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("name", PDFS)
def test_a_pdf_that_attacks_is_refused(name):
    assert outcome(PDFS[name]) in {"broken", "too_expensive", "too_many_pages", "no_text"}


def test_forms_that_multiply_are_drawn_so_often_and_no_more():
    assert set(outcome(laughing_forms()).split("\n")) == {"The pump works well."}


WORDS = {
    "entities that multiply": made.part(made.paragraph("&l11;"), before=ENTITIES),
    "a file of ours": made.part(made.paragraph("&x;"), before=ENTITIES),
    "cells in cells": "<w:p xmlns:w='w'>" + "<w:tc>" * 4 * MB,
    "nothing, often": made.part("<w:p/>" * 6 * MB),
    "no XML": "The pump works well.",
    "half of it": HELLO[:-40],
}


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("name", WORDS)
def test_a_word_document_that_attacks_is_refused(name):
    assert outcome(made.word_file(WORDS[name])) in {"broken", "too_expensive"}


ENDLESS = {
    "words": made.paragraph("word " * MB),
    "line breaks": f"<p><r>{'<br/><t>a</t>' * MB}</r></p>",
    "paragraphs": "<p><t>a</t></p>" * MB,
    "cells": f"<tr>{'<tc><p><t>a</t></p></tc>' * MB}</tr>",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_text_without_end_is_refused(settings, name):
    """The letters alone are within the limit, but for the words'."""
    settings.DOCUMENTS = settings.DOCUMENTS | {"max_characters": MB}
    assert outcome(made.word_file(made.part(ENDLESS[name]))) == "too_long"


def test_an_archive_that_unpacks_to_too_much_is_refused_at_sight():
    data = made.word_file(HELLO + " " * 101 * MB)
    with pytest.raises(DocumentRefused) as caught:
        sniff(io.BytesIO(data), len(data))
    assert caught.value.code == "unpacked_too_large"


def test_an_archive_that_lies_about_its_size_is_refused():
    content = HELLO + " " * 20 * MB
    true, said = struct.pack("<I", len(content)), struct.pack("<I", len(HELLO))
    assert outcome(made.word_file(content).replace(true, said)) == "broken"


@pytest.mark.parametrize("names", [6_000, 30_000])
def test_an_archive_of_too_many_files_is_refused_at_sight(names):
    """The longer directory is not even read."""
    members = {f"{number:0>40}": "" for number in range(names)}
    data = made.zipped({"[Content_Types].xml": "", "word/document.xml": HELLO, **members})
    with pytest.raises(DocumentRefused) as caught:
        sniff(io.BytesIO(data), len(data))
    assert caught.value.code == "too_many_members"


def test_what_else_is_in_an_archive_stays_there(tmp_path):
    inner = made.zipped({"bomb": "0" * MB})
    members = {"../../outside.txt": "x", "/tmp/outside.txt": "x", "word/media/inner.zip": inner}
    data = made.zipped({"[Content_Types].xml": "", "word/document.xml": HELLO, **members})
    assert outcome(data) == "The pump works well."


def test_the_child_keeps_within_its_memory(settings):
    """And this process gets none of it."""
    settings.DOCUMENTS = settings.DOCUMENTS | {"memory_mb": 200, "seconds": 20}
    data = made.word_file("<w:p xmlns:w='w'>" + "<w:p>" * 4 * MB)
    before, most, over = psutil.Process().memory_info().rss, [0], threading.Event()

    def watch():
        while not over.wait(0.01):
            for child in readers():
                with suppress(psutil.Error):
                    most.append(child.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    assert outcome(data) == "too_expensive"
    over.set()
    thread.join()
    assert 20 * MB < max(most) <= 200 * MB
    assert psutil.Process().memory_info().rss - before < 30 * MB


def readers(parent: int | None = None) -> list[psutil.Process]:
    """The children that read documents just now."""
    return [child for child in psutil.Process(parent).children() if reads(child)]


def reads(child: psutil.Process) -> bool:
    try:
        return "common.documents.parser_process" in child.cmdline()
    except psutil.Error:
        return False


def ended(child: psutil.Process) -> bool:
    return not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


class Interrupted(Exception):
    pass


def test_an_interrupted_worker_leaves_no_child():
    data = made.word_file(WORDS["nothing, often"])

    def interrupt(*_):
        raise Interrupted

    def reads_for_some_time():
        # Before, `Popen` may not have returned, and nobody knows the child.
        return any(reader.cpu_times().user > 0.1 for reader in readers())

    def interrupt_the_reading():
        eventually(reads_for_some_time, "a child reads")
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    thread = threading.Thread(target=interrupt_the_reading)
    thread.start()
    try:
        with pytest.raises(Interrupted):
            extract(data, Kind.DOCX)
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert not readers()


def test_a_killed_worker_leaves_no_child(tmp_path):
    """Where the system can't tell the child, it ends when its time is up."""
    file = tmp_path / "slow.docx"
    file.write_bytes(made.word_file(WORDS["nothing, often"]))
    settings = dict.fromkeys(Limits.__slots__, 1000) | {"seconds": 4}
    code = f"""
from pathlib import Path
from django.conf import settings
from common.documents import Kind, extract
settings.configure(DOCUMENTS={settings})
extract(Path({str(file)!r}), Kind.DOCX)"""
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    eventually(lambda: readers(worker.pid), "a child reads")
    (child,) = readers(worker.pid)
    worker.kill()
    worker.wait()
    eventually(lambda: ended(child), "the child ends", within=1 if LINUX else 10)


@pytest.mark.usefixtures("small_limits")
def test_no_secret_is_in_the_childs_environment(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "swordfish")
    data = made.word_file(WORDS["nothing, often"])
    thread = threading.Thread(target=outcome, args=[data])
    thread.start()
    eventually(readers, "a child reads")
    names = set(readers()[0].environ())
    thread.join()
    assert "PATH" in names
    assert names <= {*ENVIRONMENT, "LC_CTYPE"}


def test_a_reader_that_can_not_start_is_no_fault_of_the_document(monkeypatch, tmp_path):
    monkeypatch.setattr("common.subprocesses.ROOT", tmp_path)
    with pytest.raises(RuntimeError, match="status 1"):
        extract(made.docx_of("Hello"), Kind.DOCX)


def test_an_answer_that_takes_too_much_room_is_refused(monkeypatch):
    """Another try would end the same way."""
    wordy = partial(subprocesses.start, "common.tests.support.unbounded_parser")
    monkeypatch.setattr(subprocesses, "start", lambda _, orders, **kw: wordy(orders, **kw))
    assert outcome(made.docx_of("Hello")) == "too_long"


LIMITS = Limits(10 * MB, 10 * MB, 100, 100_000, 500, 60)
FILES = {
    Kind.PDF: [made.pdf_of("One. Two.", "Three."), made.page_by_hand(made.stream(made.WORDS))],
    Kind.DOCX: [made.docx_of("One.", "Two."), made.word_file(HELLO)],
}
damages = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8)


@given(st.data(), damages, st.floats(0.2, 1))
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_text_or_refused(data, damages, kept):
    kind = data.draw(st.sampled_from(list(FILES)))
    file = bytearray(data.draw(st.sampled_from(FILES[kind])))
    for place, value in damages:
        file[int(place * len(file))] = value
    damaged = bytes(file[: int(kept * len(file))])
    answer = answer_to(kind, io.BytesIO(damaged), LIMITS)
    assert set(answer) in ({"text", "omitted"}, {"message", "code"})
    with suppress(DocumentRefused):
        sniff(io.BytesIO(damaged), len(damaged))
