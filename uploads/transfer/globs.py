"""Globs that select files of a folder.

    *       any characters within one path segment      [a-z]  [!a-z]   one (other) character
    ?       one character                               **      any number of whole segments

A glob is matched against the path relative to the session's folder; a glob without `/` against the
file name, at any depth. `folder/**` matches everything in a folder. Matching is case-sensitive. A
file is selected if a glob of `include` matches it, or `include` is empty, and no glob of `exclude`
matches it.

Syntax of other tools is refused, as it would silently match nothing: braces, `!` at the beginning,
`[^a]` and `[[:digit:]]`. In brackets a special character stands for itself: `[{]`.

The libraries that we tried take exponential time for some globs, and clients write the globs
(docs/adr/0015-own-globs.md).
"""

import re
from collections.abc import Iterable

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")
_CLASS = re.compile(r"\[(!?)(\]?[^\]]*)\]")
_BRACKETS_OF_REGEX = re.compile(r"\[(?:\^|!?\[[:.=])")
_ANY_SEGMENT = r"[^/]+/"
_STAR = re.compile(r"\*(?![^\[]*\])")  # a star in brackets is an ordinary character


class InvalidGlob(ValueError):
    """The text is not a valid glob; the message gives the reason."""


class GlobFilter:
    """Selects files by `include` and `exclude` globs; raises `InvalidGlob`."""

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        include, exclude = list(include), list(exclude)
        self._include, self._exclude = _compile(include), _compile(exclude)
        # `folder/**` excludes a whole folder, which then needs no scan.
        folders = [glob.removesuffix("/**") for glob in exclude if glob.endswith("/**")]
        self._excluded_folders = _compile(f"{folder}/" for folder in folders)

    def matches(self, path: str) -> bool:
        if self._exclude and self._exclude.fullmatch(path):
            return False
        return not self._include or bool(self._include.fullmatch(path))

    def may_match_in(self, folder: str) -> bool:
        """Whether any file in the folder could be selected."""
        return not (self._excluded_folders and self._excluded_folders.fullmatch(f"{folder}/"))


def check_glob(text: str) -> str:
    """Return `text` if it is a valid glob, else raise `InvalidGlob`."""
    if problem := glob_problem(text):
        raise InvalidGlob(problem)
    return text


def glob_problem(text: str) -> str:
    """Return why `text` is not a valid glob, as a sentence, or "" if it is."""
    segments = text.split("/")
    if not text:
        return "It is empty."
    if _FORBIDDEN.search(text):
        return "It contains a backslash or a control character."
    if "" in segments[:-1]:
        return "It begins with a slash, or has an empty segment."
    if text.endswith("/"):
        return "It ends with a slash: write folder/** for all files in a folder."
    if not {".", ".."}.isdisjoint(segments):
        return "It has a segment . or .. in it."
    if any("**" in segment and segment != "**" for segment in segments):
        return "Two stars must be a whole segment: a/**/b."
    if any(map(_has_invalid_class, segments)):
        return "It has an unclosed bracket, or a range whose end is before its start."
    return _foreign_syntax_problem(text)


def _foreign_syntax_problem(text: str) -> str:
    """Return why the glob would mean something else than in other tools, or ""."""
    if text.startswith("!"):
        return "It begins with !: put the glob into `exclude`, or write ? for the character."
    if _BRACKETS_OF_REGEX.search(text):
        return "Write [!a] for another character than a, and [0-9] for a digit."
    if not {"{", "}"}.isdisjoint(_CLASS.sub("", text)):
        return "It contains braces: write a glob for each alternative, or [{] for the character."
    return ""


def _has_invalid_class(segment: str) -> bool:
    if "[" in _CLASS.sub("", segment):
        return True
    try:
        re.compile(_segment_pattern(segment))
    except re.error:
        return True
    return False


def _compile(globs: Iterable[str]) -> re.Pattern[str] | None:
    patterns = [_glob_pattern(glob) for glob in globs]
    return re.compile("|".join(patterns), re.DOTALL) if patterns else None


def _glob_pattern(glob: str) -> str:
    """Return a regular expression for `glob`; a trailing slash means "this folder".

    Matching takes at most the length of the path times the length of the glob. The text between
    two stars is matched at its first position only (an atomic group), as a later position would
    not help to match the rest.
    """
    is_folder = glob.endswith("/")
    glob = check_glob(glob.removesuffix("/"))
    if "/" not in glob and not is_folder:
        glob = f"**/{glob}"
    first, *rest = _split_at_double_stars(glob.split("/"))
    pattern = "".join(map(_segment_with_slash, first))
    for run in rest[:-1]:
        middle = "".join(map(_segment_with_slash, run))
        pattern += f"(?>(?:{_ANY_SEGMENT})*?{middle})" if run else ""
    if not rest:
        return pattern if is_folder else pattern.removesuffix("/")
    last = "".join(map(_segment_with_slash, rest[-1])).removesuffix("/")
    if is_folder:
        return f"{pattern}(?:{_ANY_SEGMENT})*{last}{'/' if last else ''}"
    return f"{pattern}(?:{_ANY_SEGMENT})*{last or '[^/]+'}"


def _split_at_double_stars(segments: list[str]) -> list[list[str]]:
    """Return the runs of segments before, between and after each `**`."""
    runs: list[list[str]] = [[]]
    for segment in segments:
        if segment == "**":
            runs.append([])
        else:
            runs[-1].append(segment)
    return runs


def _segment_with_slash(segment: str) -> str:
    return f"{_segment_pattern(segment)}/"


def _segment_pattern(segment: str) -> str:
    first, *rest = _STAR.split(segment)
    pattern = _pattern_without_stars(first)
    for part in rest[:-1]:
        pattern += f"(?>[^/]*?{_pattern_without_stars(part)})" if part else ""
    return f"{pattern}[^/]*{_pattern_without_stars(rest[-1])}" if rest else pattern


def _pattern_without_stars(part: str) -> str:
    """Return a pattern for text that may contain `?` and brackets but no star."""
    pattern, position = "", 0
    while position < len(part):
        if bracket := _CLASS.match(part, position):
            negation, members = bracket.groups()
            pattern += f"(?!/)[{'^' if negation else ''}{_escape_members(members)}]"
            position = bracket.end()
        else:
            pattern += "[^/]" if part[position] == "?" else re.escape(part[position])
            position += 1
    return pattern


def _escape_members(members: str) -> str:
    """Escape the members of a character class, in which only the hyphen is special."""
    return "-".join(re.sub(r"([\[\]^&~|\\])", r"\\\1", part) for part in members.split("-"))
