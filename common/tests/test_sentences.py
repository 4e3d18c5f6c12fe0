"""Where sentences end, in the languages that people write minutes and mails in."""

import pytest

from common.ai.text.abbreviations import mid_sentence
from common.ai.text.chunking import sentence_end
from common.ai.text.sentences import split


def sentences(text):
    return [sentence.text for sentence in split(text, longest=80)]


@pytest.mark.parametrize(
    "whole",
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
def test_that_abbreviations_and_ordinals_do_not_end(whole):
    assert sentences(f"It rained. {whole} The sun came out.") == [
        "It rained.",
        whole,
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
def test_that_end_at_a_number_or_a_short_word(text):
    assert len(sentences(text)) == 2


def test_an_answer_is_not_cut_at_a_date():
    text = "Der Vertrag endet. Er endet am 30. Juni. Dann ist Schluss."
    assert sentence_end(text, 0, len("Der Vertrag endet. Er endet am 30. ")) == 19


def test_what_ends_in_no_stop_is_not_judged():
    assert not mid_sentence("Hr", "Kurz")
    assert not mid_sentence("", "Kurz")


def test_a_mail_with_lines_of_one_width_is_read_as_one():
    mail = """the council met on Monday evening in the town hall and after a long
debate decided to close the old harbour bridge for two years. The
work will cost 48 million euros and start in March. Most of the people
who spoke were against it."""
    assert sentences(mail)[1:] == [
        "The work will cost 48 million euros and start in March.",
        "Most of the people who spoke were against it.",
    ]


def test_a_line_that_comes_on_every_page_is_weighed_a_few_times():
    text = "\n".join(f"Bureau AG, confidential.\nPage {n} tells of pump {n}." for n in range(40))
    found = sentences(text)
    assert found.count("Bureau AG, confidential.") == 10
    assert len(found) == 50
