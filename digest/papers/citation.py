"""How to cite a paper."""

import re
import unicodedata

from digest.models import Paper

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    **{char: rf"\{char}" for char in "&%$#_"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}
_FILLER = {"a", "an", "the", "on", "of", "for", "towards", "toward", "how", "is", "do", "does", "are", "can"}


def bibtex(paper: Paper) -> str:
    """The paper as one BibTeX entry, `@misc`, as arXiv itself gives it; LaTeX's characters escaped."""
    names = [str(name) for name in paper.authors]
    year = paper.published_at.year if paper.published_at else paper.first_listed_on.year
    fields = {"title": _escape(paper.title)}
    if names:
        fields["author"] = " and ".join(_escape(_family_first(name)) for name in names)
    fields["year"] = str(year)
    if paper.arxiv_id:
        fields |= {"eprint": paper.arxiv_id, "archivePrefix": "arXiv"}
        if paper.primary_category:
            fields["primaryClass"] = paper.primary_category
    if paper.doi:
        fields["doi"] = _escape(paper.doi)
    fields["url"] = paper.url.replace("{", "%7B").replace("}", "%7D")
    width = max(map(len, fields))
    lines = ",\n".join(f"  {name:<{width}} = {{{value}}}" for name, value in fields.items())
    return f"@misc{{{_key(names, year, paper)},\n{lines}\n}}"


def _key(names: list[str], year: int, paper: Paper) -> str:
    family = _plain(names[0].split()[-1]) if names and names[0].split() else ""
    words = [_plain(word) for word in re.split(r"[\s:\-–—,/]+", paper.title)]
    word = next((word for word in words if word and word not in _FILLER), "")
    return f"{family}{year}{word[:30]}" if family or word else f"paper{paper.pk}"


def _plain(word: str) -> str:
    folded = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]", "", folded)


def _family_first(name: str) -> str:
    """ "Ada Lovelace" as "Lovelace, Ada"; a name of one word, or with a comma of its own, as it is."""
    given, _, family = name.strip().rpartition(" ")
    return f"{family}, {given}" if given and "," not in name else name.strip()


def _escape(text: str) -> str:
    return "".join(_SPECIAL.get(char, char) for char in text)
