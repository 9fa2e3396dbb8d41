"""Phrases over real abstracts find what a regular expression finds."""

import gzip
import json
import os
import random
from pathlib import Path

import pytest

from digest.matching.index import DayIndex
from subscriptions.filters import Document, FilterError, parse
from subscriptions.filters.normal import is_cjk
from tests.subscriptions.filters.oracle import Oracle

# FILTER_ORACLE=20000,500 for the long proof (some ten minutes).
ABSTRACTS, PHRASES = map(int, os.environ.get("FILTER_ORACLE", "1000,100").split(","))
CORPUS = (
    "arxiv_all_sciences_until_2019",
    "arxiv_listings_2026-04_2026-07",
    "hf_daily_papers_2024-05_2026-08",
)


def read(folder: Path, rng: random.Random) -> list[str]:
    """So many abstracts, from all of the corpus; only those chosen are parsed."""
    lines: list[bytes] = []
    for name in CORPUS:
        with gzip.open(folder / f"{name}.jsonl.gz") as file:
            lines += file.readlines()
    found = (json.loads(line)["abstract"] for line in rng.sample(lines, len(lines)))
    return [abstract for abstract, _ in zip(filter(None, found), range(ABSTRACTS), strict=False)]


def phrases(abstracts: list[str], rng: random.Random) -> list[str]:
    """One to four words as they follow each other somewhere, some in another spelling of a compound."""
    chosen: set[str] = set()
    while len(chosen) < PHRASES:
        words = rng.choice(abstracts).split()
        length = rng.choice((1, 2, 2, 2, 3, 3, 4))
        if len(words) <= length:
            continue
        start = rng.randrange(len(words) - length)
        phrase = " ".join(words[start : start + length]).replace('"', " ")
        if rng.random() < 0.3:
            phrase = phrase.replace(" ", "-", 1)
        elif rng.random() < 0.3:
            phrase = phrase.replace("-", rng.choice((" ", "")), 1)
        try:
            chosen.add(parse(f'"{phrase}"').canonical.strip('"'))
        except FilterError:
            continue
    return sorted(phrase for phrase in chosen if not any(map(is_cjk, phrase)))


@pytest.mark.shared_data
class TestPhrases:
    def test_find_what_a_regular_expression_finds(self, shared_data_dir):
        rng = random.Random(11)
        abstracts = read(shared_data_dir / "corpus", rng)
        oracle = Oracle(abstracts)
        index = DayIndex([Document(id=str(at), title="", abstract=text) for at, text in enumerate(abstracts)])

        differences = {}
        for phrase in phrases(abstracts, rng):
            expected = oracle.find(phrase)
            found = list(index.evaluate(parse(f'abstract:"{phrase}"')))
            if found != expected:
                differences[phrase] = sorted(set(found) ^ set(expected))[:3]

        assert differences == {}
