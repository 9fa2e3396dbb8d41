"""Every entry of every recorded answer is stored, merged, or set aside with a reason; nothing comes twice.

`pytest tests/digest/papers/test_accounting.py -s` prints the tables.
"""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import override_settings

from digest.models import Mention, Merge, Paper, SetAside, Sighting, Source
from digest.papers import days, fetch, merging
from digest.papers.identity import identify
from digest.papers.ingest import Ingested, ingest, ingest_all_days
from digest.sources import feed, huggingface, semanticscholar
from digest.sources.arxiv import api, oai, rss
from digest.sources.http import Client, Pace, SourceError
from digest.sources.records import NotAList, PaperRecord, Parsed
from tests.servers import Reply, web_server

AUTUMN = datetime(2026, 9, 1, tzinfo=UTC)  # after everything that was recorded

pytestmark = [pytest.mark.django_db, pytest.mark.shared_data]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of one answer's entries. `seen` ones belong to papers that were there before."""

    file: str
    declared: int
    new: int
    seen: int
    rejected: int
    noted: int
    merged: int

    def __str__(self) -> str:
        numbers = (self.declared, self.new, self.seen, self.rejected, self.noted, self.merged)
        return f"{self.file:<68}" + "".join(f"{number:>9}" for number in numbers)


TITLES = f"{'answer':<68}" + "".join(
    f"{title:>9}" for title in ("declared", "new", "seen", "rejected", "noted", "merged")
)


def row(file: str, parsed: Parsed, done: Ingested) -> Row:
    """The account of one answer, after looking for each of its records in the database."""
    positions = set(
        SetAside.objects.filter(batch__in=done.batches, problem__in=done.errors).values_list(
            "position", flat=True
        )
    )
    keys = {record.position: key_of(record) for record in parsed.records}
    stored = set(
        Sighting.objects.filter(paper__key__in=keys.values()).values_list("paper__key", flat=True).distinct()
    )
    lost = {position for position, key in keys.items() if key not in stored} - positions
    assert not lost, f"{file}: entries {sorted(lost)} are lost"
    noted = done.declared - done.parsed - done.rejected
    assert 0 <= noted <= entries_named(done.errors), f"{file}: {noted} entries without a word"
    seen = done.parsed - done.new
    assert done.declared == done.new + seen + done.rejected + noted == parsed.declared
    return Row(
        file=file,
        declared=done.declared,
        new=done.new,
        seen=seen,
        rejected=done.rejected,
        noted=noted,
        merged=done.merged,
    )


def key_of(record: PaperRecord) -> str:
    return identify(arxiv_id=record.arxiv_id, doi=record.doi, url=record.url).key


def entries_named(notes: tuple[str, ...]) -> int:
    """How many entries the notes speak of: "Entry 7 …" is one, "12 papers …" are twelve."""
    counted = (re.match(r"(?P<count>[\d,]+) |Entry ", note) for note in notes)
    return sum(int((match["count"] or "1").replace(",", "")) for match in counted if match)


def duplicates() -> list[tuple[str, str]]:
    """Pairs of papers that stand by themselves and share an arXiv id, a DOI, or title and first author."""
    shared: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for paper in Paper.objects.filter(canonical=None, kind=Paper.Kind.PAPER):
        marks: list[tuple[str, ...]] = [
            ("arxiv", paper.arxiv_id or paper.key),
            ("doi", paper.doi or paper.key),
        ]
        if paper.title_key and paper.authors:
            marks.append(("title", paper.title_key, merging.family_name(paper.authors[0])))
        for mark in marks:
            shared[mark].append(paper.key)
    return [(keys[0], key) for keys in shared.values() for key in keys[1:]]


def source(slug: str, kind: str, **values: Any) -> Source:
    return Source.objects.get_or_create(
        slug=slug, defaults={"name": slug, "kind": kind, "next_fetch_at": AUTUMN} | values
    )[0]


def manifest(folder: Path) -> Iterator[tuple[dict[str, Any], Path]]:
    for entry in json.loads((folder / "manifest.json").read_bytes()):
        yield entry, folder / entry["file"]


def served(path: Path, status: int = 200) -> bytes:
    """The recorded answer, as it arrives over a socket; SourceError for a status that is none of a list."""
    with web_server() as server:
        server.pages["/"] = Reply(status=status, body=path.read_bytes())
        return patient().get(server.url).body


def patient() -> Client:
    """A client that never really waits."""
    return Client(sleep=lambda _seconds: None, pace=Pace())


def show(rows: list[Row], *lines: str) -> None:
    total = Row(
        file=f"{len(rows)} answers",
        **{
            name: sum(getattr(one, name) for one in rows)
            for name in ("declared", "new", "seen", "rejected", "noted", "merged")
        },
    )
    print("", TITLES, *rows, total, *lines, sep="\n")  # noqa: T201


# --- the answers of each folder -----------------------------------------------------------------------------


def store_announcement(body: bytes, categories: list[str]) -> tuple[Parsed, Ingested]:
    announced = rss.parse(body)
    done = ingest(
        announced.parsed,
        source=source("arxiv", "arxiv"),
        listing_day=announced.day,
        now=AUTUMN,
        categories=categories,
        door="rss",
        is_final=True,
    )
    return announced.parsed, done


def hugging_face(folder: Path) -> Iterator[Row]:
    for entry, path in manifest(folder):
        body = served(path)
        asked = parse_qs(urlsplit(entry["request_url"]).query).get("date")
        day = date.fromisoformat(asked[0]) if asked else None
        parsed = huggingface.parse(body, day)
        assert parsed.declared == entry["entries"]
        own = source("huggingface", "huggingface")
        if day:
            done = ingest(parsed, source=own, listing_day=day, now=AUTUMN)
        else:
            done = ingest_all_days(parsed, source=own, now=AUTUMN)
        yield row(f"hf_daily_papers/{entry['file']}", parsed, done)


def announcements(folder: Path) -> Iterator[Row]:
    for entry, path in manifest(folder):
        if entry["http_status"] != 200:
            with pytest.raises(SourceError) as refused:
                served(path, entry["http_status"])
            assert refused.value.status == entry["http_status"]
            with pytest.raises(rss.Refused):
                rss.parse(path.read_bytes())
            continue
        body = served(path)
        categories = urlsplit(entry["request_url"].split(" ")[0]).path.rsplit("/", 1)[1].split("+")
        parsed, done = store_announcement(body, categories)
        assert parsed.declared == entry["items"]
        yield row(f"arxiv_rss/{entry['file']}", parsed, done)


def harvests(folder: Path) -> Iterator[Row]:
    for entry, path in manifest(folder):
        body = served(path)
        if re.search(r"Identify\.|ListMetadataFormats|ListSets", entry["file"]):
            with pytest.raises(NotAList):
                oai.parse(body)
            continue
        page = oai.parse(body)
        assert bool(page.error) == ("error_" in entry["file"])
        if not page.error:
            assert page.parsed.declared == entry["records"]
            done = ingest_all_days(page.parsed, source=source("arxiv", "arxiv"), now=AUTUMN, door="oai")
            yield row(f"arxiv_oai/{entry['file']}", page.parsed, done)


def answers_of_the_api(folder: Path) -> Iterator[Row]:
    for entry, path in manifest(folder):
        if entry["http_status"] != 200:
            with pytest.raises(SourceError) as refused:
                served(path, entry["http_status"])
            assert refused.value.status == entry["http_status"]
            continue
        parsed = api.parse(served(path)).parsed
        assert parsed.declared == entry["counts"]["entries"]
        done = ingest_all_days(parsed, source=source("arxiv", "arxiv"), now=AUTUMN, door="api")
        yield row(f"arxiv_api/{entry['file']}", parsed, done)


def feeds(folder: Path) -> Iterator[Row]:
    """Each feed as an operator's source, read by the reader of feeds; with what its posts speak of."""
    for entry, path in manifest(folder):
        parsed = feed.parse(path.read_bytes(), AUTUMN.date())
        # Of one file the manifest counts what a naive look-up finds, which is nothing: its namespace is odd.
        assert parsed.declared == (entry["items"] or 3)
        with web_server() as server:
            server.pages["/"] = path.read_bytes()
            own = source(re.sub(r"\W", "-", entry["file"])[:80], "feed", gives="post")
            own.url, own.payload_sha256 = f"{server.url}/", ""
            own.save()
            with override_settings(TRUSTED_FEED_HOSTS=[server.host]):
                done = fetch.fetch_day(own, None, now=AUTUMN, client=patient())
        yield row(f"feeds/{entry['file']}", parsed, done)


class TestEveryManifest:
    def test_accounts_for_every_entry(self, shared_data_dir: Path) -> None:
        rows = [
            *hugging_face(shared_data_dir / "hf_daily_papers"),
            *announcements(shared_data_dir / "arxiv_rss"),
            *harvests(shared_data_dir / "arxiv_oai"),
            *answers_of_the_api(shared_data_dir / "arxiv_api"),
            *feeds(shared_data_dir / "feeds"),
        ]
        show(
            rows,
            f"{Paper.objects.filter(kind='paper').count()} papers, "
            f"{Paper.objects.exclude(kind='paper').count()} posts, {Merge.objects.count()} merges, "
            f"{len(duplicates())} duplicates left; {Mention.objects.count()} mentions of papers in posts, "
            f"{Mention.objects.exclude(paper=None).count()} of known ones",
        )

        assert sum(one.new for one in rows) == Paper.objects.count()
        assert duplicates() == []
        assert sum(one.rejected for one in rows) == SetAside.objects.count()

    def test_a_second_pass_brings_nothing_new(self, shared_data_dir: Path) -> None:
        first = [*announcements(shared_data_dir / "arxiv_rss"), *feeds(shared_data_dir / "feeds")]
        papers, sightings = Paper.objects.count(), Sighting.objects.count()

        again = [*announcements(shared_data_dir / "arxiv_rss"), *feeds(shared_data_dir / "feeds")]

        assert sum(one.new for one in first) == papers
        assert sum(one.new for one in again) == 0
        assert (Paper.objects.count(), Sighting.objects.count()) == (papers, sightings)


class TestSemanticScholar:
    """It adds citations to papers that are known; nothing of it becomes a paper."""

    @pytest.mark.parametrize("file", ["paper_batch_all_fields_first_null.json", "paper_batch_authors.json"])
    def test_answers_each_id_that_was_asked_for_or_says_that_it_is_unknown(
        self, shared_data_dir: Path, file: str
    ) -> None:
        folder = shared_data_dir / "semantic_scholar"
        (entry,) = (entry for entry, path in manifest(folder) if path.name == file)
        ids = json.loads(entry["request_body"])["ids"]
        body = served(folder / file)

        answered = semanticscholar.parse(body, ids)

        known = [one is not None for one in answered.papers]
        assert known == [one is not None for one in json.loads(body)]
        print(f"semantic_scholar/{file}: {len(ids)} asked, {sum(known)} known")  # noqa: T201
        assert answered.problems == ()


class TestTwoFullDays:
    """23 and 24 June 2026: arXiv's cs.CL, cs.AI and cs.CV, Hugging Face's lists, and every feed."""

    DAYS = (date(2026, 6, 23), date(2026, 6, 24))

    def test_leave_no_paper_out_and_none_twice(self, shared_data_dir: Path) -> None:
        rows = []
        for day in self.DAYS:
            for names in ("cs.CL", "cs.AI+cs.CV"):
                file = f"reconstructed/rss_{names}_{day}.xml"
                body = (shared_data_dir / "arxiv_rss" / file).read_bytes()
                rows.append(row(f"arxiv_rss/{file}", *store_announcement(body, names.split("+"))))
            parsed = huggingface.parse(self.list_of(day, shared_data_dir), day)
            own = source("huggingface", "huggingface")
            done = ingest(parsed, source=own, listing_day=day, now=AUTUMN)
            rows.append(row(f"hf_daily_papers of {day} (from the corpus)", parsed, done))
        rows += feeds(shared_data_dir / "feeds")
        accounts = [days.accounts(day) for day in self.DAYS]
        batches = {day: [one.name for one in days.readings(day)] for day in self.DAYS}
        show(
            rows,
            *(
                f"{account.day}: {account.announced} papers in {account.categories} categories, "
                f"{len(account.sources)} sources, complete: {account.is_complete} {account.missing or ''}"
                for account in accounts
            ),
            f"{Paper.objects.filter(kind='paper').count()} papers, "
            f"{Paper.objects.exclude(kind='paper').count()} posts, {Merge.objects.count()} merges, "
            f"{len(duplicates())} duplicates left",
        )

        assert duplicates() == []
        assert all(account.is_complete for account in accounts)
        assert all({"arXiv cs.AI", "arXiv cs.CL", "arXiv cs.CV"} <= set(names) for names in batches.values())
        listed = {
            day: set(Paper.objects.listed_on(day).values_list("arxiv_id", flat=True)) for day in self.DAYS
        }
        for day, account in zip(self.DAYS, accounts, strict=True):
            assert account.announced == len(listed[day])
            assert self.ids_of(day, shared_data_dir) <= listed[day]

    def test_a_source_that_knows_no_identifiers_adds_no_paper(self, shared_data_dir: Path) -> None:
        """Hugging Face's lists told again by a site with addresses of its own."""
        for day in self.DAYS:
            for names in ("cs.CL", "cs.AI+cs.CV"):
                body = (shared_data_dir / "arxiv_rss" / f"reconstructed/rss_{names}_{day}.xml").read_bytes()
                store_announcement(body, names.split("+"))
            parsed = huggingface.parse(self.list_of(day, shared_data_dir), day)
            ingest(parsed, source=source("huggingface", "huggingface"), listing_day=day, now=AUTUMN)
            on_arxiv = set(Paper.objects.listed_on(day).values_list("pk", flat=True))
            records = tuple(
                replace(one, arxiv_id="", url=f"https://reader.example/{one.arxiv_id}")
                for one in parsed.records
            )
            retold = Parsed(declared=len(records), records=records)

            done = ingest_all_days(retold, source=source("reader", "feed"), now=AUTUMN)

            print(f"{day}: {done.new} retold, {done.merged} merged by title and authors")  # noqa: T201
            assert (done.new, done.merged) == (len(records), len(records))
            assert set(Paper.objects.listed_on(day).values_list("pk", flat=True)) == on_arxiv
        assert duplicates() == []
        assert set(Merge.objects.values_list("how", flat=True)) == {"title"}

    @staticmethod
    def ids_of(day: date, folder: Path) -> set[str]:
        """What stands in the two feeds, read with nothing but a pattern."""
        bodies = (
            folder / "arxiv_rss" / f"reconstructed/rss_{names}_{day}.xml"
            for names in ("cs.CL", "cs.AI+cs.CV")
        )
        return {
            found for body in bodies for found in re.findall(r"oai:arXiv\.org:([\d.]+)v", body.read_text())
        }

    @staticmethod
    def list_of(day: date, folder: Path) -> bytes:
        """Hugging Face's list of a day that was recorded flattened, in the API's shape."""
        path = folder / "corpus" / "hf_daily_papers_2024-05_2026-08.jsonl.gz"
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            entries = [json.loads(line) for line in lines if f'"{day}"' in line]
        return json.dumps(
            [
                {
                    "paper": {
                        "id": entry["id"],
                        "title": entry["title"],
                        "summary": entry["abstract"],
                        "authors": [{"name": name, "hidden": False} for name in entry["authors"]],
                        "publishedAt": entry["published"],
                        "submittedOnDailyAt": f"{day}T00:00:00.000Z",
                        "upvotes": entry["upvotes"],
                    },
                    "title": entry["title"],
                    "numComments": entry["num_comments"],
                }
                for entry in entries
                if entry["daily_date"] == day.isoformat()
            ]
        ).encode()
