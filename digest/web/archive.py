"""The public archive: each day's list, a hundred papers at a time however long it is."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from digest.matching import recent
from digest.matching.recent import Recent
from digest.models import Paper
from digest.papers import categories, days, rankings
from digest.web import present, scanned
from digest.web.rankings import month_of, week_of
from digest.web.seen import revised_on
from subscriptions import topics
from subscriptions.models import Topic

# How much of each paper the reader of a day asked for; "" is the default.
LENGTHS = {"titles": "Titles", "": "One line", "abstract": "Abstract"}
# Which of the day's entries; "" is the list of papers with a few of the others below it.
SHOWN = ("", "code", "posts", "updated")
PAGE = 100
PAGE_OF_ABSTRACTS = 60  # so that a page stays under 300 kB
OTHERS_AT_ONCE = 20  # posts and revisions beside the papers
TOPICS_OF_A_DAY = 10
CATEGORIES_OF_A_DAY = 12


@dataclass(frozen=True)
class Asked:
    """What of a day somebody asked to see. Whatever stands in the address, it is something that there is."""

    length: str = ""
    show: str = ""
    category: str = ""
    page: int = 1

    @classmethod
    def by(cls, query: QueryDict) -> "Asked":
        length, page = query.get("length", ""), query.get("page", "")
        show = "code" if query.get("code") == "1" else query.get("show", "")
        category = query.get("category", "")
        return cls(
            length if length in LENGTHS else "",
            show if show in SHOWN else "",
            category if category in categories.KNOWN else "",
            int(page) if page.isdecimal() and len(page) < 7 and int(page) else 1,
        )

    def query(self, **changes: Any) -> str:
        """The same with these changes, as an address from its question mark on; at the top of the list."""
        other = replace(self, **{"page": 1, **changes})
        parts = {
            "length": other.length,
            "show": "" if other.show == "code" else other.show,
            "code": "1" if other.show == "code" else "",
            "category": other.category,
            "page": "" if other.page == 1 else str(other.page),
        }
        return "?" + urlencode({name: value for name, value in parts.items() if value})


@dataclass(frozen=True)
class Listed:
    """One entry of a day, before it is known whether the page shows it."""

    pk: int
    kind: str
    categories: tuple[str, ...]
    has_code: bool

    @property
    def is_media(self) -> bool:
        return self.kind != Paper.Kind.PAPER


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
    asked = Asked.by(request.GET)
    listed = _listed(day)
    papers = [one for one in listed if not one.is_media]
    media = [one.pk for one in listed if one.is_media]
    revised = revised_on(day)
    with_code = [one for one in papers if one.has_code]
    chosen: Sequence[int] = {
        "": [one.pk for one in papers],
        "code": [one.pk for one in with_code],
        "posts": media,
        "updated": revised,
    }[asked.show]
    if asked.category:
        names = categories.names(asked.category)
        inside = {one.pk for one in listed if names & set(one.categories)}
        chosen = [pk for pk in chosen if pk in inside]
    size = PAGE_OF_ABSTRACTS if asked.length == "abstract" else PAGE
    beginning = asked.query()
    pager = present.Pager.at(
        asked.page, len(chosen), size, f"{beginning}{'&' if len(beginning) > 1 else ''}page="
    )
    asked = replace(asked, page=pager.page)
    is_front = not asked.show and not asked.category and asked.page == 1
    shown = _entries(chosen[pager.start : pager.start + size], asked, day, now, start=pager.start)
    context = {
        "day": day,
        "title": present.long_day(day),
        "number": len(listed),
        "papers": len(papers),
        "media": len(media),
        "revised": len(revised),
        "with_code": len(with_code),
        "chosen": len(chosen),
        "stories": [entry for entry in shown if entry.length != "brief"],
        "briefs": [entry for entry in shown if entry.length == "brief"],
        "briefs_have_few_votes": not asked.length,
        "brief_below": present.BRIEF_BELOW_VOTES,
        "posts": _entries(media[:OTHERS_AT_ONCE], asked, day, now) if is_front else [],
        "updates": _entries(revised[:OTHERS_AT_ONCE], asked, day, now, brief=True) if is_front else [],
        "asked": asked,
        "category_name": categories.name(asked.category) if asked.category else "",
        "lengths": [(key, name, asked.query(length=key)) for key, name in LENGTHS.items()],
        "lists": _lists(asked, len(papers), len(with_code), len(media), len(revised)),
        "pager": pager if pager.pages > 1 else None,
        "posts_query": asked.query(show="posts"),
        "updates_query": asked.query(show="updated"),
        "everything_query": asked.query(show="", category=""),
        "categories": _categories_of(papers, asked),
        "is_over": day < now.date(),
        **_about(day, now),
    }
    # Indexing a night's thousand papers takes seconds. Who comes first has the list without its topics.
    papers_at_hand = recent.at_hand(now=now)
    context["topics"] = _topics_of_day(papers_at_hand, day) if papers_at_hand else []
    status = HTTPStatus.OK if listed or context["scanned"] else HTTPStatus.NOT_FOUND
    response = render(request, "web/day.html", context, status=status)
    return response if papers_at_hand else _afterwards(response, lambda: recent.current(now=now))


def _about(day: date, now: datetime) -> dict[str, Any]:
    """What stands around the list: the days beside it, what was scanned, late bloomers."""
    before, after = days.neighbours(day)
    last_days = days.last_days(until=max(day, _window_end(day)))
    readings, account = days.readings(day), days.accounts(day)
    read_at = max((one.batch.fetched_at for one in readings if one.batch.fetched_at), default=None)
    return {
        "scanned": scanned.by_source(readings, is_over=day < now.date()),
        "scanned_lists": scanned.lists(readings, now),
        "missing": account.missing if day < now.date() else (),
        "votes_as_of": present.as_of(read_at, now) if read_at else "",
        "before": (before, present.short_day(before, weekday=True)) if before else None,
        "after": (after, present.short_day(after, weekday=True)) if after else None,
        "ordinary": days.ordinary(last_days),
        "bars": _bars(last_days, day),
        "bloomers": rankings.late_bloomers(day),
        "week": week_of(day),
        "month": month_of(day),
    }


def _listed(day: date) -> list[Listed]:
    """Everything on the day's list in its order. Without the texts, of which a day has megabytes."""
    rows = days.papers_of(day).values_list("pk", "kind", "primary_category", "categories", "code_url")
    return [
        Listed(pk, kind, tuple(filter(None, (primary, *others))), bool(present.web_link(code)))
        for pk, kind, primary, others, code in rows
    ]


def _entries(
    ids: Sequence[int], asked: Asked, day: date, now: datetime, *, start: int = 0, brief: bool = False
) -> list[present.Entry]:
    """The papers with these numbers in this order, as long as the reader asked for."""
    stored = Paper.objects.in_bulk(ids)
    found = [stored[pk] for pk in ids if pk in stored]
    length = {"titles": "brief", "abstract": "story"}.get(asked.length)
    if length is None and (brief or asked.show == "updated"):
        length = "brief"
    entries = present.entries(found, keep_length=length, start=start)
    if length is None:  # what has no votes because nobody votes on it is no brief
        entries = [replace(one, length="story") if one.is_media else one for one in entries]
    return present.with_sightings(entries, now, first=day)


def _lists(
    asked: Asked, papers: int, with_code: int, media: int, revised: int
) -> list[tuple[str, str, bool]]:
    """The lists of the day that can be chosen: words, address, whether it is the one shown."""
    lists = [("", f"Papers {papers:,}", True)]
    lists += [
        (show, f"{words} {number:,}", bool(number))
        for show, words, number in (
            ("code", "Code", with_code),
            ("posts", "Posts", media),
            ("updated", "Updated", revised),
        )
    ]
    return [
        (words, asked.query(show=show, category=""), show == asked.show)
        for show, words, is_there in lists
        if is_there or show == asked.show
    ]


def _categories_of(papers: Iterable[Listed], asked: Asked) -> list[dict[str, Any]]:
    """The categories with the most papers of the day, cross-lists included; of two that are one the first."""
    counts = Counter(code for one in papers for code in categories.distinct(one.categories))
    most = max(counts.values(), default=0)
    return [
        {
            "code": code,
            "name": categories.name(code),
            "query": asked.query(category=code, show=""),
            "number": number,
            "share": round(100 * number / most),
        }
        for code, number in counts.most_common(CATEGORIES_OF_A_DAY)
        if code in categories.KNOWN
    ]


def _window_end(day: date) -> date:
    """The newest day where the last 25 days reach back to this one, else the day itself."""
    newest = days.latest_day()
    if newest is None or newest <= day:
        return day
    window = days.last_days(until=newest)
    return newest if window and window[0].date <= day else day


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


def _topics_of_day(papers: Recent, day: date) -> list[present.TopicCount]:
    """The catalogue's topics by papers on this day, the most first; nothing for a day that is not recent.

    Those right below a heading. The headings find the most on any day and say little of this one, so that one
    stands here only where none of its parts found a paper.
    """
    if day not in papers.days:
        return []

    def on_this_day(branches: Iterable[topics.Branch]) -> list[tuple[Topic, int]]:
        counts = ((one.topic, papers.find_canonical(one.topic.filter.canonical).on(day)) for one in branches)
        return [(topic, number) for topic, number in counts if number]

    found = [
        counted
        for root in topics.tree(Topic.objects.subjects())
        for counted in on_this_day(root.children) or on_this_day([root])
    ]
    found.sort(key=lambda one: (-one[1], one[0].position))
    return present.topic_counts(found[:TOPICS_OF_A_DAY])


def _afterwards(response: HttpResponse, do: Callable[[], object]) -> HttpResponse:
    """The response, after which (the reader has it by then) something is done in the same thread."""
    close = response.close

    def do_and_close() -> None:
        try:
            do()
        finally:
            close()

    response.close = do_and_close  # type: ignore[method-assign]
    return response
