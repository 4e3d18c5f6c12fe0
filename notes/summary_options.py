"""What a client can choose about a summary, and the columns that follow from it."""

from dataclasses import dataclass

from common.ai.text.sentences import count_words
from common.ai.text.visible_text import extract_visible_text
from notes.models import Summary
from notes.summary_templates import DEFAULT_TEMPLATE, TemplateSnapshot

MIN_DEFAULT_WORDS, MAX_DEFAULT_WORDS = 20, 120
# A text of this length always has more than three times `MAX_DEFAULT_WORDS`.
MAX_COUNTED_CHARS = 40_000


def compute_default_max_words(text: str) -> int:
    """Return the default of `max_words`: a third of the text's words, within bounds."""
    third = count_words(extract_visible_text(text)[:MAX_COUNTED_CHARS]) // 3
    return max(MIN_DEFAULT_WORDS, min(third, MAX_DEFAULT_WORDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryOptions:
    """The client's choices.

    `language` "" means the language of the text. `max_words` None means the default.
    """

    template: TemplateSnapshot = DEFAULT_TEMPLATE
    language: str = ""
    max_words: int | None = None

    def apply(self, summary: Summary, *, text: str | None) -> Summary:
        """Set an unsaved summary's columns; `text` is None for a file, which the worker reads."""
        summary.template = self.template.name
        summary.instructions = self.template.instructions
        summary.language = self.language
        summary.max_words = self.max_words
        if text is not None:
            summary.text_length = len(text)
            summary.max_words = self.max_words or compute_default_max_words(text)
        return summary
