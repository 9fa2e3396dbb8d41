"""The papers of which the newest listing day announced a new version, for topic pages: they are on no list.

One small index a process, made when it is first asked for and again when the day has other revisions.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from digest.matching.documents import document
from digest.matching.index import DayIndex
from digest.models import Paper
from digest.web.seen import revised_on
from subscriptions.filters import Filter

MOST = 600  # papers; about half a second to index


@dataclass(frozen=True)
class _Kept:
    day: date
    ids: Sequence[int]
    papers: tuple[Paper, ...]
    index: DayIndex


_kept: _Kept | None = None
_making = threading.Lock()


def found_on(day: date, filter: Filter) -> list[Paper]:
    """The papers revised on this day that the filter finds, in the order of the announcement."""
    global _kept
    ids = revised_on(day)[:MOST]
    if not ids:
        return []
    kept = _kept
    if kept is None or (kept.day, kept.ids) != (day, ids):
        with _making:
            kept = _kept
            if kept is None or (kept.day, kept.ids) != (day, ids):
                stored = Paper.objects.in_bulk(ids)
                papers = tuple(stored[pk] for pk in ids if pk in stored)
                kept = _kept = _Kept(day, ids, papers, DayIndex([document(paper) for paper in papers]))
    hits = kept.index.evaluate(filter)
    return [paper for position, paper in enumerate(kept.papers) if position in hits]
