"""Words that are written in one piece, with a hyphen, or apart, and mean the same.

mid-training, midtraining and "mid training" are one thing to a reader. A hyphen shows the seam; a word
written in one piece must be known to have one. `split` knows it from its first part (mid-, multi-, …) or its
last (-wise, -bench). Both filters and papers pass through it, so a wrong seam costs little: the two sides
still agree, only the parts can be found on their own.
"""

import re
from functools import lru_cache

# First parts that almost always leave a word of its own; then the beginnings of words where they do not.
_OPEN = {
    "anti": "anticip antibio antibod antigen antiq antidot antithe antic",
    "audio": "audiolog",
    "auto": "automat automot autonom autis autopsy autor",
    "cross": "crosses crossed crossing crossword crossov",
    "exo": "exot exog exod exon",
    "hyper": "hyperbol hyperten",
    "macro": "",
    "meta": "metab metal metaph metasta metamor metathe metam",
    "micro": "microb microsoft microph microsc microw",
    "mid": "middl midst midi midw midj",
    "multi": "multipl multit multim multin multiv",
    "nano": "",
    "neuro": "neuron",
    "non": "none nonet nonse nonce",
    "omni": "omnisc omniv",
    "post": "poster posting posture postur postul postal postpo postgre postman posts posted postc",
    "pseudo": "pseudon",
    "semi": "semina semio semit semic",
    "socio": "sociol",
    "spatio": "",
    "ultra": "ultras",
    "visuo": "",
}

# First parts that also begin many other words (preference, report, single, …): only before these words.
_LISTED = {
    "back": "bone end propagate translate",
    "bi": "level directional manual modal lingual temporal",
    "bio": "medical medicine inspired physics informatics marker",
    "chain": "of",
    "co": "evolve evolution pilot train design locate optimize",
    "code": "base gen",
    "common": "sense",
    "counter": "factual example intuitive",
    "cyber": "security attack",
    "deep": "fake research search",
    "down": "sample scale stream weight",
    "ego": "centric motion",
    "eye": "tracking gaze",
    "feed": "forward back",
    "few": "shot",
    "fine": "tune grain",
    "geo": "spatial localization location referenced",
    "grid": "world",
    "ground": "truth",
    "hand": "crafted written",
    "hold": "out",
    "image": "net",
    "in": "context paint distribution domain",
    "jail": "break",
    "key": "frame point",
    "life": "long cycle",
    "light": "weight",
    "long": "context tail horizon form",
    "look": "ahead",
    "low": "rank resource",
    "mini": "batch",
    "mis": "aligned alignment calibrated calibration",
    "off": "policy",
    "on": "policy device",
    "one": "shot",
    "open": "source domain vocabulary world ended",
    "out": "paint",
    "over": "fit thinking confident confidence smoothing sampling optimization refusal parameterized",
    "photo": "realistic realism",
    "plug": "in",
    "point": "cloud map",
    "pre": "train trained fill process compute define operative specified determined registered norm",
    "re": "rank ranker train weight sample parameterize parameterization plan align process prompt mask",
    "real": "time world",
    "reward": "model",
    "role": "play",
    "roll": "out",
    "run": "time",
    "speed": "up",
    "stand": "alone",
    "step": "size",
    "sub": "task goal agent network graph problem optimal quadratic linear word sample module domain",
    "super": "resolution pixel human intelligence intelligent",
    "tele": "operation operate presence",
    "test": "time",
    "text": "vqa",
    "time": "step stamp scale series",
    "token": "wise",
    "tool": "use chain",
    "trade": "off",
    "tri": "modal plane",
    "un": "learn learning",
    "under": "explored specified represented studied utilized perform constrained fit sampling served",
    "uni": "modal directional",
    "up": "sample scale stream weight",
    "warm": "up",
    "weak": "supervised",
    "world": "model",
    "zero": "shot",
}

_LAST = {
    "bench": "workbench",
    "llm": "",
    "llms": "",
    "wise": "otherwise likewise",
}

_MIN_REST = 3
# gpt4, llama3, yolov8n, qwen3vl; but text2image and vid4real are names of their own
_WITH_NUMBER = re.compile(r"([a-z]{3,})(\d+[a-z]?|(?![24])\d+[a-z]+)")

_OPEN_EXCEPTIONS = {head: tuple(words.split()) for head, words in _OPEN.items()}
_LISTED_RESTS = {head: tuple(words.split()) for head, words in _LISTED.items()}
_LAST_EXCEPTIONS = {tail: frozenset(words.split()) for tail, words in _LAST.items()}
_HEAD_LENGTHS = sorted({len(head) for head in (*_OPEN, *_LISTED)}, reverse=True)

# Endings that a listed word may carry: pretrained, pretraining, rollouts.
_ENDING = re.compile(r"(?:e?d|e?s|e?r|e?rs|ing|ings|ly)?")


@lru_cache(maxsize=262_144)
def split(word: str) -> tuple[str, str] | None:
    """The two parts of a folded word written in one piece, None if it has no seam we know."""
    if not word.isascii():
        return None
    for length in _HEAD_LENGTHS:
        head, rest = word[:length], word[length:]
        if len(rest) < 2:
            continue
        if head in _OPEN_EXCEPTIONS:
            if len(rest) >= _MIN_REST and not word.startswith(_OPEN_EXCEPTIONS[head]):
                return head, rest
        elif head in _LISTED_RESTS and any(_is_form(rest, known) for known in _LISTED_RESTS[head]):
            return head, rest
    for tail, exceptions in _LAST_EXCEPTIONS.items():
        if word.endswith(tail) and len(word) - len(tail) >= _MIN_REST and word not in exceptions:
            return word[: -len(tail)], tail
    match = _WITH_NUMBER.fullmatch(word)
    return (match[1], match[2]) if match else None


def _is_form(rest: str, known: str) -> bool:
    """Whether `rest` is `known` or an inflection of it: train, trains, trained, training; tune, tuning."""
    base = known.removesuffix("e")
    return rest == known or (rest.startswith(base) and _ENDING.fullmatch(rest[len(base) :]) is not None)
