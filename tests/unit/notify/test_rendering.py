"""The packaged texts are sound, and a text that is not is named before anything starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from services.notify.domain.wording import Issuer
from services.notify.rendering import (
    TEMPLATES,
    TemplateUnknown,
    digest,
    load_issuer,
    load_templates,
    load_words,
)
from services.notify.samples import contexts
from shared.events.kinds import Language
from shared.rules.loading import DataFileError


@pytest.fixture
def issuer() -> Issuer:
    return load_issuer()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copied = tmp_path / "templates"
    shutil.copytree(TEMPLATES, copied)
    return copied


def approve(folder: Path, name: str) -> None:
    """Write the digest of what is there into the manifest, as an approval does."""
    manifest = folder / "manifest.yaml"
    manifest.write_text(manifest.read_text(encoding="utf-8").replace(digest(TEMPLATES, name), digest(folder, name)))


def rewrite(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    approve(folder, file.partition("/")[0])


def test_every_packaged_text_is_as_it_was_approved_and_sound(issuer: Issuer) -> None:
    assert {"reminder_first", "reminder_again", "visit_done"} <= set(load_templates(issuer).entries)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_reminder_states_amounts_date_ways_and_contact_in_both_channels(issuer: Issuer, language: Language) -> None:
    templates = load_templates(issuer)
    sample = contexts("reminder", "sms", language, issuer, load_words())[1]
    for channel in ("sms", "email"):
        text = templates.render("reminder_first", language, channel, sample).body
        for needed in ("1234", "5678", sample["pay_by"], issuer.hotline, *sample["totals"], *sample["ways_to_pay"]):
            assert needed in text


def test_a_short_message_begins_with_the_signature_and_has_no_subject(issuer: Issuer) -> None:
    text = load_templates(issuer).render(
        "reminder_first", "zh", "sms", contexts("reminder", "sms", "zh", issuer, load_words())[0]
    )
    assert text.body.startswith("【示例银行】")
    assert text.subject == ""


def test_what_is_not_there_is_said(issuer: Issuer) -> None:
    templates = load_templates(issuer)
    with pytest.raises(TemplateUnknown):
        templates.render("reminder_third", "zh", "sms", {})
    with pytest.raises(TemplateUnknown):
        templates.render("visit_done", "zh", "sms", {})


def test_a_text_changed_after_its_approval_is_refused(folder: Path, issuer: Issuer) -> None:
    path = folder / "reminder_first" / "zh.sms.j2"
    path.write_text(path.read_text(encoding="utf-8") + "。", encoding="utf-8")
    with pytest.raises(DataFileError, match="reminder_first: the text is not the one approved"):
        load_templates(issuer, folder)


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("reminder_first/zh.sms.j2", "{{ signature }}", "", "does not begin with the signature"),
        ("reminder_first/zh.sms.j2", "{{ hotline }}", "", "does not say 400-000-0000"),
        ("reminder_first/zh.sms.j2", "{{ account.owed }}", "", "does not say ¥1,234.56"),
        ("reminder_first/zh.sms.j2", "{{ pay_by }}", "{{ pay_bye }}", "'pay_bye' is undefined"),
        ("reminder_first/zh.sms.j2", "如已还款请忽略", "否则将起诉", "threatens"),
        ("reminder_first/zh.sms.j2", "{{ name }}", "{{ name.__class__ }}", "unsafe"),
        ("reminder_first/zh.sms.j2", "{{ name }}", "{{ name }", "unexpected"),
        ("reminder_first/zh.email.j2", "信用卡账户提示", "信用卡逾期提示", "speaks of the debt in the subject"),
        ("visit_done/en.email.j2", "{{ visit_id }}\n\n", "{{ visit_id }}\n", "has no subject"),
    ],
)
def test_a_faulty_text_is_named_with_its_fault(
    folder: Path, issuer: Issuer, file: str, old: str, new: str, fault: str
) -> None:
    rewrite(folder, file, old, new)
    with pytest.raises(DataFileError) as refused:
        load_templates(issuer, folder)
    assert refused.value.file == file
    assert fault in str(refused.value)


def test_a_missing_file_is_named(folder: Path, issuer: Issuer) -> None:
    (folder / "visit_plan" / "en.email.j2").unlink()
    approve(folder, "visit_plan")
    with pytest.raises(DataFileError, match=r"visit_plan/en\.email\.j2"):
        load_templates(issuer, folder)


def test_an_issuers_file_with_an_unknown_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "issuer.yaml"
    path.write_text("name: {zh: 银行, en: Bank}\ncolour: red\n", encoding="utf-8")
    with pytest.raises(DataFileError, match=r"issuer\.yaml"):
        load_issuer(path)
