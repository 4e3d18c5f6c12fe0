import pytest

from common.ai.text.markdown import plain, readable


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
def test_marks(line: str, text: str) -> None:
    assert plain([line]) == [text]


def test_headings_are_no_sentences() -> None:
    assert plain(["# Report", "It works.", "## Next", "* "]) == ["It works."]


def test_code_tables_and_pictures_are_no_sentences() -> None:
    lines = [
        "It works.",
        "```python",
        "print(1)",
        "```",
        "| a | b |",
        "|---|---|",
        "![plan](p.png)",
    ]
    assert plain([*lines, "It still does."]) == ["It works.", "It still does."]


def test_where_there_is_nothing_else_they_stay() -> None:
    assert plain(["```python", "print(1)", "```"]) == ["print(1)"]


def test_a_table_that_is_most_of_the_text_is_told_by_its_rows() -> None:
    table = ["| No | Decision |", "|---|---|", "| 1 | Close the shop by 31 May |"]
    assert plain(["# Decisions", *table, "Thanks."]) == [
        "No | Decision",
        "1 | Close the shop by 31 May",
        "Thanks.",
    ]


def test_a_fence_that_is_never_closed_hides_nothing() -> None:
    assert plain(["```", "It works."]) == ["It works."]


def test_code_is_told_from_prose_however_often_it_comes() -> None:
    block = "It works on {n}.\n```python\nprint({n})\n```\n"
    lines = readable("".join(block.format(n=n) for n in range(30)))
    assert lines == tuple(f"It works on {n}." for n in range(30))


def test_titles_in_prose_are_no_sentences() -> None:
    minutes = ["Minutes of the board", "BUDGET", "The budget grows by 6 %.", "It was approved."]
    assert plain(minutes) == minutes[2:]
    minutes.append("Nobody was against it, as the money is there and the bridge is old.")
    assert plain([minutes[0], "Présents : Mme Roy, M. Dupont", *minutes[1:]]) == minutes[2:]
    assert plain(["Hi team,", "The pump failed on Monday.", "Best regards", "Petra"]) == [
        "The pump failed on Monday."
    ]


def test_lines_of_a_list_and_of_figures_are_no_titles() -> None:
    lines = ["- Ana calls the supplier", "Total: 4,500 EUR", "The pump failed on Monday, again."]
    assert plain(lines) == ["Ana calls the supplier", *lines[1:]]


def test_verses_are_no_titles() -> None:
    verses = ["The curfew tolls", "the knell of parting day", "and leaves the world."]
    assert plain(verses) == verses


def test_a_numbered_list() -> None:
    assert plain(["1. Test it.", "2. Switch over."]) == ["Test it.", "Switch over."]
    assert plain(["12. März: Abnahme.", "15. März: Umzug."])[0] == "12. März: Abnahme."


def test_boxes_to_tick_tell_what_is_still_to_do() -> None:
    assert plain(["- [ ] Call Ana.", "- [x] Call Bob."]) == ["[ ] Call Ana.", "Call Bob."]


def test_a_mails_signature_goes() -> None:
    assert plain(["The pump failed.", "--", "Petra Klein", "Tel. +49 30 1234567"]) == [
        "The pump failed."
    ]


@pytest.mark.parametrize(
    "line",
    [
        "we move the launch to 5 May",  # begins with a small letter
        "2 | Raise prices by 4% | Olaf",
        "Schools stay closed until 12 May",  # no blank line above, and four words or more
        "- Ana calls the supplier",
    ],
)
def test_what_is_no_title(line: str) -> None:
    around = "It was said on Monday that the old bridge is to be closed for two years."
    assert len(plain([around, line, around])) == 3


def test_lines_below_a_colon_and_beside_each_other_are_no_titles() -> None:
    lines = ["Petra orders for the fair in Hanover, which begins on Monday:", "Four chairs"]
    lines += ["Two tables", "The stand is next to the entrance, as it was last year in May."]
    assert plain(lines) == lines
    assert plain(["We need for the fair:", "Four chairs", "Two tables"])[1:] == [
        "Four chairs",
        "Two tables",
    ]
    assert plain(["It works, and it has worked for years.", "", "Next steps", "", "We go on."]) == [
        "It works, and it has worked for years.",
        "We go on.",
    ]


def test_the_head_of_a_mail_goes() -> None:
    assert plain(["From: Bob", "Subject: The fan", "", "The fan is loud."]) == ["The fan is loud."]
    assert plain(["On 2 March, Ann Lee wrote:", "The fan is loud."]) == ["The fan is loud."]


def test_who_is_called_like_one_of_its_lines_may_speak() -> None:
    talk = ["An: We close the office.", "Bob: When?", "An: In June.", "Bob: Fine."]
    assert plain(talk) == talk
    letter = ["To: whoever it may concern, the house will be sold.", "It is old."]
    assert plain(letter) == letter


@pytest.mark.parametrize(
    "tail",
    [["1. Bob must tell the client by Friday"], ["We move on 1 May."], ["- Bob calls", "- Ann"]],
)
def test_what_is_below_two_dashes_may_be_the_matter(tail: list[str]) -> None:
    assert len(plain(["Minutes of today.", "--", *tail])) >= 1 + len(tail)


def test_quoted_lines_are_joined_without_their_marks() -> None:
    mail = """> The landlord asks whether we stay for another year, as he has to know by
> Friday because of the notice period. I would stay, as the rent is low and
> the next office would be farther from the station."""
    assert readable(mail) == (" ".join(mail.replace("> ", "").split()),)


def test_there_is_always_something_to_read() -> None:
    assert readable(">") == (">",)
