"""Remove the front matter of Markdown files: YAML, TOML or JSON before the text."""

import json
import re

MAX_LINES = 200

_KEY = r"""(?:[A-Za-z_][\w.-]{0,80}|"[^"]{1,80}"|'[^']{1,80}')"""
# A line is a key, a part of a longer value, or a comment. The first one has to be a key or comment.
_yaml_start = re.compile(rf"#|{_KEY}\s?:(?:\s|$)")
_yaml_line = re.compile(rf"\s|#|-\s|[\]}}]|{_KEY}\s?:(?:\s|$)|$")
_toml_start = re.compile(rf"#|\[|{_KEY}\s?=")
_toml_line = re.compile(rf"\s|#|\[|[\]}}\"]|{_KEY}\s?=|$")
_FENCES = {
    "---": (("---", "..."), _yaml_start, _yaml_line),
    "+++": (("+++",), _toml_start, _toml_line),
}


def strip_front_matter(text: str) -> str:
    """Return `text` without its front matter. A rule at the start of a text is none."""
    text = text.removeprefix("\ufeff")
    if text.startswith("{"):
        return _strip_json(text)
    lines = text.split("\n", MAX_LINES)
    if len(lines) < 3 or (fence := _FENCES.get(lines[0].rstrip())) is None:
        return text
    ends, start, line_pattern = fence
    if not start.match(lines[1]):
        return text
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() in ends:
            rest = "\n".join(lines[number + 1 :]).strip("\n")
            return rest if rest.strip() else text
        if not line_pattern.match(line):
            return text
    return text


def _strip_json(text: str) -> str:
    """Return `text` without a JSON object on its first lines, if prose follows it."""
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return text
    rest = text[end:]
    is_prose = rest.startswith(("\n", "\r\n")) and rest.strip() and rest.strip()[0] not in "{[,"
    return rest.strip("\r\n") if is_prose else text
