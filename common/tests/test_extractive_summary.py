"""Summaries in one paragraph."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.ai.extractive.paragraph import select_summary_sentences, summarize
from common.ai.text.sentences import (
    count_words,
    find_grapheme_boundary,
    parse_speaker_label,
    split_sentences,
    truncate,
)
from common.documents.plain_text import unwrap_lines
from common.tests.support.texts import MEETING, NEWS, SAMPLES

pytestmark = pytest.mark.slow


def join_lines(text: str) -> str:
    """Return `text` in one line, with words hyphenated at a line end joined."""
    lines = [line for raw in text.splitlines() if (line := " ".join(raw.split()))]
    return " ".join(unwrap_lines("\n".join(lines)).split())


def is_word_of(word: str, source_word: str) -> bool:
    """Return whether `word` is `source_word`, perhaps cut or with a full stop."""
    if word in (source_word, f"{source_word}.", f"{source_word}。"):
        return True
    return word.endswith("…") and source_word.startswith(word[:-1])


def has_words_in_order(summary: str, source: str) -> bool:
    """Return whether the words of `summary` are a subsequence of those of `source`."""
    remaining = iter(source.split())
    return all(any(is_word_of(word, other) for other in remaining) for word in summary.split())


def test_a_short_text_is_returned_whole():
    assert summarize("  Two  words.\n\nAnd three more. ") == "Two words. And three more."
    assert select_summary_sentences("Two words. And three more.") == ["Two words. And three more."]


def test_news_keeps_its_lead_without_the_byline():
    summary = summarize(NEWS, max_words=40)
    assert summary.startswith("The city council voted on Tuesday to close")
    assert "48 million" in summary
    assert "Anna Reporter" not in summary


REPORT = """Flood closes the port of Lisbon

By Anna Reporter

A flood closed the port of Lisbon on Monday after two days of rain, officials said.
The water reached the upper floor of the customs house and damaged the archive of the port.
""" + "\n".join(
    f"Ship number {n} waited outside of the port until the evening and then sailed to Porto."
    for n in range(12)
)


@pytest.mark.parametrize("max_words", [5, 12, 20, 40, 80])
def test_a_report_is_summarised_by_its_beginning(max_words):
    body = REPORT.split("\n\n")[2].split()
    summary = summarize(REPORT, max_words=max_words)
    assert summary.removesuffix("…").split() == " ".join(body[:max_words]).rstrip(".,").split()


def test_sentences_are_selected_from_a_mail_a_talk_notes_and_a_text_of_tasks():
    task = "\nBob will send the new budget of the port to the board by Friday."
    notes = "\n- The pumps\n- The archive\n- The customs house"
    starts = ("Hello all,\n\n", "Dear Ann,\n\n", "Subject: The port\n\n", "Ann: ")
    texts = [start + REPORT.split("\n\n")[2] + task for start in starts]
    for text in (*texts, REPORT + notes + task, REPORT + task * 10):
        assert not summarize(text, max_words=40).endswith("…")


def test_a_summary_is_not_padded_with_unimportant_sentences():
    news = f"{NEWS}\nThe cat sat on it." + "\nThe mayor will tell the city council why." * 20
    assert "cat" not in summarize(news, max_words=80)
    assert count_words(summarize(news, max_words=80)) > 60


def test_decisions_and_tasks_are_preferred_in_prose():
    minutes = """The committee met on Monday in the room beside the library. Sandwiches were served.
It was decided that the harbour office moves to the old school in spring.
The rain made for a lively walk back to the station afterwards, as everyone remarked.
Ana will tell the press by Friday. The trees in front of the library are in bloom these days."""
    summary = summarize(minutes, max_words=32)
    assert "decided that the harbour office moves" in summary
    assert "Ana will tell the press by Friday." in summary
    assert "Sandwiches" not in summary


def test_a_question_after_a_greeting_is_preferred_to_a_brief_greeting():
    talk = """Ana: Good morning to you auditors of Lisbon.
Ben: Hello Ana, has the Lisbon branch got the figures of the auditors?
Ana: I could not say, as I was away for most of that week with my sister.
Ben: My train was late again and then somebody had taken my usual seat."""
    summary = summarize(talk, max_words=80)
    assert "has the Lisbon branch got the figures" in summary
    assert "Good morning" not in summary


@pytest.mark.parametrize("text", [MEETING, NEWS])
def test_sentences_are_not_truncated(text):
    assert not select_summary_sentences(text, max_words=70)[-1].endswith("…")


def test_sentences_are_copied_from_the_text():
    assert all(
        sentence in " ".join(NEWS.split())
        for sentence in select_summary_sentences(NEWS, max_words=60)
    )


def test_sentences_of_a_meeting_have_content_and_names():
    lines = select_summary_sentences(MEETING, max_words=50)
    assert all(len(line.split()) > 4 for line in lines)
    assert "rubber" in " ".join(lines)
    assert parse_speaker_label(lines[0])[0] in {
        "Project Manager",
        "Industrial Designer",
        "Marketing",
    }


def test_a_sentence_starts_with_its_speakers_name():
    """Even if it is not the first of its line, and once for adjacent sentences."""
    talk = "\n".join(
        f"{name}: Yes. The {thing} of the {name} project will certainly be ready for the {when}."
        for name, thing, when in [
            ("Ann", "budget", "board meeting"),
            ("Ben", "prototype", "trade fair in Hanover"),
            ("Ann", "contract", "lawyers of the bank"),
            ("Cem", "survey", "mayor of the town"),
            ("Ben", "brochure", "visitors from Oslo"),
        ]
    )
    lines = select_summary_sentences(talk, max_words=34)
    assert len(lines) > 1
    for line in lines:
        assert f"the {parse_speaker_label(line)[0]} project" in line


def test_speech_without_names_is_not_treated_as_news():
    talk = "\n".join(line.split(": ", 1)[1] for line in MEETING.splitlines())
    assert not summarize(talk, max_words=40).startswith("Okay")


@pytest.mark.parametrize("text", ["", " \n\t ", "\x00\x00", "\u200b\u200e", "\x1b\x07"])
def test_a_text_without_visible_characters_is_refused(text):
    with pytest.raises(ValueError, match="nothing to summarise"):
        summarize(text)


def test_a_limit_of_no_words_is_refused():
    with pytest.raises(ValueError, match="max_words"):
        summarize("A text.", max_words=0)


@pytest.mark.parametrize("text", ["😀🎉", "?!", "...", "—"])
def test_a_text_without_letters_is_returned_whole(text):
    assert summarize(text) == text


def test_a_too_long_sentence_is_cut_at_a_clause():
    text = "If the weather holds until the weekend, the boats will leave early, and return"
    assert summarize(text, max_words=10) == "If the weather holds until the weekend…"


@pytest.mark.parametrize("language", SAMPLES)
def test_other_languages_are_summarised_within_the_limit(language):
    text = SAMPLES[language]
    summary = summarize(text, max_words=12)
    assert 0 < len(summary) < len(text)
    assert count_words(summary) <= 12
    assert not unicodedata.combining(summary[0])
    if language != "chinese":
        assert has_words_in_order(summary, text)
    assert all(c in text or c == "…" for c in summary)


def test_chinese_sentences_are_joined_without_spaces():
    assert " " not in summarize(SAMPLES["chinese"], max_words=20)
    assert summarize(SAMPLES["chinese"], max_words=20).endswith("。")


def test_right_to_left_sentences_are_copied_from_the_text():
    text = " ".join(f"המשפט מספר {i} מדבר על עניין אחר לגמרי." for i in range(30))
    assert all(sentence in text for sentence in select_summary_sentences(text, max_words=40))


@pytest.mark.parametrize("cluster", ["👨‍👩‍👧‍👦", "🇩🇪", "👍🏽", "e\u0301", "각", "❤️"])
def test_truncating_keeps_graphemes_whole(cluster):
    text = cluster * 40
    for end in range(1, len(text)):
        assert find_grapheme_boundary(text, end) % len(cluster) == 0
    assert (truncate(cluster * 5_000, 3).removesuffix("…") * 2).count(cluster) * len(
        cluster
    ) % 2 == 0
    assert truncate(cluster * 5_000, 3).removesuffix("…").replace(cluster, "") == ""


ORDINARY_PIECES = [
    "Yes.",
    "So, the",
    "plan",
    "PhD A:",
    "A:",
    "-",
    "Dr. No",
    "3.14",
    "and",
    "we",
    "U.S.",
]
UNUSUAL_PIECES = [
    "x" * 130,
    "等。",
    "👩‍👩‍👦",
    "e\u0301",
    "שלום",
    "…",
    "ภาษา",
    "?!",
    "\n",
    "\x00",
    "\u2028",
]
PIECES = st.sampled_from(ORDINARY_PIECES + UNUSUAL_PIECES)


@settings(max_examples=300, deadline=None)
@given(
    text=st.one_of(st.lists(PIECES, min_size=1, max_size=200).map(" ".join), st.text(max_size=400)),
    max_words=st.integers(1, 60),
)
@example("ภาษา \n So, the So, the \n ภาษา Yes.", 3)
def test_any_text_is_summarised_within_the_limits(text, max_words):
    try:
        summary = summarize(text, max_words=max_words)
    except ValueError:
        assert not any(c.isprintable() and not c.isspace() for c in text)
        return
    assert summary
    assert len(summary) <= len(text)
    assert count_words(summary) <= max_words
    assert len(summary.split()) <= max_words
    assert set(summary) <= {*text, " ", "…", ".", "。"}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(ORDINARY_PIECES), min_size=1, max_size=200), st.integers(3, 60))
@example([f"Dr. No Dr. No and So, the PhD A: So, the 3.14 3.14{' So, the' * 4} Yes. 3.14"], 5)
def test_words_are_copied_from_the_text_in_order(pieces, max_words):
    text = " ".join(pieces)
    if any(c.isprintable() and c != " " for c in text):
        assert has_words_in_order(summarize(text, max_words=max_words), join_lines(text))


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=100).map(" ".join), st.integers(1, 60))
def test_sentences_come_from_the_text_and_fit_the_limit(text, max_words):
    source = join_lines(text)
    for sentence in split_sentences(text, max_words=max_words):
        assert count_words(sentence.label + sentence.text) <= max_words
        assert sentence.text.removesuffix("…") in source
