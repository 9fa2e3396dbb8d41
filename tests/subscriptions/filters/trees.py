"""Random filters and papers, for properties: built from few words, so that filters do find papers."""

import random

from hypothesis import strategies as st

from subscriptions.filters import Document, Filter, fields
from subscriptions.filters.grammar import clean
from subscriptions.filters.tree import (
    MAX_ATOMS,
    Compare,
    Exact,
    Node,
    Value,
    Word,
    all_of,
    any_of,
    atoms,
    finds_something,
    negated,
    words,
)

VOCABULARY = (
    *("agent", "agents", "agentic", "tool", "tools", "use", "using", "training", "trained", "the", "a"),
    *("mid-training", "midtraining", "pre-training", "pretraining", "multi-agent", "multiagent"),
    *("world", "model", "models", "world-model", "LLM", "LLMs", "GPT-4", "gpt4", "chain", "of", "thought"),
    *("tau-bench", "τ-bench", "$\\tau$-bench", "$\\pi_0$", "chain-of-thought", "3D", "C++", "3-5", "35"),
    *("post-training", "reinforcement", "learning", "reasoning", "inference", "robots"),  # English of these:
    *("推理", "機器人", "世界模型", "生成"),
    *(
        "后训练",
        "训练",
        "强化学习",
        "naïve",
        "data-set",
        "dataset",
        "transformer",
        "transforms",
        "step-wise",
        "stepwise",
    ),
)
NAMES = (
    *("Yann LeCun", "Y. LeCun", "LeCun, Yann", "Jean-Luc Picard", "J.-L. Picard"),
    *("何恺明", "Kaiming He", "He Li", "Yann Le Cun", "Aäron van den Oord", "Conan O'Brien"),
)
ORGS = ("", "Google DeepMind; google-deepmind", "Open Model Lab", "清华大学", "Lab; Tsinghua University")


def document(rng: random.Random) -> Document:
    def text(longest: int) -> str:
        glue = (" ", " ", " ", " ", ", ", "-", ". ", "，")
        return "".join(rng.choice(VOCABULARY) + rng.choice(glue) for _ in range(rng.randrange(longest)))

    return Document(
        id=rng.choice(("2501.01234", "2501.01234v2", "hep-th/9901001", "https://blog.example/x")),
        title=text(6),
        abstract=text(25),
        authors=tuple(rng.sample(NAMES, rng.randrange(4))),
        categories=tuple(rng.sample(("cs.CL", "cs.AI", "math.AG", "quant-ph"), rng.randrange(3))),
        primary=rng.choice((None, "cs.CL", "quant-ph")),
        org=rng.choice(ORGS),
        sources=(rng.choice(("huggingface", "arxiv")),),
        kind=rng.choice(("paper", "post", "news")),
        lang=rng.choice(("en", "zh", "zh-Hans")),
        has=frozenset(rng.sample(fields.HAS, rng.randrange(3))),
        upvotes=rng.choice((None, 0, 7, 20, 300)),
        comments=rng.choice((None, 0, 3)),
        stars=rng.choice((None, 0, 20, 5000)),
    )


def node(rng: random.Random, depth: int = 3) -> Node:
    """Any tree, with or without something to find."""
    if depth == 0 or rng.random() < 0.35:
        return _atom(rng)
    members = [node(rng, depth - 1) for _ in range(rng.randrange(2, 4))]
    group = all_of(members) if rng.random() < 0.5 else any_of(members)
    return negated(group) if rng.random() < 0.15 else group


def _atom(rng: random.Random) -> Node:
    atom = _positive_atom(rng)
    return negated(atom) if rng.random() < 0.2 else atom


def _positive_atom(rng: random.Random) -> Node:
    kind = rng.random()
    place = rng.choice((None, None, None, "title", "abstract", "all"))
    if kind < 0.35:
        return words(rng.choice(VOCABULARY), place)
    if kind < 0.5:
        return words(" ".join(rng.choices(VOCABULARY, k=rng.randrange(2, 4))), place)
    if kind < 0.58:
        return Exact(" ".join(rng.choices(VOCABULARY, k=rng.randrange(1, 3))), place)
    if kind < 0.68:
        stem = rng.choice(("age", "agen", "train", "mid-tr", "midtr", "worldm", "tool"))
        return Word(stem, place, prefix=True)
    if kind < 0.78:
        name = rng.choice((*NAMES, "lecun", "Picard JL", "恺明", "He", "vandenoord", "OBrien"))
        made = rng.choice((words(clean(name), "author"), Exact(clean(name), "author")))
        return rng.choice((made, Word("lec", "author", prefix=True)))
    if kind < 0.82:
        return words(
            rng.choice(("deepmind", "google-deepmind", "model lab", "大学", "mind", "清华大学")), "org"
        )
    if kind < 0.9:
        return Compare(
            rng.choice(("upvotes", "stars", "comments")),
            rng.choice((">=", ">", "<=", "<", "=")),
            rng.choice((0, 7, 20)),
        )
    return rng.choice(
        (
            Value("cat", "cs.CL"),
            Value("cat", "cs"),
            Value("primary", "quant-ph"),
            Value("source", "arxiv"),
            Value("kind", "media"),
            Value("lang", "zh"),
            Value("id", "2501.01234"),
            Value("has", "code"),
        )
    )


def is_writable(tree: Node) -> bool:
    return finds_something(tree) and sum(1 for _ in atoms(tree)) <= MAX_ATOMS


@st.composite
def filters(draw: st.DrawFn, depth: int = 3) -> Filter:
    rng = draw(st.randoms(use_true_random=False))
    tree = node(rng, depth)
    while not is_writable(tree):
        tree = all_of([_positive_atom(rng), node(rng, depth - 1)])
        if sum(1 for _ in atoms(tree)) > MAX_ATOMS:
            tree = _positive_atom(rng)
    return Filter(tree)
