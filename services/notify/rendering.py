"""Templates: loaded and tried as a whole at start, so that a fault is found by who deploys and not by a customer.

`python -m services.notify.rendering` prints the digest of each template for the manifest.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
from jinja2 import StrictUndefined, Template, TemplateError
from jinja2.sandbox import SandboxedEnvironment
from msgspec import Struct

from services.notify.domain.wording import Issuer, Words
from services.notify.samples import contexts
from shared.errors import Permanent
from shared.events.kinds import Language, MessageChannel
from shared.events.notices import Purpose
from shared.rules.loading import DataFileError, read_mapping

TEMPLATES: Final = Path(__file__).parent / "templates"
ISSUER: Final = Path(__file__).parent / "issuer.yaml"

_LANGUAGES: tuple[Language, ...] = get_args(Language)
_MOST_SUBJECT, _MOST_SMS = 78, 500
_DEBT = re.compile(
    r"逾期|欠款|欠|催收|债|还款|[¥$€£]|\b(overdue|past due|debt|owed?|arrears|collection|repay\w*)\b", re.IGNORECASE
)
"""What the subject of a customer's mail may not show to whoever stands beside."""

_THREAT = re.compile(
    r"起诉|法院|报案|公安|坐牢|曝光|上门|后果自负|严惩|\b(sue|court|police|prison|arrest|jail)\b", re.IGNORECASE
)
"""What no reminder says: a notice states facts and never threatens."""


class TemplateUnknown(Permanent):
    """There is no such template for this language and channel."""


class Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One template in the manifest: which version of it was approved when, and the digest of what was approved."""

    purpose: Purpose
    channels: tuple[MessageChannel, ...]
    version: str
    approved_on: date
    sha256: str


class Text(Struct, frozen=True):
    """A message as it goes out. `subject` is empty for short messages."""

    subject: str
    body: str
    version: str


class Templates:
    """Every approved text, tried. Immutable after loading."""

    def __init__(
        self, entries: Mapping[str, Entry], texts: Mapping[tuple[str, Language, MessageChannel], Template]
    ) -> None:
        self._entries = entries
        self._texts = texts

    @property
    def entries(self) -> Mapping[str, Entry]:
        """Every template by its name, with what was approved of it, in the order of names."""
        return {name: self._entries[name] for name in sorted(self._entries)}

    def render(self, name: str, language: Language, channel: MessageChannel, context: Mapping[str, Any]) -> Text:
        """Return the text of a template.

        Raises:
            TemplateUnknown: there is none of that name, or none for the channel.
            jinja2.TemplateError: the context lacks what the text says (not with the contexts of `domain.wording`).
        """
        template = self._texts.get((name, language, channel))
        if template is None:
            raise TemplateUnknown(f"no template {name} in {language} for {channel}")
        written = template.render(context).strip()
        version = self._entries[name].version
        if channel == "sms":
            return Text("", written, version)
        subject, _, body = written.partition("\n")
        return Text(subject.strip(), body.strip() + "\n", version)


def load_issuer(path: Path = ISSUER) -> Issuer:
    """Read the issuer's own data. Raises `DataFileError`."""
    issuer: Issuer = _read(path, Issuer)
    return issuer


def load_words(folder: Path = TEMPLATES) -> Words:
    """Read the words of codes. Raises `DataFileError`."""
    words: Words = _read(folder / "words.yaml", dict[str, dict[str, dict[Language, str]]])
    return words


def load_templates(issuer: Issuer, folder: Path = TEMPLATES) -> Templates:
    """Read every template, compare it with what was approved, and try it.

    Raises:
        DataFileError: which file, which fault, and the remedy.
    """
    words = load_words(folder)
    entries: dict[str, Entry] = _read(folder / "manifest.yaml", dict[str, Entry])
    environment = _environment()
    texts: dict[tuple[str, Language, MessageChannel], Template] = {}
    for name, entry in entries.items():
        if digest(folder, name) != entry.sha256:
            raise DataFileError(
                "manifest.yaml",
                name,
                f"the text is not the one approved as {entry.version}",
                f"have it approved, give it a new version, and write sha256: {digest(folder, name)}",
            )
        for language, channel in _pairs(entry):
            file = f"{name}/{language}.{channel}.j2"
            template = _compile(environment, folder, file)
            _try(file, template, entry, contexts(entry.purpose, channel, language, issuer, words), channel)
            texts[name, language, channel] = template
    return Templates(entries, texts)


def digest(folder: Path, name: str) -> str:
    """Return the digest of all texts of a template: what an approval is for."""
    files = sorted((folder / name).glob("*.j2"))
    return sha256(b"\0".join(part for file in files for part in (file.name.encode(), file.read_bytes()))).hexdigest()


def _pairs(entry: Entry) -> Iterator[tuple[Language, MessageChannel]]:
    return ((language, channel) for language in _LANGUAGES for channel in entry.channels)


def _environment() -> SandboxedEnvironment:
    # No escaping: plain text goes out, never HTML.
    return SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)


def _compile(environment: SandboxedEnvironment, folder: Path, file: str) -> Template:
    try:
        return environment.from_string((folder / file).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataFileError(file, "", f"cannot be read ({error.strerror})", "put the file in place") from error
    except TemplateError as error:
        raise DataFileError(file, f"line {getattr(error, 'lineno', 1)}", str(error), "correct the line") from error


def _try(
    file: str, template: Template, entry: Entry, samples: Sequence[Mapping[str, Any]], channel: MessageChannel
) -> None:
    for sample in samples:
        try:
            written = template.render(sample).strip()
        except TemplateError as error:
            remedy = f"say only what there is: {', '.join(sorted(sample))}"
            raise DataFileError(file, "", str(error), remedy) from error
        for fault, remedy in _faults(written, entry.purpose, channel, sample):
            raise DataFileError(file, "", fault, remedy)


def _faults(
    written: str, purpose: Purpose, channel: MessageChannel, sample: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    if channel == "sms":
        if not written.startswith(str(sample["signature"]).strip()):
            yield "does not begin with the signature", "begin with {{ signature }}"
        if "\n" in written or len(written) > _MOST_SMS:
            yield f"has several lines or more than {_MOST_SMS} characters", "write one short line"
    else:
        subject, _, body = written.partition("\n")
        if not subject.strip() or len(subject) > _MOST_SUBJECT or not body.startswith("\n"):
            yield f"has no subject of at most {_MOST_SUBJECT} characters", "begin with a subject and an empty line"
        if purpose == "reminder" and _DEBT.search(subject):
            yield "speaks of the debt in the subject", "name the account only"
    if purpose == "reminder":
        yield from _reminder_faults(written, sample)


def _reminder_faults(written: str, sample: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if _THREAT.search(written):
        yield "threatens", "state facts only"
    wanted = [
        sample["pay_by"],
        sample["hotline"],
        *sample["ways_to_pay"],
        *(value for account in sample["accounts"] for value in (account["last4"], account["owed"])),
    ]
    for value in wanted:
        if value not in written:
            yield f"does not say {value}", "say amounts, cards, the date, the ways to pay and the contact"


def _read(path: Path, kind: Any) -> Any:  # noqa: ANN401 - the kind that is asked for
    content = read_mapping(path)
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise DataFileError(path.name, "", str(error), "compare with the packaged file") from error


if __name__ == "__main__":
    for folder in sorted(path for path in TEMPLATES.iterdir() if any(path.glob("*.j2"))):
        sys.stdout.write(f"{folder.name}: {digest(TEMPLATES, folder.name)}\n")
