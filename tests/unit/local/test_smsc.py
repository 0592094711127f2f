import pytest

from deploy.local.smsc import decode_text


@pytest.mark.parametrize(
    ("body", "coding", "text"),
    [
        ("请还款。".encode("utf-16-be"), 8, "请还款。"),
        ("😀".encode("utf-16-be"), 8, "😀"),
        (b"plain", 0, "plain"),
        (b"\x00\x02 \x1b\x65 \x1b\x3c\x1b\x3e \x11", 0, "@$ € [] _"),
        (b"\xe9\xfc", 3, "éü"),
        (b"ascii", 1, "ascii"),
    ],
)
def test_text_is_read_by_its_data_coding(body: bytes, coding: int, text: str) -> None:
    assert decode_text(body, coding) == text
