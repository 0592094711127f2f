"""Writes the card's file: the YAML that scoring loads, bins in words, in one form for one content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.scoring.training.fitted import COMMAND, Fitted
from services.scoring.training.fitting import Scale
from services.scoring.training.plan import Candidate, Words

_HEAD = f"""\
# Written by `{COMMAND}`; do not edit by hand. docs/scorecard.md is its report.
# Fitted to public data, and only to what docs/scorecard.md says. More points are riskier; what is not known gives none.
# A grade says how urgent an account is, never what kind of person its holder is.
"""


def card_text(fitted: Fitted) -> str:
    """Return the content of the card's file."""
    return "\n".join((*_heading(fitted), *_characteristics(fitted), *_endings(fitted))) + "\n"


def words_of(candidate: Candidate, scale: Scale, place: int) -> tuple[int | None, int | None, Words]:
    """Return a bin's first and last value (none: unbounded) and its words."""
    lows = scale.bins.lows
    low = lows[place - 1] if place else None
    high = lows[place] - 1 if place < len(lows) else None
    if low is None:
        words = candidate.none if high == 0 and candidate.none else candidate.most
    elif high is None:
        words = candidate.least
    else:
        words = candidate.one if low == high else candidate.between
    said: Mapping[str, object] = {"low": low, "high": high}
    return low, high, Words(words.zh.format_map(said), words.en.format_map(said))


def _heading(fitted: Fitted) -> Iterator[str]:
    plan, evidence = fitted.plan, fitted.evidence
    intercept, slope = fitted.line
    yield _HEAD.rstrip("\n")
    yield f"card: {plan.card}"
    yield f'version: "{plan.version}"'
    yield f"valid_from: {plan.valid_from}"
    yield f"source: {plan.source}"
    yield ""
    yield "provenance:"
    yield f"  data: {plan.data}"
    yield f"  licence: {plan.licence}"
    yield f"  sha256: {evidence.sha256}"
    yield f"  rows_of_file: {evidence.rows_of_file}"
    yield f"  rows: {evidence.rows} # those a month or more overdue"
    yield f"  fitted_on: {evidence.fitted_on}"
    yield f"  command: {COMMAND}"
    yield "  metrics: # held out: five folds, five repeats"
    for name, value in fitted.metrics.items():
        yield f"    {name}: {value:.4f}"
    yield ""
    yield "probability: # log-odds = intercept + slope * points"
    yield f"  event: {plan.event}"
    yield f"  intercept: {intercept:.4f}"
    yield f"  slope: {slope:.6f}"
    yield ""


def _characteristics(fitted: Fitted) -> Iterator[str]:
    yield "characteristics:"
    for scale in fitted.scales:
        candidate = fitted.plan.characteristics[scale.bins.name]
        yield f"  {scale.bins.name}:"
        yield f"    monotone: {candidate.monotone}"
        yield "    bins:"
        for place, points in enumerate(scale.points):
            low, high, words = words_of(candidate, scale, place)
            ends = [f"from: {low}"] if low is not None else []
            ends += [f"to: {high}"] if high is not None else []
            yield f"      - {{{', '.join(ends)}, points: {points}, zh: {words.zh}, en: {words.en}}}"
        yield ""


def _endings(fitted: Fitted) -> Iterator[str]:
    yield "grades: # by points, best first"
    for (grade, below), row in zip(fitted.bounds, fitted.plan.grades, strict=True):
        bound = f"grade: {grade}" if below is None else f"grade: {grade}, below: {below}"
        yield f"  - {{{bound}}}" + (f" # probability below {row.below:.2f}" if row.below is not None else "")
    yield ""
    yield "treatments: # a desk's judgement, not fitted"
    for bucket, by_grade in fitted.plan.treatments.items():
        yield f"  {bucket}: {{{', '.join(f'{grade}: {treatment}' for grade, treatment in by_grade.items())}}}"
