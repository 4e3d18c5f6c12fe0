"""Compare the texts that libraries read from the PDF files of a folder with pdftotext's.

    python -m benchmarks.pdf_text FOLDER

Needs poppler's `pdftotext`, and for the compared libraries requirements/bench.txt. For each it
prints the files that it failed to read, the ratio of words that are missing, of those that only it
has, and of missing words that are a part of another one (glued), CPU seconds and peak memory.
Bureau leaves out page heads and feet and text that it can't read, which pdftotext has: these count
as missing. Each file is read in a process of its own, with the default limits of Bureau's child.
"""

import argparse
import logging
import os
import re
import resource
import subprocess
import tempfile
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from common.documents import DocumentLimits
from common.documents.pdf_parser import parse_pdf

MIN_WORDS = 5  # of a file; others say little
LIMITS = DocumentLimits(10**8, 10**8, 1000, 4_000_000, memory_mb=512, seconds=30)
YARDSTICK_TIMEOUT_S = 30

_word = re.compile(r"\w+")
_divided = re.compile("(\\w)[-\u2010\u00ad]\\s*\n\\s*(\\w)")


@dataclass
class Score:
    files: int = 0
    failed: int = 0
    words: int = 0
    missing: int = 0
    extra: int = 0
    glued: int = 0
    cpu_seconds: float = 0
    peak_mb: float = 0

    def __str__(self) -> str:
        missing, extra, glued = (
            f"{count / max(self.words, 1):7.2%}" for count in (self.missing, self.extra, self.glued)
        )
        return (
            f"{self.files:5} files, {self.failed:3} failed, {self.words:8} words, "
            f"{missing} missing, {extra} extra, {glued} glued, "
            f"{self.cpu_seconds:6.1f} s, {self.peak_mb:4.0f} MB"
        )


def read_by_bureau(path: Path) -> str:
    with path.open("rb") as file:
        return parse_pdf(file, LIMITS).text


def read_by_pdfium(path: Path) -> str:
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        return "\n".join(page.get_textpage().get_text_range() for page in document)


def read_by_pypdf(path: Path) -> str:
    import pypdf

    reader = pypdf.PdfReader(path)
    if reader.is_encrypted:
        reader.decrypt("")
    return "\n".join(page.extract_text() for page in reader.pages)


def read_by_pdfminer(path: Path) -> str:
    from pdfminer.high_level import extract_text

    return extract_text(path)


READERS: dict[str, Callable[[Path], str]] = {
    "Bureau": read_by_bureau,
    "PDFium": read_by_pdfium,
    "pypdf": read_by_pypdf,
    "pdfminer.six": read_by_pdfminer,
}


def read_by_pdftotext(path: Path) -> str:
    """Return the yardstick, "" if there is none."""
    try:
        done = subprocess.run(
            ["pdftotext", "-enc", "UTF-8", path, "-"],
            capture_output=True,
            timeout=YARDSTICK_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return ""
    return "" if done.returncode else done.stdout.decode(errors="replace")


def read_in_child(reader: Callable[[Path], str], path: Path, score: Score) -> str:
    """Return the text that `reader` finds, "" if it fails, and add its cost to `score`."""
    with tempfile.TemporaryFile() as output:
        pid = os.fork()
        if not pid:
            run_reader(reader, path, output.fileno())
        _, status, usage = os.wait4(pid, 0)
        score.cpu_seconds += usage.ru_utime + usage.ru_stime
        score.peak_mb = max(score.peak_mb, usage.ru_maxrss / 1000)
        score.failed += status != 0
        output.seek(0)
        return output.read().decode(errors="replace")


def run_reader(reader: Callable[[Path], str], path: Path, output: int) -> None:
    """Write the text into the descriptor `output` and end this process."""
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        resource.setrlimit(resource.RLIMIT_AS, (LIMITS.memory_mb * 1_000_000,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (LIMITS.seconds,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        text = reader(path)
        with os.fdopen(output, "wb", closefd=False) as file:
            file.write(text.encode(errors="replace"))
        status = 0
    finally:
        os._exit(status)


def count_words(text: str) -> Counter[str]:
    text = unicodedata.normalize("NFKC", text).replace("\ufffe", "\u00ad")
    text = _divided.sub(r"\1\2", text).replace("\u00ad", "")
    return Counter(_word.findall(text.lower()))


def compare(expected: str, text: str, score: Score) -> None:
    """Add the differences of two texts, as bags of words, to `score`."""
    expected_words, words = count_words(expected), count_words(text)
    missing, extra = expected_words - words, words - expected_words
    all_extra = "\n".join(extra)
    score.files += 1
    score.words += expected_words.total()
    score.missing += missing.total()
    score.extra += extra.total()
    score.glued += sum(n for word, n in missing.items() if len(word) > 1 and word in all_extra)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=READERS, help="measure one library")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    files = sorted(arguments.folder.rglob("*.pdf"))
    expected = {path: read_by_pdftotext(path) for path in files}
    for name, reader in READERS.items():
        if arguments.only in {None, name}:
            score = Score()
            for path, text in expected.items():
                if count_words(text).total() >= MIN_WORDS:
                    compare(text, read_in_child(reader, path, score), score)
            print(f"{name:12} {score}")


if __name__ == "__main__":
    main()
