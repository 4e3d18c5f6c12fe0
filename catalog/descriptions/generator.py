"""Write the description of a product: by the provider's model, or from a template."""

import re
import time
from dataclasses import dataclass

import structlog

from catalog.descriptions import template
from catalog.descriptions.claims import find_invented_claims
from catalog.descriptions.facts import ProductFacts
from catalog.descriptions.plain_text import to_plain_text
from common import ai
from common.ai.provider.answer_format import take_sentences
from common.ai.text.languages import LANGUAGES
from common.ai.text.sentences import count_words
from common.ai.types import Recorder

log = structlog.get_logger(__name__)

TIME_LIMIT_S = 45.0  # for all attempts; a client waits for the answer
MAX_ATTEMPTS = 2
MAX_WORDS = 150
MAX_CHARS = 5_000
MAX_ANSWER_CHARS = 20_000  # with markup
MAX_NAMED_CLAIMS = 5
INSTRUCTIONS = (
    "The data is all that is known of one product. Write a description of it for the buyers of a "
    "shop, as one or two paragraphs of plain text without markup, lists or headings. Leave out the "
    "price and the article number. Copy numbers with their units as they are in the data."
)
_link = re.compile(r"(?:https?://|www\.)\S+|\b[\w.+-]+@[\w-]+\.\w+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Description:
    """A description in plain text, and the model or template that wrote it."""

    text: str
    model: str


def generate_description(facts: ProductFacts, *, recorder: Recorder) -> Description:
    """Return a description that says nothing but the facts.

    Without a key, or if the model's answers say more, a template writes it. Raises
    `ai.SummaryRefused` and `ai.ProviderUnavailable`. Call it outside of a transaction.
    """
    if (model := ai.writer()) and (text := _write_by_model(model, facts, recorder)):
        return Description(text, model.model)
    return Description(template.write_description(facts), template.MODEL)


def _write_by_model(model: ai.Writer, facts: ProductFacts, recorder: Recorder) -> str:
    """Return the first answer without a fault, "" if all have one."""
    deadline = time.monotonic() + TIME_LIMIT_S
    complaint = ""
    for _ in range(MAX_ATTEMPTS):
        remaining_s = deadline - time.monotonic()
        task = _build_task(facts, complaint)
        answer = model.write(task, time_limit_s=remaining_s, recorder=recorder)
        text = _shorten(to_plain_text(answer[:MAX_ANSWER_CHARS]))
        if not (complaint := find_fault(text, facts)):
            return text
    log.warning("description_refused", model=model.model, hint="A template wrote it instead.")
    return ""


def _build_task(facts: ProductFacts, complaint: str) -> ai.WritingTask:
    language = LANGUAGES.get(facts.language)
    name = language.names.split()[0].capitalize() if language else "the language of the data"
    sentences = [INSTRUCTIONS, f"Write in {name}.", complaint]
    return ai.WritingTask("\n".join(filter(None, sentences)), facts.to_text(), MAX_WORDS)


def _shorten(text: str) -> str:
    text = text[:MAX_CHARS]
    return text if count_words(text) <= MAX_WORDS else take_sentences(text, MAX_WORDS)


def find_fault(text: str, facts: ProductFacts) -> str:
    """Return what is wrong with a description, as a sentence to the model; "" if nothing is."""
    source = facts.to_text()
    if not text:
        return "Your last answer had no text."
    if INSTRUCTIONS[:60] in text or "<document " in text:
        return "Your last answer repeated this message."
    if any(link.rstrip(".,;:!?)") not in source for link in _link.findall(text)):
        return "Your last answer had an address that is not in the data. Name no addresses."
    if claims := find_invented_claims(text, source, language=facts.language):
        named = "; ".join(claims[:MAX_NAMED_CLAIMS])
        return f"Your last answer named what is not in the data: {named}. Leave that out."
    return ""
