"""Which sentences are tasks."""

import pytest

from common.ai.extractive.sentence_roles import is_task


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
def test_a_sentence_is_a_task(sentence):
    assert is_task(sentence)


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
def test_a_sentence_is_not_a_task(sentence):
    assert not is_task(sentence)
