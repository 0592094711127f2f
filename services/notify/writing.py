"""Puts a decided notice into words: the message as it is handed over, word for word as it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.notify.domain.decision import Send
from services.notify.domain.delivery import Message
from services.notify.domain.model import Colleague, Reminder
from services.notify.domain.notices import Notice
from services.notify.domain.wording import Issuer, Words, reminder_words, report_words
from services.notify.rendering import Templates, Text
from services.notify.store.notices import Written
from shared.events.kinds import Language


@dataclass(frozen=True, slots=True)
class Writer:
    """The approved texts, and whose they are."""

    templates: Templates
    issuer: Issuer
    words: Words

    def reminder(self, notice: Notice, reminder: Reminder, send: Send, at: datetime) -> Written:
        """Write to a customer. Raises `TemplateUnknown`."""
        context = reminder_words(reminder, send, self.issuer, at)
        text = self.templates.render(notice.template, send.reach.language, notice.channel, context)
        return _written(notice, send.address, send.reach.language, text)

    def report(self, notice: Notice, colleague: Colleague) -> Written:
        """Write to a colleague. Raises `TemplateUnknown`."""
        context = report_words(notice.report, colleague.language, self.issuer, self.words)
        text = self.templates.render(notice.template, colleague.language, notice.channel, context)
        return _written(notice, colleague.email, colleague.language, text)


def message_of(notice: Notice, written: Written) -> Message:
    """Return what the gateway is handed."""
    return Message(
        notice_id=notice.notice_id,
        channel=notice.channel,
        address=written.address,
        subject=written.subject,
        text=written.text,
    )


def _written(notice: Notice, address: str, language: Language, text: Text) -> Written:
    return Written(
        notice_id=notice.notice_id,
        address=address,
        subject=text.subject,
        text=text.body,
        language=language,
        template_version=text.version,
    )
