"""What a summary should be like: built-in templates and a company's own."""

from typing import NamedTuple

from accounts.models import Company
from common.ai.templates import TEMPLATES
from notes.models import SummaryTemplate, is_id

DESCRIPTIONS = {
    "paragraph": "One paragraph of plain prose.",
    "bullets": 'The main points as a list; each line begins with "- ".',
    "executive": "For a manager who reads nothing else: the outcome, the reasons, what to decide.",
    "action_items": "Who has to do what by when, as a list.",
}


class Template(NamedTuple):
    """A template as a summary keeps it."""

    name: str
    instructions: str


BUILT_IN = {name: Template(name, words) for name, words in TEMPLATES.items()}
DEFAULT = BUILT_IN["paragraph"]


def find(name: str, *, company: Company) -> Template | None:
    """The built-in or own template of this name or id; `None` if there is none."""
    if built_in := BUILT_IN.get(name.lower()):
        return built_in
    rows = SummaryTemplate.objects.filter(company=company)
    own = (rows.filter(pk=name) if is_id(name) else rows.named(name)).first()
    return own and Template(own.name, own.instructions)


def as_rows() -> dict[str, SummaryTemplate]:
    """The built-in ones as unsaved rows of no company, by name, which is their id."""
    rows = {}
    for name, words in TEMPLATES.items():
        row = SummaryTemplate(name=name, description=DESCRIPTIONS[name], instructions=words)
        row.pk, row.created_at, row.updated_at = name, None, None  # type: ignore[assignment]
        row.built_in = True
        rows[name] = row
    return rows
