"""A whole Paperboy, as `make run` starts it: own services, web, worker and beat, in a folder of its own."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import TypeVar

import pytest

from tests.servers import HuggingFaceServer, entry, huggingface_server
from tests.smtp_server import SmtpServer, listening

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 60

TITLES = (
    "Post-training with fewer labels",
    "A survey of protein folding",
    "Agents that mend their own tools",
    "Verifiable rewards for post-training of small models",
)
T = TypeVar("T")


@dataclass
class Paperboy:
    """What somebody outside has of it: an address, and the mail server that it writes to."""

    url: str
    mail: SmtpServer
    source: HuggingFaceServer
    var_dir: Path

    def mails_to(self, address: str) -> list[EmailMessage]:
        return [envelope.message for envelope in list(self.mail.envelopes) if envelope.rcpt_to == address]

    def mail_to(self, address: str, subject: str) -> EmailMessage:
        """The first mail to this address whose subject matches; waits for it."""
        return self.wait_for(
            lambda: next((m for m in self.mails_to(address) if re.search(subject, m["Subject"])), None),
            f"a mail to {address} about {subject!r}",
        )

    def wait_for(self, look: Callable[[], T | None], what: str) -> T:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            if found := look():
                return found
            time.sleep(0.2)
        logs = "\n".join(
            f"--- {log.name}\n{log.read_text()[-2000:]}" for log in (self.var_dir / "log").glob("*.log")
        )
        subjects = [(e.rcpt_to, e.message["Subject"]) for e in self.mail.envelopes]
        logs += f"\nMails so far: {subjects}"
        raise AssertionError(f"There was not {what} within {PATIENCE_SECONDS} s.\n{logs}")

    def manage(self, *arguments: str) -> str:
        """What this management command prints."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=REPOSITORY,
            env=_environment(self),
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout


def _environment(paperboy: Paperboy) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "CELERY_BROKER_URL")
    }
    return inherited | {
        "VAR_DIR": str(paperboy.var_dir),
        "SITE_URL": paperboy.url,
        "HUGGINGFACE_URL": paperboy.source.url,
        "EMAIL_URL": paperboy.mail.url,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def paperboy() -> Iterator[Paperboy]:
    """Started with `manage.py up`; the source has listed four papers a day for three days."""
    folder = Path(tempfile.mkdtemp(prefix="paperboy-test-"))
    with huggingface_server() as source, listening() as mail:
        today = datetime.now(UTC).date()
        for days_ago in range(1, 4):
            day = today - timedelta(days=days_ago)
            source.days[day] = [
                _titled(entry(f"26{days_ago:02}.0000{number}", day=day, votes=40 - number), title)
                for number, title in enumerate(TITLES)
            ]
        port = _free_port()
        running = Paperboy(f"http://127.0.0.1:{port}", mail, source, folder)
        with subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(port), "--end-with-parent"],
            cwd=REPOSITORY,
            env=_environment(running),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as up:
            assert up.stdout is not None
            said = []
            for line in up.stdout:
                said.append(line)
                if line.startswith("Logs:"):
                    break
            assert up.poll() is None, "".join(said)
            yield running
            up.send_signal(signal.SIGTERM)
            assert up.wait(30) == 0
    shutil.rmtree(folder, ignore_errors=True)


def _titled(listed: dict, title: str) -> dict:
    listed["title"] = listed["paper"]["title"] = title
    return listed
