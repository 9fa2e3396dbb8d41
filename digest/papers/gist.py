"""The one sentence of an abstract that says what the paper contributes, in its own words.

No model: each sentence gets points for what it says ("we introduce"), for what it names (words of the title
and of the whole abstract) and for where it stands, and loses some for telling of others ("existing methods",
"however"), of code, or for asking. The weights were set on half of Hugging Face's own one-line summaries and
measured on the other half (tests/digest/papers/test_gist.py).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable

from digest.papers.glance import sentences, shortened, word_set

_MOST_CHARACTERS = 6_000  # of an abstract that are looked at; arXiv allows 1,920
_MOST_SENTENCES = 40


# What the paper does, from plainest to least plain. All in lower case; Chinese knows no ends of words.
_DOES = (
    r"(?:introduc|propos|present|develop|design|describ|releas|construct|buil[dt]|contribut|formulat|creat"
    r"|offer|provid|open-sourc)(?:e|es|ed|s|ing)?"
)
_STUDIES = (
    r"(?:stud(?:y|ies|ied)|aims?|seeks?"
    r"|(?:investigat|explor|examin|analy[sz]|address|tackl|revisit|survey|review)(?:e|es|ed|s)?)"
)
_FINDS = (
    r"(?:find|found|prov(?:e|es|ed)|conclude"
    r"|(?:show|demonstrate|reveal|observe|establish|argue|identif(?:y|ies)|report|achieve)(?:s|es|d|ed|n)?)"
)
_WE = (
    r"we (?:also |then |further |first |here |thus |therefore |hereby |instead |next "
    r"|formally |systematically |jointly )?"
)
_THIS = r"th(?:is|e) (?:paper|work|study|article|report|survey|letter|thesis|note|technical report) "
_PROPOSES = re.compile(
    rf"\b{_WE}{_DOES}\b|\b{_THIS}{_DOES}\b"
    r"|本文(?:提出|介绍|设计|构建)|我们(?:提出|介绍|设计|构建|发布)|提出了?一[种个]"
)
_EXPLORES = re.compile(rf"\b{_WE}{_STUDIES}\b|\b{_THIS}{_STUDIES}\b|(?:本文|我们)(?:研究|探讨|分析)")
_FINDS_OUT = re.compile(rf"\b{_WE}{_FINDS}\b|\b{_THIS}{_FINDS}\b|结果表明|实验表明|我们发现|优于")
_HERE = re.compile(rf"\bin this (?:paper|work|study|report|article|letter|survey)\b|\bhere,|\b{_THIS}|本文")
_IS_A = re.compile(
    r", (?:an?|the first) (?:\S+ ){0,8}?(?:framework|method|model|benchmark|dataset|system|approach|pipeline"
    r"|algorithm|paradigm|suite|architecture|technique|toolkit|agent|library"
    r"|strategy|family|platform|mechanism)s?\b"
    r"|\bis an? (?:novel|new|simple|unified|open|framework|method|model|benchmark|dataset|system|large)\b"
)
_HAS_BECOME = re.compile(
    r"\bha(?:s|ve) (?:recently |long |also |rapidly )?(?:become|been|emerged|shown|achieved|made|gained"
    r"|attracted|revolutioni[sz]ed|demonstrated|advanced|enabled|led|seen|significantly|greatly|remained)\b"
    r"|近年来|然而|现有|仍然"
)
_ASIDE = re.compile(
    r"\b(?:codes?|codebase|datasets?|data|models?|weights|checkpoints|demos?|page|website|videos?"
    r"|materials?|implementation)\b[^.]{0,80}\b(?:available|released|accessible|found"
    r"|at https?|open-?sourced)\b"
    r"|https?://|代码.{0,20}(?:公开|开源)"
)
_MAY_BE_ASIDE = word_set(
    """
    available released accessible found https http open-sourced 代码
    """
)
_TELLS_OF_RESULTS = word_set(
    """
    experiment experiments experimental result results outperform outperforms outperforming
    surpasses state-of-the-art evaluation evaluations evaluated
    """
)
_SAYS_HOW = word_set(
    """
    by through via using that which enabling enables
    """
)
_TELLS_OF_OTHERS = word_set(
    """
    existing current previous prior conventional traditional remain remains however yet despite
    although often typically suffer suffers struggle struggles challenging lack lacks lacking widely
    increasingly crucial essential whether unclear
    """
)
_LEANS = re.compile(
    r"(?:it|they|these|its|their|such|furthermore|moreover|additionally|in addition|also|finally"
    r"|besides|second|secondly|third|thirdly|specifically|then|next|for example|for instance|meanwhile"
    r"|notably|importantly|concretely|consequently|thus|this)\b"
    r"|此外|最后|具体"
)
_QUESTION = re.compile(r"[?？][\"”’)]*\Z")

_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
_CJK = re.compile(r"[\u3400-\u9fff]")
_COMMON = word_set(
    """
    a an the of and or in on to for with by from as at is are was were be been being that which this
    these those it its we our their they can could may might will would has have had do does not no
    but than then thus such into over under between across both more most less while when where how
    what who also using use used based via through each all any some new novel paper work show shows
    results propose proposed method methods approach approaches model models however i
    """
)


def best_sentence(title: str, abstract: str, *, limit: int = 320) -> str:
    """The sentence of the abstract that best says what the paper contributes, word for word.

    At most `limit` characters: a longer one is taken only if it is worth it, and cut at a word. An empty
    abstract gives an empty text. The same input gives the same answer; some 0.5 ms for an ordinary abstract.
    """
    text = " ".join(abstract[:_MOST_CHARACTERS].split())
    candidates = sentences(text)[:_MOST_SENTENCES]
    if len(candidates) < 2:
        return shortened(text, limit)
    words = [_WORD.findall(sentence.lower()) for sentence in candidates]
    topics = [_topics(own) for own in words]
    titled = _topics(_WORD.findall(title.lower()))
    again = Counter(topic for own in topics for topic in own)
    again.subtract(again.keys())  # what comes once does not come again
    spoken_of = max(again.total(), 1)
    best, most = 0, -math.inf
    for at, sentence in enumerate(candidates):
        # What it names: the title's words, and what the abstract comes back to.
        points = 2.0 * sum(again[topic] for topic in topics[at]) / spoken_of
        if titled:
            points += 2.9 * len(topics[at] & titled) / len(titled)
        points += _points(sentence.lower(), frozenset(words[at]))
        points -= at / (len(candidates) - 1)
        length = len(sentence) * (2.5 if _CJK.search(sentence) else 1)
        if length < 60:
            points -= 0.5
        elif length > limit:
            points -= 0.6
        if points > most:
            best, most = at, points
    return shortened(candidates[best], limit)


def _points(sentence: str, words: frozenset[str]) -> float:
    """For what a sentence says; both in lower case."""
    points = 0.0
    if _PROPOSES.search(sentence):
        points += 1.6
    elif _EXPLORES.search(sentence):
        points += 0.8
    if words & _TELLS_OF_RESULTS or _FINDS_OUT.search(sentence):
        points += 0.3
    if _HERE.search(sentence):
        points += 0.4
    if _IS_A.search(sentence):
        points += 0.6
    if words & _SAYS_HOW:
        points += 0.2
    if words & _TELLS_OF_OTHERS or _HAS_BECOME.search(sentence):
        points -= 0.7
    if words & _MAY_BE_ASIDE and _ASIDE.search(sentence):
        points -= 1.3
    if _LEANS.match(sentence):
        points -= 0.5
    if _QUESTION.search(sentence):
        points -= 3.5
    return points


def _topics(words: Iterable[str]) -> set[str]:
    """What a text speaks of: words without the commonest, plurals as singulars; Chinese in pairs of signs."""
    found: set[str] = set()
    for word in words:
        if word in _COMMON:
            continue
        if not word.isascii() and _CJK.search(word):
            found.update(word[at : at + 2] for at in range(len(word) - 1))
        else:
            found.add(word[:-1] if len(word) > 3 and word.endswith("s") else word)
    return found
