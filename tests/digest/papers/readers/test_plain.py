"""Feeds over a real socket into real tables."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from digest.models import Alarm, Batch, Mention, Paper, SetAside, Sighting, Source
from digest.papers.fetch import fetch_day, fetch_due
from digest.sources.http import Client, Pace, SourceError
from tests.servers import Reply, WebServer, web_server

NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
DAY = date(2026, 8, 20)
TOMORROW = NOON + timedelta(days=1)

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(settings: Any) -> Iterator[WebServer]:
    with web_server() as running:
        settings.TRUSTED_FEED_HOSTS = [running.host]
        yield running


@pytest.fixture
def source(site: WebServer) -> Source:
    Source.objects.update(enabled=False)
    return Source.objects.create(
        slug="lab", name="Lab", kind="feed", gives="post", url=f"{site.url}/feed", next_fetch_at=NOON
    )


def item(number: int, *, more: str = "", day: str = "20 Aug 2026", link: str = "") -> str:
    return (
        f"<item><title>Post {number}</title><link>{link or f'https://lab.example/{number}'}</link>"
        f"<pubDate>{day} 08:00:00 GMT</pubDate>{more}</item>"
    )


def rss(*items: str) -> bytes:
    channel = "<title>Lab</title><link>https://lab.example/</link>"
    return f'<rss version="2.0"><channel>{channel}{"".join(items)}</channel></rss>'.encode()


def patient(**options: Any) -> Client:
    return Client(**{"sleep": lambda _seconds: None, "pace": Pace(), **options})


def fetch(source: Source, now: datetime = NOON) -> Any:
    source.refresh_from_db()
    return fetch_day(source, None, now=now, client=patient())


class TestRead:
    def test_stores_posts_under_their_own_days(self, site: WebServer, source: Source) -> None:
        site.pages["/feed"] = rss(item(1), item(2, day="18 Aug 2026"))

        done = fetch(source)

        assert (done.declared, done.new, done.rejected, done.errors) == (2, 2, 0, ())
        papers = {paper.key: paper for paper in Paper.objects.all()}
        assert papers.keys() == {"url:https://lab.example/1", "url:https://lab.example/2"}
        assert {paper.kind for paper in papers.values()} == {"post"}
        assert set(Batch.objects.values_list("listing_day", "parsed", "door")) == {
            (DAY, 1, "feed"),
            (date(2026, 8, 18), 1, "feed"),
        }

    def test_asks_conditionally_and_a_304_costs_nothing(self, site: WebServer, source: Source) -> None:
        site.etags = True
        site.pages["/feed"] = rss(item(1))
        fetch(source)

        again = fetch(source, TOMORROW)

        assert (again.new, again.updated) == (0, 0)
        assert site.asked[1].headers["if-none-match"]
        assert Sighting.objects.count() == 1
        batch = Batch.objects.get()
        assert batch.fetched_at == TOMORROW
        assert batch.settled_at is not None

    def test_sends_back_the_date_it_was_given(self, site: WebServer, source: Source) -> None:
        said = "Thu, 20 Aug 2026 08:00:00 GMT"
        site.pages["/feed"] = Reply(body=rss(item(1)), headers={"Last-Modified": said})
        fetch(source)

        fetch(source)

        assert site.asked[1].headers["if-modified-since"] == said

    def test_the_same_bytes_again_are_not_parsed_again(
        self, site: WebServer, source: Source, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site.pages["/feed"] = rss(item(1))
        fetch(source)
        source.refresh_from_db()
        assert source.payload_sha256 == hashlib.sha256(rss(item(1))).hexdigest()
        monkeypatch.setattr("digest.papers.readers.plain._store", None)

        assert fetch(source).new == 0

    def test_a_new_post_comes_in_and_the_old_ones_keep_their_days(
        self, site: WebServer, source: Source
    ) -> None:
        undated = "<item><title>No date</title><link>https://lab.example/x</link></item>"
        site.pages["/feed"] = rss(undated)
        fetch(source)
        site.pages["/feed"] = rss(item(3, day="21 Aug 2026"), undated)

        done = fetch(source, TOMORROW)

        assert done.new == 1
        assert dict(Sighting.objects.values_list("paper__title", "listing_day")) == {
            "No date": DAY,
            "Post 3": date(2026, 8, 21),
        }

    def test_a_note_that_was_told_is_not_told_again(self, site: WebServer, source: Source) -> None:
        undated = "<item><title>No date</title><link>https://lab.example/x</link></item>"
        site.pages["/feed"] = rss(undated)
        first = fetch(source)
        site.pages["/feed"] = rss(item(1), undated)
        second = fetch(source)
        site.pages["/feed"] = rss(item(1), undated, undated.replace("/x", "/y"))
        third = fetch(source)

        assert [len(done.errors) for done in (first, second, third)] == [1, 0, 1]

    def test_an_empty_feed_is_no_failure(self, site: WebServer, source: Source) -> None:
        site.pages["/feed"] = rss()

        done = fetch(source)

        assert (done.declared, done.errors) == (0, ())
        source.refresh_from_db()
        assert (source.last_error, source.last_success_at) == ("", NOON)

    def test_a_bad_entry_is_set_aside_and_costs_no_other(self, site: WebServer, source: Source) -> None:
        site.pages["/feed"] = rss(item(1), item(2, link="javascript:alert(1)"), item(3))

        done = fetch(source)

        assert (done.declared, done.new, done.rejected) == (3, 2, 1)
        assert "no web address" in SetAside.objects.get().problem

    def test_what_is_no_feed_is_said_in_words(self, site: WebServer, source: Source) -> None:
        site.pages["/feed"] = b"<!doctype html><title>Just a moment</title>"

        with pytest.raises(SourceError, match=r"an HTML page where a feed belongs.*in the admin"):
            fetch(source)

        source.refresh_from_db()
        assert "an HTML page" in source.last_error
        assert source.payload_sha256 == ""

    @pytest.mark.parametrize("link", ["/agents", "agents"])
    def test_relative_addresses_begin_where_the_feed_is(
        self, site: WebServer, source: Source, link: str
    ) -> None:
        site.pages["/feed"] = (
            b"<rss version='2.0'><channel><item><title>x</title><link>%s</link></item></channel></rss>"
            % (link.encode())
        )

        fetch(source)

        assert Paper.objects.get().url == f"https://{site.host}/agents"

    def test_an_entry_that_is_a_paper_s_page_is_that_paper(self, site: WebServer, source: Source) -> None:
        site.pages["/feed"] = rss(
            item(1, link="https://arxiv.org/abs/2608.00001v2"),
            item(2, link="https://huggingface.co/papers/2608.00002"),
            item(3, link="https://doi.org/10.1000/X.1"),
        )

        fetch(source)

        assert set(Paper.objects.values_list("key", "kind")) == {
            ("arxiv:2608.00001", "paper"),
            ("arxiv:2608.00002", "paper"),
            ("doi:10.1000/x.1", "paper"),
        }

    @pytest.mark.parametrize("title", ["a\u2028b", "a\u202eb", "&lt;b&gt;a&lt;/b&gt;b", "a&#0;b"])
    def test_hostile_titles_are_stored_readable(self, site: WebServer, source: Source, title: str) -> None:
        site.pages["/feed"] = rss(item(1).replace("Post 1", title))

        fetch(source)

        assert Paper.objects.get().title.replace(" ", "") == "ab"


class TestMoves:
    @pytest.mark.parametrize(
        ("status", "is_remembered"), [(301, True), (308, True), (302, False), (307, False)]
    )
    def test_a_feed_that_moved_for_good_is_asked_there(
        self, site: WebServer, source: Source, status: int, is_remembered: bool
    ) -> None:
        site.pages["/feed"] = Reply(status=status, headers={"Location": "/new"})
        site.pages["/new"] = rss(item(1))

        fetch(source)

        source.refresh_from_db()
        assert source.url == f"{site.url}/{'new' if is_remembered else 'feed'}"

    def test_but_not_into_a_private_network(self, site: WebServer, source: Source) -> None:
        with web_server() as private:
            private.pages["/"] = rss(item(1))
            site.pages["/feed"] = Reply(status=301, headers={"Location": private.url})

            with pytest.raises(SourceError, match="not on the public internet"):
                fetch(source)

            assert private.asked == []
        source.refresh_from_db()
        assert source.url == f"{site.url}/feed"

    def test_a_feed_that_is_gone_is_switched_off_with_an_alarm(self, site: WebServer, source: Source) -> None:
        site.pages["/feed"] = Reply(status=410)

        fetch_due(now=NOON, client=patient())

        source.refresh_from_db()
        assert not source.enabled
        alarm = Alarm.objects.raised().get(kind="gone")
        assert alarm.source == source
        assert "gone for good (410)" in alarm.message

        site.pages["/feed"] = rss(item(1))
        fetch(source)
        assert not Alarm.objects.raised().filter(kind="gone").exists()

    def test_a_typed_address_is_guarded_whatever_client_is_handed_in(
        self, site: WebServer, source: Source, settings: Any
    ) -> None:
        settings.TRUSTED_FEED_HOSTS = []
        site.pages["/feed"] = rss(item(1))

        with pytest.raises(SourceError, match="not on the public internet"):
            fetch(source)

        assert site.asked == []


class TestSchedule:
    def test_is_asked_hourly_at_most_whatever_it_answers(self, site: WebServer, source: Source) -> None:
        waits = []
        now = NOON
        for page in (rss(item(1)), Reply(status=404), Reply(status=404), Reply(status=404), rss(item(1))):
            site.pages["/feed"] = page
            fetch_due(now=now, client=patient(attempts=1))
            source.refresh_from_db()
            waits.append((source.next_fetch_at - now).total_seconds() / 3600)
            now = source.next_fetch_at

        assert waits == [1, 1, 1, 2, 1]


class TestDiscussions:
    PAPER = "<description>See https://arxiv.org/abs/2608.00001 and https://doi.org/10.1000/x</description>"

    def test_a_known_paper_is_sighted_where_it_is_discussed(self, site: WebServer, source: Source) -> None:
        paper = Paper.objects.create(
            key="arxiv:2608.00001", arxiv_id="2608.00001", url="https://arxiv.org/abs/2608.00001",
            title="Agents", first_listed_on=DAY, created_at=NOON, updated_at=NOON,
        )  # fmt: skip
        site.pages["/feed"] = rss(item(1, more=self.PAPER), item(2, more=self.PAPER))

        fetch(source)

        sightings = paper.sightings.order_by("url")
        assert [(one.announce_type, one.is_listing, one.listing_day, one.url) for one in sightings] == [
            ("discussed", False, DAY, "https://lab.example/1"),
            ("discussed", False, DAY, "https://lab.example/2"),
        ]
        assert {one.source for one in sightings} == {source}
        assert set(Mention.objects.values_list("key", "paper")) == {
            ("arxiv:2608.00001", paper.pk),
            ("doi:10.1000/x", None),
        }

    def test_reading_it_again_says_nothing_twice(self, site: WebServer, source: Source) -> None:
        site.pages["/feed"] = rss(item(1, more=self.PAPER))
        fetch(source)
        before = (Mention.objects.count(), Sighting.objects.count())
        site.pages["/feed"] = rss(item(1, more=self.PAPER), item(2))

        fetch(source, TOMORROW)

        assert (Mention.objects.count(), Sighting.objects.count()) == (before[0], before[1] + 1)
