"""The papers of a week or a month, the most talked about first: fifty at a time."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any

from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from digest.models import Batch, Paper
from digest.papers import categories, days, rankings
from digest.papers.rankings import Order, Ranked
from digest.web import present

PAGE = 50
STORIES = 10  # of a page in the order of trending; the rest are briefs
CATEGORIES = 12
# How many days back a late bloomer's first day may lie; it has to rise within the period.
BLOOM = {"week": 21, "month": 45}
# Papers were listed from this year on; and far ahead there is no next week.
FIRST_YEAR, LAST_YEAR = 1970, 2999

_WEEK = re.compile(r"(\d{4})-[Ww](\d{1,2})", re.ASCII)
_MONTH = re.compile(r"(\d{4})-(\d{1,2})", re.ASCII)


@dataclass(frozen=True)
class Period:
    """A week or a month of the calendar. `name` is how its address says it: 2026-W34, 2026-08."""

    kind: str  # week or month
    first: date
    last: date

    @property
    def name(self) -> str:
        if self.kind == "month":
            return f"{self.first:%Y-%m}"
        year, week, _day = self.first.isocalendar()
        return f"{year}-W{week:02}"

    @property
    def url(self) -> str:
        return reverse(f"papers-{self.kind}", args=[self.name])

    @property
    def title(self) -> str:
        """ "August 2026", "17 to 23 August 2026", "28 December 2026 to 3 January 2027"."""
        end = present.long_day(self.last).partition(" ")[2]
        if self.kind == "month":
            return end.partition(" ")[2]
        begin = present.long_day(self.first).partition(" ")[2]
        if self.first.year == self.last.year:
            begin = begin.rpartition(" ")[0]
            if self.first.month == self.last.month:
                begin = begin.partition(" ")[0]
        return f"{begin} to {end}"

    @property
    def short(self) -> str:
        """ "Week 34", "August"."""
        week = self.first.isocalendar().week
        return f"Week {week}" if self.kind == "week" else self.title.partition(" ")[0]


def week_of(day: date) -> Period:
    monday = day - timedelta(days=day.weekday())
    return Period("week", monday, monday + timedelta(days=6))


def month_of(day: date) -> Period:
    first = day.replace(day=1)
    return Period("month", first, rankings.last_of_month(first))


@require_safe
@cache_control(public=True, max_age=60)
def latest(request: HttpRequest, kind: str) -> HttpResponse:
    """From /papers/week/ and /papers/month/ to the newest one that has papers."""
    newest = days.latest_day()
    if newest is None:
        return render(request, "web/no_papers.html")
    return redirect(_of(kind, newest).url)


@require_safe
@cache_control(public=True, max_age=300)
@conditional_page
def week(request: HttpRequest, name: str) -> HttpResponse:
    """/papers/week/2026-W34/; 2026-w4 leads to 2026-W04, and a week that the year has not is no page."""
    found = _WEEK.fullmatch(name)
    try:
        monday = date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else None
    except ValueError:
        monday = None
    return _page(request, name, week_of(monday) if monday and _is_possible(monday) else None)


@require_safe
@cache_control(public=True, max_age=300)
@conditional_page
def month(request: HttpRequest, name: str) -> HttpResponse:
    """/papers/month/2026-08/; 2026-8 leads there."""
    found = _MONTH.fullmatch(name)
    try:
        first = date(int(found[1]), int(found[2]), 1) if found else None
    except ValueError:
        first = None
    return _page(request, name, month_of(first) if first and _is_possible(first) else None)


def _is_possible(first: date) -> bool:
    return FIRST_YEAR <= first.year <= LAST_YEAR


def _page(request: HttpRequest, name: str, period: Period | None) -> HttpResponse:
    if period is None:
        raise Http404
    if period.name != name:
        query = request.META.get("QUERY_STRING", "")
        return redirect(period.url + (f"?{query}" if query else ""), permanent=True)
    now = timezone.now()
    order = Order.VOTES if request.GET.get("order") == Order.VOTES else Order.TRENDING
    asked = request.GET.get("page", "")
    page = int(asked) if asked.isdecimal() and len(asked) < 7 else 1
    start = (max(page, 1) - 1) * PAGE
    ranking = rankings.of_period(period.first, period.last, order=order, start=start, limit=PAGE)
    query = "?" if order == Order.TRENDING else f"?order={order}&"
    pager = present.Pager.at(page, ranking.total, PAGE, f"{query}page=")
    if pager.start != start:  # a page behind the last
        ranking = rankings.of_period(period.first, period.last, order=order, start=pager.start, limit=PAGE)
    context = {
        "period": period,
        "order": order.value,
        "orders": [
            ("Trending", period.url, order == Order.TRENDING),
            ("Votes", f"{period.url}?order=votes", order == Order.VOTES),
        ],
        "number": ranking.total,
        "rows": _rows(ranking.ranked, order, period, now),
        "pager": pager if pager.pages > 1 else None,
        **_about(period, now),
    }
    status = HTTPStatus.OK if ranking.total else HTTPStatus.NOT_FOUND
    return render(request, "web/period.html", context, status=status)


@dataclass(frozen=True)
class Row:
    """A paper of the list: its entry and what it gained in the period, where that is known."""

    ranked: Ranked
    entry: present.Entry

    @property
    def gained(self) -> int:
        return self.ranked.gained or 0


def _rows(ranked: tuple[Ranked, ...], order: Order, period: Period, now: datetime) -> list[Row]:
    papers = [one.paper for one in ranked]
    entries = present.entries(papers, keep_length="story", start=ranked[0].place - 1 if ranked else 0)
    entries = present.with_sightings(entries, now, first=period.first, last=period.last)
    shown = [
        replace(entry, length="story" if place < STORIES else "brief") for place, entry in enumerate(entries)
    ]
    return [Row(one, entry) for one, entry in zip(ranked, shown, strict=True)]


def _about(period: Period, now: datetime) -> dict[str, Any]:
    """What stands around the list: its days, the periods beside it, categories, late bloomers."""
    before, _after = days.neighbours(period.first)
    _before, after = days.neighbours(period.last)
    listed = days.last_days(until=period.last, limit=31)
    own = [one for one in listed if one.date >= period.first]
    length = (period.last - period.first).days + 1
    most = max((one.papers for one in own), default=0)
    read_at = Batch.objects.filter(listing_day__range=(period.first, period.last)).aggregate(
        newest=Max("fetched_at")
    )["newest"]
    return {
        "before": _of(period.kind, before) if before else None,
        "after": _of(period.kind, after) if after else None,
        "wider": month_of(period.last) if period.kind == "week" else None,
        "days": [
            {
                "date": one.date,
                "share": round(100 * one.papers / most) if most else 0,
                "tick": present.short_day(one.date) if len(own) < 8 or place % 5 == 0 else "",
                "label": f"{present.short_day(one.date, weekday=True)}, "
                f"{present.counted(one.papers, 'paper')}",
            }
            for place, one in enumerate(own)
        ],
        "is_over": period.last < now.date(),
        "votes_as_of": present.as_of(read_at, now) if read_at else "",
        "categories": _categories_of(period),
        "bloomers": rankings.late_bloomers(own[-1].date, span_days=BLOOM[period.kind], rising_days=length)
        if own
        else [],
    }


def _of(kind: str, day: date) -> Period:
    return week_of(day) if kind == "week" else month_of(day)


def _categories_of(period: Period) -> list[dict[str, Any]]:
    """The primary categories with the most papers; of two codes that mean one the usual one."""
    papers = Paper.objects.listed_between(period.first, period.last).filter(kind=Paper.Kind.PAPER)
    codes = papers.exclude(primary_category="").values_list("primary_category", flat=True)
    counts = Counter(categories.canonical(code) for code in codes)
    most = max(counts.values(), default=0)
    return [
        {"code": code, "name": categories.name(code), "number": number, "share": round(100 * number / most)}
        for code, number in counts.most_common(CATEGORIES)
    ]
