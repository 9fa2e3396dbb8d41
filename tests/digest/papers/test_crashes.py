"""Fetching that is killed, cut off from the database, or done twice at once: nothing half, double or lost.

The other processes are real ones, and killed with -9. They are told apart by the name that they give
PostgreSQL.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from digest import embedded
from digest.models import AiSpending, AiText, Batch, Paper, Sighting, Source
from digest.papers import ai, citations, fetch, lookups, merging, sample
from digest.papers.readers import arxiv, plain
from digest.processes import wait_until
from digest.sources import clock
from digest.sources.http import Client
from tests.arxiv_server import ArxivServer, arxiv_server, free_clock
from tests.arxiv_server import paper as arxiv_paper
from tests.factories import SourceFactory, listed_paper
from tests.llm_server import llm_server
from tests.servers import Asked, HuggingFaceServer, Reply, entry, huggingface_server, web_server

REPOSITORY = Path(__file__).resolve().parents[3]
DAY = date(2026, 7, 23)  # a Thursday
NOON = datetime(2026, 7, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ABSTRACT = (
    "Agents that use tools are slow. We study how agents use tools on 12 tasks and introduce a way of "
    "training them that needs half of the steps. Experiments with three models show that it is faster and "
    "makes fewer errors, also with tools that no model has seen before."
)
IDS = [f"2607.0000{number}" for number in range(1, 6)]

# fetch.fetch_due or ai.write_due at the instant given, as a worker does it.
WORKING = """
import os, sys, django
from datetime import datetime
os.environ["DJANGO_SETTINGS_MODULE"] = "digest.settings"
django.setup()
from digest.papers import ai, fetch
work = {"fetch": fetch.fetch_due, "write": ai.write_due}[sys.argv[1]]
work(now=datetime.fromisoformat(sys.argv[2]))
"""

in_earnest = pytest.mark.django_db(transaction=True, serialized_rollback=True)


@pytest.fixture
def server(settings: Any) -> Iterator[HuggingFaceServer]:
    with huggingface_server() as running:
        settings.HUGGINGFACE_URL = running.url
        running.days[DAY] = [entry(one, day=DAY) for one in IDS]
        yield running


@pytest.fixture
def arxiv_running(settings: Any, monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[ArxivServer]:
    free_clock(monkeypatch)
    with arxiv_server() as running:
        for name, value in running.settings().items():
            setattr(settings, name, value)
        running.shows = DAY
        running.announce(DAY, [arxiv_paper(one, "cs.CL") for one in IDS])
        yield running
    free_clock(monkeypatch)


class Process:
    """Another process on this test's database."""

    def __init__(self, *command: str, **environment: str) -> None:
        self.name = f"crash-{os.urandom(4).hex()}"
        url = embedded.database_url(django_settings.VAR_DIR).rpartition("/")[0]
        ours = {"DATABASE_URL": f"{url}/{connection.settings_dict['NAME']}", "PGAPPNAME": self.name}
        self._process = subprocess.Popen(
            [sys.executable, *command],
            cwd=REPOSITORY,
            env=os.environ | ours | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=10)
        assert self._process.returncode == -signal.SIGKILL

    def end(self) -> str:
        """What it said; it ended well."""
        said, _ = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, said
        return said

    def abandon(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def waits_for(self, kind: str) -> bool:
        """Whether it comes to wait for a lock of this kind in PostgreSQL."""
        return wait_until(lambda: kind in backends(self.name) or self.has_ended(), seconds=30) and (
            not self.has_ended()
        )

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def is_forgotten(self) -> bool:
        """Whether PostgreSQL comes to notice that it is gone."""
        return wait_until(lambda: not backends(self.name), seconds=10)


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    started: list[Process] = []

    def start(*command: str, **environment: str) -> Process:
        started.append(Process(*command, **environment))
        return started[-1]

    yield start
    for one in started:
        one.abandon()
        assert one.is_forgotten()


def backends(name: str) -> list[str]:
    """What each connection of that name waits for; empty for one that waits for nothing."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(wait_event, '') FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = current_database()",
            [name],
        )
        return [event for (event,) in cursor.fetchall()]


@contextmanager
def other_connection() -> Iterator[BaseDatabaseWrapper]:
    with closing(connections["default"].copy()) as own:
        yield own


@contextmanager
def holding(statement: str) -> Iterator[None]:
    """Somebody else who holds what this statement locks, in a transaction."""
    with other_connection() as own, own.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(statement)
        yield
        cursor.execute("ROLLBACK")


THE_TURN = f"SELECT pg_advisory_xact_lock({merging.LOCK})"
ALL_SIGHTINGS = f"LOCK TABLE {Sighting._meta.db_table} IN SHARE MODE"


def huggingface_is_due() -> Source:
    source = Source.objects.get(slug="huggingface")
    Source.objects.filter(pk=source.pk).update(next_fetch_at=NOON)
    Source.objects.exclude(pk=source.pk).update(enabled=False)
    return source


def fetch_due(now: datetime) -> None:
    fetch.fetch_due(now=now, client=Client(attempts=1, sleep=lambda _seconds: None))


def is_whole(source: Source, *, papers: int = len(IDS)) -> bool:
    """Whether the source's list of DAY is stored, once, and accounted for."""
    batch = Batch.objects.get(source=source, listing_day=DAY, parsed__gt=0)
    assert (batch.declared, batch.parsed, batch.new, batch.rejected) == (papers, papers, papers, 0)
    sightings = Sighting.objects.filter(source=source)
    assert sightings.count() == sightings.values("paper").distinct().count() == papers
    return Paper.objects.count() == papers


def feed_of(addresses: list[str]) -> bytes:
    items = "".join(
        f"<item><title>Invented paper {address[-10:]}</title><link>{address}</link>"
        "<pubDate>Thu, 23 Jul 2026 08:00:00 GMT</pubDate><description>Words.</description></item>"
        for address in addresses
    )
    return f'<rss version="2.0"><channel><title>A lab</title>{items}</channel></rss>'.encode()


@in_earnest
@pytest.mark.faults
class TestTwoAtOnce:
    def test_all_end_well_and_every_paper_is_there_once(
        self, server: HuggingFaceServer, arxiv_running: ArxivServer, start: Callable[..., Process]
    ) -> None:
        with web_server() as site:
            site.pages["/feed"] = feed_of([f"https://arxiv.org/abs/{one}" for one in reversed(IDS)])
            Source.objects.create(
                slug="lab", name="A lab", kind="feed", url=f"{site.url}/feed", next_fetch_at=NOON
            )
            given = {
                "HUGGINGFACE_URL": server.url,
                "TRUSTED_FEED_HOSTS": site.host,
                **arxiv_running.settings(),
            }
            with holding(THE_TURN):
                running = [
                    start("manage.py", "fetch_papers", "--source", name, "--date", str(DAY), **given)
                    for name in ("huggingface", "huggingface", "arxiv", "lab", "lab")
                ]
                assert all(one.waits_for("advisory") for one in running)
            for one in running:
                one.end()

        assert Counter(Paper.objects.values_list("arxiv_id", flat=True)) == Counter(IDS)
        said = Counter(Sighting.objects.values_list("source__slug", "paper__arxiv_id"))
        assert said == Counter((name, one) for name in ("huggingface", "arxiv", "lab") for one in IDS)
        assert sum(Batch.objects.values_list("new", flat=True)) == len(IDS)
        assert {batch.parsed for batch in Batch.objects.filter(category__in=["", "cs.CL"])} == {len(IDS)}


_WRITES = re.compile(r"(UPDATE|INSERT INTO|DELETE FROM)\W+(digest_paper|digest_batch|digest_sighting)\b")


@contextmanager
def written_in_turn() -> Iterator[list[str]]:
    """The tables that are written; it fails where that happens without the turn."""
    written: list[str] = []

    def watch(execute: Any, statement: Any, params: Any, many: bool, context: Any) -> Any:
        with connection.connection.cursor() as cursor:  # beneath Django, which would come here again
            text = statement if isinstance(statement, str) else statement.as_string(cursor)
            if write := _WRITES.match(text):
                cursor.execute(
                    "SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
                    " AND classid = 0 AND objid = %s",
                    [merging.LOCK],
                )
                assert cursor.fetchone() is not None, f"written without the turn: {text[:200]}"
                written.append(write[2])
        return execute(statement, params, many, context)

    with connection.execute_wrapper(watch):
        yield written


@in_earnest
class TestOneOrder:
    """Whoever writes lists or several papers has the turn before the first row of them.

    Else PostgreSQL may find two runs waiting for each other, and ends one of them.
    """

    def test_of_a_feed_that_has_not_changed(self, settings: Any) -> None:
        with web_server() as site:
            settings.TRUSTED_FEED_HOSTS = [site.host]
            site.pages["/feed"] = feed_of([f"https://arxiv.org/abs/{IDS[0]}"])
            lab = SourceFactory(slug="lab", name="A lab", kind="feed", url=f"{site.url}/feed")
            plain.read(lab, None, now=NOON, client=Client())
            lab.refresh_from_db()
            with written_in_turn() as written:
                plain.read(lab, None, now=NOON + timedelta(days=1), client=Client())

        assert "digest_batch" in written
        assert Batch.objects.get(source=lab).settled_at == NOON + timedelta(days=1)

    def test_of_an_empty_list_and_a_category_that_fails(self, arxiv_running: ArxivServer) -> None:
        arxiv_running.days.clear()
        source = Source.objects.get(slug="arxiv")
        source.categories = ["cs.CL", "cs.NO"]
        with written_in_turn() as written:
            arxiv.read(source, DAY, now=NOON, client=Client())

        assert "digest_batch" in written
        assert Batch.objects.get(category="cs.NO").errors

    def test_of_look_ups(self, arxiv_running: ArxivServer) -> None:
        for one in IDS:
            listed_paper(DAY, arxiv_id=one)
        with written_in_turn() as written:
            lookups.fill(now=NOON, client=Client())

        assert "digest_paper" in written
        assert not Paper.objects.filter(looked_up_at=None).exists()

    def test_of_citations(self, settings: Any) -> None:
        papers = [listed_paper() for _number in range(2)]
        with web_server() as site:
            settings.SEMANTIC_SCHOLAR_URL, settings.SEMANTIC_SCHOLAR_KEY = site.url, ""
            found = [{"paperId": "p", "citationCount": 3, "influentialCitationCount": 1}] * len(papers)
            site.pages["/graph/v1/paper/batch"] = json.dumps(found).encode()
            with written_in_turn() as written:
                citations.refresh_due(now=NOON)

        assert "digest_paper" in written
        assert set(Paper.objects.values_list("citations", flat=True)) == {3}

    def test_a_real_list_never_turns_into_the_sample(self, server: HuggingFaceServer) -> None:
        """A starting service got no answer; before it has the sample in place, another run stores a list."""
        loaded: list[int] = []

        def load() -> None:
            with closing(connection):
                loaded.append(sample.load(now=NOON + timedelta(days=1)))

        starting = threading.Thread(target=load)
        source = Source.objects.get(slug="huggingface")
        with transaction.atomic():
            merging.lock()
            starting.start()
            assert wait_until(is_turn_wanted, seconds=30)
            fetch.fetch_day(source, DAY, now=NOON)
        starting.join(30)

        assert loaded == [0]
        assert not Batch.objects.filter(is_sample=True).exists()
        assert is_whole(source)


def is_turn_wanted() -> bool:
    """Whether anybody waits for the turn."""
    with other_connection() as own, own.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity"
            " WHERE wait_event = 'advisory' AND datname = current_database())"
        )
        return cursor.fetchone()[0]


@in_earnest
@pytest.mark.faults
class TestKilled:
    def test_while_it_waits_for_the_answer(
        self, server: HuggingFaceServer, start: Callable[..., Process]
    ) -> None:
        source = huggingface_is_due()
        arrived, go_on = threading.Event(), threading.Event()
        answer = server.answer

        def hold(asked: Asked) -> Reply:
            arrived.set()
            go_on.wait(30)
            return answer(asked)

        server.answer = hold  # type: ignore[method-assign]
        worker = start("-c", WORKING, "fetch", NOON.isoformat(), HUGGINGFACE_URL=server.url)
        assert arrived.wait(30)

        worker.kill()
        go_on.set()
        assert worker.is_forgotten()

        self._is_taken_up_again(source, server)

    @pytest.mark.parametrize(
        ("statement", "kind"),
        [(THE_TURN, "advisory"), (ALL_SIGHTINGS, "relation")],
        ids=["before the first paper is written", "between papers and sightings"],
    )
    def test_while_it_stores(
        self, statement: str, kind: str, server: HuggingFaceServer, start: Callable[..., Process]
    ) -> None:
        source = huggingface_is_due()
        with holding(statement):
            worker = start("-c", WORKING, "fetch", NOON.isoformat(), HUGGINGFACE_URL=server.url)
            assert worker.waits_for(kind)
            worker.kill()
        assert worker.is_forgotten()

        self._is_taken_up_again(source, server)

    def _is_taken_up_again(self, source: Source, server: HuggingFaceServer) -> None:
        source.refresh_from_db()
        assert source.next_fetch_at == NOON + fetch.CLAIM
        assert not Batch.objects.exists()
        assert not Paper.objects.exists()
        asked = len(server.asked)
        fetch_due(NOON + MINUTE)
        assert len(server.asked) == asked

        fetch_due(NOON + fetch.CLAIM)

        assert is_whole(source)
        source.refresh_from_db()
        assert source.next_fetch_at == NOON + fetch.CLAIM + timedelta(hours=1)


class TestClock:
    @in_earnest
    @pytest.mark.faults
    def test_the_next_one_goes_on_at_once_and_keeps_the_pace(
        self, arxiv_running: ArxivServer, start: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        arxiv_running.delay_seconds = 8.0
        command = ("manage.py", "fetch_papers", "--source", "arxiv", "--date", str(DAY))
        killed = start(*command, **arxiv_running.settings())
        assert wait_until(lambda: bool(arxiv_running.arrivals), seconds=30)

        killed.kill()
        arxiv_running.delay_seconds = 0.0
        monkeypatch.setattr(clock, "SECONDS", 3.1)
        source = Source.objects.get(slug="arxiv")
        fetch.fetch_day(source, DAY, now=NOON)

        first, second = arxiv_running.arrivals
        assert 3.0 <= second - first < 20.0  # nobody waits out the 45 s of a stuck one
        assert is_whole(source)

    @pytest.mark.django_db
    def test_a_stuck_one_is_waited_for_in_bounds_and_named(
        self, arxiv_running: ArxivServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Source.objects.exclude(slug="arxiv").update(enabled=False)
        Source.objects.filter(slug="arxiv").update(enabled=True, next_fetch_at=NOON)
        with clock.turn("arxiv"):
            monkeypatch.setattr(clock, "turn", partial(clock.turn, longest_wait_seconds=0.2))
            fetch_due(NOON)

        source = Source.objects.get(slug="arxiv")
        assert "arxiv was busy for 0.2 s with other requests of this installation" in source.last_error
        assert source.next_fetch_at > NOON
        assert not arxiv_running.asked


def terminate(pid: int) -> None:
    with other_connection() as own, own.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        assert cursor.fetchone() == (True,)


def own_pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


@in_earnest
class TestLostConnection:
    """While the source answers, the database server ends our connection."""

    @pytest.mark.parametrize("status", [200, 503], ids=["before a list is stored", "before a failure is"])
    def test_is_noted_costs_no_other_source_and_the_next_run_is_whole(
        self, status: int, server: HuggingFaceServer, settings: Any
    ) -> None:
        source = huggingface_is_due()
        answer, pid = server.answer, own_pid()

        def cut(asked: Asked) -> Reply:
            server.answer = answer  # type: ignore[method-assign]
            terminate(pid)
            return answer(asked) if status == 200 else Reply(status=status)

        server.answer = cut  # type: ignore[method-assign]
        with web_server() as site:
            settings.TRUSTED_FEED_HOSTS = [site.host]
            site.pages["/feed"] = feed_of(["https://lab.example/one"])
            lab = Source.objects.create(
                slug="lab", name="A lab", kind="feed", url=f"{site.url}/feed", next_fetch_at=NOON
            )
            fetch_due(NOON)

        source.refresh_from_db()
        assert source.consecutive_failures == 1
        assert ("connection" in source.last_error) == (status == 200)
        assert source.next_fetch_at == NOON + timedelta(minutes=fetch.AFTER_FAILURE[0])
        assert Sighting.objects.filter(source=lab).count() == 1
        Paper.objects.all().delete()

        fetch_due(source.next_fetch_at)

        assert is_whole(source)


@in_earnest
class TestAiWriters:
    @pytest.mark.faults
    def test_of_two_one_is_killed(self, settings: Any, start: Callable[..., Process]) -> None:
        papers = [listed_paper(abstract=ABSTRACT) for _number in range(3)]
        ai.want([one.pk for one in papers], language="en", kinds=["summary"], now=NOON)
        with llm_server() as server:
            settings.LLM_URL, settings.LLM_KEY, settings.LLM_MODEL = server.url, "", "paper-writer-1"
            server.hangs = True
            killed = start(
                "-c", WORKING, "write", NOON.isoformat(), LLM_URL=server.url, LLM_MODEL="paper-writer-1"
            )
            assert server.arrived.acquire(timeout=30)
            server.hangs = False
            beside = ai.write_due(now=NOON)
            killed.kill()
            server.release()
            assert killed.is_forgotten()
            too_soon = ai.write_due(now=NOON + MINUTE)
            after = ai.write_due(now=NOON + ai.LEASE)

        assert (beside.written, too_soon.written, after.written) == (2, 0, 1)
        assert AiText.objects.filter(status="written").exclude(text="").count() == len(papers)
        assert AiSpending.objects.get().requests == len(server.asked) == len(papers) + 1
        titles = Counter(question.paper["title"] for question in server.asked)
        assert sorted(titles.values()) == [1, 1, 2]
