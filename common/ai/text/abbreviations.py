"""Full stops after which a sentence continues, although nupunkt ends it there.

nupunkt was trained on English. These rules add abbreviations of other languages with Latin
letters and the ordinals of German and its neighbours, which end in a full stop: "31. Dezember".
"""

import re

_LOOKBEHIND_CHARS = 24  # characters up to the full stop that the rules read

_NAME_ABBREVIATIONS = (
    r"Hrn?|Fr|Drs?|[Pp]rof|Mag|[Ii]ng|Dipl|[Nn]r|Bd|z\.\s?[BHZT]|d\.\s?h|i\.\s?d\.\s?R|u\.\s?a|bzw|"
    r"ggf|inkl|exkl|evtl|[Vv]gl|Fa|zzgl|bspw|Sra?|Srta|Sres|Uds?|Vds?|Lic|Dña|Mmes?|Mlle|MM|[Mm]gr|env|"
    r"[Dd]hr|[Mm]evr|[Mm]w|bijv|t\.a\.v|d\.w\.z|[Ss]ig|Sigg|[Dd]ott|[Aa]vv|Arch|inż|św|ks|ul|godz|im|"
    r"Lt|Col|Gen|Sgt|Capt|Maj|Cpl|Cmdr|Adm|Rev|Hon|Mrs?|Ms|Messrs|Sen|Rep|Gov|Pres|Supt"
)
_NUMBER_ABBREVIATIONS = (
    r"Art|(?<=['’])art|Abs|Abt|[Ss]tr|S|pp?|pág|pag|[Kk]ap|Ziff|Abb|[Ff]ig|Tab|[Vv]ol|[Cc]ap|[Nn]úm|n|[Tt]el|al|"
    r"[Nn]o|ca|aprox|approx|pkt|poz"
)
_name_abbreviation = re.compile(rf"(?:^|[\s(„«\"'’/])(?:{_NAME_ABBREVIATIONS})\.$")
_number_abbreviation = re.compile(rf"(?:^|[\s(„«\"'’/])(?:{_NUMBER_ABBREVIATIONS})\.$")
_short_word = re.compile(r"(?:^|\s)[^\W\d_]{1,4}\.$")  # "inkl. MwSt. und"
_initials = re.compile(r"(?:^|\s)[^\W\d_]\.-[^\W\d_]\.$")
_ordinal = re.compile(r"(?:^|[\s(/–-])\d{1,3}\.$")
_lone_ordinal = re.compile(r"^\(?\d{1,3}\.$")
_ordinal_context = re.compile(
    r"\b(?:(?<!\bI )am|zum|vom|im|ab|dem|den|der|des|die|das|bis|seit|zur|beim|"
    r"jede[mnrs]|diese[mnrs])\s\d{1,3}\.$",
    re.IGNORECASE,
)
_german_month = re.compile(
    r"(?:Januar|Jänner|Februar|Feber|März|April|Mai|Juni|Juli|August|September|Oktober|November|"
    r"Dezember|Jan|Feb|Mär|Apr|Jun|Jul|Aug|Sept?|Okt|Nov|Dez)\b"
)


def is_mid_sentence(before: str, after: str) -> bool:
    """Return whether the sentence at the end of `before` continues in `after`."""
    end = before[-_LOOKBEHIND_CHARS:]
    if not end.endswith("."):
        return False
    if _name_abbreviation.search(end) or _initials.search(end):
        return True
    if after[:1].islower() and _short_word.search(end):
        return True
    if _number_abbreviation.search(end):
        return after[:1].isdigit()
    if not _ordinal.search(end):
        return False
    expects_ordinal = _lone_ordinal.match(before) or _ordinal_context.search(end)
    return bool(expects_ordinal or _german_month.match(after) or after[:1].islower())
