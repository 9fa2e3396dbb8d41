"""JSON Feed 1.0 and 1.1 as records. Pure, no network. https://www.jsonfeed.org/version/1.1/

Like every feed (`digest.sources.posts`); what is of its own: `external_url` is what a post is about, and its
address only where it has none. A value of the wrong type counts as absent.
"""

import json
from datetime import UTC, date, datetime
from typing import Any

from digest.sources import plaintext
from digest.sources.posts import MOST_COUNTED, Post, account, raw_of
from digest.sources.records import NotAList, Parsed, Rejected

_VERSION = "https://jsonfeed.org/version/"


def parse(body: bytes, day: date) -> Parsed:
    """The feed's items as records, in its order. `day` (UTC) is today: that of items without a date.

    Raises NotAList for JSON that is no feed.
    """
    feed = _feed(body)
    items = feed.get("items")
    if not isinstance(items, list):
        raise NotAList("JSON without a list of items, where a feed belongs")
    if len(items) > MOST_COUNTED:
        raise NotAList(f"more than {MOST_COUNTED:,} entries, too much for a feed")
    posts = [
        _post(item, at, _text(feed, "language")) for at, item in enumerate(items) if isinstance(item, dict)
    ]
    parsed = account(posts, day=day, base=plaintext.absolute(_text(feed, "home_page_url")))
    rejected = [
        Rejected(position=at, problem=f"Entry {at} is no JSON object.", raw=item)
        for at, item in enumerate(items)
        if not isinstance(item, dict)
    ]
    return Parsed(
        declared=len(items),
        records=parsed.records,
        rejected=(*parsed.rejected, *rejected),
        notes=parsed.notes,
    )


def title(body: bytes) -> str:
    """What the feed calls itself. Raises NotAList."""
    return _text(_feed(body), "title")[:200]


def instant(text: str) -> datetime | None:
    """An ISO 8601 date, in UTC; without a zone it is UTC. None for anything else."""
    try:
        given = datetime.fromisoformat(text.strip()[:60])
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _feed(body: bytes) -> dict[str, Any]:
    try:
        feed = json.loads(body.decode("utf-8-sig", "replace"), parse_int=float)
    except (ValueError, RecursionError) as error:
        raise NotAList(f"not JSON ({type(error).__name__}); it begins {body[:100]!a}") from error
    if not isinstance(feed, dict):
        raise NotAList("JSON of another kind: a feed is an object")
    version = _text(feed, "version").replace("http://", "https://").replace("//www.", "//")
    if not version.startswith(_VERSION):
        raise NotAList("JSON of another kind: it does not say that it is a JSON Feed (version)")
    return feed


def _post(item: dict[str, Any], position: int, language: str) -> Post:
    about = _text(item, "external_url")
    markup = _text(item, "content_html")
    authors = [author for author in _list(item, "authors") if isinstance(author, dict)]
    if isinstance(item.get("author"), dict):  # version 1.0
        authors.append(item["author"])
    return Post(
        position=position,
        # Numbers are ids too, though the format forbids them.
        guid=str(item["id"]) if isinstance(item.get("id"), str | float) else "",
        addresses=tuple(one for one in (_text(item, "url"), about) if one),
        title=_text(item, "title"),
        texts=tuple(one for one in (markup or _text(item, "content_text"), _text(item, "summary")) if one),
        is_plain=not markup,
        dates=tuple(
            instant(text) for key in ("date_published", "date_modified") if (text := _text(item, key))
        ),
        authors=tuple(_text(author, "name") for author in authors),
        keywords=tuple(tag for tag in _list(item, "tags") if isinstance(tag, str)),
        language=_text(item, "language") or language,
        mentions=(about,) if about else (),
        raw=raw_of(item),
    )


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""


def _list(values: dict[str, Any], key: str) -> list[Any]:
    value = values.get(key)
    return value if isinstance(value, list) else []
