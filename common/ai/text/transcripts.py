"""Parse transcripts of meetings and chats into lines of "Name: what was said"."""

import re
from collections.abc import Iterator
from itertools import pairwise

_CLOCK = r"(?:\d{1,2}:)?\d{1,2}:\d{2}"
_DOTTED_CLOCK = r"(?:\d{1,2}[:.])?\d{1,2}[:.]\d{2}"
_clock_time = re.compile(r"\d:\d\d")
_cue_timing = re.compile(r"(?:\d+:)?\d\d:\d\d[.,]\d{3} --> ")
_voice_tag = re.compile(r"<v(?:\.[\w.]{1,60})? ([^>]{1,100})>")
_tag = re.compile(r"</?[a-z][^>]{0,100}>")
_sound_note = re.compile(r"\[[^\]]{0,60}\]$|\([^)]{0,60}\)$|♪")  # "[MUSIC]"
_attachment_note = re.compile(r"\[ [^\W\d][^\]]{0,40} \]$")  # "[ Photo ]" of Telegram
SENTENCE_END = re.compile(r"[.!?…。！？｡؟।۔][\"'”’»)\]]*$")
_vtt_comment = re.compile(r"(?:NOTE|STYLE|REGION)\b")
_NAME = r"([^\W\d_][^\d:|]{0,60}?)"
# Telegram writes "Anna, [02.11.2026 10:00]" above what she wrote.
_name_line = re.compile(
    rf"(?:\[?{_CLOCK}\]?\s+)?{_NAME}(?:,\s+\[\d{{1,4}}[./-]\d{{1,2}}[./-]\d{{1,4}},?)?"
    rf"\s+[\[(]?{_CLOCK}(?: [AP]M)?[\])]?:?$"
)
_timed_name = re.compile(rf"{_NAME}\s*[\[(]{_CLOCK}[\])]\s?:\s+")
# WhatsApp writes "[03/03/2025, 09:10:11] Anna: ", "03.03.25, 09:10 - Anna: ", in some languages
# with words or dots, "3.3.2025 klo 9.10 - Anna: ".
MESSAGE_DATE = re.compile(
    r"\[?\d{1,4}[./-]\s?\d{1,2}[./-]\s?\d{1,4}\.?,?\s+(?:[^\W\d_]{1,4}\.?\s+){0,2}(?:(?:上午|下午|午前|午後|오전|오후)\s?)?"
    rf"{_DOTTED_CLOCK}(?: ?[AaPp]\.? ?[Mm]\.?)?(?:\]|,(?=\s\S))?\s+(?:[-–]\s+)?(?=\S)"
)


def parse_transcript(lines: list[str]) -> list[str]:
    """Return the turns in `lines` as "Name: text", or [] if they are not a transcript.

    `lines` must include the empty ones, because they separate subtitles.
    """
    if sum(1 for line in lines if _clock_time.search(line)) < 2:
        return []
    if any(map(_cue_timing.match, lines)):
        return list(_parse_subtitles(lines))
    if sum(1 for line in lines if _name_line.match(line)) > 1:
        return list(_parse_turns(lines))
    return _strip_message_times(list(filter(None, lines)))


def _strip_message_times(lines: list[str]) -> list[str]:
    """Return `lines` without their times, or [] if at most half of them have one."""
    stripped = [_timed_name.sub(r"\1: ", MESSAGE_DATE.sub("", line), count=1) for line in lines]
    changed = sum(a != b for a, b in zip(stripped, lines, strict=True))
    return stripped if changed > 1 and changed * 2 > len(stripped) else []


def _parse_turns(lines: list[str]) -> Iterator[str]:
    """Yield turns of a transcript whose speakers' names stand on lines of their own."""
    name, words = "", list[str]()
    for line in [*lines, None]:
        found = _name_line.match(line) if line else None
        if words and (found or line is None):
            yield (f"{name}: " if name else "") + " ".join(words)
            words = []
        if found:
            name = found[1]
        elif line and not _attachment_note.match(line):
            words.append(line)


def _parse_subtitles(lines: list[str]) -> Iterator[str]:
    """Yield turns of WebVTT or SRT, joining sentences that span several subtitles."""
    turn = ""
    for line in _caption_lines(lines):
        text = _tag.sub("", _voice_tag.sub(r"\1: ", line, count=1)).strip()
        if not text or _sound_note.match(text):
            continue
        if turn and (_voice_tag.match(line) or line.startswith("- ") or SENTENCE_END.search(turn)):
            yield turn
            turn = ""
        text = text.removeprefix("- ")
        turn = f"{turn} {text}" if turn else text
    if turn:
        yield turn


def _caption_lines(lines: list[str]) -> Iterator[str]:
    """Yield the lines of captions, without timings, cue names, headers and comments."""
    in_comment = False  # until the next blank line
    for line, after in pairwise([*lines, ""]):
        in_comment = bool(line) and (in_comment or bool(_vtt_comment.match(line)))
        is_cue_name = bool(_cue_timing.match(after))
        if not line or in_comment or is_cue_name:
            continue
        if not (_cue_timing.match(line) or line.startswith("WEBVTT")):
            yield line
