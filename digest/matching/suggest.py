"""What a reader may want to change about a filter: words to add, another spelling, a warning and its cure.

Pure: it asks its numbers of what it is given. Nothing is applied; each offer is a whole filter to take or to
leave, with the number of papers that it would find.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from subscriptions.filters import Filter, FilterError, normal, parse, tree
from subscriptions.filters.tree import And, Node, Not, Or, Phrase, Word

MANY_A_DAY = 40  # papers: more than anybody reads
COMMON_SHARE = 0.25  # of all papers: a word that says little
BARE_WORDS = 4  # side by side: all of them must stand in a paper, which few that type them so expect
_TEXT_FIELDS = (None, "title", "abstract")

Count = Callable[[Filter], int]
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A filter to take instead: `text`, with what it does in words and the number of papers it finds."""

    words: str
    text: str
    papers: int


@dataclass(frozen=True, slots=True)
class Warning:
    """`kind`: nothing, many, common, bare-words. `words`: what is the matter, as sentences."""

    kind: str
    words: str
    offers: tuple[Offer, ...] = ()


@dataclass(frozen=True, slots=True)
class Keyword:
    """Words that stand in many of the best papers and in few others, as they are mostly written there."""

    text: str
    best: int  # of the best papers, how many have them
    papers: int  # of all papers


@dataclass(frozen=True, slots=True)
class Synonyms:
    """Other names of what one word of the filter names, and the filter that takes them in.

    `more`: how many papers that filter finds beyond those of the present one.
    """

    name: str  # as the filter writes it
    others: tuple[str, ...]
    text: str
    more: int


# --- words to add -------------------------------------------------------------------------------------------

MOST_CANDIDATES = 60
# Of all papers, by the number of words: what stands in more of them says too little.
TELLING_SHARES = {1: 0.04, 2: 0.12, 3: 0.12}
# In a sentence, but not at the edge of a phrase that names something.
_STOP_WORDS = """
    a about above across after again against all almost alone along already also although always am
    among an and another any are around as at away be became because been before being below between
    both but by can cannot could did do does doing done down during each either else enough
    especially et etc even ever every few first for from fully further gives had has have having
    hence here high how however i if in instead into is it its itself just key large last less let
    like low main mainly make makes many may might more most much must namely near nearly need
    neither never new next no non nor not novel now of off often on once one only onto or other
    others our out over own per perhaps rather s same second see several shall should simply since
    so some still such t than that the their them then there thereby therefore these they this those
    though three through thus to together too toward towards two under unlike until up upon us use
    used uses using usually various versus very via was we well were what when where whereas whether
    which while who whose why will with within without would yet you your paper papers work study
    studies approach approaches method methods result results show shows shown propose proposed
    proposes present presents introduce introduces introducing demonstrate demonstrates experiment
    experiments experimental extensive evaluate evaluation improve improves improved improvement
    improvements achieve achieves outperform outperforms existing recent recently prior previous
    current state-of-the-art sota e.g i.e eg ie significant significantly substantial substantially
    effective effectively efficient efficiently different diverse remain remains lack limited
    challenge challenges challenging problem problems enable enables enabling provide provides
    address addresses leverage leverages leveraging based code available http https com github url
"""
_STOP = frozenset(_STOP_WORDS.split())
_INNER = frozenset({"of", "to", "in", "and", "the", "for"})  # chain of thought, text to image
_NO_TEXT = re.compile(r"\$[^$]{0,200}\$|\\[A-Za-z]+|https?://\S+")
_SURFACE = re.compile(r"[^\W_]+(?:[-‐‑'’+][^\W_]+)*")


def keywords(
    best: Sequence[tuple[str, str]],
    *,
    papers: int,
    count: Count,
    known: Iterable[str] = (),
    most: int = 6,
) -> list[Keyword]:
    """Phrases of one to three words that mark the best papers off from all the others, the strongest first.

    `best` are their titles and abstracts, `papers` the number of all, `count` how many of those a filter
    finds. What `known` says already is left out, and of phrases that hold one another the stronger stays.
    The weight is the log-odds of standing in a best paper rather than in another, times the share of them.
    """
    if len(best) < 3:
        return []
    forms, holders = _phrases(best)
    at_least = max(2, math.ceil(0.15 * len(best)))
    frequent = [key for key, having in holders.items() if having >= at_least]
    # Longer phrases are rarer elsewhere: of those asked for they come first where as many papers have them.
    frequent.sort(key=lambda key: (-holders[key] * (1 + 0.6 * (len(key) - 1)), key))
    said = [key_of(text) for text in known]
    weighed = []
    for key in frequent[:MOST_CANDIDATES]:
        text = max(forms[key], key=lambda form: (forms[key][form], form.islower(), form))
        if any(_holds(known_key, key) for known_key in said):
            continue
        try:
            everywhere = max(count(parse(_quoted(text))), holders[key])
        except FilterError:
            continue
        weight = _log_odds(holders[key], len(best), everywhere, papers)
        is_telling = everywhere <= TELLING_SHARES.get(len(key), 1.0) * papers
        if is_telling and weight > 1.0:
            weight *= holders[key] / len(best) * (1 + 0.25 * (len(key) - 1))
            weighed.append((weight, key, Keyword(text, holders[key], everywhere)))
    weighed.sort(key=lambda one: (-one[0], one[1]))
    chosen: dict[Key, Keyword] = {}
    for _, key, keyword in weighed:
        if not any(_holds(other, key) or _holds(key, other) for other in chosen):
            chosen[key] = keyword
    return list(chosen.values())[:most]


def _phrases(texts: Sequence[tuple[str, str]]) -> tuple[dict[Key, Counter[str]], Counter[Key]]:
    """By normal form: how each phrase is written, and in how many of the texts it stands."""
    forms: dict[Key, Counter[str]] = defaultdict(Counter)
    holders: Counter[Key] = Counter()
    for title, abstract in texts:
        own = [one for part in (title, abstract) for one in _spoken(part)]
        for key, text in own:
            forms[key][text] += 1
        holders.update({key for key, _ in own})
    return forms, holders


def _spoken(text: str) -> Iterator[tuple[Key, str]]:
    text = _NO_TEXT.sub(" . ", text)
    run: list[tuple[str, Key]] = []
    end = 0
    for match in _SURFACE.finditer(text):
        if text[end : match.start()].strip():
            run.clear()  # over a comma or a full stop no phrase goes
        end = match.end()
        run.append((match.group(), key_of(match.group())))
        del run[:-3]
        if not _may_end(run[-1][0]):
            continue
        for length in range(1, len(run) + 1):
            words = run[-length:]
            if not _may_end(words[0][0]):
                continue
            if length == 3 and words[1][0].casefold() in _STOP and words[1][0].casefold() not in _INNER:
                continue
            key = tuple(unit for _, units in words for unit in units)
            if key:
                yield key, " ".join(word for word, _ in words)


@lru_cache(maxsize=8_192)
def _may_end(word: str) -> bool:
    """Whether a phrase that names something can begin or end with this word."""
    if not any(char.isalpha() for char in word) or word.casefold() in _STOP:
        return False
    return len(word) > 2 or word.isupper()


@lru_cache(maxsize=32_768)
def key_of(text: str) -> Key:
    """A phrase as its words without inflection: the same for Agents and agent, mid-training, midtraining."""
    return tuple(normal.stem(unit) for unit in normal.pattern(text).units)


def _holds(longer: Key, shorter: Key) -> bool:
    width = len(shorter)
    return any(longer[at : at + width] == shorter for at in range(len(longer) - width + 1))


def _log_odds(best: int, of_best: int, everywhere: int, papers: int) -> float:
    elsewhere, others = everywhere - best, max(papers - of_best, 1)
    inside = (best + 0.5) / (of_best - best + 0.5)
    outside = (elsewhere + 0.5) / (max(others - elsewhere, 0) + 0.5)
    return math.log(inside / outside)


# --- other names --------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def groups() -> tuple[tuple[str, ...], ...]:
    """Names of the same thing, the shortest first: from synonyms.tsv, one group a line, tabs between."""
    lines = Path(__file__).with_name("synonyms.tsv").read_text("utf-8").splitlines()
    return tuple(tuple(line.split("\t")) for line in lines if line.strip())


@lru_cache(maxsize=1)
def _groups_by_key() -> dict[Key, tuple[str, ...]]:
    return {key_of(form): group for group in groups() for form in group}


def synonyms(filter: Filter, *, count: Count, most: int = 3) -> list[Synonyms]:
    """Other names for what the filter looks for in titles and abstracts, those that bring most first.

    A name that stands in the filter already is not offered. One that brings nothing in these days is: the
    paper it would have missed may come tomorrow.
    """
    there = {key_of(atom.text) for atom in filter.positive_atoms() if isinstance(atom, Word | Phrase)}
    found = None
    offers: list[Synonyms] = []
    for atom in filter.positive_atoms():
        if not isinstance(atom, Word | Phrase) or atom.field not in _TEXT_FIELDS:
            continue
        if isinstance(atom, Word) and atom.prefix:
            continue
        group = _groups_by_key().get(key_of(atom.text), ())
        others = tuple(form for form in group if key_of(form) not in there)
        if not others:
            continue
        wider = tree.any_of([atom, *(tree.words(form, atom.field) for form in others)])
        offer = _offer("", _swapped(filter.tree, atom, wider), count)
        if offer is not None:
            found = count(filter) if found is None else found
            offers.append(Synonyms(atom.text, others, offer.text, max(offer.papers - found, 0)))
    return sorted(offers, key=lambda offer: -offer.more)[:most]


# --- warnings -----------------------------------------------------------------------------------------------


def warnings(
    filter: Filter, *, found: int, papers: int, days: int, count: Count, terms: Sequence[Keyword] = ()
) -> list[Warning]:
    """What is likely not meant, the worst first. `found`: of `papers` in `days` listing days.

    `terms`: keywords of the best papers, with which a filter that finds too many is narrowed.
    """
    if not papers or not days:
        return []
    said = []
    bare = _bare_words(filter.tree)
    if len(bare) >= BARE_WORDS:
        said.append(
            Warning(
                "bare-words",
                f"A blank means AND: all {len(bare)} words must stand in a paper. {_found(found, days)}",
                _offers(
                    [
                        ("Any of them", tree.any_of(bare)),
                        ("As one phrase", Phrase(" ".join(word.text for word in bare))),
                    ],
                    filter,
                    count,
                    part=bare,
                ),
            )
        )
    if not found:
        words = f"Nothing in {_listing_days(days)}, {papers:,} paper{'' if papers == 1 else 's'}."
        said.insert(0, Warning("nothing", words, () if said else _wider(filter, count)))
    elif (word := _only_word(filter.tree)) and found > COMMON_SHARE * papers:
        share = math.floor(100 * found / papers)
        words = f"“{word.text}” stands in {share} % of all papers, so it says little."
        said.append(Warning("common", words, _narrower(filter, found, count, terms)))
    elif found > MANY_A_DAY * days:
        words = (
            f"About {found / days:.0f} papers a listing day: more than {MANY_A_DAY}, and than anybody reads."
        )
        said.append(Warning("many", words, _narrower(filter, found, count, terms)))
    return said


def warnings_of_interest(*, shown: int, papers: int, days: int, least: int) -> list[Warning]:
    """The same for an interest that every paper may enter; `shown` are those from `least` percent on."""
    if not papers or not days:
        return []
    if not shown:
        words = f"None of {papers:,} papers of {_listing_days(days)} reaches a relevance of {least} %."
        return [Warning("nothing", f"{words} Other keywords may be how its authors say it.")]
    if shown > MANY_A_DAY * days:
        words = f"About {shown / days:.0f} papers a listing day from {least} % on: more than {MANY_A_DAY}."
        return [Warning("many", f"{words} Keywords that say it more narrowly, or a higher relevance, help.")]
    return []


def _found(found: int, days: int) -> str:
    return f"That finds {found} in {_listing_days(days)}."


def _listing_days(days: int) -> str:
    return f"{days} listing day{'' if days == 1 else 's'}"


def _narrower(filter: Filter, found: int, count: Count, terms: Sequence[Keyword]) -> tuple[Offer, ...]:
    ways: list[tuple[str, Node]] = [("Only in titles", _in_titles(filter.tree))]
    ways += [
        (f"Only with {term.text}", tree.all_of([filter.tree, tree.words(term.text)])) for term in terms[:6]
    ]
    offers = _offers(ways, filter, count)
    return tuple(offer for offer in offers if 0 < offer.papers <= 0.8 * found)[:3]


def _wider(filter: Filter, count: Count) -> tuple[Offer, ...]:
    """The same without one of its words, where it has several."""
    if not isinstance(filter.tree, And):
        return ()
    children = filter.tree.children
    ways = []
    for child in children:
        rest = tree.all_of(other for other in children if other is not child)
        if tree.finds_something(rest):
            ways.append((f"Without {tree.compact(child)}", rest))
    offers = [offer for offer in _offers(ways[:8], filter, count) if offer.papers]
    return tuple(sorted(offers, key=lambda offer: -offer.papers)[:3])


def _bare_words(node: Node) -> list[Word]:
    """The words side by side at the top, in no field; none where an OR stands anywhere."""
    if not isinstance(node, And) or any(isinstance(child, Or) for child in node.children):
        return []
    return [child for child in node.children if isinstance(child, Word) and child.field is None]


def _only_word(node: Node) -> Word | None:
    return node if isinstance(node, Word) and node.field is None else None


def _in_titles(node: Node) -> Node:
    match node:
        case And(children):
            return tree.all_of(map(_in_titles, children))
        case Or(children):
            return tree.any_of(map(_in_titles, children))
        case Word(field=None) | Phrase(field=None):
            return replace(node, field="title")
    return node  # what is left out is left out of abstracts too


def _swapped(node: Node, old: Node, new: Node) -> Node:
    """The tree with `new` in the place of an atom; what NOT leaves out stays as it is."""
    match node:
        case And(children):
            return tree.all_of(_swapped(child, old, new) for child in children)
        case Or(children):
            return tree.any_of(_swapped(child, old, new) for child in children)
        case Not():
            return node
    return new if node == old else node


def _offers(
    ways: Iterable[tuple[str, Node]], filter: Filter, count: Count, *, part: Sequence[Node] = ()
) -> tuple[Offer, ...]:
    """With `part`, each way stands for these members of the filter, and the others stay."""
    rest = (
        [child for child in filter.tree.children if child not in part] if isinstance(filter.tree, And) else []
    )
    offers = []
    for words, node in ways:
        offer = _offer(words, tree.all_of([node, *rest]) if part else node, count)
        if offer is not None and offer.text != tree.compact(filter.tree):
            offers.append(offer)
    return tuple(offers)


def _offer(words: str, node: Node, count: Count) -> Offer | None:
    text = tree.compact(node)
    try:
        return Offer(words, text, count(parse(text)))
    except FilterError:  # longer than a filter may be
        return None


def with_alternative(text: str, keyword: str) -> str:
    """The filter as typed, that now also finds this phrase."""
    return f"{text.strip()} OR {_quoted(keyword)}" if text.strip() else _quoted(keyword)


def _quoted(text: str) -> str:
    return tree.compact(tree.words(text))
