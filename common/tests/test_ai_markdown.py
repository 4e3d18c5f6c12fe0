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
        ("*Soon*, ***now*** or ~~never~~", "Soon, now or never"),
        ("- [x] Call the supplier", "Call the supplier"),
        ("a * b * c is 2 * 3", "a * b * c is 2 * 3"),
        ("array[0](x y)", "array[0](x y)"),
    ],
)
def test_marks(line: str, text: str) -> None:
    assert plain([line]) == [text]


def test_headings_are_no_sentences() -> None:
    assert plain(["# Report", "It works.", "## Next", "* "]) == ["It works."]


def test_fences_of_code_go() -> None:
    assert plain(["```python", "print(1)", "```"]) == ["print(1)"]


def test_a_text_of_headings_keeps_them() -> None:
    assert plain(["# Report", "## Next"]) == ["# Report", "## Next"]
