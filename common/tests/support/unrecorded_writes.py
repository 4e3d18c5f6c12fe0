"""Find functions that write rows and record no event, by reading the code.

A write is a call of a method that writes: those of Django's querysets and models, and all methods
of our own models and querysets that call one. A call of a service is none, as services record. A
function may leave recording to a function of its module that it calls, or to all of those that call
it.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

DJANGO_WRITES = frozenset(
    "create bulk_create get_or_create update_or_create save update bulk_update delete".split()
)
RECORDING = frozenset({"record", "record_all"})
WRITING_SQL = re.compile(r"\b(INSERT INTO|DELETE FROM|TRUNCATE|UPDATE \w+ (AS \w+ )?SET)\b")
MODEL_FILES = re.compile(r"(^|_)(models|querysets)\.py$")
# Also the names of methods of threads, regular expressions and form fields.
AMBIGUOUS = frozenset({"start", "end", "fail", "finish", "complete", "claim"})
# `serializer.save()` calls a service; see `config.tests.test_recording`.
RECORDING_OBJECTS = frozenset({"services", "serializer"})


@dataclass
class Function:
    """A function or method with the names that it calls, and of those the writes."""

    name: str
    calls: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)

    @property
    def records(self) -> bool:
        return bool(self.calls & RECORDING)


def find_unrecorded(source: str, writing: Iterable[str] = DJANGO_WRITES) -> set[str]:
    """Return the names of the functions of a module that write, and whose writes go unrecorded."""
    functions = list(_read_functions(source, frozenset(writing)))
    writers = {function.name for function in functions if function.writes}
    return {name for name in writers if not _is_recorded(name, functions, frozenset())}


def _is_recorded(name: str, functions: list[Function], seen: frozenset[str]) -> bool:
    recording = {function.name for function in functions if function.records}
    own = [function for function in functions if function.name == name]
    if name in recording or any(function.calls & recording for function in own):
        return True
    method = name.rpartition(".")[2]
    callers = {f.name for f in functions if method in f.calls} - seen - {name}
    return bool(callers) and all(
        _is_recorded(caller, functions, seen | {name}) for caller in callers
    )


def find_writing_methods(sources: Iterable[str]) -> frozenset[str]:
    """Return the names of methods that write, from the modules of models and querysets."""
    sources = list(sources)
    names = DJANGO_WRITES
    while True:
        functions = [f for source in sources for f in _read_functions(source, names)]
        found = names | {
            f.name.rpartition(".")[2]
            for f in functions
            if f.writes and not f.name.rpartition(".")[2].startswith("_")
        }
        if found == names:
            return frozenset(names - AMBIGUOUS)
        names = frozenset(found)


def has_writing_sql(source: str) -> bool:
    """Return whether one of the module's texts, docstrings aside, is SQL that writes."""
    return any(
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and WRITING_SQL.search(node.value)
        for node in ast.walk(ast.parse(source))
    )


def list_modules(root: Path, packages: Iterable[str]) -> Iterator[Path]:
    """Yield the modules of the packages, without tests and migrations."""
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            if not {"tests", "migrations"} & set(path.parts):
                yield path


def is_model_module(path: Path) -> bool:
    return bool(MODEL_FILES.search(path.name))


def _read_functions(source: str, writing: frozenset[str]) -> Iterator[Function]:
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            yield _read_function(node, node.name, writing)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    yield _read_function(method, f"{node.name}.{method.name}", writing)


def _read_function(node: ast.FunctionDef, name: str, writing: frozenset[str]) -> Function:
    function = Function(name)
    for child in ast.walk(node):
        match child:
            case ast.Call(func=ast.Attribute(attr=called)):
                function.calls.add(called)
                if called in writing and _is_write(child, called):
                    function.writes.add(called)
            case ast.Call(func=ast.Name(id=called)):
                function.calls.add(called)
            case ast.Name(id=passed):  # also a function that is passed on, as to `partial`
                function.calls.add(passed)
    return function


def _is_write(call: ast.Call, name: str) -> bool:
    """Return whether a call is one of a row, not of a dict, a hash, a file or the cache."""
    assert isinstance(call.func, ast.Attribute)
    if isinstance(call.func.value, ast.Name) and call.func.value.id in RECORDING_OBJECTS:
        return False
    if name in {"update", "delete", "save", "create"}:
        return not call.args
    return True
