"""What one digest says to one reader, in plain words: subject, headline, sections, why-lines, notes.

No bytes and no queries here: assemble.py brings what is known of the edition, and encodes the words.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from digest.editions import digests, prose
from digest.matching import calibration
from digest.models import Card, Digest, Edition
from digest.papers import glance
from subscriptions.models import Subscriber

SUBJECT_TITLE_MAX_CHARACTERS = 60
SUBJECT_NAME_MAX_CHARACTERS = 30  # before a colon, where many titles name what they present
LEAD_RATIO = 1.5  # the first leads only with this many times the votes of the second
LEAD_AT_LEAST_VOTES = 10
STORIES_A_SECTION = 3  # the rest are briefs
# Places where words stand, strongest first; what chose the paper and its facts come after them.
REASONS, REASONS_OF_BRIEFS = 4, 2
WORDS_A_REASON = 3
WORD_MAX_CHARACTERS = 60
EXAMPLE_PERCENT = 80  # in the sentence that says what a percentage means
ROWS_FOR_EMPTY = 3  # more topics without a paper are not listed one by one
PREHEADER_TOPICS = 5
# Where words of a paper stand, or what they are: strongest first, as in matching/explain.py.
_PLACES = {
    place: rank
    for rank, place in enumerate(
        (
            "title",
            "author",
            "abstract",
            "organization",
            "liked",
            "about",
            "category",
            "id",
            "source",
            "has",
            "upvotes",
            "stars",
            "comments",
        )
    )
}
_PHRASES = ("title", "abstract")
_NAMED = re.compile(rf"(.{{1,{SUBJECT_NAME_MAX_CHARACTERS}}}?)(?:: |：)")


class Why(NamedTuple):
    """One part of a why-line: words to be marked, and where they stand, or a fact without a mark."""

    words: tuple[str, ...]
    where: str


class Name(NamedTuple):
    """A topic as this reader sees it; `url` is its public page, empty for a reader's own."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Item:
    """One paper in a section.

    The gutter holds what ordered the list: `percent`, or nothing, where `is_scored`; else the votes, which
    otherwise stand among the facts. `band` heads the papers that are as relevant as this one; it is empty
    where that is said already.
    """

    paper_id: int
    form: str
    why: tuple[Why, ...]
    votes: int | None = None
    is_scored: bool = False
    percent: str = ""
    band: str = ""

    @property
    def votes_word(self) -> str:
        return ngettext("vote", "votes", self.votes or 0)


@dataclass(frozen=True, slots=True)
class Section:
    """A topic with its papers, or the topics without any and the reasons for that."""

    name: str
    url: str
    count: str
    items: tuple[Item, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the summary below the headline."""

    name: str
    url: str
    count: int


@dataclass(frozen=True, slots=True)
class View:
    """Everything personal in a digest; names as in templates/email/digest/body.html."""

    subject: str
    preheader: str
    headline: str
    lines: tuple[str, ...]
    rows: tuple[Row, ...]
    sections: tuple[Section, ...]
    more: str
    meaning: str  # of the percentages, where there are any
    receipt: str
    papers: int

    @property
    def items(self) -> list[Item]:
        return [item for section in self.sections for item in section.items]


@dataclass(frozen=True, slots=True)
class Known:
    """What holds for every reader of an edition, or is looked up for many of them at once.

    `total`, `account`, `counted` and `lines` are those of account.facts. `positions`: everything in the
    edition, in its order; `places`: the place of what it lists, from 1, which revisions do not have, nor
    those that `joined` from an earlier digest. `media`: posts, not papers. `topics`: topic id → name.
    `hits(filter id)`: the papers that it found. `why(section, paper id)`: the reasons of the filter and of
    the score, strongest first. `is_scored(section)`: whether its topic says more than its filter.
    `relevance(section, paper id)`: the probability, None where there is none.
    `problem(filter id)`: why a filter could not be evaluated, else "".
    """

    kind: str
    total: int
    account: str
    counted: str
    lines: Sequence[str]
    titles: Mapping[int, str]
    votes: Mapping[int, int | None]
    positions: Mapping[int, int]
    places: Mapping[int, int]
    joined: Collection[int]
    media: Collection[int]
    topics: Mapping[int, Name]
    hits: Callable[[int], Collection[int]]
    why: Callable[[Mapping[str, Any], int], Sequence[Why]]
    is_scored: Callable[[Mapping[str, Any]], bool]
    relevance: Callable[[Mapping[str, Any], int], float | None]
    problem: Callable[[int], str]

    def percent(self, section: Mapping[str, Any], paper_id: int) -> int | None:
        """As readers see it; None for posts, which are not scored, and where no figure is shown."""
        if paper_id in self.media:
            return None
        return calibration.shown_percent(self.relevance(section, paper_id))


def view(
    digest: Digest, known: Known, *, email: str, stories: int | None = None, papers: int | None = None
) -> View:
    """The words of a digest, in the active language.

    To keep a mail within its size, `stories` makes all papers after that many briefs, and `papers` leaves
    those after that many to the web page.
    """
    names = {section["filter"]: known.topics[section["topic"]].name for section in digest.sections}
    forms = _forms(digest, known, stories=stories)
    shown = [*forms][:papers]
    kept = set(shown)
    filled: list[Section] = []
    rows: list[Row] = []
    empty: list[tuple[Name, Mapping[str, Any]]] = []
    for section in digest.sections:
        topic = known.topics[section["topic"]]
        if not section["papers"]:
            empty.append((topic, section))
            continue
        given = {pk: forms[pk] for pk in section["papers"] if pk in kept}
        items = tuple(_items(known, section, given, _whys(known, section, given, names)))
        rows.append(Row(topic.name, topic.url, len(section["papers"])))
        if items:
            count = prose.comma().join(_counts(known, section["papers"]))
            filled.append(Section(topic.name, topic.url, count, items))
    if digest.top:
        items = tuple(
            Item(pk, forms[pk], _place(known, pk), known.votes[pk]) for pk in digest.top if pk in kept
        )
        heading = _("Top papers of the day") if _is_daily(known) else _("Top papers of the week")
        filled.append(Section(heading, "", prose.comma().join(_counts(known, digest.top)), items))
    if len(empty) <= ROWS_FOR_EMPTY:
        rows += [Row(topic.name, topic.url, 0) for topic, _section in empty]
    if empty:
        filled.append(_without_papers(empty, known, given=set(forms)))
    left_out = len(forms) - len(shown)
    best = _best(known, digest)
    shows_percent = any(item.percent for section in filled for item in section.items)
    return View(
        subject=_subject(known, best, list(forms)),
        preheader=_preheader(known, best, rows, filled),
        headline=_headline(known, digest, list(forms)),
        lines=tuple(_lines(known, digest, shown)),
        rows=tuple(rows) if len(rows) > 1 else (),
        sections=tuple(filled),
        more=ngettext("%d more on the web page.", "%d more on the web page.", left_out) % left_out
        if left_out
        else "",
        meaning=_meaning() if shows_percent else "",
        receipt=_receipt(known, email),
        papers=len(shown),
    )


# --- which length each paper gets --------------------------------------------------------------------


def _forms(digest: Digest, known: Known, *, stories: int | None) -> dict[int, str]:
    """The form of each paper, in the order of the mail."""
    groups = [section["papers"] for section in digest.sections] + [digest.top]
    if digest.length == Subscriber.Length.TITLES:
        return {pk: Card.Form.BRIEF for group in groups for pk in group}
    lead = _lead(groups, known)
    forms: dict[int, str] = {}
    for group in groups:
        for number, pk in enumerate(group):
            if stories is not None and len(forms) >= stories:
                forms[pk] = Card.Form.BRIEF
            elif pk == lead:
                forms[pk] = Card.Form.LEAD
            elif number < STORIES_A_SECTION or digest.length == Subscriber.Length.ABSTRACT:
                forms[pk] = Card.Form.STORY
            else:
                forms[pk] = Card.Form.BRIEF
    return forms


def _lead(groups: Iterable[Sequence[int]], known: Known) -> int | None:
    """The one paper that stands out by its votes and heads its section, if there is one."""
    groups = [group for group in groups if group]
    votes = sorted(((known.votes[pk] or 0, pk) for group in groups for pk in group), reverse=True)
    if not votes or votes[0][0] < LEAD_AT_LEAST_VOTES:
        return None
    (most, first), second = votes[0], (votes[1][0] if len(votes) > 1 else 0)
    if most < LEAD_RATIO * second or all(group[0] != first for group in groups):
        return None
    return first


# --- relevance ---------------------------------------------------------------------------------------


def _items(
    known: Known,
    section: Mapping[str, Any],
    forms: Mapping[int, str],
    whys: Mapping[int, tuple[Why, ...]],
) -> Iterator[Item]:
    """The papers of a section in their order; the first of a band brings its heading."""
    percents = {pk: known.percent(section, pk) for pk in forms}
    if not any(percents.values()):
        yield from (Item(pk, form, whys[pk], known.votes[pk]) for pk, form in forms.items())
        return
    distinct = {*percents.values()}
    figures = {percent: prose.percent(percent) if percent is not None else "" for percent in distinct}
    bands = {percent: _band(percent) for percent in distinct}
    said = ""
    for pk, form in forms.items():
        # A post stands where its words put it, under the heading that is there.
        band = said if pk in known.media else bands[percents[pk]]
        yield Item(
            pk,
            form,
            whys[pk],
            known.votes[pk],
            is_scored=True,
            percent=figures[percents[pk]],
            band=band if band != said else "",
        )
        said = band


def _band(percent: int | None) -> str:
    match calibration.band(percent):
        case "almost surely":
            return _("Almost surely yours")
        case "probably":
            return _("Probably")
        case "perhaps":
            return _("Perhaps")
    return _("Matches the filter")


def _meaning() -> str:
    return _(
        "A percentage says how likely a paper is to be on your topic: of papers shown at %(percent)s, "
        "about %(number)d in 100 were judged relevant. Under %(least)s none is shown."
    ) % {
        "percent": prose.percent(EXAMPLE_PERCENT),
        "number": EXAMPLE_PERCENT,
        "least": prose.percent(round(100 * calibration.LOWEST_SHOWN)),
    }


def _best(known: Known, digest: Digest) -> int | None:
    """The paper that the subject names: of the surest, the one that stands first in the edition.

    A filter that somebody wrote is as sure as "probably".
    """
    order = {"almost surely": 0, "probably": 1, "perhaps": 2, "": 3}
    rank = dict.fromkeys(digest.top, 1)
    for section in digest.sections:
        percents = {pk: known.percent(section, pk) for pk in section["papers"]}
        is_scored = any(known.relevance(section, pk) is not None for pk in percents)
        rank |= {pk: order[calibration.band(percent)] if is_scored else 1 for pk, percent in percents.items()}
    return min(rank, key=lambda pk: (rank[pk], known.positions[pk]), default=None)


# --- why ---------------------------------------------------------------------------------------------


def _whys(
    known: Known, section: Mapping[str, Any], forms: Mapping[int, str], names: Mapping[int, str]
) -> dict[int, tuple[Why, ...]]:
    rule = _rule(known, section)
    whys: dict[int, tuple[Why, ...]] = {}
    for pk, form in forms.items():
        parts = known.why(section, pk)[: REASONS_OF_BRIEFS if form == Card.Form.BRIEF else REASONS]
        if str(pk) in section.get("why", ()):
            itself = _similar(known.titles[pk])
            parts = [Why((), _("you liked it")) if part == itself else part for part in parts]
        facts: list[Why] = []
        if also := [names[one] for one in section.get("also", {}).get(str(pk), ()) if one in names]:
            facts.append(Why((), prose.spaced(_("also in %(topics)s") % {"topics": prose.listing(also)})))
        # Among papers that nobody has voted for, the first is first by chance.
        if known.places.get(pk) == 1 and known.votes.get(pk):
            facts += _place(known, pk)
        whys[pk] = (*parts, rule, *facts)
    return whys


def _rule(known: Known, section: Mapping[str, Any]) -> Why:
    """What let the paper in: the topic where that scores its papers, else the filter alone."""
    if known.is_scored(section):
        topic = known.topics[section["topic"]].name
        return Why((), prose.spaced(_("topic %(name)s") % {"name": topic}))
    return Why((), _("matches your filter"))


def reasons(found: Iterable[Sequence[str]]) -> list[Why]:
    """[[field, words], …] as parts of a why-line: the words of one place together, facts as they are.

    The strongest place first. A word is said once, and not where a longer one of its place says it.
    """
    places: dict[str, dict[str, str]] = {}
    for place, text in found:
        places.setdefault(place, {}).setdefault(text.casefold(), text)
    named = " ".join(key for place in _PHRASES for key in places.get(place, ()))
    if fresh := {key: text for key, text in places.get("about", {}).items() if key not in named}:
        places["about"] = fresh
    parts: list[Why] = []
    for place in sorted(places, key=lambda place: _PLACES.get(place, len(_PLACES))):
        texts = _widest(places[place])[:WORDS_A_REASON]
        words = tuple(glance.shortened(text, WORD_MAX_CHARACTERS) for text in texts)
        match place:
            case "title":
                parts.append(Why(words, _("in title")))
            case "abstract":
                parts.append(Why(words, _("in abstract")))
            case "author":
                parts.append(Why(words, _("as author")))
            case "organization":
                parts.append(Why(words, _("as organisation")))
            case "liked":
                parts.append(_similar(texts[0]))
            case "about":
                about = _("about %(words)s") % {"words": prose.comma().join(words)}
                parts.append(Why((), prose.spaced(about)))
            case "category":
                parts.append(Why(words, _("as category")))
            case "id":
                parts.append(Why(words, _("as identifier")))
            case "source":
                parts.append(Why(words, _("as source")))
            case "has":
                parts.append(Why((), _("has %(what)s") % {"what": prose.listing(words)}))
            case "upvotes":
                parts.append(Why((), _("%(count)s votes") % {"count": words[0]}))
            case "stars":
                parts.append(Why((), _("%(count)s stars") % {"count": words[0]}))
            case "comments":
                parts.append(Why((), _("%(count)s comments") % {"count": words[0]}))
    return parts


def _similar(title: str) -> Why:
    """To a paper that the reader liked."""
    short = glance.shortened(title, WORD_MAX_CHARACTERS)
    return Why((), prose.spaced(_("similar to “%(title)s”") % {"title": short}))


def _widest(texts: Mapping[str, str]) -> list[str]:
    """Without those that stand as words inside another: "LLM agents" says "agents" too."""
    return [
        text
        for key, text in texts.items()
        if not any(key != other and f" {key} " in f" {other} " for other in texts)
    ]


def _place(known: Known, paper_id: int) -> tuple[Why, ...]:
    place = known.places.get(paper_id)
    if place is None:
        return ()
    if place == 1:
        text = _("first of %(total)s that day") if _is_daily(known) else _("first of %(total)s that week")
    elif _is_daily(known):
        text = _("number %(place)s of %(total)s that day")
    else:
        text = _("number %(place)s of %(total)s that week")
    return (Why((), text % {"place": prose.number(place), "total": prose.number(known.total)}),)


# --- topics without a paper ----------------------------------------------------------------------------


def _without_papers(
    empty: Sequence[tuple[Name, Mapping[str, Any]]], known: Known, *, given: Collection[int]
) -> Section:
    if len(empty) == 1:
        ((topic, section),) = empty
        reason = _reason(known, section, given) or _none_matched(known)
        return Section(topic.name, topic.url, _("none"), reasons=(reason,))
    silent = [topic.name for topic, section in empty if not _reason(known, section, given)]
    said = [
        f"{topic.name}{prose.colon()}{reason}"
        for topic, section in empty
        if (reason := _reason(known, section, given))
    ]
    if silent:
        none = ngettext(
            "The one paper did not match %(topics)s.",
            "None of the %(total)s papers matched %(topics)s.",
            known.total,
        )
        topics = prose.listing(silent, is_choice=True)
        said.insert(0, prose.spaced(none % {"total": prose.number(known.total), "topics": topics}))
    count = ngettext("%d topic", "%d topics", len(empty)) % len(empty)
    return Section(_("Without papers"), "", count, reasons=tuple(said))


def _reason(known: Known, section: Mapping[str, Any], given: Collection[int]) -> str:
    """Why a topic is empty although something matched, or could not be looked for; else "".

    Revisions do not count: most readers did not ask for them.
    """
    filter_id = section["filter"]
    if problem := known.problem(filter_id):
        return _("This topic’s filter could not be read: %(problem)s") % {"problem": problem}
    found = [pk for pk in known.hits(filter_id) if pk in known.places]
    elsewhere = sum(pk in given for pk in found)
    rest = len(found) - elsewhere
    least, below = section.get("below", (0, 0))
    never = section.get("never", 0)
    rest = max(0, rest - below - never)
    said = []
    if elsewhere:
        said.append(
            ngettext(
                "%d paper matched and stands under another topic.",
                "%d papers matched and stand under other topics.",
                elsewhere,
            )
            % elsewhere
        )
    if below:
        words = ngettext(
            "%(count)d paper matched, below your %(least)s.",
            "%(count)d papers matched, all below your %(least)s.",
            below,
        )
        said.append(words % {"count": below, "least": prose.percent(least)})
    if never:
        words = ngettext(
            "%d matched that you never want to see.", "%d matched that you never want to see.", never
        )
        said.append(words % never)
    if rest:
        said.append(
            ngettext(
                "%d matched that you had before, or that your limits left out.",
                "%d matched that you had before, or that your limits left out.",
                rest,
            )
            % rest
        )
    return prose.sentences(said)


def _none_matched(known: Known) -> str:
    words = ngettext("The one paper did not match.", "None of the %(total)s papers matched.", known.total)
    return words % {"total": prose.number(known.total)}


# --- lines of their own ----------------------------------------------------------------------------------


def _subject(known: Known, best: int | None, given: Sequence[int]) -> str:
    if best is None:
        return _("No papers today")
    title = glance.shortened(known.titles[best], SUBJECT_TITLE_MAX_CHARACTERS)
    if not _is_daily(known):
        if short := _short_title(known.titles[best]):
            title = short
        words = ngettext(
            "Your week: %(counted)s, %(title)s", "Your week: %(counted)s, %(title)s first", len(given)
        )
        return words % {"counted": prose.listing(_counts(known, given)), "title": title}
    if len(given) == 1:
        return title
    return _("%(title)s, and %(more)d more") % {"title": title, "more": len(given) - 1}


def _short_title(title: str) -> str:
    """ "EnvHarness" of "EnvHarness: Awakening Static Worlds …"; empty where there is no such name."""
    name = _NAMED.match(title)
    return name[1] if name else ""


def _preheader(known: Known, best: int | None, rows: Sequence[Row], sections: Sequence[Section]) -> str:
    counts = [f"{row.name} {row.count}" for row in rows if row.count][:PREHEADER_TOPICS]
    parts = [_("%(counts)s.") % {"counts": prose.comma().join(counts)}] if counts else []
    why = next((item.why for section in sections for item in section.items if item.paper_id == best), ())
    if best is not None and why:
        votes = known.votes[best]
        top = plain(why[:1])
        if votes is not None:
            counted = ngettext("%d vote", "%d votes", votes) % votes
            top = _("%(why)s (%(votes)s)") % {"why": top, "votes": counted}
        parts.append(_("Top: %(why)s.") % {"why": top})
    return prose.sentences(parts)


def _headline(known: Known, digest: Digest, given: Sequence[int]) -> str:
    if digest.top:
        return ngettext("%d top paper", "%d top papers", len(given)) % len(given)
    counted = prose.listing(_counts(known, given))
    if not _is_daily(known):
        return _("Your week: %(counted)s") % {"counted": counted}
    return _("%(counted)s for you") % {"counted": counted}


def _lines(known: Known, digest: Digest, shown: Sequence[int]) -> Iterable[str]:
    if line := prose.sentences((*_account(known, digest, shown), known.counted)):
        yield line
    yield from known.lines
    if digest.is_welcome:
        yield _("Welcome. This is the latest edition; from now on papers come at the hour you chose.")
    if digest.top:
        yield _("None of your topics matched; for such days you asked for the top papers.")


def _account(known: Known, digest: Digest, shown: Sequence[int]) -> Iterator[str]:
    """The account of the edition with the reader's own numbers.

    What matched is what this digest holds of the edition's new papers, and what limits left out (revisions
    too, for readers who want them). Papers that the reader has received before are not among them.
    """
    if not known.account:  # of a shell that was stored before accounts were
        return
    given = digests.papers_of(digest)
    joined = [pk for pk in given if pk in known.joined]
    revisions = [pk for pk in given if pk not in known.places and pk not in known.joined]
    matched = len(given) - len(joined) - len(revisions) + digest.held
    values = {
        "account": known.account,
        "matched": prose.number(matched),
        "shown": prose.number(sum(pk in known.places for pk in shown)),
        "held": prose.number(digest.held),
    }
    if digest.top or not matched:
        yield _("%(account)s; none matched.") % values
    elif digest.held:
        yield _("%(account)s; %(matched)s matched, %(shown)s shown, %(held)s over your limits.") % values
    else:
        yield _("%(account)s; %(matched)s matched, %(shown)s shown.") % values
    if revisions:
        words = ngettext("Also one revised version.", "Also %(count)s revised versions.", len(revisions))
        yield words % {"count": prose.number(len(revisions))}
    if joined:
        yield ngettext(
            "Also one from an earlier mail that was not sent.",
            "Also %(count)s from earlier mails that were not sent.",
            len(joined),
        ) % {"count": prose.number(len(joined))}


def _receipt(known: Known, email: str) -> str:
    if _is_daily(known):
        return _("You get this because %(email)s asked Paperboy for each day’s papers.") % {"email": email}
    return _("You get this because %(email)s asked Paperboy for each week’s papers.") % {"email": email}


def _counts(known: Known, given: Sequence[int]) -> list[str]:
    """ "7 papers", "2 posts"; the second only where there are some."""
    posts = sum(pk in known.media for pk in given)
    papers = len(given) - posts
    counts = [ngettext("%d paper", "%d papers", papers) % papers] if papers or not posts else []
    return counts + ([ngettext("%d post", "%d posts", posts) % posts] if posts else [])


def _is_daily(known: Known) -> bool:
    return known.kind == Edition.Kind.DAILY


# --- words -------------------------------------------------------------------------------------------


def plain(why: Iterable[Why]) -> str:
    """A why-line as text: "agents, harness in abstract; first of 17 that day"."""
    parts = (" ".join(filter(None, (prose.comma().join(part.words), part.where))) for part in why)
    return prose.semicolon().join(parts)
