"""The bundled sample: real papers where no source answers, so that everything can be tried at once.

`sample.json` holds facts about real papers (ids, titles, authors, organisations, votes, links); its summaries
and abstracts were written for Paperboy. Listing days are counted back from yesterday (UTC), so the sample
never looks old. It goes through the same ingest as any list; its batches are marked, and every page says
"sample data".
"""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django.db import transaction

from digest.models import Batch, Paper, Sighting, Source
from digest.papers import merging
from digest.papers.identity import huggingface_url
from digest.papers.ingest import ingest
from digest.sources.records import PaperRecord, Parsed

_FILE = Path(__file__).with_name("sample.json")


def load(*, now: datetime, days: int = 14) -> int:
    """Put the sample in place, its newest listing day being yesterday; the number of papers.

    Does nothing when today's sample is there already, or papers of a real list. An aged one is replaced.
    """
    yesterday = now.astimezone(UTC).date() - timedelta(days=1)
    source = Source.objects.get(slug="huggingface")
    with transaction.atomic():
        merging.lock()
        if Batch.objects.filter(is_sample=True, listing_day=yesterday).exists():
            return Paper.objects.filter(sightings__batch__is_sample=True).distinct().count()
        discard()
        # Since the caller looked, another run may have stored a real list: that is no sample.
        if Batch.objects.filter(source=source, is_sample=False, parsed__gt=0).exists():
            return 0
        papers = 0
        for days_ago, records in _entries().items():
            if days_ago <= days:
                day = yesterday - timedelta(days=days_ago - 1)
                dated = tuple(replace(record, listing_day=day) for record in records)
                parsed = Parsed(declared=len(dated), records=dated)
                papers += ingest(parsed, source=source, listing_day=day, now=now, is_sample=True).parsed
    return papers


def discard() -> int:
    """Take the sample away: its batches and sightings, and the papers that no edition holds. Their number.

    Papers of an edition stay, because somebody may have received them; no list shows them without sightings.
    """
    with transaction.atomic():
        merging.lock()
        batches = Batch.objects.filter(is_sample=True)
        paper_ids = list(
            Sighting.objects.filter(batch__in=batches).values_list("paper_id", flat=True).distinct()
        )
        if not paper_ids and not batches.exists():
            return 0
        batches.delete()
        loose = Paper.objects.filter(pk__in=paper_ids, sightings=None, edition_papers=None, merged=None)
        loose.delete()
    return len(paper_ids)


@cache
def _entries() -> dict[int, list[PaperRecord]]:
    """The sample's records by days ago, from 1 (yesterday)."""
    by_day: dict[int, list[PaperRecord]] = {}
    for entry in json.loads(_FILE.read_text(encoding="utf-8")):
        of_day = by_day.setdefault(entry["days_ago"], [])
        of_day.append(_record(entry, position=len(of_day)))
    return by_day


def _record(entry: dict[str, Any], *, position: int) -> PaperRecord:
    return PaperRecord(
        position=position,
        listing_day=date.min,  # set when loaded
        arxiv_id=entry["id"],
        source_url=huggingface_url(entry["id"]),
        title=entry["title"],
        abstract=entry["abstract"],
        authors=tuple(entry["authors"]),
        organization=entry.get("organization", ""),
        organization_handle=entry.get("organization_handle", ""),
        published_at=datetime.fromisoformat(entry["published_at"]),
        code_url=entry.get("code_url", ""),
        project_url=entry.get("project_url", ""),
        summary=entry["summary"],
        keywords=tuple(entry.get("keywords", [])),
        votes=entry["votes"],
        comments=entry["comments"],
        stars=entry.get("stars"),
    )
