"""Recognise tasks, decisions, figures and risks by the words of a sentence.

In English, German, French and Spanish. Grammar is not analysed, so a few sentences are mistaken.
"""

import re
from enum import IntEnum

LANGUAGES = {"en": "English", "de": "German", "fr": "French", "es": "Spanish"}
NO_TASKS_TEXTS = {"de": "Keine Aufgaben.", "fr": "Aucune tâche.", "es": "Ninguna tarea."}
DEFAULT_NO_TASKS_TEXT = "No action items."

# "Can you hear me?" is no request.
_CAN_YOU = r"(?:can|could|would|will) you(?!(?: all| both| guys)? (?:hear|see|imagine|believe)\b)"
_CAN_YOU_OTHER_LANGUAGES = (
    r"(?:kannst|könntest|würdest) du|(?:könnt|könntet|würdet) ihr|(?:können|könnten|würden) Sie|"
    r"(?:pouvez|pourriez)-vous|(?:peux|pourrais)-tu|(?:puede|puedes|podría|podrías)"
)
# Labels of tasks in a list: "[ ]" of Markdown, "ACTION:", "Aufgabe:".
_task_label = re.compile(
    r"\[ \]\s|[\W\d]{0,9}(?:actions?|action items?|to-?dos?|tasks?|aufgaben?|tâches?|"
    r"actions? à mener|tareas?|acción|acciones)\s?:",
    re.IGNORECASE,
)
# "Dana to call the supplier", a form used in minutes.
_assigned_task = re.compile(
    r"(?:\d[\d.)]{0,8}\s)?(?:[A-ZÀ-Þ][\w.'-]{0,40}(?:\s|,\s|\sand\s|\s&\s)){1,4}to (?:also )?"
    r"(?:add|arrange|ask|book|buy|call|check|collect|compare|complete|confirm|contact|create|"
    r"deliver|discuss|draft|draw|email|find|finish|fix|follow|get|install|investigate|invite|"
    r"look|mail|make|meet|move|negotiate|obtain|order|organi[sz]e|plan|prepare|present|produce|"
    r"provide|remove|repair|replace|report|research|review|schedule|send|set|share|speak|"
    r"submit|talk|tell|test|update|write)\b"
)
_request_phrase = re.compile(
    r"\b(?:please|let's|let us|let me|make sure|don't forget|do not forget|remember to|to-?do|"
    r"action items?|take care of|follow(?:ing)? up|assigned to|(?:is|are) responsible for|"
    rf"{_CAN_YOU}|{_CAN_YOU_OTHER_LANGUAGES}|"
    r"(?:have|has|had|need|needs) to be|(?:must|should|shall) be|"
    r"bitte|kümmer[tn]?|übernimmt|übernehme|erledigt|zu erledigen|"
    r"veuillez|merci de|il faut|s'il (?:te|vous) plaît|se charge|"
    r"por favor|hay que|se encarga)\b",
    re.IGNORECASE,
)
_duty = re.compile(
    r"\b(?:(?:i|we|you|he|she|they|someone|somebody|everyone|everybody|nobody)(?:'ll|'d better)|"
    r"will|shall|must|should|ought to|ha(?:s|ve) to|ha(?:s|ve) got to|needs? to|(?:is|are|am) to|"
    r"'(?:m|re|s) going to|(?:am|are|is) going to|gonna|promised to|agreed to|offered to|"
    r"muss|müssen|musst|soll|sollen|sollte|sollten|wird|werden|"
    r"doit|doivent|devra|devront|devrait|va|vont|"
    r"debe|deben|deberá|deberán|tiene que|tienen que|va a|van a|"
    r"\w{2,30}(?:rá|rán|ré)|"  # the Spanish future, and the French before an article
    r"\w{2,30}(?:ra|ront|rai)(?=\s(?:les?|la|une?|aux?|du|des|à|avec|de|l'|d')))\b",
    re.IGNORECASE,
)
# "12 % werden falsch gebucht" states a fact and is no task.
_passive = re.compile(
    r"\b(?:wird|werden)\b.{0,200}\b\w*(?:ge\w{2,20}(?:t|en)|iert)\W{0,3}$", re.IGNORECASE
)
_firm_duty = re.compile(
    r"\b(?:must|has to|have to|needs? to|muss|müssen|soll|sollen|doit|doivent|devra|devront|"
    r"debe|deben|deberán?|tienen? que|\w{2,30}[aei]remos)\b",
    re.IGNORECASE,
)
_person = re.compile(
    r"(?:\b(?:I|[Ww]e|[Yy]ou|[Hh]e|[Ss]he|[Tt]hey|[Ss]omeone|[Ss]omebody|[Ee]veryone|"
    r"[Ee]verybody|[Ww]ir|[Ii]hr|[Nn]ous|[Vv]ous|[Nn]osotros|"
    r"(?:[Tt]he|[Oo]ur|[Yy]our|[Dd](?:as|ie|er)|[Ll][ea]s?|[Ee]l)\s+(?:\w{1,40}\s+)?(?:team|manager|"
    r"department|designers?|engineers?|supplier|lawyers?|board|council|office|client|customer|"
    r"équipe|equipo)|(?:M\.|Mme|Mlle|Herr|Frau|Sra?\.)\s[^\W\d_][\w'-]{0,40}|"
    r"(?!(?:The|This|That|These|Those|It|There|What|Which|Most|Some|All|Such|Die|Der|Das|Es|"
    r"Le|La|Les|El|Los|Ce|Il|Esto)\b)[^\W\d_a-zß-ÿ][\w'.-]{0,40}))"
    r"(?:'ll\b|\s+(?:\w+ly\s+|also\s+|then\s+|auch\s+)?(?=\w))"
)
_deadline = re.compile(
    r"\b(?:by|until|before|no later than|due|bis|vor|avant|d'ici|pour|antes del?|para)\s+"
    r"(?:\w+\s+){0,2}?(?:\d|(?:mon|tues|wednes|thurs|fri|satur|sun)day|tomorrow|tonight|noon|"
    r"january|february|march|april|may|june|july|august|september|october|november|december|"
    r"(?:next|this)\s+\w+|(?:the\s+)?end|week|month|year|meeting|"
    r"\w+tag|mittwoch|morgen|ende|januar|februar|märz|juni|juli|oktober|dezember|"
    r"lundi|mardi|mercredi|jeudi|vendredi|demain|fin|"
    r"lunes|martes|miércoles|jueves|viernes|mañana|fin)|\b(?:deadline|asap|frist)\b",
    re.IGNORECASE,
)
_question_request = re.compile(
    rf"\b(?:{_CAN_YOU}|{_CAN_YOU_OTHER_LANGUAGES}|(?:can|could|would|will) (?:somebody|someone)|"
    r"bitte|please|s'il (?:te|vous) plaît|por favor|let's|let us)\b",
    re.IGNORECASE,
)

_outcome = re.compile(
    r"\b(?:decid|decision|agree[ds]?\b|approv|conclu|resolv|voted|chose|adopt|therefore|"
    r"result|outcome|final|so we(?:'ll| will)|beschl|entsch(?:ied|eid)|vereinbar|genehmig|ergebnis|"
    r"décid|convenu|approuv|résult|conclu|decidi|acord|aprob|resultad|deciso|delibera|besloten|"
    r"решил|решен|постанов|утвержд|قرر)|决定|決定|决议|批准",
    re.IGNORECASE,
)
_risk = re.compile(
    r"\b(?:risk|danger|threat|delay|problem|warn|fear|concern|worr|fail|shortage|"
    r"risik|gefahr|verzöger|warn|sorge|risqu|retard|problèm|crain|riesgo|retras|peligr)",
    re.IGNORECASE,
)
_open_question = re.compile(
    r"\b(?:to be decided|(?:have|has|need|needs) to (?:be )?(?:decide|agree|choose|approve)|"
    r"open question|undecided|not (?:yet )?(?:been )?decided|whether|"
    r"zu entscheiden|noch offen|ob\b|à décider|por decidir)",
    re.IGNORECASE,
)
_figure = re.compile(r"\d")
_greeting = re.compile(
    r"(?:(?:so|okay|ok|well|and|(?:all )?right|alright),? )*"
    r"(?:good (?:morning|afternoon|evening|day)|hello|hi|hey|(?:good )?bye|see you|thanks|"
    r"thank you|welcome|nice to|guten (?:morgen|tag|abend)|hallo|danke|"
    r"tschüss|bis (?:bald|dann|morgen)|bonjour|bonsoir|salut|merci(?! de)|au revoir|hola|"
    r"buen[oa]s|gracias|adiós)\b",
    re.IGNORECASE,
)


def is_task(text: str) -> bool:
    """Return whether the sentence `text` says that someone has to do something."""
    if text.rstrip().endswith("?") and not _question_request.search(text):
        return False
    if _task_label.match(text) or _assigned_task.match(text) or _request_phrase.search(text):
        return True
    duty = _duty.search(text) or _firm_duty.search(text)
    if not duty or (_passive.search(text) and not _deadline.search(text)):
        return False
    people = _person.finditer(text, 0, duty.end() + 1)
    has_subject = any(person.end() >= duty.start() for person in people)
    return bool(has_subject or _firm_duty.search(text) or _deadline.search(text))


def is_greeting(text: str) -> bool:
    """Return whether `text` starts with a greeting, thanks or a goodbye."""
    return _greeting.match(text) is not None


class SentenceRole(IntEnum):
    """The kind of a sentence, in the order of an executive summary."""

    OUTCOME = 0
    FIGURE = 1
    OTHER = 2
    RISK = 3
    OPEN_QUESTION = 4


ROLE_FACTORS = {
    SentenceRole.OUTCOME: 1.8,
    SentenceRole.FIGURE: 1.4,
    SentenceRole.OTHER: 1.0,
    SentenceRole.RISK: 1.3,
    SentenceRole.OPEN_QUESTION: 1.3,
}
_PATTERNS = {  # the first that matches decides
    SentenceRole.OPEN_QUESTION: _open_question,
    SentenceRole.OUTCOME: _outcome,
    SentenceRole.RISK: _risk,
    SentenceRole.FIGURE: _figure,
}


def find_role(text: str) -> SentenceRole:
    """Return the role of the sentence `text`."""
    for role, pattern in _PATTERNS.items():
        if pattern.search(text):
            return role
    return SentenceRole.OTHER
