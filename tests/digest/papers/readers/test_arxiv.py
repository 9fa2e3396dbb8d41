"""arXiv's days, read over real sockets into real tables: through each door, and past what goes wrong."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from digest.models import Alarm, Batch, Paper, SetAside, Sighting, Source
from digest.papers import alarms, fetch, sample
from digest.papers.ingest import Ingested
from digest.papers.readers import arxiv
from digest.sources import clock
from digest.sources.arxiv import doors
from digest.sources.http import Client, Pace, SourceError
from tests.arxiv_server import (
    ERROR_PAGE,
    FORBIDDEN,
    RATE_EXCEEDED,
    UNAVAILABLE,
    ArxivServer,
    arxiv_server,
    feed,
    free_clock,
    item,
    oai_page,
    paper,
)
from tests.servers import Reply

WEDNESDAY = date(2026, 8, 19)
THURSDAY = date(2026, 8, 20)
FRIDAY = date(2026, 8, 21)
SATURDAY = date(2026, 8, 22)
MORNING = datetime(2026, 8, 20, 6, tzinfo=UTC)  # Thursday's list is due
EVENING = datetime(2026, 8, 20, 18, tzinfo=UTC)
DAY_AFTER = datetime(2026, 8, 21, 6, tzinfo=UTC)
SUBMITTED = datetime(2026, 8, 19, 12, tzinfo=UTC)
LONG_AGO = datetime(2026, 5, 1, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _free(monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[None]:
    free_clock(monkeypatch)
    yield
    free_clock(monkeypatch)


@pytest.fixture
def server(settings: Any) -> Iterator[ArxivServer]:
    with arxiv_server() as running:
        for name, value in running.settings().items():
            setattr(settings, name, value)
        running.shows = THURSDAY
        yield running


@pytest.fixture
def source() -> Source:
    source = Source.objects.get(slug="arxiv")
    source.categories = ["cs.CL", "cs.AI"]
    source.save()
    return source


def patient(**options: Any) -> Client:
    """A client that never really waits."""
    return Client(**{"sleep": lambda _seconds: None, "pace": Pace(), **options})


def read(
    source: Source, day: date = THURSDAY, *, now: datetime = MORNING, client: Client | None = None
) -> Ingested:
    return arxiv.read(source, day, now=now, client=client or patient())


def listed(day: date = THURSDAY) -> set[str]:
    found = Sighting.objects.filter(listing_day=day, is_listing=True)
    return set(found.values_list("paper__arxiv_id", flat=True))


def batch(category: str, day: date = THURSDAY) -> Batch:
    return Batch.objects.get(source__slug="arxiv", category=category, listing_day=day)


def raised() -> list[str]:
    return sorted(Alarm.objects.raised().values_list("key", flat=True))


def six() -> list[Any]:
    """Three at home in cs.CL (one of them in cs.AI too), one in cs.AI, one cross-listed, one revised."""
    return [
        paper("2608.00001", "cs.CL"),
        paper("2608.00002", "cs.CL", "cs.AI"),
        paper("2608.00003", "cs.CL", "stat.ML"),
        paper("2608.00004", "cs.AI"),
        paper("2608.00005", "cs.CV", "cs.CL"),
        paper("2605.00006", "cs.CL", versions=[LONG_AGO, SUBMITTED]),
    ]


class TestFeed:
    def test_one_request_reads_all_categories(self, server: ArxivServer, source: Source) -> None:
        server.announce(THURSDAY, [*six(), paper("2608.00009", "cs.CV")])

        done = read(source)

        assert server.paths() == ["/rss/cs.CL+cs.AI"]
        assert (done.declared, done.parsed, done.new, done.rejected, done.cross) == (6, 6, 6, 0, 1)
        assert listed() == {f"2608.0000{number}" for number in range(1, 6)}

    def test_each_category_has_its_account(self, server: ArxivServer, source: Source) -> None:
        server.announce(THURSDAY, six())

        read(source)

        language, intelligence = batch("cs.CL"), batch("cs.AI")
        assert (language.declared, language.parsed, language.new, language.cross) == (5, 5, 5, 1)
        assert (intelligence.declared, intelligence.parsed, intelligence.cross) == (2, 2, 1)
        assert {language.door, intelligence.door} == {"rss"}
        assert language.settled_at == intelligence.settled_at == MORNING  # announced at once, and for good

    def test_a_revision_is_known_and_put_on_no_list(self, server: ArxivServer, source: Source) -> None:
        server.announce(THURSDAY, six())

        read(source)

        sighting = Sighting.objects.get(paper__arxiv_id="2605.00006")
        assert (sighting.announce_type, sighting.version, sighting.is_listing) == ("replace", 2, False)

    def test_twice_changes_nothing(self, server: ArxivServer, source: Source) -> None:
        server.announce(THURSDAY, six())
        read(source)
        before = (Paper.objects.count(), Sighting.objects.count())

        again = read(source, now=EVENING)

        assert (again.declared, again.new, again.updated) == (6, 0, 0)
        assert (Paper.objects.count(), Sighting.objects.count()) == before

    def test_a_machine_whose_clock_is_far_away_reads_the_day_that_is_shown(
        self, server: ArxivServer, source: Source
    ) -> None:
        server.announce(THURSDAY, six())

        for now in (datetime(2026, 11, 22, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)):
            assert read(source, now=now).declared == 6
        assert len(server.asked) == 2
        assert raised() == []

    def test_a_broken_entry_is_set_aside_and_the_others_are_stored(
        self, server: ArxivServer, source: Source
    ) -> None:
        items = [item(paper(f"2608.{number:05}"), day=THURSDAY, announced="new") for number in range(20)]
        items[5] = items[5].replace("2608.00005", "no-id")
        server.replies["rss"] = [Reply(body=feed(items, day=THURSDAY))]

        done = read(source)

        assert (done.declared, done.parsed, done.rejected) == (20, 19, 1)
        assert "no arXiv id" in SetAside.objects.get().problem

    def test_the_first_real_list_replaces_the_sample(self, server: ArxivServer, source: Source) -> None:
        sample.load(now=MORNING, days=1)
        server.announce(THURSDAY, six())

        read(source)

        assert not Batch.objects.filter(is_sample=True).exists()

    def test_no_categories_is_told(self, source: Source) -> None:
        source.categories = []

        with pytest.raises(SourceError, match="no categories"):
            read(source)


class TestOneBadCategory:
    def test_fails_alone(self, server: ArxivServer, source: Source) -> None:
        source.categories = ["cs.CL", "cs.XX", "cs.AI"]
        server.announce(THURSDAY, six())

        done = read(source)

        assert server.paths() == ["/rss/cs.CL+cs.XX+cs.AI", "/rss/cs.CL", "/rss/cs.XX", "/rss/cs.AI"]
        assert (done.declared, done.new) == (6, 6)
        assert any("Bad subject class 'cs.XX'" in error for error in done.unread)
        assert batch("cs.XX").fetched_at is None
        assert "Bad subject class 'cs.XX'" in batch("cs.XX").errors[0]
        assert batch("cs.CL").settled_at

    def test_of_two_feeds_that_have_a_paper_the_one_where_it_is_new_counts(
        self, server: ArxivServer, source: Source
    ) -> None:
        source.categories = ["cs.AI", "cs.XX", "cs.CL"]
        server.announce(THURSDAY, six())

        read(source)

        types = dict(Sighting.objects.values_list("paper__arxiv_id", "announce_type"))
        assert types["2608.00002"] == "new"  # cross in the feed of cs.AI, which came first
        assert types["2608.00005"] == "cross"

    def test_what_cannot_be_a_category_is_not_asked_for(self, server: ArxivServer, source: Source) -> None:
        source.categories = ["cs.CL", "../etc"]
        server.announce(THURSDAY, six())

        done = read(source)

        assert server.paths() == ["/rss/cs.CL"]
        assert any("no category of arXiv" in error for error in done.unread)

    def test_spelling_does_not_matter(self, server: ArxivServer, source: Source) -> None:
        source.categories = ["CS.cl"]
        server.announce(THURSDAY, six())

        read(source)

        assert batch("cs.CL").parsed == 5

    def test_alone_it_is_a_failure(self, server: ArxivServer, source: Source) -> None:
        source.categories = ["cs.XX"]

        with pytest.raises(SourceError, match="Bad subject class"):
            read(source)

    def test_it_does_not_make_the_day_incomplete_for_ever(self, server: ArxivServer, source: Source) -> None:
        source.categories = ["cs.CL", "cs.XYZ"]
        source.save()
        server.announce(THURSDAY, six())
        read(source)

        assert THURSDAY not in arxiv.days_to_read(source, now=EVENING)


class TestCut:
    def test_a_list_that_was_cut_is_read_category_by_category(
        self, server: ArxivServer, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("digest.sources.arxiv.rss.CUT", 6)
        server.cut = 6
        server.announce(THURSDAY, [paper(f"2608.{number:05}", "cs.CL") for number in range(5)])
        server.announce(THURSDAY, [paper(f"2608.{number:05}", "cs.AI") for number in range(5, 10)])

        done = read(source)

        assert server.paths() == ["/rss/cs.CL+cs.AI", "/rss/cs.CL", "/rss/cs.AI"]
        assert done.new == 10
        assert batch("cs.CL").settled_at

    def test_a_category_that_is_cut_itself_is_read_through_oai(
        self, server: ArxivServer, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("digest.sources.arxiv.rss.CUT", 6)
        server.cut = 6
        server.announce(THURSDAY, [paper(f"2608.{number:05}", "cs.CL") for number in range(9)])
        server.announce(THURSDAY, [paper("2608.00100", "cs.AI")])

        done = read(source)

        assert (done.declared, done.new) == (10, 10)
        assert server.paths("oai") == ["/oai"]
        assert batch("cs.CL").door == "rss+oai"

    def test_if_oai_fails_what_there_is_is_kept_and_not_called_complete(
        self, server: ArxivServer, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("digest.sources.arxiv.rss.CUT", 6)
        source.categories = ["cs.CL"]
        server.cut = 6
        server.replies["oai"] = [UNAVAILABLE] * 4
        server.announce(THURSDAY, [paper(f"2608.{number:05}", "cs.CL") for number in range(9)])

        done = read(source)

        assert done.new == 6
        assert any("cut at 6 entries" in error for error in done.errors)
        assert done.unread
        assert batch("cs.CL").settled_at is None

    def test_markup_that_breaks_is_mended_through_oai(self, server: ArxivServer, source: Source) -> None:
        source.categories = ["cs.CL"]
        server.announce(THURSDAY, six())
        items = [item(one, day=THURSDAY, announced="new") for one in six()[:3]]
        items[1] = items[1].replace("</title>", "</oops>")
        server.replies["rss"] = [Reply(body=feed(items, day=THURSDAY))]

        done = read(source)

        assert listed() == {"2608.00001", "2608.00002", "2608.00003", "2608.00005"}
        assert done.rejected == 0


class TestStale:
    def test_nothing_is_stored_as_the_day_and_an_alarm_is_raised(
        self, server: ArxivServer, source: Source
    ) -> None:
        server.shows = WEDNESDAY
        server.announce(WEDNESDAY, six())

        with pytest.raises(SourceError, match="still shows Wednesday 2026-08-19") as raising:
            read(source)

        assert raising.value.retry_at == MORNING + timedelta(minutes=30)
        assert listed() == set()
        assert raised() == ["stale:arxiv::2026-08-20"]

    def test_the_older_day_is_stored_as_itself_if_it_was_never_read(
        self, server: ArxivServer, source: Source
    ) -> None:
        server.shows = WEDNESDAY
        server.announce(WEDNESDAY, six())

        for _time in range(2):
            with pytest.raises(SourceError):
                read(source)

        assert len(listed(WEDNESDAY)) == 5
        assert batch("cs.CL", WEDNESDAY).settled_at
        assert Sighting.objects.count() == 6

    def test_the_alarm_ends_when_the_day_is_shown(self, server: ArxivServer, source: Source) -> None:
        server.shows = WEDNESDAY
        with pytest.raises(SourceError):
            read(source)
        server.shows = THURSDAY
        server.announce(THURSDAY, six())

        read(source, now=MORNING + timedelta(minutes=30))

        assert raised() == []

    def test_the_alarm_stands_while_the_clock_alone_is_looked_at(
        self, server: ArxivServer, source: Source
    ) -> None:
        server.shows = WEDNESDAY
        with pytest.raises(SourceError):
            read(source)

        alarms.check(now=MORNING)

        assert raised() == ["stale:arxiv::2026-08-20"]

    def test_from_noon_on_oai_is_asked(self, server: ArxivServer, source: Source) -> None:
        server.shows = WEDNESDAY
        server.announce(THURSDAY, six())

        read(source, now=datetime(2026, 8, 20, 12, tzinfo=UTC))

        assert len(listed()) == 5
        assert raised() == []
        # The feed may show more before the day is over; then OAI-PMH has the last word.
        assert THURSDAY in arxiv.days_to_read(source, now=EVENING)
        read(source, now=DAY_AFTER)
        assert THURSDAY not in arxiv.days_to_read(source, now=DAY_AFTER)

    def test_an_announcement_that_comes_later_still_is_not_missed(
        self, server: ArxivServer, source: Source
    ) -> None:
        server.shows = WEDNESDAY
        read(source, now=datetime(2026, 8, 20, 12, tzinfo=UTC))
        assert raised() == ["empty:arxiv::2026-08-20", "stale:arxiv::2026-08-20"]
        server.shows = THURSDAY
        server.announce(THURSDAY, six())

        read(source, now=datetime(2026, 8, 20, 13, tzinfo=UTC))

        assert len(listed()) == 5
        assert batch("cs.CL").settled_at
        assert raised() == []

    def test_before_it_is_due_an_older_day_is_no_failure(self, server: ArxivServer, source: Source) -> None:
        server.shows = WEDNESDAY
        server.announce(WEDNESDAY, six())

        done = read(source, now=datetime(2026, 8, 20, 3, tzinfo=UTC))

        assert done.declared == 0
        assert "comes at 05:30 UTC" in done.errors[0]
        assert raised() == []
        assert len(listed(WEDNESDAY)) == 5

    def test_a_past_day_that_a_stale_feed_cannot_show_comes_from_oai(
        self, server: ArxivServer, source: Source
    ) -> None:
        server.shows = WEDNESDAY
        server.announce(THURSDAY, six())

        read(source, now=datetime(2026, 11, 22, tzinfo=UTC))

        assert len(listed()) == 5


class TestNothing:
    def test_a_weekend_is_complete_without_papers(self, server: ArxivServer, source: Source) -> None:
        server.shows = SATURDAY

        done = read(source, SATURDAY, now=datetime(2026, 8, 22, 12, tzinfo=UTC))

        assert done.declared == 0
        assert batch("cs.CL", SATURDAY).settled_at
        assert raised() == []

    def test_a_weekend_whose_feed_still_shows_friday(self, server: ArxivServer, source: Source) -> None:
        server.shows = FRIDAY
        server.announce(FRIDAY, six())

        read(source, SATURDAY, now=datetime(2026, 8, 22, 12, tzinfo=UTC))

        assert batch("cs.CL", SATURDAY).settled_at
        assert listed(SATURDAY) == set()
        assert server.paths("oai") == []

    def test_a_holiday_is_complete_without_papers(self, server: ArxivServer, source: Source) -> None:
        labor_day = date(2026, 9, 7)
        server.shows = labor_day

        read(source, labor_day, now=datetime(2026, 9, 7, 6, tzinfo=UTC))

        assert batch("cs.CL", labor_day).settled_at
        assert raised() == []

    def test_a_weekday_without_papers_is_an_alarm_and_not_complete(
        self, server: ArxivServer, source: Source
    ) -> None:
        read(source)

        assert batch("cs.CL").settled_at is None
        assert raised() == ["empty:arxiv::2026-08-20"]
        assert THURSDAY in arxiv.days_to_read(source, now=EVENING)

    def test_the_alarm_stands_until_there_is_something(self, server: ArxivServer, source: Source) -> None:
        source.enabled = True
        source.save()
        read(source)
        alarms.check(now=EVENING)
        assert "empty:arxiv::2026-08-20" in raised()
        server.announce(THURSDAY, six())

        read(source, now=EVENING)
        alarms.check(now=EVENING)

        assert raised() == []

    def test_after_the_day_oai_has_the_last_word(self, server: ArxivServer, source: Source) -> None:
        read(source)
        server.shows = FRIDAY
        server.announce(THURSDAY, six())

        read(source, now=DAY_AFTER)

        assert len(listed()) == 5
        assert batch("cs.CL").door == "oai"
        assert raised() == []


class TestGaps:
    def test_a_day_that_is_gone_from_the_feed_comes_from_oai(
        self, server: ArxivServer, source: Source
    ) -> None:
        server.shows = FRIDAY
        server.announce(THURSDAY, six())

        done = read(source, now=DAY_AFTER)

        assert (done.declared, done.new, done.cross) == (6, 6, 1)
        assert len(listed()) == 5
        assert [one.params for one in server.asked[1:]] == [
            {
                "verb": "ListRecords",
                "metadataPrefix": "arXivRaw",
                "set": name,
                "from": "2026-08-20",
                "until": "2026-08-20",
            }
            for name in ("cs:cs:CL", "cs:cs:AI")
        ]
        assert (batch("cs.CL").door, batch("cs.CL").declared, batch("cs.AI").declared) == ("oai", 5, 2)
        assert batch("cs.CL").settled_at

    def test_says_the_same_as_the_feed(self, server: ArxivServer, source: Source) -> None:
        server.announce(THURSDAY, six())
        read(source)
        fields = ("paper__arxiv_id", "announce_type", "version", "is_listing", "batch__category")
        through_feed = set(Sighting.objects.values_list(*fields))
        Paper.objects.all().delete()
        Batch.objects.all().delete()
        server.shows = FRIDAY

        read(source, now=DAY_AFTER)

        assert set(Sighting.objects.values_list(*fields)) == through_feed

    def test_follows_tokens_to_the_end(self, server: ArxivServer, source: Source) -> None:
        source.categories = ["cs.CL"]
        server.page_size = 3
        server.shows = FRIDAY
        server.announce(THURSDAY, [paper(f"2608.{number:05}", "cs.CL") for number in range(8)])

        read(source, now=DAY_AFTER)

        assert len(listed()) == 8
        assert [set(one.params) for one in server.asked[-2:]] == [{"verb", "resumptionToken"}] * 2

    def test_a_token_that_dies_begins_the_harvest_anew_once(
        self, server: ArxivServer, source: Source
    ) -> None:
        source.categories = ["cs.CL"]
        server.page_size, server.dead_tokens = 3, 1
        server.shows = FRIDAY
        server.announce(THURSDAY, [paper(f"2608.{number:05}", "cs.CL") for number in range(8)])

        read(source, now=DAY_AFTER)

        assert len(listed()) == 8
        assert batch("cs.CL").declared == 8

    def test_tokens_that_die_again_and_again_are_a_failure(self, server: ArxivServer, source: Source) -> None:
        source.categories = ["cs.CL"]
        server.page_size, server.dead_tokens = 3, 9
        server.shows = FRIDAY
        server.announce(THURSDAY, [paper(f"2608.{number:05}", "cs.CL") for number in range(8)])

        with pytest.raises(SourceError, match="ended the harvest"):
            read(source, now=DAY_AFTER)

        assert listed() == set()

    def test_a_page_without_anything_in_the_middle_is_asked_for_again(
        self, server: ArxivServer, source: Source
    ) -> None:
        source.categories = ["cs.CL"]
        server.page_size, server.holes = 3, 2
        server.shows = FRIDAY
        server.announce(THURSDAY, [paper(f"2608.{number:05}", "cs.CL") for number in range(8)])

        read(source, now=DAY_AFTER)

        assert len(listed()) == 8

    def test_a_hole_that_stays_is_a_failure_and_no_end(self, server: ArxivServer, source: Source) -> None:
        source.categories = ["cs.CL"]
        server.page_size, server.holes = 3, 9
        server.shows = FRIDAY
        server.announce(THURSDAY, [paper(f"2608.{number:05}", "cs.CL") for number in range(8)])

        with pytest.raises(SourceError, match="not complete"):
            read(source, now=DAY_AFTER)

    def test_a_sequence_without_end_is_left(self, server: ArxivServer, source: Source) -> None:
        source.categories = ["cs.CL"]
        server.shows = FRIDAY
        server.replies["oai"] = [oai_page([], token="again") for _number in range(9)]

        with pytest.raises(SourceError, match="comes to no end"):
            read(source, now=DAY_AFTER)

    def test_no_records_match_is_an_empty_day(self, server: ArxivServer, source: Source) -> None:
        server.shows = FRIDAY

        read(source, now=DAY_AFTER)

        assert batch("cs.CL").settled_at
        assert raised() == ["empty:arxiv::2026-08-20"]

    def test_papers_that_were_listed_before_are_not_listed_again(
        self, server: ArxivServer, source: Source
    ) -> None:
        server.shows = WEDNESDAY
        server.announce(WEDNESDAY, [paper("2608.00001", "cs.CL")])
        read(source, WEDNESDAY, now=datetime(2026, 8, 19, 6, tzinfo=UTC))
        server.days.clear()
        server.shows = FRIDAY
        changed = paper("2608.00001", "cs.CL", journal_ref="J. Agents", datestamp=THURSDAY)
        server.announce(THURSDAY, [changed, paper("2608.00002", "cs.CL")])

        done = read(source, now=DAY_AFTER)

        assert listed() == {"2608.00002"}
        assert done.declared == 1

    def test_other_changes_of_that_day_stay_out(self, server: ArxivServer, source: Source) -> None:
        server.shows = FRIDAY
        old = [paper(f"2501.{number:05}", "cs.CL", versions=[LONG_AGO]) for number in range(50)]
        server.announce(THURSDAY, [*six(), *old])

        done = read(source, now=DAY_AFTER)

        assert (done.declared, batch("cs.CL").declared, Paper.objects.count()) == (6, 5, 6)
        assert done.errors == ()

    def test_one_category_that_fails_does_not_stop_the_others(
        self, server: ArxivServer, source: Source
    ) -> None:
        server.shows = FRIDAY
        server.announce(THURSDAY, six())
        server.replies["oai"] = [UNAVAILABLE] * 4

        done = read(source, now=DAY_AFTER)

        assert batch("cs.AI").settled_at
        assert batch("cs.CL").fetched_at is None
        assert any("OAI-PMH" in error and "503" in error for error in done.unread)
        assert raised() == ["gap:arxiv:cs.CL:2026-08-20"]

    def test_the_next_run_asks_only_for_what_is_missing(self, server: ArxivServer, source: Source) -> None:
        server.shows = FRIDAY
        server.announce(THURSDAY, six())
        server.replies["oai"] = [UNAVAILABLE] * 4
        read(source, now=DAY_AFTER)
        server.asked.clear()

        read(source, now=DAY_AFTER + timedelta(hours=1))

        assert [one.params["set"] for one in server.asked if one.path == "/oai"] == ["cs:cs:CL"]
        assert len(listed()) == 5
        assert raised() == []

    def test_if_every_door_fails_the_alarm_says_which_one_why(
        self, server: ArxivServer, source: Source
    ) -> None:
        server.replies["rss"] = [ERROR_PAGE]
        server.replies["oai"] = [UNAVAILABLE] * 8

        with pytest.raises(SourceError) as raising:
            fetch.fetch_day(source, THURSDAY, now=DAY_AFTER, client=patient())

        alarm = Alarm.objects.raised().get(kind=Alarm.Kind.GAP)
        assert alarm.key == "gap:arxiv::2026-08-20"
        for said in (str(raising.value), alarm.message, batch("cs.CL").errors[0]):
            assert "The feed:" in said
            assert "OAI-PMH:" in said
        assert "fetch_papers --source arxiv --date 2026-08-20" in alarm.message

    def test_a_day_that_was_read_completely_is_not_asked_for_again(
        self, server: ArxivServer, source: Source
    ) -> None:
        """OAI-PMH forgets with time: it would only know less of it."""
        server.announce(THURSDAY, six())
        read(source)
        server.shows, server.days = FRIDAY, {}

        done = read(source, now=DAY_AFTER)

        assert (done.declared, done.new) == (6, 0)
        assert server.paths("oai") == []
        assert batch("cs.CL").declared == 5

    def test_a_run_asks_the_feed_only_once(self, server: ArxivServer, source: Source) -> None:
        server.shows = FRIDAY
        client = patient()

        for day in (THURSDAY, WEDNESDAY):
            read(source, day, now=DAY_AFTER, client=client)

        assert len(server.paths("rss")) == 1
        assert len(server.paths("oai")) == 4


class TestFailures:
    def test_if_the_feed_fails_oai_has_todays_list(self, server: ArxivServer, source: Source) -> None:
        server.announce(THURSDAY, six())
        server.replies["rss"] = [UNAVAILABLE] * 4

        read(source)

        assert len(listed()) == 5
        assert batch("cs.CL").door == "oai"

    def test_an_error_page_with_status_200_is_no_list(self, server: ArxivServer, source: Source) -> None:
        server.announce(THURSDAY, six())
        server.replies["rss"] = [ERROR_PAGE]

        read(source)

        assert batch("cs.CL").door == "oai"

    def test_a_403_stops_everything_for_the_day(self, server: ArxivServer, source: Source) -> None:
        server.replies["rss"] = [FORBIDDEN]

        with pytest.raises(SourceError, match="left alone for the day") as raising:
            read(source)

        assert server.paths() == ["/rss/cs.CL+cs.AI"]
        until = clock.closed_until(doors.CLOCK)
        assert until is not None
        assert raising.value.retry_at == until
        assert until - clock.now() > timedelta(hours=5)
        with pytest.raises(SourceError):
            read(source)
        assert len(server.asked) == 1

    def test_a_429_that_lasts_closes_that_door_for_half_an_hour(
        self, server: ArxivServer, source: Source
    ) -> None:
        server.announce(THURSDAY, six())
        server.replies["rss"] = [RATE_EXCEEDED] * 4

        read(source)

        assert len(server.paths("rss")) == 4
        assert batch("cs.CL").door == "oai"  # the other doors stay open
        until = clock.closed_until(doors.FEED_DOOR)
        assert until is not None
        assert timedelta(minutes=29) < until - clock.now() <= timedelta(minutes=30)

    def test_if_all_doors_are_closed_the_source_comes_again_when_one_opens(
        self, server: ArxivServer, source: Source
    ) -> None:
        server.replies["rss"] = [RATE_EXCEEDED] * 4
        server.replies["oai"] = [RATE_EXCEEDED] * 4

        with pytest.raises(SourceError) as raising:
            read(source)

        assert raising.value.retry_at is not None
        assert len(server.paths("oai")) == 4  # the second category was not even tried


class TestWhen:
    def test_todays_list_is_due_at_half_past_five(self, source: Source) -> None:
        assert arxiv.days_to_read(source, now=datetime(2026, 8, 20, 5, 29, tzinfo=UTC))[0] == WEDNESDAY
        assert arxiv.days_to_read(source, now=datetime(2026, 8, 20, 5, 30, tzinfo=UTC))[0] == THURSDAY

    def test_the_weekdays_of_a_fortnight_that_were_never_read(self, source: Source) -> None:
        days = arxiv.days_to_read(source, now=MORNING)

        assert len(days) == 10
        assert all(day and day.weekday() < 5 for day in days)
        assert days == sorted(filter(None, days), reverse=True)

    def test_what_was_read_is_not_read_again(self, server: ArxivServer, source: Source) -> None:
        server.announce(THURSDAY, six())
        read(source)

        assert THURSDAY not in arxiv.days_to_read(source, now=EVENING)

    def test_a_category_that_was_added_makes_days_incomplete(
        self, server: ArxivServer, source: Source
    ) -> None:
        server.announce(THURSDAY, six())
        read(source)
        source.categories.append("cs.CV")

        assert THURSDAY in arxiv.days_to_read(source, now=EVENING)

    @pytest.mark.parametrize(
        ("now", "expected"),
        [
            (datetime(2026, 8, 20, 3, tzinfo=UTC), datetime(2026, 8, 20, 5, 30, tzinfo=UTC)),
            (datetime(2026, 8, 20, 6, tzinfo=UTC), datetime(2026, 8, 21, 5, 30, tzinfo=UTC)),
            (datetime(2026, 8, 21, 6, tzinfo=UTC), datetime(2026, 8, 24, 5, 30, tzinfo=UTC)),
            (datetime(2026, 8, 23, 12, tzinfo=UTC), datetime(2026, 8, 24, 5, 30, tzinfo=UTC)),
        ],
    )
    def test_with_nothing_missing_the_next_run_is_when_the_next_list_is_due(
        self, source: Source, now: datetime, expected: datetime
    ) -> None:
        for age in range(20):
            for category in source.categories:
                Batch.objects.create(
                    source=source,
                    category=category,
                    listing_day=now.date() - timedelta(days=age),
                    fetched_at=now,
                    settled_at=now,
                )

        assert arxiv.next_fetch_at(source, now=now) == expected

    def test_with_something_missing_it_is_in_an_hour(self, source: Source) -> None:
        assert arxiv.next_fetch_at(source, now=MORNING) == MORNING + timedelta(hours=1)

    def test_a_scheduled_run_reads_today_and_fills_the_gaps(
        self, server: ArxivServer, source: Source
    ) -> None:
        source.enabled = True
        source.next_fetch_at = MORNING
        source.save()
        Source.objects.exclude(pk=source.pk).update(enabled=False)
        server.announce(THURSDAY, six())
        server.announce(
            WEDNESDAY, [paper("2608.00100", "cs.CL", versions=[datetime(2026, 8, 18, 1, tzinfo=UTC)])]
        )

        fetch.fetch_due(now=MORNING, client=patient())

        assert len(server.paths("rss")) == 1
        assert len(listed()) == 5
        assert listed(WEDNESDAY) == {"2608.00100"}
        assert arxiv.days_to_read(source, now=MORNING) == []

    def test_a_stale_feed_is_asked_again_after_half_an_hour(
        self, server: ArxivServer, source: Source
    ) -> None:
        source.enabled = True
        source.next_fetch_at = MORNING
        source.save()
        Source.objects.exclude(pk=source.pk).update(enabled=False)
        server.shows = WEDNESDAY

        fetch.fetch_due(now=MORNING, client=patient())

        source.refresh_from_db()
        assert source.next_fetch_at == MORNING + timedelta(minutes=30)


@pytest.mark.shared_data
class TestReconstructedDays:
    @pytest.mark.parametrize(
        ("day", "categories", "papers"),
        [
            (date(2026, 6, 23), ["cs.AI", "cs.CV"], 395),
            (date(2026, 6, 24), ["cs.CL"], 78),
        ],
    )
    def test_each_paper_is_stored(
        self,
        server: ArxivServer,
        source: Source,
        shared_data_dir: Path,
        day: date,
        categories: list[str],
        papers: int,
    ) -> None:
        source.categories = categories
        server.serve_manifest(shared_data_dir / "arxiv_rss", only=f"rss_{'+'.join(categories)}_{day}")

        done = read(source, day, now=datetime(2026, 11, 22, tzinfo=UTC))

        assert (done.declared, done.parsed, done.new, done.rejected, done.errors) == (
            papers,
            papers,
            papers,
            0,
            (),
        )
        assert len(listed(day)) == papers
