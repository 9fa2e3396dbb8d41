"""The only writer of papers: identity, merging, counting, safe beside itself."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from digest.models import Batch, Paper, Sighting, Source
from digest.papers.ingest import Ingested, ingest
from digest.sources.records import PaperRecord, Parsed, Rejected

FRIDAY = date(2026, 7, 24)
NOON = datetime(2026, 7, 24, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=3)

pytestmark = pytest.mark.django_db


@pytest.fixture
def huggingface() -> Source:
    return Source.objects.get(slug="huggingface")


@pytest.fixture
def arxiv() -> Source:
    return Source.objects.get(slug="arxiv")


def record(number: int = 1, **said: Any) -> PaperRecord:
    fields: dict[str, Any] = {
        "position": number,
        "listing_day": FRIDAY,
        "arxiv_id": f"2607.{number:05d}",
        "title": f"Paper {number}",
        "abstract": "An abstract.",
        "authors": ("Ada Lovelace",),
        "votes": 3,
        "comments": 0,
    }
    return PaperRecord(**(fields | said))


def store(
    source: Source, *records: PaperRecord, now: datetime = NOON, day: date = FRIDAY, **options: Any
) -> Ingested:
    parsed = Parsed(declared=len(records), records=records)
    return ingest(parsed, source=source, listing_day=day, now=now, **options)


class TestWhatNoDatabaseTakes:
    """One entry of a source must never cost the others of its day."""

    @pytest.mark.parametrize("bad", ["\x00", "\ud800"])
    def test_in_a_note_or_a_problem_is_written_out(self, huggingface: Source, bad: str) -> None:
        rejected = (Rejected(position=1, problem=f"Entry 1 ({bad}) has no title.", raw={bad: bad}),)
        parsed = Parsed(declared=2, records=(record(),), rejected=rejected, notes=(f"Entry 0 ({bad}): odd.",))

        done = ingest(parsed, source=huggingface, listing_day=FRIDAY, now=NOON)

        assert (done.parsed, done.rejected) == (1, 1)
        written = "\\u0000" if bad == "\x00" else "\\ud800"
        assert done.errors == (f"Entry 1 ({written}) has no title.", f"Entry 0 ({written}): odd.")


class TestNewPapers:
    def test_have_readable_texts(self, huggingface: Source) -> None:
        store(
            huggingface,
            record(
                title="$\\tau$-bench\n  at $1.58$-bit",
                abstract='T\\"ULU &amp; 5\\%',
                authors=('J\\"urgen', " ", "\u202eAda"),
                organization="IST  Austria",
                summary="\\textbf{One} line",
                keywords=("$\\alpha$", ""),
            ),
        )

        paper = Paper.objects.get()
        assert (paper.title, paper.abstract) == ("τ-bench at 1.58-bit", "TÜLU & 5%")
        assert (paper.authors, paper.organization) == (["Jürgen", "Ada"], "IST Austria")
        assert (paper.summary, paper.keywords) == ("One line", ["α"])

    def test_are_known_by_their_arxiv_id_without_version(self, huggingface: Source) -> None:
        store(huggingface, record(arxiv_id="2607.00001v3"))

        paper = Paper.objects.get()
        assert (paper.key, paper.arxiv_id, paper.url) == (
            "arxiv:2607.00001",
            "2607.00001",
            "https://arxiv.org/abs/2607.00001",
        )

    def test_zero_is_zero_and_unknown_is_null(self, huggingface: Source) -> None:
        store(huggingface, record(votes=0, comments=None))

        paper = Paper.objects.get()
        assert (paper.votes, paper.comments, paper.stars, paper.counted_at) == (0, None, None, NOON)

    def test_one_paper_under_two_spellings_of_its_id_is_one(self, huggingface: Source) -> None:
        done = store(huggingface, record(arxiv_id="2607.00001"), record(arxiv_id="2607.00001v2"))

        assert (done.new, Paper.objects.count()) == (1, 1)

    def test_an_entry_without_identity_or_title_is_set_aside(self, huggingface: Source) -> None:
        done = store(
            huggingface,
            record(1, arxiv_id="nonsense", raw={"id": "nonsense"}),
            record(2, title="\\label{x}", raw={"nul": "\0", "half": "\ud800"}),
            record(3),
        )

        assert (done.parsed, done.new, done.rejected) == (1, 1, 2)
        assert list(done.batch.set_aside.order_by("position").values_list("problem", "raw")) == [
            (
                "Entry 1 cannot be told from others: not an arXiv id, DOI or address: id 'nonsense'.",
                '{"id": "nonsense"}',
            ),
            (
                "Entry 2 (arxiv:2607.00002) has no title once markup is taken away.",
                '{"nul": "\\u0000", "half": "\\ud800"}',
            ),
        ]

    def test_a_withdrawn_paper_that_nobody_knew_is_stored_but_in_no_list(self, huggingface: Source) -> None:
        done = store(huggingface, record(withdrawn_at=NOON))

        assert (done.parsed, done.new, Paper.objects.get().withdrawn_at) == (1, 1, NOON)
        assert not Paper.objects.listed_on(FRIDAY).exists()

    def test_a_withdrawn_paper_that_is_known_is_marked(self, huggingface: Source) -> None:
        store(huggingface, record())

        done = store(huggingface, record(withdrawn_at=LATER), now=LATER)

        assert done.updated == 1
        assert not Paper.objects.listed_on(FRIDAY).exists()


class TestAgain:
    def test_changes_nothing(self, huggingface: Source) -> None:
        records = [record(number) for number in range(5)]
        store(huggingface, *records)

        done = store(huggingface, *records, now=LATER)

        assert (done.new, done.updated, Sighting.objects.count()) == (0, 0, 5)
        assert set(Paper.objects.values_list("updated_at", "counted_at")) == {(NOON, LATER)}

    def test_the_batch_counts_new_papers_over_all_readings(self, huggingface: Source) -> None:
        store(huggingface, record(1))
        done = store(huggingface, record(1, votes=4), record(2), now=LATER)

        assert (done.new, done.updated) == (1, 1)
        assert (done.batch.declared, done.batch.new, done.batch.updated) == (2, 2, 1)

    def test_what_a_source_no_longer_says_stays_known(self, huggingface: Source) -> None:
        store(
            huggingface,
            record(summary="One line.", summary_source="Hugging Face", code_url="https://github.com/a/b"),
        )

        store(huggingface, record(abstract="", authors=(), votes=None), now=LATER)

        paper = Paper.objects.get()
        assert (paper.abstract, paper.authors, paper.votes) == ("An abstract.", ["Ada Lovelace"], 3)
        assert (paper.summary, paper.summary_source, paper.code_url) == (
            "One line.",
            "Hugging Face",
            "https://github.com/a/b",
        )

    def test_a_paper_that_left_the_list_keeps_its_sighting(self, huggingface: Source) -> None:
        store(huggingface, record(1), record(2))
        done = store(huggingface, record(2), now=LATER)

        assert done.declared == 1
        assert Paper.objects.listed_on(FRIDAY).count() == 2


class TestMerging:
    def test_arxiv_owns_the_text_and_hugging_face_the_numbers(
        self, huggingface: Source, arxiv: Source
    ) -> None:
        store(
            huggingface,
            record(title="From HF", abstract="HF", organization="Acme", code_url="https://github.com/a/b"),
        )
        store(
            arxiv,
            record(
                title="From arXiv",
                abstract="arXiv",
                authors=("A", "B"),
                primary_category="cs.CL",
                categories=("cs.CL", "cs.AI"),
                votes=None,
                comments=None,
                code_url="https://elsewhere.example/",
            ),
            now=LATER,
        )
        store(huggingface, record(title="From HF again", abstract="HF again", votes=9), now=LATER)

        paper = Paper.objects.get()
        assert (paper.title, paper.abstract, paper.authors) == ("From arXiv", "arXiv", ["A", "B"])
        assert (paper.primary_category, paper.categories) == ("cs.CL", ["cs.CL", "cs.AI"])
        assert (paper.votes, paper.organization, paper.code_url) == (9, "Acme", "https://github.com/a/b")

    def test_any_source_fills_what_is_empty(self, huggingface: Source, arxiv: Source) -> None:
        store(arxiv, record(abstract="", votes=None))
        store(huggingface, record(title="HF", abstract="HF's"), now=LATER)

        paper = Paper.objects.get()
        assert (paper.title, paper.abstract) == ("Paper 1", "HF's")

    def test_an_id_that_belongs_to_another_paper_is_left_there(self, huggingface: Source) -> None:
        store(huggingface, record(1), record(2, arxiv_id="", doi="10.1000/x"))

        store(huggingface, record(1, doi="10.1000/x"), now=LATER)

        assert list(Paper.objects.order_by("key").values_list("key", "doi")) == [
            ("arxiv:2607.00001", None),
            ("doi:10.1000/x", "10.1000/x"),
        ]

    def test_a_doi_leads_to_the_paper_that_has_it(self, huggingface: Source) -> None:
        store(huggingface, record(1, doi="10.1000/x"))

        done = store(huggingface, record(1, arxiv_id="", doi="10.1000/X", votes=5), now=LATER)

        assert (done.new, Paper.objects.get().votes) == (0, 5)

    def test_reading_the_earlier_of_two_lists_again_does_not_undo_the_later(
        self, huggingface: Source
    ) -> None:
        week_later = FRIDAY + timedelta(days=7)
        store(huggingface, record(title="Early", votes=3))
        store(huggingface, record(title="Late", votes=9, listing_day=week_later), day=week_later, now=LATER)

        again = store(huggingface, record(title="Early", votes=3), now=LATER)

        paper = Paper.objects.get()
        assert (again.updated, paper.title, paper.votes) == (0, "Late", 9)

    def test_the_first_listing_day_is_the_earliest(self, huggingface: Source) -> None:
        store(huggingface, record())
        earlier = FRIDAY - timedelta(days=7)
        store(huggingface, record(listing_day=earlier), day=earlier, now=LATER)

        assert Paper.objects.get().first_listed_on == earlier


class TestCost:
    def test_the_number_of_queries_does_not_grow_with_the_list(self, huggingface: Source) -> None:
        counts = []
        for size in (1, 60):
            day = FRIDAY - timedelta(days=size)
            records = [record(size * 100 + number) for number in range(size)]
            for votes in (3, 4):  # first all new, then all changed
                with CaptureQueriesContext(connection) as queries:
                    store(
                        huggingface,
                        *(replace(one, votes=votes) for one in records),
                        day=day,
                        now=NOON + timedelta(hours=votes),
                    )
                counts.append(len(queries))

        assert counts[0] == counts[2]
        assert counts[1] == counts[3]
        assert max(counts) <= 20

    def test_rejected_entries_need_no_record(self, huggingface: Source) -> None:
        done = ingest(
            Parsed(declared=1, rejected=(Rejected(position=0, problem="Entry 0 is broken.", raw=[1]),)),
            source=huggingface,
            listing_day=FRIDAY,
            now=NOON,
        )

        assert (done.errors, done.batch.errors, done.rejected) == (
            ("Entry 0 is broken.",),
            ["Entry 0 is broken."],
            1,
        )


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
class TestBesideItself:
    def test_the_same_list_stored_four_times_at_once_is_stored_once(self) -> None:
        source, _created = Source.objects.get_or_create(
            slug="huggingface",
            defaults={"name": "HF", "kind": Source.Kind.HUGGINGFACE, "next_fetch_at": NOON},
        )
        records = [record(number) for number in range(30)]

        def run(turn: int) -> int:
            try:
                return store(source, *records, now=NOON + timedelta(seconds=turn)).new
            finally:
                connections.close_all()

        with ThreadPoolExecutor(4) as threads:
            new = list(threads.map(run, range(4)))

        assert sorted(new) == [0, 0, 0, 30]
        assert (Paper.objects.count(), Sighting.objects.count(), Batch.objects.count()) == (30, 30, 1)
        assert Batch.objects.get().new == 30
