"""One trace as a tree with durations, as wide as a page. Pure but for reading the span files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text
from rich.tree import Tree

from shared.telemetry.span_files import SpanLine

_NS_A_MS = 1_000_000


@dataclass(frozen=True)
class Node:
    """A span with those that it caused, by start."""

    span: SpanLine
    children: tuple[Node, ...] = ()


def forest(spans: Sequence[SpanLine], trace_id: str) -> tuple[Node, ...]:
    """Return the trace's spans as trees. A span whose parent was never written (the sender's, a killed process's) is a
    root.
    """
    mine = sorted({span.span_id: span for span in spans if span.trace_id == trace_id}.values(), key=_start)
    known = {span.span_id for span in mine}

    def below(parent: SpanLine) -> tuple[Node, ...]:
        return tuple(Node(span, below(span)) for span in mine if span.parent_id == parent.span_id)

    return tuple(Node(span, below(span)) for span in mine if span.parent_id not in known)


def services(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Return the services that took part, in order of their first span."""
    return tuple(dict.fromkeys(span.service for span in sorted(_spans(nodes), key=_start)))


def names(nodes: Sequence[Node]) -> tuple[str, ...]:
    """Return the names of all spans, by start."""
    return tuple(span.name for span in sorted(_spans(nodes), key=_start))


def draw(nodes: Sequence[Node], title: str) -> Tree:
    """Draw the trees under one title: service, name, when it began after the first span, how long it took."""
    begin = min((span.start_ns for span in _spans(nodes)), default=0)
    root = Tree(Text(title, style="bold"))
    for node in nodes:
        _hang(root, node, begin)
    return root


def _hang(branch: Tree, node: Node, begin: int) -> None:
    twig = branch.add(line_of(node.span, begin))
    for child in node.children:
        _hang(twig, child, begin)


def line_of(span: SpanLine, begin: int) -> Text:
    """Return one line of the tree."""
    after, took = (span.start_ns - begin) / _NS_A_MS, (span.end_ns - span.start_ns) / _NS_A_MS
    text = Text.assemble((f"{span.service} ", "cyan"), span.name, (f"  +{after:,.0f} ms, took {took:,.1f} ms", "dim"))
    return text if span.status != "error" else text.append("  error", "red")


def _spans(nodes: Sequence[Node]) -> Iterator[SpanLine]:
    for node in nodes:
        yield node.span
        yield from _spans(node.children)


def _start(span: SpanLine) -> int:
    return span.start_ns
