from __future__ import annotations

import re
from pathlib import Path

from shared.telemetry.metrics import LABELS, METRICS, Metrics, table

ROOT = Path(__file__).parents[3]
_UNITS = {"seconds": "_seconds", "": "_info"}


def test_every_listed_metric_exists_and_every_existing_metric_is_listed() -> None:
    registered = {metric.name: metric.type for metric in Metrics().registry.collect()}
    listed = {spec.name.removesuffix("_total"): spec.kind for spec in METRICS}
    assert registered == listed


def test_no_label_can_name_a_customer_a_case_or_a_person() -> None:
    for spec in METRICS:
        assert set(spec.labels) <= LABELS, spec.name
    forbidden = {"customer", "customer_id", "case", "case_id", "account", "account_token", "phone", "subject", "staff"}
    assert not LABELS & forbidden


def test_names_follow_one_form() -> None:
    for spec in METRICS:
        assert re.fullmatch(r"arrears_[a-z_]+", spec.name)
        assert (spec.kind == "counter") == spec.name.endswith("_total")
        assert spec.name.endswith(_UNITS.get(spec.unit, ""))
        assert spec.meaning.endswith(".")


def test_two_builds_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.visits_breached.inc()
    assert b"arrears_visits_breached_total 1.0" in one.exposition()
    assert b"arrears_visits_breached_total 0.0" in other.exposition()


def test_the_page_in_docs_is_the_list_in_code() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8") == table()
