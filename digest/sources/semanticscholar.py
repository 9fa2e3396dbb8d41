"""Semantic Scholar's Graph API: how often papers are cited, and its one-sentence summaries (TLDR).

`POST /graph/v1/paper/batch` takes up to 500 ids and answers an array in their order, null where it knows no
such paper; new papers appear after days. Without a key everybody shares one allowance, and 429 is usual; with
one it is about a request a second. Attribution is asked for wherever its data are shown: `NAME`.

https://api.semanticscholar.org/api-docs/graph
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from digest.sources.http import Client, SourceError
from digest.sources.records import NotAList

NAME = "Semantic Scholar"
MOST_IDS = 500  # in one request
LARGEST_ANSWER = 5_000_000  # bytes; 500 papers with these fields are 300 kB
_FIELDS = "citationCount,influentialCitationCount,tldr,externalIds"
_MOST_CITATIONS = 10_000_000  # the most cited paper of all has some 300,000
_LONGEST_TLDR = 1_000


@dataclass(frozen=True, kw_only=True)
class Cited:
    """What it says of one paper. None is unknown; `tldr` is as received, empty where there is none."""

    citations: int | None = None
    influential: int | None = None
    tldr: str = ""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One entry for each id that was asked, in order; None where the paper is not known or its entry wrong.

    `problems` names entries that could not be read.
    """

    papers: tuple[Cited | None, ...]
    problems: tuple[str, ...] = ()


def is_on() -> bool:
    """Whether an address is set. Without one nothing is ever asked."""
    return bool(settings.SEMANTIC_SCHOLAR_URL)


def ask(ids: Sequence[str], *, client: Client) -> Answered:
    """What is known of up to 500 papers, named as "ARXIV:2106.15928" (without version) or "DOI:10.…".

    Raises SourceError, NotAList.
    """
    if not 1 <= len(ids) <= MOST_IDS:
        raise ValueError(f"{len(ids)} ids; 1 to {MOST_IDS} may be asked at once.")
    key = settings.SEMANTIC_SCHOLAR_KEY
    try:
        answer = client.post_json(
            f"{settings.SEMANTIC_SCHOLAR_URL}/graph/v1/paper/batch?fields={_FIELDS}",
            {"ids": list(ids)},
            headers={"x-api-key": key} if key else {},
            largest=LARGEST_ANSWER,
        )
    except SourceError as error:
        # A batch of which it knows nothing at all is a mistake to it.
        if error.status == 400 and b"No valid paper ids" in error.body:
            return Answered(papers=(None,) * len(ids))
        raise
    return parse(answer.body, ids)


def parse(body: bytes, ids: Sequence[str]) -> Answered:
    """The entries of an answer to these ids. Raises NotAList."""
    try:
        entries = json.loads(body)
    except (ValueError, RecursionError):
        raise NotAList("Semantic Scholar's answer is not JSON.") from None
    if not isinstance(entries, list):
        raise NotAList(f"Semantic Scholar's answer is no list but {_said(entries)}.")
    if len(entries) != len(ids):
        raise NotAList(f"Semantic Scholar answered {len(entries)} entries to {len(ids)} ids.")
    papers: list[Cited | None] = []
    problems: list[str] = []
    for asked, entry in zip(ids, entries, strict=True):
        problem = "" if entry is None else _problem(entry, asked)
        if problem:
            problems.append(f"{asked}: {problem}")
        papers.append(None if entry is None or problem else _cited(entry))
    return Answered(papers=tuple(papers), problems=tuple(problems))


def _problem(entry: Any, asked: str) -> str:
    if not isinstance(entry, dict):
        return f"the entry is no object but {_said(entry)}"
    known = entry.get("externalIds")
    arxiv_id = known.get("ArXiv") if isinstance(known, dict) else None
    kind, _colon, number = asked.partition(":")
    if kind == "ARXIV" and isinstance(arxiv_id, str) and arxiv_id.casefold() != number.casefold():
        return f"the entry is of {_said(arxiv_id)}"
    return ""


def _cited(entry: dict[str, Any]) -> Cited:
    tldr = entry.get("tldr")
    text = tldr.get("text") if isinstance(tldr, dict) else None
    return Cited(
        citations=_count(entry.get("citationCount")),
        influential=_count(entry.get("influentialCitationCount")),
        tldr=text[:_LONGEST_TLDR] if isinstance(text, str) else "",
    )


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= _MOST_CITATIONS else None


def _said(value: Any) -> str:
    return repr(value)[:80]
