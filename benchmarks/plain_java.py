"""Compiles the hop in plain Java, beside which a real service is measured, and warms it up.

The runtime is the broker's (the wheel has no compiler of its own, so Eclipse's compiles), and so are kafka-clients and
Jackson; only the compiler and the PostgreSQL driver are fetched besides. C2 and the serial collector: on two cores the
cheapest for a hop.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from deploy.local.errors import MissingPartError
from deploy.local.java import JAVA_ENVIRONMENT, KAFKA, Jars, class_path, find_java, locked, user_cache
from deploy.local.process import Process, run_program

WARM_UP = (16, 10_000)
"""So many times so many facts before the counters are read, else they hold the compiling of its hot paths."""

_ECJ, _DRIVER = "3.46.100", "42.7.14"
_SOURCE = Path(__file__).with_name("java") / "PlainHop.java"
JARS = Jars(
    title="Eclipse's Java compiler and the PostgreSQL driver",
    size="4 MB",
    folder=f"plain-hop-{_ECJ}-{_DRIVER}",
    roots=f"org.eclipse.jdt:ecj:{_ECJ}+org.postgresql:postgresql:{_DRIVER}",
    pins=_SOURCE.with_name("hop.jars"),
)
_OPTIONS = ("-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")


class PlainJava:
    """The compiled hop."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        """Fetch what is missing and compile into `folder`.

        Raises:
            MissingPartError: the jars cannot be fetched, or Java does not run here.
        """
        self._java = str(find_java())
        cache = user_cache()
        with locked(cache / "lock"):
            self._jars = os.pathsep.join(class_path(each, cache, say) for each in (KAFKA, JARS))
        self._classes = folder / "plain-hop"
        words = ("org.eclipse.jdt.internal.compiler.batch.Main", "-25", "-proc:none", "-d", str(self._classes))
        done = run_program([self._java, "-cp", self._jars, *words, "-cp", self._jars, str(_SOURCE)], JAVA_ENVIRONMENT)
        if done.returncode != 0:
            raise MissingPartError(f"{_SOURCE.name} does not compile: {done.stdout[-500:]}", "see the message")

    def process(self, url: str, bootstrap: str, topic_in: str, topic_out: str) -> Process:
        """Return the hop on a database and between two topics."""
        path = f"{self._classes}{os.pathsep}{self._jars}"
        words = ("-cp", path, "PlainHop", _jdbc(url), bootstrap, topic_in, topic_out)
        return Process(name="plain-java", argv=(self._java, *_OPTIONS, *words), env=JAVA_ENVIRONMENT, grace=3)


def _jdbc(url: str) -> str:
    """Write a URL of PostgreSQL's as its Java driver takes it."""
    account, _, place = url.removeprefix("postgresql://").partition("@")
    user, _, password = account.partition(":")
    return f"jdbc:postgresql://{place}?user={user}&password={password}"
