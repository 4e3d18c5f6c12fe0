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
        ("array[0](x y)", "array[0](x y)"),
    ],
)
def test_marks(line: str, text: str) -> None:
    assert plain([line]) == [text]


def test_headings_are_no_sentences() -> None:
    assert plain(["# Report", "It works.", "## Next", "* "]) == ["It works."]


def test_a_text_of_headings_keeps_them() -> None:
    assert plain(["# Report", "## Next"]) == ["# Report", "## Next"]
