"""The report's chart, in SVG of our own: expected against observed default rate by tenths."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from services.scoring.training.judging import Tenth

_SIDE, _EDGE = 360, 48
_INK, _FAINT, _BAND, _DOT = "#222", "#bbb", "#dbe7f3", "#0b5cad"
_TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_95_PERCENT = 1.96


def calibration_chart(tenths: Sequence[Tenth], accounts: int) -> str:
    """Return the chart. The band is where 95 of 100 dots of a perfect model with so many `accounts` would lie."""
    whole = _SIDE + 2 * _EDGE
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole} {whole}" role="img"',
            f'  font-family="sans-serif" font-size="12" fill="{_INK}">',
            "<title>Expected and observed default rate by tenths of the points</title>",
            '<rect width="100%" height="100%" fill="#fff"/>',
            *_axes(),
            f'<polygon fill="{_BAND}" points="{_band(accounts / max(len(tenths), 1))}"/>',
            f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="{_FAINT}"/>',
            *(f'<circle cx="{_x(t.expected)}" cy="{_y(t.count.rate)}" r="4" fill="{_DOT}"/>' for t in tenths),
            "</svg>",
            "",
        )
    )


def bar(share: float, width: int = 40) -> str:
    """Return a bar of text, `width` characters for 100 %."""
    return "█" * round(share * width)


def _axes() -> Iterator[str]:
    for tick in _TICKS:
        yield f'<line x1="{_x(0)}" y1="{_y(tick)}" x2="{_x(1)}" y2="{_y(tick)}" stroke="{_FAINT}" stroke-width="0.5"/>'
        yield f'<text x="{_x(0) - 8}" y="{_y(tick) + 4}" text-anchor="end">{tick:.0%}</text>'
        yield f'<text x="{_x(tick)}" y="{_y(0) + 18}" text-anchor="middle">{tick:.0%}</text>'
    yield f'<text x="{_x(0.5)}" y="{_y(0) + 38}" text-anchor="middle">预期 expected</text>'
    yield f'<text x="{_x(0) - 8}" y="{_y(1) - 14}">实际 observed</text>'


def _band(accounts: float) -> str:
    steps = [step / 50 for step in range(51)]
    widths = [_95_PERCENT * math.sqrt(at * (1 - at) / accounts) for at in steps]
    upper = [(at, min(at + width, 1)) for at, width in zip(steps, widths, strict=True)]
    lower = [(at, max(at - width, 0)) for at, width in zip(steps, widths, strict=True)]
    return " ".join(f"{_x(at)},{_y(rate)}" for at, rate in (*upper, *reversed(lower)))


def _x(share: float) -> float:
    return round(_EDGE + share * _SIDE, 1)


def _y(share: float) -> float:
    return round(_EDGE + (1 - share) * _SIDE, 1)
