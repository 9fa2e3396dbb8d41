"""Processes known by pid and start time, and children that end with their parent.

A pid alone is not a name: the kernel gives it out again. Pid, boot and start time together are one process
for ever, which is what every pid file of Paperboy holds. Linux only (/proc, PR_SET_PDEATHSIG).
"""

import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4  # the kernel reads whole registers
_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 4
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_SETPCAP = 8


class Process(NamedTuple):
    """One process of this machine, in this boot."""

    pid: int
    started: str

    @classmethod
    def current(cls) -> Self:
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Self:
        """The process that has this pid now; one that has ended already is never alive()."""
        return cls(pid, start_time(pid) or "ended")

    @classmethod
    def read(cls, record: Any) -> Self | None:
        """A process out of a parsed pid file; None if that is not what stands there."""
        match record:
            case {"pid": int(pid), "started": str(started)} if pid > 0:
                return cls(pid, started)
        return None

    def alive(self) -> bool:
        return start_time(self.pid) == self.started

    def ended(self, *, seconds: float) -> bool:
        """Wait up to so long for its end; whether it came."""
        return wait_until(lambda: not self.alive(), seconds=seconds)

    def signal(self, number: int) -> None:
        """Send a signal; nothing if the process has ended, even if its pid was given out again."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def end(self, *steps: tuple[int, float]) -> bool:
        """Send each signal in turn and wait up to its seconds; True once the process has ended."""
        for number, patience in steps:
            self.signal(number)
            if self.ended(seconds=patience):
                return True
        return not self.alive()

    def as_record(self) -> dict[str, Any]:
        return {"pid": self.pid, "started": self.started}


NOBODY = Process(0, "never")  # never alive


def start_time(pid: int) -> str | None:
    """When the process started, as boot and clock ticks; None if there is none, or only its zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the command in brackets may hold spaces and brackets
    if fields[0] in "ZX":
        return None
    return f"{_boot()}:{fields[19]}"


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Ask until it is so or the time is over; the last answer."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    while not condition():
        if time.monotonic() >= deadline:
            return condition()
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)
    return True


class Account(NamedTuple):
    """Whom a child runs as, and the one capability it keeps (None: none)."""

    uid: int
    gid: int
    capability: int | None = None


def spawn(
    arguments: Sequence[str | Path],
    *,
    death_signal: int,
    account: Account | None = None,
    output: IO[bytes] | int | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    own_group: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a child that gets `death_signal` the moment its parent thread ends, even by kill -9.

    Call it from a thread that lives as long as the child should. With `account`, a root caller becomes that
    user in the child. `own_group` keeps Ctrl-C of the terminal away from the child.
    """
    parent = os.getpid()

    def prepare() -> None:  # between fork and exec
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if account is not None:
            become(account)
        # After every change of user, which clears it.
        _checked(_libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0), "PR_SET_PDEATHSIG")
        if os.getppid() != parent:  # it ended before the line above
            os._exit(1)

    return subprocess.Popen(
        [str(argument) for argument in arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        env=dict(env) if env is not None else None,
        cwd=cwd,
        preexec_fn=prepare,
        process_group=0 if own_group else None,
    )


def end_with_parent(death_signal: int) -> None:
    """Have this process signalled when the one that started it ends, even by kill -9."""
    parent = os.getppid()
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0), "PR_SET_PDEATHSIG")
    if os.getppid() != parent:  # it ended before the line above
        os.kill(os.getpid(), death_signal)


def holds_capability(capability: int) -> bool:
    """Whether this process could hand the capability to a child."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return bool(int(line.split()[1], 16) >> capability & 1)
    return False


def become(account: Account) -> None:
    """Turn this process, run by root, into the account; for good."""
    if account.capability is not None:
        # Keeps the capabilities over setuid. And without it access(2), by which PostgreSQL tests its own
        # files, asks as if there were none.
        _checked(_libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0), "PR_SET_SECUREBITS")
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if account.capability is not None:
        # Permitted, inheritable and ambient: the last one survives exec of an ordinary file.
        mask = 1 << account.capability
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
        _checked(_libc.capset(header, sets), "capset")
        _checked(
            _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, account.capability, 0, 0), "PR_CAP_AMBIENT"
        )


def _checked(result: int, call: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), call)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]


def read_json(path: Path) -> Any:
    """What a small state file holds; None if it is absent, or torn by a crash of the machine."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def write_json(path: Path, content: Any, *, mode: int = 0o600) -> None:
    """Replace a small state file in one step, so that a reader never sees half of it."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
    fresh.replace(path)
