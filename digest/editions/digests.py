"""Storage of digests: partitioned like the ledger, written by COPY."""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from django.db import connection

from digest.models import Digest
from subscriptions.mail import ledger
from subscriptions.models import Subscriber


def add_digest_partition(mailing_id: int) -> None:
    ledger.add_partition(Digest._meta.db_table, mailing_id)


def add(digests: Iterable[Digest], *, day: date) -> None:
    """Store digests and remember what each reader has been given. Call in the ledger rows' transaction."""
    digests = list(digests)
    with connection.cursor() as cursor:
        with cursor.copy(
            "COPY digest_digest"
            " (id, subscriber_id, edition_id, language, length, is_welcome, sections, top, held) FROM STDIN"
        ) as copy:
            for digest in digests:
                copy.write_row(
                    (
                        digest.id,
                        digest.subscriber_id,
                        digest.edition_id,
                        digest.language,
                        digest.length,
                        digest.is_welcome,
                        json.dumps(digest.sections, separators=(",", ":")),
                        json.dumps(digest.top),
                        digest.held,
                    )
                )
        with cursor.copy("COPY digest_received (id, subscriber_id, day, paper_ids) FROM STDIN") as copy:
            for digest in digests:
                if given := papers_of(digest) + _revision_marks(digest):
                    copy.write_row((digest.id, digest.subscriber_id, day, given))


def papers_of(digest: Digest) -> list[int]:
    """Every paper in a digest, in order."""
    return [paper for section in digest.sections for paper in section["papers"]] + list(digest.top)


def revision_mark(paper_id: int, version: int) -> int:
    """What stands in `received` for a revision that was sent as such: no paper's id, since it is negative."""
    return -(paper_id << 8 | min(version, 255))


def renamed(given: int, name_of: Callable[[int], int]) -> int:
    """A paper's id or a revision's mark with the id that `name_of` gives for its own."""
    return name_of(given) if given > 0 else revision_mark(name_of(-given >> 8), -given & 255)


def _revision_marks(digest: Digest) -> list[int]:
    """Of revisions, and of papers that were new to the reader in the version that was announced that day."""
    return [
        revision_mark(int(pk), version)
        for section in digest.sections
        for pk, version in (section.get("updated", {}) | section.get("newest", {})).items()
    ]


@dataclass(frozen=True, slots=True)
class Parted:
    """Two papers that were one until an operator took them apart, each with all its ids."""

    some: frozenset[int]
    others: frozenset[int]
    on: date


def already_received(
    subscriber_ids: Sequence[int],
    paper_ids: Collection[int],
    *,
    since: date,
    but_not_of: Collection[int] = (),
    parted: Collection[Parted] = (),
) -> dict[int, set[int]]:
    """Which of these papers each of these readers has been given, by subscriber id; one query.

    What failed, was skipped or expired does not count; `uncertain` does. Rows outlive their delivery.
    `but_not_of`: keys of digests that are passed over. `parted`: papers that were taken apart; who had been
    given the one by then is not given the other as new.
    """
    received: dict[int, set[int]] = defaultdict(set)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT r.subscriber_id, r.paper_ids, r.day FROM digest_received r
            LEFT JOIN subscriptions_delivery d ON d.id = r.id
            WHERE r.subscriber_id = ANY(%(readers)s) AND r.day >= %(since)s
              AND r.paper_ids && %(papers)s::bigint[]
              AND r.id <> ALL(%(but_not)s::bigint[])
              AND (d.id IS NULL OR d.state NOT IN ('failed', 'skipped', 'expired'))
            """,
            {
                "readers": list(subscriber_ids),
                "papers": list(paper_ids),
                "since": since,
                "but_not": list(but_not_of),
            },
        )
        for subscriber_id, given, day in cursor:
            received[subscriber_id].update(given)
            for pair in parted:
                if day <= pair.on:
                    for some, others in ((pair.some, pair.others), (pair.others, pair.some)):
                        if not some.isdisjoint(given):
                            received[subscriber_id] |= others
    return received


def is_not_for(reader: Subscriber, original: int, version: int | None, received: Collection[int]) -> bool:
    """Whether this reader has had the paper, or, of a revision, does not want it or has had it as such."""
    if version is None:
        return original in received
    return not reader.wants_updates or revision_mark(original, version) in received
