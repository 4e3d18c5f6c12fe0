"""Weights of the summariser, printed by `benchmarks/summariser.py --fit`."""

from typing import NamedTuple


class Weights(NamedTuple):
    """A logistic model of how often a summary has a word of its text."""

    features: dict[str, float]  # per name in features.FEATURE_NAMES
    common: dict[str, float]  # per stem common in English talks, in addition to its features
    steps: list[tuple[float, float]]  # slope and offset of "once or more", "twice or more"…


FEATURES = {
    "log_count": 0.722,
    "log_total": -0.748,
    "first": -0.556,
    "length": 2.875,
    "digit": 1.94,
    "speaker": -0.877,
    "uncommon": -0.067,
    "uncommon_log_count": 0.183,
    "uncommon_capital": 0.196,
}

COMMON = """
    the:+4.62 and:+3.06 a:+3.81 of:+3.34 to:+3.82 i:-2.06 that:+1.98 it:+2.02 you:-4.96 so:+0.53
    is:-0.03 have:-0.02 in:+2.75 be:+3.01 for:+2.28 but:+0.87 we:-4.53 it's:-2.28 on:+2.82
    with:+1.77 if:+0.55 well:-0.33 what:-0.50 think:-2.65 do:-0.03 this:+0.40 are:-0.09
    would:+1.40 that's:-5.42 can:-0.59 know:-1.60 or:+1.44 not:+1.57 all:+1.10 just:-1.77
    one:+1.07 about:+0.18 as:+2.41 they:+1.94 becaus:-0.55 then:+0.55 at:+1.68 don't:-3.60
    which:+0.71 some:+0.78 there:+0.52 was:+3.46 no:+0.65 how:+0.54 more:+1.11 an:+2.39
    really:-1.61 also:+1.72 could:+1.22 up:+1.78 people:-0.06 see:-0.24 from:+0.84 want:-1.60
    your:-4.20 other:+0.80 out:+1.69 go:+0.61 we're:-4.67 differ:+0.45 i'm:-3.88 good:+0.23
    should:+0.77 say:-1.56 things:-1.31 will:-0.46 much:+0.45 our:-1.92 now:-0.05 like:-0.18
    has:-0.77 need:-0.39 when:+0.56 look:+0.60 time:+0.63 get:+0.40 my:-3.37 right:-1.86
    someth:-1.71 any:+0.22 very:-0.28 than:+1.00 them:+0.60 make:+0.84 by:+2.57 you're:-4.76
    going:-0.98 me:-3.15 those:-0.10 use:+1.76 got:+0.10 into:+0.76 actual:-1.42 these:-1.31
    way:+0.35 point:-0.59 though:+0.73 where:-0.86 had:+2.65 two:+1.00 lot:+0.84 might:-0.23
    thing:-1.13 take:-0.38 there':-2.80 does:-1.48 they'r:-3.21 only:+0.99 their:+1.31
    work:+0.73 we've:-4.44 sure:-0.86 first:+0.67 still:+0.32 we'll:-4.25 were:+2.17 said:+0.43
    us:-1.17 put:+0.56 three:+0.47 even:+0.12 change:+0.00 new:+1.91 possib:-0.61 can't:-2.10
    same:-0.07 did:+0.61 here:-4.04 come:+0.29 i've:-3.91 next:+0.93 used:+1.31 find:+0.38
    probab:-1.58 recogn:+1.20 better:-0.17 back:+0.22 yes:-3.83 anythi:-4.47 give:-0.23
    alread:-1.23 number:-0.32 bit:-0.84 over:+0.70 what's:-1.01
"""

STEPS = [(1.007, 0.33), (1.273, -1.199), (1.343, -2.5), (1.431, -3.63)]


def _parse_table(table: str) -> dict[str, float]:
    pairs = (entry.rsplit(":", 1) for entry in table.split())
    return {stem: float(weight) for stem, weight in pairs}


WEIGHTS = Weights(FEATURES, _parse_table(COMMON), STEPS)
