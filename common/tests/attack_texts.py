"""Degenerate texts, which are summarised in linear time."""

import time

import pytest

from common.ai.extractive.paragraph import summarize

DEGENERATE_TEXTS = {
    "one line without a full stop": " ".join(f"word{i % 977}" for i in range(25_000)),
    "newlines": "\n" * 250_000 + "end",
    "a dot after each letter": "a." * 125_000,
    "letters that end sentences": "a. " * 85_000,
    "questions": "!?" * 125_000,
    "distinct sentences": " ".join(f"Here is sentence {i} of many." for i in range(50_000)),
    "distinct lines of talk": "\n".join(f"P{i % 5}: this is line {i}" for i in range(30_000)),
    "emoji": "😀" * 250_000,
    "one word": "x" * 250_000,
    "one address": "http://example.com/" + "a/" * 125_000,
    "marks on one letter": "a" + "\u0301" * 250_000,
    "flags": "🇩🇪" * 125_000,
    "no space and no stop": "漢" * 250_000,
    "short chinese sentences": "漢字は難しい。" * 35_000,
    "control characters": "\x00\x01\x0b\u202e\x1b[31m" * 35_000,
    "labels": "A: \n" * 75_000,
    "one letter on each line": "é\n" * 1_000_000,
    "one letter to a sentence": "漢。" * 1_000_000,
    "lines that differ": "\n".join(map(str, range(50_000))),
    "spaced dots": ". " * 125_000,
    "stress without an end": "**a " * 60_000,
    "links without an end": "[a](b" * 50_000,
}


@pytest.mark.parametrize("name", DEGENERATE_TEXTS)
def test_degenerate_text_is_summarised_quickly_and_briefly(name):
    """The limit suits a busy machine: each text takes half a second on an idle one."""
    start = time.process_time()
    summary = summarize(DEGENERATE_TEXTS[name])
    assert time.process_time() - start < 15
    assert 0 < len(summary) <= len(DEGENERATE_TEXTS[name])
    assert len(summary.split()) <= 80
    assert len(summary) < 10_000


def test_time_is_not_quadratic_in_length():
    def seconds(count: int) -> float:
        text = " ".join(f"Sentence {i} has {i * 7919 % 4001} things to say." for i in range(count))
        start = time.process_time()
        summarize(text)
        return time.process_time() - start

    seconds(100)  # load the tokenizer
    assert seconds(24_000) < 8 * 4 * max(seconds(3_000), 0.02)
