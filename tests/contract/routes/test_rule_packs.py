"""One deployment serves one issuer: every service that acts goes by the rule packs that the deployment names."""

from __future__ import annotations

import pytest

from shared.web.signing import Signer
from tests.apps import build


@pytest.mark.parametrize("service", ["assignment", "fieldvisit"])
def test_calls_and_visits_go_by_the_packs_that_the_deployment_names(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Does not cover notify, whose policy its application does not show."""
    monkeypatch.setenv("ARREARS_RULE_PACKS", '["house", "us-regf"]')
    app = build(service, Signer.generate(issuer="http://issuer.test"))
    assert [pack.id for pack in app.state.desk.policy.book.packs] == ["house", "us-regf"]
