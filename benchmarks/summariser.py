"""Measure and fit the embedded summariser. `summariser.md` has the results.

pip install --target /tmp/bench rouge-score sumy
export PYTHONPATH=/tmp/bench
.venv/bin/python -m benchmarks.summariser --data meetings.jsonl [--folds 5] [--oracle]
.venv/bin/python -m benchmarks.summariser --data meetings.jsonl --fit > weights.py
.venv/bin/python -m benchmarks.summariser --data news.jsonl --compare-beginning
"""

import argparse
import json
import random
import re
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from common.ai.extractive.features import FEATURE_NAMES, WORD, build_word_table, stem_tokens
from common.ai.extractive.paragraph import select_summary_sentences
from common.ai.extractive.weights import WEIGHTS, Weights
from common.ai.text.sentences import count_words, split_sentences

MAX_WORDS = 80
COMPARED_LENGTHS = (25, 40, 55, 80, 100, 150)  # in words
COMMON_STEMS = 150  # that get weights of their own
RIDGE = 30.0  # penalty of large weights
INTERCEPT_RIDGE = 1e-6
STEP_RIDGE = 1e-3
MAX_OCCURRENCES = 4  # of one word that count
MAX_NEWTON_STEPS = 15
ORACLE_CANDIDATES = 60  # the best single sentences; more change the result little

Passage = dict[str, str]

WEIGHTS_MODULE = '''\
"""Weights of the summariser, printed by `benchmarks/summariser.py --fit`."""

from typing import NamedTuple


class Weights(NamedTuple):
    """A logistic model of how often a summary has a word of its text."""

    features: dict[str, float]  # per name in features.FEATURE_NAMES
    common: dict[str, float]  # per stem common in English talks, in addition to its features
    steps: list[tuple[float, float]]  # slope and offset of "once or more", "twice or more"…


FEATURES = {{
{features}
}}

COMMON = """
{table}
"""

STEPS = {steps}


def _parse_table(table: str) -> dict[str, float]:
    pairs = (entry.rsplit(":", 1) for entry in table.split())
    return {{stem: float(weight) for stem, weight in pairs}}


WEIGHTS = Weights(FEATURES, _parse_table(COMMON), STEPS)'''


def find_meeting_kind(meeting: str) -> str:
    """Return where a meeting was held: company (AMI), university (ICSI), parliament."""
    if re.match(r"(IS|ES|TS)\d", meeting):
        return "company"
    return "university" if re.match(r"B[a-z]+\d", meeting) else "parliament"


def meeting_id(passage: Passage) -> str:
    return passage["id"].split("-")[0]


def find_common_stems(passages: list[Passage]) -> list[str]:
    """Return stems common in every kind of meeting, so that none is technical."""
    totals = Counter(find_meeting_kind(meeting_id(p)) for p in passages)
    counts: dict[str, Counter[str]] = {}
    for p in passages:
        words = build_word_table(split_sentences(p["text"], max_words=MAX_WORDS), frozenset())
        for stem in words.stems:
            counts.setdefault(stem, Counter())[find_meeting_kind(meeting_id(p))] += 1
    share = {stem: min(by[k] / totals[k] for k in totals) for stem, by in counts.items()}
    return sorted(share, key=lambda s: (-share[s], s))[:COMMON_STEMS]


def fit_logistic(x: np.ndarray, y: np.ndarray, ridge: float) -> np.ndarray:
    """Return the weights and, last, the intercept of the penalised maximum likelihood.

    By Newton's method.
    """
    x = np.hstack([x, np.ones((len(x), 1))])
    w, penalty = np.zeros(x.shape[1]), np.eye(x.shape[1]) * ridge
    penalty[-1, -1] = INTERCEPT_RIDGE
    for _ in range(MAX_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-x @ w))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + penalty
        step = np.linalg.solve(hessian, x.T @ (p - y) + penalty @ w)
        w -= step
        if abs(step).max() < 1e-6:
            break
    return w


def build_examples(passage: Passage, common: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return per word its features and how often the reference summary has it."""
    sentences = split_sentences(passage["text"], max_words=MAX_WORDS)
    words = build_word_table(sentences, frozenset(common))
    is_stem = np.array([[stem == c for c in common] for stem in words.stems], float)
    counts = Counter(stem_tokens(WORD.findall(passage["summary"])))
    return np.hstack([words.features, is_stem]), np.array([counts[s] for s in words.stems])


def fit_weights(passages: list[Passage]) -> Weights:
    common = find_common_stems(passages)
    examples = [build_examples(p, common) for p in passages]
    x, counts = np.vstack([a for a, _ in examples]), np.concatenate([b for _, b in examples])
    scale = x.std(axis=0) + 1e-9
    weights = fit_logistic(x / scale, counts >= 1, RIDGE)[:-1] / scale
    logit = (x @ weights)[:, None]
    steps = [fit_logistic(logit, counts >= k, STEP_RIDGE) for k in range(1, MAX_OCCURRENCES + 1)]
    names = FEATURE_NAMES
    return Weights(
        features={n: round(float(w), 3) for n, w in zip(names, weights, strict=False)},
        common={c: round(float(w), 2) for c, w in zip(common, weights[len(names) :], strict=True)},
        steps=[(round(float(a), 3), round(float(b), 3)) for a, b in steps],
    )


def format_weights(weights: Weights) -> str:
    """Return the source of common/ai/extractive/weights.py."""
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


def make_summarizer(weights: Weights) -> Callable[[str], list[str]]:
    return lambda text: select_summary_sentences(text, max_words=MAX_WORDS, weights=weights)


def summarize_lead(text: str) -> list[str]:
    """Return the first 80 words, the last sentence cut."""
    lead: list[str] = []
    words_left = MAX_WORDS
    for line in text.splitlines():
        words = line.split()[:words_left]
        sentences = split_sentences(" ".join(words), max_words=MAX_WORDS)
        lead += [s.label + s.text for s in sentences]
        words_left -= len(words)
    return lead


class Rouge:
    """ROUGE-1, -2 and -Lsum F1, stemmed, one sentence per line."""

    def __init__(self) -> None:
        from rouge_score.rouge_scorer import RougeScorer

        self.names = ["rouge1", "rouge2", "rougeLsum"]
        self.scorer = RougeScorer(self.names, use_stemmer=True)

    def score_fast(self, reference: str, summary: list[str]) -> list[float]:
        """Return ROUGE-1 and -2 of `summary`, without splitting the reference."""
        scores = self.scorer.score(reference, "\n".join(summary))
        return [scores[n].fmeasure for n in self.names[:2]]

    def score(self, reference: str, summary: list[str]) -> list[float]:
        """Return the three scores of `summary` in percent."""
        lines = "\n".join(s.text for s in split_sentences(reference, max_words=10**9))
        scores = self.scorer.score(lines, "\n".join(summary))
        return [100 * scores[n].fmeasure for n in self.names]


def assign_folds(passages: list[Passage], count: int, seed: int) -> list[int]:
    """Return each passage's fold. Passages of one meeting overlap and share a fold."""
    meetings = sorted({meeting_id(p) for p in passages})
    random.Random(seed).shuffle(meetings)
    fold = {meeting: i % count for i, meeting in enumerate(meetings)}
    return [fold[meeting_id(p)] for p in passages]


def cross_validate(passages: list[Passage], count: int, seed: int = 0) -> list[list[str]]:
    """Return a summary of each passage by weights fitted on the other folds."""
    folds = assign_folds(passages, count, seed)
    summaries: list[list[str]] = [[] for _ in passages]
    for k in range(count):
        weights = fit_weights([p for p, fold in zip(passages, folds, strict=True) if fold != k])
        for i, p in enumerate(passages):
            if folds[i] == k:
                summaries[i] = make_summarizer(weights)(p["text"])
    return summaries


def select_oracle(passage: Passage, rouge: Rouge) -> list[str]:
    """Return the selection that is greedily best by ROUGE-1 + ROUGE-2."""
    texts = [s.label + s.text for s in split_sentences(passage["text"], max_words=MAX_WORDS)]
    single_scores = {text: sum(rouge.score_fast(passage["summary"], [text])) for text in texts}
    candidates = sorted(single_scores, key=lambda text: -single_scores[text])[:ORACLE_CANDIDATES]
    selected: list[str] = []
    best_score = 0.0
    while True:
        words_left = MAX_WORDS - count_words(" ".join(selected))
        fitting = [t for t in candidates if t not in selected and count_words(t) <= words_left]
        scores = [(sum(rouge.score_fast(passage["summary"], [*selected, t])), t) for t in fitting]
        if not scores or max(scores)[0] <= best_score:
            return selected
        best_score, best_text = max(scores)
        selected.append(best_text)


def load_lexrank() -> Callable[[str], list[str]] | None:
    """Return sumy's LexRank on the same sentences, or None if sumy is not installed."""
    try:
        from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
        from sumy.nlp.stemmers import Stemmer
        from sumy.summarizers.lex_rank import LexRankSummarizer
        from sumy.utils import get_stop_words
    except ImportError:
        return None
    tokenizer = SimpleNamespace(to_words=WORD.findall)
    summarizer = LexRankSummarizer(Stemmer("english"))
    summarizer.stop_words = get_stop_words("english")

    def limit_words(ranked: list) -> list:
        words_left, kept = MAX_WORDS, []
        for info in ranked:
            words = count_words(str(info.sentence))
            if words <= words_left:
                words_left -= words
                kept.append(info)
        return kept

    def summarize(text: str) -> list[str]:
        sentences = split_sentences(text, max_words=MAX_WORDS)
        lines = [Sentence(s.label + s.text, tokenizer) for s in sentences]
        document = ObjectDocumentModel([Paragraph(lines)])
        return [str(s) for s in summarizer(document, limit_words)]

    return summarize


def summarize_timed(
    function: Callable[[str], list[str]], passages: list[Passage]
) -> tuple[list[list[str]], float]:
    """Return the summaries and the seconds of CPU that they took."""
    function("Once. " * 100)  # load the tokenizer
    start = time.process_time()
    summaries = [function(p["text"]) for p in passages]
    return summaries, time.process_time() - start


def print_scores(
    name: str, rouge: Rouge, passages: list[Passage], summaries: list[list[str]]
) -> None:
    pairs = zip(passages, summaries, strict=True)
    scores = np.array([rouge.score(p["summary"], summary) for p, summary in pairs])
    words = np.mean([len(" ".join(summary).split()) for summary in summaries])
    print(f"{name:36}" + "".join(f"{s:8.2f}" for s in scores.mean(axis=0)) + f"{words:8.1f}")


def compare_time(rouge: Rouge, passages: list[Passage]) -> None:
    """Print the CPU time of ours and of LexRank for the same passages."""
    summarize = load_lexrank()
    if summarize is None:
        print("sumy is not installed, so times are not compared")
        return
    _, our_seconds = summarize_timed(make_summarizer(WEIGHTS), passages)
    summaries, lexrank_seconds = summarize_timed(summarize, passages)
    print_scores("sumy LexRank", rouge, passages, summaries)
    print(f"CPU for {len(passages)} passages: ours {our_seconds:.2f} s,", end=" ")
    print(f"LexRank {lexrank_seconds:.2f} s, a ratio of {our_seconds / lexrank_seconds:.4f}")


def compare_with_beginning(rouge: Rouge, passages: list[Passage]) -> None:
    """Print the scores of our summaries and of the first words, at several lengths."""
    for max_words in COMPARED_LENGTHS:
        beginnings = [[" ".join(p["text"].split()[:max_words])] for p in passages]
        ours = [select_summary_sentences(p["text"], max_words=max_words) for p in passages]
        print_scores(f"first {max_words} words", rouge, passages, beginnings)
        print_scores(f"ours, {max_words} words", rouge, passages, ours)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="lines of {id, text, summary}")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="shuffles the meetings into folds")
    parser.add_argument("--oracle", action="store_true", help="also the best possible selection")
    parser.add_argument("--compare-beginning", action="store_true", help="at several lengths")
    parser.add_argument("--fit", action="store_true", help="fit on all data, print weights.py")
    args = parser.parse_args()
    passages = [json.loads(line) for line in args.data.read_text().splitlines()]
    if args.fit:
        print(format_weights(fit_weights(passages)))
        return
    rouge = Rouge()
    print(f"{'':36}{'R1':>8}{'R2':>8}{'RLsum':>8}{'words':>8}")
    if args.compare_beginning:
        compare_with_beginning(rouge, passages)
        return
    leads = [summarize_lead(p["text"]) for p in passages]
    print_scores("lead, 80 words", rouge, passages, leads)
    name = f"ours, {args.folds} folds"
    print_scores(name, rouge, passages, cross_validate(passages, args.folds, args.seed))
    summaries = [make_summarizer(WEIGHTS)(p["text"]) for p in passages]
    print_scores("ours, weights.py (fitted on these)", rouge, passages, summaries)
    if args.oracle:
        print_scores("oracle", rouge, passages, [select_oracle(p, rouge) for p in passages])
    compare_time(rouge, passages)


if __name__ == "__main__":
    main()
