"""What was listed on a day, and how completely it was read."""

from datetime import timedelta
from typing import Any

import pytest

from digest.models import SetAside, Source
from digest.papers import days
from digest.papers.days import State
from tests.factories import (
    DAY,
    NOON,
    BatchFactory,
    PaperFactory,
    SightingFactory,
    SourceFactory,
    listed_paper,
)

pytestmark = pytest.mark.django_db  # DAY is a Thursday and no holiday of arXiv's


@pytest.fixture
def arxiv() -> Source:
    return SourceFactory(slug="arxiv")


def batch(source: Source, category: str = "", **values: Any) -> Any:
    values = {"declared": 3, "parsed": 3, "fetched_at": NOON, "settled_at": NOON, "listing_day": DAY} | values
    made = BatchFactory(source=source, category=category, listing_day=values.pop("listing_day"))
    type(made).objects.filter(pk=made.pk).update(**values)
    made.refresh_from_db()
    return made


class TestReadings:
    def test_are_one_for_each_category(self, arxiv: Source) -> None:
        for category in ("cs.LG", "cs.AI"):
            BatchFactory._meta.model.objects.create(
                source=arxiv, category=category, listing_day=DAY, fetched_at=NOON, declared=9, rejected=2
            )

        assert [(one.name, one.state, one.read, one.declared) for one in days.readings(DAY)] == [
            ("arXiv cs.AI", State.PARTIAL, 7, 9),
            ("arXiv cs.LG", State.PARTIAL, 7, 9),
        ]

    @pytest.mark.parametrize(
        ("values", "state"),
        [
            ({}, State.COMPLETE),
            ({"settled_at": None}, State.GROWING),
            ({"fetched_at": None, "settled_at": None}, State.UNREAD),
            ({"rejected": 1}, State.PARTIAL),
            ({"errors": ["Entry 2 is the same as entry 1."]}, State.COMPLETE),  # a note, nothing missing
            ({"declared": 0, "errors": ["Empty: a holiday, or trouble."]}, State.PARTIAL),
        ],
    )
    def test_say_how_completely(self, values: dict[str, Any], state: State) -> None:
        batch(SourceFactory(), **values)

        assert [one.state for one in days.readings(DAY)] == [state]

    def test_name_what_was_expected_and_never_asked_for(self, arxiv: Source) -> None:
        Source.objects.filter(pk=arxiv.pk).update(enabled=True, categories=["cs.CL"])
        batch(arxiv, "cs.CL", listing_day=DAY - timedelta(days=1))

        assert [(one.name, one.state) for one in days.readings(DAY)] == [("arXiv cs.CL", State.UNREAD)]
        assert days.readings(DAY + timedelta(days=2)) == []  # Saturday


class TestAccounts:
    def test_count_distinct_papers_over_all_sources(self, arxiv: Source) -> None:
        one, other = listed_paper(), listed_paper()
        batch(SourceFactory())
        home = batch(arxiv, "cs.CL")
        batch_of_ai = type(home).objects.create(
            source=arxiv, category="cs.AI", listing_day=DAY, fetched_at=NOON, settled_at=NOON
        )
        SightingFactory(paper=one, batch=home)
        SightingFactory(paper=PaperFactory(), batch=batch_of_ai, is_listing=False, announce_type="replace")
        SightingFactory(paper=other, batch=batch_of_ai, is_listing=False, announce_type="discussed")

        account = days.accounts(DAY)

        assert (account.announced, account.updated, account.categories) == (2, 1, 2)
        assert account.sources == ("arXiv", "Hugging Face Daily Papers")
        assert (account.is_complete, account.missing) == (True, ())

    def test_say_what_is_missing(self, arxiv: Source) -> None:
        mine = batch(SourceFactory(), rejected=1, settled_at=None)
        SetAside.objects.create(batch=mine, position=0, problem="No title.", raw="{}", seen_at=NOON)
        batch(arxiv, "cs.CL", fetched_at=None)

        account = days.accounts(DAY)

        assert not account.is_complete
        assert account.missing == (
            "Not read: arXiv.",
            "1 entry of Hugging Face Daily Papers could not be read.",
        )

    def test_a_list_that_was_last_read_before_the_day_was_over_is_not_complete(self) -> None:
        batch(SourceFactory(), settled_at=None)

        assert days.accounts(DAY).missing == (
            "Last read on 20 August at 12:00 UTC, before the day was over: Hugging Face Daily Papers.",
        )

    def test_a_day_of_which_nothing_is_known_is_not_complete(self) -> None:
        account = days.accounts(DAY)

        assert (account.announced, account.is_complete, account.sources) == (0, False, ())
