"""Remove what a chat app writes between the messages of an exported chat.

Such a notice ("Messages are end-to-end encrypted", "Bob joined") has a date but no sender, in every
language. Exports for iOS have a sender but mark the notice with U+200E, as they do files. Pasted
texts often lack the mark, so the commonest notices are also known by their words.
"""

import re

from common.ai.text.transcripts import MESSAGE_DATE

MARK = "\u200e"  # left-to-right mark
MAX_NAME_WORDS = 6

_sender = re.compile(r'([^:："“”„«»]{1,60})(?<!\s)[:：]\s')
# "<Media omitted>", "IMG-2026.jpg (file attached)": in any language
_attachment = re.compile(r"<[^<>]{2,60}>$|\S{1,100}\.\w{2,4} \([^()]{3,40}\)$")
_known_notice = re.compile(
    r"(?:messages? and calls|messages to this|nachrichten und anrufe|les messages et|"
    r"los mensajes y|i messaggi e|as mensagens e).{0,80}(?:end-to-end|ende-zu-ende|bout en bout|"
    r"extremo a extremo|crittograf|ponta a ponta)|"
    r"(?:image|photo|video|audio|sticker|gif|document|contact card) omitted$|"
    r"(?:bild|foto|video|audio|sticker|gif|dokument|kontaktkarte) weggelassen$|"
    r"(?:image|vidéo|audio|sticker|gif|document) absente?$|"
    r"(?:imagen|foto|video|audio|sticker|gif|documento) (?:omitid[oa]|omess[oa])$|"
    r"(?:this message was deleted|you deleted this message|diese nachricht wurde gelöscht|"
    r"ce message a été supprimé|se eliminó este mensaje)\.?$",
    re.IGNORECASE,
)
_edited = re.compile(r" <[^<>\d]{5,60}>$")  # " <This message was edited>"


def strip_notices(text: str) -> str:
    """Return `text` without notices and attachments, if it is an exported chat."""
    lines = text.split("\n")
    parsed = [_parse_message(line) for line in lines]
    dated = [message for message in parsed if message is not None]
    sent = [message for message in dated if message[0]]
    if not sent or len(dated) < 2 or len(sent) * 2 < len(dated):
        return text
    return "\n".join(
        _edited.sub("", line)
        for line, message in zip(lines, parsed, strict=True)
        if message is None or not _is_notice(*message)
    )


def _parse_message(line: str) -> tuple[str, str] | None:
    """Return the sender and the words of a message, None for a line that starts none.

    The sender is "" if there is none.
    """
    line = (
        line.lstrip(MARK + "\u200f\u202a\u202c\ufeff").replace("\u202f", " ").replace("\xa0", " ")
    )
    date = MESSAGE_DATE.match(line)
    if not date or not (date[0].startswith("[") or date[0].rstrip().endswith(("-", "–", ","))):
        return None
    words = line[date.end() :]
    sender = _sender.match(words.removeprefix(MARK))
    if not sender or len(sender[1].split()) > MAX_NAME_WORDS:
        return "", words
    return sender[1], words.removeprefix(MARK)[sender.end() :]


def _is_notice(sender: str, words: str) -> bool:
    if not sender or words.startswith(MARK):
        return True
    return bool(_attachment.match(words) or _known_notice.match(words))
