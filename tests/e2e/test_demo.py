"""The demo as a user runs it: a whole run, one in which every service is killed, a bank's file, and a Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from deploy.local.parts import SERVICES

ROOT = Path(__file__).resolve().parents[2]
_LIMIT = 300.0
_KILL_SEED = "226"
_INTERRUPTED = 130
HEADER = [
    "ID", "LIMIT_BAL", "PAY_0", "PAY_2", "PAY_3", "PAY_4", "PAY_5", "PAY_6",
    *(f"BILL_AMT{n}" for n in range(1, 7)), *(f"PAY_AMT{n}" for n in range(1, 7)), "default_payment_next_month",
]  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A run that has ended: its exit code, what it said, its final counts, and which of its processes still live."""

    code: int
    lines: list[str]
    counts: dict[str, Any]
    left: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


async def begin(state: Path, *options: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.demo",
        *options,
        cwd=ROOT,
        env=os.environ | {"ARREARS_LOCAL_DIR": str(state)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )


async def whole_run(state: Path, *options: str) -> Run:
    counts = state / "counts.json"
    process = await begin(state, *options, "--counts", str(counts))
    try:
        async with asyncio.timeout(_LIMIT):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = json.loads(counts.read_text(encoding="utf-8")) if counts.exists() else {}
    return Run(process.returncode or 0, output.decode().splitlines(), found, still_running(state))


def still_running(state: Path) -> list[str]:
    """The processes that know the state folder by their command line or environment."""
    word = str(state).encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            known = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue  # gone, or somebody else's
        if folder.name != str(os.getpid()) and any(word in text for text in known):
            found.append(known[0].replace(b"\0", b" ").decode(errors="replace"))
    return found


def file_of(folder: Path) -> Path:
    """A bank's file in the public one's columns: twelve overdue, of whom one owes nothing; one that pays; one wrong."""
    rows: list[list[object]] = [[*HEADER]]
    rows += [[number, 200_000, number % 4 + 1, *[2] * 5, *[150_000] * 6, *[0] * 7] for number in range(1, 12)]
    rows += [[12, 50_000, 1, *[-2] * 5, *[0] * 13], [13, 50_000, -1, *[-1] * 5, *[100] * 13]]
    rows += [[14, "many", 2, *[2] * 18]]
    lines = [",".join(str(cell) for cell in row) for row in rows]
    path = folder / "clients.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest_asyncio.fixture(scope="module")
async def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run, Run]:
    """A plain run, one in which each service is killed, and a file: at once, since each leaves half a machine idle."""
    plain, killed, file = (tmp_path_factory.mktemp(name) for name in ("plain", "killed", "file"))
    return await asyncio.gather(
        whole_run(plain),
        whole_run(killed, "--kill", "each", "--kill-seed", _KILL_SEED),
        whole_run(file, "--portfolio", str(file_of(file))),
    )


async def test_a_banks_file_is_graded_routed_and_reminded_and_its_wrong_row_is_kept(runs: tuple[Run, ...]) -> None:
    """Seen to fail with a routing that leaves some debtors without a case. Who the people are is made up."""
    file = runs[2]
    assert (file.code, file.lines[-1]) == (0, "demo: ok"), file.text
    assert file.left == []
    assert file.counts["portfolio"] == {
        "accounts graded": 12,
        "customers": 12,
        "cases routed": 11,
        "nothing owed, no action": 1,
    }
    assert "12 accepted 0 replayed 1 nothing to tell 1 refused" in " ".join(file.text.split())
    assert "12 replayed; nothing more happens" in file.text


async def test_the_demo_ends_well_and_leaves_nothing_running(runs: tuple[Run, ...]) -> None:
    plain = runs[0]
    assert (plain.code, plain.lines[-1]) == (0, "demo: ok"), plain.text
    assert plain.left == []
    assert plain.counts["gaps"] == plain.counts["dead letters"] == 0
    assert max(map(len, plain.lines)) <= 100, "readable at 100 columns"


async def test_killing_each_service_at_a_random_moment_changes_no_count(runs: tuple[Run, ...]) -> None:
    """Sent and unconfirmed are counted together: a message whose sender died is never sent again by itself."""
    plain, killed = runs[:2]
    assert (killed.code, killed.lines[-1]) == (0, "demo: ok"), killed.text
    assert all(f"kill -9 {service}" in killed.text for service in SERVICES)
    assert killed.left == []
    assert killed.counts == plain.counts


async def test_the_trace_goes_from_the_ingest_request_to_the_sms(runs: tuple[Run, ...]) -> None:
    plain = runs[0]
    begin_at = next(place for place, line in enumerate(plain.lines) if "One trace" in line)
    tree = "\n".join(plain.lines[begin_at : begin_at + 40])
    for word in ("ingest POST /v1/events", "scoring", "assignment create arrears.reminder.due.v1", "notify send sms"):
        assert word in tree, tree
    assert " ms" in tree


async def test_the_ten_stories_are_told(runs: tuple[Run, ...]) -> None:
    plain = runs[0]
    for word in (
        "张伟 C1001 pays",
        "张伟 C1001: 结案：已还清",
        "王芳 C1002: 步骤重新计时",
        "王芳 C1002: 风险等级",
        "李娜 C1003: 承诺已履行",
        "刘强 C1004: 跳票",
        "陈静 C1005: SELF PTP, on time",
        "杨洋 C1006: 外访超过期限",
        "杨洋 C1006: SELF REFUSE, late",
        "赵敏 C1007 as not done: nobody home",
        "黄磊 C1008: 外访撤销：欠款已还清",
        "周婷 C1009: 停催",
        "周婷 C1009: 外访撤销",
        "周婷 C1009: 停催解除",
        "Emma Wilson C1010: 短信已发送",
        "Emma Wilson C1010: 短信未发送",
        "the same event again: replayed; its id with other content: conflict",
    ):
        assert word in plain.text, word


async def test_ctrl_c_stops_everything(tmp_path: Path) -> None:
    process = await begin(tmp_path)
    assert process.stdout is not None
    async with asyncio.timeout(_LIMIT):
        async for line in process.stdout:
            if b"08:05" in line:
                break
        process.send_signal(signal.SIGINT)
        rest, _ = await process.communicate()
    assert process.returncode == _INTERRUPTED
    assert rest.decode().splitlines()[-1] == "demo: interrupted, everything is stopped"
    assert still_running(tmp_path) == []


async def test_a_story_that_cannot_be_starts_nothing(tmp_path: Path) -> None:
    story = tmp_path / "story.yaml"
    story.write_text("title: 空\n", encoding="utf-8")
    process = await begin(tmp_path, "--story", str(story))
    output, _ = await process.communicate()
    assert process.returncode == 1
    assert output.decode().startswith("demo: story.yaml is wrong:")
    assert not (tmp_path / "demo").exists()
