"""What a sentence is good for, by words that betray it: a task, a decision, a risk.

In English, German, French and Spanish. No grammar, so an odd one slips in or is missed.
"""

import re

LANGUAGES = {"en": "English", "de": "German", "fr": "French", "es": "Spanish"}
NO_TASK = {"de": "Keine Aufgaben.", "fr": "Aucune tâche.", "es": "Ninguna tarea."}
NO_TASK_IN_ENGLISH = "No action items."

_I = re.IGNORECASE

# "Can you hear me?" asks for nothing.
_would_you = r"(?:can|could|would|will) you(?!(?: all| both| guys)? (?:hear|see|imagine|believe)\b)"
_would_you_elsewhere = (
    r"(?:kannst|könntest|würdest) du|(?:könnt|könntet|würdet) ihr|(?:können|könnten|würden) Sie|"
    r"(?:pouvez|pourriez)-vous|(?:peux|pourrais)-tu|(?:puede|puedes|podría|podrías)"
)
# What a list of tasks has before each: "[ ]" of Markdown, "ACTION:", "Aufgabe:".
_marked = re.compile(
    r"\[ \]\s|[\W\d]{0,9}(?:actions?|action items?|to-?dos?|tasks?|aufgaben?|tâches?|"
    r"actions? à mener|tareas?|acción|acciones)\s?:",
    _I,
)
# "Dana to call the supplier", as minutes say it.
_assigned = re.compile(
    r"(?:\d[\d.)]{0,8}\s)?(?:[A-ZÀ-Þ][\w.'-]{0,40}(?:\s|,\s|\sand\s|\s&\s)){1,4}to (?:also )?"
    r"(?:add|arrange|ask|book|buy|call|check|collect|compare|complete|confirm|contact|create|"
    r"deliver|discuss|draft|draw|email|find|finish|fix|follow|get|install|investigate|invite|"
    r"look|mail|make|meet|move|negotiate|obtain|order|organi[sz]e|plan|prepare|present|produce|"
    r"provide|remove|repair|replace|report|research|review|schedule|send|set|share|speak|"
    r"submit|talk|tell|test|update|write)\b"
)
_asked = re.compile(
    r"\b(?:please|let's|let us|let me|make sure|don't forget|do not forget|remember to|to-?do|"
    r"action items?|take care of|follow(?:ing)? up|assigned to|(?:is|are) responsible for|"
    rf"{_would_you}|{_would_you_elsewhere}|"
    r"(?:have|has|had|need|needs) to be|(?:must|should|shall) be|"
    r"bitte|kümmer[tn]?|übernimmt|übernehme|erledigt|zu erledigen|"
    r"veuillez|merci de|il faut|s'il (?:te|vous) plaît|se charge|"
    r"por favor|hay que|se encarga)\b",
    _I,
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
    _I,
)
# "12 % werden falsch gebucht" is no task, and "Bob wird gewartet" none of his.
_passive = re.compile(r"\b(?:wird|werden)\b.{0,200}\b\w*(?:ge\w{2,20}(?:t|en)|iert)\W{0,3}$", _I)
_firm_duty = re.compile(
    r"\b(?:must|has to|have to|needs? to|muss|müssen|soll|sollen|doit|doivent|devra|devront|"
    r"debe|deben|deberán?|tienen? que|\w{2,30}[aei]remos)\b",
    _I,
)
_somebody = re.compile(
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
    _I,
)
_request = re.compile(
    rf"\b(?:{_would_you}|{_would_you_elsewhere}|(?:can|could|would|will) (?:somebody|someone)|"
    r"bitte|please|s'il (?:te|vous) plaît|por favor|let's|let us)\b",
    _I,
)

_outcome = re.compile(
    r"\b(?:decid|decision|agree[ds]?\b|approv|conclu|resolv|voted|chose|adopt|therefore|"
    r"result|outcome|final|so we(?:'ll| will)|beschl|entsch(?:ied|eid)|vereinbar|genehmig|ergebnis|"
    r"décid|convenu|approuv|résult|conclu|decidi|acord|aprob|resultad|deciso|delibera|besloten|"
    r"решил|решен|постанов|утвержд|قرر)|决定|決定|决议|批准",
    _I,
)
_risk = re.compile(
    r"\b(?:risk|danger|threat|delay|problem|warn|fear|concern|worr|fail|shortage|"
    r"risik|gefahr|verzöger|warn|sorge|risqu|retard|problèm|crain|riesgo|retras|peligr)",
    _I,
)
_open = re.compile(
    r"\b(?:to be decided|(?:have|has|need|needs) to (?:be )?(?:decide|agree|choose|approve)|"
    r"open question|undecided|not (?:yet )?(?:been )?decided|whether|"
    r"zu entscheiden|noch offen|ob\b|à décider|por decidir)",
    _I,
)
_figure = re.compile(r"\d")
_greeting = re.compile(
    r"(?:(?:so|okay|ok|well|and|(?:all )?right|alright),? )*"
    r"(?:good (?:morning|afternoon|evening|day)|hello|hi|hey|(?:good )?bye|see you|thanks|"
    r"thank you|welcome|nice to|guten (?:morgen|tag|abend)|hallo|danke|"
    r"tschüss|bis (?:bald|dann|morgen)|bonjour|bonsoir|salut|merci(?! de)|au revoir|hola|"
    r"buen[oa]s|gracias|adiós)\b",
    _I,
)


def is_task(text: str) -> bool:
    """Whether somebody has to do something by what `text`, a sentence, says."""
    if text.rstrip().endswith("?") and not _request.search(text):
        return False
    if _marked.match(text) or _assigned.match(text) or _asked.search(text):
        return True
    duty = _duty.search(text) or _firm_duty.search(text)
    if not duty or (_passive.search(text) and not _deadline.search(text)):
        return False
    by_whom = any(m.end() >= duty.start() for m in _somebody.finditer(text, 0, duty.end() + 1))
    return bool(by_whom or _firm_duty.search(text) or _deadline.search(text))


def is_greeting(text: str) -> bool:
    """Whether `text` begins as people do when they meet, thank and part."""
    return _greeting.match(text) is not None


# What a manager reads, in order, and how much more it counts.
OUTCOME, FIGURE, OTHER, RISK, OPEN = range(5)
WEIGHTS = {OUTCOME: 1.8, FIGURE: 1.4, OTHER: 1.0, RISK: 1.3, OPEN: 1.3}


def matter(text: str) -> int:
    """What `text`, a sentence, tells a manager: OUTCOME, FIGURE, OTHER, RISK or OPEN."""
    for kind, cue in ((OPEN, _open), (OUTCOME, _outcome), (RISK, _risk), (FIGURE, _figure)):
        if cue.search(text):
            return kind
    return OTHER
