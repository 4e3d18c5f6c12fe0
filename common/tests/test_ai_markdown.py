import pytest

from common.ai.markdown import plain


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
    assert plain(["| a | b |", "| c | d |"]) == ["| a | b |", "| c | d |"]


def test_a_fence_that_is_never_closed_hides_nothing() -> None:
    assert plain(["```", "It works."]) == ["It works."]


def test_titles_in_prose_are_no_sentences() -> None:
    minutes = ["Minutes of the board", "BUDGET", "The budget grows by 6 %.", "It was approved."]
    assert plain(minutes) == minutes[2:]
    mail = ["From: Bob", "Subject: The fan", "Présents : Mme Roy, M. Dupont"]
    assert plain([*mail, *minutes]) == minutes[2:]
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


def test_subtitles_are_what_is_said() -> None:
    lines = [
        "WEBVTT",
        "1",
        "00:00:01.000 --> 00:00:04.000",
        "<v Anna>We buy the fan.</v>",
        "2",
        "00:00:05,000 --> 00:00:06,000",
        "It costs 120",
        "euros in all,",
        "3",
        "00:00:07,000 --> 00:00:08,000",
        "with the post.",
    ]
    assert plain(lines) == ["Anna: We buy the fan.", "It costs 120 euros in all, with the post."]


def test_a_text_of_headings_keeps_them() -> None:
    assert plain(["# Report", "## Next"]) == ["# Report", "## Next"]
