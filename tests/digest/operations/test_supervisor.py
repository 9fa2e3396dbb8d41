"""The whole installation, started as a stranger would start it."""

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from digest import embedded
from digest.operations import supervisor
from digest.processes import NOBODY, Process, read_json, wait_until
from tests import processes

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

READY_WITHIN = 120.0  # seconds; on two cores that others use too
GONE_WITHIN = 15.0


class Up:
    """`manage.py up` in a process of its own."""

    def __init__(self, var_dir: Path, port: int, **settings: str) -> None:
        self.var_dir = var_dir
        self.port = port
        self.output = var_dir / "up.txt"
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--port", str(port)],
                cwd=processes.REPOSITORY,
                env=processes.environment(var_dir, **settings),
                stdout=output,
                stderr=output,
            )

    def said(self) -> str:
        return self.output.read_text()

    def ready(self) -> bool:
        return wait_until(
            lambda: "Stop: Ctrl-C" in self.said() or self.process.poll() is not None, seconds=READY_WITHIN
        ) and (self.process.poll() is None)

    def child(self, name: str) -> Process:
        """As the supervisor wrote it down; nobody while it waits for its next start."""
        children = (read_json(self.var_dir / "run" / "up.json") or {}).get("children", {})
        return Process.read(children.get(name)) or NOBODY

    def warden(self) -> Process:
        process = Process.read(read_json(self.var_dir / "run" / "warden.json"))
        assert process is not None
        return process

    def get(self, path: str) -> int:
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            client.request("GET", path)
            return client.getresponse().status
        finally:
            client.close()

    def answers(self) -> bool:
        try:
            return self.get("/inbox/") == 200
        except OSError:
            return False


@contextlib.contextmanager
def up(var_dir: Path, port: int, **settings: str) -> Iterator[Up]:
    running = Up(var_dir, port, **settings)
    try:
        assert running.ready(), running.said()
        yield running
    finally:
        running.process.kill()
        running.process.wait()
        assert processes.gone(var_dir, seconds=GONE_WITHIN), f"left running: {processes.of(var_dir)}"


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class TestUp:
    def test_serves_prints_where_and_stops_on_a_signal_with_nothing_left(self, var_dir, port):
        with up(var_dir, port) as running:
            assert running.get("/inbox/") == 200
            said = running.said()
            assert f"http://127.0.0.1:{port}/inbox/" in said
            shown = re.search(r"admin / (\S+)", said)
            assert shown is not None
            password = shown[1]
            kept = var_dir / "admin-password"
            assert kept.read_text().strip() == password
            assert kept.stat().st_mode & 0o777 == 0o600

            begun = time.monotonic()
            running.process.send_signal(signal.SIGTERM)
            assert running.process.wait(timeout=20) == 0
            assert time.monotonic() - begun < 15
            assert processes.of(var_dir) == {}

        with up(var_dir, port) as again:  # a second start, ended as from a terminal
            assert f"admin / {password}" in again.said()
            again.process.send_signal(signal.SIGINT)
            assert again.process.wait(timeout=20) == 0
            assert processes.of(var_dir) == {}

    def test_killed_leaves_nothing_and_starts_again(self, var_dir, port):
        with up(var_dir, port) as running:
            children = [running.child(name) for name in ("web", "worker", "notices", "beat")]
            running.process.kill()
            running.process.wait()

            assert processes.gone(var_dir, seconds=GONE_WITHIN), processes.of(var_dir)
            assert all(child.ended(seconds=10) for child in children)  # reaped by init a moment later

        with up(var_dir, port) as again:
            assert again.get("/inbox/") == 200

    def test_starts_again_what_dies(self, var_dir, port):
        with up(var_dir, port) as running:
            for name in ("web", "worker", "notices", "beat"):
                before = running.child(name)
                assert before.alive(), running.said()
                before.signal(signal.SIGKILL)

                assert before.ended(seconds=5)
                other = lambda n=name, b=before: running.child(n) not in (b, NOBODY)  # noqa: E731
                assert wait_until(other, seconds=20), name
            assert wait_until(running.answers, seconds=READY_WITHIN)
            assert "web ended by signal 9; starting it again in 0.5 s" in running.said()

            warden = running.warden()
            warden.signal(signal.SIGKILL)
            assert warden.ended(seconds=5)
            assert wait_until(lambda: "they run again" in running.said(), seconds=30)
            assert wait_until(running.answers, seconds=30)

    def test_refuses_a_taken_port_and_a_second_of_its_kind(self, var_dir, port):
        with socket.socket() as other:
            other.bind(("127.0.0.1", port))
            other.listen()

            refused = processes.run(["up", "--port", str(port)], environment=processes.environment(var_dir))

        assert refused.returncode == 1
        assert re.search(rf"Port {port} on 127\.0\.0\.1 cannot be used: .* PORT=\d+ make run", refused.stderr)
        with up(var_dir, port):
            second = processes.run(["up", "--port", "1"], environment=processes.environment(var_dir))

            assert second.returncode == 1
            assert f"already runs in {var_dir} (pid " in second.stderr
            assert f"http://127.0.0.1:{port}" in second.stderr

    def test_shares_its_services_with_commands_beside_it(self, var_dir, port):
        with up(var_dir, port) as running:
            before = running.warden()
            told = processes.run(
                ["shell", "--no-imports", "-c", "from django.conf import settings; print(settings.SITE_URL)"],
                environment=processes.environment(var_dir),
            )

            assert told.stdout.strip() == f"http://127.0.0.1:{port}"
            assert running.warden() == before

    def test_uses_the_servers_it_is_given(self, var_dir, port, tmp_path):
        with embedded.hold(var_dir, {embedded.POSTGRES, embedded.REDIS}, durable=False):
            settings = {
                "DATABASE_URL": embedded.database_url(var_dir),
                "REDIS_URL": embedded.redis_url(var_dir),
                "CELERY_BROKER_URL": embedded.broker_url(var_dir),
                "EMAIL_URL": "smtp://127.0.0.1:9",
            }
            with up(tmp_path, port, **settings) as running:
                assert not (tmp_path / "postgres").exists()
                assert not (tmp_path / "run" / "warden.json").exists()
                assert "/inbox/" not in running.said()
                assert running.get("/inbox/") == 404


class TestCommand:
    def test_alone_finds_services_and_tables_and_leaves_nothing(self, var_dir):
        environment = processes.environment(var_dir)
        count = "from django.contrib.auth import get_user_model as u; print(u().objects.count())"

        told = processes.run(["shell", "--no-imports", "-c", count], environment=environment)

        assert told.returncode == 0, told.stderr
        assert told.stdout.strip() == "0"
        assert "Preparing the database" in told.stderr
        assert processes.of(var_dir) == {}

    def test_help_starts_nothing(self, var_dir):
        told = processes.run(["help"], environment=processes.environment(var_dir))

        assert told.returncode == 0
        assert list(var_dir.iterdir()) == []

    def test_leaves_the_tables_of_a_given_database_alone(self, var_dir):
        with embedded.hold(var_dir, {embedded.POSTGRES}):
            environment = processes.environment(var_dir, DATABASE_URL=embedded.database_url(var_dir))
            told = processes.run(["shell", "--no-imports", "-c", "pass"], environment=environment)

        assert told.returncode == 1
        assert re.search(
            r"lacks \d+ migrations of this version. Apply them with: manage.py migrate", told.stderr
        )


class TestLeftovers:
    def test_of_a_crashed_supervisor_are_ended_by_the_next(self, var_dir):
        leftover = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        record = {
            **Process(1, "gone").as_record(),
            "children": {
                "web": Process.of(leftover.pid).as_record(),
                "beat": {"pid": stranger.pid, "started": "another boot:1"},
            },
        }
        (var_dir / "run").mkdir()
        (var_dir / "run" / "up.json").write_text(json.dumps(record))

        with supervisor.only_one(var_dir):
            assert leftover.wait(timeout=5) == -signal.SIGTERM
            assert stranger.poll() is None
        stranger.kill()
        stranger.wait()
