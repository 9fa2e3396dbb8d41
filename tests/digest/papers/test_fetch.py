"""Days read over a real socket into real tables."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from digest.models import Alarm, Batch, Paper, Sighting, Source
from digest.papers import fetch, sample
from digest.papers.fetch import fetch_day, fetch_due, first_fill
from digest.papers.readers import plain
from digest.papers.readers.huggingface import days_to_read
from digest.sources.http import Client, Pace, SourceError
from tests.arxiv_server import free_clock
from tests.servers import HuggingFaceServer, Reply, WebServer, entry, huggingface_server, web_server

FRIDAY = date(2026, 7, 24)
SATURDAY = date(2026, 7, 25)
NOON = datetime(2026, 7, 24, 12, tzinfo=UTC)
NEXT_NOON = NOON + timedelta(days=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: Any) -> Iterator[HuggingFaceServer]:
    with huggingface_server() as running:
        settings.HUGGINGFACE_URL = running.url
        yield running


@pytest.fixture
def source() -> Source:
    return Source.objects.get(slug="huggingface")


def patient(**options: Any) -> Client:
    """A client that never really waits."""
    return Client(**{"sleep": lambda _seconds: None, "pace": Pace(), **options})


def entries(count: int, *, day: date = FRIDAY, first: int = 1) -> list[dict[str, Any]]:
    return [entry(f"2607.{number:05d}", day=day) for number in range(first, first + count)]


def everything() -> list[tuple[Any, ...]]:
    """All that is stored of papers, but for when it was read."""
    fields = [
        name.attname for name in Paper._meta.concrete_fields if name.attname not in ("id", "counted_at")
    ]
    papers = list(Paper.objects.order_by("key").values_list(*fields))
    sightings = list(
        Sighting.objects.order_by("pk").values_list(
            "paper__key", "listing_day", "seen_at", "votes", "comments"
        )
    )
    return [*papers, *sightings]


class TestFetchDay:
    @pytest.mark.parametrize("slug", ["huggingface", "arxiv"])
    def test_an_address_that_was_typed_in_the_admin_leads_to_no_private_network(
        self, server: HuggingFaceServer, slug: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        free_clock(monkeypatch)  # of arXiv's twenty categories each is asked for, and refused
        source = Source.objects.get(slug=slug)
        source.url = server.url

        with pytest.raises(SourceError, match="is not on the public internet"):
            fetch_day(source, FRIDAY, now=NOON, client=patient())

        assert server.asked == []

    def test_stores_a_day(self, server: HuggingFaceServer, source: Source) -> None:
        server.days[FRIDAY] = entries(3)

        done = fetch_day(source, FRIDAY, now=NOON, client=patient())

        assert (done.declared, done.parsed, done.new, done.updated, done.rejected) == (3, 3, 3, 0, 0)
        assert set(Paper.objects.values_list("key", flat=True)) == {f"arxiv:2607.0000{n}" for n in (1, 2, 3)}
        assert set(Sighting.objects.values_list("listing_day", "votes")) == {(FRIDAY, 3)}

    def test_asks_by_date_with_a_limit_and_pages_from_zero(
        self, server: HuggingFaceServer, source: Source
    ) -> None:
        server.days[FRIDAY] = entries(1)

        fetch_day(source, FRIDAY, now=NOON, client=patient())

        assert [asked.path for asked in server.asked] == ["/api/daily_papers"] * 2
        assert [asked.params for asked in server.asked] == [
            {"date": "2026-07-24", "limit": "100", "p": "0"},
            {"date": "2026-07-24", "limit": "100", "p": "1"},
        ]

    def test_twice_changes_nothing(self, server: HuggingFaceServer, source: Source) -> None:
        server.days[FRIDAY] = entries(3)
        fetch_day(source, FRIDAY, now=NOON, client=patient())
        before = everything()

        again = fetch_day(source, FRIDAY, now=NEXT_NOON, client=patient())

        assert (again.declared, again.parsed, again.new, again.updated) == (3, 3, 0, 0)
        assert everything() == before
        assert set(Paper.objects.values_list("counted_at", flat=True)) == {NEXT_NOON}

    def test_new_votes_are_a_new_sighting_and_the_paper_shows_them(
        self, server: HuggingFaceServer, source: Source
    ) -> None:
        server.days[FRIDAY] = entries(2)
        fetch_day(source, FRIDAY, now=NOON, client=patient())
        server.days[FRIDAY][0]["paper"]["upvotes"] = 9

        again = fetch_day(source, FRIDAY, now=NEXT_NOON, client=patient())

        assert (again.new, again.updated) == (0, 1)
        paper = Paper.objects.get(arxiv_id="2607.00001")
        assert (paper.votes, paper.counted_at) == (9, NEXT_NOON)
        assert list(paper.sightings.order_by("seen_at").values_list("votes", flat=True)) == [3, 9]
        assert Sighting.objects.count() == 3

    @pytest.mark.parametrize(("limit", "page"), [(True, True), (False, True), (True, False)])
    def test_reads_a_day_beyond_the_default_limit(
        self, server: HuggingFaceServer, source: Source, limit: bool, page: bool
    ) -> None:
        server.days[FRIDAY] = entries(70)
        server.honours_limit, server.honours_page = limit, page

        done = fetch_day(source, FRIDAY, now=NOON, client=patient())

        assert (done.declared, done.new) == (70, 70)

    def test_reads_more_than_one_full_page(self, server: HuggingFaceServer, source: Source) -> None:
        server.days[FRIDAY] = entries(230)

        assert fetch_day(source, FRIDAY, now=NOON, client=patient()).new == 230
        assert [asked.params["p"] for asked in server.asked] == ["0", "1", "2", "3"]

    def test_asks_for_a_higher_limit_when_a_server_stops_at_its_default(
        self, server: HuggingFaceServer, source: Source
    ) -> None:
        server.days[FRIDAY] = entries(50)
        server.honours_limit = server.honours_page = False

        fetch_day(source, FRIDAY, now=NOON, client=patient())

        assert [asked.params["limit"] for asked in server.asked] == ["100", "100", "500"]

    def test_sends_the_etag_and_takes_304_for_no_change(
        self, server: HuggingFaceServer, source: Source
    ) -> None:
        server.etags = True
        server.days[FRIDAY] = entries(2)
        fetch_day(source, FRIDAY, now=NOON, client=patient())
        before, requests = everything(), len(server.asked)

        again = fetch_day(source, FRIDAY, now=NEXT_NOON, client=patient())

        assert len(server.asked) == requests + 1
        assert "if-none-match" in server.asked[-1].headers
        assert (again.declared, again.new, again.updated) == (2, 0, 0)
        assert everything() == before
        batch = Batch.objects.get()
        assert (batch.fetched_at, batch.settled_at) == (NEXT_NOON, NEXT_NOON)

    def test_settles_a_day_only_once_it_is_over(self, server: HuggingFaceServer, source: Source) -> None:
        server.days[FRIDAY] = entries(1)

        settled = []
        for now in (NOON, datetime(2026, 7, 24, 23, 59, 59, tzinfo=UTC), datetime(2026, 7, 25, tzinfo=UTC)):
            fetch_day(source, FRIDAY, now=now, client=patient())
            settled.append(Batch.objects.get().settled_at)

        assert settled == [None, None, datetime(2026, 7, 25, tzinfo=UTC)]

    def test_leaves_entries_of_another_day_out(self, server: HuggingFaceServer, source: Source) -> None:
        server.days[SATURDAY] = entries(2, day=FRIDAY)  # a weekend asked for, Friday's list given

        done = fetch_day(source, SATURDAY, now=NEXT_NOON, client=patient())

        assert (done.declared, done.parsed) == (2, 0)
        assert done.errors == ("2 entries belong to 2026-07-24, not to 2026-07-25, and stayed out.",)
        assert not Paper.objects.exists()

    def test_keeps_what_it_cannot_read_and_stores_the_rest(
        self, server: HuggingFaceServer, source: Source
    ) -> None:
        server.days[FRIDAY] = [
            entries(1)[0],
            {"paper": {"title": "no id", "note": "nul \0 \ud800"}},
            "text",
            *entries(1, first=2),
        ]

        done = fetch_day(source, FRIDAY, now=NOON, client=patient())

        assert (done.declared, done.parsed, done.new, done.rejected) == (4, 2, 2, 2)
        assert list(done.batch.set_aside.order_by("position").values_list("position", flat=True)) == [1, 2]
        assert "no id" in done.batch.set_aside.get(position=1).raw

    def test_a_mended_entry_is_no_longer_set_aside(self, server: HuggingFaceServer, source: Source) -> None:
        server.days[FRIDAY] = [{"paper": None}]
        fetch_day(source, FRIDAY, now=NOON, client=patient())
        server.days[FRIDAY] = entries(1)

        done = fetch_day(source, FRIDAY, now=NEXT_NOON, client=patient())

        assert (done.new, done.rejected, done.batch.set_aside.count()) == (1, 0, 0)

    @pytest.mark.parametrize("status", [400, 404])
    def test_a_refused_weekend_is_an_empty_day(
        self, server: HuggingFaceServer, source: Source, status: int
    ) -> None:
        server.replies = [Reply(status=status, body=b'{"error":"no such day"}')]

        done = fetch_day(source, SATURDAY, now=NEXT_NOON, client=patient())

        assert (done.declared, done.errors) == (0, ())

    def test_an_empty_weekday_that_is_over_is_suspicious(
        self, server: HuggingFaceServer, source: Source
    ) -> None:
        done = fetch_day(source, FRIDAY, now=NEXT_NOON, client=patient())

        assert done.errors == (
            "Friday 2026-07-24 is over and its list is empty: a holiday, or trouble at the source.",
        )

    def test_a_refused_weekday_is_a_failure(self, server: HuggingFaceServer, source: Source) -> None:
        server.replies = [Reply(status=400, body=b'{"error":"bad date"}')]

        with pytest.raises(SourceError, match="400"):
            fetch_day(source, FRIDAY, now=NEXT_NOON, client=patient())

        source.refresh_from_db()
        assert (source.consecutive_failures, source.last_failure_at) == (1, NEXT_NOON)
        assert "bad date" in source.last_error
        assert Batch.objects.get().errors == [source.last_error]

    def test_an_error_page_is_a_failure_that_says_what_came(
        self, server: HuggingFaceServer, source: Source
    ) -> None:
        server.replies = [Reply(body=b"<html><title>Down for maintenance</title></html>")]

        with pytest.raises(SourceError, match=r"not JSON.*Down for maintenance.*HUGGINGFACE_URL"):
            fetch_day(source, FRIDAY, now=NOON, client=patient())

    def test_a_failure_keeps_the_list_that_was_read_before(
        self, server: HuggingFaceServer, source: Source
    ) -> None:
        server.days[FRIDAY] = entries(2)
        fetch_day(source, FRIDAY, now=NOON, client=patient())
        before = everything()
        server.replies = [Reply(status=500)] * 4

        with pytest.raises(SourceError):
            fetch_day(source, FRIDAY, now=NEXT_NOON, client=patient())

        assert everything() == before
        assert Batch.objects.get().errors == []

    def test_a_paper_featured_on_two_days_is_one_paper_with_two_sightings(
        self, server: HuggingFaceServer, source: Source
    ) -> None:
        monday = date(2026, 7, 27)
        server.days[FRIDAY] = [entry("2607.00001", day=FRIDAY, votes=3)]
        server.days[monday] = [entry("2607.00001", day=monday, votes=8)]

        for day in (FRIDAY, monday, FRIDAY):  # the last one says 3 votes again, as a recording would
            fetch_day(source, day, now=NOON + timedelta(days=4), client=patient())

        paper = Paper.objects.get()
        assert set(paper.sightings.values_list("listing_day", "votes")) == {(FRIDAY, 3), (monday, 8)}
        assert (paper.votes, paper.first_listed_on) == (8, FRIDAY)


class TestFetchDue:
    def test_reads_today_and_the_fortnight_once_then_today_and_yesterday(
        self, server: HuggingFaceServer, source: Source
    ) -> None:
        server.days[FRIDAY] = entries(1)
        Source.objects.update(next_fetch_at=NOON)

        first = fetch_due(now=NOON, client=patient())
        later = NOON + timedelta(hours=1)
        second = fetch_due(now=later, client=patient())

        assert [one.batch.listing_day for one in first] == [FRIDAY - timedelta(days=age) for age in range(14)]
        assert [one.batch.listing_day for one in second] == [FRIDAY, FRIDAY - timedelta(days=1)]

    def test_does_nothing_before_its_time(self, server: HuggingFaceServer) -> None:
        Source.objects.update(next_fetch_at=NOON + timedelta(seconds=1))

        assert fetch_due(now=NOON, client=patient()) == []
        assert server.asked == []

    def test_asks_three_minutes_after_midnight_so_that_the_day_settles(
        self, server: HuggingFaceServer
    ) -> None:
        late = datetime(2026, 7, 24, 23, 30, tzinfo=UTC)
        Source.objects.update(next_fetch_at=late)

        fetch_due(now=late, client=patient())

        assert Source.objects.get(slug="huggingface").next_fetch_at == datetime(2026, 7, 25, 0, 3, tzinfo=UTC)

    def test_comes_again_later_and_later_after_failures(self, server: HuggingFaceServer) -> None:
        now = NOON
        minutes = []
        for _attempt in range(6):
            Source.objects.update(next_fetch_at=now)
            server.replies = [Reply(status=503)]
            fetch_due(now=now, client=patient(attempts=1))
            minutes.append((Source.objects.get(slug="huggingface").next_fetch_at - now).total_seconds() / 60)

        assert minutes == [5, 10, 20, 40, 60, 60]

    def test_comes_again_when_the_source_says(self, server: HuggingFaceServer) -> None:
        Source.objects.update(next_fetch_at=NOON)
        server.replies = [Reply(status=429, headers={"Retry-After": "7200"})]

        fetch_due(now=NOON, client=patient(now=lambda: NOON))

        assert Source.objects.get(slug="huggingface").next_fetch_at == NOON + timedelta(hours=2)

    def test_a_source_that_is_being_read_is_not_read_again(
        self, server: HuggingFaceServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Source.objects.update(next_fetch_at=NOON)
        inner: list[Any] = []
        real = fetch.fetch_day

        def meddling(*args: Any, **options: Any) -> Any:
            inner.extend(fetch_due(now=NOON, client=patient()))
            return real(*args, **options)

        monkeypatch.setattr(fetch, "fetch_day", meddling)
        fetch_due(now=NOON, client=patient())

        assert inner == []

    def test_older_days_are_read_again_every_six_hours_and_the_oldest_once_a_day(
        self, server: HuggingFaceServer, source: Source
    ) -> None:
        Source.objects.update(next_fetch_at=NOON)
        fetch_due(now=NOON, client=patient())

        hours = {
            hour: len(days_to_read(source, now=NOON + timedelta(hours=hour))) for hour in (1, 5, 6, 11, 24)
        }

        assert hours == {1: 2, 5: 2, 6: 4, 11: 4, 24: 14}


class TestSeveralSources:
    """Beside Hugging Face, three feeds on one site."""

    @pytest.fixture
    def site(self, settings: Any) -> Iterator[WebServer]:
        with web_server() as running:
            settings.TRUSTED_FEED_HOSTS = [running.host]
            yield running

    @pytest.fixture
    def feeds(self, site: WebServer) -> list[Source]:
        Source.objects.update(enabled=False)
        made = []
        for name in ("a", "b", "c"):
            site.pages[f"/{name}"] = (
                f"<rss version='2.0'><channel><item><title>{name}</title>"
                f"<link>https://lab.example/{name}</link></item></channel></rss>"
            ).encode()
            made.append(
                Source.objects.create(
                    slug=name,
                    name=name,
                    kind="feed",
                    gives="post",
                    url=f"{site.url}/{name}",
                    next_fetch_at=NOON,
                )
            )
        return made

    def test_one_that_fails_stops_no_other(self, site: WebServer, feeds: list[Source]) -> None:
        site.pages["/a"] = Reply(status=404)

        fetch_due(now=NOON, client=patient(attempts=1))

        assert set(Paper.objects.values_list("title", flat=True)) == {"b", "c"}
        feeds[0].refresh_from_db()
        assert "404" in feeds[0].last_error

    def test_a_mistake_of_ours_is_noted_with_its_source_and_stops_no_other(
        self, feeds: list[Source], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        real = plain._store

        def stumbling(source: Source, *args: Any, **options: Any) -> Any:
            if source.slug == "b":
                raise ZeroDivisionError("by nothing\0")
            return real(source, *args, **options)

        monkeypatch.setattr(plain, "_store", stumbling)

        fetch_due(now=NOON, client=patient(attempts=1))

        assert set(Paper.objects.values_list("title", flat=True)) == {"a", "c"}
        feeds[1].refresh_from_db()
        assert "ZeroDivisionError: by nothing" in feeds[1].last_error
        assert feeds[1].consecutive_failures == 1
        assert feeds[1].next_fetch_at == NOON + timedelta(hours=1)
        (record,) = [one for one in caplog.records if one.exc_info]
        assert "ZeroDivisionError" in str(record.exc_info)

    def test_a_mistake_before_anything_is_asked_stops_no_other_either(
        self, feeds: list[Source], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = plain.days_to_read

        def stumbling(source: Source, *, now: datetime) -> Any:
            if source.slug == "a":
                raise LookupError("no days")
            return real(source, now=now)

        monkeypatch.setattr(plain, "days_to_read", stumbling)

        fetch_due(now=NOON, client=patient(attempts=1))

        assert set(Paper.objects.values_list("title", flat=True)) == {"b", "c"}
        assert Source.objects.get(slug="a").next_fetch_at > NOON

    def test_when_time_is_nearly_over_the_rest_is_left_to_the_next_poke(self, feeds: list[Source]) -> None:
        ticks = iter([0.0, 1.0, fetch.RUN_SECONDS - fetch.LEAST_SECONDS + 1])

        fetch_due(now=NOON, client=patient(), clock=lambda: next(ticks))

        assert set(Paper.objects.values_list("title", flat=True)) == {"a"}
        left = Source.objects.filter(slug__in="bc")
        assert set(left.values_list("next_fetch_at", flat=True)) == {NOON}

        fetch_due(now=NOON + timedelta(minutes=1), client=patient())
        assert Paper.objects.count() == 3

    def test_those_that_waited_longest_come_first(self, site: WebServer, feeds: list[Source]) -> None:
        Source.objects.filter(slug="c").update(next_fetch_at=NOON - timedelta(hours=1))

        fetch_due(now=NOON, client=patient())

        assert [asked.path for asked in site.asked] == ["/c", "/a", "/b"]

    def test_the_day_s_lists_come_before_feeds_that_waited_longer(
        self, site: WebServer, feeds: list[Source], server: HuggingFaceServer
    ) -> None:
        Source.objects.filter(slug="huggingface").update(enabled=True, next_fetch_at=NOON)
        Source.objects.filter(slug="a").update(next_fetch_at=NOON - timedelta(hours=5))
        ticks = iter([0.0, 1.0, fetch.RUN_SECONDS - fetch.LEAST_SECONDS + 1])

        fetch_due(now=NOON, client=patient(), clock=lambda: next(ticks))

        assert server.asked
        assert site.asked == []

    def test_feeds_are_read_by_one_worker_at_a_time_and_the_day_s_lists_by_any(
        self, site: WebServer, feeds: list[Source], server: HuggingFaceServer
    ) -> None:
        Source.objects.filter(slug="huggingface").update(enabled=True, next_fetch_at=NOON)
        with closing(connections["default"].copy()) as other:
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s)", [fetch._LOCK])
            fetch_due(now=NOON, client=patient())
            assert server.asked
            assert site.asked == []

        fetch_due(now=NOON, client=patient())
        assert {asked.path for asked in site.asked} == {"/a", "/b", "/c"}

    def test_a_source_that_is_dead_for_long_is_an_alarm(self, site: WebServer, feeds: list[Source]) -> None:
        del site.pages["/a"]
        now = NOON
        for _attempt in range(6):
            fetch_due(now=now, client=patient(attempts=1))
            now = Source.objects.get(slug="a").next_fetch_at
        fetch_due(now=now, client=patient(attempts=1))

        assert Alarm.objects.raised().filter(source=feeds[0], kind="failing").exists()
        assert not Alarm.objects.raised().exclude(source=feeds[0]).exists()


class TestFirstFill:
    def test_reads_the_last_days_when_the_source_answers(self, server: HuggingFaceServer) -> None:
        server.days[FRIDAY] = entries(3)
        server.days[FRIDAY - timedelta(days=13)] = entries(2, day=FRIDAY - timedelta(days=13), first=10)

        filled = first_fill(now=NOON, client=patient(attempts=1))

        assert (filled.is_sample, filled.days, filled.papers, filled.problem) == (False, 2, 5, "")

    def test_asks_once_and_takes_the_sample_when_nobody_answers(self, server: HuggingFaceServer) -> None:
        server.replies = [Reply(status=503)]

        filled = first_fill(now=NOON)

        assert len(server.asked) == 1
        assert (filled.is_sample, filled.days) == (True, 14)
        assert "503" in filled.problem
        assert Source.objects.get(slug="huggingface").next_fetch_at == NOON + timedelta(minutes=5)

    def test_gives_up_on_a_silent_source_in_time(
        self, server: HuggingFaceServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.replies = [Reply(delay_seconds=2)]
        client = Client(attempts=1, total_seconds=0.2, budget_seconds=0.2)

        filled = first_fill(now=NOON, client=client)

        assert filled.is_sample
        assert "no answer within 0.2 s" in filled.problem

    def test_asks_nothing_when_papers_are_there(self, server: HuggingFaceServer, source: Source) -> None:
        server.days[FRIDAY] = entries(3)
        fetch_day(source, FRIDAY, now=NOON, client=patient())
        before = len(server.asked)

        filled = first_fill(now=NEXT_NOON, client=patient())

        assert (filled.is_sample, filled.papers, len(server.asked)) == (False, 3, before)

    def test_a_source_that_answers_without_papers_does_not_take_the_sample_away(
        self, server: HuggingFaceServer
    ) -> None:
        filled = first_fill(now=NOON, client=patient(attempts=1))

        fetch_due(now=NOON, client=patient())

        assert (filled.is_sample, filled.days, filled.problem) == (True, 14, "")
        assert Batch.objects.filter(is_sample=True).count() == 14

    def test_the_first_real_list_replaces_the_sample(self, server: HuggingFaceServer, source: Source) -> None:
        sample.load(now=NOON)
        server.days[FRIDAY] = entries(1)

        fetch_day(source, FRIDAY, now=NOON, client=patient())

        assert list(Paper.objects.values_list("arxiv_id", flat=True)) == ["2607.00001"]
        assert not Batch.objects.filter(is_sample=True).exists()
