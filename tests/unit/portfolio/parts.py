"""What the tests of portfolios are made with."""

from __future__ import annotations

from deploy.portfolio import city, figures
from deploy.portfolio.making import Source

FIGURES = figures.load().figures
CITY = city.load()


def source(seed: int = 7) -> Source:
    return Source(FIGURES, CITY, seed)
