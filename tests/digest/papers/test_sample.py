from datetime import UTC, date, datetime, timedelta

import pytest

from digest.models import Batch, Edition, EditionPaper, Paper, Sighting, Source
from digest.papers import sample
from digest.papers.text import readable
from subscriptions.models import Mailing

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
YESTERDAY = date(2026, 11, 21)

pytestmark = pytest.mark.django_db


class TestLoad:
    def test_fills_fourteen_days_up_to_yesterday(self) -> None:
        papers = sample.load(now=NOON)

        days = set(Batch.objects.values_list("listing_day", flat=True))
        assert days == {YESTERDAY - timedelta(days=age) for age in range(14)}
        assert papers == Paper.objects.count() >= 60
        assert all(Paper.objects.listed_on(day).count() >= 3 for day in days)

    def test_is_marked_and_settled(self) -> None:
        sample.load(now=NOON)

        assert set(Batch.objects.values_list("is_sample", "settled_at")) == {(True, NOON)}

    def test_twice_on_a_day_changes_nothing(self) -> None:
        first = sample.load(now=NOON)
        before = list(Sighting.objects.order_by("pk").values_list("pk", "seen_at"))

        assert sample.load(now=NOON + timedelta(hours=1)) == first
        assert list(Sighting.objects.order_by("pk").values_list("pk", "seen_at")) == before

    def test_is_shifted_when_it_has_aged(self) -> None:
        sample.load(now=NOON)

        sample.load(now=NOON + timedelta(days=2))

        days = sorted(Batch.objects.values_list("listing_day", flat=True))
        assert (days[0], days[-1], len(days)) == (
            YESTERDAY - timedelta(days=11),
            YESTERDAY + timedelta(days=2),
            14,
        )

    def test_papers_are_complete(self) -> None:
        sample.load(now=NOON)

        for paper in Paper.objects.all():
            assert paper.arxiv_id
            assert paper.authors
            assert 20 < len(paper.summary) < 200, paper.summary
            assert 80 < len(paper.abstract) < 700, paper.abstract
            assert paper.summary_source == ""  # people wrote it, so no page and no mail says "machine"
            assert None not in (paper.votes, paper.comments)
            assert readable(paper.title) == paper.title

    @pytest.mark.parametrize(
        "words",
        ["post-training", "agent", "world model", "reasoning", "reinforcement learning", "multimodal",
         "diffusion", "robot", "retrieval", "safety", "speech", "benchmark", "memory", "distillation",
         "inference", "pre-training"],
    )  # fmt: skip
    def test_every_popular_topic_has_something(self, words: str) -> None:
        sample.load(now=NOON)

        hits = [
            paper
            for paper in Paper.objects.all()
            if words in f"{paper.title} {paper.abstract} {' '.join(paper.keywords)}".lower()
        ]

        assert len(hits) >= 2


class TestDiscard:
    def test_leaves_nothing(self) -> None:
        loaded = sample.load(now=NOON)

        assert sample.discard() == loaded
        assert not Paper.objects.exists()
        assert not Batch.objects.exists()
        assert Source.objects.exists()

    def test_keeps_papers_of_an_edition_but_lists_them_no_more(self) -> None:
        sample.load(now=NOON)
        paper = Paper.objects.listed_on(YESTERDAY).first()
        assert paper is not None
        mailing = Mailing.objects.create(
            kind="daily", label="daily 2026-11-21", opened_at=NOON, closes_at=NOON + timedelta(days=1)
        )
        edition = Edition.objects.create(kind="daily", date=YESTERDAY, mailing=mailing, opened_at=NOON)
        EditionPaper.objects.create(
            edition=edition, paper=paper, listing_day=YESTERDAY, position=1, score=1.0
        )

        sample.discard()

        assert list(Paper.objects.all()) == [paper]
        assert not Paper.objects.listed_on(YESTERDAY).exists()

    def test_without_a_sample_does_nothing(self) -> None:
        assert sample.discard() == 0
