"""Whether a text that a language model wrote may be shown: judged by what can be checked without a model.

A model may be wrong, lazy, or obey what a stranger wrote into an abstract. So its text must be of the kind
and in the language that was asked for, plausibly long, plain, free of links and of talk to the reader, and
must name no number and hardly a name that the paper does not. What passes is still labelled as a model's
text. How few good texts this refuses is measured in tests/digest/papers/test_proofreading.py.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable

from digest.papers.glance import word_set
from digest.papers.text import readable

LONGEST_SUMMARY = 300  # characters
SHORTEST_SUMMARY = 24
_LONGEST_RAW = 20_000  # of a text as it came; cleaning a hostile one takes time


class Refused(ValueError):
    """The text is not shown. The message says why.

    `is_hostile`: a model that read nothing but a paper would hardly have written so; nothing else of its
    answer should be shown either.
    """

    def __init__(self, message: str, *, is_hostile: bool = False) -> None:
        super().__init__(message)
        self.is_hostile = is_hostile


def proofread(kind: str, text: str, *, title: str, abstract: str, language: str) -> str:
    """The text as it may be shown: one clean line. Raises Refused.

    `kind` is "summary", "title" or "abstract"; title and abstract are those of the paper, as stored.
    """
    if len(text) > _LONGEST_RAW:
        raise Refused(f"It is {len(text):,} characters long.")
    if kind != "abstract" and "\n" in text.strip():
        raise Refused("It has more than one line.")
    clean = readable(text)
    if not clean:
        raise Refused("It is empty.")
    _require_length(kind, clean, of=title if kind == "title" else abstract, language=language)
    source = f"{title}\n{abstract}"
    plain, given = _folded(clean), _folded(source)
    if found := _unasked(_MARKUP, text, source) or _unasked(_MARKUP, plain, given):
        raise Refused(f"It holds markup: {found[:60]!r}.", is_hostile=True)
    # From here on it is no excuse that the words stand in the paper: they may be what it wants to be said.
    _require_no_links(plain, given if kind == "abstract" else "", title=_folded(title))
    if talk := _TALK.search(plain):
        raise Refused(
            f"It talks to somebody instead of telling of the paper: {talk.group()[:60]!r}.", is_hostile=True
        )
    _LANGUAGES[language](plain, kind)
    _require_translated(plain, given, language=language)
    _require_numbers(plain, given)
    if kind == "abstract":
        _require_most_numbers(plain, _folded(abstract))
    _require_names(plain, given, language=language)
    return clean


# --- markup, links, talk ------------------------------------------------------------------------------------

_MARKUP = re.compile(
    r"</?[A-Za-z!][^<>]{0,200}>|\]\(|!\[|```|\*\*\w|^\s{0,3}#{1,6}\s|^\s{0,3}[-*]\s|&(?:[a-z]{2,8}|#\w{2,7});",
    re.MULTILINE,
)
_ADDRESS = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]{1,15}://\S*|\bwww\.\S*|\b(?:mailto|javascript|data|tel):\S+|[^\s@]{1,64}@\w+\.\w+\S*"
)
# What mail programs make a link of by themselves: a name with a dot before a top-level domain.
_DOMAIN = re.compile(r"\b[^\W_][\w-]{0,62}(?:\.[^\W_][\w-]{0,62}){0,6}\.[A-Za-z]{2,24}\b(?:/\S*)?")
_CJK_FROM_HERE = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")
_INSTRUCTION = r"\b[^.]{0,30}\b(?:instructions?|prompts?|rules)\b"
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override) (?:all |any |the |of )*(?:your|my|these|those|previous|prior"
    rf"|above|earlier|preceding|other){_INSTRUCTION}|忽略.{{0,12}}(?:指令|指示|提示词|规则)",
    re.IGNORECASE,
)
_TALK = re.compile(
    r"\b(?:ignor\w+|disregard\w*|forget|overrid\w+) (?:all|any|the|your|my|these|previous|prior|above)"
    rf"{_INSTRUCTION}"
    r"|\bsystem (?:prompt|message)|\bjson object\b|\bpaper-[0-9a-f]{8,}"
    r"|\bas an? (?:ai|large language|language) (?:language )?(?:model|assistant)\b"
    r"|\bi(?: am|'m) (?:sorry|unable|an? ai|not able)\b|\bi (?:cannot|can't|can not)\b"
    r"|\bclick (?:here|on|the|this)\b|\bclick\b[^.]{0,30}\blinks?\b"
    r"|\bvisit (?:our|my|the|this|us)\b|\bsubscribe\b"
    r"|\bsend (?:an? )?(?:e-?mail|money|bitcoin)\b"
    r"|忽略.{0,12}(?:指令|指示|提示|规则|说明)|系统提示|点击(?:这里|此处|链接|下方|查看)"
    r"|作为(?:一个|一名)?(?:人工智能|AI)(?:语言)?(?:模型|助手)"
    r"|(?:我|本人)(?:无法|不能)(?:完成|提供|翻译|回答|处理)"
    r"|请(?:访问|订阅|关注|联系|点击|扫码)|加微信|翻译如下|以下是.{0,12}(?:翻译|译文|摘要)",
    re.IGNORECASE,
)


def gives_orders(text: str) -> bool:
    """Whether a paper speaks to the models that read it: better not to ask one.

    Those that only write about such orders rarely quote them in their abstracts: none of 30,607 does.
    """
    return _ORDERS.search(text) is not None


def _unasked(pattern: re.Pattern[str], text: str, source: str) -> str:
    """The first match that the paper itself does not have."""
    own = source.casefold()
    found = (match.group() for match in pattern.finditer(text))
    return next((one for one in found if one.casefold() not in own), "")


def _require_no_links(text: str, source: str, *, title: str) -> None:
    """None but those of `source`; names with a dot, such as Node.js, may stand in the title too."""
    own, titled = source.casefold(), title.casefold()
    for match in _ADDRESS.finditer(text):
        address = _CJK_FROM_HERE.split(match.group().rstrip(".,;:!?)]}>\"'"))[0]
        if not own or address.casefold() not in own:
            raise Refused(f"It holds a link: {address[:100]!r}.", is_hostile=True)
    for match in _DOMAIN.finditer(_ADDRESS.sub(" ", text)):
        name = match.group().rstrip(".,;:!?)]}").casefold()
        if name not in own and ("/" in name or name not in titled):
            raise Refused(f"It holds what mail programs take for a link: {name[:100]!r}.", is_hostile=True)


# --- language and length ------------------------------------------------------------------------------------

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:['’-][A-Za-z\u00c0-\u024f]+)*")
_LETTER = re.compile(r"[^\W\d_]")
_KANA_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
# Common signs that Simplified Chinese does not have.
_TRADITIONAL = frozenset(
    "們這個來為時對說國學會實過發經應與從開關點種機運動現將於無數樣據進證練習語與網絡訓題導圖處優為學習"
)


def _require_chinese(text: str, kind: str) -> None:
    """Names and acronyms stay Latin, so a title may be half of them; a sentence is not."""
    signs = len(_HAN.findall(text))
    share = signs / max(signs + len(_LATIN_WORD.findall(text)), 1)
    least = 0.35 if kind == "title" else 0.6
    if signs < 2 or share < least:
        raise Refused(f"It is not Chinese: {share:.0%} of it.")
    if len(_KANA_HANGUL.findall(text)) > 0.05 * signs:
        raise Refused("It is Japanese or Korean, not Chinese.")
    if sum(sign in _TRADITIONAL for sign in text) > 0.05 * signs:
        raise Refused("It is Traditional Chinese, not Simplified.")


def _require_english(text: str, kind: str) -> None:
    letters = len(_LETTER.findall(text))
    share = len(_LATIN.findall(text)) / max(letters, 1)
    if share < 0.8:
        raise Refused(f"It is not English: {share:.0%} of its letters are Latin.")
    words = [word.casefold() for word in _LATIN_WORD.findall(text)]
    if kind == "summary" and len(words) > 8 and len(set(words)) < 0.5 * len(words):
        raise Refused("It says the same words again and again.")


def _require_translated(text: str, source: str, *, language: str) -> None:
    """Chinese for an English paper cannot stand in the paper, unless that tells the model what to say."""
    if language != "zh-hans" or len(_HAN.findall(source)) > 0.3 * len(_LETTER.findall(source)):
        return
    pairs = _han_pairs(text)
    if len(pairs & _han_pairs(source)) > 0.3 * len(pairs):
        raise Refused("It repeats Chinese words of the paper instead of translating it.", is_hostile=True)


def _han_pairs(text: str) -> set[str]:
    return {pair for at in range(len(text) - 1) if len(_HAN.findall(pair := text[at : at + 2])) == 2}


_LANGUAGES: dict[str, Callable[[str, str], None]] = {"en": _require_english, "zh-hans": _require_chinese}
# How long a translation is, against English: shares of its characters.
_TRANSLATED = {"en": (0.5, 2.0), "zh-hans": (0.15, 0.8)}


def _require_length(kind: str, text: str, *, of: str, language: str) -> None:
    if kind == "summary":
        least = SHORTEST_SUMMARY // 2 if language == "zh-hans" else SHORTEST_SUMMARY
        if not least <= len(text) <= LONGEST_SUMMARY:
            raise Refused(f"A summary of {len(text)} characters; {least} to {LONGEST_SUMMARY} are plausible.")
        return
    shortest, longest = _TRANSLATED[language]
    room = 20 if kind == "title" else 0  # a title may consist of a name
    if not shortest * len(of) - room <= len(text) <= longest * len(of) + room:
        raise Refused(f"{len(text)} characters for a translation of {len(of)} are not plausible.")


# --- numbers ------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"\d+(?:,\d{3}(?!\d))+(?:\.\d+)?|\d+(?:\.\d+)?")
_SCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", "01234567890123456789")
_SCRIPTED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]+|[₀₁₂₃₄₅₆₇₈₉]+")
_TIMES = {
    "thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "mn": 1e6, "billion": 1e9, "b": 1e9, "bn": 1e9,
    "trillion": 1e12, "t": 1e12, "hundred": 1e2, "dozen": 12,
    "千": 1e3, "万": 1e4, "百万": 1e6, "千万": 1e7, "亿": 1e8, "十亿": 1e9, "百亿": 1e10, "千亿": 1e11,
    "万亿": 1e12, "百": 1e2,
}  # fmt: skip
_UNIT = re.compile(
    r"[\s-]{0,2}(thousand|million|billion|trillion|hundred|dozen|mn|bn|[kmbt])s?(?![A-Za-z])", re.IGNORECASE
)
_CHINESE_UNIT = re.compile(r"\s?(百万|千万|万亿|十亿|百亿|千亿|[千万亿百])")
_ONES = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_IN_WORDS: dict[str, float] = {
    **{word: number for number, word in enumerate(_ONES, start=1)},
    **{word: 10 * number for number, word in enumerate(_TENS, start=2)},
    "zero": 0, "single": 1, "once": 1, "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
    "hundred": 100, "hundreds": 100, "thousand": 1e3, "thousands": 1e3,
    "million": 1e6, "millions": 1e6, "billion": 1e9, "billions": 1e9, "twice": 2, "double": 2, "doubles": 2,
    "doubling": 2, "dual": 2, "both": 2, "pair": 2, "twofold": 2, "triple": 3, "threefold": 3, "fourfold": 4,
    "fivefold": 5, "tenfold": 10, "half": 50, "halves": 50, "halving": 50, "quarter": 25, "magnitude": 10,
    "decade": 10, "decades": 10, "dozen": 12, "dozens": 12,
}  # fmt: skip
_TENS_AND_ONES = re.compile(rf"\b({'|'.join(_TENS)})[ -]({'|'.join(_ONES)})\b")


def _require_numbers(text: str, source: str) -> None:
    """Each number stands in the paper too, be it in words or in another unit (1.5 billion is 15 亿)."""
    known = _values(source) | _values_in_words(source)
    for match in _NUMBER.finditer(text):
        if not known & _readings(text, match):
            raise Refused(f"It names a number that the paper does not: {match.group()}.")


def _require_most_numbers(text: str, source: str) -> None:
    """A translation that lost most of the paper's numbers is one of something else."""
    wanted = [_readings(source, match) for match in _NUMBER.finditer(source)]
    kept = _values(text)
    if len(wanted) >= 4 and sum(bool(values & kept) for values in wanted) < len(wanted) / 2:
        raise Refused("Most numbers of the abstract are missing.")


def _values(text: str) -> set[str]:
    return {value for match in _NUMBER.finditer(text) for value in _readings(text, match)}


def _readings(text: str, match: re.Match[str]) -> set[str]:
    """A number as it stands, and as its unit makes it, in a form of their own."""
    number = float(match.group().replace(",", "")[:30])
    values = {_value(number)}
    for pattern in (_UNIT, _CHINESE_UNIT):
        if unit := pattern.match(text, match.end()):
            values.add(_value(number * _TIMES[unit[1].lower()]))
    return values


def _values_in_words(text: str) -> set[str]:
    text = text.lower()
    found = {_value(_IN_WORDS[word]) for word in re.findall(r"[a-z]+", text) if word in _IN_WORDS}
    return found | {_value(_IN_WORDS[tens] + _IN_WORDS[ones]) for tens, ones in _TENS_AND_ONES.findall(text)}


def _value(number: float) -> str:
    return f"{number:.12g}"


# --- names --------------------------------------------------------------------------------------------------

# What the field abbreviates, and a translation may, whether the abstract does or not.
_ABBREVIATIONS = word_set(
    """
    llms mllm mllms vlms lvlm gpus apis token tokens transformer agent agents benchmark prompt prompts softmax
    dataset online pytorch bert
    """
)
_LONG_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]{4,}")


def _require_names(text: str, source: str, *, language: str) -> None:
    """A translation leaves in Latin letters what the paper calls so; a summary speaks mostly in its words."""
    words = [word.casefold() for word in _LONG_WORD.findall(text)]
    own = {word.casefold() for word in _LONG_WORD.findall(source)}
    stems = {word[:4] for word in own}
    if language == "en":
        telling = [word for word in words if len(word) > 4]
        # A Chinese paper has few words that could come again in English.
        if len(own) >= 10 and sum(word[:4] in stems for word in telling) < max(0.3 * len(telling), 2):
            raise Refused("It speaks of something else than the paper.")
        return
    strange = [word for word in words if word not in _ABBREVIATIONS and word[:4] not in stems]
    if strange:
        raise Refused(f"It names what the paper does not: {_listed(strange)}.")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(repr(word[:40]) for word in dict.fromkeys(words))[:200]


def _folded(text: str) -> str:
    """For comparing: raised and lowered digits stand apart, full-width forms are plain."""
    text = _SCRIPTED.sub(lambda match: " " + match.group().translate(_SCRIPTS) + " ", text)
    return unicodedata.normalize("NFKC", text)
