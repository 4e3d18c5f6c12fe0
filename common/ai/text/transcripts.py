"""Transcripts as meeting tools and chats write them, as lines of "Name: what was said"."""

import re
from collections.abc import Iterator
from itertools import pairwise

_CLOCK = r"(?:\d{1,2}:)?\d{1,2}:\d{2}"
_clock = re.compile(r"\d:\d\d")
_cue = re.compile(r"(?:\d+:)?\d\d:\d\d[.,]\d{3} --> ")
_voice = re.compile(r"<v(?:\.[\w.]{1,60})? ([^>]{1,100})>")
_tag = re.compile(r"</?[a-z][^>]{0,100}>")
_aside = re.compile(r"\[[^\]]{0,60}\]$|\([^)]{0,60}\)$|♪")
ENDED = re.compile(r"[.!?…。！？｡؟।۔][\"'”’»)\]]*$")
_comment = re.compile(r"(?:NOTE|STYLE|REGION)\b")
_name = r"([^\W\d_][^\d:|]{0,60}?)"
_name_alone = re.compile(rf"(?:\[?{_CLOCK}\]?\s+)?{_name}\s+[\[(]?{_CLOCK}(?: [AP]M)?[\])]?:?$")
_timed_name = re.compile(rf"{_name}\s*[\[(]{_CLOCK}[\])]\s?:\s+")
# As WhatsApp writes them: "[03/03/2025, 09:10:11] Anna: " and "03.03.25, 09:10 - Anna: ".
_dated = re.compile(
    rf"\[?\d{{1,4}}[./-]\d{{1,2}}[./-]\d{{1,4}},?\s+{_CLOCK}(?: ?[AaPp][Mm])?\]?\s+(?:-\s+)?(?=\S)"
)


def spoken(lines: list[str]) -> list[str]:
    """What is said and by whom, [] where the lines, of which some are empty, are no transcript."""
    if sum(1 for line in lines if _clock.search(line)) < 2:
        return []
    if any(map(_cue.match, lines)):
        return list(_subtitles(lines))
    if sum(1 for line in lines if _name_alone.match(line)) > 1:
        return list(_turns(lines))
    timed = [_timed_name.sub(r"\1: ", _dated.sub("", line), count=1) for line in lines if line]
    changed = sum(a != b for a, b in zip(timed, filter(None, lines), strict=True))
    return timed if changed > 1 and changed * 2 > len(timed) else []


def _turns(lines: list[str]) -> Iterator[str]:
    """Of names on lines of their own, each with what its owner says until the next."""
    name, said = "", list[str]()
    for line in [*lines, None]:
        found = _name_alone.match(line) if line else None
        if said and (found or line is None):
            yield (f"{name}: " if name else "") + " ".join(said)
            said = []
        if found:
            name = found[1]
        elif line:
            said.append(line)


def _subtitles(lines: list[str]) -> Iterator[str]:
    """Of WebVTT and SRT; sentences may go over several subtitles."""
    begun = ""
    for line in _texts(lines):
        text = _tag.sub("", _voice.sub(r"\1: ", line, count=1)).strip()
        if not text or _aside.match(text):
            continue
        if begun and (_voice.match(line) or line.startswith("- ") or ENDED.search(begun)):
            yield begun
            begun = ""
        text = text.removeprefix("- ")
        begun = f"{begun} {text}" if begun else text
    if begun:
        yield begun


def _texts(lines: list[str]) -> Iterator[str]:
    """Without times, the names of subtitles above these, and comments, which end at a blank."""
    inside = False  # a comment
    for line, after in pairwise([*lines, ""]):
        inside = bool(line) and (inside or bool(_comment.match(line)))
        named = bool(_cue.match(after))
        if line and not (inside or named or _cue.match(line) or line.startswith("WEBVTT")):
            yield line
