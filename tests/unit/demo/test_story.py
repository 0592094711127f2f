from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.demo import events
from deploy.demo.generator import everybody
from deploy.demo.phone_desk import LOGGED
from deploy.demo.story import PACKAGED, StoryError, load
from services.assignment.domain.desk import TABLE
from services.ingest.domain.intake import Sound, judge
from services.ingest.domain.rules import Present
from shared.rules.aging import bucket

Change = Callable[[dict[str, Any]], object]


def changed(tmp_path: Path, change: Change) -> Path:
    told = yaml.safe_load(PACKAGED.read_text(encoding="utf-8"))
    change(told)
    file = tmp_path / "story.yaml"
    file.write_text(yaml.safe_dump(told, allow_unicode=True), encoding="utf-8")
    return file


def test_the_packaged_story_has_ten_named_customers_among_thirty_and_five_working_days() -> None:
    story = load()
    people = everybody(story)
    assert len(people) == 30
    assert sum(customer.story is not None for customer in people) == 10
    assert [f"{day:%a %m-%d}" for day in story.days] == [
        "Wed 02-25",
        "Thu 02-26",
        "Fri 02-27",
        "Sat 02-28",
        "Mon 03-02",
    ]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda told: told["customers"].pop(), "10 customers have a named story, not 9"),
        (lambda told: told["others"].pop(), "there are 30 customers, not 29"),
        (lambda told: told["days"].__setitem__(4, "2026-03-01"), "days are not consecutive working days"),
        (lambda told: told["customers"][0].update(customer_id="C1002"), "customer C1002 is there twice"),
        (lambda told: told["customers"][0].update(phone="+8613800001002"), "telephone +8613800001002 is there twice"),
        (lambda told: told["customers"][0].update(phone="13800001001"), "customers.0.phone"),
        (lambda told: told["customers"][0].update(district="海淀区"), "no field collector has the district 海淀区"),
        (lambda told: told["customers"][0]["acts"][0].update(when="6 14:20"), "there is no day 6"),
        (lambda told: told["customers"][0]["acts"][0].update(when="noon"), "is no moment of the story"),
        (lambda told: told["customers"][0]["acts"][0].update(do="vanish"), "customers.0.acts.0.do"),
        (lambda told: told["customers"][0]["acts"][0].update(account=1), "there is no account 1"),
        (lambda told: told["customers"][1]["acts"].pop(0), "nothing that could be reversed was paid to account 0"),
        (lambda told: told["customers"][8]["acts"][0].pop("stop"), "`stop` names the kind"),
        (lambda told: told["customers"][2].update(calls=["sings"]), "customers.2.calls.0.kind"),
        (lambda told: told["customers"][2]["accounts"][0].update(past_due=-1), "customers.2.accounts.0.past_due"),
        (lambda told: told["staff"].pop(0), "at least 1 of the staff are supervisor"),
        (lambda told: told.update(colour="red"), "colour"),
    ],
)
def test_a_story_that_cannot_be_is_refused_with_the_place(tmp_path: Path, change: Change, word: str) -> None:
    with pytest.raises(StoryError) as refused:
        load(changed(tmp_path, change))
    assert word in str(refused.value)


def test_a_missing_file_and_one_that_is_no_yaml_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoryError, match=r"nowhere\.yaml cannot be read"):
        load(tmp_path / "nowhere.yaml")
    (tmp_path / "broken.yaml").write_text("days: [", encoding="utf-8")
    with pytest.raises(StoryError, match=r"broken\.yaml is no YAML"):
        load(tmp_path / "broken.yaml")


def test_one_seed_gives_one_cast_and_another_seed_another() -> None:
    story = load()
    assert everybody(story, 7) == everybody(story, 7)
    assert everybody(story, 7)[10:] != everybody(story, 8)[10:]
    assert everybody(story, 7)[:10] == everybody(story, 8)[:10] == story.customers


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_seed_the_twenty_stand_in_their_buckets_and_nobody_shares_a_number(seed: int) -> None:
    story = load()
    others = everybody(story, seed)[10:]
    groups = [group for group in story.others for _ in range(group.count)]
    for customer, group in zip(others, groups, strict=True):
        (account,) = customer.accounts
        if group.bucket == "M0":
            assert account.past_due == 0
        else:
            assert bucket(account.days_past_due) == bucket(account.days_past_due + 5) == group.bucket
            assert 0 < account.past_due < account.credit_limit
    people = everybody(story, seed)
    assert len({customer.phone for customer in people}) == len({customer.name for customer in people}) == 30


def test_everything_that_the_card_system_tells_is_sound_for_intake() -> None:
    story = load()
    now = datetime(2026, 2, 25, 1, tzinfo=UTC)
    present = Present(now, datetime.resolution, story.zone_info)
    for customer in everybody(story):
        told = [events.contacts_changed(customer, now, story.zone, story.city)]
        for account in customer.accounts:
            told += [
                events.overdue_reported(customer, account, now, story.zone_info),
                events.payment_posted(customer.customer_id, account, 1, 100, now),
                events.payment_reversed(customer.customer_id, account, 1, 100, now),
                events.account_cured(customer.customer_id, account, now),
            ]
        told += [
            events.stop_set(customer.customer_id, "dispute", now),
            events.stop_lifted(customer.customer_id, "dispute", now),
        ]
        for event in told:
            assert isinstance(judge(event, present), Sound), event
        assert len({event["id"] for event in told}) == len(told)


def test_every_way_in_which_a_telephone_answers_is_a_row_of_the_contact_table() -> None:
    assert [answer for answer, row in LOGGED.items() if row not in TABLE] == []
