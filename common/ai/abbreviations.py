"""Where a sentence goes on although nupunkt, which was trained on English, ends it.

After abbreviations that always stand before something, of languages with Latin letters, and after
the ordinals that German and its neighbours write with a full stop: "zum 31. Dezember".
"""

import re

_REACH = 24  # characters before the full stop that are looked at

_before_a_name = (
    "Hr|Hrn|Fr|Dr|Drs|Prof|prof|Mag|Ing|ing|Dipl|Nr|nr|Bd|z\\.\\s?[BHZT]|d\\.\\s?h|i\\.\\s?d\\.\\s?R|u\\.\\s?a|"
    "bzw|ggf|inkl|exkl|evtl|vgl|zzgl|bspw|Sr|Sra|Srta|Sres|Ud|Uds|Vd|Vds|Lic|Dña|Mme|Mmes|Mlle|MM|"
    "Mgr|mgr|env|dhr|Dhr|mevr|Mevr|mw|Mw|bijv|t\\.a\\.v|d\\.w\\.z|Sig|sig|Sigg|Dott|dott|Avv|avv|Arch|"
    "inż|św|ks|ul|godz|im|Lt|Col|Gen|Sgt|Capt|Maj|Cpl|Cmdr|Adm|Rev|Hon|Mr|Mrs|Ms|Messrs|Sen|Rep|"
    "Gov|Pres|Supt"
)
_before_a_number = (
    "Art|art|Abs|Str|str|S|p|pp|pág|pag|Kap|kap|Ziff|Abb|Fig|fig|Tab|Vol|vol|Cap|cap|núm|Núm|n|"
    "Tel|tel|al|No|no|ca|aprox|approx|pkt|poz"
)
_named = re.compile(rf"(?:^|[\s(„«\"'’/])(?:{_before_a_name})\.$")
_numbered = re.compile(rf"(?:^|[\s(„«\"'’/])(?:{_before_a_number})\.$")
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
    if _numbered.search(end):
        return after[:1].isdigit()
    if not _ordinal.search(end):
        return False
    expected = _number_alone.match(before) or _expected.search(end)
    return bool(expected or _month.match(after) or after[:1].islower())
