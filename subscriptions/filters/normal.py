"""The normal form in which a filter's words and a paper's text are compared.

`fold` makes one plain text of the many ways to write the same: NFKC, LaTeX removed, one kind of dash and
quote, case and Latin accents folded, Greek letters by name. `lattice` cuts it into words; hyphenated words
stand in it as their parts and joined, so it is a graph: node n lies before the n-th word, an edge (word,
from, to) leads over it. `pattern` is what a filter looks for: a way through that graph. Both keep the way
back to the original characters, so that a page can mark them.
"""

import re
import threading
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import snowballstemmer

from subscriptions.filters import compounds

MAX_WORDS = 60_000  # of one text; papers have some 200
_MAX_JOINED = 3  # words joined at most: visionlanguageaction

# Folding

_GREEK_NAMES = """
    alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu
    nu xi omicron pi rho sigma tau upsilon phi chi psi omega
"""
_GREEK = dict(zip("αβγδεζηθικλμνξοπρστυφχψω", _GREEK_NAMES.split(), strict=True))
_CHARACTERS = {
    **_GREEK,
    **dict.fromkeys("‐‑‒–−﹣", "-"),
    **dict.fromkeys("—―", " - "),
    **dict.fromkeys("’‘‛′´`ʼ", "'"),
    **dict.fromkeys("“”„‟«»", '"'),
    "∆": "delta",
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "ð": "d",
    "þ": "th",
    "æ": "ae",
    "œ": "oe",
    "ı": "i",
    "ħ": "h",
}
# Commands whose name is the letter itself, or stands for one.
_COMMANDS = {
    **{name: name for name in _GREEK.values()},
    **{name.capitalize(): name for name in _GREEK.values()},
    **{f"var{name}": name for name in ("epsilon", "theta", "pi", "rho", "sigma", "phi", "kappa")},
    **{name: name for name in ("ae", "oe", "o", "l", "i", "j", "ss", "aa")},
    "aa": "a",
    "AA": "a",
    "O": "o",
    "L": "l",
    "AE": "ae",
    "OE": "oe",
    "ell": "l",
    "LaTeX": "latex",
    "TeX": "tex",
}
# Commands that only set spaces, sizes, dashes or signs; any other unknown one may be a name (\ourmethod).
_SILENT_NAMES = """
    nobreakdash quad qquad left right big Big bigg Bigg displaystyle textstyle limits times cdot cdots
    ldots dots circ to rightarrow Rightarrow leftarrow leftrightarrow mapsto sim approx simeq neq ne leq
    geq le ge ll gg pm mp in notin subset subseteq cup cap sum prod int infty partial nabla forall
    exists star ast dagger mid parallel langle rangle lvert rvert lVert rVert lfloor rfloor lceil rceil
    propto equiv odot otimes oplus bf it em rm tt sc small large item par newline noindent xspace eg ie
    etal cf wrt
"""
_SILENT = frozenset(_SILENT_NAMES.split())
_STYLES = """
    mathcal mathbb mathrm mathbf mathsf mathit textbf textit texttt textsc textsf textrm emph operatorname
"""
_PIECE = re.compile(
    r"""
      (?P<plain>(?:[a-z0-9,.;:()\[\]/'"!?%&*+=<>|@\#]|[ ](?![ ]))+)
    | (?P<upper>[A-Z]+)
    | (?P<space>\s+)
    | (?P<cite>~?\\(?:cite[a-zA-Z]*|ref|eqref|autoref|label|footnote)\*?
               (?:\[[^\]\n]{0,80}\]){0,2}\{[^{}]{0,400}\})
    | \\(?P<command>[a-zA-Z]+)\*?(?P<brace>\{)?
    | (?P<accent>\\['`"^~=.])(?=\{?\\?[a-zA-Z])
    | \\(?P<escaped>.)
    | (?P<between>\}\s*\{)
    | (?P<drop>[$\\{}])
    | (?P<low>[_^]\(?)
    | (?P<tilde>~)
    | (?P<dash>--+)
    | (?P<other>.[\u0300-\u036f\u3099\u309a\ufe0e\ufe0f]*)
    """,
    re.VERBOSE | re.DOTALL,
)
_MANGLED_COMMAND = re.compile(rf"(?<!\\)(?:{'|'.join(_STYLES.split())})(?=\{{)")
_SIMPLE = re.compile(r"[A-Za-z0-9 ,.;:()\[\]/'\"!?%&*+=<>|@#-]*")
_SHORT_INDEX = re.compile(
    rf"_(?:[({{]|[^\W_](?![a-z0-9])|\\(?:ell|(?:var)?(?:{'|'.join(_GREEK.values())}))(?![a-zA-Z]))",
    re.IGNORECASE,
)


class Folded(NamedTuple):
    """`text`, and for each of its characters where in the original it begins and ends."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]


def fold(text: str) -> Folded:
    """The plain form of `text`: lower case, no accents, no LaTeX, runs of blanks as one."""
    if _SIMPLE.fullmatch(text) and "  " not in text and "--" not in text:
        return Folded(text.lower(), range(len(text)), range(1, len(text) + 1))
    out: list[str] = []
    starts = array("i")
    ends = array("i")

    def add(piece: str, start: int, end: int) -> None:
        out.extend(piece)
        for _ in piece:
            starts.append(start)
            ends.append(end)

    def blank(start: int, end: int) -> None:
        if out and out[-1] != " ":
            add(" ", start, end)

    for match in _PIECE.finditer(_without_mangled(text)):
        start, end = match.span()
        piece = match.group()
        match match.lastgroup:
            case "plain" | "upper":
                if piece[0] == " " and (not out or out[-1] == " "):
                    piece, start = piece[1:], start + 1
                out.extend(piece.lower())
                starts.extend(range(start, end))
                ends.extend(range(start + 1, end + 1))
            case "space" | "tilde" | "cite" | "between":
                blank(start, end)
            case "command" | "brace":
                name = match["command"]
                if name in _COMMANDS:
                    add(_COMMANDS[name], start, end)
                elif not match["brace"]:
                    blank(start, end)
                    if name not in _SILENT:
                        add(name.lower(), start + 1, end)
            case "escaped":
                if match["escaped"] in "%&#_$@+":
                    add(match["escaped"], start, end)
                else:
                    blank(start, end)
            case "low":
                # x_0, 10^{25}, π_0 are one sign with an index; my_function keeps its seam.
                if not (out and out[-1].isalnum() and (piece[0] == "^" or _SHORT_INDEX.match(text, start))):
                    add(piece, start, end)
            case "dash":
                add("-" if len(piece) == 2 else " - ", start, end)  # LaTeX's en and em dash
            case "other":
                add(_fold_character(piece), start, end)
    return Folded("".join(out), starts, ends)


def _without_mangled(text: str) -> str:
    """Commands that lost their backslash on the way (textbf{F}ast), blotted out without moving anything."""
    if "{" not in text:
        return text
    return _MANGLED_COMMAND.sub(lambda match: "{" * len(match.group()), text)


@lru_cache(maxsize=16_384)
def _fold_character(cluster: str) -> str:
    """One character with the marks on it, folded. May be empty (a soft hyphen) or several (ﬁ, α)."""
    folded: list[str] = []
    for char in unicodedata.normalize("NFKC", cluster).casefold():
        mapped = _CHARACTERS.get(char)
        if mapped is None:
            base = unicodedata.normalize("NFKD", char)[0]
            mapped = _CHARACTERS.get(base)
            if mapped is None and base.isascii() and (base.isalnum() or not char.isalnum()):
                mapped = base
        if mapped is None:
            category = unicodedata.category(char)
            if category in ("Cf", "Mn"):
                mapped = "" if category == "Cf" or "\u0300" <= char <= "\u036f" else char
            elif char.isspace():
                mapped = " "
            else:
                mapped = char
        folded.append(mapped)
    return "".join(folded)


# Inflection

_IRREGULAR = {
    "analyses": "analysis",
    "corpora": "corpus",
    "criteria": "criterion",
    "hypotheses": "hypothesis",
    "indices": "index",
    "matrices": "matrix",
    "phenomena": "phenomenon",
    "vertices": "vertex",
    # plurals of acronyms that end in a vowel, which English rules take for singulars
    **{
        f"{name}s": name
        for name in ("gpu", "cpu", "tpu", "npu", "lpu", "dpu", "vla", "cta", "pca", "dna", "rna")
    },
}
# The stemmer would make one word of each of these and a shorter one: objective and object, transformer and
# transform, organization and organ. All words that begin so are one, and apart from the shorter one.
# Not compounds of them: "activation steering" is also looked for in one word, which is no activation.
_APART = re.compile(
    r"(transformer|objectiv|experiment|generaliz|personaliz|organiz|activation|responsib|positiv|medication|multiplic|"
    r"designat|modulat|publication|several|authorit|rating|informal|underl|useful|conversat|successiv|integral|"
    r"reasonabl|critical|representativ)"
    r"(?:y|ying|ies?|e?s|e?d|ed|e|ing|[eo]rs?|e?ly|(?:at)?i(?:on|ons|onal|onally|ve|vely)|al(?:ly|ist)?|ation(?:s|al|ally)?|"
    r"i?l?it(?:y|ies)|e?ness|able|ability|le|arian(?:ism)?|ization)?"
)
_BRITISH = re.compile(
    r"(optim|general|token|quant|initial|normal|regular|summar|personal|visual|organ|minim|maxim|character|util|"
    r"linear|discret|parametr|parameter|factor|special|categor|recogn|formal|random|real|modular|contextual|"
    r"binar|vector|serial|emphas|priorit|parallel)is(?=e|ing|ation|er)"
)
_VOWEL = re.compile(r"[aeiouy]")
_stemmers = threading.local()  # a Snowball stemmer keeps its word in itself


@lru_cache(maxsize=262_144)
def stem(word: str) -> str:
    """A folded word without its English inflection: agents → agent, LLMs → llm, trained → train."""
    word = word.removesuffix("'s")
    word = _IRREGULAR.get(word, word)
    if not word.isascii() or not word.replace("'", "").isalpha():
        if word.isascii() and len(word) > 2 and word.endswith("s") and word[-2].isdigit():
            return word[:-1]  # the 4090s, H100s
        return word
    if len(word) > 2 and word.endswith("s") and word[-2] != "s" and not _VOWEL.search(word[:-1]):
        return word[:-1]  # LLMs, VLMs: no vowel, so no English word
    word = _BRITISH.sub(r"\1iz", word, count=1)
    apart = _APART.fullmatch(word)
    if apart:
        return apart[1]
    stemmer = getattr(_stemmers, "english", None)
    if stemmer is None:
        stemmer = _stemmers.english = snowballstemmer.stemmer("english")
    return str(stemmer.stemWord(word))


# Words

_CJK = (
    "\u3005\u3040-\u30fa\u30fc-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_CJK_CHARACTER = re.compile(f"[{_CJK}]")
_WORD = re.compile(
    rf"(?P<cjk>[{_CJK}])|(?<![^\W_])(?:c\+\+|[cf]\#(?![^\W_]))|[^\W_{_CJK}]+(?:'[^\W_{_CJK}]+)*"
)
# Two of these, or one beside another word, say nothing about a compound: "no table" is not notable.
_FUNCTION_WORD_LIST = """
    a an the in on no to of for and or is as at by it be so do we i if up not all are this that with from
"""
_FUNCTION_WORDS = frozenset(_FUNCTION_WORD_LIST.split())


def is_cjk(word: str) -> bool:
    return _CJK_CHARACTER.match(word) is not None


class Edge(NamedTuple):
    """A word of the graph: folded, with the nodes between which it stands."""

    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Lattice:
    """A text as words. `starts[n]`, `ends[n]`: where the word after node n stands in the original text."""

    folded: Folded
    starts: Sequence[int]
    ends: Sequence[int]
    edges: Sequence[Edge]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original characters from node `start` to node `end`."""
        return self.starts[start], self.ends[end - 1]


class _Part(NamedTuple):
    word: str
    start: int  # in the folded text
    end: int
    tied: bool  # to the part before it: by a hyphen, or in one piece
    gap: str  # what stands between, if it is not tied


def _parts(folded: str) -> Iterator[_Part]:
    previous_end = 0
    for count, match in enumerate(_WORD.finditer(folded)):
        if count >= MAX_WORDS:
            return
        word = match.group()
        start, end = match.span()
        gap = folded[previous_end:start]
        tied = gap == "-" and count > 0
        previous_end = end
        seam = compounds.split(word) if match.lastgroup is None else None
        if seam is None:
            yield _Part(word, start, end, tied, gap)
        else:
            middle = start + len(seam[0])
            yield _Part(seam[0], start, middle, tied, gap)
            yield _Part(seam[1], middle, end, True, "")


def lattice(text: str) -> Lattice:
    """The words of a paper's text, hyphenated ones as parts and joined."""
    folded = fold(text)
    starts: list[int] = []
    ends: list[int] = []
    edges: list[Edge] = []
    run: list[_Part] = []  # the parts tied to each other so far
    previous_cjk = False
    _, original_starts, original_ends = folded
    for part in _parts(folded.text):
        word, start, end, tied, gap = part
        cjk = not word.isascii() and is_cjk(word)
        if cjk and previous_cjk and gap.strip():
            # Characters on both sides of a comma are not one word.
            starts.append(-1)
            ends.append(-1)
        previous_cjk = cjk
        starts.append(original_starts[start])
        ends.append(original_ends[end - 1])
        node = len(starts)
        edges.append(Edge(word, node - 1, node))
        if not tied:  # nearly all words
            run = [part]
            continue
        run.append(part)
        for length in range(2, min(len(run), _MAX_JOINED) + 1):
            joined = run[-length:]
            if _joinable(joined):
                edges.append(Edge("".join(p.word for p in joined), node - length, node))
    return Lattice(folded, starts, ends, edges)


def _joinable(parts: Sequence[_Part]) -> bool:
    """Not 3-5, which is no 35, and not across Chinese."""
    return not any(is_cjk(part.word) for part in parts) and not any(
        left.word[-1].isdigit() and right.word[0].isdigit() for left, right in pairwise(parts)
    )


# What a filter looks for


class Step(NamedTuple):
    """From unit `start` to unit `end` of a pattern over one word of the text."""

    start: int
    end: int
    word: str  # folded, for a prefix; else its stem
    is_prefix: bool


@dataclass(frozen=True, slots=True)
class Pattern:
    """The words of an atom in order, and every way to write neighbours as one."""

    units: tuple[str, ...]
    steps: tuple[Step, ...]  # by start, then end

    @property
    def is_single(self) -> bool:
        return len(self.steps) == 1


@lru_cache(maxsize=65_536)
def pattern(text: str, *, prefix: bool = False) -> Pattern:
    """What a word or phrase of a filter looks for. With `prefix` its last word may go on."""
    parts = list(_parts(fold(text).text))
    steps: list[Step] = []
    for start in range(len(parts)):
        for end in range(start + 1, min(start + _MAX_JOINED, len(parts)) + 1):
            joined = parts[start:end]
            if len(joined) > 1 and not _joins(joined):
                break
            word = "".join(part.word for part in joined)
            is_prefix = prefix and end == len(parts)
            wanted = word if is_prefix else stem(word)
            if len(joined) > 1 and len(wanted) <= len(word) - len(joined[-1].word):
                continue  # "emergent ability" in one word would be "emergent": its end reads as an inflection
            steps.append(Step(start, end, wanted, is_prefix))
    return Pattern(tuple(part.word for part in parts), tuple(steps))


def _joins(parts: Sequence[_Part]) -> bool:
    if not _joinable(parts):
        return False
    for left, right in pairwise(parts):
        if right.tied:
            continue
        if right.gap != " " or left.word in _FUNCTION_WORDS or right.word in _FUNCTION_WORDS:
            return False
    return True


def find(pattern: Pattern, text: Lattice) -> Iterator[tuple[int, int]]:
    """Where the pattern stands in the text: pairs of nodes, first to last. Slow and plain."""
    by_start: dict[int, list[Edge]] = {}
    for edge in text.edges:
        by_start.setdefault(edge.start, []).append(edge)
    last = len(pattern.units)
    for node in range(len(text.starts)):
        reached: list[set[int]] = [{node}, *(set() for _ in pattern.units)]  # nodes, after so many units
        for step in pattern.steps:
            for at in reached[step.start]:
                for edge in by_start.get(at, ()):
                    if fits(step, edge.word):
                        reached[step.end].add(edge.end)
        if last and reached[last]:
            yield node, max(reached[last])


def fits(step: Step, word: str) -> bool:
    return word.startswith(step.word) if step.is_prefix else stem(word) == step.word


@lru_cache(maxsize=4096)
def _exact(text: str) -> str:
    return fold(text).text.strip()


def find_exact(text: str, folded: str) -> Iterator[tuple[int, int]]:
    """Where `text` stands as it is, between word boundaries: pairs of indexes into the folded text."""
    wanted = _exact(text)
    at = folded.find(wanted) if wanted else -1
    while at >= 0:
        end = at + len(wanted)
        if not (_goes_on(folded, at) or _goes_on(folded, end)):
            yield at, end
        at = folded.find(wanted, at + 1)


def _goes_on(text: str, at: int) -> bool:
    """Whether a word runs on over index `at`. Chinese has no blanks, so any place will do there."""
    if not 0 < at < len(text):
        return False
    left, right = text[at - 1], text[at]
    return left.isalnum() and right.isalnum() and not (is_cjk(left) or is_cjk(right))


def merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, overlapping and touching ones as one."""
    result: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result
