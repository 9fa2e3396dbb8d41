"""Which papers a language model should write for: those that some reader is about to get, best first.

Not every paper: of a day's thousand some dozens reach readers, and each costs money. The wishes are noted as
rows (digest/papers/ai.py) while a day's papers come in, long before its edition opens. Composing waits for
none of them.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from django.conf import settings
from django.db.models import Count, F, Max
from django.db.models.functions import Coalesce, Least

from digest.editions import share
from digest.editions.material import documents_of
from digest.matching.index import DayIndex
from digest.models import AiText, Paper, Sighting
from digest.papers import ai, trending
from digest.sources import llm
from subscriptions.filters import FilterError, parse
from subscriptions.models import SubscribedTopic, Subscriber

DAYS = 4  # listing days up to today: a Friday's papers are read on Monday
LOOK_AGAIN = timedelta(hours=2)  # where neither papers nor filters have changed: votes have, and the budget

# What readers of a language lack. English readers have the abstract's own words, so a sentence is enough.
_KINDS = {"en": (AiText.Kind.SUMMARY,), "zh-hans": tuple(AiText.Kind)}


@dataclass(frozen=True, order=True, slots=True)
class Wish:
    """One paper in one language, ordered by how much it is wanted: the first papers of topics come first."""

    place: int  # among its topic's papers of the day, from 0
    fewer: int  # minus the number of readers of that topic
    position: int  # among all papers, by trending score
    paper_id: int
    language: str


# What this process looked at last: day → (fingerprint of its papers and all filters, when). A cache.
_looked_at: dict[date, tuple[str, datetime]] = {}


@dataclass(frozen=True, slots=True)
class _Followed:
    """A filter that readers of one language follow."""

    canonical: str
    language: str
    readers: int
    most: int  # papers a day that any of them takes


def note(*, now: datetime) -> int:
    """Note what is wanted of the last days' papers; how many texts were not wanted before.

    Nothing without an endpoint. Only days are looked at whose papers, or the filters, have changed since the
    last call in this process, or that were looked at long ago; some 2 ms a paper.
    """
    if not llm.is_on():
        return 0
    today = now.astimezone(UTC).date()
    listed, followed = _listed(today - timedelta(days=age) for age in range(DAYS)), _followed()
    by_day: dict[date, dict[int, date]] = {}
    for paper_id, day in sorted(listed.items()):
        by_day.setdefault(day, {})[paper_id] = day
    changed: dict[int, date] = {}
    prints: dict[date, tuple[str, datetime]] = {}
    for day, papers in by_day.items():
        fingerprint = hashlib.sha256(repr((list(papers), followed)).encode()).hexdigest()
        known, at = _looked_at.get(day, ("", now))
        if fingerprint == known and timedelta(0) <= now - at < LOOK_AGAIN:
            prints[day] = known, at
        else:
            prints[day] = fingerprint, now
            changed |= papers
    added = want(_wishes(changed, followed), now=now)
    _looked_at.clear()
    _looked_at.update(prints)
    return added


def wishes(days: Iterable[date]) -> list[Wish]:
    """Each paper of these days that an active reader may get, once a language, the most wanted first."""
    return _wishes(_listed(days), _followed())


def want(wishes: Sequence[Wish], *, now: datetime) -> int:
    """Note the texts of these wishes, no more papers than the day's budget has requests; how many are new."""
    if not wishes:
        return 0
    known = set(
        AiText.objects.filter(paper__in={wish.paper_id for wish in wishes}).values_list("paper", "language")
    )
    waiting = AiText.objects.filter(status=AiText.Status.WANTED)
    room = settings.LLM_DAILY_REQUESTS - waiting.values("paper", "language").distinct().count()
    fresh = [wish for wish in wishes if (wish.paper_id, wish.language) not in known]
    left_out = set(fresh[max(room, 0) :])
    return sum(
        ai.want(
            [wish.paper_id for wish in wishes if wish.language == language and wish not in left_out],
            language=language,
            kinds=kinds,
            now=now,
        )
        for language, kinds in _KINDS.items()
    )


def _wishes(listed: dict[int, date], followed: Sequence[_Followed]) -> list[Wish]:
    if not followed or not listed:
        return []
    papers = _ranked(listed)
    index = DayIndex(documents_of([paper.pk for paper in papers]))
    best: dict[tuple[int, str], Wish] = {}
    for one in followed:
        for position, place in _places(index, one, papers, listed):
            paper = papers[position]
            if one.language == "en" and paper.summary:
                continue
            wish = Wish(place, -one.readers, position, paper.pk, one.language)
            key = paper.pk, one.language
            best[key] = min(wish, best.get(key, wish))
    return sorted(best.values())


def _places(
    index: DayIndex, one: _Followed, papers: Sequence[Paper], listed: dict[int, date]
) -> Iterable[tuple[int, int]]:
    """The positions of the papers that a filter's readers may get, each with its place on its day."""
    try:
        found: Iterable[int] = index.evaluate(parse(one.canonical)) if one.canonical else range(len(papers))
    except FilterError:
        return  # composing says so, to those who can mend it
    taken: dict[date, int] = {}
    for position in found:
        day = listed[papers[position].pk]
        place = taken.get(day, 0)
        if place < one.most:
            taken[day] = place + 1
            yield position, place


def _listed(days: Iterable[date]) -> dict[int, date]:
    """The papers that some source lists under these days, each with its newest of them."""
    rows = (
        Sighting.objects.filter(listing_day__in=list(days), is_listing=True, paper__withdrawn_at=None)
        .annotate(original=Coalesce("paper__canonical_id", "paper_id"))
        .values_list("original")
        .annotate(day=Max("listing_day"))
        .order_by()
    )
    return dict(rows)


def _followed() -> list[_Followed]:
    """What active readers follow, each filter once a language. No filter means the top papers."""
    readers = Subscriber.objects.active().filter(language__in=_KINDS)
    # Who reads English gets titles and abstracts as they are.
    readers = readers.exclude(
        language="en", length__in=(Subscriber.Length.TITLES, Subscriber.Length.ABSTRACT)
    )
    filters = (
        SubscribedTopic.objects.filter(muted=False, subscriber__in=readers)
        .values_list("topic__filter__canonical", "subscriber__language")
        .annotate(
            readers=Count("subscriber", distinct=True),
            most=Max(Least(Coalesce(F("max_papers"), F("subscriber__max_papers")), "subscriber__max_papers")),
        )
        .order_by("topic__filter__canonical", "subscriber__language")
    )
    tops = (
        readers.filter(top_papers_if_none=True)
        .values_list("language")
        .annotate(readers=Count("pk"))
        .order_by("language")
    )
    return [
        *(_Followed(canonical, language, number, most) for canonical, language, number, most in filters),
        *(_Followed("", language, number, share.TOP_PAPERS) for language, number in tops),
    ]


def _ranked(listed: dict[int, date]) -> list[Paper]:
    """Best first, as an edition that opened now would have them, but for today's gains."""
    newest = max(listed.values(), default=date.min)
    papers = {paper.key: paper for paper in Paper.objects.filter(pk__in=listed, canonical=None)}
    signs = (
        trending.Signs(
            key=key,
            category=paper.primary_category,
            votes=paper.votes,
            comments=paper.comments,
            stars=paper.stars,
            age_hours=(newest - listed[paper.pk]) / timedelta(hours=1),
        )
        for key, paper in papers.items()
    )
    return [papers[sign.key] for sign, _score in trending.ranked(signs)]
