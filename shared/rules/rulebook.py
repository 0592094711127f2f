"""Rule packs: read from YAML, checked as a whole, and asked by day: what was the rule on the day of that call?"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from shared.errors import Permanent
from shared.rules.loading import DataFileError, read_mapping
from shared.rules.model import ContactRule, Duty, Limit, Pack, Rule, RuleRef

PACKS = Path(__file__).parent / "packs"
CHINA_CARD: Final = ("house", "cn-card", "cn-online")
"""The packs of a card issuer in mainland China: the default of every service that acts. Stops are asked first."""

_HEAD = ("pack", "version", "jurisdiction", "title_zh", "title_en", "rules")
_ALWAYS = date.max


class RulesUnknown(Permanent):
    """A pack, a rule, or any rule at all for a day, does not exist."""


class HeldRule(Struct, frozen=True):
    """A rule that holds on the day asked about, with its reference."""

    rule: Rule
    ref: RuleRef


class HeldContactRule(Struct, frozen=True):
    """A contact rule that holds on the day asked about, with its reference."""

    rule: ContactRule
    ref: RuleRef


class RuleSet:
    """Every rule that holds on one day, must before should, each pack in its own order. Immutable."""

    def __init__(self, day: date, packs: Iterable[Pack]) -> None:
        """Take the rows of `packs` that hold on `day`."""
        chosen = tuple(packs)
        self.day = day
        self.packs = tuple(f"{pack.id}@{pack.version}" for pack in chosen)
        held = [HeldRule(rule, _ref(pack, rule)) for pack in chosen for rule in pack.rules if _holds(rule, day)]
        held.sort(key=lambda each: each.ref.strength != "must")
        self.rules = tuple(held)
        self.contact = tuple(
            HeldContactRule(each.rule, each.ref) for each in held if not isinstance(each.rule, Limit | Duty)
        )
        self._by_id = {each.rule.id: each for each in held}

    def find(self, rule_id: str) -> HeldRule | None:
        """Return the rule of that id that holds on the day, or none."""
        return self._by_id.get(rule_id)

    def limit(self, rule_id: str) -> int:
        """Return the value of a limit, for example 60 for "cn-card.instalments". Raises `RulesUnknown`."""
        held = self.find(rule_id)
        if held is None or not isinstance(held.rule, Limit):
            raise RulesUnknown(f"no limit {rule_id} holds on {self.day} in {', '.join(self.packs)}")
        return held.rule.value


class RuleBook:
    """The packs that one deployment goes by, through all dates. Immutable; days are remembered once asked."""

    def __init__(self, packs: Iterable[Pack]) -> None:
        """Take the packs in the order in which their rules are asked."""
        self.packs = tuple(packs)
        self._days: dict[date, RuleSet] = {}

    def on(self, day: date) -> RuleSet:
        """Return the rules that hold on `day`, a date of the customer's local calendar."""
        found = self._days.get(day)
        if found is None:
            found = self._days[day] = RuleSet(day, self.packs)
        return found


@lru_cache
def rulebook(pack_ids: tuple[str, ...] = CHINA_CARD) -> RuleBook:
    """Return the packaged packs of these ids as one book. Raises `RulesUnknown`, `DataFileError`."""
    packs = packaged_packs()
    missing = [pack_id for pack_id in pack_ids if pack_id not in packs]
    if missing:
        raise RulesUnknown(f"there is no rule pack {', '.join(missing)}; there are {', '.join(sorted(packs))}")
    return RuleBook(packs[pack_id] for pack_id in pack_ids)


def rules_on(pack_ids: tuple[str, ...], day: date) -> RuleSet:
    """Return what the rules of these packaged packs were on `day`. Raises `RulesUnknown`, `DataFileError`."""
    return rulebook(pack_ids).on(day)


@lru_cache
def packaged_packs() -> dict[str, Pack]:
    """Return every packaged pack by its id, read once. Raises `DataFileError`."""
    return load_packs(PACKS)


def load_packs(folder: Path) -> dict[str, Pack]:
    """Read and check every `*.yaml` of the folder, by pack id. Raises `DataFileError`."""
    return {pack.id: pack for pack in map(load_pack, sorted(folder.glob("*.yaml")))}


def load_pack(path: Path) -> Pack:
    """Read and check one pack. Raises `DataFileError` that names the file, the row, the fault and the remedy."""
    content = read_mapping(path)
    if set(content) != set(_HEAD) or not isinstance(content["rules"], list):
        raise DataFileError(path.name, "", "has another head than a pack", f"write exactly {', '.join(_HEAD)}")
    for key in _HEAD[:-1]:
        if not isinstance(content[key], str) or not content[key]:
            raise DataFileError(path.name, key, "is not text", "write it in quotes")
    if content["pack"] != path.stem:
        raise DataFileError(path.name, "pack", f"is {content['pack']}", f"write {path.stem}, or rename the file")
    rules = tuple(_rule(path.name, content["pack"], number, row) for number, row in enumerate(content["rules"], 1))
    _refuse_overlaps(path.name, rules)
    return Pack(
        id=content["pack"],
        version=content["version"],
        jurisdiction=content["jurisdiction"],
        title_zh=content["title_zh"],
        title_en=content["title_en"],
        rules=rules,
    )


def _rule(file: str, pack_id: str, number: int, row: Any) -> Rule:  # noqa: ANN401 - whatever stands in the file
    name = row.get("id", "no id") if isinstance(row, dict) else "no id"
    place = f"row {number} ({name})"
    try:
        rule: Rule = msgspec.convert(row, Rule)
    except msgspec.ValidationError as error:
        raise DataFileError(file, place, str(error), _remedy(row)) from error
    if not rule.id.startswith(f"{pack_id}."):
        raise DataFileError(file, place, "the id is of another pack", f"begin it with {pack_id}.")
    if rule.valid_to is not None and rule.valid_to < rule.valid_from:
        raise DataFileError(file, place, "valid_to is before valid_from", "write the last day that the row holds")
    value = getattr(rule, "value", None)
    if isinstance(value, str) and value[:5] == value[6:]:
        raise DataFileError(file, place, "the hours begin and end at one time", "write two times, or drop the row")
    return msgspec.structs.replace(
        rule,
        reason_zh=rule.reason_zh.replace("{value}", str(value)),
        reason_en=rule.reason_en.replace("{value}", str(value)),
    )


def _remedy(row: Any) -> str:  # noqa: ANN401 - whatever stands in the file
    kinds = {str(kind.__struct_config__.tag): kind for kind in Rule.__args__}
    kind = kinds.get(str(row.get("kind"))) if isinstance(row, dict) else None
    if kind is None:
        return f"write a kind that exists: {', '.join(sorted(kinds))}"
    return f"a row of kind {row['kind']} has exactly {', '.join(('kind', *kind.__struct_fields__))}; times in quotes"


def _refuse_overlaps(file: str, rules: tuple[Rule, ...]) -> None:
    held_until: dict[str, date] = {}
    for rule in sorted(rules, key=lambda each: (each.id, each.valid_from)):
        before = held_until.get(rule.id)
        if before is not None and rule.valid_from <= before:
            raise DataFileError(
                file,
                f"{rule.id} from {rule.valid_from}",
                "holds while an earlier row of the same id holds",
                "end the earlier row with valid_to the day before",
            )
        held_until[rule.id] = rule.valid_to or _ALWAYS


def _holds(rule: Rule, day: date) -> bool:
    return rule.valid_from <= day and (rule.valid_to is None or day <= rule.valid_to)


def _ref(pack: Pack, rule: Rule) -> RuleRef:
    return RuleRef(
        rule_id=rule.id,
        pack=pack.id,
        pack_version=pack.version,
        jurisdiction=pack.jurisdiction,
        strength=rule.strength,
        source=rule.source,
        reason_zh=rule.reason_zh,
        reason_en=rule.reason_en,
    )
