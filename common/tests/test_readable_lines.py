"""Which lines of a text are read as sentences, and without which marks."""

import pytest

from common.ai.text.readable_lines import readable_lines, strip_markup


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("* The pump **failed** on Monday.", "The pump failed on Monday."),
        ("> - Quoted and listed", "Quoted and listed"),
        (
            "See [the manual](https://example.org/m?p=1) and ![a plan](plan.png).",
            "See the manual and a plan.",
        ),
        ("Turn `valve 7` off.", "Turn valve 7 off."),
        ("12. März: Abnahme", "12. März: Abnahme"),
        ("-5 degrees, 2**3**2 and **this", "-5 degrees, 2**3**2 and **this"),
        ("#1 of the list", "#1 of the list"),
        ("*Soon* and ***now***, __not__ in a _while_", "Soon and now, not in a while"),
        ("~~The old importer goes.~~ It stays.", "It stays."),
        ("a_b_c and __init__ or snake_case_", "a_b_c and init or snake_case_"),
        ("- [x] Call the supplier", "Call the supplier"),
        ("a * b * c is 2 * 3", "a * b * c is 2 * 3"),
        ("array[0](x y)", "array[0](x y)"),
    ],
)
def test_marks_of_markdown_are_removed(line: str, text: str) -> None:
    assert strip_markup([line]) == [text]


def test_headings_are_removed() -> None:
    assert strip_markup(["# Report", "It works.", "## Next", "* "]) == ["It works."]


def test_code_tables_and_images_are_removed() -> None:
    lines = [
        "It works.",
        "```python",
        "print(1)",
        "```",
        "| a | b |",
        "|---|---|",
        "![plan](p.png)",
    ]
    assert strip_markup([*lines, "It still does."]) == ["It works.", "It still does."]


def test_code_is_kept_if_the_text_has_nothing_else() -> None:
    assert strip_markup(["```python", "print(1)", "```"]) == ["print(1)"]


def test_a_table_that_is_most_of_the_text_is_kept_as_rows() -> None:
    table = ["| No | Decision |", "|---|---|", "| 1 | Close the shop by 31 May |"]
    assert strip_markup(["# Decisions", *table, "Thanks."]) == [
        "No | Decision",
        "1 | Close the shop by 31 May",
        "Thanks.",
    ]


def test_an_unclosed_fence_removes_no_text() -> None:
    assert strip_markup(["```", "It works."]) == ["It works."]


def test_repeated_fences_are_not_limited() -> None:
    block = "It works on {n}.\n```python\nprint({n})\n```\n"
    lines = readable_lines("".join(block.format(n=n) for n in range(30)))
    assert lines == tuple(f"It works on {n}." for n in range(30))


def test_titles_in_prose_are_removed() -> None:
    minutes = ["Minutes of the board", "BUDGET", "The budget grows by 6 %.", "It was approved."]
    assert strip_markup(minutes) == minutes[2:]
    minutes.append("Nobody was against it, as the money is there and the bridge is old.")
    assert strip_markup([minutes[0], "Présents : Mme Roy, M. Dupont", *minutes[1:]]) == minutes[2:]
    assert strip_markup(["Hi team,", "The pump failed on Monday.", "Best regards", "Petra"]) == [
        "The pump failed on Monday."
    ]


def test_list_items_and_figures_are_not_titles() -> None:
    lines = ["- Ana calls the supplier", "Total: 4,500 EUR", "The pump failed on Monday, again."]
    assert strip_markup(lines) == ["Ana calls the supplier", *lines[1:]]


def test_verses_are_not_titles() -> None:
    verses = ["The curfew tolls", "the knell of parting day", "and leaves the world."]
    assert strip_markup(verses) == verses


def test_numbers_are_removed_only_from_numbered_lists() -> None:
    assert strip_markup(["1. Test it.", "2. Switch over."]) == ["Test it.", "Switch over."]
    assert strip_markup(["12. März: Abnahme.", "15. März: Umzug."])[0] == "12. März: Abnahme."


def test_only_unchecked_checkboxes_are_kept() -> None:
    assert strip_markup(["- [ ] Call Ana.", "- [x] Call Bob."]) == ["[ ] Call Ana.", "Call Bob."]


def test_the_signature_of_a_mail_is_removed() -> None:
    assert strip_markup(["The pump failed.", "--", "Petra Klein", "Tel. +49 30 1234567"]) == [
        "The pump failed."
    ]


@pytest.mark.parametrize(
    "line",
    [
        "we move the launch to 5 May",  # starts in lower case
        "2 | Raise prices by 4% | Olaf",
        "Schools stay closed until 12 May",  # four words, without a blank line before it
        "- Ana calls the supplier",
    ],
)
def test_a_line_is_not_a_title(line: str) -> None:
    sentence = "It was said on Monday that the old bridge is to be closed for two years."
    assert len(strip_markup([sentence, line, sentence])) == 3


def test_adjacent_lines_and_lines_after_a_colon_are_not_titles() -> None:
    lines = ["Petra orders for the fair in Hanover, which begins on Monday:", "Four chairs"]
    lines += ["Two tables", "The stand is next to the entrance, as it was last year in May."]
    assert strip_markup(lines) == lines
    assert strip_markup(["We need for the fair:", "Four chairs", "Two tables"])[1:] == [
        "Four chairs",
        "Two tables",
    ]
    assert strip_markup(
        ["It works, and it has worked for years.", "", "Next steps", "", "We go on."]
    ) == [
        "It works, and it has worked for years.",
        "We go on.",
    ]


def test_the_headers_of_a_mail_are_removed() -> None:
    assert strip_markup(["From: Bob", "Subject: The fan", "", "The fan is loud."]) == [
        "The fan is loud."
    ]
    assert strip_markup(["On 2 March, Ann Lee wrote:", "The fan is loud."]) == ["The fan is loud."]


def test_a_speaker_whose_name_is_a_mail_header_is_kept() -> None:
    talk = ["An: We close the office.", "Bob: When?", "An: In June.", "Bob: Fine."]
    assert strip_markup(talk) == talk
    letter = ["To: whoever it may concern, the house will be sold.", "It is old."]
    assert strip_markup(letter) == letter


@pytest.mark.parametrize(
    "tail",
    [["1. Bob must tell the client by Friday"], ["We move on 1 May."], ["- Bob calls", "- Ann"]],
)
def test_sentences_and_lists_below_two_dashes_are_kept(tail: list[str]) -> None:
    assert len(strip_markup(["Minutes of today.", "--", *tail])) >= 1 + len(tail)


def test_quoted_lines_are_joined_without_quote_markers() -> None:
    mail = """> The landlord asks whether we stay for another year, as he has to know by
> Friday because of the notice period. I would stay, as the rent is low and
> the next office would be farther from the station."""
    assert readable_lines(mail) == (" ".join(mail.replace("> ", "").split()),)


def test_a_text_of_marks_alone_is_kept() -> None:
    assert readable_lines(">") == (">",)
