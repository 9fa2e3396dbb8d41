"""Feeds that people add, by the feed's address or the site's."""

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from django.db import connection, transaction
from django.utils.text import slugify

from digest.models import Source
from digest.papers import mentions
from digest.papers.text import readable
from digest.sources import discovery, feed
from digest.sources.http import Answer, Client, SourceError
from digest.sources.records import NotAList, Parsed

# Somebody waits for a page meanwhile.
ATTEMPT_SECONDS = 10.0
TOTAL_SECONDS = 25.0
MOST_TRIED = 3  # feeds that the page names

ACCEPT = "application/atom+xml, application/rss+xml, application/feed+json, application/xml;q=0.9, */*;q=0.8"

_LONGEST_ADDRESS = 500
_LONGEST_NAME = 120
_LOCK = 0x66616464  # "fadd": the advisory lock of adding feeds; reading them has another
_OWN_SOURCES = {
    "rss.arxiv.org": "arXiv",
    "export.arxiv.org": "arXiv",
    "oaipmh.arxiv.org": "arXiv",
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """A feed that was read: its address from now on, what it calls itself, what is in it."""

    address: str
    title: str
    parsed: Parsed
    is_forum: bool


def add(
    address: str, *, name: str = "", gives: str = "", now: datetime, client: Client | None = None
) -> Source:
    """The new source for the feed at this address, or for the one that the site there names; due at once.

    `gives` is what its entries are (Source.Gives); without it that is guessed. Raises SourceError with a
    sentence: no feed there, an address that may not be asked, a feed that is read already.
    """
    found = find(address, now=now, client=client)
    host = urlsplit(found.address).hostname or "feed"
    named = _named(name) or _named(found.title) or host
    with transaction.atomic():
        _lock()
        if known := Source.objects.filter(url=found.address).first():
            state = "" if known.enabled else " It is switched off: switch it on."
            raise SourceError(f"{found.address} is read already, as {known.name!r}.{state}")
        return Source.objects.create(
            slug=_free_slug(named),
            name=named,
            kind=Source.Kind.FEED,
            gives=gives or _guess(found),
            url=found.address,
            next_fetch_at=now,
        )


def _lock() -> None:
    """Wait for whoever else adds a feed, so that an address and a slug that are free stay so.

    Held until the transaction ends; nobody is asked anything meanwhile.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def _named(text: str) -> str:
    """A name that readers can read; feeds call themselves whatever they like."""
    return readable(text[: 2 * _LONGEST_NAME])[:_LONGEST_NAME].rstrip()


def find(address: str, *, now: datetime, client: Client | None = None) -> Found:
    """The feed at this address, or the first that its page names, or one in a usual place. Stores nothing.

    At most seven requests. Raises SourceError.
    """
    asking = client or Client(attempts=1, total_seconds=ATTEMPT_SECONDS, budget_seconds=TOTAL_SECONDS)
    asking = asking.public_only()
    given = address.strip()
    if "://" not in given:
        given = f"https://{given}"
    if own := _OWN_SOURCES.get((_host(given)).lower()):
        raise SourceError(f"{own} has a source of its own: choose its categories there and switch it on.")
    answer = asking.get(given, accept=ACCEPT, largest=feed.LARGEST)
    found, problem = _as_feed(answer, now=now)
    if found:
        return found
    page = answer.body.decode("utf-8", "replace")
    named = discovery.feeds_of(page, address=answer.final_url)
    for one in named[:MOST_TRIED] or discovery.usual_places(answer.final_url):
        if asking.is_spent:
            break
        try:
            found, _problem = _as_feed(asking.get(one, accept=ACCEPT, largest=feed.LARGEST), now=now)
        except SourceError:  # the next one may be there; what is said in the end is of the address given
            continue
        if found:
            return found
    tried = "the feeds that its page names cannot be read" if named else "its page names no feed"
    raise SourceError(
        f"There is no feed at {given[:200]}: it is {problem}, and {tried}. "
        "Look on the site for a link that says RSS, Atom or Feed, and give that address."
    )


def _as_feed(answer: Answer, *, now: datetime) -> tuple[Found | None, str]:
    """The answer as a feed, or what it is instead."""
    try:
        parsed = feed.parse(answer.body, now.astimezone(UTC).date())
    except NotAList as error:
        return None, str(error)
    address = answer.moved_to or answer.url
    if len(address) > _LONGEST_ADDRESS:
        raise SourceError(
            f"The feed's address is longer than {_LONGEST_ADDRESS} characters: {address[:100]}…"
        )
    about = feed.about(answer.body)
    return Found(address=address, title=about.title, parsed=parsed, is_forum=about.is_forum), ""


def _guess(found: Found) -> str:
    """Papers where most entries are some; threads where forum software says so; else posts."""
    papers = sum(bool(mentions.key_of(record.url)) for record in found.parsed.records)
    if papers * 2 > len(found.parsed.records):
        return Source.Gives.PAPER
    return Source.Gives.FORUM if found.is_forum else Source.Gives.POST


def _free_slug(name: str) -> str:
    stem = slugify(name)[:60].strip("-") or "feed"
    taken = set(Source.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    return next(
        slug
        for number in itertools.count(1)
        if (slug := stem if number == 1 else f"{stem}-{number}") not in taken
    )


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
