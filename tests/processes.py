"""What tests of services and supervisors look at: processes, and programs that hold something."""

import contextlib
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from digest.processes import Account, become, wait_until

REPOSITORY = Path(__file__).resolve().parent.parent

_HOLDER = """
import sys
from digest import embedded
with embedded.hold(sys.argv[1], set(sys.argv[2].split(","))):
    print("held", flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another process that holds services until it is told to let go, or is killed."""

    def __init__(self, var_dir: Path, services: str, *, account: Account | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _HOLDER, str(var_dir), services],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            preexec_fn=functools.partial(become, account) if account else None,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "held\n"

    def let_go(self) -> None:
        self._process.communicate(timeout=60)
        assert self._process.returncode == 0

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=10)


@contextlib.contextmanager
def holder(var_dir: Path, services: str, *, account: Account | None = None) -> Iterator[Holder]:
    one = Holder(var_dir, services, account=account)
    try:
        yield one
    finally:
        one.kill()
        assert gone(var_dir, seconds=20), f"left running: {of(var_dir)}"


def of(var_dir: Path) -> dict[int, str]:
    """Every process of this VAR_DIR by pid: it stands in its command line, folder or environment."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            facts = command + b"\0" + os.fsencode(os.readlink(entry / "cwd"))
            facts += b"\0" + (entry / "environ").read_bytes()
            zombie = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:  # it ended meanwhile, or belongs to somebody else
            continue
        if os.fsencode(var_dir) in facts and not zombie:
            found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def gone(var_dir: Path, *, seconds: float) -> bool:
    """Wait for the end of every process of this VAR_DIR; whether it came."""
    return wait_until(lambda: not of(var_dir), seconds=seconds)


def user_of(pid: int) -> int:
    """As whom a process runs."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Uid:"))


def run(arguments: list[str], *, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """manage.py with these arguments and nothing of this test run's own services."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=REPOSITORY,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment(var_dir: Path, **more: str) -> dict[str, str]:
    """Of a stranger who has set nothing but VAR_DIR; no source answers."""
    ours = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "EMAIL_URL", "DJANGO_SETTINGS_MODULE", "PORT")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return kept | {"VAR_DIR": str(var_dir), "HUGGINGFACE_URL": "http://127.0.0.1:9"} | more
