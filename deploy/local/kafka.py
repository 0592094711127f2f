"""Apache Kafka (KRaft, one node, broker and controller in one) as a supervised process.

C1 alone compiles: C2 takes a core for the first 100,000 records, which a demo or a test rarely passes. The class-data
archives cut the start from about 2.4 to 1.4 s.
"""

import asyncio
import base64
import hashlib
import os
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.local.errors import LostDataError, MissingPartError, NotReadyError
from deploy.local.java import JAVA_ENVIRONMENT, KAFKA, KAFKA_VERSION, Runtime, class_path, find_java, locked, user_cache
from deploy.local.process import Process, die_with_parent, run_program
from deploy.local.ready import HOST, tcp
from deploy.local.state import StateDir, choose_ports

_STARTED = b"Kafka Server started"
_TRAINING_LIMIT = 120
_FORMATTED = "meta.properties"
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}{links}
advertised.listeners=PLAINTEXT://{host}:{port}{advertised_links}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{link_protocols}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={logs}
num.network.threads=2
num.io.threads=2
num.partitions=12
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.segment.bytes=134217728
log.cleaner.dedupe.buffer.size=4194304
"""


@dataclass(frozen=True)
class Link:
    """A listener of its own for clients that come through something that forwards: its port here, and that of theirs.

    (A client goes on with the address that the broker advertises, so that must be the forwarder's.)
    """

    name: str
    """Upper-case letters."""
    port: int
    advertised: int


@dataclass(frozen=True)
class Kafka:
    """A prepared broker."""

    runtime: Runtime
    archives: str
    """The base and the top class-data archive, as -XX:SharedArchiveFile takes them."""
    properties: Path
    port: int

    @property
    def bootstrap(self) -> str:
        """Where clients connect."""
        return f"{HOST}:{self.port}"

    def process(self) -> Process:
        """The broker; it is ready when a client finds it and its group coordinator answers."""
        options = (f"-XX:SharedArchiveFile={self.archives}",)
        return Process(
            name="kafka",
            argv=self.runtime.command("kafka.Kafka", str(self.properties), options=options),
            env=JAVA_ENVIRONMENT,
            ready=self.answers,
            grace=20.0,
        )

    async def answers(self) -> None:
        """Ask the coordinator for a group, as every consumer does first ("started" in the log comes before that).

        Raises:
            OSError, NotReadyError: not yet.
        """
        await tcp(self.port)()
        client = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=5000)
        try:
            await client.start()
            await client.describe_consumer_groups(["arrears-local-ready"])
        except KafkaError as error:
            raise NotReadyError(str(error)) from error
        finally:
            await client.close()


async def prepare(
    state: StateDir, port: int, controller_port: int, say: Callable[[str], None], links: Sequence[Link] = ()
) -> Kafka:
    """Find the runtime, write the configuration and format the log directory of a new state folder.

    Raises:
        MissingPartError: the Java wheel is missing, the jars cannot be fetched, Kafka does not run here, or its data
            are gone.
    """
    runtime, archives = await asyncio.to_thread(_shared_by_user, say)
    folder = state.path / "kafka"
    if not (state.is_new or (folder / "data" / _FORMATTED).exists()):
        raise LostDataError("Kafka", folder / "data")
    properties = await asyncio.to_thread(_make_node, runtime, folder, port, controller_port, links)
    return Kafka(runtime, archives, properties, port)


def _shared_by_user(say: Callable[[str], None]) -> tuple[Runtime, str]:
    """Java, jars and archives, made where they are missing; one maker at a time."""
    java, cache = find_java(), user_cache()
    with locked(cache / "lock"):
        runtime = Runtime(java, class_path(KAFKA, cache, say))
        identity = f"{java}\n{java.stat().st_mtime_ns}\n{runtime.class_path}"
        key = hashlib.sha256(identity.encode()).hexdigest()[:12]
        base, top = cache / f"java-{key}.jsa", cache / f"kafka-{KAFKA_VERSION}-{key}.jsa"
        if not top.exists():
            say("kafka: making its class-data archives once for this user (it starts faster with them)")
            _make_archives(runtime, base, top)
    return runtime, f"{base}:{top}"


def _make_node(runtime: Runtime, folder: Path, port: int, controller_port: int, links: Sequence[Link] = ()) -> Path:
    """Configuration and formatted log directory of a node; its properties file."""
    folder.mkdir(mode=0o700, exist_ok=True)
    properties, logs = folder / "server.properties", folder / "data"
    text = _PROPERTIES.format(
        host=HOST,
        port=port,
        controller_port=controller_port,
        logs=logs,
        links="".join(f",{link.name}://{HOST}:{link.port}" for link in links),
        advertised_links="".join(f",{link.name}://{HOST}:{link.advertised}" for link in links),
        link_protocols="".join(f",{link.name}:PLAINTEXT" for link in links),
    )
    properties.write_text(text, encoding="utf-8")
    if not (logs / _FORMATTED).exists():
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        # One word: an id may begin with a dash, which would be read as another option.
        arguments = ("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", str(properties))
        _run_java(runtime.command(*arguments), "could not format its log directory")
    return properties


def _make_archives(runtime: Runtime, base: Path, top: Path) -> None:
    """The JVM's own classes (the wheel brings no archive of them), then those that a broker loads until it is up."""
    with tempfile.TemporaryDirectory(dir=base.parent) as scratch:
        fresh_top = Path(scratch) / "top.jsa"
        dump = ("-Xshare:dump", f"-XX:SharedArchiveFile={base}")
        _run_java((str(runtime.java), "-XX:+UseSerialGC", *dump), "could not dump Java's classes")
        ports = choose_ports(("broker", "controller"), {})
        properties = _make_node(runtime, Path(scratch), ports["broker"], ports["controller"])
        options = (f"-XX:SharedArchiveFile={base}", f"-XX:ArchiveClassesAtExit={fresh_top}")
        _start_and_stop(runtime.command("kafka.Kafka", str(properties), options=options))
        if not fresh_top.exists():
            raise MissingPartError(
                "Kafka's class-data archive could not be made", f"see the free space of {top.parent}"
            )
        fresh_top.replace(top)


def _start_and_stop(command: tuple[str, ...]) -> None:
    """Run a broker until it has started, then stop it cleanly."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=JAVA_ENVIRONMENT,
        preexec_fn=die_with_parent(os.getpid(), signal.SIGKILL),  # noqa: PLW1509 - it only calls prctl and getppid
    ) as broker:
        if broker.stdout is None:
            raise RuntimeError("the broker's output is a pipe")
        try:
            for line in broker.stdout:
                if _STARTED in line:
                    broker.terminate()
            broker.wait(_TRAINING_LIMIT)
        finally:
            broker.kill()


def _run_java(command: tuple[str, ...], failure: str) -> None:
    done = run_program(command, JAVA_ENVIRONMENT)
    if done.returncode != 0:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise MissingPartError(f"Kafka {failure} ({last})", "it needs 1 GB of free memory and a writable state folder")
