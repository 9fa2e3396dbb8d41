"""The answer as values: stages, and what they add up to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from digest.models import Edition, Paper


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "does not apply"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step between source and inbox.

    `words` is a sentence without its full stop; `cure` what to do about a failure, in the imperative, empty
    where nothing can be done. `facts` are JSON values. `is_pending`: failed so far, and may still pass.
    """

    name: str
    outcome: Outcome
    words: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    cure: str = ""
    is_pending: bool = False

    @property
    def has_failed(self) -> bool:
        return self.outcome == Outcome.FAILED

    @property
    def sentence(self) -> str:
        return f"{self.words[:1].upper()}{self.words[1:]}."

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "outcome": self.outcome.value,
            "words": self.words,
            "facts": dict(self.facts),
            "cure": self.cure,
        }


def passed(name: str, words: str, facts: Mapping[str, Any] | None = None) -> Stage:
    return Stage(name, Outcome.PASSED, words, facts or {})


def failed(name: str, words: str, facts: Mapping[str, Any] | None = None, *, cure: str = "") -> Stage:
    return Stage(name, Outcome.FAILED, words, facts or {}, cure)


def not_applicable(name: str, words: str, facts: Mapping[str, Any] | None = None) -> Stage:
    return Stage(name, Outcome.NOT_APPLICABLE, words, facts or {})


@dataclass(frozen=True, slots=True)
class TopicAccount:
    """What became of the paper under one topic: the stages "filter", "topic", "relevance" and "limit"."""

    name: str
    filter: str  # in its canonical words
    stages: tuple[Stage, ...]

    @property
    def failed(self) -> Stage | None:
        """The first stage that the paper did not pass."""
        return next((stage for stage in self.stages if stage.has_failed), None)

    @property
    def came(self) -> int:
        """Through how many stages the paper came before that."""
        return next((at for at, stage in enumerate(self.stages) if stage.has_failed), len(self.stages))

    def stage(self, name: str) -> Stage:
        return next(one for one in self.stages if one.name == name)

    @property
    def tree(self) -> list[str]:
        """A filter that did not find the paper as lines, one for each part: "no   NOT survey"."""
        truth = self.stage("filter").facts.get("truth") if self.stage("filter").has_failed else None
        return list(_tree(truth, depth=0)) if truth else []

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "filter": self.filter, "stages": [one.as_json() for one in self.stages]}


def _tree(truth: Mapping[str, Any], *, depth: int) -> Iterator[str]:
    yield f"{'  ' * depth}{'yes' if truth['holds'] else 'no '}  {truth['text']}"
    for part in truth.get("parts", ()):
        yield from _tree(part, depth=depth + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The whole answer.

    `paper` is the original of what was named, None if no source has brought it; `edition` the one that this
    tells of. `before` are the stages of the paper, the edition and whether the reader is one of its readers,
    `topics` those of each topic in the reader's order, `after` those of the mail as a whole. `got` is True
    once the mail server has taken it. `sentence` says it all, `cure` how to get it next time, if that can be.
    """

    paper: Paper | None
    edition: Edition | None
    before: tuple[Stage, ...]
    topics: tuple[TopicAccount, ...] = ()
    after: tuple[Stage, ...] = ()
    got: bool = False
    sentence: str
    cure: str = ""

    def stage(self, name: str) -> Stage:
        return next(one for one in (*self.before, *self.after) if one.name == name)

    def as_json(self) -> dict[str, Any]:
        return {
            "paper": self.paper.public_id if self.paper else None,
            "title": self.paper.title if self.paper else None,
            "edition": str(self.edition) if self.edition else None,
            "got": self.got,
            "sentence": self.sentence,
            "cure": self.cure,
            "before": [one.as_json() for one in self.before],
            "topics": [one.as_json() for one in self.topics],
            "after": [one.as_json() for one in self.after],
        }
