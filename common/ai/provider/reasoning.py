"""Remove what open models write around an answer: reasoning, channels and end tokens.

Servers should remove it, and many don't. A word such as `<think>` that an answer only mentions is
kept: a mark counts only where a model would write it, which is at the start or the end of a line,
after a sentence, or without a space around it, and not in quotation marks.
"""

import re

_NAME = (
    r"(?:\w+:)?(?:(?:start|begin|end)_(?:of_)?)?(?:ant|[a-z]{1,12}_)?"
    r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|analysis|scratchpad|monologue|"
    r"working_out|chain_of_thought|cot|deliberation|plan(?:ning)?|commentary|brainstorm(?:ing)?)(?:_(?:start|begin|end|content|process))?"
)
_ANSWER_NAME = (
    r"(?:(?:start|begin|end)_(?:of_)?)?(?:final_)?"
    r"(?:answer|response|solution|output|result|summary)"
)
_QUOTES = "`'\"\u201c\u201d\u2018\u2019\u00ab\u00bb("
_FLAGS = re.IGNORECASE | re.DOTALL


def _opening(name: str) -> str:
    """Return the pattern of an opening mark, in any of the brackets that models use."""
    return (
        rf"(?:<(?!/|\|)(?!end_){name}(?:\s[^<>]{{0,80}})?>|<[|\uff5c](?!end_|/){name}[|\uff5c]>|"
        rf"\[{name}\]|\u25c1{name}\u25b7|<unused94>thought|<\|channel>\s?thought)"
    )


def _closing(name: str) -> str:
    end = rf"(?:/{name}|end_(?:of_)?{name}|{name}_end)"
    return (
        rf"(?:<(?:{end})\s?>|<[|\uff5c]{end}[|\uff5c]>|\[/{name}\]|\u25c1/{name}\u25b7|"
        rf"<unused95>|<channel\|>)"
    )


def _unquoted(mark: str) -> str:
    return rf"(?<![{_QUOTES}])(?:{mark})(?![{_QUOTES}.,;:)])"


_first_block = re.compile(
    rf"\A\s*{_opening(_NAME)}.*?(?:{_unquoted(_closing(_NAME))}|(?={_opening(_ANSWER_NAME)})|\Z)|"
    # What chat servers and Markdown make of it.
    r"\A\s*<details type=\"reasoning\".*?(?:</details>|\Z)|"
    r"\A\s*```(?:thinking|reasoning|thoughts?)\n.*?(?:\n```|\Z)|"
    r"\A\s*(?:<s>\s*)?\[INST\].*?\[/INST\](?=\s*\w)",  # a repeated prompt
    _FLAGS,
)
_inner_block = re.compile(
    rf"^[ \t]*{_opening(_NAME)}.*?{_unquoted(_closing(_NAME))}", _FLAGS | re.MULTILINE
)
_end_of_reasoning = re.compile(
    rf"\A.*(?:(?:^|[.!?\u2026\u3002\uff01\uff1f])[ \t]*{_unquoted(_closing(_NAME))}|"
    rf"{_unquoted(_closing(_NAME))}(?=\s*\n|\s*\Z|[^\s\W]))",
    _FLAGS | re.MULTILINE,
)
_mentioned_opening = re.compile(_opening(_NAME), _FLAGS)
_final_channel = re.compile(
    r"\A.*<\|channel\|>\s*final\b[^<]{0,40}(?:<\|constrain\|>[^<]{0,40})?<\|message\|>", _FLAGS
)
_any_channel = re.compile(r"\A\s*(?:<\|start\|>\s*\w*\s*)?<\|channel\|>", re.IGNORECASE)
# A server that has removed the special tokens leaves their words.
_bare_channels = re.compile(
    r"\A\s*(?:assistant)?(?:analysis|commentary)(?=\S|\s).*?assistant\s?final(?=\W|[A-Z])\s*",
    re.DOTALL,
)
_answer_block = re.compile(
    rf"\A\s*{_opening(_ANSWER_NAME)}(.*?)(?:{_closing(_ANSWER_NAME)}\s*)?\Z", _FLAGS
)
_MARK = (
    r"<\|[\w ]{1,40}\|>|<\uff5c[^\uff5c<>]{1,40}\uff5c>|</?s>|<(?:start|end)_of_\w{1,20}>|"
    r"<(?:bos|eos|eos_token|pad|unk|eot|eod|end|stop|turn\||\|turn)>|<\w{1,9}:(?:eos|bos)>|"
    r"\[/?(?:INST|SYSTEM_PROMPT|EOS|BOS|END)\]|<</?SYS>>|\[e~\[|\[\|\w{1,20}\|\]|"
    r"</answer>|<unused\d{1,4}>|<0x[0-9A-F]{2}>|<\|\w{1,40}\|?\Z"
)
_tokens_at_start = re.compile(
    rf"\A(?:\s*(?:{_MARK})\s*(?:(?:assistant|model|bot)\b:?\s*(?=\S))?)+", re.IGNORECASE
)
# The end of the answer; what follows is another turn that the model has made up.
_end_token = re.compile(
    rf"(?:(?:^|[.!?\u2026\u3002\uff01\uff1f])[ \t]*|(?<=[^\s{_QUOTES}]))(?P<token>{_MARK})"
    rf"(?![{_QUOTES}.,;:)])|(?P<last>{_MARK})\s*(?:\Z|\n)",
    re.IGNORECASE | re.MULTILINE,
)


def extract_answer(content: str) -> str:
    """Return the answer in a model's message; "" if the message has only reasoning."""
    text = _remove_channels(content)
    while (shorter := _tokens_at_start.sub("", _first_block.sub("", text))) != text:
        text = shorter
    text = _remove_unopened_reasoning(_inner_block.sub("", text))
    text = _remove_end_tokens(_tokens_at_start.sub("", text))
    if block := _answer_block.match(text):
        text = block[1]
    return text.strip()


def _remove_channels(text: str) -> str:
    """Return the final channel; "" if the model has written only to others."""
    if final := _final_channel.match(text):
        return text[final.end() :]
    if _any_channel.match(text):
        return ""
    return _bare_channels.sub("", text)


def _remove_unopened_reasoning(text: str) -> str:
    """Return what follows the last closing mark, whose opening mark was in the prompt."""
    end = _end_of_reasoning.match(text)
    if end is None or _mentioned_opening.search(end[0].rpartition("\n")[2]):
        return text
    return text[end.end() :]


def _remove_end_tokens(text: str) -> str:
    for match in _end_token.finditer(text):
        name = "token" if match["token"] else "last"
        before, token = text[: match.start(name)], match[name]
        if token.lower() != "</s>" or "<s>" not in before.lower():  # not struck-through HTML
            return before
    return text
