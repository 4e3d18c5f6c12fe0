"""Summary templates: the built-in ones, and the lookup among these and a company's own."""

from dataclasses import dataclass

from accounts.models import Company
from common.ai.templates import TEMPLATES
from notes.models import MAX_TEMPLATE_NAME_CHARS, SummaryTemplate
from notes.validators import is_uuid

DESCRIPTIONS = {
    "paragraph": "One paragraph of plain prose.",
    "bullets": 'The main points as a list; each line begins with "- ".',
    "executive": "For a manager who reads nothing else: the outcome, the reasons, what to decide.",
    "action_items": "Who has to do what by when, as a list.",
}


@dataclass(frozen=True, slots=True)
class TemplateSnapshot:
    """The name and instructions of a template, as a summary stores them."""

    name: str
    instructions: str


BUILT_IN_TEMPLATES = {
    name: TemplateSnapshot(name, instructions) for name, instructions in TEMPLATES.items()
}
DEFAULT_TEMPLATE = BUILT_IN_TEMPLATES["paragraph"]
# In the OpenAPI schema: companies add names of their own.
TEMPLATE_NAME_SCHEMA = {
    "anyOf": [
        {"type": "string", "enum": list(BUILT_IN_TEMPLATES)},
        {"type": "string", "minLength": 1, "maxLength": MAX_TEMPLATE_NAME_CHARS},
    ]
}


def find_template(name_or_id: str, *, company: Company) -> TemplateSnapshot | None:
    """Return the built-in template, or the company's own, with this name or id."""
    if built_in := BUILT_IN_TEMPLATES.get(name_or_id.lower()):
        return built_in
    own = SummaryTemplate.objects.filter(company=company)
    matches = own.filter(pk=name_or_id) if is_uuid(name_or_id) else own.with_name(name_or_id)
    template = matches.first()
    return template and TemplateSnapshot(template.name, template.instructions)


def get_built_in_templates() -> dict[str, SummaryTemplate]:
    """Return the built-in templates as unsaved rows without a company, by name.

    Their id is their name.
    """
    rows = {}
    for name, instructions in TEMPLATES.items():
        row = SummaryTemplate(name=name, description=DESCRIPTIONS[name], instructions=instructions)
        row.pk, row.created_at, row.updated_at = name, None, None  # type: ignore[assignment]
        row.built_in = True
        rows[name] = row
    return rows


def find_built_in_templates(text: str) -> list[SummaryTemplate]:
    """Return the built-in templates with the text in their name or description."""
    rows = get_built_in_templates().values()
    return [row for row in rows if text.lower() in f"{row.name}\n{row.description}".lower()]
