"""Keeps the programs of one installation running: web, worker, beat.

Small on purpose. Each child ends with the supervisor, even by kill -9 (digest.processes.spawn), and stands in
VAR_DIR/run/up.json by pid and start time, so that the next start can end what a crash of any kind left over.
"""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from digest import embedded
from digest.processes import NOBODY, Process, read_json, spawn, wait_until, write_json

_BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_STEADY_SECONDS = 60.0  # a child that ran so long starts again without waiting
# The worker finishes its tasks on SIGTERM and drops them on SIGQUIT; a dropped task is poked again.
_STOP = ((signal.SIGTERM, 5.0), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 2.0))


class CannotStart(RuntimeError):
    """Paperboy cannot run here now. The message says what is in the way, where, and the cure."""


class Stopped(BaseException):
    """SIGTERM, SIGINT or SIGHUP: unwind and stop everything. Not an error, hence no Exception."""


@dataclass
class Program:
    """One child: what to run, and how it fares."""

    name: str
    arguments: Sequence[str | Path]
    child: subprocess.Popen[bytes] | None = None
    process: Process = NOBODY
    started: float = 0.0
    failures: int = 0
    next_start: float = 0.0


@dataclass
class Supervisor:
    """Runs programs until it is told to stop. Used inside only_one() and stopping_on_signals()."""

    var_dir: Path
    environment: Mapping[str, str]
    folder: Path  # where they run
    hold: embedded.Hold
    say: Callable[[str], None]
    record: dict[str, Any] = field(default_factory=dict)  # further facts for up.json, such as the address
    programs: list[Program] = field(default_factory=list)

    def start(self, *programs: Program) -> None:
        """Start these too, and keep them running from now on; they may need some seconds to answer."""
        for program in programs:
            self.programs.append(program)
            self._start(program)

    def watch(self) -> None:
        """Keep them running, and the services they need, until Stopped."""
        while True:
            self.step()
            time.sleep(0.5)

    def step(self) -> None:
        """Look at each program once, start again what has ended and is due. Never waits long."""
        if self.hold.services and self._revive_services():
            self.say("The bundled services had ended; they run again.")
        for program in self.programs:
            if program.child is None:
                if time.monotonic() >= program.next_start:
                    self._start(program)
            elif (code := _ended(program)) is not None:
                self._plan_restart(program, code)

    def stop(self) -> None:
        """End all of them within ten seconds, politely first."""
        running = [program for program in self.programs if program.child is not None]
        for number, patience in _STOP:
            for program in running:
                program.process.signal(number)
            wait_until(lambda: all(_ended(p) is not None for p in running), seconds=patience)
        _state_file(self.var_dir).unlink(missing_ok=True)

    def _revive_services(self) -> bool:
        try:
            return self.hold.ensure()
        except embedded.ServiceFailed as error:
            self.say(str(error))  # and try again at the next step
            return False

    def _start(self, program: Program) -> None:
        with embedded.open_log(self.var_dir, program.name) as log:
            program.child = spawn(
                program.arguments,
                death_signal=signal.SIGTERM,
                output=log,
                env=self.environment,
                cwd=self.folder,
                own_group=True,
            )
        program.process = Process.of(program.child.pid)
        program.started = time.monotonic()
        children = {p.name: p.process.as_record() for p in self.programs if p.child is not None}
        write_json(
            _state_file(self.var_dir), Process.current().as_record() | self.record | {"children": children}
        )

    def _plan_restart(self, program: Program, code: int) -> None:
        program.child = None
        now = time.monotonic()
        if now - program.started > _STEADY_SECONDS:
            program.failures = 0
        wait = _BACKOFF_SECONDS[min(program.failures, len(_BACKOFF_SECONDS) - 1)]
        program.failures += 1
        program.next_start = now + wait
        ended = f"by signal {-code}" if code < 0 else f"with status {code}"
        log = self.var_dir / "log" / f"{program.name}.log"
        self.say(f"{program.name} ended {ended}; starting it again in {wait:g} s. {_last_words(log)}")


@contextlib.contextmanager
def only_one(var_dir: Path) -> Iterator[None]:
    """Be the one supervisor of this VAR_DIR; ends what a crashed one left.

    Raises CannotStart, or embedded.ServiceFailed where VAR_DIR is not ours.
    """
    embedded.prepare_folders(var_dir)
    with open(var_dir / "run" / "up.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = read_json(_state_file(var_dir)) or {}
            raise CannotStart(
                f"Paperboy already runs in {var_dir} (pid {running.get('pid', 'unknown')}, "
                f"{running.get('address', 'still starting')}). Stop that one first, or set VAR_DIR and PORT "
                "for a second installation beside it."
            ) from None
        _end_leftovers(var_dir)
        yield


@contextlib.contextmanager
def stopping_on_signals() -> Iterator[None]:
    """Turn SIGTERM, SIGINT and SIGHUP into Stopped, once; a second one no longer disturbs the stopping."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def stop(_number: int, _frame: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise Stopped

    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def require_free_port(port: int) -> None:
    """Raises CannotStart if something listens on 127.0.0.1:port, or we may not."""
    try:
        _bind(port)
    except OSError as error:
        free = next((p for p in range(max(port + 1, 1024), min(port + 100, 65536)) if _is_free(p)), None)
        cure = f" Take another one: PORT={free} make run" if free is not None else ""
        raise CannotStart(f"Port {port} on 127.0.0.1 cannot be used: {error.strerror}.{cure}") from error


def _is_free(port: int) -> bool:
    try:
        _bind(port)
    except OSError:
        return False
    return True


def _bind(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the web server will
        probe.bind(("127.0.0.1", port))


def _end_leftovers(var_dir: Path) -> None:
    record = read_json(_state_file(var_dir)) or {}
    for child in record.get("children", {}).values():
        process = Process.read(child)
        if process is not None and process.alive():
            process.end(*_STOP)
    _state_file(var_dir).unlink(missing_ok=True)


def _ended(program: Program) -> int | None:
    """The status the program ended with, its own children ended too; None while it runs."""
    if program.child is None:
        return 0
    if program.child.returncode is not None:
        return program.child.returncode
    # Not reaped yet: so its number cannot mean another group by now.
    if os.waitid(os.P_PID, program.child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        return None
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(program.child.pid, signal.SIGKILL)
    return program.child.wait()


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace")[-4000:].splitlines() if line.strip()]
    return f"The end of {log}: {lines[-1].strip()}" if lines else f"{log} is empty."


def _state_file(var_dir: Path) -> Path:
    return var_dir / "run" / "up.json"
