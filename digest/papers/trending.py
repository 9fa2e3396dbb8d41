"""How much a paper is talked about, in one number.

    score = log2(2 + votes + 2 · comments) · 2^(−age / 72 h)

Why this form:

- **The logarithm**: the tenth vote says more than the hundred-and-tenth. Votes on Hugging Face are few and
  steep (9,881 entries of 580 days, read on their own day: median 8, ninth decile 42, highest 181, 6 % with
  none), so a plain sum would be one paper's list. Reddit's "hot" takes a logarithm of votes as well
  (reddit/r2/r2/lib/db/_sorts.pyx: `order = log10(max(abs(score), 1))`).
- **A comment counts two votes**: it costs more than a click. It does not count more, since authors answer in
  their own threads.
- **The half-life of 72 h**: votes go on growing for two to three days after the listing day (a list read at
  08:17 UTC and again a day and a half later: 58 → 74, 7 → 10, 0 → 2), so an older paper has had longer to
  collect them. Hacker News divides by (age + 2 h)^1.8 (news.arc: `gravity* 1.8`, `timebase* 120`), made for a
  page that turns over in hours; a paper is worth reading for a week. Three days put a paper of 100 votes
  beside a new one of 8.
- **The 2 under the logarithm**: a paper without a single vote scores 1, not 0, so on a small or early day the
  order by age remains, and no paper ever falls out.

Unknown counts (a source without votes) add nothing. Deterministic: callers break ties by paper id.
"""

import math

COMMENT_WEIGHT = 2
HALF_LIFE_HOURS = 72.0


def score(*, votes: int | None, comments: int | None, age_hours: float) -> float:
    """The trending score: above 0; a new paper that nobody voted for yet has 1.

    `age_hours` counts from the start (00:00 UTC) of the listing day; a day that begins later than now is age
    0.
    """
    points = max(votes or 0, 0) + COMMENT_WEIGHT * max(comments or 0, 0)
    return math.log2(2 + points) * 2 ** (-max(age_hours, 0.0) / HALF_LIFE_HOURS)
