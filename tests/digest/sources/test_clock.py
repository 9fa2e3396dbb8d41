"""One request at a time and not too often, measured where it counts: at the server."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connections, transaction

from digest.models import UpstreamClock
from digest.sources import clock
from digest.sources.http import Client, SourceError
from tests.arxiv_server import UNAVAILABLE, ArxivServer, arxiv_server, free_clock

REPOSITORY = Path(__file__).resolve().parents[3]
TOMORROW = datetime.now(UTC) + timedelta(days=1)

PRODUCTION_SECONDS = clock.SECONDS

pytestmark = pytest.mark.django_db

# Takes turns and asks, in a process of its own. Arguments: address, number of requests, seconds between.
ASKING = """
import os, sys, django
os.environ["DJANGO_SETTINGS_MODULE"] = "digest.settings"
django.setup()
from django.db import connections, transaction
connections["default"].settings_dict["NAME"] = os.environ["TEST_DATABASE"]
from digest.sources import clock
from digest.sources.http import Client
client = Client().taking(lambda: clock.turn("arxiv", seconds=float(sys.argv[3])))
for number in range(int(sys.argv[2])):
    client.get(sys.argv[1])
"""
# Takes a turn and holds it.
HOLDING = ASKING.partition("client =")[0] + (
    'with clock.turn("arxiv"):\n    print("held", flush=True)\n    sys.stdin.read()\n'
)


@pytest.fixture(autouse=True)
def _free(monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[None]:
    free_clock(monkeypatch)
    yield
    free_clock(monkeypatch)


@pytest.fixture
def server() -> Iterator[ArxivServer]:
    with arxiv_server() as running:
        yield running


def process(script: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "TEST_DATABASE": connections["default"].settings_dict["NAME"]}
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def gaps(server: ArxivServer) -> list[float]:
    return [later - earlier for earlier, later in zip(server.arrivals, server.arrivals[1:], strict=False)]


def started_at(instant: datetime) -> None:
    """Committed, as the clock itself writes."""
    with closing(connections["default"].copy()) as own, own.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {UpstreamClock._meta.db_table} (name, started_at, reason) VALUES ('arxiv', %s, '')"
            " ON CONFLICT (name) DO UPDATE SET started_at = EXCLUDED.started_at",
            [instant],
        )


def in_threads(*calls: threading.Thread) -> None:
    for thread in calls:
        thread.start()
    for thread in calls:
        thread.join()


class TestTurn:
    def test_threads_never_ask_at_once_and_keep_their_distance(self, server: ArxivServer) -> None:
        server.delay_seconds = 0.05

        def ask() -> None:
            client = Client().taking(lambda: clock.turn("arxiv", seconds=0.2))
            for _number in range(2):
                client.get(f"{server.url}/rss/cs.CL")

        in_threads(*(threading.Thread(target=ask) for _number in range(3)))

        assert len(server.arrivals) == 6
        assert server.most_at_once == 1
        assert min(gaps(server)) >= 0.2

    def test_a_slow_answer_holds_the_turn(self, server: ArxivServer) -> None:
        server.delay_seconds = 0.4

        def ask() -> None:
            Client().taking(lambda: clock.turn("arxiv", seconds=0.0)).get(f"{server.url}/rss/cs.CL")

        in_threads(threading.Thread(target=ask), threading.Thread(target=ask))

        assert server.most_at_once == 1
        assert min(gaps(server)) >= 0.4

    def test_each_attempt_waits_for_its_own_turn(self, server: ArxivServer) -> None:
        taken = []

        def turn():
            taken.append(1)
            return clock.turn("arxiv")

        server.replies["rss"] = [UNAVAILABLE, UNAVAILABLE]
        Client(sleep=lambda _seconds: None).taking(turn).get(f"{server.url}/rss/cs.CL")

        assert len(taken) == 3

    def test_names_do_not_wait_for_each_other(self) -> None:
        with clock.turn("one", seconds=60), clock.turn("other", seconds=60, longest_wait_seconds=0.1):
            pass

    def test_who_does_not_get_a_turn_comes_again_later(self) -> None:
        raised = []

        def wait() -> None:
            try:
                with clock.turn("arxiv", longest_wait_seconds=0.1):
                    pass
            except SourceError as error:
                raised.append(error)

        with clock.turn("arxiv"):
            in_threads(threading.Thread(target=wait))

        (error,) = raised
        assert error.retry_at is not None
        assert "busy" in str(error)

    def test_an_error_inside_frees_the_turn(self) -> None:
        with pytest.raises(ZeroDivisionError), clock.turn("arxiv"):
            raise ZeroDivisionError

        with clock.turn("arxiv", longest_wait_seconds=0.1):
            pass

    def test_the_row_says_when_the_request_started_before_it_is_over(self) -> None:
        with clock.turn("arxiv"):
            started = UpstreamClock.objects.get(name="arxiv").started_at
            assert timedelta(0) <= clock.now() - started < timedelta(seconds=5)

    def test_a_transaction_that_is_rolled_back_does_not_turn_the_clock_back(self) -> None:
        with transaction.atomic():
            with clock.turn("arxiv"):
                pass
            clock.close("arxiv", until=TOMORROW, reason="Enough.")
            transaction.set_rollback(True)

        assert UpstreamClock.objects.get(name="arxiv").closed_until == TOMORROW

    def test_a_start_in_the_future_holds_nobody_up_for_long(self) -> None:
        slept: list[float] = []
        started_at(TOMORROW)

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            started_at(datetime(2000, 1, 1, tzinfo=UTC))

        with clock.turn("arxiv", seconds=3.0, sleep=sleep):
            pass

        assert slept == [3.0]


class TestClosedClock:
    def test_nobody_asks_and_the_error_says_when_to_come_again(self) -> None:
        clock.close("arxiv", until=TOMORROW, reason="It answered 403.")

        with pytest.raises(SourceError, match="It answered 403") as raised, clock.turn("arxiv"):
            pass

        assert raised.value.retry_at == TOMORROW

    def test_it_opens_by_itself(self) -> None:
        clock.close("arxiv", until=datetime.now(UTC) - timedelta(seconds=1), reason="Over.")

        with clock.turn("arxiv"):
            pass

    def test_a_closing_that_others_heed_stops_them_alone(self) -> None:
        clock.close("arxiv api", until=TOMORROW, reason="Too many.")

        with clock.turn("arxiv"):
            pass
        with pytest.raises(SourceError, match="Too many"), clock.turn("arxiv", heeding=["arxiv api"]):
            pass

    def test_an_earlier_end_changes_nothing(self) -> None:
        clock.close("arxiv", until=TOMORROW, reason="Long.")
        clock.close("arxiv", until=TOMORROW - timedelta(hours=1), reason="Short.")

        assert clock.closed_until("arxiv") == TOMORROW

    def test_a_second_closing_without_an_answer_between_is_longer(self) -> None:
        first, then = timedelta(seconds=-2), timedelta(minutes=60)

        clock.close_for("arxiv api", first, then=then, reason="429")
        until = clock.close_for("arxiv api", first, then=then, reason="429")

        assert timedelta(minutes=59) < until - clock.now() <= then

    def test_an_answer_between_makes_it_a_first_one_again(self) -> None:
        clock.close_for("arxiv api", timedelta(seconds=-2), then=timedelta(minutes=60), reason="429")
        clock.reopen("arxiv api")

        until = clock.close_for("arxiv api", timedelta(minutes=30), then=timedelta(minutes=60), reason="429")

        assert until - clock.now() <= timedelta(minutes=30)

    def test_an_answer_does_not_open_what_was_closed_meanwhile(self) -> None:
        clock.close("arxiv", until=TOMORROW, reason="It answered 403.")
        clock.reopen("arxiv")

        assert clock.closed_until("arxiv") == TOMORROW


class TestProcesses:
    def test_two_of_them_keep_three_seconds_apart(self, server: ArxivServer) -> None:
        """The real distance, of two processes that know nothing of each other."""
        arguments = (f"{server.url}/rss/cs.CL", "1", str(PRODUCTION_SECONDS))
        running = [process(ASKING, *arguments) for _number in range(2)]

        assert [one.wait(60) for one in running] == [0, 0]
        for one in running:
            one.communicate()
        assert server.most_at_once == 1
        (gap,) = gaps(server)
        assert gap >= 3.0

    def test_one_that_is_killed_frees_its_turn_and_leaves_its_start(self) -> None:
        holder = process(HOLDING)
        assert holder.stdout.readline() == "held\n"

        os.kill(holder.pid, signal.SIGKILL)
        holder.wait(10)
        holder.stdin.close()
        holder.stdout.close()
        began = time.monotonic()
        with clock.turn("arxiv", seconds=0.0, longest_wait_seconds=10):
            pass

        assert time.monotonic() - began < 5
        assert UpstreamClock.objects.filter(name="arxiv").exists()
