"""An earlier digest that was not delivered joins the next one: at most one daily digest a reader and day."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Q

from digest.editions import digests, relevance
from digest.editions.material import Material
from digest.models import Digest, Edition, EditionMatch, EditionPaper, EditionRelevance
from subscriptions.mail import outbox
from subscriptions.models import Delivery, Mailing, Subscriber
from subscriptions.models.delivery import SUBSCRIBER_BITS, delivery_id


@dataclass(slots=True)
class Undelivered:
    """Readers' digests of earlier daily editions whose rows still wait, newest first.

    At most one daily digest a reader and day: these rows are folded into the new one.
    """

    of: dict[int, list[Digest]] = field(default_factory=dict)
    revisions: dict[int, int] = field(default_factory=dict)  # paper id → version, of all of them
    _reasons: dict[tuple[int, int], dict[int, Any]] = field(default_factory=dict)  # by edition and filter
    _scores: dict[tuple[int, int], dict[int, Any]] = field(default_factory=dict)  # by edition and topic

    @classmethod
    def before(cls, edition: Edition, subscriber_ids: Sequence[int]) -> "Undelivered":
        if edition.kind != Edition.Kind.DAILY:
            return cls()
        mailings = Mailing.objects.filter(
            ~Q(status=Mailing.Status.COMPLETE), edition__kind=edition.kind, edition__date__lt=edition.date
        ).values_list("pk", flat=True)
        keys = [delivery_id(mailing, pk) for mailing in mailings for pk in subscriber_ids]
        if not keys:
            return cls()
        waiting = (Delivery.State.DUE, Delivery.State.DEFERRED)
        # Locked, so that no worker takes one while its papers move; one that a worker has is being delivered.
        rows = (
            Delivery.objects.select_for_update(skip_locked=True)
            .filter(pk__in=keys, state__in=waiting)
            .values_list("pk", flat=True)
        )
        found = list(Digest.objects.filter(pk__in=list(rows)))
        dates = dict(
            Edition.objects.filter(pk__in={one.edition_id for one in found}).values_list("pk", "date")
        )
        of: dict[int, list[Digest]] = defaultdict(list)
        for digest in sorted(found, key=lambda one: dates[one.edition_id], reverse=True):
            of[digest.subscriber_id].append(digest)
        matches = EditionMatch.objects.filter(
            edition__in=dates, filter__in={section["filter"] for one in found for section in one.sections}
        )
        reasons = {(match.edition_id, match.filter_id): dict(match.hits) for match in matches}
        revisions = {
            int(pk): version
            for one in sorted(found, key=lambda one: dates[one.edition_id])
            for section in one.sections
            for pk, version in section.get("updated", {}).items()
        }
        relevances = EditionRelevance.objects.filter(
            edition__in=dates, topic__in={section["topic"] for one in found for section in one.sections}
        )
        scores = {
            (row.edition_id, row.topic_id): {pk: (probability, why) for pk, probability, why in row.scored}
            for row in relevances
        }
        return cls(dict(of), revisions, reasons, scores)

    @property
    def keys(self) -> list[int]:
        return [digest.pk for digests_of_one in self.of.values() for digest in digests_of_one]

    @property
    def paper_ids(self) -> set[int]:
        return {
            pk
            for digests_of_one in self.of.values()
            for digest in digests_of_one
            for pk in digests.papers_of(digest)
        }

    def papers_for(
        self, reader: Subscriber, material: Material, *, received: Collection[int], known: Collection[int]
    ) -> dict[int, dict[int, relevance.Scored]]:
        """Topic id → {paper id: relevance and reasons}, each paper once, without those that the reader has
        had or should not get, and without those whose original is in `known`."""
        papers: dict[int, dict[int, relevance.Scored]] = defaultdict(dict)
        known = set(known)
        for digest in self.of.get(reader.pk, ()):
            for section in digest.sections:
                own = section.get("why", {})
                updated = section.get("updated", {})
                reasons = self._reasons.get((digest.edition_id, section["filter"]), {})
                scores = self._scores.get((digest.edition_id, section["topic"]), {})
                for pk in section["papers"]:
                    original = material.original(pk)
                    version = updated.get(str(pk))
                    if original in known or digests.is_not_for(reader, original, version, received):
                        continue
                    known.add(original)
                    probability, why = scores.get(pk, (None, []))
                    probability = section.get("relevance", {}).get(str(pk), probability)
                    said = own.get(str(pk), why)
                    # A paper that has joined before stands with all its reasons; see Assembler._why.
                    papers[section["topic"]][pk] = relevance.Scored(
                        probability, [*reasons.get(pk, []), *said]
                    )
        return papers


def fold(edition: Edition, undelivered: Undelivered, made: dict[int, Digest]) -> None:
    """Skip the earlier rows as `folded` and bring their papers' cards into this edition."""
    earlier = [digest for reader in made for digest in undelivered.of.get(reader, ())]
    if not earlier:
        return
    by_mailing: dict[int, list[int]] = defaultdict(list)
    for digest in earlier:
        by_mailing[digest.pk >> SUBSCRIBER_BITS].append(digest.pk)
    for mailing_id, keys in sorted(by_mailing.items()):
        outbox.skip(mailing_id, keys, reason="folded")
    here = set(edition.edition_papers.values_list("paper_id", flat=True))
    joined = {pk for digest in earlier for pk in digests.papers_of(made[digest.subscriber_id])} - here
    if not joined:
        return
    newest = {
        row.paper_id: row
        for row in EditionPaper.objects.filter(
            paper__in=joined, edition__in={digest.edition_id for digest in earlier}
        ).order_by("edition__date")
    }
    last = edition.edition_papers.count()
    EditionPaper.objects.bulk_create(
        (
            EditionPaper(
                edition=edition,
                paper_id=pk,
                listing_day=row.listing_day,
                announced=row.announced,
                version=row.version,
                position=last + number,
                score=row.score,
                folded_in=True,
                votes=row.votes,
                comments=row.comments,
                stars=row.stars,
                counted_at=row.counted_at,
                gained=row.gained,
                top_percent=row.top_percent,
            )
            for number, (pk, row) in enumerate(sorted(newest.items()), start=1)
        ),
        ignore_conflicts=True,
    )
