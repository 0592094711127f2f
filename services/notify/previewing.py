"""What a template says, shown with made-up values: no customer is read, nothing is written, nothing leaves."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from services.notify.channels.sms_parts import parts_of
from services.notify.rendering import Entry, Text
from services.notify.samples import contexts
from services.notify.writing import Writer
from shared.events.kinds import Language, MessageChannel


class SmsSize(Struct, frozen=True):
    """How a short message travels: its alphabet, its characters, and in how many parts."""

    alphabet: Literal["gsm", "ucs2"]
    characters: int
    parts: int


class Preview(Struct, frozen=True):
    """A template as it reads, and what was approved of it."""

    entry: Entry
    text: Text
    sms: SmsSize | None


def preview(writer: Writer, name: str, language: Language, channel: MessageChannel, accounts: int) -> Preview | None:
    """Render a template with a sample; none: there is no such template for this channel.

    `accounts`: how many overdue accounts a reminder names, 1 to 3, the second in another currency.
    """
    entry = writer.templates.entries.get(name)
    if entry is None or channel not in entry.channels:
        return None
    samples = contexts(entry.purpose, channel, language, writer.issuer, writer.words)
    sample = samples[accounts - 1 if entry.purpose == "reminder" else 0]
    text = writer.templates.render(name, language, channel, sample)
    return Preview(entry, text, _size(text.body) if channel == "sms" else None)


def _size(text: str) -> SmsSize:
    parts = parts_of(text, "udh", 0)
    return SmsSize("ucs2" if parts[0].ucs2 else "gsm", len(text), len(parts))
