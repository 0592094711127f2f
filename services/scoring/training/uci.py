"""Reads the UCI file (default of credit card clients) as accounts that stand as ours do."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from msgspec import Struct

from services.scoring.domain.characteristics import CHARACTERISTICS, Standing
from shared.events.card import MonthlyStatus
from shared.rules.loading import DataFileError

_STATUS = ("PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6")  # there is no PAY_1
_MONTHS = ("2005-09", "2005-08", "2005-07", "2005-06", "2005-05", "2005-04")
_SNAPSHOT = date(2005, 9, 30)
_MINOR_UNITS = 100

_SEX = {1: "male", 2: "female"}
_EDUCATION = {1: "graduate school", 2: "university", 3: "high school"}
_MARRIAGE = {1: "married", 2: "single"}


class Row(Struct, frozen=True):
    """An overdue account: what a card may look at, what became of it, and the groups that only the audit sees."""

    identity: str
    values: tuple[int | None, ...]
    defaulted: bool
    groups: Mapping[str, str]


class Portfolio(Struct, frozen=True):
    """The overdue accounts of the file, with the file's size and digest."""

    sha256: str
    rows_of_file: int
    rows: Sequence[Row]


def read(path: Path, characteristics: Sequence[str]) -> Portfolio:
    """Return the accounts that are a month or more overdue (`PAY_0` >= 1), with the values of `characteristics`.

    Raises:
        DataFileError: it is not that file.
    """
    try:
        content = path.read_bytes()
        lines = list(csv.DictReader(content.decode("utf-8-sig").splitlines()))
        records = [{name: int(float(value)) for name, value in line.items()} for line in lines]
        rows = [_row(record, characteristics) for record in records if record["PAY_0"] >= 1]
    except OSError as error:
        raise DataFileError(path.name, "", f"cannot be read ({error.strerror})", "give the path of the file") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        remedy = "give the UCI file as CSV with its own column names"
        raise DataFileError(path.name, "", f"is not the UCI file ({error})", remedy) from error
    if not rows:
        raise DataFileError(path.name, "", "holds no overdue account", "give the whole file")
    return Portfolio(hashlib.sha256(content).hexdigest(), len(records), rows)


def standing_of(record: Mapping[str, int]) -> Standing:
    """Return how the row's account stands, in the terms of our own facts.

    The file has no due date, no amount past due and no payments taken back: they stand at nothing here, and a plan
    that looks at them would be fitted to nothing.
    """
    return Standing(
        today=_SNAPSHOT,
        past_due=0,
        currency="TWD",
        days=0,
        periods=record["PAY_0"],
        credit_limit=record["LIMIT_BAL"] * _MINOR_UNITS,
        history=tuple(
            MonthlyStatus(
                month=month,
                status=record[status],
                statement_balance=record[f"BILL_AMT{number}"] * _MINOR_UNITS,
                paid=record[f"PAY_AMT{number}"] * _MINOR_UNITS,
            )
            for number, (month, status) in enumerate(zip(_MONTHS, _STATUS, strict=True), start=1)
        ),
        reversed_payments=0,
    )


NOT_IN_THE_FILE = frozenset({"days_past_due", "past_due_share", "amount_past_due", "reversed_payments"})
"""Characteristics that the file cannot fill."""


def _row(record: Mapping[str, int], characteristics: Sequence[str]) -> Row:
    standing = standing_of(record)
    return Row(
        identity=str(record["ID"]),
        values=tuple(CHARACTERISTICS[name](standing) for name in characteristics),
        defaulted=record["default_payment_next_month"] == 1,
        groups={
            "sex": _SEX.get(record["SEX"], "not told"),
            "education": _EDUCATION.get(record["EDUCATION"], "other or not told"),
            "marriage": _MARRIAGE.get(record["MARRIAGE"], "other or not told"),
            "age": _age(record["AGE"]),
        },
    )


def _age(years: int) -> str:
    bounds = ((25, "under 25"), (35, "25 to 34"), (45, "35 to 44"), (55, "45 to 54"))
    return next((words for below, words in bounds if years < below), "55 and over")
