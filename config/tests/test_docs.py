"""The Markdown files name only paths, links, commands, modules and settings that exist."""

import importlib.util
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import get_commands

from config.environment import BASE_DIR

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", ".github/*.md", "docs/**/*.md", "benchmarks/*.md")
    for path in BASE_DIR.glob(pattern)
)
PACKAGES = (
    "config",
    "common",
    "accounts",
    "catalog",
    "notes",
    "uploads",
    "posts",
    "integrations",
    "benchmarks",
)
IGNORED = re.compile(r"\.git|\.venv|var|\..*_cache|\.hypothesis")
TOP_LEVEL = sorted(path for path in BASE_DIR.iterdir() if not IGNORED.fullmatch(path.name))
FILES = [path for top in TOP_LEVEL for path in (top, *top.rglob("*")) if path.is_file()]
FILE_NAMES = {path.name for path in FILES}
CODE_SUFFIXES = {".py", ".yaml", ".yml", ".sh", ".example"}
CODE_WORDS = {
    word
    for path in FILES
    if path.suffix in CODE_SUFFIXES or path.name in {"Makefile", "Procfile", "Dockerfile"}
    for word in re.findall(r"\w+", path.read_text())
}
# An operator creates these (docs/deploy.md).
OPERATOR_FILES = {
    "docker/.env",
    "docker/bureau.env",
    "docker/release",
    "docker/secrets",
    "docker/sources",
}

FENCED_CODE = re.compile(r"^( *)```.*?^\1```", re.M | re.S)
INLINE_CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.M)
FILE_NAME = re.compile(r"[\w.-]+\.(?:py|md|in|txt|ya?ml|sh|lock|toml|ini|proto|example)")
MAKE_TARGET = re.compile(r"\bmake ([a-z][a-z-]*)")
MANAGEMENT_COMMAND = re.compile(r"manage\.py ([a-z]\w+)")
DOTTED_NAME = re.compile(rf"(?<![\w./@])(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
CONSTANT = re.compile(r"(?<![\w.$])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")


def code_of(document: Path) -> list[str]:
    """Return the fenced blocks and the inline code of a document."""
    text = document.read_text()
    fenced = [match[0] for match in FENCED_CODE.finditer(text)]
    return fenced + INLINE_CODE.findall(FENCED_CODE.sub("", text))


def paths_in(code: str) -> Iterator[str]:
    """Yield the words that look like a file or folder of the repository."""
    top_level = {path.name for path in TOP_LEVEL}
    for word in re.split(r"[\s=`]+", code):
        path = word.strip("\"'(),;:")
        is_below_top_level = "/" in path and path.partition("/")[0] in top_level
        if is_below_top_level or FILE_NAME.fullmatch(path):
            yield path


def path_exists(path: str) -> bool:
    is_created_later = any(
        path == known or path.startswith(f"{known}/") for known in OPERATOR_FILES
    )
    if is_created_later or any(BASE_DIR.glob(path.rstrip("/."))):
        return True
    return "/" not in path and path in FILE_NAMES


def target_exists(target: str) -> bool:
    return re.search(rf"^{target}:", (BASE_DIR / "Makefile").read_text(), re.M) is not None


def name_exists(name: str) -> bool:
    """Whether a dotted name is a module, an attribute of a module, or a model."""
    if FILE_NAME.fullmatch(name) or name.endswith((".json", ".png")):
        return True
    if name.startswith("benchmarks."):
        return importlib.util.find_spec(name) is not None
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        label, _, model = name.partition(".")
        return model.lower() in apps.all_models[label]
    return True


@pytest.mark.parametrize(
    ("find", "exists"),
    [
        (paths_in, path_exists),
        (MAKE_TARGET.findall, target_exists),
        (MANAGEMENT_COMMAND.findall, get_commands().__contains__),
        (DOTTED_NAME.findall, name_exists),
        (CONSTANT.findall, CODE_WORDS.__contains__),
    ],
    ids=["paths", "make targets", "management commands", "dotted names", "settings and constants"],
)
def test_all_names_in_code_exist(
    find: Callable[[str], Iterable[str]], exists: Callable[[str], bool]
) -> None:
    names = {
        (str(document.relative_to(BASE_DIR)), name)
        for document in DOCUMENTS
        for code in code_of(document)
        for name in find(code)
    }
    assert names
    assert sorted(found for found in names if not exists(found[1])) == []


def anchors_of(document: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings."""
    headings = HEADING.findall(FENCED_CODE.sub("", document.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(document: Path) -> None:
    for link in LINK.findall(FENCED_CODE.sub("", document.read_text())):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link
