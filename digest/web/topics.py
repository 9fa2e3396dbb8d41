"""The catalogue of topics, and what each of them found in the last days."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache
from itertools import groupby

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from digest.matching import explain, recent
from digest.matching.recent import Found, Match
from digest.models import Paper
from digest.web import charts, present, revisions
from subscriptions.filters import Filter
from subscriptions.models import Topic

PAGE = 100  # papers
UPDATES = 20


@require_safe
@cache_control(public=True, max_age=60)
@conditional_page
def catalogue(request: HttpRequest) -> HttpResponse:
    """All topics by group, with what they found in the last days."""
    papers = recent.current(now=timezone.now())
    rows = present.topic_counts(
        (topic, len(papers.find_canonical(topic.filter.canonical))) for topic in Topic.objects.catalogue()
    )
    groups = [(name, list(members)) for name, members in groupby(rows, key=lambda row: row.topic.group)]
    context = {"groups": groups, "number": len(rows), "days": len(papers.days), "papers": len(papers.papers)}
    return render(request, "web/topics.html", context)


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
    others = Topic.objects.catalogue().filter(group=row.group).exclude(pk=row.pk)
    close_by = present.topic_counts(
        (other, len(papers.find_canonical(other.filter.canonical))) for other in others
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
        "sections": _by_day(found, filter, pager, now),
        "pager": pager if pager.pages > 1 else None,
        "updates": _updates(updates[:UPDATES], newest, now) if newest and pager.page == 1 else [],
        "more_updates": len(updates[UPDATES:]),
        "close_by": sorted(close_by, key=lambda one: -one.number),
    }
    return render(request, "web/topic.html", context)


def _by_day(found: Found, filter: Filter, pager: present.Pager, now: datetime) -> list[dict[str, object]]:
    """One page of the papers, newest day first, by votes within a day.

    A paper listed on several days stands under the newest, so that each stands once.
    """
    matches = sorted(
        found.matches(),
        key=lambda match: (-match.days[-1].toordinal(), -(match.paper.votes or 0), match.paper.pk),
    )
    numbers = Counter(match.days[-1] for match in matches)
    most = max((match.paper.votes or 0 for match in matches), default=0)
    shown = matches[pager.start : pager.start + PAGE]
    if not shown:
        return []
    entries = present.with_sightings(
        [_entry(match, filter, most) for match in shown],
        now,
        first=found.recent.days[0],
        last=shown[0].days[-1],
    )
    sections = []
    for day, members in groupby(zip(shown, entries, strict=True), key=lambda pair: pair[0].days[-1]):
        sections.append(
            {
                "day": day,
                "title": present.long_day(day).rpartition(" ")[0],
                "entries": [entry for _match, entry in members],
                "number": numbers[day],
                "of": found.recent.listed_on(day),
            }
        )
    return sections


def _entry(match: Match, filter: Filter, most: int) -> present.Entry:
    votes = match.paper.votes or 0
    is_media = match.paper.kind != Paper.Kind.PAPER  # nobody votes on posts
    length = "story" if votes >= present.BRIEF_BELOW_VOTES or is_media else "brief"
    share = round(100 * votes / most) if most else 0
    entry = present.Entry(match.paper, length, share, why=present.why(match.reasons))
    if length == "brief" or not entry.has_more:
        return entry
    return replace(entry, marked_abstract=_marked(filter.canonical, entry.abstract))


def _updates(papers: Sequence[Paper], day: date, now: datetime) -> list[present.Entry]:
    return present.with_sightings(present.entries(papers, keep_length="brief"), now, first=day)


@lru_cache(maxsize=4096)  # a page of fifty abstracts costs a quarter of a second else
def _marked(canonical: str, abstract: str) -> SafeString:
    return present.marked(abstract, explain.spans(recent.parsed(canonical), abstract, field="abstract"))
