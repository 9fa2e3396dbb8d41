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
from digest.models import Card, Digest, Edition
from digest.papers import glance
from subscriptions.models import Subscriber

SUBJECT_TITLE_MAX_CHARACTERS = 60
SUBJECT_NAME_MAX_CHARACTERS = 30  # before a colon, where many titles name what they present
LEAD_RATIO = 1.5  # the first leads only with this many times the votes of the second
LEAD_AT_LEAST_VOTES = 10
STORIES_A_SECTION = 3  # the rest are briefs
REASONS = 3
WORD_MAX_CHARACTERS = 60
ROWS_FOR_EMPTY = 3  # more topics without a paper are not listed one by one
PREHEADER_TOPICS = 5
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
    """One paper in a section."""

    paper_id: int
    form: str
    why: tuple[Why, ...]


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
    `hits(filter id)`: the papers that it found. `why(filter id, paper id)`: the reasons for one of these,
    None for a paper that it did not find. `problem(filter id)`: why it could not be evaluated, else "".
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
    why: Callable[[int, int], "Sequence[Why] | None"]
    problem: Callable[[int], str]


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
        items = tuple(
            Item(pk, forms[pk], _why(known, section, pk, names)) for pk in section["papers"] if pk in kept
        )
        rows.append(Row(topic.name, topic.url, len(section["papers"])))
        if items:
            count = prose.comma().join(_counts(known, section["papers"]))
            filled.append(Section(topic.name, topic.url, count, items))
    if digest.top:
        items = tuple(Item(pk, forms[pk], _place(known, pk)) for pk in digest.top if pk in kept)
        heading = _("Top papers of the day") if _is_daily(known) else _("Top papers of the week")
        filled.append(Section(heading, "", prose.comma().join(_counts(known, digest.top)), items))
    if len(empty) <= ROWS_FOR_EMPTY:
        rows += [Row(topic.name, topic.url, 0) for topic, _section in empty]
    if empty:
        filled.append(_without_papers(empty, known, given=set(forms)))
    left_out = len(forms) - len(shown)
    best = min(forms, key=lambda pk: known.positions[pk], default=None)
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


# --- why ---------------------------------------------------------------------------------------------


def _why(
    known: Known, section: Mapping[str, Any], paper_id: int, names: Mapping[int, str]
) -> tuple[Why, ...]:
    parts = known.why(section["filter"], paper_id)
    if parts is None:  # joined from an earlier digest that was not delivered, with its reasons
        parts = reasons(section.get("why", {}).get(str(paper_id), ()))
    also = [names[pk] for pk in section.get("also", {}).get(str(paper_id), ()) if pk in names]
    elsewhere = prose.spaced(_("also in %(topics)s") % {"topics": prose.listing(also)})
    facts = [Why((), elsewhere)] if also else []
    # Among papers that nobody has voted for, the first is first by chance.
    if known.places.get(paper_id) == 1 and known.votes.get(paper_id):
        facts += _place(known, paper_id)
    return (*parts[: max(1, REASONS - len(facts))], *facts)


def reasons(found: Iterable[Sequence[str]]) -> list[Why]:
    """[[field, words], …] as parts of a why-line: the words of one place together, facts as they are."""
    places: dict[str, dict[str, str]] = {}
    for place, text in found:
        places.setdefault(place, {}).setdefault(text.casefold(), text)
    parts: list[Why] = []
    for place, texts in places.items():
        words = tuple(glance.shortened(text, WORD_MAX_CHARACTERS) for text in texts.values())
        match place:
            case "title":
                parts.append(Why(words, _("in title")))
            case "abstract":
                parts.append(Why(words, _("in abstract")))
            case "author":
                parts.append(Why(words, _("as author")))
            case "organization":
                parts.append(Why(words, _("as organisation")))
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
    return parts or [Why((), _("matches your filter"))]


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
        reason = _reason(known, section["filter"], given) or _none_matched(known)
        return Section(topic.name, topic.url, _("none"), reasons=(reason,))
    silent = [topic.name for topic, section in empty if not _reason(known, section["filter"], given)]
    said = [
        f"{topic.name}{prose.colon()}{reason}"
        for topic, section in empty
        if (reason := _reason(known, section["filter"], given))
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


def _reason(known: Known, filter_id: int, given: Collection[int]) -> str:
    """Why a topic is empty although something matched, or could not be looked for; else "".

    Revisions do not count: most readers did not ask for them.
    """
    if problem := known.problem(filter_id):
        return _("This topic’s filter could not be read: %(problem)s") % {"problem": problem}
    found = [pk for pk in known.hits(filter_id) if pk in known.places]
    elsewhere = sum(pk in given for pk in found)
    rest = len(found) - elsewhere
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
