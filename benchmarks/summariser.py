"""Measures and fits the embedded summariser. How and why: summariser.md beside this file.

pip install --target /tmp/bench rouge-score sumy
export PYTHONPATH=/tmp/bench
.venv/bin/python benchmarks/summariser.py --data meetings.jsonl [--folds 5] [--oracle]
.venv/bin/python benchmarks/summariser.py --data meetings.jsonl --fit > weights.py
"""

import argparse
import json
import random
import re
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from common.ai.extractive import selection
from common.ai.extractive.weights import WEIGHTS, Weights
from common.ai.text import sentences

MAX_WORDS = 80
COMMON_WORDS = 150
RIDGE = 30.0
COUNTS = 4  # how often one word may be worth having

Passage = dict[str, str]

WEIGHTS_MODULE = '''\
"""What the embedded summariser learned: printed by `benchmarks/summariser.py --fit`."""

from typing import NamedTuple


class Weights(NamedTuple):
    """A logistic model of whether, and how often, a summary has a word of its text."""

    features: dict[str, float]  # per feature of selection.FEATURE_NAMES
    common: dict[str, float]  # per stem that any English talk has, on top of its features
    steps: list[tuple[float, float]]  # slope and offset for "once or more", "twice or more", ...


FEATURES = {{
{features}
}}

COMMON = """
{table}
"""

STEPS = {steps}


def _parsed(table: str) -> dict[str, float]:
    pairs = (entry.rsplit(":", 1) for entry in table.split())
    return {{stem: float(weight) for stem, weight in pairs}}


WEIGHTS = Weights(FEATURES, _parsed(COMMON), STEPS)'''


def kind(meeting: str) -> str:
    """Where a meeting of QMSum was held: a company (AMI), a university (ICSI), a parliament."""
    if re.match(r"(IS|ES|TS)\d", meeting):
        return "company"
    return "university" if re.match(r"B[a-z]+\d", meeting) else "parliament"


def meeting_of(passage: Passage) -> str:
    return passage["id"].split("-")[0]


def common_words(passages: list[Passage]) -> list[str]:
    """The words that are common in each kind of meeting, so that none is of one trade."""
    total = Counter(kind(meeting_of(p)) for p in passages)
    found: dict[str, Counter[str]] = {}
    for p in passages:
        words = selection.words_of(sentences.split(p["text"], longest=MAX_WORDS), frozenset())
        for stem in words.stems:
            found.setdefault(stem, Counter())[kind(meeting_of(p))] += 1
    share = {stem: min(by[k] / total[k] for k in total) for stem, by in found.items()}
    return sorted(share, key=lambda s: (-share[s], s))[:COMMON_WORDS]


def logistic(x: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    """Weights and, last, the intercept that maximise the penalised likelihood, by Newton."""
    x = np.hstack([x, np.ones((len(x), 1))])
    w, penalty = np.zeros(x.shape[1]), np.eye(x.shape[1]) * ridge
    penalty[-1, -1] = 1e-6
    for _ in range(15):
        p = 1 / (1 + np.exp(-x @ w))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + penalty
        step = np.linalg.solve(hessian, x.T @ (p - y) + penalty @ w)
        w -= step
        if abs(step).max() < 1e-6:
            break
    return w


def examples(passage: Passage, common: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Per word of the passage: its features, and how often the reference summary has it."""
    words = selection.words_of(
        sentences.split(passage["text"], longest=MAX_WORDS), frozenset(common)
    )
    known = np.array([[stem == c for c in common] for stem in words.stems], float)
    tokens = selection.stems(selection.WORD.findall(passage["summary"]))
    wanted = Counter(tokens)
    return np.hstack([words.features, known]), np.array([wanted[s] for s in words.stems])


def fit(passages: list[Passage]) -> Weights:
    common = common_words(passages)
    pairs = [examples(p, common) for p in passages]
    x, wanted = np.vstack([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])
    scale = x.std(axis=0) + 1e-9
    weights = logistic(x / scale, wanted >= 1, RIDGE)[:-1] / scale
    logit = (x @ weights)[:, None]
    steps = [logistic(logit, wanted >= k, 1e-3) for k in range(1, COUNTS + 1)]
    names = selection.FEATURE_NAMES
    return Weights(
        features={n: round(float(w), 3) for n, w in zip(names, weights, strict=False)},
        common={c: round(float(w), 2) for c, w in zip(common, weights[len(names) :], strict=True)},
        steps=[(round(float(a), 3), round(float(b), 3)) for a, b in steps],
    )


def as_module(weights: Weights) -> str:
    """The text of common/ai/extractive/weights.py."""
    table = textwrap.fill(
        " ".join(f"{stem}:{value:+.2f}" for stem, value in weights.common.items()),
        width=96,
        initial_indent="    ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    features = "\n".join(f'    "{n}": {v},' for n, v in weights.features.items())
    return WEIGHTS_MODULE.format(features=features, table=table, steps=weights.steps)


def ours(weights: Weights) -> Callable[[str], list[str]]:
    return lambda text: selection.top_sentences(text, max_words=MAX_WORDS, weights=weights)


def lead(text: str) -> list[str]:
    """The first 80 words, the last sentence cut."""
    out: list[str] = []
    left = MAX_WORDS
    for line in text.splitlines():
        words = line.split()[:left]
        out += [s.label + s.text for s in sentences.split(" ".join(words), longest=MAX_WORDS)]
        left -= len(words)
    return out


class Rouge:
    """Mean ROUGE-1, -2 and -Lsum F1 in percent, stemmed, one sentence to a line."""

    def __init__(self) -> None:
        from rouge_score.rouge_scorer import RougeScorer

        self.names = ["rouge1", "rouge2", "rougeLsum"]
        self.scorer = RougeScorer(self.names, use_stemmer=True)

    def quick(self, reference: str, summary: list[str]) -> list[float]:
        scores = self.scorer.score(reference, "\n".join(summary))
        return [scores[n].fmeasure for n in self.names[:2]]

    def one(self, reference: str, summary: list[str]) -> list[float]:
        lines = "\n".join(s.text for s in sentences.split(reference, longest=10**9))
        scores = self.scorer.score(lines, "\n".join(summary))
        return [100 * scores[n].fmeasure for n in self.names]


def folds_of(passages: list[Passage], count: int, seed: int) -> list[int]:
    """Each passage's fold; passages of one meeting overlap and so share one."""
    meetings = sorted({meeting_of(p) for p in passages})
    random.Random(seed).shuffle(meetings)
    fold = {meeting: i % count for i, meeting in enumerate(meetings)}
    return [fold[meeting_of(p)] for p in passages]


def cross_validated(passages: list[Passage], count: int, seed: int = 0) -> list[list[str]]:
    """A summary of each passage by weights fitted on the other folds."""
    fold = folds_of(passages, count, seed)
    out: list[list[str]] = [[] for _ in passages]
    for k in range(count):
        weights = fit([p for p, f in zip(passages, fold, strict=True) if f != k])
        for i, p in enumerate(passages):
            if fold[i] == k:
                out[i] = ours(weights)(p["text"])
    return out


def oracle(passage: Passage, rouge: Rouge) -> list[str]:
    """What choosing sentences could reach: greedy by ROUGE-1 + ROUGE-2 against the reference."""
    pool = [s.label + s.text for s in sentences.split(passage["text"], longest=MAX_WORDS)]
    alone = {text: sum(rouge.quick(passage["summary"], [text])) for text in pool}
    pool = sorted(alone, key=lambda text: -alone[text])[:60]  # the rest hardly helps
    chosen: list[str] = []
    score = 0.0
    while True:
        left = MAX_WORDS - sentences.cost(" ".join(chosen))
        fits = [t for t in pool if t not in chosen and sentences.cost(t) <= left]
        tried = [(sum(rouge.quick(passage["summary"], [*chosen, t])), t) for t in fits]
        if not tried or max(tried)[0] <= score:
            return chosen
        score, found = max(tried)
        chosen.append(found)


def lexrank() -> Callable[[str], list[str]] | None:
    """sumy's LexRank on the sentences that ours sees; None if sumy is not installed."""
    try:
        from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
        from sumy.nlp.stemmers import Stemmer
        from sumy.summarizers.lex_rank import LexRankSummarizer
        from sumy.utils import get_stop_words
    except ImportError:
        return None
    tokenizer = SimpleNamespace(to_words=selection.WORD.findall)
    summarizer = LexRankSummarizer(Stemmer("english"))
    summarizer.stop_words = get_stop_words("english")

    def within(ranked: list) -> list:
        left, kept = MAX_WORDS, []
        for info in ranked:
            words = sentences.cost(str(info.sentence))
            if words <= left:
                left -= words
                kept.append(info)
        return kept

    def summarize(text: str) -> list[str]:
        found = sentences.split(text, longest=MAX_WORDS)
        lines = [Sentence(s.label + s.text, tokenizer) for s in found]
        document = ObjectDocumentModel([Paragraph(lines)])
        return [str(s) for s in summarizer(document, within)]

    return summarize


def timed(
    function: Callable[[str], list[str]], passages: list[Passage]
) -> tuple[list[list[str]], float]:
    function("Once. " * 100)  # what is loaded lazily is loaded
    start = time.process_time()
    out = [function(p["text"]) for p in passages]
    return out, time.process_time() - start


def report(name: str, rouge: Rouge, passages: list[Passage], out: list[list[str]]) -> None:
    scores = np.array([rouge.one(p["summary"], o) for p, o in zip(passages, out, strict=True)])
    words = np.mean([len(" ".join(o).split()) for o in out])
    print(f"{name:36}" + "".join(f"{s:8.2f}" for s in scores.mean(axis=0)) + f"{words:8.1f}")


def compare_time(rouge: Rouge, passages: list[Passage]) -> None:
    """One run of ours and LexRank on the same passages, alternating nothing but the method."""
    summarize = lexrank()
    if summarize is None:
        print("sumy is not installed: no comparison of time")
        return
    _, mine = timed(ours(WEIGHTS), passages)
    theirs_out, theirs = timed(summarize, passages)
    report("sumy LexRank", rouge, passages, theirs_out)
    print(f"CPU for {len(passages)} passages: ours {mine:.2f} s, LexRank {theirs:.2f} s,", end=" ")
    print(f"a ratio of {mine / theirs:.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="lines of {id, text, summary}")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="shuffles the meetings into folds")
    parser.add_argument("--oracle", action="store_true", help="also the best choice of sentences")
    parser.add_argument("--fit", action="store_true", help="fit on all data, print weights.py")
    args = parser.parse_args()
    passages = [json.loads(line) for line in args.data.read_text().splitlines()]
    if args.fit:
        print(as_module(fit(passages)))
        return
    rouge = Rouge()
    print(f"{'':36}{'R1':>8}{'R2':>8}{'RLsum':>8}{'words':>8}")
    report("lead, 80 words", rouge, passages, [lead(p["text"]) for p in passages])
    name = f"ours, {args.folds} folds"
    report(name, rouge, passages, cross_validated(passages, args.folds, args.seed))
    report("ours, weights.py (fitted on these)", rouge, passages, timed(ours(WEIGHTS), passages)[0])
    if args.oracle:
        report("oracle", rouge, passages, [oracle(p, rouge) for p in passages])
    compare_time(rouge, passages)


if __name__ == "__main__":
    main()
