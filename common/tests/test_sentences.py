"""Sentence boundaries in the languages of minutes and mails."""

import pytest

from common.ai.text.abbreviations import is_mid_sentence
from common.ai.text.chunking import find_sentence_end
from common.ai.text.sentences import split_sentences


def split_texts(text):
    return [sentence.text for sentence in split_sentences(text, max_words=80)]


@pytest.mark.parametrize(
    "sentence",
    [
        "Die Abteilung Nr. 7 wird zum 31. Dezember geschlossen.",
        "Ab dem 1. Januar übernimmt Hr. Kurz die Leitung.",
        "Im 2. Quartal wird es eng.",
        "Protokoll der Sitzung vom 5. März 2026.",
        "Siehe Abs. 3 und S. 12.",
        "La Sra. Gómez explicó el plan.",
        "Escriba Ud. al Dr. Paz.",
        "M. Dupont et Mme. Leroy ont signé.",
        "Selon l'art. 5, c'est permis.",
        "L'ing. Rossi ha firmato.",
        "O godz. 12 na ul. Długiej spotka się inż. Nowak.",
        "Dhr. Jansen belt t.a.v. mevr. De Vries.",
        "Lt. Col. James was there.",
        "Prof. K.-H. O'Brien of St. Mary's published it.",
        "See no. 5 and No. 6.",
        "1. Approval of the minutes.",
    ],
)
def test_abbreviations_and_ordinals_do_not_end_a_sentence(sentence):
    assert split_texts(f"It rained. {sentence} The sun came out.") == [
        "It rained.",
        sentence,
        "The sun came out.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "I am 30. She is 31.",
        "It rose to 15. The rest fell.",
        "Am Dienstag kamen 12. Das war gut.",
        "He works at Acme. She does not.",
        "They met at 5 p.m. The talk was long.",
        "He said no. She agreed.",
    ],
)
def test_a_number_or_a_short_word_can_end_a_sentence(text):
    assert len(split_texts(text)) == 2


def test_the_last_sentence_end_is_not_at_a_date():
    text = "Der Vertrag endet. Er endet am 30. Juni. Dann ist Schluss."
    assert find_sentence_end(text, 0, len("Der Vertrag endet. Er endet am 30. ")) == 19


def test_text_without_a_full_stop_is_not_mid_sentence():
    assert not is_mid_sentence("Hr", "Kurz")
    assert not is_mid_sentence("", "Kurz")


def test_wrapped_lines_of_a_mail_are_joined():
    mail = """the council met on Monday evening in the town hall and after a long
debate decided to close the old harbour bridge for two years. The
work will cost 48 million euros and start in March. Most of the people
who spoke were against it."""
    assert split_texts(mail)[1:] == [
        "The work will cost 48 million euros and start in March.",
        "Most of the people who spoke were against it.",
    ]


def test_a_line_repeated_on_every_page_is_limited():
    text = "\n".join(f"Bureau AG, confidential.\nPage {n} tells of pump {n}." for n in range(40))
    found = split_texts(text)
    assert found.count("Bureau AG, confidential.") == 10
    assert len(found) == 50
