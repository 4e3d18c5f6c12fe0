"""Templates, languages and limits of the embedded summariser."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.ai.extractive.summarizer import MODEL, EmbeddedSummarizer
from common.ai.templates import TEMPLATES
from common.ai.text.sentences import count_words
from common.ai.types import SummaryRefused, SummaryRequest, SummaryResult
from common.tests.support.texts import MEETING, NEWS, SAMPLES

NOTE = (
    "The cooling pump failed on Monday. Bob replaced it on Tuesday with the spare one. "
    "A new spare has to be ordered before December. Anna will call the supplier by Friday. "
    "We decided to keep two spares from now on. Each of them costs 4,800 euros. "
    "There is a risk that the supplier can't deliver this year. "
    "Whether the old pump can be repaired is still an open question."
)
CHAT = """Amanda: Hi Jerry, are you coming to the office party on Friday?
Jerry: Yeah, sure. What should I bring?
Amanda: Could you bring some drinks? I'll bake a cake.
Jerry: OK
Amanda: And please tell Mark, he needs to fix the speakers before Friday.
Jerry: Will do. See you!"""
NO_TASKS_SUMMARIES = {
    "en": "- No action items.",
    "de": "- Keine Aufgaben.",
    "fr": "- Aucune tâche.",
    "es": "- Ninguna tarea.",
}
TASKS = {
    "en": "Mia must sign the contract by noon.",
    "de": "Mia muss den Vertrag bis Freitag unterschreiben.",
    "fr": "Mia doit signer le contrat avant vendredi.",
    "es": "Mia tiene que firmar el contrato.",
}
FACTS = {
    "en": "The bridge was opened in 1931 by the king.",
    "de": "Die alte Brücke ist nicht mit der Bahn verbunden.",
    "fr": "Le pont est dans la ville depuis une centaine d'années.",
    "es": "El puente es una de las obras que se ven en la ciudad.",
}


def summarize(
    text: str, template: str = "", *, language: str = "", max_words: int = 80
) -> SummaryResult:
    request = SummaryRequest(text, template, language, max_words)
    return EmbeddedSummarizer().summarize(request)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("words", [1, 2, 5, 40, 10_000_000])
def test_no_template_exceeds_the_limit(template, words):
    for text in (NOTE, NEWS, MEETING, CHAT, *SAMPLES.values(), "漢" * 999):
        by_name = summarize(text, template, max_words=words)
        assert by_name == summarize(text, TEMPLATES[template], max_words=words)
        assert by_name.model == MODEL
        assert by_name.text
        assert max(count_words(by_name.text), len(by_name.text.split())) <= words


def test_bullets_are_whole_sentences_of_the_text():
    lines = summarize(NEWS, "bullets", max_words=60).text.splitlines()
    assert len(lines) > 2
    assert lines[0].startswith("- The city council voted")
    for line in lines:
        assert line.removeprefix("- ") in NEWS
        assert line.endswith((".", '"'))


def test_bullets_of_a_dialogue_start_with_the_speaker():
    lines = summarize(MEETING, "bullets", max_words=60).text.splitlines()
    assert lines
    assert all(line.removeprefix("- ") in MEETING for line in lines)


def test_an_executive_summary_has_outcomes_first_and_open_questions_last():
    expected = [
        "We decided to keep two spares", "4,800 euros", "replaced it on Tuesday", "a risk",
        "an open question",
    ]  # fmt: skip
    text = summarize(NOTE, "executive").text
    places = [text.index(words) for words in expected]
    assert places == sorted(places)
    assert summarize(NOTE, "executive", max_words=20).text.startswith("We decided")


def test_action_items_are_the_tasks_in_the_text():
    assert summarize(NOTE, "action_items").text.splitlines() == [
        "- A new spare has to be ordered before December.",
        "- Anna will call the supplier by Friday.",
    ]
    assert summarize(CHAT, "action_items").text.splitlines() == [
        "- Amanda: Could you bring some drinks?",
        "- Amanda: I'll bake a cake.",
        "- Amanda: And please tell Mark, he needs to fix the speakers before Friday.",
    ]


def test_action_items_that_do_not_fit_are_counted():
    assert summarize(NOTE, "action_items", max_words=10).omitted == "1 more action items"


@pytest.mark.parametrize("code", TASKS)
def test_action_items_in_other_languages(code):
    task, other = TASKS[code], FACTS[code]
    assert summarize(f"{other} {task} {other}", "action_items").text == f"- {task}"
    idle = summarize(" ".join([other] * 3), "action_items")
    assert (idle.text, idle.omitted) == (NO_TASKS_SUMMARIES[code], "")


def test_action_items_in_an_unsupported_language_are_reported_as_omitted():
    result = summarize(SAMPLES["russian"], "action_items")
    assert result.text == "- No action items."
    assert "in this language" in result.omitted


def test_words_of_a_companys_own_template_are_preferred():
    text = " ".join([*(f"Room {n} was painted in a very light colour." for n in range(40)), NOTE])
    plain = summarize(text, "Write two short sentences.", max_words=20).text
    focused = summarize(
        text, "Tell the reader about spare pumps and the supplier only.", max_words=20
    ).text
    assert "pump" not in plain
    assert "pump" in focused
    assert summarize(NOTE, "Use bullets, please.", max_words=30).text.startswith("- ")


@pytest.mark.parametrize("language", ["English", "english", "en", "en-GB", ""])
def test_the_language_of_the_text_is_no_omission(language):
    assert summarize(NOTE, language=language).omitted == ""


@pytest.mark.parametrize("name", SAMPLES)
def test_the_language_of_the_text_is_recognised(name):
    assert summarize(SAMPLES[name], language=name).omitted == ""


@pytest.mark.parametrize("language", ["German", "de", "Français", "Klingon", "中文"])
def test_a_missing_translation_is_reported_as_omitted(language):
    result = summarize(NOTE, "bullets", language=language)
    assert result.omitted.startswith(f"the translation into {language}: ")
    assert result.text.startswith("- The cooling pump failed")


def test_small_german_words_are_not_hesitations():
    text = (
        "Er kam um acht. Um neun ging er in die Sitzung, um den Plan zu prüfen. Er war zufrieden."
    )
    assert summarize(text * 3, "bullets", max_words=60).text.startswith("- Er kam um acht.\n")


def test_a_chat_is_summarised_in_half_its_words():
    summary = summarize(CHAT).text
    assert count_words(summary) * 2 <= count_words(CHAT) + 1
    assert "party on Friday" in summary
    assert "OK" not in summary


@pytest.mark.parametrize("template", ["", *TEMPLATES, "Only the costs."])
def test_a_text_without_visible_characters_is_refused(template):
    with pytest.raises(SummaryRefused, match="nothing to summarise"):
        summarize("\u200b \n", template)


pieces = st.sampled_from(
    ["Ann: ", "Bob will", "go.", "\n", "please", "等。", "x" * 130, "\x00", "4 %", "¿", "- ", "’ll"]
)


@given(st.lists(pieces, min_size=1, max_size=80), st.sampled_from([*TEMPLATES, "costs"]))
@settings(max_examples=150, deadline=None)
def test_any_text_is_summarised_within_the_limits(parts, template):
    text = " ".join(parts)
    for words in (1, 4, 30):
        try:
            result = summarize(text, template, max_words=words, language="fr")
        except SummaryRefused:
            return
        assert 0 < count_words(result.text) <= words
        if template in ("bullets", "action_items") and words > 1:
            assert all(line.startswith("- ") for line in result.text.splitlines())
