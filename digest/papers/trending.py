"""How much a paper is talked about now, in one number. The formula, its constants, and why.

    heat  = fresh + ¼ · (votes − fresh) + 2 · (comments − 1) + 3 · posts + ¼ · log2(1 + stars)
    fresh = all votes on the paper's first day; later the votes gained since yesterday, where two readings
            tell, else votes · ¼^(days after the first), what is likely to be of today
    score = log2(2 + heat · boost) · 2^(−age / 72 h)
    boost = 2^(average − level of the paper's field), between ½ and 4

- **Today's gain, not totals.** At seven in the morning a reader wants to know what moved since yesterday. A
  vote of today counts one; an older one a quarter, since it still says that the paper is good, and since a
  paper that reached us late would otherwise be nobody. What a paper has on its first day it gained that day,
  however late we began to read. Later, where only one reading is known, the gain is guessed from the age: a
  quarter of the total on the second day, and each day a quarter of the day before (a list read at 08:17 UTC
  and again a day and a half later: 58 → 74, 7 → 10, 0 → 2).
- **The logarithm.** The tenth vote says more than the hundred-and-tenth. Votes on Hugging Face are few and
  steep (9,881 entries of 580 days, read on their own day: median 8, ninth decile 42, highest 181, 6 % with
  none), so a plain sum would be one paper's list. Reddit's "hot" takes a logarithm of votes as well
  (reddit/r2/r2/lib/db/_sorts.pyx: `order = log10(max(abs(score), 1))`).
- **A comment counts two votes, but for the first**: it costs more than a click. It does not count more, since
  authors answer in their own threads. The first is the submitter's own and says nothing: 80 of 100 recorded
  papers have exactly one comment, and no more votes than those with none (median 5 and 4); with two they have
  12, with four 20.
- **A post that speaks of the paper counts three**: somebody wrote about it elsewhere. Each post once.
- **Stars are weak evidence**: a repository may be older than its paper and known for another one, and who has
  no repository is no worse; on 25 recorded days stars follow votes only loosely (rank correlation 0.3). A
  quarter of a logarithm: 1,000 stars are worth 2½ votes and 100,000 about 4.
- **The field.** The same paper finds ten times more voters in cs.CL than in cs.IT, and a small field's best
  would never be seen. So a paper's heat is measured against what its field usually has: the mean of
  log2(1 + heat) over the field's papers of the list, beside the mean over all of them. A field is the primary
  category; its mean is drawn towards that of its archive, and that one towards all papers, as if 5 papers of
  the wider circle were in it: one paper says little about its field. Papers without a category are one field.
  The boost is bounded (½ to 4), so that a single vote among a hundred papers without any is visible and yet
  not first; and it multiplies what there is, so that nothing stays nothing.
- **The half-life of 72 h.** Hacker News divides by (age + 2 h)^1.8 (news.arc: `gravity* 1.8`,
  `timebase* 120`), made for a page that turns over in hours; a paper is worth reading for a week. Three days
  put a paper of 100 votes beside a new one of 8.
- **The 2 under the logarithm**: a paper without a single vote scores 1, not 0, so on a small or early day the
  order by age remains, and no paper ever falls out.

What is unknown (a source without votes) adds nothing and takes nothing away. More of anything never lowers a
paper's place. The same numbers give the same order on any machine: ties go by votes, then by the paper's key.

`manage.py replay_trending` shows how close this comes to the order of the source itself.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OLD_VOTE = 0.25
COMMENT_WEIGHT = 2.0
COMMENTS_OF_COURSE = 1
POST_WEIGHT = 3.0
STAR_WEIGHT = 0.25
DAILY_REST = 0.25  # what the gain of one day is to that of the day before
HALF_LIFE_HOURS = 72.0
PRIOR_PAPERS = 5.0
LOWEST_BOOST, HIGHEST_BOOST = 0.5, 4.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Signs:
    """What is known of one paper; None is unknown. `key` breaks ties, `category` is the primary one."""

    key: str
    category: str = ""
    votes: int | None = None
    gained: int | None = None  # votes since a day before, or within the period that is ranked
    comments: int | None = None
    stars: int | None = None
    posts: int = 0
    age_hours: float = 0.0  # since the start of the listing day


def score(
    *,
    votes: int | None,
    comments: int | None,
    age_hours: float,
    gained: int | None = None,
    stars: int | None = None,
    posts: int = 0,
    boost: float = 1.0,
) -> float:
    """The trending score of one paper: above 0; a new one that nobody spoke of yet has 1.

    `age_hours` counts from the start (00:00 UTC) of the listing day; a day that begins later than now is age
    0. `boost` is the field's; without it papers of all fields are measured alike.
    """
    heat = _heat(votes, comments, age_hours, gained, stars, posts)
    return math.log2(2 + heat * boost) * 2 ** (-max(age_hours, 0.0) / HALF_LIFE_HOURS)


def scores(papers: Sequence[Signs]) -> list[float]:
    """The score of each paper, measured against its field among them. In the order given."""
    heats = [
        _heat(one.votes, one.comments, one.age_hours, one.gained, one.stars, one.posts) for one in papers
    ]
    boosts = _boosts([one.category for one in papers], [math.log2(1 + heat) for heat in heats])
    return [
        math.log2(2 + heat * boosts[one.category]) * 2 ** (-max(one.age_hours, 0.0) / HALF_LIFE_HOURS)
        for one, heat in zip(papers, heats, strict=True)
    ]


def ranked(papers: Iterable[Signs]) -> list[tuple[Signs, float]]:
    """The papers with their scores, the best first; ties by votes, then by key."""
    papers = list(papers)
    return sorted(
        zip(papers, scores(papers), strict=True), key=lambda one: (-one[1], -(one[0].votes or 0), one[0].key)
    )


def _heat(
    votes: int | None,
    comments: int | None,
    age_hours: float,
    gained: int | None,
    stars: int | None,
    posts: int,
) -> float:
    total = max(votes or 0, 0)
    if gained is None or age_hours <= 24:
        fresh = total * DAILY_REST ** max(age_hours / 24 - 1, 0.0)
    else:
        fresh = float(max(gained, 0))
    total = max(total, math.ceil(fresh))
    return (
        fresh
        + OLD_VOTE * (total - fresh)
        + COMMENT_WEIGHT * max((comments or 0) - COMMENTS_OF_COURSE, 0)
        + POST_WEIGHT * max(posts, 0)
        + STAR_WEIGHT * math.log2(1 + max(stars or 0, 0))
    )


def _boosts(categories: Sequence[str], warmths: Sequence[float]) -> dict[str, float]:
    """By category. `warmths` are logarithms, so that one paper of 180 votes does not make its whole field."""
    by_category: dict[str, list[float]] = defaultdict(list)
    by_archive: dict[str, list[float]] = defaultdict(list)
    for category, warmth in zip(categories, warmths, strict=True):
        by_category[category].append(warmth)
        by_archive[_archive(category)].append(warmth)
    average = math.fsum(warmths) / len(warmths) if warmths else 0.0
    archives = {archive: _level(known, average) for archive, known in by_archive.items()}
    return {
        category: min(
            max(2 ** (average - _level(known, archives[_archive(category)])), LOWEST_BOOST), HIGHEST_BOOST
        )
        for category, known in by_category.items()
    }


def _level(known: Sequence[float], wider: float) -> float:
    """The mean, drawn towards that of the wider circle."""
    return (math.fsum(known) + PRIOR_PAPERS * wider) / (len(known) + PRIOR_PAPERS)


def _archive(category: str) -> str:
    return category.partition(".")[0]
