"""Events whose attributes travel in headers: read as CloudEvents says, and nothing else taken for one of them."""

from __future__ import annotations

import pytest

from services.ingest.domain import words
from services.ingest.domain.attributes import from_http, from_kafka
from services.ingest.domain.intake import Rejected, Sound, judge
from services.ingest.domain.words import Wrong
from tests.unit.ingest.events import PRESENT, event
from tests.unit.ingest.paths import headers_of

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DATA = event()["data"]
HTTP = [(name.encode(), value.encode()) for name, value in headers_of(event(), "ce-")]
KAFKA: list[tuple[str, bytes | None]] = [(name, value.encode()) for name, value in headers_of(event(), "ce_")]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (b"plain", "plain"),
        (b"%E7%BC%96%E5%8F%B7%201", "编号 1"),
        ("编号".encode(), "编号"),
        (b'"a \\"quoted\\" one"', 'a "quoted" one'),
        (b"100%", "100%"),
        (b"%2541", "%41"),
    ],
)
def test_a_value_of_an_http_header_is_decoded_once(written: bytes, meant: str) -> None:
    found = from_http([(b"Ce-Subject", written)], "application/json", {})
    assert (found.event["subject"], found.faults) == (meant, ())


@pytest.mark.parametrize(
    ("header", "field", "wrong"),
    [
        ((b"ce-id", b"e-2"), "id", words.HEADER_TWICE),
        ((b"CE-ID", b"e-1"), "id", words.HEADER_TWICE),
        ((b"ce-subject", b"%00"), "subject", words.ATTRIBUTE_TEXT),
        ((b"ce-subject", b"%FF"), "subject", words.ATTRIBUTE_TEXT),
        ((b"ce-subject", b"a%0Ab"), "subject", words.ATTRIBUTE_TEXT),
        ((b"ce-data", b"{}"), "data", words.NOT_BY_HEADER),
        ((b"ce-datacontenttype", b"text/xml"), "datacontenttype", words.NOT_BY_HEADER),
        ((b"ce-trace-id", b"x"), "trace-id", words.ATTRIBUTE_NAME),
    ],
)
def test_a_header_that_two_readers_would_read_differently_is_refused(
    header: tuple[bytes, bytes], field: str, wrong: Wrong
) -> None:
    """Seen to fail with the last of two headers taken, and with `ce-data` taken for an attribute."""
    found = from_http([*HTTP, header], "application/json", DATA)
    verdict = judge(found.event, PRESENT, found.faults)
    assert isinstance(verdict, Rejected)
    assert wrong.at(field) in verdict.errors


def test_other_headers_are_no_attributes() -> None:
    found = from_http([*HTTP, (b"id", b"x"), (b"traceparent", b"x"), (b"host", b"x")], "application/json", DATA)
    assert set(found.event) == {"specversion", "id", "source", "type", "time", "datacontenttype", "data"}


def test_data_that_are_not_said_to_be_json_are_refused() -> None:
    found = from_http(HTTP, "application/xml", DATA)
    verdict = judge(found.event, PRESENT, found.faults)
    assert isinstance(verdict, Rejected)
    assert verdict.errors == (words.NOT_JSON_DATA.at("datacontenttype"),)


@pytest.mark.parametrize("name", ["traceparent", "ce_traceparent"])
def test_the_trace_of_a_record_goes_on_from_either_header(name: str) -> None:
    found = from_kafka([*KAFKA, (name, TRACE.encode())], DATA)
    verdict = judge(found.event, PRESENT, found.faults)
    assert isinstance(verdict, Sound)
    assert verdict.traceparent == TRACE


def test_headers_of_other_tools_in_a_record_are_not_looked_at() -> None:
    found = from_kafka([*KAFKA, ("schema", None), ("ce_subject", None), ("blob", b"\xff"), ("blob", b"")], DATA)
    assert isinstance(judge(found.event, PRESENT, found.faults), Sound)
