"""The public archive: each day's list, and each paper."""

from dataclasses import dataclass
from datetime import date, datetime
from http import HTTPStatus
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from digest.matching import explain, recent
from digest.matching.explain import Reason
from digest.models import Paper, Sighting, Source
from digest.papers import days
from digest.papers.citation import bibtex
from digest.web import present
from subscriptions.filters import normal
from subscriptions.models import Topic

# How much of each paper the reader of a day asked for; "" is the default.
LENGTHS = {"titles": "Titles", "": "One line", "abstract": "Abstract"}
TOPICS_OF_A_DAY = 10
_AUTHORS_AT_ONCE = 30


@dataclass(frozen=True)
class Event:
    """One line of a paper's history: what happened, where, with which numbers."""

    day: date
    what: str
    where: str
    numbers: str
    url: str = ""


@dataclass(frozen=True)
class Point:
    """One sighting in the drawing of votes; places in whole percent."""

    x: int
    y: int
    votes: int
    side: str  # class: on which side of the point its number stands


@require_safe
@cache_control(public=True, max_age=60)
@conditional_page
def latest(request: HttpRequest) -> HttpResponse:
    """The newest day's list, under an address that does not change."""
    newest = days.latest_day()
    if newest is None:
        return render(request, "web/no_papers.html")
    return _day_page(request, newest)


@require_safe
@cache_control(public=True, max_age=60)
@conditional_page
def day(request: HttpRequest, day: date) -> HttpResponse:
    return _day_page(request, day)


def _day_page(request: HttpRequest, day: date) -> HttpResponse:
    now = timezone.now()
    everything = list(days.papers_of(day))
    readings = days.readings(day)
    before, after = days.neighbours(day)
    length = request.GET.get("length", "")
    length = length if length in LENGTHS else ""
    with_code = [paper for paper in everything if present.web_link(paper.code_url)]
    code_only = request.GET.get("code") == "1"
    papers = with_code if code_only else everything
    last_days = days.last_days(until=max(day, _window_end(day)))
    keep_length = {"titles": "brief", "abstract": "story"}.get(length)
    entries = present.entries(papers, keep_length=keep_length)
    read_at = max((one.batch.fetched_at for one in readings if one.batch.fetched_at), default=None)
    context = {
        "day": day,
        "title": present.long_day(day),
        "papers": papers,
        "number": len(everything),
        "stories": [entry for entry in entries if entry.length != "brief"],
        "briefs": [entry for entry in entries if entry.length == "brief"],
        "briefs_have_few_votes": keep_length is None,
        "brief_below": present.BRIEF_BELOW_VOTES,
        "length": length,
        "lengths": [(key, name, _query(key, code_only)) for key, name in LENGTHS.items()],
        "code_only": code_only,
        "code_number": len(with_code),
        "code_query": _query(length, True),
        "all_query": _query(length, False),
        "readings": readings,
        "votes_as_of": present.as_of(read_at, now) if read_at else "",
        "before": (before, present.short_day(before, weekday=True)) if before else None,
        "after": (after, present.short_day(after, weekday=True)) if after else None,
        "ordinary": days.ordinary(last_days),
        "bars": _bars(last_days, day),
        "bloomers": days.late_bloomers(day),
        "topics": _topics_of_day(day, now),
        "is_over": day < now.date(),
    }
    status = HTTPStatus.OK if everything or readings else HTTPStatus.NOT_FOUND
    return render(request, "web/day.html", context, status=status)


def _window_end(day: date) -> date:
    """The newest day where the last 25 days reach back to this one, else the day itself."""
    newest = days.latest_day()
    if newest is None or newest <= day:
        return day
    window = days.last_days(until=newest)
    return newest if window and window[0].date <= day else day


def _query(length: str, code_only: bool) -> str:
    parts = [f"length={length}"] if length else []
    return "?" + "&".join([*parts, *(["code=1"] if code_only else [])])


def _bars(last_days: list[days.Day], current: date) -> list[dict[str, Any]]:
    """The bars of days. Every fifth has its date below it, unless the current day's stands too close."""
    most = max((one.papers for one in last_days), default=0)
    here = next((place for place, one in enumerate(last_days) if one.date == current), -9)
    return [
        {
            "date": one.date,
            "share": round(100 * one.papers / most) if most else 0,
            "tick": present.short_day(one.date) if place % 5 == 0 and abs(place - here) > 2 else "",
            "label": f"{present.short_day(one.date, weekday=True)}, {present.counted(one.papers, 'paper')}",
        }
        for place, one in enumerate(last_days)
    ]


def _topics_of_day(day: date, now: datetime) -> list[present.TopicCount]:
    """The catalogue's topics by papers on this day, the most first; nothing for a day that is not recent."""
    papers = recent.current(now=now)
    if day not in papers.days:
        return []
    counts = [
        (topic, papers.find_canonical(topic.filter.canonical).on(day)) for topic in Topic.objects.catalogue()
    ]
    found = sorted(((topic, n) for topic, n in counts if n), key=lambda one: (-one[1], one[0].position))
    return present.topic_counts(found[:TOPICS_OF_A_DAY])


@require_safe
@cache_control(public=True, max_age=60)
@conditional_page
def paper(request: HttpRequest, public_id: str) -> HttpResponse:
    """Everything known about one paper. A version number or a merged paper leads to the one page."""
    found = _find(public_id)
    if found.canonical is not None:
        found = found.canonical
    if found.public_id != public_id:
        return redirect("paper", public_id=found.public_id, permanent=False)
    now = timezone.now()
    sightings = list(found.sightings.select_related("source", "batch").order_by("seen_at", "pk"))
    last_day = max((one.listing_day for one in sightings), default=found.first_listed_on)
    rank = days.rank(found, last_day)
    slugs = {one.source.slug for one in sightings}
    matched = recent.matching_topics(found, Topic.objects.catalogue(), slugs)
    page_url = next((one.url for one in reversed(sightings) if one.url), "")
    authors = [str(name) for name in found.authors]
    context = {
        "paper": found,
        "is_sample": any(one.batch.is_sample for one in sightings),
        "authors": authors[:_AUTHORS_AT_ONCE],
        "more_authors": authors[_AUTHORS_AT_ONCE:],
        "day": last_day,
        "day_words": present.long_day(last_day),
        "rank": rank,
        "arxiv_url": f"https://arxiv.org/abs/{found.arxiv_id}" if found.arxiv_id else "",
        "pdf_url": f"https://arxiv.org/pdf/{found.arxiv_id}" if found.arxiv_id else "",
        "own_url": present.web_link(found.url),
        "code_url": present.web_link(found.code_url),
        "project_url": present.web_link(found.project_url),
        "source_url": present.web_link(page_url),
        "source_name": sightings[-1].source.name if sightings else "",
        "abstract": _marked_abstract(found, matched),
        "submitted": present.short_day(found.published_at.date()) if found.published_at else "",
        "votes_read": present.as_of(found.counted_at, now) if found.counted_at else "",
        "topics": [{"topic": topic, "why": present.why(reasons)} for topic, reasons in matched],
        "events": _events(found, sightings),
        **_votes_chart(sightings),
        "bibtex": bibtex(found),
    }
    return render(request, "web/paper.html", context)


def _find(public_id: str) -> Paper:
    papers = Paper.objects.select_related("canonical")
    if public_id.startswith("p") and public_id[1:].isdecimal() and len(public_id) < 18:
        return get_object_or_404(papers, pk=int(public_id[1:]))
    stem, version, number = public_id.rpartition("v")
    arxiv_id = stem if version and number.isdecimal() and stem[-1:].isdecimal() else public_id
    if "\x00" in arxiv_id:
        raise Http404
    return get_object_or_404(papers, arxiv_id=arxiv_id)


def _marked_abstract(paper: Paper, matched: list[tuple[Topic, list[Reason]]]) -> SafeString:
    spans = [
        span
        for topic, _ in matched
        for span in explain.spans(recent.parsed(topic.filter.canonical), paper.abstract, field="abstract")
    ]
    return present.marked(paper.abstract, normal.merged(spans))


def _events(paper: Paper, sightings: list[Sighting]) -> list[Event]:
    """What happened to the paper, newest first: one line for each listing day of a source."""
    last: dict[tuple[date, int], Sighting] = {(one.listing_day, one.source_id): one for one in sightings}
    first_days = {
        one.source_id: one.listing_day
        for one in sorted(sightings, key=lambda one: one.listing_day, reverse=True)
    }
    events = [
        Event(
            day,
            "First listed" if first_days[source_id] == day else "Listed again",
            one.source.name,
            _numbers(one),
            present.web_link(one.url),
        )
        for (day, source_id), one in last.items()
    ]
    if paper.published_at:
        where = "arXiv" if paper.arxiv_id else ""
        events.append(Event(paper.published_at.date(), "Submitted" if where else "Published", where, ""))
    return sorted(events, key=lambda event: (event.day, event.what != "Submitted"), reverse=True)


def _numbers(one: Sighting) -> str:
    parts = []
    if one.votes is not None:
        parts.append(present.counted(one.votes, "vote"))
    if one.comments is not None:
        parts.append(present.counted(one.comments, "comment"))
    if one.stars is not None:
        parts.append(f"code with {present.counted(one.stars, 'star')}")
    return ", ".join(parts)


def _votes_chart(sightings: list[Sighting]) -> dict[str, Any]:
    """Votes by day where at least two days are known: points, joined by dots, from zero to a round number."""
    by_day = {one.seen_at.date(): one for one in sightings if one.votes is not None}
    if len(by_day) < 2 or sightings[0].source.kind != Source.Kind.HUGGINGFACE:
        return {}
    seen = [by_day[day] for day in sorted(by_day)]
    first, last = seen[0].seen_at.date(), seen[-1].seen_at.date()
    gained = (seen[-1].votes or 0) - (seen[0].votes or 0)
    top = _round_top(max(one.votes or 0 for one in seen))
    span = (last - first).days
    points = []
    for place, one in enumerate(seen):
        x = 10 + round(80 * (one.seen_at.date() - first).days / span)
        side = "after" if place == 0 else "before" if place == len(seen) - 1 else ""
        points.append(Point(x, round(100 * (one.votes or 0) / top), one.votes or 0, side))
    return {
        "points": points,
        "join": "M" + "L".join(f"{point.x} {100 - point.y}" for point in points),
        "top": top,
        "half": top // 2,
        "gained": gained,
        "span_words": present.counted(span, "day"),
        "span_ticks": [(10, present.short_day(first)), (90, present.short_day(last))],
        "chart_label": "Votes: "
        + ", ".join(f"{one.votes} on {present.short_day(one.seen_at.date())}" for one in seen),
    }


def _round_top(most: int) -> int:
    """The next even round number, so that half of it is whole."""
    step = 10 ** max(len(str(most)) - 1, 1)
    for top in (step, 2 * step, 4 * step, 6 * step, 8 * step, 10 * step):
        if most <= top:
            return top
    return 10 * step
