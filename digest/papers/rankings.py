"""Papers in the order of how much they are talked about: of a day, a week, a month; and the late bloomers."""

from collections.abc import Collection
from datetime import datetime

from django.db import connection

_GAINS = """
    WITH line AS (
        SELECT COALESCE(paper.canonical_id, paper.id) AS paper_id,
               paper.counted_at > %(since)s AS is_counted,
               (array_agg(said.votes ORDER BY said.seen_at DESC, said.id DESC)
                   FILTER (WHERE said.seen_at <= %(since)s))[1] AS before,
               (array_agg(said.votes ORDER BY said.seen_at, said.id)
                   FILTER (WHERE said.seen_at > %(since)s))[1] AS first,
               (array_agg(said.votes ORDER BY said.seen_at DESC, said.id DESC))[1] AS last,
               count(*) FILTER (WHERE said.seen_at > %(since)s) AS seen
        FROM digest_sighting said JOIN digest_paper paper ON paper.id = said.paper_id
        WHERE (paper.id = ANY(%(ids)s) OR paper.canonical_id = ANY(%(ids)s))
          AND said.votes IS NOT NULL AND said.seen_at <= %(until)s
        GROUP BY paper.id, said.source_id
    )
    SELECT paper_id, sum(greatest(last - COALESCE(before, first), 0))
    FROM line
    WHERE (before IS NOT NULL AND (seen > 0 OR is_counted)) OR seen > 1
    GROUP BY paper_id
"""


def gains(paper_ids: Collection[int], *, since: datetime, until: datetime) -> dict[int, int]:
    """Votes that each paper gained after `since` and up to `until`: {paper id: votes, 0 or more}. One query.

    Two numbers are needed: what the source said up to `since`, or else the first that it said after it (a
    paper listed today has gained at least the difference), and the last. Papers with one number are left out:
    what a paper had when it was first seen is a total, no gain. No change is 0 only where the source was read
    again after `since`. Votes that were taken back are no loss. What sources say of rows merged into a paper
    counts for the paper; several sources with votes are added up.
    """
    if not paper_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_GAINS, {"ids": list(paper_ids), "since": since, "until": until})
        return {paper_id: int(votes) for paper_id, votes in cursor.fetchall()}
