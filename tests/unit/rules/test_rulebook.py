from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from shared.rules.loading import DataFileError
from shared.rules.model import AtMost, ClosedHours, Duty, Limit
from shared.rules.rulebook import CHINA_CARD, RulesUnknown, load_pack, packaged_packs, rulebook, rules_on

TODAY = date(2026, 2, 25)
EVERYTHING = ("house", "cn-card", "cn-online", "us-regf")

ROW = """\
  - id: test.dials
    kind: at_most
    channels: [call]
    purposes: [collection]
    counts: attempts
    per: contact_method
    value: 6
    unit: attempts
    window: {days: 1, measured: customer_local_days}
    strength: should
    lifted_by: []
    valid_from: 2026-01-01
    valid_to: null
    source: a source
    reason_zh: 每日 {value} 次
    reason_en: "{value} a day"
"""
HEAD = 'pack: test\nversion: "1"\njurisdiction: CN\ntitle_zh: 测试\ntitle_en: a test\nrules:\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "test.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("rule_id", "value", "unit", "strength", "lifted_by", "source"),
    [
        ("cn-card.night", "22:00-08:00", "local_time", "must", ("night_contact",), "China Banking Association"),
        ("cn-card.dial_attempts", 6, "attempts", "should", (), "China Banking Association"),
        ("cn-card.visit_team", 2, "persons", "must", (), "art. 22"),
        ("cn-card.third_party", None, "none", "must", (), "card measures art. 68"),
        ("cn-online.effective_calls", 3, "effective_calls", "must", (), "GB/T 45251-2025"),
        ("cn-card.instalments", 60, "months", "must", (), "card measures art. 70"),
        ("cn-card.records_kept", 2, "years", "must", (), "card measures art. 68"),
        ("cn-card.letter", None, "items", "must", (), "card measures art. 69"),
        ("cn-card.malicious_collections", 2, "effective_collections", "must", (), "art. 6 to 9"),
        ("cn-card.malicious_days_apart", 30, "days", "must", (), "art. 6 to 9"),
        ("cn-card.malicious_months_unpaid", 3, "months", "must", (), "art. 6 to 9"),
        ("cn-card.malicious_principal", 50000, "CNY", "must", (), "art. 6 to 9"),
        ("cn-card.malicious_file", None, "items", "must", (), "art. 6 to 9"),
        ("us-regf.calls", 7, "calls", "must", ("call_frequency",), "12 CFR 1006.14(b)"),
        ("us-regf.after_conversation", 7, "days", "must", ("call_frequency",), "12 CFR 1006.14(b)"),
        ("us-regf.hours", "21:00-08:00", "local_time", "must", ("night_contact",), "12 CFR 1006.6(b)"),
        ("us-regf.refused_medium", None, "none", "must", (), "1006.14(h)"),
        ("us-regf.opt_out_notice", None, "items", "must", (), "12 CFR 1006.6(e)"),
        ("house.visit_working_days", 2, "working_days", "should", (), "two working days"),
    ],
)
def test_the_table_of_rules_is_held_as_data(
    rule_id: str, value: int | str | None, unit: str, strength: str, lifted_by: tuple[str, ...], source: str
) -> None:
    held = rules_on(EVERYTHING, TODAY).find(rule_id)
    assert held is not None
    rule = held.rule
    assert (getattr(rule, "value", None), rule.unit, rule.strength, rule.lifted_by) == (
        value,
        unit,
        strength,
        lifted_by,
    )
    assert source in held.ref.source
    assert "{" not in held.ref.reason_zh + held.ref.reason_en


def test_every_packaged_rule_reads_in_chinese_and_in_english() -> None:
    for pack in packaged_packs().values():
        for rule in pack.rules:
            assert any("\u4e00" <= letter <= "\u9fff" for letter in rule.reason_zh), rule.id
            assert rule.reason_en.isascii(), rule.id


def test_what_was_the_rule_on_the_day_of_that_call() -> None:
    assert rules_on(CHINA_CARD, date(2026, 1, 29)).find("cn-card.night") is None
    held = rules_on(CHINA_CARD, date(2026, 1, 30)).find("cn-card.night")
    assert held is not None
    assert (held.ref.pack, held.ref.pack_version, held.ref.jurisdiction) == ("cn-card", "2026-01-30", "CN")
    assert isinstance(held.rule, ClosedHours)
    assert rules_on(CHINA_CARD, date(2025, 6, 1)).limit("cn-card.instalments") == 60


def test_a_changed_value_holds_from_its_day_and_the_old_one_until_the_day_before(tmp_path: Path) -> None:
    later = ROW.replace("value: 6", "value: 4").replace("valid_from: 2026-01-01", "valid_from: 2026-03-01")
    pack = load_pack(write(tmp_path, HEAD + ROW.replace("valid_to: null", "valid_to: 2026-02-28") + later))
    values = {}
    for day in (date(2025, 12, 31), date(2026, 1, 1), date(2026, 2, 28), date(2026, 3, 1)):
        held = [rule for rule in pack.rules if rule.valid_from <= day <= (rule.valid_to or date.max)]
        values[day.isoformat()] = [rule.value for rule in held if isinstance(rule, AtMost)]
    assert values == {"2025-12-31": [], "2026-01-01": [6], "2026-02-28": [6], "2026-03-01": [4]}
    assert [rule.reason_en for rule in pack.rules] == ["6 a day", "4 a day"]


def test_must_is_asked_before_should_and_stops_before_all() -> None:
    rules = rules_on(CHINA_CARD, TODAY)
    strengths = [held.ref.strength for held in rules.contact]
    assert strengths == sorted(strengths)
    assert rules.contact[0].rule.id.startswith("house.stop_")
    assert not any(isinstance(held.rule, Limit | Duty) for held in rules.contact)


def test_an_unknown_pack_or_limit_is_an_error_that_lists_what_there_is() -> None:
    with pytest.raises(RulesUnknown, match="no rule pack cn-cars; there are cn-card, cn-online, house, us-regf"):
        rulebook(("cn-cars",))
    with pytest.raises(RulesUnknown, match=r"no limit cn-card\.night holds on 2026-02-25"):
        rules_on(CHINA_CARD, TODAY).limit("cn-card.night")


def changed(old: str, new: str) -> str:
    assert old in ROW
    return HEAD + ROW.replace(old, new)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (changed("value: 6", "value: 0"), r"row 1 \(test\.dials\).*>= 1.*value"),
        (changed("value: 6", "value: six"), "value"),
        (changed("    value: 6\n", ""), "required field `value`"),
        (changed("kind: at_most", "kind: at_least"), "Remedy: write a kind that exists: at_most, closed_hours"),
        (changed("kind: at_most", "kind: limit"), "Remedy: a row of kind limit has exactly kind, id"),
        (changed("channels: [call]", "channels: [fax]"), "fax"),
        (changed("strength: should", "strength: may"), "may"),
        (changed("lifted_by: []", "lifted_by: [mood]"), "mood"),
        (changed("source: a source", 'source: ""'), "source"),
        (changed("valid_from: 2026-01-01", "valid_from: soon"), "valid_from"),
        (changed("valid_from: 2026-01-01", "valid_from: 2026-01-01 09:00:00"), "valid_from"),
        (changed("valid_to: null", "valid_to: 2025-12-31"), "valid_to is before valid_from"),
        (changed("id: test.dials", "id: other.dials"), "begin it with test"),
        (changed("id: test.dials", "id: Dials"), "id"),
        (changed("window: {days: 1, measured: customer_local_days}", "window: null"), "window"),
        (changed("    value: 6\n", "    value: 6\n    value: 7\n"), "the key 'value' stands twice"),
        (HEAD + ROW + ROW, "holds while an earlier row.*Remedy: end the earlier row"),
        (HEAD + "  - a word\n", r"row 1 \(no id\)"),
        (HEAD.replace("pack: test", "pack: tset") + ROW, "write test, or rename the file"),
        (HEAD.replace('"1"', "1") + ROW, "version: is not text"),
        (HEAD.replace("title_zh: 测试\n", "") + ROW, "write exactly pack, version"),
    ],
)
def test_a_bad_pack_names_file_row_fault_and_remedy(tmp_path: Path, text: str, complaint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataFileError, match=rf"(?s)test\.yaml.*{complaint}") as caught:
        load_pack(path)
    assert "Remedy: " in str(caught.value)
    assert caught.value.file == "test.yaml"


HOURS = """\
  - {id: test.night, kind: closed_hours, channels: [call], purposes: [collection], value: VALUE, unit: local_time,
     window: null, strength: must, lifted_by: [], valid_from: 2026-01-01, valid_to: null,
     source: s, reason_zh: 夜, reason_en: n}
"""


@pytest.mark.parametrize(
    ("value", "complaint"),
    [('"22:00-25:00"', "value"), ('"22:00"', "value"), ("22:00", "times in quotes"), ('"08:00-08:00"', "at one time")],
)
def test_bad_hours_are_refused_when_the_pack_is_read(tmp_path: Path, value: str, complaint: str) -> None:
    with pytest.raises(DataFileError, match=complaint):
        load_pack(write(tmp_path, HEAD + HOURS.replace("VALUE", value)))
