"""Random papers and interests out of the words that stand together in the starter space's papers."""

import random
from typing import Any

import numpy as np

from digest.matching import space
from subscriptions.filters import Document


def paper(rng: random.Random, number: int) -> dict[str, Any]:
    ground = space.starter()
    row = ground.counts[rng.randrange(ground.counts.shape[0])]
    said = [ground.words[column] for column in np.repeat(row.indices, row.data.astype(int))]
    rng.shuffle(said)
    return {"id": str(number), "title": " ".join(said[:8]), "abstract": " ".join(said[8:])}


def document(of: dict[str, Any]) -> Document:
    return Document(id=of["id"], title=of["title"], abstract=of["abstract"])


def profile(rng: random.Random, papers: list[dict[str, Any]]) -> dict[str, Any]:
    """Of any kind: name, keywords, sentence, examples, each there or not; some words that no paper has."""

    def words(most: int) -> str:
        said = rng.choice(papers)["abstract"].split() or ["graph"]
        at = rng.randrange(len(said))
        return " ".join([*said[at : at + rng.randint(1, most)], *(["zyxwvu"] if rng.random() < 0.1 else [])])

    return {
        "name": words(2) if rng.random() < 0.6 else "",
        "keywords": [words(3) for _ in range(rng.randrange(6))],
        "sentence": words(12) if rng.random() < 0.4 else "",
        "liked": rng.sample(papers, rng.randrange(4)) if rng.random() < 0.4 else [],
        "disliked": rng.sample(papers, rng.randrange(3)) if rng.random() < 0.4 else [],
    }
