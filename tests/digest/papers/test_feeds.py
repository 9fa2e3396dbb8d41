"""Feeds that an operator adds, by whatever address."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from digest.models import Source
from digest.papers import feeds
from digest.sources.http import Client, Pace, SourceError
from tests.servers import Reply, WebServer, web_server

NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
FEED = (
    b"<rss version='2.0'><channel><title>Lab &amp;amp; Co</title><link>https://lab.example/</link>"
    b"<item><title>x</title><link>https://lab.example/x</link></item></channel></rss>"
)
PAPERS = FEED.replace(b"lab.example/x", b"arxiv.org/abs/2608.00001")
FORUM = FEED.replace(b"<channel>", b"<channel><generator>Discourse</generator>")

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(settings: Any) -> Iterator[WebServer]:
    with web_server() as running:
        settings.TRUSTED_FEED_HOSTS = [running.host]
        yield running


def client() -> Client:
    return Client(attempts=1, pace=Pace())


def add(address: str, **options: Any) -> Source:
    return feeds.add(address, now=NOON, client=client(), **options)


def page(*links: str) -> bytes:
    heads = "".join(f'<link rel="alternate" type="application/rss+xml" href="{link}">' for link in links)
    return f"<!doctype html><html><head>{heads}</head><body>Hello</body></html>".encode()


class TestAdd:
    def test_takes_a_feed_s_address(self, site: WebServer) -> None:
        site.pages["/rss"] = FEED

        source = add(f"{site.url}/rss")

        assert (source.kind, source.url, source.enabled) == ("feed", f"{site.url}/rss", True)
        assert (source.name, source.slug, source.gives) == ("Lab & Co", "lab-co", "post")
        assert source.next_fetch_at == NOON

    def test_takes_the_feed_that_the_site_names(self, site: WebServer) -> None:
        site.pages["/"] = page("/broken", "/blog/feed")
        site.pages["/broken"] = Reply(status=500)
        site.pages["/blog/feed"] = FEED

        assert add(site.url).url == f"{site.url}/blog/feed"

    def test_looks_in_the_usual_places_as_a_last_resort_and_no_further(self, site: WebServer) -> None:
        site.pages["/"] = page()
        site.pages["/feed.xml"] = FEED

        assert add(site.url).url == f"{site.url}/feed.xml"
        assert [asked.path for asked in site.asked] == ["/", "/feed/", "/rss.xml", "/feed.xml"]

    def test_says_where_there_is_none(self, site: WebServer) -> None:
        site.pages["/"] = page()

        with pytest.raises(
            SourceError, match=r"no feed at .*an HTML page.*its page names no feed.*Look on the site"
        ):
            add(site.url)

        assert len(site.asked) == 4

    def test_reads_a_few_of_many_named_feeds(self, site: WebServer) -> None:
        site.pages["/"] = page(*(f"/{number}" for number in range(50)))

        with pytest.raises(SourceError, match="cannot be read"):
            add(site.url)

        assert len(site.asked) == 1 + feeds.MOST_TRIED

    def test_remembers_where_it_moved(self, site: WebServer) -> None:
        site.pages["/old"] = Reply(status=301, headers={"Location": "/new"})
        site.pages["/new"] = FEED

        assert add(f"{site.url}/old").url == f"{site.url}/new"

    @pytest.mark.parametrize(("body", "gives"), [(FEED, "post"), (PAPERS, "paper"), (FORUM, "forum")])
    def test_guesses_what_it_gives(self, site: WebServer, body: bytes, gives: str) -> None:
        site.pages["/rss"] = body

        assert add(f"{site.url}/rss").gives == gives

    def test_what_is_said_outweighs_what_is_guessed(self, site: WebServer) -> None:
        site.pages["/rss"] = FEED

        source = add(f"{site.url}/rss", name="The Lab", gives="news")

        assert (source.name, source.slug, source.gives) == ("The Lab", "the-lab", "news")

    def test_two_of_one_name_have_two_slugs(self, site: WebServer) -> None:
        site.pages["/a"] = site.pages["/b"] = FEED

        assert [add(f"{site.url}/a").slug, add(f"{site.url}/b").slug] == ["lab-co", "lab-co-2"]

    def test_a_name_without_latin_letters_has_a_slug_too(self, site: WebServer) -> None:
        site.pages["/a"] = FEED

        assert add(f"{site.url}/a", name="实验室").slug == "feed"

    def test_says_what_is_read_already(self, site: WebServer) -> None:
        site.pages["/rss"] = FEED
        add(f"{site.url}/rss")

        with pytest.raises(SourceError, match="is read already, as 'Lab & Co'"):
            add(f"{site.url}/rss")

        Source.objects.update(enabled=False)
        with pytest.raises(SourceError, match="switch it on"):
            add(f"{site.url}/rss")

    @pytest.mark.parametrize(
        ("address", "problem"),
        [
            ("http://127.0.0.1:9999/feed", "not on the public internet"),
            ("127.0.0.1", "not on the public internet"),
            ("http://169.254.169.254/latest/meta-data/", "not on the public internet"),
            ("http://[::1]/", "not on the public internet"),
            ("file:///etc/passwd", "not an address that can be asked"),
            ("http://user:secret@lab.example/", "name or a password"),
            ("http://lab.example:25/", "port 25"),
            ("", "not an address that can be asked"),
            ("https://rss.arxiv.org/rss/cs.CL", "arXiv has a source of its own"),
            ("http://[bad", "not an address that can be asked"),
        ],
    )
    def test_refuses_other_addresses_in_words(self, address: str, problem: str) -> None:
        with pytest.raises(SourceError, match=problem) as raised:
            add(address)

        assert "secret" not in str(raised.value)
        assert not Source.objects.filter(kind="feed").exists()

    def test_a_site_cannot_send_us_into_a_private_network(self, site: WebServer) -> None:
        with web_server() as private:
            private.pages["/feed"] = FEED
            site.pages["/"] = page(f"{private.url}/feed")

            with pytest.raises(SourceError, match="no feed"):
                add(site.url)

            assert private.asked == []
