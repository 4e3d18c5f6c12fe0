"""The built-in templates: what a summary should be like, as instructions to a model."""

import re
from collections.abc import Mapping
from types import MappingProxyType

TEMPLATES: Mapping[str, str] = MappingProxyType(
    {
        "paragraph": "Write one paragraph of plain prose.",
        "bullets": 'Write the main points as a list. Each line must begin with "- ".',
        "executive": (
            "Write for a manager who will read nothing else: the outcome first, then the reasons, "
            "the figures that matter, the risks, and what has to be decided."
        ),
        "action_items": (
            "List only what somebody has to do: the task, who does it and by when, as far as the "
            'text says so. Each line must begin with "- ". If nobody has to do anything, say so.'
        ),
    }
)

_list_pattern = re.compile(r"""["'`]- ["'`]|\bbullet""", re.IGNORECASE)


def resolve_instructions(instructions: str) -> str:
    """Return the instructions; those of a built-in template can be given by its name."""
    return TEMPLATES.get(instructions, instructions) or TEMPLATES["paragraph"]


def is_list_wanted(instructions: str) -> bool:
    """Return whether the instructions ask for a list: they mention "- " or bullets."""
    return _list_pattern.search(resolve_instructions(instructions)) is not None
