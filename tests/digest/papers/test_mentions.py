"""Posts tied to the papers they discuss."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from digest.models import Mention, Paper, Sighting, Source
from digest.papers import mentions
from digest.papers.mentions import key_of, note, resolve
from digest.sources.records import PaperRecord
from tests.factories import DAY, NOON, BatchFactory, PaperFactory, SightingFactory, SourceFactory


class TestKeyOf:
    @pytest.mark.parametrize(
        ("address", "key"),
        [
            ("https://arxiv.org/abs/2608.00001v3", "arxiv:2608.00001"),
            ("https://arxiv.org/pdf/2608.00001.pdf", "arxiv:2608.00001"),
            ("http://www.arxiv.org/html/2608.00001", "arxiv:2608.00001"),
            ("https://huggingface.co/papers/2608.00001", "arxiv:2608.00001"),
            ("https://arxiv.org/abs/math.GT/0309136", "arxiv:math/0309136"),
            ("https://doi.org/10.48550/arXiv.2608.00001", "arxiv:2608.00001"),
            ("https://doi.org/10.1000/ABC", "doi:10.1000/abc"),
            ("https://dx.doi.org/10.1000/abc", "doi:10.1000/abc"),
            ("https://arxiv.org/list/cs.CL/new", ""),
            ("https://huggingface.co/papers/date/2026-08-20", ""),
            ("https://doi.org/", ""),
            ("https://evil.example/abs/2608.00001", ""),
            ("https://notdoi.org/10.1000/abc", ""),
            ("http://[bad", ""),
            ("", ""),
        ],
    )
    def test_knows_a_paper_s_page(self, address: str, key: str) -> None:
        assert key_of(address) == key


@pytest.fixture
def source() -> Source:
    return SourceFactory(slug="lab", name="Lab", kind="feed", gives="post")


def record(number: int, *links: str) -> PaperRecord:
    url = f"https://lab.example/{number}"
    return PaperRecord(
        position=number, listing_day=DAY, title=f"Post {number}", url=url, kind="post", mentions=links
    )


def post(source: Source, number: int) -> Paper:
    url = f"https://lab.example/{number}"
    paper = PaperFactory(key=f"url:{url}", url=url, arxiv_id=None, kind="post")
    SightingFactory(paper=paper, batch=BatchFactory(source=source, listing_day=DAY))
    Sighting.objects.filter(paper=paper).update(url=url)
    return paper


ARXIV = "https://arxiv.org/abs/2608.00001"


@pytest.mark.django_db
class TestNote:
    def test_waits_for_a_paper_that_nobody_knows(self, source: Source) -> None:
        of = post(source, 1)

        assert note([record(1, ARXIV)], source=source, now=NOON) == 0

        mention = Mention.objects.get()
        assert (mention.post, mention.key, mention.paper) == (of, "arxiv:2608.00001", None)

    def test_takes_twenty_papers_of_a_post_and_each_once(self, source: Source) -> None:
        post(source, 1)
        links = [f"https://arxiv.org/abs/2608.{number:05}" for number in range(30)]

        note([record(1, *links, *links, "https://lab.example/x")], source=source, now=NOON)

        assert Mention.objects.count() == mentions.MOST_PER_POST

    def test_a_paper_s_own_entry_discusses_nothing(self, source: Source) -> None:
        PaperFactory(arxiv_id="2608.00002")
        own = PaperRecord(
            position=0, listing_day=DAY, title="x", url="https://arxiv.org/abs/2608.00002", mentions=(ARXIV,)
        )

        note([own], source=source, now=NOON)

        assert not Mention.objects.exists()

    def test_a_record_that_was_set_aside_is_passed_over(self, source: Source) -> None:
        note(
            [PaperRecord(position=0, listing_day=DAY, title="x", mentions=(ARXIV,))], source=source, now=NOON
        )

        assert not Mention.objects.exists()


@pytest.mark.django_db
class TestResolve:
    def test_ties_what_waited_once_the_paper_is_known(self, source: Source) -> None:
        post(source, 1)
        post(source, 2)
        note([record(1, ARXIV), record(2, ARXIV)], source=source, now=NOON)
        paper = PaperFactory(arxiv_id="2608.00001")

        assert resolve(now=NOON + timedelta(days=3)) == 2
        assert resolve(now=NOON + timedelta(days=3)) == 0

        found = Sighting.objects.filter(paper=paper).order_by("url")
        assert [(one.url, one.announce_type, one.is_listing, one.listing_day) for one in found] == [
            ("https://lab.example/1", "discussed", False, DAY),
            ("https://lab.example/2", "discussed", False, DAY),
        ]
        assert all(NOON - one.seen_at < timedelta(seconds=1) for one in found)
        assert not Mention.objects.filter(paper=None).exists()

    @pytest.mark.parametrize("by", ["arxiv_id", "doi"])
    def test_knows_a_paper_that_was_called_otherwise_first(self, source: Source, by: str) -> None:
        post(source, 1)
        note([record(1, ARXIV, "https://doi.org/10.1000/x")], source=source, now=NOON)
        PaperFactory(
            key="url:https://lab.example/paper",
            arxiv_id="2608.00001" if by == "arxiv_id" else None,
            doi="10.1000/x" if by == "doi" else None,
        )

        assert resolve(now=NOON) == 1

    def test_puts_the_paper_on_no_list(self, source: Source) -> None:
        post(source, 1)
        PaperFactory(arxiv_id="2608.00001", first_listed_on=DAY - timedelta(days=30))

        note([record(1, ARXIV)], source=source, now=NOON)

        assert Sighting.objects.filter(is_listing=True, paper__arxiv_id="2608.00001").count() == 0

    def test_costs_one_question_where_nothing_waits(self, source: Source) -> None:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            resolve(now=NOON)

        reads = [one for one in asked.captured_queries if "SAVEPOINT" not in one["sql"]]
        assert len(reads) == 1


@pytest.mark.django_db
class TestPosts:
    def test_are_counted_once_each_for_the_work_that_they_speak_of(self, source: Source) -> None:
        paper = PaperFactory(arxiv_id="2608.00001")
        PaperFactory(arxiv_id="2608.00002", canonical=paper)
        other = PaperFactory(arxiv_id="2608.00003")
        PaperFactory(arxiv_id="2608.00004")
        first = post(source, 1)
        post(source, 2)
        again = post(source, 3)
        Paper.objects.filter(pk=again.pk).update(canonical=first)
        double = "https://arxiv.org/abs/2608.00002"
        note(
            [record(1, ARXIV, double), record(2, double), record(3, ARXIV)],
            source=source,
            now=NOON,
        )

        assert mentions.posts([paper.pk, other.pk]) == {paper.pk: 2}
        assert mentions.posts(Paper.objects.values("pk")) == {paper.pk: 2}
        assert mentions.posts([paper.pk], until=NOON - timedelta(hours=1)) == {}
