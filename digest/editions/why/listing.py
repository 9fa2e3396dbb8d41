"""The paper's own stages: did a source bring it, under which name, and in which edition does it stand."""

from datetime import UTC, timedelta
from typing import Any

from digest.editions import prose, schedule
from digest.editions.why import words
from digest.editions.why.case import Case
from digest.editions.why.told import Outcome, Stage, failed, not_applicable, passed
from digest.models import Edition, EditionPaper, Mention, Merge, SetAside, Sighting, Source
from digest.papers import mentions
from digest.papers.identity import NoIdentity, identify

_LISTS_NAMED = 3
_CATEGORIES_NAMED = 5
_ASK_FOR_A_SOURCE = "ask whoever runs this service to read a source that lists it"


def unknown(typed: str) -> Stage:
    """Why no row is called this."""
    try:
        identity = identify(arxiv_id=typed, doi=typed, url=typed)
    except NoIdentity:
        return failed(
            "seen",
            f"no paper here is called “{typed}”",
            cure="name it by its arXiv id, its DOI, its address or that of its page here",
        )
    needle = identity.arxiv_id or identity.doi or identity.url
    aside = SetAside.objects.filter(raw__contains=needle).select_related("batch__source").first()
    if aside is not None:
        source, day = aside.batch.source, aside.batch.listing_day
        return failed(
            "seen",
            f"an entry of {source.name} for {prose.day_month_year(day)} that names it could not be read: "
            f"{aside.problem.rstrip('.')}",
            {"key": identity.key, "source": source.slug, "day": str(day)},
            cure="ask whoever runs this service to look at the entries that were set aside",
        )
    read = [_source_in_words(source) for source in Source.objects.filter(enabled=True).order_by("name")]
    posts = Mention.objects.filter(key=identity.key).count()
    said = f"no source that is read here has listed it (read are {prose.listing(read) or 'none'})"
    said += _spoken_of(posts)
    facts = {"key": identity.key, "sources": read, "posts": posts}
    return failed("seen", said, facts, cure=_ASK_FOR_A_SOURCE)


def _spoken_of(posts: int) -> str:
    if posts > 1:
        return f", though {prose.number(posts)} posts link to it"
    return ", though a post links to it" if posts else ""


def _source_in_words(source: Source) -> str:
    codes = list(source.categories)
    if not codes:
        return source.name
    more = len(codes) - _CATEGORIES_NAMED
    named = ", ".join(codes[:_CATEGORIES_NAMED]) + (f" and {more} more categories" if more > 0 else "")
    return f"{source.name} in {named}"


def seen(case: Case) -> Stage:
    lists: dict[tuple[str, str, Any], Sighting] = {}
    for one in case.sightings:
        lists.setdefault((one.source.slug, one.batch.category, one.listing_day), one)
    if not lists:
        posts = mentions.posts([case.paper.pk]).get(case.paper.pk, 0)
        said = f"no source has listed it{_spoken_of(posts)}"
        return failed("seen", said, {"lists": [], "posts": posts}, cure=_ASK_FOR_A_SOURCE)
    facts = [
        {
            "source": one.source.slug,
            "category": one.batch.category,
            "day": str(one.listing_day),
            "announced": one.announce_type,
            "seen_at": one.seen_at.isoformat(),
            "fetched_at": one.batch.fetched_at.isoformat() if one.batch.fetched_at else None,
        }
        for one in lists.values()
    ]
    said = words.some([_list_in_words(one) for one in lists.values()], at_most=_LISTS_NAMED)
    return passed("seen", said, {"lists": facts})


def _list_in_words(one: Sighting) -> str:
    name = f"{one.source.name} {one.batch.category}".rstrip()
    verb = "listed it under" if one.is_listing else "announced a new version under"
    return f"{name} {verb} {prose.day_month_year(one.listing_day)}, read {words.moment(one.seen_at)}"


def merged(case: Case) -> Stage:
    if case.row.pk == case.paper.pk:
        return not_applicable("merged", "it stands for itself")
    merge = Merge.objects.filter(duplicate=case.row, undone_at=None).first()
    said = f"it is the same work as {case.paper.public_id}, “{case.paper.title}”"
    facts = {"as": case.row.public_id, "into": case.paper.public_id}
    if merge is not None:
        said += f" ({merge.evidence.rstrip('.')})"
        facts |= {"how": merge.how, "evidence": merge.evidence}
    return passed("merged", said, facts)


def withdrawn(case: Case) -> Stage:
    at = case.paper.withdrawn_at
    if at is None:
        return not_applicable("withdrawn", "it was not withdrawn")
    said = f"it was withdrawn on {prose.day_month_year(at.astimezone(UTC).date())}"
    facts = {"at": at.isoformat(), "said": case.paper.withdrawal}
    if case.member is not None:
        return passed("withdrawn", f"{said}, after the edition had taken it in", facts)
    return failed("withdrawn", f"{said}, and papers that are withdrawn are not sent", facts)


def standing(case: Case) -> Stage:
    """In which edition it stands, or why in none."""
    everywhere = [str(one.edition) for one in case.memberships if not one.folded_in]
    if case.edition is None or case.member is None:
        said, is_pending = _in_no_edition(case)
        return Stage("edition", Outcome.FAILED, said, {"editions": everywhere}, is_pending=is_pending)
    facts = {
        "edition": str(case.edition),
        "editions": everywhere,
        "listing_day": str(case.member.listing_day),
        "announced": case.member.announced,
        "place": case.member.position,
        "top_percent": case.member.top_percent,
    }
    where = f"it stands in {words.edition(case.edition)}"
    if case.member.folded_in:
        return passed("edition", f"{where}, which papers of an earlier mail of yours joined", facts)
    if case.member.listing_day < schedule.span(case.edition.kind, case.edition.date).first:
        listed = prose.day_month_year(case.member.listing_day)
        where += f", since it came in after that of its own day, {listed}, had opened"
    place = prose.number(case.member.position)
    return passed("edition", f"{where}, number {place} by how much it is talked about", facts)


def _in_no_edition(case: Case) -> tuple[str, bool]:
    """Why, and whether that may still change."""
    if not case.sightings:
        return "what no list holds stands in no edition", False
    if case.paper.withdrawn_at is not None:
        return "it was withdrawn before an edition took it in", False
    listings = [one for one in case.sightings if one.is_listing] or case.sightings
    kind = case.edition.kind if case.edition else case.kind
    day = max(one.listing_day for one in listings)
    first = schedule.span(kind, day).first
    name = words.edition_of(kind, first)
    if case.edition is not None and case.edition.date != first:
        listed = prose.day_month_year(day)
        return f"it was listed under {listed}, and so is not of {words.edition(case.edition)}", False
    opened_at = Edition.objects.filter(kind=kind, date=first).values_list("opened_at", flat=True).first()
    if opened_at is None:
        opening = schedule.opening(kind, day)
        if case.now < opening + schedule.OPEN_FOR:
            return f"{name} has not been opened; that is done by {_time_of(opening)}", True
        return f"{name} was never opened", False
    seen_at = min(one.seen_at for one in listings if one.listing_day == day)
    if seen_at <= opened_at:
        return f"it was not among the papers of {name} when that was opened", False
    late = f"it was read {words.moment(seen_at)}, after {name} had been opened {words.moment(opened_at)}"
    if kind == Edition.Kind.WEEKLY:
        return f"{late}, and weekly editions take in nothing late", False
    if case.now < schedule.opening(kind, day + timedelta(days=schedule.LATE_DAYS)):
        return f"{late}; the next daily edition takes it in", True
    return f"{late}, and those of the {schedule.LATE_DAYS} days after did not take it in either", False


def _time_of(at: Any) -> str:
    return words.moment(at).removeprefix("on ")


def revision(case: Case) -> Stage:
    """Whether the edition has it as a new version only, which is for readers who asked for updates."""
    member = case.member
    if member is None or member.announced != EditionPaper.Announced.UPDATED:
        return not_applicable("updates", "the edition does not have it as a new version")
    version = f"version {member.version}" if member.version else "a new version"
    facts = {"version": member.version}
    if case.reader.wants_updates or case.receipt is not None:
        return passed("updates", f"{version} was announced, and you asked for updates", facts)
    said = f"{version} was announced, no new paper, and you did not ask for updates"
    return failed("updates", said, facts, cure="ask for new versions of papers in your preferences")
