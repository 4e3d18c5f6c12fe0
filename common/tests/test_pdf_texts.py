"""Which text is read from PDF files: characters, forms, words at line ends, heads, columns."""

from io import BytesIO
from pathlib import Path

import pytest

from common.documents import DocumentLimits, DocumentRefused
from common.documents.line_joining import find_compounds, join_lines
from common.documents.pdf_parser import parse_pdf
from common.documents.readability import is_readable
from common.tests.support.documents import build_pdf, build_single_page_pdf, pdf_stream
from common.tests.support.pdf_files import (
    build_annotation,
    build_appearance,
    build_cid_pdf,
    build_font_pdf,
    build_form_pdf,
    make_columns_pdf,
    make_lines_pdf,
    make_pages_pdf,
    make_story_pdf,
)

LIMITS = DocumentLimits(10_000_000, 10_000_000, 100, 100_000, 500, 60)
PUMP = (
    "The cooling pump failed on Monday morning and the server room got too warm for the "
    "machines. Bob replaced it on Tuesday with a spare one that had been in store for years."
)
SPARE = (
    "A new spare has to be ordered before December, because the winter is when most pumps fail "
    "in practice. Ann asks three suppliers for their prices and reports to the board on Friday."
)
ROOF = (
    "The roof above the eastern hall is tight again after a week of work by three people. It "
    "cost less than the estimate of the autumn, and the rest of the money goes into windows."
)


def read(data: bytes) -> str:
    return parse_pdf(BytesIO(data), LIMITS).text


JAPANESE, KOREAN, SIMPLIFIED, TRADITIONAL = "ポンプが故障", "펌프가 고장", "水泵坏了", "水泵壞了"


@pytest.mark.parametrize(
    ("cmap", "ordering", "shown", "text"),
    [
        ("Identity-H", "Japan1", bytes.fromhex("034b034d034f"), "あいう"),
        ("Identity-V", "Japan1", bytes.fromhex("034b034d034f"), "あいう"),
        ("90ms-RKSJ-H", "Japan1", JAPANESE.encode("cp932"), JAPANESE),
        ("90ms-RKSJ-V", "Japan1", JAPANESE.encode("cp932"), JAPANESE),
        ("EUC-H", "Japan1", JAPANESE.encode("euc-jp"), JAPANESE),
        ("UniJIS-UTF16-V", "Japan1", JAPANESE.encode("utf-16-be"), JAPANESE),
        ("KSCms-UHC-H", "Korea1", KOREAN.encode("cp949"), KOREAN),
        ("UniKS-UTF16-V", "Korea1", "펌프가".encode("utf-16-be"), "펌프가"),
        ("GBK-EUC-H", "GB1", SIMPLIFIED.encode("gbk"), SIMPLIFIED),
        ("UniGB-UCS2-V", "GB1", SIMPLIFIED.encode("utf-16-be"), SIMPLIFIED),
        ("ETen-B5-H", "CNS1", TRADITIONAL.encode("big5"), TRADITIONAL),
        ("B5pc-V", "CNS1", TRADITIONAL.encode("big5"), TRADITIONAL),
    ],
)
def test_adobe_collections_are_read_without_a_table_to_unicode(cmap, ordering, shown, text):
    assert read(build_cid_pdf(cmap, ordering, shown)) == text


def test_lines_of_vertical_writing_are_read_from_right_to_left():
    lines = [
        b"1 0 0 1 %d 700 Tm <%b> Tj" % (x, text.encode("utf-16-be").hex().encode())
        for x, text in ((60, "故障した。"), (100, "ポンプが昨日"))
    ]
    single = build_cid_pdf("UniJIS-UTF16-V", "Japan1", b"")
    content = b"BT /F1 12 Tf %b ET" % b" ".join(lines)
    empty = b"BT /F1 12 Tf 100 700 Td <> Tj ET"
    data = single.replace(pdf_stream(empty), pdf_stream(content))
    assert read(data) == "ポンプが昨日故障した。"


SIMPLE_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /ABCDEF+Font >>"
UNKNOWN_FONT = (
    b"<< /Type /Font /Subtype /Type0 /BaseFont /Font /Encoding /Identity-H"
    b" /DescendantFonts [6 0 R] >>"
)
UNKNOWN_CID_FONT = (
    b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Font /CIDSystemInfo << /Registry (Adobe)"
    b" /Ordering (Identity) /Supplement 0 >> /FontDescriptor << /Type /FontDescriptor"
    b" /FontName /Font /Flags 4 >> >>"
)


def shift(text: str, distance: int) -> str:
    """Return `text` as glyph numbers that are not identified look like."""
    return "".join(chr(ord(letter) + distance) if letter != " " else " " for letter in text)


def test_text_whose_characters_are_unknown_is_refused():
    glyphs = "".join(chr(ord(letter) - 29) for letter in PUMP).encode("utf-16-be")
    for data in (
        build_font_pdf(UNKNOWN_FONT, glyphs, UNKNOWN_CID_FONT),
        build_font_pdf(SIMPLE_FONT, bytes(range(1, 25)) * 3),
        build_font_pdf(SIMPLE_FONT, shift(PUMP, 3).encode("latin-1")),
    ):
        with pytest.raises(DocumentRefused, match="fonts of the PDF do not say") as error:
            read(data)
        assert error.value.code == "unreadable"


def test_an_unreadable_page_is_reported_as_omitted():
    page = (
        b"<< /Type /Page /Parent 2 0 R /Contents %d 0 R /Resources << /Font << /F1 7 0 R >> >> >>"
    )
    shown = pdf_stream(b"BT /F1 12 Tf 50 700 Td <%b> Tj ET" % bytes(range(1, 25)).hex().encode())
    extracted = parse_pdf(
        BytesIO(
            build_pdf(
                b"<< /Type /Catalog /Pages 2 0 R >>",
                b"<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>",
                page % 5,
                page % 6,
                pdf_stream(b"BT /F1 12 Tf 50 700 Td (The pump works well.) Tj ET"),
                shown,
                SIMPLE_FONT,
            )
        ),
        LIMITS,
    )
    assert extracted.text == "The pump works well."
    assert extracted.omitted == "1 of 2 pages, whose fonts do not say which characters they show"


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        (PUMP, True),
        ("Насос вышел из строя в понедельник утром, и в серверной стало слишком жарко.", True),
        ("Vlk zmrzl, zhltl hrst zrn a zmlkl. Strč prst skrz krk, řekl starý muž u okna.", True),
        ("Máy bơm làm mát bị hỏng vào sáng thứ Hai và phòng máy chủ trở nên quá nóng.", True),
        ("Η αντλία ψύξης χάλασε το πρωί της Δευτέρας. El niño comió piña.", True),
        ("冷却ポンプが月曜日の朝に故障し、server roomが暑くなりました。", True),
        ("XK-3341 12.50 4 pcs\nBR-77 99.00 1 pcs\n" * 20, True),
        ("E = mc² and ∑ 𝑥𝑖 ≤ √2, where α ∈ ℝ. " * 5, True),
        ("1 ........ 2 ........ 3 | --- | --- |" * 9, True),
        (shift(PUMP, 3), False),
        (shift(PUMP, 1), False),
        (shift(PUMP, -29), False),
        ("Íàñîñ âûøåë èç ñòðîÿ â ïîíåäåëüíèê óòðîì, è â ñåðâåðíîé ñòàëî ñëèøêîì æàðêî.", False),
        ("\x01\x02\x03\x04 \x05\x06\x07", False),
        ("̽ଋҨ ǥƹ̽ୡȥ ဎഁୡࣧҨ ဌʾ ဎಱ̽ೌ¢ ܆ȥ¢ ਮΝ੧ੁ ̿ଋҨ ǥƺ̿ୡȥ ဎഔୡҨ ဌʾ ဎ̿ೌ¢", False),
    ],
)
def test_readable_text_is_distinguished_from_unidentified_glyphs(text, readable):
    assert is_readable(text) is readable


def test_values_of_forms_and_notes_are_read_in_their_place():
    data = build_form_pdf(
        ["Name:", "City:", "Reason:", "Signed:"],
        [
            build_annotation("Widget", 695, "/FT /Tx /T (name) /V (Sofia Marques)"),
            build_annotation("Widget", 655, "/FT /Ch /Ff 131072 /T (c) /Opt [(Porto)] /V (Porto)"),
            build_annotation("Widget", 615, "/FT /Tx /T (r) /V (The pump leaks)"),
            build_annotation("Widget", 575, "/FT /Sig /T (s) /AP << /N 11 0 R >>"),
            build_annotation("FreeText", 500, "/Contents (A note on the page)", x=50),
        ],
        build_appearance(b"Digitally signed by Ann"),
    )
    assert read(data).split("\n") == [
        "Name: Sofia Marques",
        "City: Porto",
        "Reason: The pump leaks",
        "Signed: Digitally signed by Ann",
        "",
        "A note on the page",
    ]


def test_notes_in_a_file_without_a_form_are_read():
    data = build_form_pdf(
        ["Plan:"],
        [
            build_annotation("FreeText", 500, "/Contents (Move the boiler\\rto Ghent)", x=50),
            build_annotation("FreeText", 400, "/Contents (secret)", flags=2),
        ],
    )
    assert read(data.replace(b"/AcroForm", b"/NoFormxx")) == "Plan:\n\nMove the boiler to Ghent"


def test_hidden_values_and_comments_are_left_out():
    data = build_form_pdf(
        ["Name:"],
        [
            build_annotation("Widget", 695, "/FT /Tx /T (name) /V (secret)", flags=2),
            build_annotation("Text", 600, "/Contents (A comment in the margin)"),
        ],
    )
    assert read(data) == "Name:"


def test_marks_of_buttons_are_read():
    data = build_form_pdf(
        ["Agreed:"],
        [
            build_annotation(
                "Widget", 695, "/FT /Btn /T (ok) /V /Yes /AS /Yes /AP << /N << /Yes 7 0 R >> >>"
            )
        ],
        build_appearance(b"X"),
    )
    assert read(data) == "Agreed: X"


def test_words_divided_at_line_ends_are_joined():
    text = read(
        make_lines_pdf(
            "The supervisory committee of the company examined the inter\xad",
            "national agreement on the cooling equipment and found the manufac-",
            "turer had not delivered the pumps. Frau M\xfcller-L\xfcdenscheidt knows the well-",
            "known supplier, and Herr Schmidt-",
            "Bauer the Ein- und Ausgang of the hall, from the years 2020-",
            "2021 on.",
        )
    )
    assert text == (
        "The supervisory committee of the company examined the international agreement on the "
        "cooling equipment and found the manufacturer had not delivered the pumps. Frau "
        "Müller-Lüdenscheidt knows the well-known supplier, and Herr Schmidt-Bauer the Ein- und "
        "Ausgang of the hall, from the years 2020-2021 on."
    )


def test_a_page_printed_by_chromium_is_read():
    """It has soft hyphens and U+2010, and words of a narrow line stand far apart."""
    data = (Path(__file__).parent / "data" / "printed_by_chromium.pdf").read_bytes()
    assert read(data) == (
        "Report\n\nThe supervisory committee examined the international agreement concerning the "
        "refrigeration infrastructure and established that the manufacturing organisation had "
        "not delivered the replacement components, notwithstanding several communications from "
        "the maintenance department during the preceding administrative quarter.\n\n"
        "Unternehmensleitung und Kühlanlagenwartung berichten regelmäßig über "
        "Instandhaltungsmaßnahmen in den Serverräumen der Niederlassung."
    )


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("the inter-", "national plan", "the international plan"),
        ("the inter\u2010", "national plan", "the international plan"),
        ("the inter\xad", "national plan", "the international plan"),
        ("die Kühl\xad\u2010", "anlage", "die Kühlanlage"),
        ("the inter\xad-", "national", "the international"),
        ("Frau Müller-", "Lüdenscheidt", "Frau Müller-Lüdenscheidt"),
        ("a well-", "known fact", "a well-known fact"),
        ("its well-", "being", "its well-being"),
        ("the pro-", "active one", "the pro-active one"),
        ("his self-", "ish plan", "his selfish plan"),
        ("the Ein-", "und Ausgang", "the Ein- und Ausgang"),
        ("state-of-the-", "art pumps", "state-of-the-art pumps"),
        ("in 2020-", "2021", "in 2020-2021"),
        ("https://example.org/the-", "pump", "https://example.org/the-pump"),
        ("the plan -", "and more", "the plan - and more"),
        ("the pump", "failed", "the pump failed"),
        ("ポンプが", "故障", "ポンプが故障"),
    ],
)
def test_two_lines_are_joined(before, after, text):
    compounds = find_compounds(["a pro-active plan"])
    assert join_lines(before, after, compounds) == text


HEADS = {
    "head and numbered foot": lambda n: [
        (50, 800, "Acme Corp - Confidential - Report 2026"),
        (270, 30, f"Page {n} of 5"),
    ],
    "alternating sides": lambda n: [
        (50, 800, f"{n} Minutes of the board") if n % 2 else (380, 800, f"Minutes of the board {n}")
    ],
    "Roman numbers": lambda n: [(300, 30, ["i", "ii", "iii", "iv", "v"][n - 1])],
    "two rows": lambda n: [(50, 810, "Acme Corp"), (50, 797, "Harbour 3"), (300, 30, f"- {n} -")],
    "head and number in one row": lambda n: [(50, 30, "Acme Corp"), (500, 30, str(n + 16))],
}


@pytest.mark.parametrize("name", HEADS)
def test_running_heads_and_page_numbers_are_left_out(name):
    """Also where only the number differs, as in the text of the pages."""
    data = make_pages_pdf(
        [
            [
                *HEADS[name](number),
                (50, 750, f"On day {number} the technician checked pump number {number} and found"),
                (50, 736, f"that the pressure had dropped to {number + 1} bar in hall"),
            ]
            for number in range(1, 6)
        ]
    )
    assert read(data) == "\n".join(
        f"On day {number} the technician checked pump number {number} and found that the pressure "
        f"had dropped to {number + 1} bar in hall"
        for number in range(1, 6)
    )


def test_a_head_with_a_date_close_to_the_text_is_left_out():
    """As browsers print it: only on the first page a gap divides it from the text."""
    data = make_pages_pdf(
        [
            [
                (30, 775, "12/1/26, 6:10 AM"),
                (300, 775, "Acme Quarterly"),
                (50, 735 if number == 1 else 761, f"The technician checked pump number {number}."),
                (50, 600, "It was in order."),
            ]
            for number in range(1, 5)
        ]
    )
    assert "Acme" not in read(data)
    assert "6:10" not in read(data)


def test_text_between_two_pages_is_one_sentence_without_the_page_number():
    data = make_pages_pdf(
        [
            [(50, 750, "The pump in the hall was"), (300, 30, "1")],
            [(50, 750, "replaced on Tuesday by Bob."), (300, 30, "2")],
        ]
    )
    assert read(data) == "The pump in the hall was replaced on Tuesday by Bob."


def test_the_text_of_one_page_or_of_different_pages_is_kept():
    page = [(50, 800, "Acme Corp"), (50, 750, "The pump failed."), (300, 30, "Page 1 of 1")]
    assert read(make_pages_pdf([page])) == "Acme Corp\n\nThe pump failed.\n\nPage 1 of 1"
    titles = ["Roof", "Pump", "Money", "Staff"]
    pages = [[(50, 800, title), (50, 750, f"{title} text.")] for title in titles]
    assert read(make_pages_pdf(pages)) == "\n".join(f"{each}\n\n{each} text." for each in titles)


@pytest.mark.parametrize("by_rows", [True, False])
@pytest.mark.parametrize("count", [2, 3])
def test_columns_are_read_one_after_the_other(count, by_rows):
    title = "Minutes of the board and of its committee for the maintenance of the halls"
    foot = "All of them agreed that this was the best that could be done, and went home early."
    texts = [PUMP, SPARE, ROOF][:count]
    text = read(make_columns_pdf(texts, title=title, foot=foot, by_rows=by_rows))
    assert text.replace("\n\n", "\n").split("\n") == [title, *texts, foot]


def test_columns_of_a_language_with_many_capitals_are_read_one_after_the_other():
    failure = (
        "Die Kühlpumpe in der östlichen Halle ist am Montag kurz vor der Frühschicht ausgefallen. "
        "Bob hat sie am Dienstag durch die Ersatzpumpe ersetzt, die seit Jahren im Lager lag."
    )
    order = (
        "Vor Dezember muss eine neue Pumpe bestellt werden, weil der Winter die Zeit der Ausfälle "
        "ist. Ann fragt drei Lieferanten nach Preisen und berichtet dem Vorstand am Freitag."
    )
    text = read(make_columns_pdf([failure, order], title="Protokoll"))
    assert text.split("\n\n") == ["Protokoll", failure, order]


PARTS = [
    ["Part", "Count", "Price"],
    ["Cooling pump", "2", "4,800.00"],
    ["Spare seal for the pump", "10", "12.50"],
    ["Filter", "1", "99.00"],
]
GOODS = [
    ["milk", "two", "fresh"],
    ["bread", "one", "from the bakery"],
    ["eggs", "ten", "brown"],
    ["butter", "one", "salted"],
]
FINDINGS = [["Finding", "Action"], [PUMP, SPARE], [SPARE, ROOF], [ROOF, PUMP]]
DEFINITIONS = [["Pump", SPARE], ["Server room", PUMP], ["Roof", ROOF]]


@pytest.mark.parametrize("table", [PARTS, GOODS, FINDINGS, DEFINITIONS])
def test_tables_are_read_row_by_row(table):
    text = read(make_story_pdf(PUMP, table, SPARE))
    rows = [" ".join(row) for row in table]
    assert [line for line in text.split("\n") if line] == [PUMP, *rows, SPARE]


def test_items_of_a_list_stay_lines():
    text = read(make_lines_pdf("Things to buy:", "- milk and butter", "- bread", "3 eggs"))
    assert text.split("\n") == ["Things to buy:", "- milk and butter", "- bread", "3 eggs"]


def test_text_on_a_turned_page_is_read():
    """And so is text along its edge."""
    content = (
        b"BT /F1 12 Tf 0 1 -1 0 300 100 Tm 14 TL (The pump failed on Monday and) Tj T*"
        b" (Bob replaced it on Tuesday.) Tj ET BT /F1 12 Tf 1 0 0 1 20 20 Tm (Draft) Tj ET"
    )
    text = read(build_single_page_pdf(pdf_stream(content)))
    assert text == "The pump failed on Monday and Bob replaced it on Tuesday.\nDraft"
