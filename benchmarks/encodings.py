"""Measure how many text files in other encodings than UTF-8 are read correctly.

The sentences are Django's own translations, written in the encodings that were common for their
languages. `python -m benchmarks.encodings` prints, by length, how many are right, wrong, refused.
"""

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import django

from common.documents.errors import DocumentRefused
from common.documents.plain_text import decode

LENGTHS = (25, 60, 200, 1_500)  # of the texts, in characters
TEXTS_PER_LANGUAGE = 6
MAX_LOST_RATIO = 0.02  # of the characters that an encoding lacks
GROUPS = {
    "Western": ("de fr es it pt nl sv da fi nb is ca ga af eu gl", "cp1252 iso8859-15"),
    "Macintosh, DOS": ("de fr es it pt nl sv da fi nb is ca ga af eu gl", "mac-roman cp850"),
    "Central European": ("pl cs sk hu sl hr ro bs sq", "cp1250 iso8859-2"),
    "the same, Macintosh, DOS": ("pl cs sk hu sl hr ro bs", "mac-latin2 cp852"),
    "Turkish": ("tr az", "cp1254 iso8859-9"),
    "Cyrillic": ("ru uk bg be sr mk", "cp1251 koi8-r koi8-u iso8859-5 cp866 mac-cyrillic"),
    "Greek": ("el", "cp1253 iso8859-7"),
    "Baltic": ("lt lv et", "cp1257 iso8859-13 iso8859-4"),
    "Hebrew, Arabic, Thai": ("he ar fa th", "cp1255 cp1256 iso8859-6 cp874"),
    "Japanese": ("ja", "cp932 euc-jp iso2022-jp"),
    "Chinese": ("zh_Hans zh_Hant", "gb18030 big5"),
    "Korean": ("ko", "euc-kr"),
    "UTF-16 without a mark": ("de pl ru ja el zh_Hans ar he", "utf-16-le utf-16-be"),
}

_message = re.compile(r'^msgstr(?:\[\d\])? ((?:".*"\n?)+)', re.MULTILINE)
_placeholder = re.compile(r"%\(?\w*\)?[sd]|\{\w*\}|<[^>]*>|&\w+;|\\n")


def load_sentences(language: str) -> list[str]:
    """Return the translated messages of Django in a language."""
    files = Path(django.__file__).parent.rglob(f"locale/{language}/LC_MESSAGES/django.po")
    messages = [m[1] for path in files for m in _message.finditer(path.read_text("utf-8"))]
    texts = ("".join(re.findall('"(.*)"', message)) for message in messages)
    cleaned = {" ".join(_placeholder.sub(" ", text).split()) for text in texts}
    return sorted(t for t in cleaned if len(t) > 15 and "Project-Id" not in t and "\\" not in t)


def build_texts(languages: str, length: int) -> Iterator[str]:
    """Yield texts of about `length` characters."""
    shuffle = random.Random(length).shuffle
    for language in languages.split():
        sentences = load_sentences(language)
        for _ in range(TEXTS_PER_LANGUAGE if sentences else 0):
            shuffle(sentences)
            text = ""
            for sentence in sentences:
                text += sentence + "\n"
                if len(text) >= length:
                    break
            yield unicodedata.normalize("NFC", text)


def classify(text: str, encoding: str) -> str:
    """Return how `text` is read in `encoding`: right, wrong, refused, or skipped."""
    data = text.encode(encoding, "ignore")
    expected = data.decode(encoding)
    if len(expected) < len(text) * (1 - MAX_LOST_RATIO) or data == expected.encode():
        return "skipped"
    try:
        return "right" if decode(data) == expected else "wrong"
    except DocumentRefused:
        return "refused"


def main() -> None:
    for group, (languages, encodings) in GROUPS.items():
        for length in LENGTHS:
            counts = Counter(
                classify(text, encoding)
                for text in build_texts(languages, length)
                for encoding in encodings.split()
            )
            total = counts.total() - counts["skipped"]
            shares = [f"{100 * counts[k] / total:6.1f}" for k in ("right", "wrong", "refused")]
            print(f"{group:26}{length:6}{total:6} texts", *shares)


if __name__ == "__main__":
    main()
