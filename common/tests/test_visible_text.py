"""What a summariser sees of a text: no front matter, comments, tags or notices of chat apps."""

import pytest

from common.ai.text.transcripts import parse_transcript
from common.ai.text.visible_text import extract_visible_text
from common.documents import DocumentType, extract

BODY = "The cooling pump failed on Monday.\n\nThe board decides: on Friday."


@pytest.mark.parametrize(
    "front_matter",
    [
        "---\ntitle: Maintenance report\ndate: 2026-11-02\n---\n\n",
        '---\n# by the wiki\ntitle: "A: b"\ntags:\n  - pump\nabout: >\n  Some\n  prose\n...\n',
        "---\r\ntitle: x\r\nlist: [a,\r\n  b\r\n]\r\n---\r\n",
        '+++\ntitle = "Report"\n[params]\nauthor = "Ann"\n+++\n\n',
        '{\n  "title": "Report",\n  "tags": ["a", {"b": 1}]\n}\n\n',
    ],
)
def test_front_matter_is_left_out(front_matter):
    assert extract_visible_text(front_matter + BODY) == BODY
    file = extract((front_matter + BODY).encode(), DocumentType.TEXT)
    assert file.text == BODY


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nThe pump: it failed.\n\n---\n\nThe board decides.",
        "---\nThe pump failed on Monday.\n---\nThe board decides.",
        "---\ntitle: never closed\n\nThe pump failed.",
        "---\ntitle: nothing else\n---",
        "+++ News +++\nThe pump failed.",
        '{"title": "Report"}',
        '{"a": 1}\n{"a": 2}',
        "{pump} failed\n\nToday",
        "# Title\n\n---\nkey: value\n---\n",
        "Use `<!-- a comment -->` here, and `` `<!-- --> `` there.",
        "```html\n<!-- a comment -->\n<div>code</div>\n```\n\nThe pump failed.",
        "An arrow <!-- is no comment",
        "<b>Bold</b> is a tag, and List<String> is a type.\n\nThe pump failed.\nMore text.",
        "# How to\n\n<div>\n\nThe pump failed.\n\n</div>\n\nMore text.\nAnd more.",
        '<p align="center"><img src="x.png"></p>\n\n# Readme\n\nThe pump failed.\n\n- one\n- two',
        "2026-11-02 10:00:01 Server started\n2026-11-02 10:00:02 ERROR: pump failed",
    ],
)
def test_a_text_that_only_looks_similar_is_kept(text):
    assert extract_visible_text(text) == text.strip("\n")


def test_comments_are_left_out():
    text = (
        "<!-- TODO: ask legal -->\n\nThe pump <!-- really? -->failed.\n"
        "<!--\nmany\n\nlines\n-->\n[//]: # (hidden)\nThe board decides."
    )
    visible = extract_visible_text(text)
    assert visible.split() == "The pump failed. The board decides.".split()


PAGE = """<?xml version="1.0"?>
<!-- saved from url=(0014)about:internet -->
<!DOCTYPE html><html class="menu-open"><head><title>Site</title><style>p{a:b}</style>
<script>if (a < b) document.write("<p>Script</p>")</script></head><body class="sidebar">
<div id="cookie-banner"><div><p>We use cookies.</p></div><button>OK</button></div>
<header><a href="/">Logo</a><nav><ul><li><a>Home</a></li></ul></nav></header>
<div class="x"><a>One</a><br><a href="a>b">Two</a><br><a>Three</a></div>
<h1>Pump</h1><p>The <b>pump</b> failed &amp; more, see <a href="#">the&nbsp;report</a>.</p>
<ul><li>Order one<li>Replace it</ul>
<table><tr><th>Task<th>Owner<th>Due<tr><td>Order<td><td>May</table>
<p style="display: none">Hidden</p><p aria-hidden="true">Hidden</p>
<aside>Advert</aside><footer>Imprint</footer><noscript>No script</noscript></body></html>"""


@pytest.mark.parametrize(
    "page", [PAGE, PAGE.replace("<h1", "<main><h1").replace("<aside", "</main>Rest<aside")]
)
def test_only_the_readable_text_of_a_page_is_seen(page):
    expected = (
        "Pump\n\nThe pump failed & more, see the report.\n\n- Order one\n- Replace it\n"
        "Task | Owner | Due\nOrder | | May"
    )
    assert extract_visible_text(page) == expected
    assert extract_visible_text(extract(page.encode(), DocumentType.TEXT).text) == expected


def test_a_fragment_of_html_is_read():
    assert extract_visible_text("<div>\n<p>One.</p>\n<p>Two.</p></div>") == "One.\n\nTwo."


@pytest.mark.parametrize("name", ["mw-navigation", "toc", "wp-sidebar", "footer"])
def test_the_menus_of_a_wiki_are_left_out(name):
    page = f'<html><body><div id="{name}"><ul><li>Menu</ul></div><p>Pump</p></body></html>'
    assert extract_visible_text(page) == "Pump"


@pytest.mark.parametrize("hyphen", ["&shy;", "&#173;", "\u00ad"])
def test_soft_hyphens_are_left_out(hyphen):
    page = f"<p>Unter{hyphen}nehmens{hyphen}leitung</p>\n<p>x</p>"
    assert extract_visible_text(page) == "Unternehmensleitung\n\nx"


def test_soft_hyphens_of_a_plain_text_are_left_out():
    assert extract_visible_text("Unter\u00adnehmen") == "Unternehmen"


def test_a_page_of_nothing_but_a_menu_is_kept():
    page = "<html><body><nav><a>Home</a></nav></body></html>"
    assert extract_visible_text(page) == "Home"


ANDROID = ("{date} - {notice}", "{date} - {name}: {words}")
IOS = ("\u200e[{date}] Pump team: \u200e{notice}", "[{date}] {name}: {words}")


@pytest.mark.parametrize(
    ("form", "date"),
    [
        (ANDROID, "11/2/26, 10:00 AM"),
        (ANDROID, "11/2/26, 10:00\u202fPM"),
        (ANDROID, "02.11.26, 10:00"),
        (ANDROID, "02/11/2026 10:00"),
        (ANDROID, "2/11/26, 10:00 a. m."),
        (ANDROID, "2026-11-02, 10:00"),
        (ANDROID, "2026/11/2 下午10:00"),
        (ANDROID, "02/11/2026 à 10:00"),
        (ANDROID, "2/11/2026 a las 10:00"),
        (ANDROID, "2.11.2026 klo 10.00"),
        (ANDROID, "02/11/26 10.00"),
        (IOS, "02.11.26, 10:00:00"),
        (IOS, "11/2/26, 10:00:00 AM"),
    ],
)
@pytest.mark.parametrize(
    "notice",
    [
        "Messages and calls are end-to-end encrypted. No one outside of this chat can read them.",
        "Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt.",
        "Bob joined using this group's invite link",
        "Ann a changé l'objet : « Pompe : urgent »",
    ],
)
def test_notices_of_a_chat_app_are_left_out(form, date, notice):
    notice_line, message_line = form
    messages = [("Ann", "the pump failed"), ("Bob", "I replace it: tomorrow"), ("Ann", "good")]
    lines = [message_line.format(date=date, name=name, words=words) for name, words in messages]
    chat = [notice_line.format(date=date, notice=notice), *lines, "and a second line"]
    assert extract_visible_text("\n".join(chat)).split("\n") == [*lines, "and a second line"]


def test_attachments_and_marks_of_edits_are_left_out():
    words = [
        "<Media omitted>",
        "IMG-1.jpg (file attached)",
        "image omitted",
        "Bild weggelassen",
        "This message was deleted",
        "hi <Diese Nachricht wurde bearbeitet>",
    ]
    chat = [f"02.11.26, 10:00 - Ann: {text}" for text in ["the pump failed", *words]]
    assert extract_visible_text("\n".join(chat)).split("\n") == [
        chat[0],
        "02.11.26, 10:00 - Ann: hi",
    ]


def test_notices_are_left_out_of_a_pasted_chat_that_lost_its_marks():
    chat = [
        "[02/11/2026, 10:00:00] Team: Messages and calls are end-to-end encrypted. Only we read.",
        "[02/11/2026, 10:01:00] Ann: the pump failed",
        "[02/11/2026, 10:02:00] Bob: I replace it",
    ]
    assert extract_visible_text("\n".join(chat)).split("\n") == chat[1:]


@pytest.mark.parametrize("head", ["{}, [02.11.2026 10:00]", "{}, [11/2/26 10:00 AM]"])
def test_the_messages_of_telegram_are_turns(head):
    messages = [("Ann Lee", "the pump failed"), ("Bob", "[ Photo ]"), ("Bob", "I replace it")]
    chat = [line for name, words in messages for line in (head.format(name), words, "")]
    assert parse_transcript(chat) == ["Ann Lee: the pump failed", "Bob: I replace it"]


@pytest.mark.parametrize("start", ["", "<html>", "---\na: b\n"])
@pytest.mark.parametrize("part", ["<!--", "<", "<p>", "`", "``` \n", "[", '<a "', "{", "[//]: # ("])
def test_hostile_texts_are_read_in_linear_time(part, start):
    extract_visible_text(start + part * (100_000 // len(part)))
