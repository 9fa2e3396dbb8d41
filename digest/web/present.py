"""How a paper stands on a page: which of three lengths, its by-line, its one sentence, its facts in words."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from urllib.parse import urlsplit

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from digest.matching.explain import Reason
from digest.models import Paper
from subscriptions.models import Topic

GIST_MAX_CHARACTERS = 320
BRIEF_BELOW_VOTES = 10
LEAD_RATIO = 1.5  # the first leads only with this many times the votes of the second
_STORIES_AT_LEAST = 3  # on a slow day, too, the first few get their sentence

# A sentence ends with . ? or ! before a blank and a capital or digit, but not after "e.g." or an initial.
_SENTENCE_END = re.compile(
    r"(?<!\be\.g)(?<!\bi\.e)(?<!\bal)(?<!\bvs)(?<!\bFig)(?<!\b[A-Z])[.?!](?=\s+[\dA-Z“\"(])"
)


@dataclass(frozen=True)
class Entry:
    """One paper in a list.

    `share` is the length of its bar in whole percent of the list's most votes.
    """

    paper: Paper
    length: str = "story"  # lead, story, brief
    share: int = 0
    place: int = 0  # from 1, in the whole list
    why: Sequence["Why"] = field(default=())
    marked_abstract: str = ""  # the abstract as safe HTML with marks, where a filter found the paper

    @property
    def names(self) -> str:
        return byline(self.paper.authors)

    @property
    def gist(self) -> str:
        return gist(self.paper)

    @property
    def code_url(self) -> str:
        return web_link(self.paper.code_url)

    @property
    def has_more(self) -> bool:
        """Whether the abstract says more than the sentence that is shown anyway."""
        return bool(self.paper.abstract) and self.paper.abstract != self.gist


@dataclass(frozen=True)
class TopicCount:
    """A topic with the number of papers it found, and its bar in whole percent of the most."""

    topic: Topic
    number: int
    share: int


def topic_counts(counts: Iterable[tuple[Topic, int]]) -> list[TopicCount]:
    counts = list(counts)
    most = max((number for _, number in counts), default=0)
    return [TopicCount(topic, number, round(100 * number / most) if most else 0) for topic, number in counts]


@dataclass(frozen=True)
class Why:
    """One part of a why-line: words of the paper, to be marked, and where they stand ("in title")."""

    words: tuple[str, ...]
    where: str


def why(reasons: Iterable[Reason], *, limit: int = 3) -> list[Why]:
    """Up to `limit` parts, strongest first: the words of one place together, facts as they are."""
    places: dict[str, dict[str, str]] = {}
    for text, place in reasons:
        places.setdefault(place, {}).setdefault(text.casefold(), text)
    parts: list[Why] = []
    for place in sorted(places, key=lambda place: _PLACES.get(place, (len(_PLACES), ""))[0]):
        words = _widest(places[place])
        if place in _NUMBERS:
            parts.append(Why((), counted(int(words[0]), *_NUMBERS[place])))
        elif place == "has":
            parts.append(Why((), f"has {listing(words)}"))
        elif place in _PLACES:
            parts.append(Why(words[:3], _PLACES[place][1]))
    return parts[:limit]


def _widest(words: Mapping[str, str]) -> tuple[str, ...]:
    """Without those that stand inside another: "LLM agents" says "agents" too."""
    return tuple(
        text for key, text in words.items() if not any(key in other for other in words if other != key)
    )


def entries(papers: Sequence[Paper], *, keep_length: str | None = None) -> list[Entry]:
    """The papers, in the order given (by votes), each with the length that its votes earn.

    One lead at most: a first paper with 1.5 times the votes of the second. Papers under 10 votes are briefs.
    """
    votes = [paper.votes or 0 for paper in papers]
    most = max(votes, default=0)
    result = []
    for index, paper in enumerate(papers):
        if keep_length:
            length = keep_length
        elif index == 0 and votes[0] >= BRIEF_BELOW_VOTES and votes[0] >= LEAD_RATIO * (votes[1:2] or [0])[0]:
            length = "lead"
        elif votes[index] < BRIEF_BELOW_VOTES and index >= _STORIES_AT_LEAST:
            length = "brief"
        else:
            length = "story"
        share = round(100 * votes[index] / most) if most else 0
        result.append(Entry(paper, length, share, index + 1))
    return result


def byline(authors: Sequence[object], *, shown: int = 3) -> str:
    """ "A, B, C and 14 more"; one more is named instead of counted."""
    names = [str(name) for name in authors if str(name).strip()]
    if len(names) <= shown + 1:
        return ", ".join(names)
    return f"{', '.join(names[:shown])} and {len(names) - shown} more"


def gist(paper: Paper) -> str:
    """One sentence on the paper: the source's summary where there is one, else how the abstract begins."""
    if paper.summary:
        return shortened(paper.summary, GIST_MAX_CHARACTERS)
    end = _SENTENCE_END.search(paper.abstract, 40)
    return shortened(paper.abstract[: end.end()] if end else paper.abstract, GIST_MAX_CHARACTERS)


def shortened(text: str, limit: int) -> str:
    """The text in at most `limit` characters, cut at a word and marked with an ellipsis."""
    text = text.strip()
    if len(text) <= limit:
        return text
    kept, blank, _ = text[:limit].rpartition(" ")
    return (kept if blank and len(kept) > limit / 2 else text[: limit - 1]).rstrip(" ,;:.") + "…"


def counted(number: int, singular: str, plural: str = "") -> str:
    """ "1 comment", "2 comments", "no comments"."""
    if number == 0:
        return f"no {plural or singular + 's'}"
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def listing(items: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    words = list(items)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def long_day(day: date) -> str:
    """ "Friday 21 August 2026", in English whatever the browser asks for."""
    return f"{_DAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]} {day.year}"


def short_day(day: date, *, weekday: bool = False) -> str:
    """ "21 Aug" or "Fri 21 Aug"."""
    prefix = f"{_DAYS[day.weekday()][:3]} " if weekday else ""
    return f"{prefix}{day.day} {_MONTHS[day.month - 1][:3]}"


def as_of(moment: datetime, now: datetime) -> str:
    """ "10:12 UTC" for today, else "20 Aug, 10:12 UTC"."""
    moment = moment.astimezone(UTC)
    clock = f"{moment:%H:%M} UTC"
    return clock if moment.date() == now.astimezone(UTC).date() else f"{short_day(moment.date())}, {clock}"


def web_link(url: str) -> str:
    """The address if it is one of the web, else nothing: a source could send `javascript:`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and parts.netloc else ""


def a_day(number: float) -> str:
    """A number of papers a day: whole from ten on, else with one decimal; never rounded up to a 1."""
    if number >= 10:
        return f"{number:.0f}"
    text = f"{number:.1f}"
    return text.removesuffix(".0") if number else "0"


def marked(text: str, spans: Sequence[tuple[int, int]]) -> SafeString:
    """The text as HTML with these spans of characters in <mark>; everything escaped."""
    parts, at = [], 0
    for start, end in spans:
        parts += [escape(text[at:start]), format_html("<mark>{}</mark>", text[start:end])]
        at = end
    return mark_safe("".join([*parts, escape(text[at:])]))


# Where a reason stands: its rank and its words on the page.
_PLACES = {
    place: (rank, words)
    for rank, (place, words) in enumerate(
        {
            "title": "in title",
            "author": "as author",
            "abstract": "in abstract",
            "organization": "as organisation",
            "category": "as category",
            "id": "as identifier",
            "source": "as source",
            "has": "",
            "upvotes": "",
            "stars": "",
            "comments": "",
        }.items()
    )
}
_NUMBERS = {"upvotes": ("vote",), "stars": ("star",), "comments": ("comment",)}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
