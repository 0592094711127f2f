"""Writes docs/scorecard.md: what was fitted on what, how good it is, and how each group fares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean

from services.scoring.training.binning import Count, total
from services.scoring.training.charts import bar
from services.scoring.training.evidence import FOLDS, REPEATS
from services.scoring.training.fitted import CHECK, COMMAND, Fitted
from services.scoring.training.fitting import UNKNOWN, Scale, bins_of
from services.scoring.training.writing import words_of

CHART = "scorecard-calibration.svg"

_HEAD = f"""\
# The fitted card 拟合评分卡

Written by `{COMMAND}`; do not edit by hand.

Two cards grade every overdue account. The **expert card** is a collections desk's judgement, fitted to nothing; it
decides. The **fitted card** of this page is fitted to a public file and is recorded beside it.
[Scoring's page](../services/scoring/README.md) says how to let the other one decide, how the two are compared, and how
a portfolio is graded anew.
"""

_FIELDS = """\
## What was fitted on what

The file has one row an account of one Taiwan issuer, April to September 2005, and whether it defaulted in the month
after. Our facts carry the same six months, so the card reads the very same functions
(`services/scoring/domain/characteristics.py`) in training and in service.

| our fact | the file's columns | |
|---|---|---|
| `periods_past_due` | `PAY_0` | months overdue in the newest month; those with 1 or more are fitted on |
| `history[].status` | `PAY_0`, `PAY_2` … `PAY_6` | -2 no use, -1 paid in full, 0 revolving, n overdue; no `PAY_1` |
| `history[].statement_balance` | `BILL_AMT1` … `BILL_AMT6` | only as shares |
| `history[].paid` | `PAY_AMT1` … `PAY_AMT6` | only as shares |
| `credit_limit` | `LIMIT_BAL` | only as what shares are of |
| `due_date`, days past due | none | does not see an account age between snapshots; the expert card does |
| `amount_past_due` | none | not seen |
| payments posted or taken back since | none | seen only when nothing is owed any more: then no period is past due |
| | `SEX`, `EDUCATION`, `MARRIAGE`, `AGE` | never an input; only the audit below looks at them |

What it cannot know: whether another issuer, another country or another year behaves as this one did. Its probabilities
are those of that file. A history that is missing gives no points, which stands for an average account of the file. So
the card challenges and does not decide, until an issuer's own accounts have tried it.
"""

_AGAIN = f"""\
## Fitting it again

```
{COMMAND}     # writes evidence, card and this page; refuses a card that is not good enough
{CHECK}        # the shipped evidence gives the shipped card and page, to the byte
{CHECK} FILE   # and the file gives the shipped evidence (make scorecard UCI=FILE)
```

The file itself is not shipped. `services/scoring/training/uci-evidence.json` holds it in counts: accounts and defaults
by bin, by pattern of bins, by held-out points, and by held-out points within each group. Card and page are made from
these counts alone. What may be looked at and where bins may be cut stands in
`services/scoring/training/uci-scorecard.yaml`; another version, date or cut is a change there, and no code.
"""


def report(fitted: Fitted) -> str:
    """Return the page."""
    parts = (_HEAD, _provenance(fitted), _FIELDS, _quality(fitted), _points(fitted), _grades(fitted), _audit(fitted))
    return "\n".join((*parts, _AGAIN))


def audit_table(fitted: Fitted) -> str:
    """Return the table by group."""
    rows = (
        (
            each.kind,
            each.group,
            each.accounts,
            f"{each.expected:.3f}",
            f"{each.observed:.3f}",
            f"{each.deviation:+.1f}",
            f"{each.auc:.3f}",
            f"{each.worst:.0%}",
        )
        for each in fitted.audit
    )
    return _table(("", "group", "accounts", "expected", "observed", "gap in errors", "AUC", "D or E"), rows)


def _provenance(fitted: Fitted) -> str:
    plan, evidence = fitted.plan, fitted.evidence
    return _table(
        ("", ""),
        (
            ("card", f"`{plan.card}`, version `{plan.version}`, fitted on {evidence.fitted_on}"),
            ("data", f"{plan.data}, {plan.licence}"),
            ("file", f"{evidence.rows_of_file} rows, SHA-256 `{evidence.sha256}`"),
            ("fitted on", f"{evidence.rows} accounts a month or more overdue, {_whole(fitted).rate:.1%} defaulted"),
            ("event", plan.event),
            ("command", f"`{COMMAND}`"),
        ),
    )


def _quality(fitted: Fitted) -> str:
    metrics, noise = fitted.metrics, fitted.noise
    spread = f"{min(fitted.aucs):.4f} to {max(fitted.aucs):.4f}"
    errors = fitted.calibration_errors
    best, alone = fitted.auc_of_one
    rows = (
        ("AUC", f"{metrics['auc']:.4f} ({spread})", f"at least {fitted.plan.least_auc:.3f}"),
        ("", f"{alone:.4f}", f"`{best}` alone, the best single characteristic"),
        ("KS", f"{metrics['ks']:.4f}", ""),
        (
            "calibration error",
            f"{fmean(errors):.4f} ({min(errors):.4f} to {max(errors):.4f})",
            f"a perfect model of this size: {noise.mean:.4f} on average, {noise.high:.4f} at the 95th percentile",
        ),
    )
    intercept, slope = fitted.line
    return "\n".join(
        (
            "## How good it is",
            "",
            f"{FOLDS} folds, {REPEATS} repeats: each account is scored by a card whose bins, weights and points were",
            "fitted without its fold. The probabilities come from these held-out points (Platt):",
            f"log-odds = {intercept:.4f} + {slope:.6f} × points.",
            "",
            _table(("", "held out", ""), rows),
            f"![Expected and observed default rate by tenths]({CHART})",
            "",
            "The dots are tenths of the accounts by points; 95 of 100 dots of a perfect model would lie in the band.",
            "",
            _tenths(fitted),
        )
    )


def _tenths(fitted: Fitted) -> str:
    rows = (
        (f"{t.first} to {t.last}", t.count.accounts // REPEATS, f"{t.expected:.3f}", f"{t.count.rate:.3f}")
        for t in fitted.tenths
    )
    return _table(("points", "accounts", "expected", "observed"), rows)


def _points(fitted: Fitted) -> str:
    used = {scale.bins.name for scale in fitted.scales}
    idle = [name for name in fitted.plan.characteristics if name not in used]
    told = {bins.name for bins in bins_of(fitted.plan, fitted.evidence.marginals)}
    left = "; ".join(f"`{name}` ({_why(name in told)})" for name in idle)
    return "\n".join(
        (
            "## The points",
            "",
            "Every characteristic goes one way, the way that a collector would expect. Points above nought are",
            "reasons, at most four, the weightiest first.",
            "",
            *(part for scale in fitted.scales for part in _scale(fitted, scale)),
            f"Looked at and left out: {left}.",
            "",
        )
    )


def _why(told: bool) -> str:
    return "adds nothing to the others" if told else "has no bins that go the expected way"


def _scale(fitted: Fitted, scale: Scale) -> Iterator[str]:
    bins, candidate = scale.bins, fitted.plan.characteristics[scale.bins.name]
    unknown = fitted.evidence.marginals[bins.name].unknown
    yield f"**`{bins.name}`**, {candidate.monotone}, weight {scale.weight:.3f}"
    yield ""
    rows: list[tuple[object, ...]] = []
    for place, (count, points) in enumerate(zip(bins.counts, scale.points, strict=True)):
        _, _, words = words_of(candidate, scale, place)
        rows.append((words.zh, words.en, *_share(count), points))
    if unknown.accounts:
        rows.append(("未知", "not known", *_share(unknown), scale.of(UNKNOWN)))
    yield _table(("", "", "accounts", "defaulted", "points"), rows)


def _share(count: Count) -> tuple[int, str]:
    return count.accounts, f"{count.rate:.1%}"


def _grades(fitted: Fitted) -> str:
    rows = []
    for standing, (_, below), bound in zip(fitted.grades, fitted.bounds, fitted.plan.grades, strict=True):
        rows.append(
            (
                standing.grade,
                "the rest" if bound.below is None else f"below {bound.below:.2f}",
                "" if below is None else f"below {below}",
                f"{standing.share:.1%}",
                f"{standing.expected:.3f}",
                f"{standing.observed:.3f}",
            )
        )
    bars = [f"{standing.grade}  {bar(standing.observed):<40}  {standing.observed:.0%}" for standing in fitted.grades]
    return "\n".join(
        (
            "## The grades",
            "",
            _table(("grade", "probability", "points", "share", "expected", "observed"), rows),
            "Observed default rate by grade, held out:",
            "",
            "```",
            *bars,
            "```",
            "",
        )
    )


def _audit(fitted: Fitted) -> str:
    far = [f"{each.kind} *{each.group}* ({each.deviation:+.1f})" for each in fitted.audit if abs(each.deviation) > 2]
    return "\n".join(
        (
            "## How each group fares",
            "",
            "The card never sees these. *Gap in errors*: observed less expected rate, in standard errors of a rate of",
            "so many accounts; beyond ±2 a group does better (−) or worse (+) than its points say, and of so many",
            "groups one does so by chance. *D or E*: the share that gets these grades. Held-out points, all repeats.",
            "",
            audit_table(fitted),
            f"Beyond two standard errors: {', '.join(far) or 'none'}.",
            "",
        )
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(str(cell) for cell in row)} |" for row in rows]
    return "\n".join((*lines, ""))


def _whole(fitted: Fitted) -> Count:
    return total(fitted.evidence.held(0).values())
