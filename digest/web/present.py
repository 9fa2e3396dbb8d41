"""How a paper stands on a page: which of three lengths, its by-line, its one sentence, its facts in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from urllib.parse import urlsplit

from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from digest.matching import calibration
from digest.matching.explain import Reason
from digest.models import Paper
from digest.papers.gist import best_sentence
from digest.papers.glance import shortened, web_link
from digest.web.seen import NOTHING_SEEN, Seen, discussed, seen
from subscriptions.models import Topic

GIST_MAX_CHARACTERS = 320
TITLE_MAX_CHARACTERS = 60  # of a paper that another one is similar to
BRIEF_BELOW_VOTES = 10
LEAD_RATIO = 1.5  # the first leads only with this many times the votes of the second
_STORIES_AT_LEAST = 3  # on a slow day, too, the first few get their sentence

LONGEST_ABSTRACT = 3_000  # characters in a list; the paper's own page has all of it


@dataclass(frozen=True)
class Label:
    """A word with a border after a title; `look` is the modifier of its class."""

    words: str
    look: str = ""


@dataclass(frozen=True)
class When:
    """A moment in words: how long ago, and in full for the title of the element."""

    at: datetime
    ago: str

    @property
    def full(self) -> str:
        return full_moment(self.at)


@dataclass(frozen=True)
class Entry:
    """One paper in a list.

    The gutter holds what ordered the list: `percent`, its relevance, or nothing, where `is_scored`; else the
    votes, which otherwise stand among the facts. `share` is the length of the votes' bar in whole percent of
    the list's most.
    """

    paper: Paper
    length: str = "story"  # lead, story, brief
    share: int = 0
    place: int = 0  # from 1, in the whole list
    why: Sequence["Why"] = field(default=())
    marked_abstract: str = ""  # the abstract as safe HTML with marks, where a filter found the paper
    seen: Seen = NOTHING_SEEN
    when: When | None = None  # publication
    discussed: int = 0  # posts that link to it
    is_scored: bool = False
    percent: int | None = None

    @property
    def names(self) -> str:
        return byline(self.paper.authors)

    @property
    def gist(self) -> str:
        """Its one sentence; nothing where that only says the title again, as scraped feeds do."""
        sentence = gist(self.paper)
        return "" if sentence.rstrip(".").casefold() == self.paper.title.rstrip(".").casefold() else sentence

    @property
    def code_url(self) -> str:
        return web_link(self.paper.code_url)

    @property
    def host(self) -> str:
        """Whose page the paper's address is, in words."""
        return host(self.paper.url)

    @property
    def has_more(self) -> bool:
        """Whether the abstract says more than the sentence that is shown anyway."""
        return len(self.paper.abstract) > len(self.gist) and self.paper.abstract != self.paper.title

    @property
    def abstract(self) -> str:
        return shortened(self.paper.abstract, LONGEST_ABSTRACT)

    @property
    def labels(self) -> list[Label]:
        """Withdrawn, what kind it is, and as what it was announced."""
        found = [Label("Withdrawn", "label--bad")] if self.paper.withdrawn_at else []
        if self.is_media:
            found.append(Label(self.paper.get_kind_display().capitalize(), "label--kind"))
        match self.seen.announced:
            case "new":
                found.append(Label("New", "label--new"))
            case "cross":
                found.append(Label("Cross-listed"))
            case "replace" | "replace-cross":
                version = f" to v{self.seen.version}" if self.seen.version else ""
                found.append(Label(f"Updated{version}"))
        return found

    @property
    def exceptions(self) -> list[Label]:
        """The labels but "New": what most of a long list is, the line below the title says in words."""
        return [label for label in self.labels if label.words != "New"]

    @property
    def home(self) -> str:
        """ "new in cs.CL", or the primary category alone."""
        category = self.paper.primary_category
        return f"new in {category}" if category and self.seen.announced == "new" else category

    @property
    def is_media(self) -> bool:
        return self.paper.kind != Paper.Kind.PAPER

    @property
    def source(self) -> str:
        """Who gives a post, or a paper that no list of papers has; papers else speak for themselves."""
        return self.seen.sources[0] if self.seen.sources and self.is_media else ""


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
class Band:
    """Papers of a list that are about as relevant as each other.

    `number` counts those of its other pages too.
    """

    words: str
    figures: str
    number: int
    entries: Sequence[Entry]


BANDS = {
    "almost surely": ("Almost surely yours", f"{calibration.ALMOST_SURELY} % and over"),
    "probably": (
        "Probably",
        f"{calibration.PROBABLY} to {calibration.ALMOST_SURELY - calibration.STEP} %",
    ),
    "perhaps": (
        "Perhaps",
        f"{round(100 * calibration.LOWEST_SHOWN)} to {calibration.PROBABLY - calibration.STEP} %",
    ),
    "": ("Matches the filter", f"under {round(100 * calibration.LOWEST_SHOWN)} %"),
}


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
    named = " ".join(key for place in ("title", "abstract") for key in places.get(place, ()))
    places["about"] = {key: text for key, text in places.get("about", {}).items() if key not in named}
    parts: list[Why] = []
    for place in sorted(places, key=lambda place: _PLACES.get(place, (len(_PLACES), ""))[0]):
        words = _widest(places[place])
        if not words:
            continue
        if place in _NUMBERS:
            parts.append(Why((), counted(int(words[0]), *_NUMBERS[place])))
        elif place == "has":
            parts.append(Why((), f"has {listing(words)}"))
        elif place == "liked":
            parts.append(Why((), f"similar to “{shortened(words[0], TITLE_MAX_CHARACTERS)}”"))
        elif place == "about":
            parts.append(Why((), f"about {listing(words[:3])}"))
        elif place in _PLACES:
            parts.append(Why(words[:3], _PLACES[place][1]))
    return parts[:limit]


def _widest(words: Mapping[str, str]) -> tuple[str, ...]:
    """Without those that stand inside another: "LLM agents" says "agents" too."""
    return tuple(
        text for key, text in words.items() if not any(key in other for other in words if other != key)
    )


def entries(
    papers: Sequence[Paper], *, keep_length: str | None = None, start: int = 0, most: int | None = None
) -> list[Entry]:
    """The papers, in the order given (by votes), each with the length that its votes earn.

    One lead at most: a first paper with 1.5 times the votes of the second. Papers under 10 votes are briefs.
    Of a later page: `start` papers stand before it, and `most` are the votes of the very first.
    """
    votes = [paper.votes or 0 for paper in papers]
    most = max(votes, default=0) if most is None else most
    result = []
    for index, paper in enumerate(papers):
        place = start + index
        if keep_length:
            length = keep_length
        elif place == 0 and votes[0] >= BRIEF_BELOW_VOTES and votes[0] >= LEAD_RATIO * (votes[1:2] or [0])[0]:
            length = "lead"
        elif votes[index] < BRIEF_BELOW_VOTES and place >= _STORIES_AT_LEAST:
            length = "brief"
        else:
            length = "story"
        share = round(100 * votes[index] / most) if most else 0
        result.append(Entry(paper, length, share, place + 1))
    return result


@dataclass(frozen=True)
class Pager:
    """Where in a long list a page stands. Make it with `at`, which leaves no page that is not there."""

    page: int  # from 1
    pages: int
    size: int
    of: int
    query: str = "?page="  # what stands before the number of a page

    @classmethod
    def at(cls, page: int, of: int, size: int, query: str = "?page=") -> "Pager":
        pages = max(1, -(-of // size))
        return cls(min(max(page, 1), pages), pages, size, of, query)

    @property
    def start(self) -> int:
        return (self.page - 1) * self.size

    @property
    def first(self) -> int:
        return self.start + 1

    @property
    def last(self) -> int:
        return min(self.start + self.size, self.of)

    @property
    def before(self) -> str:
        return f"{self.query}{self.page - 1}" if self.page > 1 else ""

    @property
    def after(self) -> str:
        return f"{self.query}{self.page + 1}" if self.page < self.pages else ""


def with_sightings(
    entries: Iterable[Entry], now: datetime, *, first: date, last: date | None = None
) -> list[Entry]:
    """The entries with what was said of them on these days: labels, sources, ages. Four queries."""
    entries = list(entries)
    ids = [entry.paper.pk for entry in entries]
    said, posts = seen(ids, first=first, last=last), discussed(ids)
    return [
        replace(
            entry,
            seen=said.get(entry.paper.pk, NOTHING_SEEN),
            when=when(entry.paper.published_at, now),
            discussed=posts[entry.paper.pk],
        )
        for entry in entries
    ]


def byline(authors: Sequence[object], *, shown: int = 3) -> str:
    """ "A, B, C and 14 more"; one more is named instead of counted."""
    names = [str(name) for name in authors if str(name).strip()]
    if len(names) <= shown + 1:
        return ", ".join(names)
    return f"{', '.join(names[:shown])} and {len(names) - shown} more"


def gist(paper: Paper) -> str:
    """One sentence on the paper: the source's summary where there is one, else the abstract's best."""
    if paper.summary:
        return shortened(paper.summary, GIST_MAX_CHARACTERS)
    return _best_sentence(paper.title, paper.abstract)


@lru_cache(maxsize=4096)
def _best_sentence(title: str, abstract: str) -> str:
    return best_sentence(title, abstract, limit=GIST_MAX_CHARACTERS)


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


def full_moment(moment: datetime) -> str:
    """ "Friday 21 August 2026, 10:12 UTC"."""
    moment = moment.astimezone(UTC)
    return f"{long_day(moment.date())}, {moment:%H:%M} UTC"


def ago(moment: datetime, now: datetime) -> str:
    """ "3 hours ago", "12 days ago", "2 years ago": cut, never rounded up. "just now" for what lies ahead."""
    age = max(now - moment, timedelta())
    seconds, days = int(age.total_seconds()), age.days
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{counted(seconds // 60, 'minute')} ago"
    if seconds < 86400:
        return f"{counted(seconds // 3600, 'hour')} ago"
    if days < 60:
        return f"{counted(days, 'day')} ago"
    return f"{counted(days // 30, 'month')} ago" if days < 730 else f"{counted(days // 365, 'year')} ago"


def when(moment: datetime | None, now: datetime) -> When | None:
    return When(moment, ago(moment, now)) if moment else None


def host(url: str) -> str:
    """ "huggingface.co" of an address of the web, without "www."; empty for any other."""
    return (urlsplit(url).hostname or "").removeprefix("www.") if web_link(url) else ""


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
            "liked": "",
            "about": "",
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
