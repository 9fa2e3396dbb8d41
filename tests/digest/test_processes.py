import os
import signal
import subprocess
import sys
import time

import pytest

from digest import processes
from digest.processes import Process, read_json, write_json

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture
def sleeper():
    child = subprocess.Popen(SLEEP)
    yield child
    child.kill()
    child.wait()


class TestProcess:
    def test_is_alive_until_it_ends(self, sleeper):
        process = Process.of(sleeper.pid)
        assert process.alive()

        sleeper.kill()

        assert process.ended(seconds=5)  # though nobody has reaped it: a zombie does nothing any more

    def test_is_not_another_process_with_its_pid(self, sleeper):
        earlier = Process(sleeper.pid, "00000000:1")

        earlier.signal(signal.SIGKILL)

        assert not earlier.alive()
        assert sleeper.poll() is None

    def test_ends_by_the_first_signal_that_works(self):
        deaf = subprocess.Popen(
            [
                *(sys.executable, "-c"),
                "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)",
            ],
            stdout=subprocess.PIPE,
        )
        assert deaf.stdout is not None
        deaf.stdout.readline()

        ended = Process.of(deaf.pid).end((signal.SIGTERM, 0.2), (signal.SIGKILL, 5))

        assert ended
        assert deaf.wait() == -signal.SIGKILL
        deaf.stdout.close()

    @pytest.mark.parametrize(
        "record", [None, [], {"pid": "7", "started": "x"}, {"pid": 0, "started": "x"}, {}]
    )
    def test_is_not_read_from_anything_else(self, record):
        assert Process.read(record) is None

    def test_survives_a_pid_file(self, tmp_path):
        write_json(tmp_path / "me.json", Process.current().as_record())

        assert Process.read(read_json(tmp_path / "me.json")) == Process.current()


class TestSpawn:
    def test_ends_a_child_with_its_killed_parent(self):
        parent = subprocess.Popen(
            [
                *(sys.executable, "-c"),
                "import signal, sys, time; from digest import processes\n"
                f"child = processes.spawn({SLEEP!r}, death_signal=signal.SIGTERM)\n"
                "print(child.pid, flush=True); time.sleep(60)",
            ],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.getcwd()},
        )
        assert parent.stdout is not None
        child = Process.of(int(parent.stdout.readline()))
        assert child.alive()

        parent.kill()
        parent.wait()
        parent.stdout.close()

        assert child.ended(seconds=3)

    @pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
    def test_becomes_another_user_with_one_capability_at_most(self):
        for capability, mask in ((None, 0), (processes.CAP_DAC_READ_SEARCH, 1 << 2)):
            child = processes.spawn(
                ["/bin/cat", "/proc/self/status"],
                death_signal=signal.SIGKILL,
                account=processes.Account(65534, 65534, capability),
                output=subprocess.PIPE,
            )
            status = dict(
                line.split(":\t", 1) for line in child.communicate()[0].decode().splitlines() if ":\t" in line
            )

            assert status["Uid"].split() == ["65534"] * 4
            assert [int(status[f"Cap{kind}"], 16) for kind in ("Eff", "Prm", "Amb")] == [mask] * 3


class TestReadJson:
    def test_takes_a_torn_file_for_none(self, tmp_path):
        (tmp_path / "torn.json").write_text('{"pid": 1')

        assert read_json(tmp_path / "torn.json") is None
        assert read_json(tmp_path / "absent.json") is None


def test_wait_until_gives_up_in_time():
    begun = time.monotonic()

    assert not processes.wait_until(lambda: False, seconds=0.2)
    assert time.monotonic() - begun < 1
