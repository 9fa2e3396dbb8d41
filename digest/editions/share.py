"""One reader's share of an edition: each paper once, under the right topic, in order, within limits."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from digest.editions import digests, relevance
from digest.editions.material import Material
from digest.editions.taught import Taught
from digest.editions.undelivered import Undelivered
from digest.models import Digest
from subscriptions import interests
from subscriptions.models import SubscribedTopic, Subscriber
from subscriptions.models.delivery import delivery_id

TOP_PAPERS = 3  # for readers who want something on a day without matches


def gather(
    material: Material,
    reader: Subscriber,
    topics: Iterable[SubscribedTopic],
    *,
    received: Collection[int],
    earlier: Undelivered | None = None,
    taught: Taught | None = None,
) -> Digest:
    """One reader's share of an edition, not yet stored: sections by topic, each paper once, capped.

    `received` holds papers under their original's id, and the marks of revisions. A revision is for readers
    who asked for updates, whether they had an earlier version or not.

    A paper stands under the topic to which it is most relevant, by bands, of several the first, and names
    the others. The most relevant come first; in a band, those that are talked about. Where there are more
    than the reader wants, the topics take turns, so that a busy one does not crowd out the rest.
    """
    taught = taught or Taught()
    never = {
        material.original(pk) for filter_id in taught.mutes_of(reader) for pk in material.found(filter_id)
    }
    personal: dict[int, relevance.Scores] = {}
    news: dict[int, int] = {}  # listed papers that this reader had before the version that is announced now
    followed = list(topics)
    found: list[dict[int, int]] = []  # by topic: original → id under which it came, best first
    home: dict[int, tuple[int, int]] = {}  # original → band and number of the topic under which it stands
    for number, topic in enumerate(followed):
        mine: dict[int, int] = {}
        scores = material.relevance.of(topic.topic_id)
        if taught.has_said(reader) and (own_scores := taught.scores(material, reader, topic.topic)):
            personal[topic.topic_id] = scores = own_scores
        known = relevance.probabilities(scores)
        least = topic.min_relevance if interests.of_topic(topic.topic) else None
        for paper_id in _best_first(material.found(topic.topic.filter_id), scores, least):
            original = material.original(paper_id)
            if original in never or original in mine:
                continue
            version = material.revisions.get(paper_id)
            if version is None and original in received and paper_id in material.listed_revisions:
                version = news[paper_id] = material.listed_revisions[paper_id]
            if digests.is_not_for(reader, original, version, received):
                continue
            mine[original] = paper_id
            # A pure filter is the reader's exact wish: of its papers there is no doubt.
            place = (relevance.place(known.get(paper_id)) if known else 0, number)
            home[original] = min(home.get(original, place), place)
        found.append(mine)
    wanted: list[tuple[SubscribedTopic, list[int]]] = []
    also: dict[int, list[int]] = {}
    for number, (topic, mine) in enumerate(zip(followed, found, strict=True)):
        own = [paper_id for original, paper_id in mine.items() if home[original][1] == number]
        wanted.append((topic, own))
        for original, paper_id in mine.items():
            if home[original][1] == number:
                others = (
                    other.topic.filter_id
                    for other, its in zip(followed, found, strict=True)
                    if original in its
                )
                also[paper_id] = [pk for pk in dict.fromkeys(others) if pk != topic.topic.filter_id]
    before = earlier.papers_for(reader, material, received=received, known=home.keys()) if earlier else {}
    revisions = material.revisions | (earlier.revisions if earlier else {})
    for topic, own in wanted:
        own.extend(before.get(topic.topic_id, {}))
    chosen = _take_turns([(own, topic.max_papers) for topic, own in wanted], reader.max_papers)
    sections: list[dict[str, Any]] = []
    for (topic, _), papers in zip(wanted, chosen, strict=True):
        section: dict[str, Any] = {
            "topic": topic.topic_id,
            "filter": topic.topic.filter_id,
            "papers": papers,
        }
        if not papers and (topic.min_relevance or never):
            missed = [
                pk
                for pk in material.found(topic.topic.filter_id)
                if pk not in material.revisions
                and (original := material.original(pk)) not in home
                and original not in received
            ]
            scores = personal.get(topic.topic_id) or material.relevance.of(topic.topic_id)
            section |= _left_out(missed, material, never, scores, topic.min_relevance)
        if more := {str(pk): also[pk] for pk in papers if also.get(pk)}:
            section["also"] = more
        section |= _of_their_own(
            papers, personal.get(topic.topic_id, {}), joined=before.get(topic.topic_id, {})
        )
        updated = {str(pk): revisions[pk] for pk in papers if _is_revision(pk, material, revisions)}
        updated |= {str(pk): news[pk] for pk in papers if pk in news}
        if updated:
            section["updated"] = updated
        listed = material.listed_revisions
        if newest := {str(pk): listed[pk] for pk in papers if pk in listed and pk not in news}:
            section["newest"] = newest
        sections.append(section)
    shown = sum(len(papers) for papers in chosen)
    top: list[int] = []
    if not shown and reader.top_papers_if_none:
        best: dict[int, int] = {}
        for pk in material.positions:
            if pk not in material.revisions:
                best.setdefault(material.original(pk), pk)
        top = [pk for original, pk in best.items() if original not in received][:TOP_PAPERS]
    return Digest(
        id=delivery_id(material.edition.mailing_id, reader.pk),
        subscriber_id=reader.pk,
        edition_id=material.edition.pk,
        language=reader.language,
        length=reader.length,
        sections=sections,
        top=top,
        held=sum(len(own) for _, own in wanted) - shown,
    )


def _of_their_own(
    papers: Iterable[int], personal: relevance.Scores, *, joined: relevance.Scores
) -> dict[str, Any]:
    """What a section says itself, since the edition's rows do not: of papers that the reader's examples
    change, and of those that joined from an earlier digest."""
    own = {pk: joined.get(pk) or personal[pk] for pk in papers if pk in joined or pk in personal}
    known = {
        str(pk): one.probability for pk, one in own.items() if pk in personal or one.probability is not None
    }
    why = {str(pk): one.reasons for pk, one in own.items() if one.reasons or pk in joined}
    return ({"relevance": known} if known else {}) | ({"why": why} if why else {})


def _left_out(
    found: Sequence[int],
    material: Material,
    never: Collection[int],
    scores: relevance.Scores,
    min_relevance: int | None,
) -> dict[str, Any]:
    """Why a topic without papers has none of those that its filter found, for the mail to say: `never`, how
    many the reader mutes; `below`, [the reader's threshold, how many are under it]."""
    allowed = [pk for pk in found if material.original(pk) not in never]
    kept = _best_first(allowed, scores, min_relevance)
    left: dict[str, Any] = {}
    if len(allowed) < len(found):
        left["never"] = len(found) - len(allowed)
    if len(kept) < len(allowed):
        left["below"] = [min_relevance, len(allowed) - len(kept)]
    return left


def _best_first(found: Sequence[int], scores: relevance.Scores, min_relevance: int | None) -> Sequence[int]:
    """What a filter found, by trending, in the order of the bands of relevance and without what is below the
    reader's threshold. Unchanged where no relevance is known and none is asked for, as for a pure filter."""
    if not scores and min_relevance is None:
        return found
    known = relevance.probabilities(scores)
    return sorted(
        (pk for pk in found if relevance.is_enough(known.get(pk), min_relevance)),
        key=lambda pk: relevance.place(known.get(pk)),
    )


def _is_revision(paper_id: int, material: Material, revisions: Mapping[int, int]) -> bool:
    """A paper that this edition lists is no revision, whatever an earlier one said."""
    return paper_id in revisions and (paper_id in material.revisions or paper_id not in material.positions)


def _take_turns(sections: Sequence[tuple[Sequence[int], int | None]], limit: int) -> list[list[int]]:
    taken: list[list[int]] = [[] for _ in sections]
    room = limit
    for turn in range(max((len(papers) for papers, _ in sections), default=0)):
        for (papers, cap), mine in zip(sections, taken, strict=True):
            if room and turn < len(papers) and (cap is None or turn < cap):
                mine.append(papers[turn])
                room -= 1
    return taken
