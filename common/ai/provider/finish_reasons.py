"""Tell what a provider's `finish_reason` means; each provider spells it in its own way."""

import re
from typing import Any, Literal

FinishKind = Literal["complete", "cut", "declined", "failed"]

# Compared without case and without all but letters: `MAX_TOKENS`, `maxTokens`, `max-tokens`.
_not_a_letter = re.compile(r"[^a-z]")
_complete = re.compile(
    r"(finishreason)?(stop(sequence|token|word|ped)?|eos(token)?|eot(id)?|endturn|"
    r"end(of(turn|text|sequence|stream))?|complete|completed|done|finish|finished|normal|success|"
    r"toolcalls?|tooluse|functioncall|unspecified|null|none)?"
)
_declined = re.compile(
    r"contentfilter|filtered|safety|recitation|refus|prohibited|block|spii|moderat|policy|"
    r"guardrail|sensitive|toxic|declin|harm|censor|inappropriate|language"
)
_cut = re.compile(r"length|token|limit|truncat|incomplete|contextwindow|budget|cutoff|maxed")


def classify_finish(reason: Any) -> FinishKind:
    """Return what a finish reason means; one that is neither known nor an end is a failure."""
    if not isinstance(reason, str):
        return "complete"
    letters = _not_a_letter.sub("", reason.lower())
    if _complete.fullmatch(letters):
        return "complete"
    if _declined.search(letters):
        return "declined"
    return "cut" if _cut.search(letters) else "failed"
