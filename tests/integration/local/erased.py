"""One customer through all five services, and then nothing of him: what a test needs to do and to look at."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.demo.client import CARD_SYSTEM, OPERATOR, Caller, Client, Refusal
from deploy.demo.clocking import Stepper
from deploy.local.parts import SERVICES
from deploy.local.stack import Stack
from services.ingest.answers import BATCH
from shared.bus.partitions import partition_of
from shared.events.registry import CONTACTS
from shared.web.permissions import role_matrix
from shared.web.signing import Signer
from tests.apps import build
from tests.integration.dumps import traces_in
from tests.unit.ingest.events import event

CUSTOMER: Final = "c-to-be-erased"
NAME, NUMBER, MAILBOX, STREET, HAZARD = "欧阳清", "13977665544", "ouyang@example.com", "长乐东路 977 号", "黄狗很凶"
WORDS: Final = (NAME, NUMBER, MAILBOX, STREET, HAZARD)

BOSS = Caller("boss-1", "supervisor", "north")
PHONE = Caller("phone-1", "phone_agent", "north")
FIELD = Caller("field-1", "field_agent", "north")
ASSISTANT = Caller("assistant-1", "admin_assistant")
_CALLERS: Final = {each.role: each for each in (CARD_SYSTEM, BOSS, PHONE, FIELD, ASSISTANT, OPERATOR)}


@dataclass
class Bank:
    """The running stack with its clock, and whoever calls it."""

    stack: Stack
    client: Client
    clock: Stepper

    async def tell(self, kind: str, **data: Any) -> None:
        """Send an event of the card system's, of now."""
        told = event(kind, id=f"{kind}-{self.clock.now.isoformat()}", time=self.clock.now.isoformat())
        told["data"] |= {"customer_id": CUSTOMER, "as_of": self.clock.now.isoformat(), **data}
        await self.client.call(CARD_SYSTEM, "POST", "ingest", "/v1/events", [told], {"content-type": BATCH})

    async def until(self, instant: datetime) -> None:
        """Move the clock, and wait until everybody is at rest."""
        self.clock.move(instant)
        await self.clock.settle(self.client)

    async def known_everywhere(self, opened_at: datetime) -> dict[str, str]:
        """Have the customer reminded, called, handed over and visited for; returns the ids by what they name."""
        for staff_id, role in (("phone-1", "phone_agent"), ("field-1", "field_agent"), ("field-2", "field_agent")):
            colleague = {"name": "李雷", "role": role, "team": "north", "email": f"{staff_id}@bank.example"}
            fit = {"insured_until": "2026-12-31"} if role == "field_agent" else {}
            await self.client.call(BOSS, "PUT", "assignment", f"/v1/staff/{staff_id}", colleague | fit)
        home = {"address_id": "home", "kind": "home", "lines": [STREET], "district": "静安区", "city": "上海"}
        await self.tell(
            "customer.contacts_changed",
            name=NAME,
            phones=[{"number": f"+86{NUMBER}", "kind": "mobile"}],
            emails=[MAILBOX],
            addresses=[home | {"hazard": HAZARD}],
            at_home=[],
        )
        await self.tell("account.overdue_reported", due_date="2025-11-10", statement_date="2025-10-21", history=[])
        await self.clock.settle(self.client)
        await self.until(opened_at + timedelta(minutes=15))
        await self.until(opened_at + timedelta(days=2))
        await self.until(opened_at + timedelta(days=2, hours=1))
        (case,) = await self.client.pages(BOSS, "assignment", f"/v1/cases?customer_id={CUSTOMER}")
        words = {
            "channel": "CALL",
            "line": "NOAS",
            "party": "UNK",
            "outcome": "NONE",
            "note": f"{NAME} {NUMBER} 无人接",
        }
        await self.client.post(PHONE, "assignment", f"/v1/cases/{case['case_id']}/contacts", words)
        line = {"case_id": case["case_id"], "field_agent_id": "field-1", "reason": "电话无人接听"}
        filed = await self.client.post(PHONE, "assignment", "/v1/field-lists", {"hand_overs": [line]})
        await self.clock.settle(self.client)
        (visit,) = await self.client.pages(FIELD, "fieldvisit", "/v1/visits")
        plan = await self._plan(visit["visit_id"])
        notice, _ = await self.client.pages(BOSS, "notify", f"/v1/notices?customer_id={CUSTOMER}")
        return {
            "customer_id": CUSTOMER,
            "case_id": case["case_id"],
            "list_id": filed["list_id"],
            "visit_id": visit["visit_id"],
            "plan_id": plan["plan_id"],
            "notice_id": notice["notice_id"],
            "staff_id": "phone-1",
            "template": "reminder_first",
        }

    async def _plan(self, visit_id: str) -> Any:
        hours = [(self.clock.now + timedelta(hours=each)).isoformat() for each in (2, 3)]
        line = {
            "visit_id": visit_id,
            "starts_at": hours[0],
            "ends_at": hours[1],
            "members": ["field-1", "field-2"],
            "recorder_id": "R1",
            "hazard_acknowledged": True,
        }
        return await self.client.post(FIELD, "fieldvisit", "/v1/plans", {"visits": [line]})

    async def bury_strangers_record(self) -> None:
        """Write a record under the customer's key that no service takes: a dead letter with the name in it."""
        topic, partition = self._partition()
        async with AIOKafkaProducer(bootstrap_servers=self.stack.bootstrap) as producer:
            await producer.send_and_wait(topic, f"{NAME} {NUMBER}".encode(), CUSTOMER.encode(), partition)
        await self.clock.settle(self.client)

    async def erase(self) -> None:
        """Erase the customer, as an operator does."""
        wanted = event("contacts.erased", id="erasure-1", time=self.clock.now.isoformat())
        wanted["data"] = {"customer_id": CUSTOMER, "as_of": self.clock.now.isoformat()}
        await self.client.call(OPERATOR, "POST", "ingest", "/v1/events", [wanted], {"content-type": BATCH})
        await self.clock.settle(self.client)

    async def in_databases(self) -> dict[str, list[str]]:
        """Return which words stand in which service's database, and where."""
        urls = {name: self.stack.env(name)["ARREARS_DATABASE_URL"] for name in SERVICES}
        found = {name: await traces_in(url, WORDS) for name, url in urls.items()}
        return {name: places for name, places in found.items() if places}

    async def in_answers(self, ids: dict[str, str]) -> tuple[set[str], list[str]]:
        """Read every route as each of those who may; returns the routes that answered, and those that told a word."""
        answered: set[str] = set()
        telling: list[str] = []
        for service, path, caller in _routes():
            for filled in await self._filled(service, path, ids):
                try:
                    told = await self.client.get(caller, service, filled)
                    answered.add(f"{service} {path}")
                except Refusal as refusal:
                    if refusal.status not in (404, 409):
                        raise
                    told = refusal.problem
                text = json.dumps(told, ensure_ascii=False)
                telling += [f"{service} {path}: {word}" for word in WORDS if word in text]
        return answered, telling

    async def _filled(self, service: str, path: str, ids: dict[str, str]) -> list[str]:
        if "{letter_id}" not in path:
            return [path.format_map(ids)]  # a route with another name in it is a KeyError: give its id above
        letters = await self.client.pages(OPERATOR, service, "/v1/dead-letters?state=all")
        return [path.format(letter_id=letter["id"]) for letter in letters]

    def in_logs(self) -> list[str]:
        """Return which words stand in which log or span file."""
        folders = (self.stack.state.logs, self.stack.state.path / "telemetry")
        files = [(file, file.read_bytes()) for folder in folders for file in folder.rglob("*") if file.is_file()]
        assert files
        return [f"{file.name}: {word}" for file, told in files for word in WORDS if word.encode() in told]

    async def last_record(self) -> Any:
        """Return the customer's last record in the compacted topic."""
        topic, partition = self._partition()
        kafka = AIOKafkaConsumer(bootstrap_servers=self.stack.bootstrap, enable_auto_commit=False)
        async with kafka:
            part = TopicPartition(topic, partition)
            kafka.assign([part])
            await kafka.seek_to_beginning(part)
            end = (await kafka.end_offsets([part]))[part]
            found = []
            while await kafka.position(part) < end:
                found += (await kafka.getmany(timeout_ms=500)).get(part, [])
        return [record for record in found if record.key == CUSTOMER.encode()][-1]

    def _partition(self) -> tuple[str, int]:
        settings = self.stack.env("ingest")
        topic = CONTACTS.full_name(settings.get("ARREARS_NAMESPACE", "arrears"))
        return topic, partition_of(CUSTOMER, int(settings["ARREARS_PARTITIONS"]))


def _routes() -> Iterator[tuple[str, str, Caller]]:
    """Yield every route that is read, with each of those who may."""
    signer = Signer.generate(issuer="http://issuer.test")
    for service in SERVICES:
        for method, path, roles in role_matrix(build(service, signer)):
            if method == "GET":
                yield from ((service, path, _CALLERS[role]) for role in roles)
