"""Fits the card, or checks that the shipped one is what the evidence gives.

`python -m services.scoring.training fit FILE` writes evidence, card, page and chart; `check [FILE]` writes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from services.scoring.domain.loading import load_card
from services.scoring.training.charts import calibration_chart
from services.scoring.training.evidence import EVIDENCE, REPEATS, Evidence, dumped, gather, load_evidence
from services.scoring.training.fitted import Fitted
from services.scoring.training.plan import Plan, load_plan
from services.scoring.training.report import CHART, audit_table, report
from services.scoring.training.uci import read
from services.scoring.training.writing import card_text
from shared.clock import RealClock
from shared.rules.loading import DataFileError

ROOT = Path(__file__).resolve().parents[3]


def outputs(fitted: Fitted) -> dict[Path, str]:
    """Return what the command writes: each file's path and content."""
    cards, docs = ROOT / "services/scoring/cards", ROOT / "docs"
    accounts = fitted.evidence.rows
    return {
        EVIDENCE: dumped(fitted.evidence),
        cards / f"{fitted.plan.card}-{fitted.plan.version}.yaml": card_text(fitted),
        docs / "scorecard.md": report(fitted),
        docs / CHART: calibration_chart(fitted.tenths, accounts),
    }


def differing(fitted: Fitted) -> list[Path]:
    """Return the shipped files that are not what `fitted` gives, to the byte."""
    return [
        path
        for path, content in outputs(fitted).items()
        if not path.exists() or path.read_text(encoding="utf-8") != content
    ]


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 where the card is not good enough, differs, or a file cannot be used."""
    asked = _parser().parse_args(arguments)
    try:
        plan = load_plan()
        if asked.command == "fit":
            return _fit(Fitted(plan, _from_file(plan, asked.file, asked.fitted_on or RealClock().now().date())))
        shipped = load_evidence()
        return _check(Fitted(plan, _from_file(plan, asked.file, shipped.fitted_on) if asked.file else shipped))
    except DataFileError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.scoring.training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    fit = commands.add_parser("fit", help="fit the card to the UCI file and write it with its evidence and report")
    fit.add_argument("file", type=Path)
    fit.add_argument("--fitted-on", type=date.fromisoformat, help="the date that the card carries (today)")
    check = commands.add_parser("check", help="compare what is shipped with what evidence or file give")
    check.add_argument("file", type=Path, nargs="?")
    return parser


def _from_file(plan: Plan, file: Path, fitted_on: date) -> Evidence:
    return gather(plan, read(file, tuple(plan.characteristics)), fitted_on)


def _fit(fitted: Fitted) -> int:
    _tell(fitted)
    if fitted.faults:
        sys.stderr.write(f"not written: {'; '.join(fitted.faults)}\n")
        return 1
    with TemporaryDirectory() as folder:
        trial = Path(folder) / "card.yaml"
        trial.write_text(card_text(fitted), encoding="utf-8")
        load_card(trial)  # what scoring would refuse is never written
    for path, content in outputs(fitted).items():
        path.write_text(content, encoding="utf-8")
        sys.stdout.write(f"written: {path.relative_to(ROOT)}\n")
    return 0


def _check(fitted: Fitted) -> int:
    _tell(fitted)
    faults = [*fitted.faults, *(f"{path.relative_to(ROOT)} differs" for path in differing(fitted))]
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    sys.stdout.write("" if faults else "everything is as it is shipped\n")
    return 1 if faults else 0


def _tell(fitted: Fitted) -> None:
    sys.stdout.write(f"{fitted.evidence.rows} overdue accounts, held out {REPEATS} times\n")
    for name, value in fitted.metrics.items():
        sys.stdout.write(f"  {name.replace('_', ' ')}: {value:.4f}\n")
    sys.stdout.write(f"\n{audit_table(fitted)}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
