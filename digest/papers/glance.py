"""A paper at a glance: who wrote it, and what it says in a sentence or two."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit


def word_set(words: str) -> frozenset[str]:
    """The words of a text as a set: for lists that are read more often than run."""
    return frozenset(words.split())


# Where a sentence may end: closing marks, then a blank and something that can begin one; the full stops of
# Chinese and Japanese need neither. In "alone.We" the blank was lost, which only common first words show.
_BEGINNERS = (
    "We|The|This|These|Those|That|Our|It|Its|In|On|At|By|To|For|From|With|Without|However|Here|There|Despite"
    "|While|When|Although|Using|Unlike|Moreover|Furthermore|Finally|First|Second|Then|Thus|Hence|Such"
    "|Experiments|Code|As|An|Additionally|Specifically|Recent|Existing|Extensive|Empirically|Across|Results"
    "|Through|Building|Based|Instead"
)
_PERHAPS_END = re.compile(
    r"""(?P<cjk>[。！？][”’」』）"']{0,4})"""
    r"""|[.?!…]{1,6}["”’»)\]]{0,4}(?=\s+["“‘«(\[]{0,4}(?:[^\W_a-z]|[a-z]{1,2}[A-Z]))"""
    rf"""|(?<=[a-z)\]])[.?!](?=(?:{_BEGINNERS})\b(?![./]))"""
)
_BEGINNER = re.compile(rf"\s+[\"“‘«(\[]{{0,4}}(?:{_BEGINNERS})\b")

# Words whose full stop never ends a sentence, and those whose full stop may: then the next word decides.
_NEVER_LAST = word_set(
    """
    e.g i.e cf vs viz fig figs eq eqs eqn sec sect ref refs tab thm prop lem def alg approx resp dr
    prof mr mrs ms ca pp vol eds dept incl esp
    """
)
_PERHAPS_LAST = word_set(
    """
    al etc inc ltd corp co jr sr st univ no w.r.t i.i.d a.k.a p.a
    """
)
_WORD_BEFORE = re.compile(r"[^\s(\[“\"'‘,;:/]*\Z")
_INITIALS = re.compile(r"(?:[A-Z]\.-?)*[A-Z]\Z")
_LIST_NUMBER = re.compile(r"(?:\A|[:;.,]\s+|\band\s+)\(?\d{1,2}\Z")


def first_authors(authors: Sequence[object], *, shown: int = 3) -> tuple[list[str], int]:
    """The first names, and how many are left; one more is named instead of counted."""
    names = [str(name) for name in authors if str(name).strip()]
    if len(names) <= shown + 1:
        return names, 0
    return names[:shown], len(names) - shown


def sentences(text: str) -> list[str]:
    """The sentences of a text, each as it stands there, without the blanks between them.

    A full stop does not end one inside a number, an address or "e.g.", nor after an initial or "et al.",
    unless the next word is one that begins sentences. Linear in the length of the text.
    """
    found = []
    begin = 0
    for end in _ends(text):
        found.append(text[begin:end].strip())
        begin = end
    return [sentence for sentence in found if sentence]


def first_sentences(text: str, *, limit: int, at_least: int = 40) -> str:
    """Whole sentences from the beginning: one, and more while they stay under `at_least` characters.

    Never more than `limit` characters; a first sentence longer than that is cut at a word.
    """
    text = text.strip()
    fitting = [end for end in _ends(text) if end <= limit]
    if not fitting:
        return shortened(text, limit)
    return text[: next((end for end in fitting if end >= at_least), fitting[-1])]


def _ends(text: str) -> Iterator[int]:
    """Where each sentence ends; the last of them is the end of the text."""
    for match in _PERHAPS_END.finditer(text):
        if match["cjk"] or _is_end(text, match):
            yield match.end()
    yield len(text)


def _is_end(text: str, match: re.Match[str]) -> bool:
    if text[match.start()] != ".":
        return True
    before = _WORD_BEFORE.search(text[max(0, match.start() - 40) : match.start()])
    word = before.group() if before else ""
    if word.lower() in _NEVER_LAST:
        return False
    if word.lower() in _PERHAPS_LAST or _INITIALS.match(word):
        return _BEGINNER.match(text, match.end()) is not None
    return not _LIST_NUMBER.search(text[max(0, match.start() - 8) : match.start()])


def shortened(text: str, limit: int) -> str:
    """The text in at most `limit` characters, cut at a word and marked with an ellipsis."""
    text = text.strip()
    if len(text) <= limit:
        return text
    kept, blank, _ = text[:limit].rpartition(" ")
    return (kept if blank and len(kept) > limit / 2 else text[: limit - 1]).rstrip(" ,;:.") + "…"


def web_link(url: str) -> str:
    """The address if it is one of the web, else nothing: a source could send `javascript:`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return url if parts.scheme in ("http", "https") and parts.hostname else ""
