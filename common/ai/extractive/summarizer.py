"""The summariser without a provider: it selects sentences of the text."""

from common.ai.extractive import paragraph
from common.ai.extractive.features import WORD, stem_tokens
from common.ai.extractive.selection import SentenceSelector
from common.ai.extractive.sentence_factors import compute_factors
from common.ai.extractive.sentence_roles import (
    DEFAULT_NO_TASKS_TEXT,
    LANGUAGES,
    NO_TASKS_TEXTS,
    ROLE_FACTORS,
    SentenceRole,
    find_role,
    is_task,
)
from common.ai.extractive.weights import WEIGHTS
from common.ai.templates import TEMPLATES, is_list_wanted
from common.ai.text.languages import detect_language, is_in_language
from common.ai.text.sentences import Sentence, count_words, split_sentences, truncate
from common.ai.types import (
    NO_RECORDER,
    Progress,
    SummaryRecorder,
    SummaryRefused,
    SummaryRequest,
    SummaryResult,
    ignore_progress,
)

MODEL = "bureau-extractive-4"
BULLET = "- "
MAX_LANGUAGE_CHARS = 60  # of the requested language in `omitted`
TOPIC_WORD_FACTOR = 1.5  # for each word of a sentence that is in a company's own template
MAX_TOPIC_WORDS = 10  # that count in one sentence
MIN_ROLE_FACTOR = 0.6  # for an outcome, a figure, a risk or an open question, at any position

_TEMPLATE_NAMES = {instructions: name for name, instructions in TEMPLATES.items()}


def _singular_stems(tokens: list[str]) -> set[str]:
    return {stem.rstrip("s") for stem in stem_tokens(tokens)}


# Words of instructions that describe the summary and not its topic.
_FORM_STEMS = _singular_stems(
    "answer article begin brief bullet bullets choose client concise contain content describe "
    "detail document every explain extract focus format general highlight important include "
    "language list long main mention name note notes number only outline overview paragraph "
    "plain point points prose provide reader sentence sentences short simple single state "
    "style summarise summarize summary tell text title tone write words writing".split()
)
_COMMON_STEMS = {stem.rstrip("s") for stem in WEIGHTS.common}


class EmbeddedSummarizer:
    """Summarises with sentences of the text itself.

    It follows a template by selecting, ordering and marking sentences. It cannot translate; if
    another language is requested, `omitted` says so.
    """

    model = MODEL

    def summarize(
        self,
        request: SummaryRequest,
        *,
        recorder: SummaryRecorder = NO_RECORDER,
        progress: Progress = ignore_progress,
    ) -> SummaryResult:
        """Return the summary of `request.text`. Raises `SummaryRefused` if it has no text."""
        try:
            source = paragraph.validate_source(request.text, request.max_words)
        except ValueError as error:
            raise SummaryRefused(str(error)) from None
        text, missing = _summarize(request, source)
        progress(1, 1)
        omitted = "; ".join(filter(None, [missing, _missing_translation(request)]))
        return SummaryResult(text=text, model=self.model, omitted=omitted)


def _summarize(request: SummaryRequest, source: str) -> tuple[str, str]:
    """Return the summary, and a description of what was left out."""
    match _TEMPLATE_NAMES.get(request.instructions, request.instructions):
        case "" | "paragraph":
            return paragraph.summarize(request.text, max_words=request.max_words), ""
        case "action_items":
            return _summarize_tasks(request)
        case "executive":
            return _summarize_for_manager(request) or truncate(source, request.max_words), ""
    return _summarize_by_topic(request) or truncate(source, request.max_words), ""


def _summarize_by_topic(request: SummaryRequest) -> str:
    """Summarise as bullets, or by the topic that a company's own template names."""
    has_bullets, topic = is_list_wanted(request.instructions), _topic_stems(request)
    if not has_bullets and not topic:
        return paragraph.summarize(request.text, max_words=request.max_words)
    max_words = paragraph.max_summary_words(request.text, request.max_words)
    bullet_words = count_words(BULLET) if has_bullets else 0
    sentences = split_sentences(request.text, max_words=max(1, max_words - bullet_words))
    factors = compute_factors(sentences, use_roles=not topic)
    factors = [_topic_factor(s, f, topic) for s, f in zip(sentences, factors, strict=True)]
    selected = _select(sentences, factors, max_words, extra_words=bullet_words)
    return _join_bullets(selected) if has_bullets else _join_prose(selected)


def _topic_factor(sentence: Sentence, factor: float, topic: set[str]) -> float:
    """Return a factor for the topic words in `sentence`, or `factor` if it has none."""
    if not factor:
        return factor
    count = len(topic & _singular_stems(WORD.findall(sentence.text)))
    return TOPIC_WORD_FACTOR ** min(count, MAX_TOPIC_WORDS) if count else factor


def _topic_stems(request: SummaryRequest) -> set[str]:
    """Return the words of a company's own template that name a topic."""
    if request.instructions in _TEMPLATE_NAMES or request.instructions in TEMPLATES:
        return set()
    return _singular_stems(WORD.findall(request.instructions)) - _FORM_STEMS - _COMMON_STEMS


def _summarize_tasks(request: SummaryRequest) -> tuple[str, str]:
    """Return the tasks in the text as bullets, or a line that there are none."""
    bullet_words = count_words(BULLET)
    language = detect_language(request.text)
    sentences = split_sentences(request.text, max_words=max(1, request.max_words - bullet_words))
    factors = [float(is_task(sentence.text)) for sentence in sentences]
    tasks = _select(sentences, factors, request.max_words, extra_words=bullet_words)
    text = _join_bullets(tasks) or _truncate_bullet(
        NO_TASKS_TEXTS.get(language, DEFAULT_NO_TASKS_TEXT), request.max_words
    )
    if language and language not in LANGUAGES:
        known = ", ".join(LANGUAGES.values())
        return text, f"action items in this language: {MODEL} knows them in {known}"
    missing = sum(factors) - len(tasks)
    return text, f"{missing:.0f} more action items" if missing and tasks else ""


def _summarize_for_manager(request: SummaryRequest) -> str:
    """Return outcomes first, then figures, other sentences, risks and open questions."""
    max_words = paragraph.max_summary_words(request.text, request.max_words)
    sentences = split_sentences(request.text, max_words=max_words)
    factors = compute_factors(sentences, use_roles=False)
    factors = [
        _manager_factor(find_role(s.text), f) for s, f in zip(sentences, factors, strict=True)
    ]
    selected = _select(sentences, factors, max_words)
    selected.sort(key=lambda sentence: find_role(sentence.text))
    return _join_prose(selected)


def _manager_factor(role: SentenceRole, factor: float) -> float:
    """Return the factor of a sentence: its role counts more than its position."""
    if factor and role != SentenceRole.OTHER:
        factor = max(factor, MIN_ROLE_FACTOR)
    return factor * ROLE_FACTORS[role]


def _select(
    sentences: list[Sentence], factors: list[float], max_words: int, *, extra_words: int = 0
) -> list[Sentence]:
    selector = SentenceSelector(
        sentences, factors=factors, standalone=True, extra_words=extra_words
    )
    return selector.select(max_words)


def _join_prose(sentences: list[Sentence]) -> str:
    return paragraph.join_sentences([sentence.label + sentence.text for sentence in sentences])


def _join_bullets(sentences: list[Sentence]) -> str:
    return "\n".join(BULLET + sentence.label + sentence.text for sentence in sentences)


def _truncate_bullet(line: str, max_words: int) -> str:
    """Return `line` as a bullet, or without the dash if only one word is allowed."""
    bullet_words = count_words(BULLET)
    if max_words > bullet_words:
        return BULLET + truncate(line, max_words - bullet_words)
    return truncate(line, max_words)


def _missing_translation(request: SummaryRequest) -> str:
    """Return a description of the missing translation, or "" if none is needed."""
    language = " ".join(request.language.split())[:MAX_LANGUAGE_CHARS]
    if not language or is_in_language(request.text, language):
        return ""
    return f"the translation into {language}: {MODEL} only picks sentences of the text"
