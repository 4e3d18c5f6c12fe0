from common.ai.extractive import selection, sentence_roles
from common.ai.extractive.selection import Draft, standing_of
from common.ai.templates import TEMPLATES, is_list_wanted
from common.ai.text import languages
from common.ai.text.sentences import Sentence, clip, cost, split
from common.ai.types import (
    NO_RECORDER,
    Progress,
    Recorder,
    SummaryRefused,
    SummaryRequest,
    SummaryResult,
    ignore_progress,
)

BULLET = "- "
FOCUS = 1.5  # for each word that a company's own template names; where it stands is then no matter
MANY = 10  # of such words in one sentence; more make it no dearer
ANYWHERE = 0.6  # the least standing of what a manager looks for
_NAMES = {instructions: name for name, instructions in TEMPLATES.items()}
# Words by which instructions speak of the summary and not of what it should be about.
_ABOUT = frozenset(
    selection.stems(
        "answer article begin brief bullet bullets choose client concise contain content describe "
        "detail document every explain extract focus format general highlight important include "
        "language list long main mention name note notes number only outline overview paragraph "
        "plain point points prose provide reader sentence sentences short simple single state "
        "style summarise summarize summary tell text title tone write words writing".split()
    )
)


class EmbeddedSummarizer:
    """The summariser that needs no provider: the text's own most telling sentences.

    Templates are followed as far as choosing, ordering and marking sentences goes. It can't write
    in another language than the text's, and `omitted` says so where one is asked for.
    """

    model = selection.MODEL

    def summarize(
        self,
        request: SummaryRequest,
        *,
        recorder: Recorder = NO_RECORDER,
        progress: Progress = ignore_progress,
    ) -> SummaryResult:
        try:
            source = selection.checked(request.text, request.max_words)
        except ValueError as error:
            raise SummaryRefused(str(error)) from None
        text, left_out = _summary(request, source)
        progress(1, 1)
        omitted = "; ".join(filter(None, [left_out, _untranslated(request)]))
        return SummaryResult(text=text, model=self.model, omitted=omitted)


def _summary(request: SummaryRequest, source: str) -> tuple[str, str]:
    """The summary, and in words what it had to leave out."""
    match _NAMES.get(request.instructions, request.instructions):
        case "" | "paragraph":
            return selection.summarize(request.text, max_words=request.max_words), ""
        case "action_items":
            return _tasks(request)
        case "executive":
            return _briefing(request) or clip(source, request.max_words), ""
    return _own(request) or clip(source, request.max_words), ""


def _own(request: SummaryRequest) -> str:
    """By a company's own template, or as bullets: first what the template names, if it does."""
    bulleted = is_list_wanted(request.instructions)
    wanted = _focus(request)
    if not bulleted and not wanted:
        return selection.summarize(request.text, max_words=request.max_words)
    mark = cost(BULLET) if bulleted else 0
    words = selection.room(request.text, request.max_words)
    sentences = split(request.text, longest=max(1, words - mark))
    standing = [
        FOCUS ** min(named, MANY)
        if worth and (named := len(wanted & _singular_stems(sentence.text)))
        else worth
        for sentence, worth in zip(sentences, standing_of(sentences, cued=not wanted), strict=True)
    ]
    chosen = Draft(sentences, standing=standing, mark=mark).filled(words)
    return _bullets(chosen) if bulleted else selection.joined(list(map(_said, chosen)))


def _focus(request: SummaryRequest) -> set[str]:
    if request.instructions in _NAMES or request.instructions in TEMPLATES:
        return set()
    named = _singular_stems(request.instructions) - {stem.rstrip("s") for stem in _ABOUT}
    return named - {stem.rstrip("s") for stem in selection.WEIGHTS.common}


def _singular_stems(text: str) -> set[str]:
    return {stem.rstrip("s") for stem in selection.stems(selection.WORD.findall(text))}


def _tasks(request: SummaryRequest) -> tuple[str, str]:
    """What somebody has to do, or that nobody has to do anything."""
    mark = cost(BULLET)
    language = languages.detected(request.text)
    sentences = split(request.text, longest=max(1, request.max_words - mark))
    standing = [float(sentence_roles.is_task(sentence.text)) for sentence in sentences]
    tasks = Draft(sentences, standing=standing, mark=mark).filled(request.max_words)
    left_out = sum(standing) - len(tasks)
    text = _bullets(tasks) or _marked(
        sentence_roles.NO_TASK.get(language, sentence_roles.NO_TASK_IN_ENGLISH), request.max_words
    )
    if language and language not in sentence_roles.LANGUAGES:
        known = ", ".join(sentence_roles.LANGUAGES.values())
        return text, f"action items in this language: {selection.MODEL} knows them in {known}"
    return text, f"{left_out:.0f} more action items" if left_out and tasks else ""


def _briefing(request: SummaryRequest) -> str:
    """For a manager: outcomes first, then figures, the rest, risks, and what is open."""
    words = selection.room(request.text, request.max_words)
    sentences = split(request.text, longest=words)
    standing = [
        _standing_for_a_manager(sentence_roles.matter(sentence.text), worth)
        for sentence, worth in zip(sentences, standing_of(sentences, cued=False), strict=True)
    ]
    chosen = Draft(sentences, standing=standing, mark=0).filled(words)
    chosen.sort(key=lambda sentence: sentence_roles.matter(sentence.text))
    return selection.joined(list(map(_said, chosen)))


def _standing_for_a_manager(matter: int, worth: float) -> float:
    """An outcome counts wherever it stands."""
    if worth and matter != sentence_roles.OTHER:
        worth = max(worth, ANYWHERE)
    return worth * sentence_roles.WEIGHTS[matter]


def _said(sentence: Sentence) -> str:
    return sentence.label + sentence.text


def _bullets(sentences: list[Sentence]) -> str:
    return "\n".join(BULLET + _said(sentence) for sentence in sentences)


def _marked(line: str, words: int) -> str:
    """`line` as a bullet; where there is room for no more than a word, without the dash."""
    mark = cost(BULLET)
    return BULLET + clip(line, words - mark) if words > mark else clip(line, words)


def _untranslated(request: SummaryRequest) -> str:
    language = " ".join(request.language.split())[:60]
    if not language or languages.may_be(request.text, language):
        return ""
    return f"the translation into {language}: {selection.MODEL} only picks sentences of the text"
