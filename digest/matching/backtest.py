"""What a filter, an interest, or both would have brought on the last listing days, had somebody had them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from digest.matching.calibration import shown_percent
from digest.matching.explain import Reason
from digest.matching.recent import Finding, Found, Recent, Scored, parsed
from subscriptions import interests
from subscriptions.filters import Filter
from subscriptions.interests import Interest

BEST = 20  # papers from which an interest's own words are read


@dataclass(frozen=True)
class BackTest:
    """One profile over the recent papers. Make it with `backtest`."""

    recent: Recent
    filter: Filter
    min_relevance: int | None
    found: Found  # what it would have brought
    let_in: int  # how many papers the filter alone finds
    scored: Scored | None  # None for a pure filter, or an interest that says nothing

    def percent(self, position: int) -> int | None:
        """The relevance as shown, of a paper by its position in `recent.papers`."""
        return shown_percent(self.probability(position))

    def probability(self, position: int) -> float | None:
        return float(self.scored.probabilities[position]) if self.scored else None

    @cached_property
    def best(self) -> list[int]:
        """Positions of the best papers of all days, the best first: by relevance, else by votes."""
        if self.scored:
            probabilities = self.scored.probabilities
            order = sorted(self.found.positions(), key=lambda at: (-float(probabilities[at]), at))
        else:
            papers = self.recent.papers
            order = sorted(self.found.positions(), key=lambda at: (-(papers[at].votes or 0), at))
        return order[:BEST]


@dataclass(frozen=True)
class _Shown:
    """The hits of a filter that are relevant enough; the interest's reasons come first."""

    bits: int
    scored: Scored
    hits: Finding
    says_why: bool  # whether the filter's words are reasons too

    def __contains__(self, position: int) -> bool:
        return bool(self.bits >> position & 1)

    def reasons(self, position: int) -> Sequence[Reason]:
        own = self.hits.reasons(position) if self.says_why else ()
        return list(dict.fromkeys((*self.scored.reasons(position), *own)))


def backtest(
    recent: Recent,
    *,
    filter: Filter | None = None,
    interest: Interest | None = None,
    name: str = "",
    liked: Sequence[Mapping[str, Any]] = (),
    disliked: Sequence[Mapping[str, Any]] = (),
    min_relevance: int | None = None,
) -> BackTest:
    """Some 20 ms over 5,000 papers the first time, from what `recent` has prepared.

    With an interest alone every paper may enter, and those that are shown with LEAST_RELEVANCE or more count;
    with a filter, its hits, or those of at least `min_relevance` percent. `name`, `liked` and `disliked`
    are the rest of the profile, as rank.Ranker reads it. Raises ValueError for neither filter nor interest.
    """
    interest = interest or Interest()
    if filter is None and not interest and not liked:
        raise ValueError("A back-test needs a filter or an interest.")
    is_open = filter is None
    filter = filter or parsed(interests.EVERY_PAPER)
    least = interests.LEAST_RELEVANCE if is_open and min_relevance is None else min_relevance
    hits = recent.find(filter)
    profile = {
        "name": name,
        "keywords": interest.keywords,
        "sentence": interest.sentence,
        "liked": liked,
        "disliked": disliked,
    }
    scored = recent.score(profile) if interest or liked else None
    if scored is None:
        found = Found(recent, ()) if is_open else hits
        return BackTest(recent, filter, least, found, len(hits), None)
    bits = hits.bits
    if least is not None:
        bits &= scored.at_least(least)
    shown = _Shown(bits, scored, hits.hits[0], says_why=filter.canonical != interests.EVERY_PAPER)
    return BackTest(recent, filter, least, Found(recent, (shown,)), len(hits), scored)
