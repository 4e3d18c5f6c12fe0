from collections.abc import Callable
from typing import Any

from rest_framework.exceptions import ValidationError


def together(*questions: Callable[[], Any]) -> list[Any]:
    """The answers to all questions, or one `ValidationError` with all that they find wrong."""
    answers: list[Any] = []
    errors: dict[str, Any] = {}
    for question in questions:
        try:
            answers.append(question())
        except ValidationError as error:
            if not isinstance(error.detail, dict):
                raise
            errors |= error.detail
    if errors:
        raise ValidationError(errors)
    return answers
