"""Read the usage in a provider's answer, and whether it shows that a prompt was cut."""

import re
from typing import Any

from common.ai.text.chunking import estimate_tokens
from common.ai.types import Usage

MAX_COMPLETION_TOKENS = 1_000_000  # a larger number in a provider's usage is wrong
MAX_HIDDEN_PROMPT_TOKENS = 20_000  # that a provider may add to our prompt
# A context is never smaller: a lower number counts something else than the prompt, for example
# only what was not in a cache.
MIN_CONTEXT_TOKENS = 500
MIN_READ_SHARE = 0.9  # of the words; a tokenizer needs at least one token for each
MAX_CHARS_PER_IDEOGRAPHIC_TOKEN = 4
# Of the upper estimate, which is at most twice the count for prose. A count that is a power of two
# is below it by chance in one of thousands of prompts, and always if a context ends there.
MAX_SHARE_OF_ESTIMATE = 0.8

_ideographs = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


def get_path(value: Any, *path: str | int) -> Any:
    """Return the value at a path in JSON, None if there is none."""
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def parse_usage(usage: Any, messages: list[dict[str, str]], text: str) -> Usage | None:
    """Return the provider's `usage`, with estimates for missing and impossible numbers.

    Return `None` for an empty answer without usage, because its cost is unknown.
    """
    if not isinstance(usage, dict) and not text:
        return None
    sent = join_contents(messages)
    max_prompt = len(sent.encode()) + MAX_HIDDEN_PROMPT_TOKENS
    prompt = _parse_tokens(get_path(usage, "prompt_tokens"), max_prompt) or estimate_tokens(sent)
    completion = _parse_tokens(get_path(usage, "completion_tokens"), MAX_COMPLETION_TOKENS)
    completion = completion or estimate_tokens(text)
    cached = _parse_tokens(get_path(usage, "prompt_tokens_details", "cached_tokens"), prompt)
    reasoning = get_path(usage, "completion_tokens_details", "reasoning_tokens")
    return Usage(prompt, completion, cached, _parse_tokens(reasoning, completion))


def is_prompt_cut(usage: Any, messages: list[dict[str, str]]) -> bool:
    """Return whether the provider counted fewer tokens than the prompt has at least.

    Some servers, such as Ollama, silently leave out what does not fit their context. A count
    without the tokens that were read from a cache proves nothing, so these are added.
    """
    sent = join_contents(messages)
    counts = [
        get_path(usage, "prompt_tokens"),
        get_path(usage, "prompt_tokens_details", "cached_tokens"),
        get_path(usage, "cache_read_input_tokens"),
        get_path(usage, "cache_creation_input_tokens"),
    ]
    read = sum(
        _parse_tokens(count, len(sent.encode()) + MAX_HIDDEN_PROMPT_TOKENS) for count in counts
    )
    if read < MIN_CONTEXT_TOKENS:
        return False
    if _is_context_size(read) and read < MAX_SHARE_OF_ESTIMATE * estimate_tokens(sent):
        return True
    return read < MIN_READ_SHARE * _count_min_tokens(sent)


def join_contents(messages: list[dict[str, str]]) -> str:
    return "".join(message["content"] for message in messages)


def _is_context_size(tokens: int) -> bool:
    """Return whether a number is a power of two, or one less."""
    return tokens & (tokens - 1) == 0 or tokens & (tokens + 1) == 0


def _count_min_tokens(text: str) -> float:
    """Return the fewest tokens that any tokenizer makes of `text`, for many scripts far too few."""
    ideographs = len(_ideographs.findall(text))
    return len(_ideographs.sub("", text).split()) + ideographs / MAX_CHARS_PER_IDEOGRAPHIC_TOKEN


def _parse_tokens(value: Any, maximum: int) -> int:
    """Return `value` if it is a number from 1 to `maximum`, else 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= maximum:
        return 0
    return int(value)
