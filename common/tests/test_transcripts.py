"""Transcripts in the formats of meeting tools and chats."""

import pytest

from common.ai.text.readable_lines import readable_lines
from common.ai.text.transcripts import parse_transcript

WEBVTT = """WEBVTT

NOTE This file was made
by a tool.

STYLE
::cue { color: white }

0e1-0
00:00:03.000 --> 00:00:07.000
<v Ann Lee>We have decided to close the shop in
Bonn by the end of May.</v>

0e1-1
00:00:07.500 --> 00:00:11.000
<v Bob Ray>Then I must <i>tell</i> the landlord before

3
00:00:11.500 --> 00:00:12.000
Friday.</v>
"""

SRT = """1
00:00:03,000 --> 00:00:07,000
- We close the shop.
- Who pays?

2
00:00:07,500 --> 00:00:11,000
[MUSIC]

3
00:00:12,500 --> 00:00:13,000
Mostly the canton
does.
"""


def test_webvtt_becomes_turns_with_names() -> None:
    assert readable_lines(WEBVTT) == (
        "Ann Lee: We have decided to close the shop in Bonn by the end of May.",
        "Bob Ray: Then I must tell the landlord before Friday.",
    )


def test_srt_becomes_turns_without_sound_notes() -> None:
    assert readable_lines(SRT) == ("We close the shop.", "Who pays?", "Mostly the canton does.")


@pytest.mark.parametrize(
    "text",
    [
        "Ann Lee  00:12\nWe close the shop.\nIn May.\n\nBob  00:15\nFine.\n",
        "Ann Lee (00:12):\nWe close the shop.\nIn May.\nBob (1:00:15):\nFine.",
        "[00:12] Ann Lee 00:12\nWe close the shop. In May.\n00:15 Bob 00:15\nFine.",
        "Ann Lee (00:12): We close the shop. In May.\nBob (00:15): Fine.",
        (
            "[03/03/2025, 09:10:11] Ann Lee: We close the shop. In May.\n"
            "[03/03/2025, 09:10:20] Bob: Fine."
        ),
        "03.03.25, 09:10 - Ann Lee: We close the shop. In May.\n03.03.25, 09:11 - Bob: Fine.",
    ],
)
def test_each_turn_has_its_speaker(text: str) -> None:
    assert readable_lines(text) == ("Ann Lee: We close the shop. In May.", "Bob: Fine.")


def test_text_before_the_first_name_is_kept() -> None:
    assert (
        parse_transcript(["It begins.", "Ann 00:12", "Hi.", "Bob 00:14", "Ho."])[0] == "It begins."
    )


@pytest.mark.parametrize(
    "lines",
    [
        ["We met at 10:30", "and left."],
        ["Ann: We close the shop.", "Bob: Fine."],
        ["On 03/03/2025, 09:10 it began.", "It rained.", "It ended."],
    ],
)
def test_other_texts_are_not_transcripts(lines: list[str]) -> None:
    assert parse_transcript(lines) == []
