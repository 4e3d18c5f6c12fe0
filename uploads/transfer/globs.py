"""Which files of a folder are meant, said in globs.

    *       any characters within one segment of a path     [a-z]  [!a-z]   one of these, or none
    ?       one character                                   **      any number of whole segments

A glob is matched against the whole path below the session's folder; one without `/` against the
file's name, wherever the file lies. `folder/**` is all that is in a folder. Case counts. A file is
meant if a glob of `include` matches it, or there is none, and no glob of `exclude` does.
"""

import re
from collections.abc import Iterable

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")
_CLASS = re.compile(r"\[(!?)(\]?[^\]]*)\]")
_SEGMENT = r"[^/]+/"


class BadGlob(ValueError):
    """The text is no glob; the message says why."""


class Choice:
    """The files that `include` and `exclude` choose; `BadGlob`."""

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        include, exclude = list(include), list(exclude)
        whole = [glob.removesuffix("/**") for glob in exclude if glob.endswith("/**")]
        self._include, self._exclude = _any_of(include), _any_of(exclude)
        self._closed = _any_of(f"{glob}/" for glob in whole)

    def takes(self, path: str) -> bool:
        if self._exclude and self._exclude.fullmatch(path):
            return False
        return not self._include or bool(self._include.fullmatch(path))

    def enters(self, folder: str) -> bool:
        """Whether anything in the folder can be meant."""
        return not (self._closed and self._closed.fullmatch(f"{folder}/"))


def check_glob(text: str) -> str:
    """Return `text` if it is a glob, and raise `BadGlob` where it is not."""
    if problem := glob_problem(text):
        raise BadGlob(problem)
    return text


def glob_problem(text: str) -> str:
    """Why `text` is no glob, in a sentence; `""` where it is one."""
    segments = text.split("/")
    if not text:
        return "It is empty."
    if _CONTROL.search(text):
        return "It holds a backslash or a control character."
    if "" in segments:
        return "It begins or ends with a slash, or has two together."
    if not {".", ".."}.isdisjoint(segments):
        return "It has a segment . or .. in it."
    if any("**" in segment and segment != "**" for segment in segments):
        return "Two stars stand for whole segments: a/**/b."
    if any(map(_class_problem, segments)):
        return "It has a bracket that is not closed, or a range that ends before it begins."
    return ""


def _class_problem(segment: str) -> bool:
    if "[" in _CLASS.sub("", segment):
        return True
    try:
        re.compile(_segment(segment))
    except re.error:
        return True
    return False


def _any_of(globs: Iterable[str]) -> re.Pattern[str] | None:
    patterns = [_pattern(glob) for glob in globs]
    return re.compile("|".join(patterns), re.DOTALL) if patterns else None


def _pattern(glob: str) -> str:
    """The glob as an expression that takes no more steps than the path is long times the glob.

    What lies between two stars is taken where it is found first, and for good (an atomic group):
    no later place could help what follows.
    """
    folder = glob.endswith("/")
    glob = check_glob(glob.removesuffix("/"))
    if "/" not in glob and not folder:
        glob = f"**/{glob}"
    first, *rest = _split(glob.split("/"))
    made = "".join(map(_followed, first))
    for run in rest[:-1]:
        made += f"(?>(?:{_SEGMENT})*?{''.join(map(_followed, run))})" if run else ""
    if not rest:
        return made if folder else made.removesuffix("/")
    last = "".join(map(_followed, rest[-1])).removesuffix("/")
    if folder:
        return f"{made}(?:{_SEGMENT})*{last}{'/' if last else ''}"
    return f"{made}(?:{_SEGMENT})*{last or '[^/]+'}"


def _split(segments: list[str]) -> list[list[str]]:
    """The runs of segments before, between and after each `**`."""
    runs: list[list[str]] = [[]]
    for segment in segments:
        if segment == "**":
            runs.append([])
        else:
            runs[-1].append(segment)
    return runs


def _followed(segment: str) -> str:
    return f"{_segment(segment)}/"


def _segment(segment: str) -> str:
    first, *rest = _STARS.split(segment)
    made = _fixed(first)
    for part in rest[:-1]:
        made += f"(?>[^/]*?{_fixed(part)})" if part else ""
    return f"{made}[^/]*{_fixed(rest[-1])}" if rest else made


# A star inside of brackets is none.
_STARS = re.compile(r"\*(?![^\[]*\])")


def _fixed(part: str) -> str:
    """Text with `?` and brackets in it, but no star."""
    made, position = "", 0
    while position < len(part):
        if bracket := _CLASS.match(part, position):
            negated, members = bracket.groups()
            made += f"(?!/)[{'^' if negated else ''}{_members(members)}]"
            position = bracket.end()
        else:
            made += "[^/]" if part[position] == "?" else re.escape(part[position])
            position += 1
    return made


def _members(members: str) -> str:
    """Of a class: only the hyphen keeps its meaning."""
    return "-".join(re.sub(r"([\[\]^&~|\\])", r"\\\1", part) for part in members.split("-"))
