"""The shapes of a rule: what a row of a rule pack may say, one struct for each kind of rule."""

from __future__ import annotations

from datetime import date, time
from typing import Annotated, Literal

from msgspec import Meta, Struct

Channel = Literal["sms", "email", "call", "visit"]
Purpose = Literal["reminder", "collection", "locate", "hardship", "service"]
"""Why the customer is contacted.

`reminder` states dates and ways to pay; `collection` asks for payment; `locate` looks for a lost debtor or passes a
message and says nothing of the debt; `hardship` offers help or an arrangement; `service` answers what the customer
asked. The first three are pressure.
"""

StopKind = Literal[
    "dispute", "complaint", "cease_contact", "hardship", "deceased", "insolvent", "represented", "wrong_person"
]
Consent = Literal["night_contact", "call_frequency"]
Strength = Literal["must", "should"]

_RuleId = Annotated[str, Meta(pattern=r"^[a-z-]+\.[a-z0-9_]+$(?!\n)", max_length=64)]
_Reason = Annotated[str, Meta(min_length=1, max_length=200)]
_Positive = Annotated[int, Meta(ge=1)]


class Window(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Over how many days a value is counted, today included, and by whose calendar."""

    days: _Positive
    measured: Literal["customer_local_days", "calendar_days"]


class _Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every row says. `valid_to` is the last day that the row holds; none while it holds.

    `lifted_by` names the recorded consents that lift the rule; a should-rule yields to a supervisor's override as well.
    The text `{value}` in a reason stands for the row's value.
    """

    id: _RuleId
    unit: Annotated[str, Meta(min_length=1)]
    window: Window | None
    strength: Strength
    lifted_by: tuple[Consent, ...]
    valid_from: date
    valid_to: date | None
    source: Annotated[str, Meta(min_length=1)]
    reason_zh: _Reason
    reason_en: _Reason


class ClosedHours(_Rule, frozen=True, kw_only=True, tag="closed_hours"):
    """No contact from the first local time to the second, written "22:00-08:00"; the second is open again."""

    channels: tuple[Channel, ...]
    purposes: tuple[Purpose, ...]
    value: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$(?!\n)")]

    @property
    def starts(self) -> time:
        """The local time at which contact closes."""
        return time.fromisoformat(self.value[:5])

    @property
    def ends(self) -> time:
        """The local time at which contact opens again."""
        return time.fromisoformat(self.value[6:])


class AtMost(_Rule, frozen=True, kw_only=True, tag="at_most"):
    """No more than `value` contacts within the window's local days, the day of the contact included."""

    channels: tuple[Channel, ...]
    purposes: tuple[Purpose, ...]
    counts: Literal["attempts", "effective"]
    per: Literal["contact_method", "customer"]
    value: _Positive
    window: Window


class RestAfterConversation(_Rule, frozen=True, kw_only=True, tag="rest_after_conversation"):
    """No contact within `value` local days of a conversation, whose own day is the first of them."""

    channels: tuple[Channel, ...]
    purposes: tuple[Purpose, ...]
    value: _Positive


class MinimumTeam(_Rule, frozen=True, kw_only=True, tag="minimum_team"):
    """A contact through these channels is made by at least `value` people together."""

    channels: tuple[Channel, ...]
    purposes: tuple[Purpose, ...]
    value: _Positive


class RefusedMedium(_Rule, frozen=True, kw_only=True, tag="refused_medium"):
    """A medium that the customer refused is not used again."""

    channels: tuple[Channel, ...]
    purposes: tuple[Purpose, ...]


class ThirdParty(_Rule, frozen=True, kw_only=True, tag="third_party"):
    """Somebody else is asked only when the debtor is lost, only to locate, and never after having refused."""

    channels: tuple[Channel, ...]
    purposes: tuple[Purpose, ...]


class Stop(_Rule, frozen=True, kw_only=True, tag="stop"):
    """While a stop of this kind is in force, these purposes through these channels are refused."""

    channels: tuple[Channel, ...]
    purposes: tuple[Purpose, ...]
    stop: StopKind


class Limit(_Rule, frozen=True, kw_only=True, tag="limit"):
    """A number that another part of the system keeps to: a term, a count, an amount in whole units of `unit`."""

    value: _Positive


class Duty(_Rule, frozen=True, kw_only=True, tag="duty"):
    """What a document or a message must hold, item by item."""

    items: Annotated[tuple[str, ...], Meta(min_length=1)]


ContactRule = ClosedHours | AtMost | RestAfterConversation | MinimumTeam | RefusedMedium | ThirdParty | Stop
Rule = ContactRule | Limit | Duty


class Pack(Struct, frozen=True, kw_only=True):
    """One file of rules: a jurisdiction's, a trade's or the house's, under one version."""

    id: str
    version: str
    jurisdiction: str
    title_zh: str
    title_en: str
    rules: tuple[Rule, ...]


class RuleRef(Struct, frozen=True, kw_only=True):
    """Which rule decided, in which version of which pack, from what source, and why in words.

    `rule_id` is the stable code ("cn-card.night"); the reasons have at most 200 characters each.
    """

    rule_id: str
    pack: str
    pack_version: str
    jurisdiction: str
    strength: Strength
    source: str
    reason_zh: str
    reason_en: str
