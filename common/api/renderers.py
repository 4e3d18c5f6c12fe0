from typing import Any

from rest_framework import renderers

from common.api.exceptions import AnswerTooLarge

MAX_ANSWER_BYTES = 8_000_000


class JSONRenderer(renderers.JSONRenderer):
    """Renders JSON of at most `MAX_ANSWER_BYTES`; raises `AnswerTooLarge` for more."""

    def render(self, *args: Any, **kwargs: Any) -> bytes:
        body: bytes = super().render(*args, **kwargs)
        check_answer_size(len(body))
        return body


def check_answer_size(size: int) -> None:
    """Raise `AnswerTooLarge` for an answer of more than `MAX_ANSWER_BYTES`."""
    if size > MAX_ANSWER_BYTES:
        raise AnswerTooLarge(
            f"The answer would have {size / 1_000_000:.1f} MB, and at most "
            f"{MAX_ANSWER_BYTES // 1_000_000} MB are sent. Ask for a smaller `page_size`, or name "
            "fewer fields in `fields`."
        )
