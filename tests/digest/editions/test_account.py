"""The lines that say what was announced, scanned and read."""

from datetime import date, datetime, timedelta

import pytest

from digest.editions import account
from digest.models import Batch, Edition, SetAside, Source
from tests.digest.editions.letters import edition_of
from tests.factories import (
    DAY,
    NOON,
    BatchFactory,
    PaperFactory,
    SightingFactory,
    SourceFactory,
    listed_paper,
)

pytestmark = pytest.mark.django_db

MONDAY = DAY - timedelta(days=DAY.weekday())
SETTLED = datetime.fromisoformat("2026-08-21T00:12:00+00:00")


def batch(source: Source, category: str = "", day: date = DAY, **values: object) -> Batch:
    """A list that was read to its end, unless `values` say otherwise."""
    read = {"declared": 1, "parsed": 1, "fetched_at": SETTLED, "settled_at": SETTLED}
    return Batch.objects.create(source=source, category=category, listing_day=day, **read | values)


def huggingface(day: date = DAY, **values: object) -> Batch:
    """Hugging Face's list of the day, read to its end."""
    listed_paper(day=day)
    read = {"declared": 1, "fetched_at": SETTLED, "settled_at": SETTLED}
    Batch.objects.filter(pk=BatchFactory(listing_day=day).pk).update(**read | values)
    return BatchFactory(listing_day=day)


def arxiv(**values: object) -> Source:
    source = Source.objects.get(slug="arxiv")
    for name, value in values.items():
        setattr(source, name, value)
    source.save()
    return source


def said(edition: Edition) -> str:
    record = account.Record.of(edition)
    members = edition.edition_papers.select_related("paper")
    return account.facts(record, list(members))["account"]


def lines(edition: Edition) -> list[str]:
    return account.facts(account.Record.of(edition), list(edition.edition_papers.all()))["lines"]


def completeness(edition: Edition) -> tuple[str, str]:
    return account.completeness(account.Record.of(edition))


class TestAccount:
    def test_counts_papers_once_and_says_where(self):
        huggingface(declared=2)
        source = arxiv()
        for category in ("cs.CL", "cs.LG"):
            SightingFactory(paper=PaperFactory(), batch=batch(source, category))
        both = listed_paper()
        SightingFactory(paper=both, batch=Batch.objects.get(category="cs.CL"))

        assert said(edition_of()) == (
            "4 announced in 2 arXiv categories and on Hugging Face on 20 August, all scanned"
        )

    def test_numbers_have_their_thousands_apart(self, monkeypatch):
        huggingface()
        edition = edition_of()
        record = account.Record.of(edition)

        assert account._announced(record, 1284).startswith("1,284 announced")

    def test_feeds_are_named_while_they_are_few(self):
        for number in range(1, 4):
            source = SourceFactory(slug=f"blog-{number}", name=f"Blog {number}", kind="feed")
            SightingFactory(paper=PaperFactory(kind="post"), batch=batch(source))
            Edition.objects.all().delete()
            expected = {
                1: "1 announced on Blog 1 on 20 August, all scanned",
                2: "2 announced on Blog 1 and Blog 2 on 20 August, all scanned",
                3: "3 announced in 3 feeds on 20 August, all scanned",
            }[number]
            assert said(edition_of()) == expected

    def test_a_source_that_announced_nothing_is_not_named(self):
        huggingface()
        batch(arxiv(), "cs.CL", declared=0)

        assert said(edition_of()) == "1 announced on Hugging Face on 20 August, all scanned"

    @pytest.mark.parametrize(
        ("unread", "words"),
        [
            (["cs.LG"], "cs.LG was not read"),
            (["cs.CV", "cs.LG"], "cs.CV and cs.LG were not read"),
            (["cs.AI", "cs.CL", "cs.CV", "cs.LG"], "4 lists were not read"),
        ],
    )
    def test_says_what_was_not_read(self, unread, words):
        huggingface()
        for category in unread:
            batch(arxiv(), category, fetched_at=None, settled_at=None, declared=0)

        assert said(edition_of()) == f"1 announced on Hugging Face on 20 August; {words}"

    def test_a_list_that_was_expected_and_never_asked_for_is_missing(self):
        source = arxiv(enabled=True, categories=["cs.CL"])
        batch(source, "cs.CL", day=DAY - timedelta(days=7))
        huggingface()

        assert said(edition_of()) == "1 announced on Hugging Face on 20 August; cs.CL was not read"

    def test_says_when_a_list_may_have_grown(self):
        huggingface(settled_at=None)

        assert said(edition_of()) == (
            "1 announced on Hugging Face on 20 August; Hugging Face was last read before the day was over"
        )

    def test_a_feed_need_not_be_read_after_midnight(self):
        blog = SourceFactory(slug="blog", name="Blog", kind="feed")
        own = batch(blog, settled_at=None, fetched_at=NOON)
        SightingFactory(paper=PaperFactory(kind="post"), batch=own)
        edition = edition_of()
        assert said(edition).endswith("; Blog was last read before the day was over")

        Source.objects.filter(pk=blog.pk).update(last_success_at=NOON + timedelta(hours=11))  # unchanged
        assert said(edition) == "1 announced on Blog on 20 August, all scanned"
        assert completeness(edition)[0] == "Complete."

    def test_a_feed_that_was_not_read_since_may_have_posted_something(self):
        huggingface()
        blog = SourceFactory(slug="blog", name="Blog", kind="feed", last_success_at=NOON)
        edition = edition_of()
        assert said(edition) == "1 announced on Hugging Face on 20 August; Blog was not read"
        assert completeness(edition)[0] == "Not complete."

        Source.objects.filter(pk=blog.pk).update(last_success_at=NOON + timedelta(hours=11))
        assert said(edition).endswith(", all scanned")

    def test_a_late_paper_that_is_listed_again_counts_as_the_days_own(self):
        huggingface()
        edition_of()
        late = PaperFactory()
        SightingFactory(paper=late, seen_at=NOON + timedelta(hours=15))
        next_day = DAY + timedelta(days=1)
        batch(SourceFactory(), day=next_day, declared=0)
        SightingFactory(paper=late, batch=batch(arxiv(), "cs.CL", day=next_day), listing_day=next_day)
        edition = edition_of(next_day)

        assert said(edition) == "1 announced in 1 arXiv category on 21 August, all scanned"
        assert lines(edition) == []

    def test_what_is_merged_into_a_withdrawn_paper_was_not_announced(self):
        huggingface()
        listed_paper(canonical=PaperFactory(withdrawn_at=NOON))

        assert said(edition_of()) == "1 announced on Hugging Face on 20 August, all scanned"

    def test_says_how_many_entries_could_not_be_read(self):
        own = huggingface(declared=3, rejected=2)
        for position in (1, 2):
            SetAside.objects.create(batch=own, position=position, problem="No title.", raw="{}", seen_at=NOON)

        assert said(edition_of()).endswith("; 2 entries could not be read")

    def test_what_came_after_the_opening_is_announced_but_not_scanned(self):
        huggingface()
        edition = edition_of()
        listed_paper()

        assert said(edition) == "2 announced on Hugging Face on 20 August, 1 of them scanned"

    def test_of_a_week_adds_up_its_days_and_names_those_that_miss_a_list(self):
        for number in range(4):
            huggingface(MONDAY + timedelta(days=number))
        Batch.objects.filter(listing_day=MONDAY + timedelta(days=1)).update(fetched_at=None, settled_at=None)

        # Nothing was asked for on Friday, when a list was to be expected.
        assert said(edition_of(DAY, "weekly")) == (
            "4 announced on Hugging Face in the week from 17 August; "
            "not every list of 18 August and 21 August was read"
        )

    def test_late_papers_have_a_line_of_their_own(self):
        huggingface(DAY - timedelta(days=1))
        edition_of(DAY - timedelta(days=1))
        listed_paper(day=DAY - timedelta(days=1), seen_at=SETTLED)
        huggingface()

        edition = edition_of()

        assert said(edition).startswith("1 announced")
        assert lines(edition) == ["One paper of the days before came in late and joins them."]


class TestCompleteness:
    def test_says_what_was_read_of_what_and_when(self):
        huggingface(declared=1700, fetched_at=NOON)

        assert completeness(edition_of()) == (
            "Complete.",
            "Hugging Face Daily Papers: all 1,700 entries read by 20 August, 12:00 UTC.",
        )

    def test_says_when_entries_could_not_be_read(self):
        huggingface(declared=17, rejected=1)

        assert completeness(edition_of()) == (
            "Not complete.",
            "Hugging Face Daily Papers: 16 of 17 entries read by 00:12 UTC.",
        )

    def test_says_how_many_lists_were_not_read(self):
        huggingface()
        batch(arxiv(), "cs.CL", declared=40)
        batch(arxiv(), "cs.LG", declared=0, fetched_at=None, settled_at=None)

        assert completeness(edition_of()) == (
            "Not complete.",
            "arXiv: all 40 entries read by 00:12 UTC. One list was not read. "
            "Hugging Face Daily Papers: the one entry read by 00:12 UTC.",
        )

    def test_says_when_a_source_did_not_answer(self):
        huggingface(fetched_at=None, settled_at=None)

        assert completeness(edition_of()) == ("Not complete.", "Hugging Face Daily Papers: no answer.")

    def test_small_sources_are_taken_together(self):
        huggingface(declared=20)
        for number in range(6):
            source = SourceFactory(slug=f"blog-{number}", name=f"Blog {number}", kind="feed")
            batch(source, declared=6 - number)

        assert completeness(edition_of())[1].endswith(
            "Blog 1: all 5 entries read by 00:12 UTC. 4 other sources: all 10 entries read by 00:12 UTC."
        )

    def test_never_contradicts_the_account(self):
        huggingface(settled_at=None)
        edition = edition_of()

        assert "all scanned" not in said(edition)
        assert completeness(edition)[0] == "Not complete."
