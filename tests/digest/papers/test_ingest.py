"""The only writer of papers: identity, merging, counting, safe beside itself."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from digest.models import Alarm, Batch, Merge, Paper, SetAside, Sighting, Source
from digest.papers import merging
from digest.papers.ingest import Ingested, ingest, ingest_all_days, read_again, settle
from digest.sources.records import PaperRecord, Parsed, Rejected
from tests.factories import SightingFactory

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


@pytest.fixture
def feed() -> Source:
    return Source.objects.create(slug="lab", name="Lab", kind=Source.Kind.FEED, next_fetch_at=NOON)


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

    def test_within_the_same_instant_adds_no_second_sighting(self, huggingface: Source) -> None:
        store(huggingface, record(votes=3))
        store(huggingface, record(votes=4))

        assert (Sighting.objects.count(), Paper.objects.get().votes) == (1, 4)

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

    def test_an_identifier_that_another_row_has_makes_the_two_one(self, huggingface: Source) -> None:
        store(huggingface, record(1), record(2, arxiv_id="", doi="10.1000/x"))
        first, second = Paper.objects.order_by("key")

        done = store(huggingface, record(1, doi="10.1000/x"), now=LATER)

        merge = Merge.objects.get()
        assert (merge.duplicate, merge.original, merge.how, merge.certainty) == (second, first, "doi", 1.0)
        assert merge.evidence == "One entry says of both: same DOI 10.1000/x."
        assert (done.merged, done.new) == (1, 0)
        assert list(Paper.objects.listed_on(FRIDAY)) == [first]

    def test_two_entries_of_one_list_may_make_two_rows_one(self, huggingface: Source) -> None:
        done = store(huggingface, record(1, doi="10.1000/x"), record(2, arxiv_id="", doi="10.1000/x"))

        assert (done.parsed, done.new, done.merged) == (2, 2, 1)
        assert list(Paper.objects.listed_on(FRIDAY).values_list("key", flat=True)) == ["arxiv:2607.00001"]
        assert Paper.objects.get(doi="10.1000/x").key == "doi:10.1000/x"

    def test_a_doi_that_two_arxiv_ids_claim_joins_nothing(self, huggingface: Source) -> None:
        done = store(huggingface, record(1, doi="10.1000/x"), record(2, doi="10.1000/x"))

        assert (done.new, done.merged) == (2, 0)
        assert sorted(Paper.objects.values_list("doi", flat=True), key=str) == ["10.1000/x", None]

    def test_an_address_that_turns_out_to_be_on_arxiv(self, feed: Source) -> None:
        store(feed, record(1, arxiv_id="", url="https://lab.example/logs"))

        done = store(feed, record(1, url="https://lab.example/logs"), now=LATER)

        assert (done.new, done.merged, Merge.objects.get().how) == (1, 1, "arxiv_id")

    def test_the_same_title_and_authors_are_one_paper(self, feed: Source, arxiv: Source) -> None:
        title = "Agents that read their own logs"
        store(feed, record(1, arxiv_id="", url="https://lab.example/logs", title=title))

        done = store(arxiv, record(2, title=title), now=LATER)

        assert (done.new, done.merged, Merge.objects.get().how) == (1, 1, "title")

    def test_what_is_said_of_a_merged_row_stays_its_own(self, huggingface: Source) -> None:
        store(huggingface, record(1), record(2))
        original, double = Paper.objects.order_by("key")
        merge = merging.merge(double, original, how="operator", certainty=1, evidence="Same.", now=NOON)

        store(huggingface, record(2, votes=8), now=LATER)
        merging.undo(merge, now=LATER)

        original.refresh_from_db()
        double.refresh_from_db()
        assert (original.votes, double.votes) == (3, 8)
        assert Paper.objects.listed_on(FRIDAY).count() == 2

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


class TestCategories:
    """arXiv is asked for several categories in one request; each has a batch of its own."""

    ASKED = ("cs.CL", "cs.AI", "stat.ML")

    @pytest.fixture
    def done(self, arxiv: Source) -> Ingested:
        return store(
            arxiv,
            record(1, primary_category="cs.CL", categories=("cs.CL", "cs.AI"), announce_type="new"),
            record(2, primary_category="cs.AI", categories=("cs.AI", "cs.CL"), announce_type="new"),
            record(3, primary_category="cs.CV", categories=("cs.CV", "cs.AI"), announce_type="cross"),
            record(
                4, primary_category="cs.CL", categories=("cs.CL",), announce_type="replace", is_listing=False
            ),
            record(5, primary_category="math.OC", categories=("math.OC",), announce_type="cross"),
            record(6, arxiv_id="nonsense", primary_category="cs.AI", categories=("cs.AI",)),
            categories=self.ASKED,
            door="rss",
        )

    def test_have_a_batch_each_with_their_own_numbers(self, done: Ingested) -> None:
        numbers = {
            batch.category: (batch.declared, batch.parsed, batch.new, batch.cross, batch.rejected)
            for batch in Batch.objects.all()
        }
        assert numbers == {
            "cs.CL": (4, 4, 4, 2, 0),  # with the one that is in none of the categories asked for
            "cs.AI": (4, 3, 3, 2, 1),
            "stat.ML": (0, 0, 0, 0, 0),
        }
        assert all(batch.fetched_at == NOON and batch.door == "rss" for batch in done.batches)

    def test_count_each_entry_once_in_the_totals(self, done: Ingested) -> None:
        assert (done.declared, done.parsed, done.new, done.cross, done.rejected) == (6, 5, 5, 2, 1)

    def test_have_one_sighting_for_each_paper_at_home_where_that_was_asked_for(self, done: Ingested) -> None:
        homes = dict(Sighting.objects.values_list("paper__arxiv_id", "batch__category"))
        assert homes == {
            "2607.00001": "cs.CL",
            "2607.00002": "cs.AI",
            "2607.00003": "cs.AI",
            "2607.00004": "cs.CL",
            "2607.00005": "cs.CL",
        }
        assert list(SetAside.objects.values_list("batch__category", "position")) == [("cs.AI", 6)]

    def test_list_announcements_and_no_revisions(self, done: Ingested) -> None:
        assert set(Paper.objects.listed_on(FRIDAY).values_list("arxiv_id", flat=True)) == {
            f"2607.0000{number}" for number in (1, 2, 3, 5)
        }

    def test_may_be_asked_for_by_archive(self, arxiv: Source) -> None:
        done = store(
            arxiv, record(primary_category="cs.CL", categories=("cs.CL",)), categories=("CS", "math")
        )

        assert [(batch.category, batch.parsed) for batch in done.batches] == [("CS", 1), ("math", 0)]

    def test_are_settled_at_once_when_the_list_cannot_grow(self, arxiv: Source) -> None:
        done = store(arxiv, record(), categories=self.ASKED, is_final=True)

        assert {batch.settled_at for batch in done.batches} == {NOON}

    def test_read_again_unchanged_keep_their_numbers(self, done: Ingested) -> None:
        again = read_again(*done.batches, now=LATER, is_final=True)

        assert (again.declared, again.parsed, again.rejected, again.new) == (6, 5, 1, 0)
        assert set(Batch.objects.values_list("fetched_at", "settled_at")) == {(LATER, LATER)}

    def test_asked_for_again_in_another_choice_add_no_second_sighting(self, arxiv: Source) -> None:
        entry = record(primary_category="cs.AI", categories=("cs.AI", "cs.CL"))
        store(arxiv, entry, categories=("cs.CL",))
        done = store(arxiv, entry, categories=("cs.AI", "cs.CL"), now=LATER)

        assert (Sighting.objects.count(), done.new, done.updated) == (1, 0, 0)


class TestVersions:
    def test_a_newer_one_replaces_the_text(self, arxiv: Source) -> None:
        store(arxiv, record(version=1))
        done = store(
            arxiv,
            record(version=2, title="Revised", announce_type="replace", is_listing=False),
            day=FRIDAY + timedelta(days=3),
            now=LATER,
        )

        paper = Paper.objects.get()
        assert (paper.title, paper.version, done.updated) == ("Revised", 2, 1)
        assert list(Sighting.objects.order_by("pk").values_list("version", "is_listing")) == [
            (1, True),
            (2, False),
        ]

    def test_a_newer_one_under_the_same_day_is_a_sighting_of_its_own(self, arxiv: Source) -> None:
        store(arxiv, record(version=1))
        store(arxiv, record(version=2), now=LATER)

        assert set(Sighting.objects.values_list("version", flat=True)) == {1, 2}

    def test_an_older_one_does_not_take_it_back(self, arxiv: Source) -> None:
        store(arxiv, record(version=3, title="Third", comment=""))
        store(arxiv, record(version=1, title="First", comment="12 pages"), day=FRIDAY + timedelta(days=1))

        paper = Paper.objects.get()
        assert (paper.title, paper.version, paper.comment) == ("Third", 3, "12 pages")

    def test_a_newer_one_wins_even_from_an_earlier_day(self, arxiv: Source) -> None:
        store(arxiv, record(version=1, title="First"))
        store(arxiv, record(version=2, title="Second"), day=FRIDAY - timedelta(days=1), now=LATER)

        assert Paper.objects.get().title == "Second"

    def test_a_revision_of_an_unknown_paper_is_stored_but_not_listed(self, arxiv: Source) -> None:
        store(arxiv, record(version=4, announce_type="replace", is_listing=False))
        assert not Paper.objects.listed_on(FRIDAY).exists()

        listed = FRIDAY + timedelta(days=2)
        store(arxiv, record(version=4), day=listed, now=LATER)

        assert Paper.objects.get().first_listed_on == listed


class TestWithdrawals:
    NOTICE = "This paper has been withdrawn by the authors due to an error in Theorem 2."

    def test_leave_the_lists_and_keep_their_text(self, arxiv: Source) -> None:
        store(arxiv, record(version=1))

        store(
            arxiv, record(version=2, title="Withdrawn", abstract=self.NOTICE, comment=self.NOTICE), now=LATER
        )

        paper = Paper.objects.get()
        assert (paper.withdrawn_at, paper.withdrawal) == (LATER, self.NOTICE)
        assert (paper.title, paper.abstract) == ("Paper 1", "An abstract.")
        assert not Paper.objects.listed_on(FRIDAY).exists()

    def test_a_version_after_it_brings_the_paper_back(self, arxiv: Source) -> None:
        store(arxiv, record(version=1))
        store(arxiv, record(version=2, comment=self.NOTICE), now=LATER)
        store(arxiv, record(version=3), now=LATER + timedelta(hours=1))

        assert Paper.objects.get().withdrawn_at is None

    def test_an_older_version_does_not_bring_it_back(self, arxiv: Source) -> None:
        store(arxiv, record(version=2, comment=self.NOTICE))
        store(arxiv, record(version=1), now=LATER)

        assert Paper.objects.get().withdrawn_at == NOON

    def test_are_not_for_feeds_to_declare(self, arxiv: Source, feed: Source) -> None:
        store(arxiv, record(1))
        store(feed, record(1, abstract=self.NOTICE), now=LATER)
        store(feed, record(2, arxiv_id="", url="https://a.example/", kind="news", abstract=self.NOTICE))

        assert Paper.objects.exclude(withdrawn_at=None).count() == 0


class TestRemarks:
    def test_links_in_a_comment_fill_only_what_is_empty(self, arxiv: Source, huggingface: Source) -> None:
        comment = "Accepted at ACL 2026. Code: https://github.com/lab/found"
        store(arxiv, record(comment=comment))
        assert Paper.objects.get().code_url == "https://github.com/lab/found"

        store(huggingface, record(code_url="https://github.com/lab/own"), now=LATER)
        store(arxiv, record(comment=comment), now=LATER + timedelta(hours=1))

        paper = Paper.objects.get()
        assert (paper.code_url, paper.comment) == ("https://github.com/lab/own", comment)
        assert "ACL" in paper.venue

    def test_do_not_replace_what_any_source_gave(self, arxiv: Source, feed: Source) -> None:
        store(feed, record(code_url="https://github.com/lab/own"))
        store(arxiv, record(comment="Code: https://github.com/lab/found"), now=LATER)

        assert Paper.objects.get().code_url == "https://github.com/lab/own"


class TestOtherKinds:
    def test_a_kind_that_nobody_named_comes_last(self, arxiv: Source) -> None:
        toy = Source.objects.create(slug="toy", name="Toy", kind="toy", next_fetch_at=NOON)
        store(toy, record(title="From the toy", organization="Toy Lab"))
        store(arxiv, record(title="From arXiv"), now=LATER)
        store(toy, record(title="From the toy again"), now=LATER + timedelta(hours=1))

        paper = Paper.objects.get()
        assert (paper.title, paper.organization) == ("From arXiv", "Toy Lab")

    def test_what_has_an_arxiv_id_is_a_paper(self, feed: Source) -> None:
        store(feed, record(1, kind="news", url="https://arxiv.org/abs/2607.00001", arxiv_id=""))
        store(feed, record(2, kind="news", url="https://lab.example/news", arxiv_id=""))

        assert list(Paper.objects.order_by("key").values_list("kind", flat=True)) == ["paper", "news"]


class TestAllDays:
    """Feeds: one answer, each entry with its own day."""

    @staticmethod
    def entry(number: int, days_ago: int = 0, **said: Any) -> PaperRecord:
        day = FRIDAY - timedelta(days=days_ago)
        return record(number, arxiv_id="", url=f"https://a.example/{number}", listing_day=day, **said)

    @staticmethod
    def read(source: Source, *records: PaperRecord, now: datetime = NOON) -> Ingested:
        return ingest_all_days(Parsed(declared=len(records), records=records), source=source, now=now)

    def test_have_a_batch_for_each_day(self, feed: Source) -> None:
        done = self.read(feed, self.entry(1), self.entry(2, days_ago=1), self.entry(3, days_ago=1))

        assert (done.declared, done.new) == (3, 3)
        assert dict(Batch.objects.values_list("listing_day", "new")) == {
            FRIDAY: 1,
            FRIDAY - timedelta(days=1): 2,
        }

    def test_an_entry_keeps_its_first_day(self, feed: Source) -> None:
        self.read(feed, self.entry(1, days_ago=2))
        done = self.read(feed, self.entry(1), now=LATER)

        assert done.new == 0
        assert set(Sighting.objects.values_list("listing_day", flat=True)) == {FRIDAY - timedelta(days=2)}

    def test_a_day_to_come_is_today(self, feed: Source) -> None:
        self.read(feed, self.entry(1, days_ago=-800))

        assert Batch.objects.filter(parsed=1).get().listing_day == FRIDAY

    def test_what_the_feed_forgot_still_counts(self, feed: Source) -> None:
        self.read(feed, self.entry(1, 1), self.entry(2, 1), self.entry(3, 1))
        self.read(feed, self.entry(3, 1), self.entry(4, 1), self.entry(5), now=LATER)

        yesterday = Batch.objects.get(listing_day=FRIDAY - timedelta(days=1))
        assert (yesterday.declared, yesterday.parsed, yesterday.new) == (4, 4, 4)
        assert not Alarm.objects.exists()

    def test_a_paper_that_a_post_speaks_of_is_no_entry(self, feed: Source) -> None:
        done = self.read(feed, self.entry(1))
        SightingFactory(batch=done.batch, announce_type="discussed", is_listing=False)

        assert self.read(feed, self.entry(1), now=LATER).batch.parsed == 1

    def test_a_broken_entry_is_kept_once_however_often_it_comes(self, feed: Source) -> None:
        broken = Rejected(position=1, problem="Entry 1 has no title.", raw={"link": "x"})
        for day in range(3):
            parsed = Parsed(declared=2, records=(self.entry(1),), rejected=(broken,))
            done = ingest_all_days(parsed, source=feed, now=NOON + timedelta(days=day))
            assert done.rejected == 1

        batch = Batch.objects.get(parsed=1)
        assert (SetAside.objects.count(), batch.rejected, batch.declared) == (1, 1, 2)

    def test_an_answer_that_did_not_change_settles_the_days_that_are_over(self, feed: Source) -> None:
        self.read(feed, self.entry(1), self.entry(2, days_ago=1))

        assert settle(feed, now=NOON + timedelta(days=1)) == 1
        assert not Batch.objects.filter(settled_at=None).exists()

    def test_the_number_of_queries_does_not_grow_with_the_days(
        self, feed: Source, django_assert_max_num_queries: Any
    ) -> None:
        with django_assert_max_num_queries(20):
            self.read(feed, *(self.entry(number, days_ago=number) for number in range(40)))


class TestTheLastResort:
    """Values that no parser should give: a record or a value is lost, never the list."""

    @pytest.mark.parametrize(
        "said",
        [
            {"code_url": "https://a.example/" + "x" * 600},
            {"thumbnail_url": "javascript:alert(1)"},
            {"primary_category": "c" * 40, "categories": ("c" * 40, "cs.CL")},
            {"votes": 2**40, "comments": -1},
            {"version": 70_000},
            {"published_at": datetime(1970, 1, 1, tzinfo=UTC)},
            {"published_at": datetime(2099, 1, 1, tzinfo=UTC)},
            {"published_at": datetime(2026, 7, 1)},  # noqa: DTZ001
            {"published_at": datetime.max.replace(tzinfo=UTC)},
            {"source_url": "https://a.example/\x00", "announce_type": "a" * 90, "language": "x" * 40},
            {"summary_source": "x\ud800" * 90, "journal_ref": "y" * 900, "comment": "\x00"},
            {"authors": ("\x00", "A" * 900), "affiliations": ("\ud800",), "keywords": ("k" * 900,)},
            {"kind": "spreadsheet"},
        ],
    )
    def test_a_value_that_no_column_takes_costs_only_itself(
        self, huggingface: Source, said: dict[str, Any]
    ) -> None:
        done = store(huggingface, record(1, **said), record(2))

        assert (done.new, done.rejected) == (2, 0)

    @pytest.mark.parametrize(
        "said",
        [
            {"arxiv_id": "", "doi": "10.1000/\x00"},
            {"arxiv_id": "", "url": "https://a.example/\ud800"},
            {"arxiv_id": f"{'a' * 40}/0101001"},
        ],
    )
    def test_an_identity_that_no_column_takes_is_set_aside(
        self, huggingface: Source, said: dict[str, Any]
    ) -> None:
        done = store(huggingface, record(1, **said), record(2))

        assert (done.new, done.rejected) == (1, 1)

    @pytest.mark.parametrize("bad", ["\x00", "\ud800", "x" * 700])
    def test_what_the_database_refuses_is_found_by_halving(
        self, huggingface: Source, bad: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store(huggingface, record(7, votes=1))
        monkeypatch.setattr("digest.papers.cleaning._address", lambda text, _longest: text)

        done = store(
            huggingface,
            *(record(number) for number in range(12)),
            record(12, code_url=f"https://a.example/{bad}"),
            *(record(number) for number in range(13, 20)),
            now=LATER,
        )

        assert (done.parsed, done.new, done.rejected) == (19, 18, 1)
        assert Paper.objects.get(arxiv_id="2607.00007").votes == 3
        aside = SetAside.objects.get()
        assert aside.position == 12
        assert aside.problem.startswith("Entry 12 (arxiv:2607.00012) is refused by the database: ")

    def test_the_second_of_two_entries_for_one_paper_is_named(self, huggingface: Source) -> None:
        done = store(huggingface, record(1), record(2, arxiv_id="2607.00001v2"))

        assert done.errors == ("Entry 2 (arxiv:2607.00001) is the same as entry 1.",)
        assert (done.declared, done.parsed, done.batch.declared) == (2, 1, 2)


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
