"""Papers that other sources tell too little of, looked up at a local arXiv."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from digest import tasks
from digest.models import Batch, Mention, Paper, Sighting, Source
from digest.papers import days, lookups, sample
from digest.sources import clock
from digest.sources.arxiv import doors
from digest.sources.http import Client, Pace
from tests.arxiv_server import (
    ERROR_PAGE,
    RATE_EXCEEDED,
    UNAVAILABLE,
    ArxivServer,
    api_error,
    arxiv_server,
    free_clock,
    paper,
)
from tests.factories import BatchFactory, PaperFactory, SightingFactory
from tests.servers import Reply

THURSDAY = date(2026, 8, 20)
NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)
TEN_MINUTES = timedelta(minutes=10)

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
        yield running


def fill(now: datetime = NOON, **options: Any) -> lookups.Filled:
    return lookups.fill(now=now, client=Client(sleep=lambda _seconds: None, pace=Pace()), **options)


def listed(arxiv_id: str, **fields: Any) -> Paper:
    """A paper of Hugging Face's list of Thursday, which says nothing of categories."""
    one = PaperFactory(arxiv_id=arxiv_id, first_listed_on=THURSDAY, **fields)
    SightingFactory(paper=one, batch=BatchFactory(listing_day=THURSDAY))
    return one


def mentioned(arxiv_id: str, *, seen_at: datetime = NOON) -> Mention:
    post = PaperFactory(
        arxiv_id=None, key=f"url:https://blog.example/{arxiv_id}", kind="post", url="https://b.example"
    )
    return Mention.objects.create(
        post=post, key=f"arxiv:{arxiv_id}", source=Source.objects.get(slug="huggingface"), seen_at=seen_at
    )


def asked(server: ArxivServer) -> list[list[str]]:
    return [one.params["id_list"].split(",") for one in server.asked]


class TestListedPapers:
    def test_get_their_categories_in_one_request(self, server: ArxivServer) -> None:
        server.announce(THURSDAY, [paper("2608.00001", "cs.CL", "cs.AI"), paper("2608.00002", "stat.ML")])
        one, other = listed("2608.00001"), listed("2608.00002")

        done = fill()

        assert (done.asked, done.found, done.unknown, done.problem) == (2, 2, (), "")
        (request,) = server.asked
        assert request.params["max_results"] == "2"  # the server's default is ten
        one.refresh_from_db()
        other.refresh_from_db()
        assert (one.primary_category, one.categories) == ("cs.CL", ["cs.CL", "cs.AI"])
        assert other.categories == ["stat.ML"]
        assert one.published_at == datetime(2026, 8, 19, 12, tzinfo=UTC)
        assert one.votes == 10  # Hugging Face's word on that stands
        assert one.looked_up_at == NOON

    def test_are_put_on_no_other_list(self, server: ArxivServer) -> None:
        server.announce(THURSDAY, [paper("2608.00001")])
        one = listed("2608.00001")
        before = days.accounts(THURSDAY)

        fill(NOON + timedelta(days=1))

        sighting = Sighting.objects.get(source__slug="arxiv")
        assert (sighting.is_listing, sighting.batch.door) == (False, lookups.DOOR)
        assert sighting.batch.settled_at  # nobody's day waits for it
        assert days.papers_of(date(2026, 8, 21)).count() == 0
        one.refresh_from_db()
        assert one.first_listed_on == THURSDAY
        assert days.accounts(THURSDAY) == before
        assert "arXiv" not in [one.name for one in days.readings(date(2026, 8, 21))]

    def test_that_have_categories_are_not_asked_for(self, server: ArxivServer) -> None:
        listed("2608.00001", categories=["cs.CL"])

        assert fill() == lookups.Filled()
        assert server.asked == []

    def test_that_are_old_are_not_asked_for(self, server: ArxivServer) -> None:
        PaperFactory(first_listed_on=THURSDAY - timedelta(days=14))

        assert fill() == lookups.Filled()

    def test_of_the_sample_are_not_asked_for(self, server: ArxivServer) -> None:
        sample.load(now=NOON, days=3)

        assert fill() == lookups.Filled()

    def test_that_arxiv_does_not_know_are_not_asked_for_daily(self, server: ArxivServer) -> None:
        one = listed("2608.00001")

        assert fill().unknown == ("2608.00001",)
        assert fill(NOON + TEN_MINUTES) == lookups.Filled()
        assert fill(NOON + timedelta(days=2)) == lookups.Filled()
        assert fill(NOON + timedelta(days=3)).asked == 1
        one.refresh_from_db()
        assert one.looked_up_at == NOON + timedelta(days=3)

    def test_ids_that_are_none_are_never_sent(self, server: ArxivServer) -> None:
        server.announce(THURSDAY, [paper("2608.00001")])
        listed("abc")
        listed("2608.00001")

        assert fill().found == 1
        assert asked(server) == [["2608.00001"]]

    def test_more_than_two_hundred_take_more_than_one_request(self, server: ArxivServer) -> None:
        papers = [paper(f"2608.{number:05}") for number in range(250)]
        server.announce(THURSDAY, papers)
        for one in papers:
            PaperFactory(arxiv_id=one.arxiv_id, first_listed_on=THURSDAY)

        assert fill(limit=300).found == 250
        assert [len(ids) for ids in asked(server)] == [200, 50]

    def test_a_second_run_takes_up_what_the_first_left(self, server: ArxivServer) -> None:
        papers = [paper(f"2608.{number:05}") for number in range(5)]
        server.announce(THURSDAY, papers)
        for one in papers:
            PaperFactory(arxiv_id=one.arxiv_id, first_listed_on=THURSDAY)

        assert [fill(limit=3).found, fill(NOON + TEN_MINUTES, limit=3).found, fill(limit=3).asked] == [
            3,
            2,
            0,
        ]


class TestMentionedPapers:
    def test_become_known_without_being_listed(self, server: ArxivServer) -> None:
        server.announce(THURSDAY, [paper("2608.00001", "cs.CL")])
        mentioned("2608.00001")

        assert fill().found == 1

        one = Paper.objects.get(arxiv_id="2608.00001")
        assert (one.title, one.categories) == ("Invented paper 2608.00001", ["cs.CL"])
        assert not one.sightings.filter(is_listing=True).exists()

    def test_that_are_known_are_not_asked_for(self, server: ArxivServer) -> None:
        mentioned("2608.00001")
        listed("2608.00001", categories=["cs.CL"])

        assert fill() == lookups.Filled()

    def test_unknown_ones_are_asked_for_once_a_day_and_new_ones_at_once(self, server: ArxivServer) -> None:
        mentioned("2608.00001", seen_at=NOON - timedelta(hours=1))
        server.announce(THURSDAY, [paper("2608.00002")])
        assert fill().unknown == ("2608.00001",)

        assert fill(NOON + TEN_MINUTES) == lookups.Filled()
        mentioned("2608.00002", seen_at=NOON + TEN_MINUTES)
        assert fill(NOON + 2 * TEN_MINUTES).asked == 1
        assert fill(NOON + timedelta(days=1)).unknown == ("2608.00001",)
        assert asked(server) == [["2608.00001"], ["2608.00002"], ["2608.00001"]]


class TestTrouble:
    def test_one_id_that_the_api_refuses_does_not_cost_the_others(self, server: ArxivServer) -> None:
        papers = [paper(f"2608.0000{number}") for number in range(5)]
        server.announce(THURSDAY, papers)
        for one in papers:
            listed(one.arxiv_id)

        def refuse_one(request: Any, query: str, answer: Any = server.answer) -> Reply:
            if "2608.00003" in request.params["id_list"]:
                return Reply(status=400, body=api_error("incorrect id format for 2608.00003"))
            return answer(request, query)

        server.answer = refuse_one

        done = fill()

        assert (done.found, done.unknown) == (4, ("2608.00003",))

    def test_an_answer_with_nothing_in_it_is_asked_for_again(self, server: ArxivServer) -> None:
        server.announce(THURSDAY, [paper("2608.00001")])
        server.holes = 2
        listed("2608.00001")

        assert fill().found == 1

    def test_one_that_stays_empty_says_nothing_of_the_papers(self, server: ArxivServer) -> None:
        server.announce(THURSDAY, [paper("2608.00001")])
        server.holes = 9
        one = listed("2608.00001")

        assert "gave none of them" in fill().problem
        one.refresh_from_db()
        assert one.looked_up_at is None

    @pytest.mark.parametrize("replies", [[RATE_EXCEEDED] * 4, [UNAVAILABLE] * 4, [ERROR_PAGE]])
    def test_arxiv_is_left_alone_for_half_an_hour_then_for_an_hour(
        self, server: ArxivServer, replies: list[Reply]
    ) -> None:
        server.replies["api"] = list(replies)
        listed("2608.00001")

        assert fill().problem
        count = len(server.asked)
        assert fill(NOON + TEN_MINUTES) == lookups.Filled()
        assert len(server.asked) == count
        until = clock.closed_until(doors.API_DOOR)
        assert until is not None
        assert timedelta(minutes=29) < until - clock.now() <= timedelta(minutes=30)
        assert clock.closed_until(doors.CLOCK, doors.FEED_DOOR, doors.OAI_DOOR) is None

    def test_what_was_not_asked_for_is_not_taken(self, server: ArxivServer) -> None:
        listed("2608.00001")
        server.announce(THURSDAY, [paper("2608.00001"), paper("2608.00009")])
        server.answer = lambda request, query, answer=server.answer: answer(
            type(request)(path=request.path, params={"id_list": "2608.00009,2608.00001"}, headers={}), query
        )

        fill()

        assert not Paper.objects.filter(arxiv_id="2608.00009").exists()

    def test_nothing_to_do_asks_nobody(self, server: ArxivServer) -> None:
        tasks.look_up_due()

        assert server.asked == []
        assert not Batch.objects.filter(door=lookups.DOOR).exists()


class TestFind:
    def test_gives_the_record_and_stores_nothing(self, server: ArxivServer) -> None:
        server.announce(THURSDAY, [paper("math/0309136", "math.GT")])

        record = lookups.find("math/0309136")

        assert record is not None
        assert (record.arxiv_id, record.categories) == ("math/0309136", ("math.GT",))
        assert not Paper.objects.exists()

    @pytest.mark.parametrize("arxiv_id", ["2608.99999", "abc", "", "2608.00001v2"])
    def test_gives_none_for_what_arxiv_does_not_know(self, server: ArxivServer, arxiv_id: str) -> None:
        assert lookups.find(arxiv_id) is None
