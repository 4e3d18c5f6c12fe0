"""Where a sentence goes on although nupunkt, which was trained on English, ends it.

After abbreviations that always stand before something, of languages with Latin letters, and after
the ordinals that German and its neighbours write with a full stop: "zum 31. Dezember".
"""

import re

_REACH = 24  # characters before the full stop that are looked at

_before_a_name = (
    r"Hrn?|Fr|Drs?|[Pp]rof|Mag|[Ii]ng|Dipl|[Nn]r|Bd|z\.\s?[BHZT]|d\.\s?h|i\.\s?d\.\s?R|u\.\s?a|bzw|"
    r"ggf|inkl|exkl|evtl|[Vv]gl|Fa|zzgl|bspw|Sra?|Srta|Sres|Uds?|Vds?|Lic|Dña|Mmes?|Mlle|MM|[Mm]gr|env|"
    r"[Dd]hr|[Mm]evr|[Mm]w|bijv|t\.a\.v|d\.w\.z|[Ss]ig|Sigg|[Dd]ott|[Aa]vv|Arch|inż|św|ks|ul|godz|im|"
    r"Lt|Col|Gen|Sgt|Capt|Maj|Cpl|Cmdr|Adm|Rev|Hon|Mrs?|Ms|Messrs|Sen|Rep|Gov|Pres|Supt"
)
_before_a_number = (
    r"Art|(?<=['’])art|Abs|Abt|[Ss]tr|S|pp?|pág|pag|[Kk]ap|Ziff|Abb|[Ff]ig|Tab|[Vv]ol|[Cc]ap|[Nn]úm|n|[Tt]el|al|"
    r"[Nn]o|ca|aprox|approx|pkt|poz"
)
_named = re.compile(rf"(?:^|[\s(„«\"'’/])(?:{_before_a_name})\.$")
_numbered = re.compile(rf"(?:^|[\s(„«\"'’/])(?:{_before_a_number})\.$")
_short = re.compile(r"(?:^|\s)[^\W\d_]{1,4}\.$")  # "inkl. MwSt. und"
_initials = re.compile(r"(?:^|\s)[^\W\d_]\.-[^\W\d_]\.$")
_ordinal = re.compile(r"(?:^|[\s(/–-])\d{1,3}\.$")
_number_alone = re.compile(r"^\(?\d{1,3}\.$")
_expected = re.compile(
    r"\b(?:(?<!\bI )am|zum|vom|im|ab|dem|den|der|des|die|das|bis|seit|zur|beim|"
    r"jede[mnrs]|diese[mnrs])\s\d{1,3}\.$",
    re.IGNORECASE,
)
_month = re.compile(
    r"(?:Januar|Jänner|Februar|Feber|März|April|Mai|Juni|Juli|August|September|Oktober|November|"
    r"Dezember|Jan|Feb|Mär|Apr|Jun|Jul|Aug|Sept?|Okt|Nov|Dez)\b"
)


def mid_sentence(before: str, after: str) -> bool:
    """Whether the sentence that ends `before` at a full stop goes on with `after`."""
    end = before[-_REACH:]
    if not end.endswith("."):
        return False
    if _named.search(end) or _initials.search(end):
        return True
    if after[:1].islower() and _short.search(end):
        return True
    if _numbered.search(end):
        return after[:1].isdigit()
    if not _ordinal.search(end):
        return False
    expected = _number_alone.match(before) or _expected.search(end)
    return bool(expected or _month.match(after) or after[:1].islower())
