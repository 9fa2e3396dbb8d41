"""What readers say of papers: more, less, kept, never again; and what was learnt from it, to be shown.

One `Feedback` row a reader and paper is the truth; all else is worked out from it. So a word of the reader
counts at once: the next digest reads the rows as they are, and a model learnt before the word was said is out
of use with it, until a new one is made (reader_models.py).

Papers are taken under their original's id, as everywhere: an opinion of a row that is merged later counts
for the original, and stays with its row if the merge is undone.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.db.models import F, Max, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from digest.matching import learning, profiles, recent, spaces
from digest.matching.documents import document
from digest.matching.explain import Reason
from digest.matching.learning import Word
from digest.matching.rank import Ranker
from digest.models import (
    Digest,
    Edition,
    EditionMatch,
    EditionRelevance,
    Feedback,
    Paper,
    ReaderModel,
    Received,
)
from subscriptions import filters, interests, topics
from subscriptions.models import Mute, SubscribedTopic, Subscriber, Topic

MOST_EXAMPLES = 50  # liked papers, and as many disliked, of one reader for one topic; the newest
MOST_MUTES = 200  # of one reader
MOST_REMOVED_WORDS = 100
MAX_REMOVED_WORD = 80  # characters
LOOKED_BACK_AT = 40  # papers that a new mute is tried on
BACKGROUND_PAPERS = 1_000

Opinion = Feedback.Opinion
PaperDict = dict[str, Any]
Examples = tuple[list[PaperDict], list[PaperDict]]

# A row counts as liked if it says more, or is kept without an opinion.
IS_LIKED = Q(opinion=Opinion.MORE) | Q(opinion="")


class TooMany(ValueError):
    """A reader has as many mutes or removed words as one can have."""


# --- saying it ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """What a reader says of a paper. Nothing at all: there is no row."""

    opinion: str = ""  # of Feedback.Opinion
    saved: bool = False


def said_of(subscriber_id: int, paper_id: int) -> Said:
    """What the reader says of this paper, under any of its names."""
    row = _newest(_rows(subscriber_id, _names(_original(paper_id))))
    return _said(row)


def say_more(subscriber_id: int, paper_id: int, *, now: datetime, topic_id: int | None = None) -> Said:
    """More like this paper. Returns what was said before, for `put`, which undoes it.

    As all of these: saying it twice changes nothing; it counts for the topic under which the paper came in
    the reader's newest digest that has it, else for `topic_id` where that is theirs, else for none in
    particular. Raises Paper.DoesNotExist and Subscriber.DoesNotExist.
    """
    return _change(
        subscriber_id, paper_id, lambda said: replace(said, opinion=Opinion.MORE), now=now, topic_id=topic_id
    )


def say_less(subscriber_id: int, paper_id: int, *, now: datetime, topic_id: int | None = None) -> Said:
    """Less like this paper, also where it is kept. Returns what was said before."""
    return _change(
        subscriber_id, paper_id, lambda said: replace(said, opinion=Opinion.LESS), now=now, topic_id=topic_id
    )


def save(subscriber_id: int, paper_id: int, *, now: datetime, topic_id: int | None = None) -> Said:
    """Keep it for later, which counts as a like where nothing else is said. Returns what was said before."""
    return _change(
        subscriber_id, paper_id, lambda said: replace(said, saved=True), now=now, topic_id=topic_id
    )


def unsave(subscriber_id: int, paper_id: int, *, now: datetime) -> Said:
    """Keep it no longer; an opinion stays. Returns what was said before."""
    return _change(subscriber_id, paper_id, lambda said: replace(said, saved=False), now=now)


def take_back(subscriber_id: int, paper_id: int, *, now: datetime) -> Said:
    """As if nothing had been said of this paper. Returns what was."""
    return put(subscriber_id, paper_id, Said(), now=now)


def put(subscriber_id: int, paper_id: int, said: Said, *, now: datetime, topic_id: int | None = None) -> Said:
    """Say exactly this of the paper. Returns what was said before."""
    return _change(subscriber_id, paper_id, lambda _: said, now=now, topic_id=topic_id)


def _change(
    subscriber_id: int,
    paper_id: int,
    change: Callable[[Said], Said],
    *,
    now: datetime,
    topic_id: int | None = None,
) -> Said:
    paper = _original(paper_id)
    with transaction.atomic():
        Subscriber.objects.select_for_update().get(pk=subscriber_id)
        rows = _rows(subscriber_id, _names(paper))
        row = _newest(rows)
        before, after = _said(row), change(_said(row))
        if after == before:
            return before
        if after == Said():
            rows.delete()
        else:
            found = came(subscriber_id, paper.pk)
            row = row or Feedback(subscriber_id=subscriber_id)
            rows.exclude(pk=row.pk).delete()  # of names that turned out to be this paper
            row.paper = paper
            row.topic_id = _topic_id(subscriber_id, found, row.topic_id or topic_id)
            row.opinion, row.at = after.opinion, now
            row.saved_at = (row.saved_at or now) if after.saved else None
            if row.relevance is None and found is not None:
                row.relevance = found.topics[0].probability
            row.save()
        _outdate(subscriber_id)
        return before


def _topic_id(subscriber_id: int, found: "Came | None", other: int | None) -> int | None:
    """The topic that an opinion counts for: one that exists, of the catalogue or the reader's own."""
    wanted = [under.topic.pk for under in found.topics] if found else []
    theirs = Topic.objects.filter(Q(owner=None) | Q(owner=subscriber_id)).in_bulk([*wanted, other or 0])
    return next((pk for pk in [*wanted, other] if pk in theirs), None)


def _original(paper_id: int) -> Paper:
    paper = Paper.objects.select_related("canonical").get(pk=paper_id)
    return paper.canonical or paper


def _names(paper: Paper) -> list[int]:
    """All ids under which a paper is known, given its original."""
    return [paper.pk, *Paper.objects.filter(canonical=paper).values_list("pk", flat=True)]


def _rows(subscriber_id: int, paper_ids: Collection[int]) -> "QuerySet[Feedback]":
    return Feedback.objects.filter(subscriber=subscriber_id, paper__in=paper_ids)


def _newest(rows: "QuerySet[Feedback]") -> Feedback | None:
    return rows.order_by("-at", "-pk").first()


def _said(row: Feedback | None) -> Said:
    return Said() if row is None else Said(row.opinion, row.saved_at is not None)


def _outdate(subscriber_id: int) -> None:
    """A model learnt from other words than those said now is out of use, in the same transaction."""
    ReaderModel.objects.filter(subscriber=subscriber_id).update(is_better=False, examples=0)


# --- why a paper came ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Under:
    """One topic that found a paper: in which words, and how sure of it (None: a pure filter).

    `least`: the percentage that the reader takes its papers from; told of papers that did not come.
    """

    topic: Topic
    reasons: tuple[Reason, ...]
    probability: float | None = None
    least: int | None = None


@dataclass(frozen=True, slots=True)
class Came:
    """In which digest a paper came to a reader; the topic that it stood under first, then the others."""

    edition: Edition
    topics: tuple[Under, ...]


def came(subscriber_id: int, paper_id: int) -> Came | None:
    """The newest digest of this reader that holds the paper under a topic; None where none is kept.

    Topics that have been deleted since are left out.
    """
    names = _names(_original(paper_id))
    given = Received.objects.filter(subscriber_id=subscriber_id, paper_ids__overlap=names)
    keys = list(given.order_by("-day", "-pk").values_list("pk", flat=True)[:5])
    kept = Digest.objects.in_bulk(keys)
    for key in keys:
        if key in kept and (found := _found_in(kept[key], names)):
            return Came(Edition.objects.get(pk=kept[key].edition_id), found)
    return None


def _found_in(digest: Digest, names: Sequence[int]) -> tuple[Under, ...]:
    for section in digest.sections:
        paper_id = next((pk for pk in section["papers"] if pk in names), None)
        if paper_id is not None:
            break
    else:
        return ()
    key = str(paper_id)
    filter_ids = [section["filter"], *section.get("also", {}).get(key, [])]
    topic_ids = [section["topic"]]
    for filter_id in filter_ids[1:]:
        topic_ids += [
            other["topic"]
            for other in digest.sections
            if other["filter"] == filter_id and other["topic"] not in topic_ids
        ]
    known = Topic.objects.select_related("filter").in_bulk(topic_ids)
    hits = {
        match.filter_id: dict(match.hits)
        for match in EditionMatch.objects.filter(edition=digest.edition_id, filter__in=filter_ids)
    }
    scored = {
        row.topic_id: {pk: (probability, why) for pk, probability, why in row.scored}
        for row in EditionRelevance.objects.filter(edition=digest.edition_id, topic__in=topic_ids)
    }
    filter_of = {one["topic"]: one["filter"] for one in digest.sections}
    own = {section["topic"]: section}
    found = []
    for topic_id in topic_ids:
        if topic_id not in known:
            continue
        probability, why = scored.get(topic_id, {}).get(paper_id, (None, []))
        mine = own.get(topic_id, {})
        probability = mine.get("relevance", {}).get(key, probability)
        # The filter's reasons, then the score's: the reader's own where there are some.
        said = [*hits.get(filter_of[topic_id], {}).get(paper_id, []), *mine.get("why", {}).get(key, why)]
        reasons = dict.fromkeys(Reason(text, field) for field, text in said)
        found.append(Under(known[topic_id], tuple(reasons), probability))
    return tuple(found)


def would_come(subscriber_id: int, paper_id: int) -> tuple[Under, ...]:
    """The topics that the reader follows and whose filter finds this paper, whatever its day, with the
    relevance that it has by their words and by what the reader says of papers now."""
    paper = _original(paper_id)
    sources = set(paper.sightings.values_list("source__slug", flat=True))
    followed = Topic.objects.filter(subscribed__subscriber=subscriber_id, subscribed__muted=False)
    ordered = followed.select_related("filter").order_by("subscribed__position", "subscribed__pk")
    found = recent.matching_topics(paper, ordered, sources)
    if not any(interests.of_topic(topic) for topic, _ in found):
        return tuple(Under(topic, tuple(dict.fromkeys(reasons))) for topic, reasons in found)
    least = dict(
        SubscribedTopic.objects.filter(subscriber=subscriber_id).values_list("topic_id", "min_relevance")
    )
    said = examples([subscriber_id]).get(subscriber_id, {})
    key = str(paper.pk)
    ranker = Ranker(calibration=spaces.scale()).fit(
        [{"id": key, "title": paper.title, "abstract": paper.abstract}], spaces.current().space
    )
    under = []
    for topic, reasons in found:
        sides = [said[pk] for pk in (topic.pk, None) if pk in said]
        profile = profiles.of_topic(
            topic,
            liked=[one for liked, _ in sides for one in liked],
            disliked=[one for _, disliked in sides for one in disliked],
        )
        prepared = ranker.prepare(profile) if profile and interests.of_topic(topic) else None
        relevance = ranker.relevance(prepared) if prepared else None
        told = dict.fromkeys([*reasons, *(ranker.explain(prepared, key) if prepared else ())])
        probability = relevance[0] if relevance else None
        under.append(Under(topic, tuple(told), probability, least.get(topic.pk)))
    return tuple(under)


# --- what the matcher asks: for many readers at once --------------------------------------------------------


def examples(subscriber_ids: Collection[int]) -> dict[int, dict[int | None, Examples]]:
    """{subscriber id: {topic id: (liked papers, disliked papers)}}, newest first; three queries.

    Under None stands what was said of papers that came under no topic. At most the newest 50 of each kind for
    each topic; what is kept without an opinion is liked. Each paper is a mapping as `Ranker` takes it: id,
    title, abstract, authors, published, and `shown_title`. Title and abstract lack the words that the reader
    has taken out ("What Paperboy has learnt"), so place them by their text, not by their id; `shown_title`
    is the title as it stands in the paper.
    """
    window = Window(
        RowNumber(), partition_by=[F("subscriber"), F("topic"), F("is_liked")], order_by=[F("at").desc()]
    )
    rows = (
        Feedback.objects.filter(subscriber__in=subscriber_ids)
        .annotate(is_liked=IS_LIKED, place=window)
        .filter(place__lte=MOST_EXAMPLES)
        .order_by("subscriber_id", "-at", "-pk")
        .values_list("subscriber_id", "topic_id", "is_liked", "paper_id", "paper__canonical_id")
    )
    found = [(*row[:3], row[4] or row[3]) for row in rows]
    papers = {
        paper.pk: paper
        for paper in Paper.objects.filter(pk__in={row[3] for row in found}).only(
            "title", "abstract", "authors", "published_at"
        )
    }
    removed = removed_words({row[0] for row in found})
    of: dict[int, dict[int | None, Examples]] = defaultdict(dict)
    seen: set[tuple[int, int]] = set()
    for subscriber_id, topic_id, is_liked, paper_id in found:
        if (subscriber_id, paper_id) in seen:
            continue  # said of two names of one paper; the newest word counts
        seen.add((subscriber_id, paper_id))
        liked, disliked = of[subscriber_id].setdefault(topic_id, ([], []))
        mapping = _as_dict(papers[paper_id], removed.get(subscriber_id, ()))
        (liked if is_liked else disliked).append(mapping)
    return dict(of)


def who_said(subscriber_ids: Collection[int]) -> set[int]:
    """Which of these readers have said anything of papers; one query."""
    rows = Feedback.objects.filter(subscriber__in=subscriber_ids)
    return set(rows.values_list("subscriber_id", flat=True).distinct())


def mutes(subscriber_ids: Collection[int]) -> dict[int, list[int]]:
    """{subscriber id: ids of the filters whose papers they never want}; one query, readers with some only."""
    of: dict[int, list[int]] = defaultdict(list)
    rows = Mute.objects.filter(subscriber__in=subscriber_ids).order_by("pk")
    for subscriber_id, filter_id in rows.values_list("subscriber_id", "filter_id"):
        of[subscriber_id].append(filter_id)
    return dict(of)


def _as_dict(paper: Paper, removed: Collection[str]) -> PaperDict:
    return {
        "id": paper.pk,
        "title": learning.without(paper.title, removed) if removed else paper.title,
        "abstract": learning.without(paper.abstract, removed) if removed else paper.abstract,
        "authors": paper.authors,
        "published": paper.published_at.date().isoformat() if paper.published_at else "",
        "shown_title": paper.title,
    }


def removed_words(subscriber_ids: Collection[int]) -> dict[int, list[str]]:
    """{subscriber id: words that they have taken out}; one query, readers with some only."""
    rows = ReaderModel.objects.filter(subscriber__in=subscriber_ids, weights__has_key="removed_words")
    return {
        subscriber_id: weights["removed_words"]
        for subscriber_id, weights in rows.values_list("subscriber_id", "weights")
    }


# --- never again --------------------------------------------------------------------------------------------

# The filter field behind a reason's field; words of title and abstract stand without one. Of "liked", and of
# numbers, there is nothing to mute.
_MUTED_AS = {
    "title": "",
    "abstract": "",
    "about": "",
    "author": "author:",
    "organization": "org:",
    "category": "cat:",
    "source": "source:",
    "kind": "kind:",
    "language": "lang:",
    "has": "has:",
}


def mute_text(reason: Reason) -> str:
    """The filter, in canonical form, of papers that have what a reason names; empty where there is none."""
    field = _MUTED_AS.get(reason.field)
    if field is None:
        return ""
    words = " ".join(reason.atom_text.replace('"', " ").split())
    value = words.split("-")[0].lower() if field == "lang:" else words
    try:
        return filters.parse(f'{field}"{value}"').canonical
    except filters.FilterError:
        return ""


def mute(subscriber_id: int, text: str, *, now: datetime) -> Mute:
    """Never show this reader papers that the filter `text` finds; the mute there is where it reads the same.

    Raises filters.FilterError, TooMany, Subscriber.DoesNotExist.
    """
    with transaction.atomic():
        reader = Subscriber.objects.select_for_update().get(pk=subscriber_id)
        revision = topics.filter_revision(text, now=now)
        existing = reader.mutes.filter(filter=revision).first()
        if existing is None and reader.mutes.count() >= MOST_MUTES:
            raise TooMany(
                f"You mute {MOST_MUTES} things, which is as many as there can be. Remove one first."
            )
        return existing or Mute.objects.create(subscriber=reader, filter=revision, created_at=now)


def unmute(subscriber_id: int, mute_id: int) -> str | None:
    """Take one mute back. Returns its filter, for `mute`, which undoes it; None if the reader has it not."""
    row = Mute.objects.filter(pk=mute_id, subscriber=subscriber_id).select_related("filter").first()
    if row is None:
        return None
    row.delete()
    return row.filter.canonical


def left_out_by(subscriber_id: int, text: str) -> tuple[int, int]:
    """How many of the reader's last papers the filter finds: 3 of 40. For a mute: would not have come."""
    given = Received.objects.filter(subscriber_id=subscriber_id).order_by("-day", "-pk")
    ids: dict[int, None] = {}
    for paper_ids in given.values_list("paper_ids", flat=True)[:LOOKED_BACK_AT]:
        ids |= dict.fromkeys(pk for pk in paper_ids if pk > 0)
    papers = Paper.objects.in_bulk(list(ids)[:LOOKED_BACK_AT])
    wanted = filters.parse(text)
    return sum(filters.matches(wanted, document(paper)) for paper in papers.values()), len(papers)


# --- what was learnt ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opinionated:
    """One paper that the reader has spoken of."""

    paper: Paper
    topic: Topic | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Learnt:
    """All that was learnt from one reader; each piece can be taken back."""

    liked: list[Opinionated]
    disliked: list[Opinionated]
    saved: list[Opinionated]
    more: list[Word]  # words of what is liked
    less: list[Word]
    removed_words: list[str]
    mutes: list[Mute]
    has_model: bool  # a model of the reader's own is in use
    tried_on: int  # opinions that one was last tried on; 0 where none was, or more has been said since

    @property
    def is_empty(self) -> bool:
        pieces = (self.liked, self.disliked, self.saved, self.removed_words, self.mutes)
        return not any(pieces)


def learnt(subscriber_id: int) -> Learnt:
    """What was learnt from this reader, newest first; a handful of queries."""
    rows = list(
        Feedback.objects.filter(subscriber=subscriber_id)
        .select_related("paper__canonical", "topic")
        .order_by("-at", "-pk")
    )
    newest: dict[int, tuple[Feedback, Opinionated]] = {}
    for row in rows:
        paper = row.paper.canonical or row.paper
        newest.setdefault(paper.pk, (row, Opinionated(paper, row.topic, row.at)))
    liked = [one for row, one in newest.values() if row.opinion == Opinion.MORE]
    disliked = [one for row, one in newest.values() if row.opinion == Opinion.LESS]
    saved = [one for row, one in newest.values() if row.saved_at is not None]
    silent = [one for row, one in newest.values() if not row.opinion]  # kept: counts as liked
    own = ReaderModel.objects.filter(subscriber=subscriber_id).first()
    removed = list(own.weights.get("removed_words", [])) if own else []
    more, less = _words([*liked, *silent], disliked, removed)
    return Learnt(
        liked=liked,
        disliked=disliked,
        saved=saved,
        more=more,
        less=less,
        removed_words=removed,
        mutes=list(Mute.objects.filter(subscriber=subscriber_id).select_related("filter").order_by("-pk")),
        has_model=own is not None and own.is_better,
        tried_on=own.examples if own else 0,
    )


def _words(
    liked: Sequence[Opinionated], disliked: Sequence[Opinionated], removed: Collection[str]
) -> tuple[list[Word], list[Word]]:
    texts = [
        [(one.paper.title, one.paper.abstract) for one in side[:MOST_EXAMPLES]] for side in (liked, disliked)
    ]
    if not any(texts):
        return [], []
    newest = Paper.objects.aggregate(day=Max("first_listed_on"))["day"]
    return learning.telling_words(*texts, background=_background(newest), removed=removed)


@lru_cache(maxsize=1)
def _background(day: date) -> learning.Background:
    """Papers in general: the newest thousand as of the newest listing day. Some 0.4 s, once a day."""
    papers = Paper.objects.filter(kind=Paper.Kind.PAPER, first_listed_on__lte=day)
    newest = papers.order_by("-first_listed_on", "-pk").values_list("title", "abstract")
    return learning.Background.of(newest[:BACKGROUND_PAPERS])


def forget_word(subscriber_id: int, word: str, *, now: datetime) -> str:
    """Learn nothing from this word or phrase: it is taken out of the reader's papers before they are used.

    Returns it as it is kept, for `bring_word_back`; empty where there is no word. Raises TooMany.
    """
    plain = interests.one_line(word.replace('"', " "), MAX_REMOVED_WORD)
    if not plain:
        return ""
    with transaction.atomic():
        own = own_row(subscriber_id, now=now)
        removed = own.weights.get("removed_words", [])
        if plain not in removed:
            if len(removed) >= MOST_REMOVED_WORDS:
                raise TooMany(f"You have taken out {MOST_REMOVED_WORDS} words. Put one back first.")
            _set_removed(own, [*removed, plain])
    return plain


def bring_word_back(subscriber_id: int, word: str, *, now: datetime) -> bool:
    """Learn from this word again. Whether it had been taken out."""
    with transaction.atomic():
        own = own_row(subscriber_id, now=now)
        removed = own.weights.get("removed_words", [])
        if word not in removed:
            return False
        _set_removed(own, [other for other in removed if other != word])
    return True


def reset(subscriber_id: int) -> None:
    """Forget everything that was learnt: opinions, saved papers, words, mutes, the model."""
    with transaction.atomic():
        Subscriber.objects.select_for_update().filter(pk=subscriber_id).first()
        Feedback.objects.filter(subscriber=subscriber_id).delete()
        Mute.objects.filter(subscriber=subscriber_id).delete()
        ReaderModel.objects.filter(subscriber=subscriber_id).delete()


def own_row(subscriber_id: int, *, now: datetime) -> ReaderModel:
    """The reader's row, locked together with the reader. Call in a transaction."""
    Subscriber.objects.select_for_update().get(pk=subscriber_id)
    start = {"weights": {}, "examples": 0, "is_better": False, "made_at": now}
    return ReaderModel.objects.get_or_create(subscriber_id=subscriber_id, defaults=start)[0]


def _set_removed(own: ReaderModel, words: list[str]) -> None:
    own.weights = {**own.weights, "removed_words": words}
    own.is_better, own.examples = False, 0
    own.save(update_fields=["weights", "is_better", "examples"])
