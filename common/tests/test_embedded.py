"""What the embedded summariser makes of templates, languages and limits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.ai.extractive import sentence_roles
from common.ai.extractive.selection import MODEL
from common.ai.extractive.summarizer import EmbeddedSummarizer
from common.ai.templates import TEMPLATES
from common.ai.text import languages
from common.ai.text.sentences import cost
from common.ai.types import SummaryRefused, SummaryRequest, SummaryResult
from common.tests.test_extractive import MEETING, NEWS, SAMPLES

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
QUIET = "The sky is blue over the harbour. The grass is green. Birds sing there every morning."
IDLE = {
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
NO_TASKS = {
    "en": "The bridge was opened in 1931 by the king.",
    "de": "Die alte Brücke ist nicht mit der Bahn verbunden.",
    "fr": "Le pont est dans la ville depuis une centaine d'années.",
    "es": "El puente es una de las obras que se ven en la ciudad.",
}


def made(text: str, template: str = "", *, language: str = "", words: int = 80) -> SummaryResult:
    request = SummaryRequest(text, template, language, words)
    return EmbeddedSummarizer().summarize(request)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("words", [1, 2, 5, 40, 10_000_000])
def test_the_length_is_kept(template, words):
    for text in (NOTE, NEWS, MEETING, CHAT, *SAMPLES.values(), "漢" * 999):
        by_name = made(text, template, words=words)
        assert by_name == made(text, TEMPLATES[template], words=words)
        assert by_name.model == MODEL
        assert by_name.text
        assert max(cost(by_name.text), len(by_name.text.split())) <= words


def test_bullets_are_the_texts_own_whole_sentences():
    lines = made(NEWS, "bullets", words=60).text.splitlines()
    assert len(lines) > 2
    assert lines[0].startswith("- The city council voted")
    for line in lines:
        assert line.removeprefix("- ") in NEWS
        assert line.endswith((".", '"'))


def test_bullets_of_a_dialogue_each_say_who():
    lines = made(MEETING, "bullets", words=60).text.splitlines()
    assert lines
    assert all(line.removeprefix("- ") in MEETING for line in lines)


def test_a_manager_reads_outcomes_first_and_what_is_open_last():
    told = [
        "We decided to keep two spares", "4,800 euros", "replaced it on Tuesday", "a risk",
        "an open question",
    ]  # fmt: skip
    text = made(NOTE, "executive").text
    places = [text.index(words) for words in told]
    assert places == sorted(places)
    assert made(NOTE, "executive", words=20).text.startswith("We decided")


def test_action_items_say_who_has_to_do_what():
    assert made(NOTE, "action_items").text.splitlines() == [
        "- A new spare has to be ordered before December.",
        "- Anna will call the supplier by Friday.",
    ]
    assert made(CHAT, "action_items").text.splitlines() == [
        "- Amanda: Could you bring some drinks?",
        "- Amanda: I'll bake a cake.",
        "- Amanda: And please tell Mark, he needs to fix the speakers before Friday.",
    ]


def test_action_items_that_do_not_fit_are_counted():
    assert made(NOTE, "action_items", words=10).omitted == "1 more action items"


@pytest.mark.parametrize("code", TASKS)
def test_action_items_in_other_languages(code):
    task, other = TASKS[code], NO_TASKS[code]
    assert made(f"{other} {task} {other}", "action_items").text == f"- {task}"
    idle = made(" ".join([other] * 3), "action_items")
    assert (idle.text, idle.omitted) == (IDLE[code], "")


def test_action_items_in_a_language_without_cues_are_not_denied():
    result = made(SAMPLES["russian"], "action_items")
    assert result.text == "- No action items."
    assert "in this language" in result.omitted


@pytest.mark.parametrize(
    "sentence",
    [
        "I'll send you the report.", "Let's meet again on Monday.", "Please call the bank.",
        "The design team will prepare a prototype.", "Could you check the figures?",
        "Ms. O'Neill is to write the minutes.", "The invoice must be paid.",
        "ACTION: D. Park to negotiate the lease.", "[ ] Kim: set an alert at 80 %",
        "Aufgabe: Peter ruft den Kunden an.", "Mme Roy préparera le planning.",
        "Dana to call both suppliers this week", "Erik and Kim to prepare the figures",
        "Ana preparará el informe.", "Enviaremos el contrato al cliente.",
        "Die Anlage wird bis Freitag gewartet.",
    ],
)  # fmt: skip
def test_what_is_a_task(sentence):
    assert sentence_roles.is_task(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The weather will be fine.", "Should we go?", "It was decided last year.",
        "This will cost 48 million euros.", "She likes her work.", "What will they say?",
        "Can you all hear me?", "Welcome to the party.", "Thanks to Ana we know it.",
        "Rund 12 % der Rücksendungen werden falsch gebucht.",
        "Die Anlage wird gewartet.", "He bought a Nikon camera.", "We heard the Verdi opera.",
    ],
)  # fmt: skip
def test_what_is_none(sentence):
    assert not sentence_roles.is_task(sentence)


def test_a_companys_own_template_names_what_comes_first():
    text = " ".join([*(f"Room {n} was painted in a very light colour." for n in range(40)), NOTE])
    plain = made(text, "Write two short sentences.", words=20).text
    focused = made(text, "Tell the reader about spare pumps and the supplier only.", words=20).text
    assert "pump" not in plain
    assert "pump" in focused
    assert made(NOTE, "Use bullets, please.", words=30).text.startswith("- ")


@pytest.mark.parametrize("language", ["English", "english", "en", "en-GB", ""])
def test_the_texts_own_language_needs_no_word(language):
    assert made(NOTE, language=language).omitted == ""


@pytest.mark.parametrize("language", ["German", "de", "Français", "Klingon", "中文"])
def test_a_language_that_it_can_not_write_is_told(language):
    result = made(NOTE, "bullets", language=language)
    assert result.omitted.startswith(f"the translation into {language}: ")
    assert result.text.startswith("- The cooling pump failed")


@pytest.mark.parametrize("name", SAMPLES)
def test_languages_are_told_apart(name):
    assert languages.detected(SAMPLES[name]) == languages.named(name)
    assert made(SAMPLES[name], language=name).omitted == ""


@pytest.mark.parametrize(
    ("language", "spelling"),
    [
        ("", ""),
        ("en", "English"),
        ("FRANÇAIS", "French"),
        ("pt-BR", "pt-BR"),
        ("Norwegian  (Bokmål)", "Norwegian (Bokmål)"),
    ],
)
def test_a_language_has_one_spelling(language, spelling):
    assert languages.spelt(language) == spelling


@pytest.mark.parametrize("text", ["", "😀", "Ok", "12 345", "Xyzzy plugh"])
def test_what_is_in_no_language(text):
    assert languages.detected(text) == ""
    assert languages.may_be(text, "Spanish")
    assert not languages.may_be(text, "Chinese")


def test_small_words_of_german_are_not_taken_for_hums():
    text = (
        "Er kam um acht. Um neun ging er in die Sitzung, um den Plan zu prüfen. Er war zufrieden."
    )
    assert made(text * 3, "bullets", words=60).text.startswith("- Er kam um acht.\n")


def test_of_a_chat_no_more_than_half_is_told():
    summary = made(CHAT).text
    assert cost(summary) * 2 <= cost(CHAT) + 1
    assert "party on Friday" in summary
    assert "OK" not in summary


@pytest.mark.parametrize("template", ["", *TEMPLATES, "Only the costs."])
def test_nothing_to_see_is_refused(template):
    with pytest.raises(SummaryRefused, match="nothing to summarise"):
        made("\u200b \n", template)


pieces = st.sampled_from(
    ["Ann: ", "Bob will", "go.", "\n", "please", "等。", "x" * 130, "\x00", "4 %", "¿", "- ", "’ll"]
)


@given(st.lists(pieces, min_size=1, max_size=80), st.sampled_from([*TEMPLATES, "costs"]))
@settings(max_examples=150, deadline=None)
def test_whatever_the_text(parts, template):
    text = " ".join(parts)
    for words in (1, 4, 30):
        try:
            result = made(text, template, words=words, language="fr")
        except SummaryRefused:
            return
        assert 0 < cost(result.text) <= words
        if template in ("bullets", "action_items") and words > 1:
            assert all(line.startswith("- ") for line in result.text.splitlines())
