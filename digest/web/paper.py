"""One paper's page, or one post's: everything that the sources say of it, with days and names."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.safestring import SafeString
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from digest.matching import explain, recent
from digest.matching.explain import Reason
from digest.models import AiText, Mention, Merge, Paper, Sighting, Source
from digest.papers import categories, days, lookups
from digest.papers.citation import bibtex
from digest.papers.identity import arxiv_pdf_url, arxiv_url
from digest.web import present
from digest.web.seen import DISCUSSED, REVISIONS
from subscriptions.filters import normal
from subscriptions.models import Topic

_AUTHORS_AT_ONCE = 30
_AFFILIATIONS_AT_ONCE = 8
_POSTS_AT_ONCE = 20
_EVENTS_AT_ONCE = 40
_LANGUAGES = {"zh-hans": ("zh-Hans", "中文")}  # of translations: the element's lang, and its own name


@dataclass(frozen=True)
class Event:
    """One line of a paper's history: what happened, where, with which numbers."""

    day: date
    what: str
    where: str
    numbers: str = ""
    url: str = ""


@dataclass(frozen=True)
class Point:
    """One sighting in the drawing of votes; places in whole percent."""

    x: int
    y: int
    votes: int
    side: str  # class: on which side of the point its number stands


@dataclass(frozen=True)
class Discussion:
    """One post that links to the paper, or one paper that the post links to."""

    paper: Paper
    source: str
    when: present.When | None


@dataclass(frozen=True)
class Alias:
    """A row that turned out to be this paper: what it is called there, and why it is taken for the same."""

    name: str
    url: str
    why: str


@dataclass(frozen=True)
class Translation:
    lang: str
    language: str
    title: str
    abstract: str
    model: str


@require_safe
@cache_control(public=True, max_age=60)
@conditional_page
def paper(request: HttpRequest, public_id: str) -> HttpResponse:
    """Everything known about one paper. A version's address leads to the one page, a merged paper's for good.

    "For good" as far as browsers may keep it: a minute, since merges can be undone.
    """
    found = _find(public_id)
    if found.canonical is not None:
        return redirect("paper", public_id=found.canonical.public_id, permanent=True)
    if found.public_id != public_id:
        return redirect("paper", public_id=found.public_id, permanent=False)
    now = timezone.now()
    duplicates = list(Paper.objects.filter(canonical=found).order_by("pk"))
    rows = [found.pk, *(one.pk for one in duplicates)]
    said = list(
        Sighting.objects.filter(paper__in=rows).select_related("source", "batch").order_by("seen_at", "pk")
    )
    # Mentions have a section of their own; a look-up is nobody's list.
    sightings = [one for one in said if one.announce_type != DISCUSSED and one.batch.door != lookups.DOOR]
    listings = [one for one in sightings if one.is_listing]
    last_day = max((one.listing_day for one in listings), default=found.first_listed_on)
    rank = days.rank(found, last_day) if found.votes is not None else None
    matched = recent.matching_topics(
        found, Topic.objects.subjects(), sorted({one.source.slug for one in listings})
    )
    context = {
        "paper": found,
        "is_media": found.kind != Paper.Kind.PAPER,
        "is_sample": any(one.batch.is_sample for one in sightings),
        "day": last_day,
        "day_words": present.long_day(last_day),
        "rank": rank,
        "labels": present.Entry(found).labels,
        "submitted": present.when(found.published_at, now),
        "abstract": _marked_abstract(found, matched),
        "votes_read": present.as_of(found.counted_at, now) if found.counted_at else "",
        "cited_at": present.as_of(found.cited_at, now) if found.cited_at else "",
        "withdrawn": _withdrawn(found),
        "topics": [{"topic": topic, "why": present.why(reasons)} for topic, reasons in matched],
        "events": _events(found, sightings)[:_EVENTS_AT_ONCE],
        "aliases": _aliases(duplicates),
        "categories": [
            (code, categories.name(code))
            for code in dict.fromkeys([found.primary_category, *found.categories])
            if code
        ],
        "listed_by": _listed_by(listings),
        **_people(found),
        **_links(found, sightings),
        **_discussions(found, rows, now),
        **_machine_texts(found),
        **_votes_chart(sightings),
        "bibtex": bibtex(found) if found.kind == Paper.Kind.PAPER else "",
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


# --- head and facts -----------------------------------------------------------------------------------------


def _people(paper: Paper) -> dict[str, Any]:
    authors = [str(name) for name in paper.authors]
    places = [str(place) for place in paper.affiliations]
    return {
        "authors": authors[:_AUTHORS_AT_ONCE],
        "more_authors": authors[_AUTHORS_AT_ONCE:],
        "affiliations": places[:_AFFILIATIONS_AT_ONCE],
        "more_affiliations": places[_AFFILIATIONS_AT_ONCE:],
    }


def _codes(paper: Paper) -> list[str]:
    """Its categories, the primary one first."""
    return [code for code in dict.fromkeys([paper.primary_category, *paper.categories]) if code]


def _links(paper: Paper, sightings: list[Sighting]) -> dict[str, str]:
    """Where to read it. The source's own page is left out where it is the paper's address."""
    page = next(
        (one for one in reversed(sightings) if one.url and one.source.kind != Source.Kind.ARXIV), None
    )
    own = present.web_link(paper.url)
    source_url = present.web_link(page.url) if page else ""
    return {
        "arxiv_url": arxiv_url(paper.arxiv_id) if paper.arxiv_id else "",
        "pdf_url": arxiv_pdf_url(paper.arxiv_id) if paper.arxiv_id else "",
        "version_url": arxiv_url(f"{paper.arxiv_id}v{paper.version}")
        if paper.arxiv_id and paper.version
        else "",
        "own_url": own,
        "own_host": present.host(own),
        "doi_url": present.web_link(f"https://doi.org/{paper.doi}") if paper.doi else "",
        "code_url": present.web_link(paper.code_url),
        "project_url": present.web_link(paper.project_url),
        "source_url": source_url if source_url != own else "",
        "source_name": page.source.name if page else sightings[-1].source.name if sightings else "",
    }


def _withdrawn(paper: Paper) -> dict[str, str] | None:
    """The banner: what happened in a word, when, and in whose words why."""
    if paper.withdrawn_at is None:
        return None
    is_retracted = "retract" in paper.withdrawal.lower()
    return {
        "what": "Retracted." if is_retracted else "Withdrawn.",
        "day": present.long_day(paper.withdrawn_at.date()),
        "words": paper.withdrawal,
    }


def _aliases(duplicates: list[Paper]) -> list[Alias]:
    """The rows merged into this paper with the reason of each, as far as its merge stands."""
    if not duplicates:
        return []
    merges = {one.duplicate_id: one for one in Merge.objects.filter(duplicate__in=duplicates, undone_at=None)}
    aliases = []
    for row in duplicates:
        merge = merges.get(row.pk)
        name = (
            f"arXiv {row.arxiv_id}"
            if row.arxiv_id
            else f"DOI {row.doi}"
            if row.doi
            else present.host(row.url) or row.key
        )
        why = merge.get_how_display() if merge else ""
        if merge and merge.certainty < 1:
            why += f", {merge.certainty:.0%} sure"
        aliases.append(Alias(name, present.web_link(row.url), why))
    return aliases


def _listed_by(listings: list[Sighting]) -> list[tuple[str, list[date]]]:
    """Who lists it, and under which days, oldest first."""
    found: dict[str, set[date]] = {}
    for one in listings:
        found.setdefault(one.source.name, set()).add(one.listing_day)
    return [(name, sorted(on)) for name, on in found.items()]


def _marked_abstract(paper: Paper, matched: list[tuple[Topic, list[Reason]]]) -> SafeString:
    spans = [
        span
        for topic, _ in matched
        for span in explain.spans(recent.parsed(topic.filter.canonical), paper.abstract, field="abstract")
    ]
    return present.marked(paper.abstract, normal.merged(spans))


# --- what others say ----------------------------------------------------------------------------------------


def _discussions(paper: Paper, rows: list[int], now: datetime) -> dict[str, Any]:
    """The posts that link to a paper, newest first; for a post the papers that it links to."""
    links = (
        Mention.objects.filter(Q(paper__in=rows) | Q(post__in=rows))
        .select_related("post", "paper__canonical", "source")
        .order_by("-seen_at", "-pk")
    )
    posts: dict[int, Discussion] = {}
    papers: dict[int, Discussion] = {}
    for one in links:
        if one.post_id in rows:
            if one.paper is not None:
                about = one.paper.canonical or one.paper
                papers.setdefault(about.pk, Discussion(about, one.source.name, None))
        else:
            at = one.post.published_at or one.seen_at
            posts.setdefault(one.post_id, Discussion(one.post, one.source.name, present.when(at, now)))
    found = sorted(posts.values(), key=lambda post: post.when.at if post.when else now, reverse=True)
    return {
        "discussions": found[:_POSTS_AT_ONCE],
        "more_discussions": len(found[_POSTS_AT_ONCE:]),
        "about": list(papers.values())[:_POSTS_AT_ONCE],
    }


def _machine_texts(paper: Paper) -> dict[str, Any]:
    """What a language model wrote here: a summary where no source gives one, and translations."""
    written = AiText.objects.filter(paper=paper).exclude(text="")
    texts = {(one.language.lower(), one.kind): one for one in written}
    translations = []
    for language, (lang, name) in _LANGUAGES.items():
        title = texts.get((language, AiText.Kind.TITLE))
        abstract = texts.get((language, AiText.Kind.ABSTRACT))
        if title or abstract:
            model = (title or abstract).model  # type: ignore[union-attr]
            translations.append(
                Translation(lang, name, title.text if title else "", abstract.text if abstract else "", model)
            )
    summary = texts.get(("en", AiText.Kind.SUMMARY))
    return {"ai_summary": summary if not paper.summary else None, "translations": translations}


# --- history ------------------------------------------------------------------------------------------------


def _events(paper: Paper, sightings: list[Sighting]) -> list[Event]:
    """What happened to the paper, newest first: one line for each day of a source."""
    by_day: dict[tuple[date, int], list[Sighting]] = {}
    for one in sightings:
        by_day.setdefault((one.listing_day, one.source_id), []).append(one)
    listed_first: dict[int, date] = {}
    for one in sightings:
        if one.is_listing:
            listed_first[one.source_id] = min(
                one.listing_day, listed_first.get(one.source_id, one.listing_day)
            )
    events = [
        Event(
            day,
            _what(said, is_first=listed_first.get(source_id) == day),
            f"by {_where(said)}",
            _numbers(said[-1]),
            present.web_link(said[-1].url),
        )
        for (day, source_id), said in by_day.items()
    ]
    if paper.withdrawn_at:
        events.append(Event(paper.withdrawn_at.date(), "Withdrawn", ""))
    if paper.published_at:
        what, where = ("Submitted", "to arXiv") if paper.arxiv_id else ("Published", "")
        events.append(Event(paper.published_at.date(), what, where))
    return sorted(events, key=lambda event: (event.day, event.what != "Submitted"), reverse=True)


def _what(said: list[Sighting], *, is_first: bool) -> str:
    types = {one.announce_type for one in said}
    version = max((one.version or 0 for one in said), default=0)
    if "new" in types:
        return "Announced as new"
    if types & set(REVISIONS) and not any(one.is_listing for one in said):
        return f"Version {version} announced" if version else "Revision announced"
    if "cross" in types:
        return "Cross-listed"
    return "First listed" if is_first else "Listed again"


def _where(said: list[Sighting]) -> str:
    name = said[-1].source.name
    inside = list(dict.fromkeys(one.batch.category for one in said if one.batch.category))
    return f"{name} in {present.listing(inside)}" if inside else name


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
