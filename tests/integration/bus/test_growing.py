"""More partitions on a real broker: refused while anything is under way; then nothing is lost or reordered (R2)."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from shared.bus.growing import NotAtRest, grow
from shared.bus.partitions import partition_of
from shared.bus.topics import partition_counts
from shared.events.registry import CARD, RISK
from tests.integration.bus.log import facts_in, faults_of, log_of
from tests.integration.bus.toys import Toys, at_rest, deciding, execute, fetch, payments, post, running, until

CUSTOMERS = [f"c-{number}" for number in range(8)]
OVER = "UPDATE outbox_lease SET until = clock_timestamp()"


_KEPT = f"""
DROP TABLE IF EXISTS kept;
CREATE TABLE kept AS SELECT unnest('{{{",".join(CUSTOMERS)}}}'::text[]) AS customer_id, 0 AS partition
"""


async def _grow(toys: Toys, to: int) -> None:
    databases = {"ingest": toys.write_url, "scoring": toys.read_url}
    await grow(toys.stage.infra.bootstrap, toys.stage.namespace, databases, to, (CARD, RISK))


async def _grown(toys: Toys, to: int) -> bool:
    """Grow as soon as the readers' membership has run out; any other refusal is a fault."""
    try:
        await _grow(toys, to)
    except NotAtRest as refused:
        assert "members are known" in str(refused)  # noqa: PT017 - what else is refused must not be waited for
        return False
    return True


async def _counts(toys: Toys) -> list[int]:
    names = [topic.full_name(toys.stage.namespace) for topic in (CARD, RISK)]
    return list((await partition_counts(toys.stage.infra.bootstrap, names)).values())


async def _post(toys: Toys, number: int) -> None:
    """Decide, and publish nothing yet."""
    async with deciding(toys.write_url, toys.stage.partitions) as transactions:
        await transactions.transact(partial(post, customers=CUSTOMERS, number=number))


async def test_partitions_are_added_only_at_rest_and_each_customers_order_holds(toys: Toys) -> None:
    """Seen to fail without the look at the databases, without the new rows, and without the customers' new numbers;
    without the look at the members a reader came back to its old partitions, and nobody read the new ones.

    Rebuilding a reader from the very start is not covered: over old and new partitions only versions order its facts.
    """
    await execute(toys.read_url, _KEPT)
    await _post(toys, 0)
    with pytest.raises(NotAtRest, match=r"ingest: facts not published: 8"):
        await _grow(toys, 4)
    async with running(writer := toys.writer()):
        await at_rest(writer)
    with pytest.raises(NotAtRest, match=r"ingest: leases of running replicas: 2"):
        await _grow(toys, 4)
    await execute(toys.write_url, OVER)
    with pytest.raises(NotAtRest, match=r"scoring: .*card.v1/0 not read to its end"):
        await _grow(toys, 4)
    async with running(writer := toys.writer(), reader := toys.reader()):
        await at_rest(writer, reader)
    await execute(toys.write_url, OVER)
    await execute(toys.read_url, OVER)
    with pytest.raises(NotAtRest, match="at most 1"):
        await _grow(toys, 1)
    assert await _counts(toys) == [2, 2]
    with pytest.raises(NotAtRest, match=r"members are known .*\.scoring"):
        await _grow(toys, 4)
    await until(partial(_grown, toys, 4))
    await _grow(toys, 4)  # a second call finds everything done
    assert await _counts(toys) == [4, 4]
    grown = replace(toys, stage=replace(toys.stage, partitions=4))
    async with running(writer := grown.writer(), reader := grown.reader()):
        for number in (1, 2):
            await writer.transact(partial(post, customers=CUSTOMERS, number=number))
        await at_rest(writer, reader)
        assert [await bus.not_ready() for bus in (writer, reader)] == [[], []]
    log = await log_of(grown.stage, CARD)
    assert (faults_of(log), len(facts_in(log))) == ([], 3 * len(CUSTOMERS))
    assert all(log.values())
    assert await payments(grown.read_url) == {customer: ["p-0", "p-1", "p-2"] for customer in CUSTOMERS}
    kept = await fetch(grown.read_url, "SELECT customer_id, partition FROM kept")
    assert {row["customer_id"]: row["partition"] for row in kept} == {one: partition_of(one, 4) for one in CUSTOMERS}


_STOPPED = "UPDATE inbox_position SET state = 'stopped', reason = 'gap' WHERE partition = 1"
_WAITING = """
INSERT INTO deferred (id, topic, partition, log_offset, epoch, sequence, due, headers, attempts)
VALUES (gen_random_uuid(), 'card', 0, 1, 1, 1, clock_timestamp(), '[]', 0)
"""
_DEAD = """
INSERT INTO dead_letter (id, topic, partition, log_offset, headers, code, detail, step, attempts, failed_at, state)
VALUES (gen_random_uuid(), 'card', 0, 1, '[]', 'x', '', '', 1, clock_timestamp(), 'open')
"""


@pytest.mark.parametrize(
    ("trouble", "why"),
    [(_STOPPED, "streams stopped: 1"), (_WAITING, "facts that wait: 1"), (_DEAD, "open dead letters: 1")],
)
async def test_partitions_are_not_added_while_a_fact_waits_for_anything(toys: Toys, trouble: str, why: str) -> None:
    await execute(toys.read_url, trouble)
    with pytest.raises(NotAtRest, match=why):
        await _grow(toys, 4)
    assert await _counts(toys) == [2, 2]
