"""One topic, and what it found in the last days."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache, partial
from itertools import groupby

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from digest.matching import calibration, explain, recent
from digest.matching.explain import Reason
from digest.matching.recent import Found, Match, Relevance
from digest.models import Paper
from digest.web import charts, present, revisions
from subscriptions.filters import Filter
from subscriptions.models import Topic
from subscriptions.topics import relatives

PAGE = 100  # papers
UPDATES = 20
CLOSE_BY = 15  # topics
_STORIES = ("almost surely", "probably")  # bands whose papers get their sentence whatever their votes


@require_safe
@cache_control(public=True, max_age=60)
@conditional_page
def topic(request: HttpRequest, slug: str) -> HttpResponse:
    """One topic: what it is, how papers get here, and those of the last days with their reasons."""
    row = get_object_or_404(Topic.objects.catalogue(), slug=slug)
    now = timezone.now()
    papers = recent.current(now=now)
    filter = recent.parsed(row.filter.canonical)
    found = papers.find(filter)
    relevance = papers.relevance(row)
    close_by = present.topic_counts(
        (other, len(papers.find_canonical(other.filter.canonical))) for other in relatives(row)
    )
    per_day = found.per_day()
    newest = papers.days[-1] if papers.days else None
    updates = revisions.found_on(newest, filter) if newest else []
    number = request.GET.get("page", "")
    pager = present.Pager.at(int(number) if number.isdecimal() and len(number) < 7 else 1, len(found), PAGE)
    context = {
        "topic": row,
        "name_zh": row.names.get("zh-hans", ""),
        "found": len(found),
        "of": len(papers.papers),
        "days": len(papers.days),
        "a_day": present.a_day(found.a_day()),
        "chart": charts.bars(per_day, what=f"{row.name} papers") if found else None,
        "sections": _by_day(found, filter, relevance, pager, now),
        "is_scored": bool(relevance),
        "pager": pager if pager.pages > 1 else None,
        "updates": _updates(updates[:UPDATES], newest, now) if newest and pager.page == 1 else [],
        "more_updates": len(updates[UPDATES:]),
        "close_by": sorted(close_by, key=lambda one: -one.number)[:CLOSE_BY],
    }
    return render(request, "web/topic.html", context)


@dataclass(frozen=True)
class _Row:
    """A match with what it says of the topic. `figure` is what readers see of its relevance."""

    match: Match
    position: int
    figure: int | None
    reasons: Callable[[], Sequence[Reason]]

    @property
    def day(self) -> date:
        """A paper listed on several days stands under the newest, so that each stands once."""
        return self.match.days[-1]

    @property
    def band(self) -> str:
        return calibration.band(self.figure)


def _rows(found: Found, relevance: Relevance) -> list[_Row]:
    """The papers, newest day first: by band and trending score where the topic scores them, else by votes."""
    rows = [
        _Row(
            match,
            position,
            calibration.shown_percent(relevance.probability(position)) if relevance else None,
            partial(_reasons, match, position, relevance),
        )
        for position, match in zip(found.positions(), found.matches(), strict=True)
    ]
    if relevance:
        bands = list(present.BANDS)
        return sorted(rows, key=lambda row: (-row.day.toordinal(), bands.index(row.band), row.position))
    return sorted(
        rows, key=lambda row: (-row.day.toordinal(), -(row.match.paper.votes or 0), row.match.paper.pk)
    )


def _reasons(match: Match, position: int, relevance: Relevance) -> Sequence[Reason]:
    """The filter's and the score's."""
    return [*match.reasons, *relevance[position][1]] if position in relevance else match.reasons


def _by_day(
    found: Found, filter: Filter, relevance: Relevance, pager: present.Pager, now: datetime
) -> list[dict[str, object]]:
    """One page of the papers, newest day first, in bands where they have a relevance."""
    rows = _rows(found, relevance)
    numbers = Counter(row.day for row in rows)
    in_bands = Counter((row.day, row.band) for row in rows)
    with_figures = {row.day for row in rows if row.figure is not None}  # else votes ordered the day
    most = max((row.match.paper.votes or 0 for row in rows), default=0)
    shown = rows[pager.start : pager.start + PAGE]
    if not shown:
        return []
    entries = present.with_sightings(
        [_entry(row, filter, most, is_scored=row.day in with_figures) for row in shown],
        now,
        first=found.recent.days[0],
        last=shown[0].day,
    )
    sections = []
    for day, members in groupby(zip(shown, entries, strict=True), key=lambda pair: pair[0].day):
        bands = [
            present.Band(*present.BANDS[band], in_bands[day, band], [entry for _row, entry in pairs])
            for band, pairs in groupby(members, key=lambda pair: pair[0].band)
        ]
        sections.append(
            {
                "day": day,
                "title": present.long_day(day).rpartition(" ")[0],
                "bands": bands,
                "number": numbers[day],
                "of": found.recent.listed_on(day),
            }
        )
    return sections


def _entry(row: _Row, filter: Filter, most: int, *, is_scored: bool) -> present.Entry:
    paper = row.match.paper
    votes = paper.votes or 0
    is_media = paper.kind != Paper.Kind.PAPER  # nobody votes on posts, and they are given no figure
    is_story = votes >= present.BRIEF_BELOW_VOTES or is_media or row.band in _STORIES
    entry = present.Entry(
        paper,
        "story" if is_story else "brief",
        round(100 * votes / most) if most else 0,
        why=present.why(row.reasons(), limit=4),
        is_scored=is_scored,
        percent=None if is_media else row.figure,
    )
    if not is_story or not entry.has_more:
        return entry
    return replace(entry, marked_abstract=_marked(filter.canonical, entry.abstract))


def _updates(papers: Sequence[Paper], day: date, now: datetime) -> list[present.Entry]:
    return present.with_sightings(present.entries(papers, keep_length="brief"), now, first=day)


@lru_cache(maxsize=4096)  # a page of fifty abstracts costs a quarter of a second else
def _marked(canonical: str, abstract: str) -> SafeString:
    return present.marked(abstract, explain.spans(recent.parsed(canonical), abstract, field="abstract"))
