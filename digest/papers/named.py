"""A stored paper by any of its names: arXiv id, DOI, its address or that of its page here, its row."""

import re

from digest.models import Paper
from digest.papers.identity import NoIdentity, identify

_ROW = re.compile(r"(?:(?:^|/paper/)p)?([0-9]{1,18})")
_PAGE = re.compile(r".*/paper/")


def find(typed: str) -> Paper | None:
    """The row that is named, which may be merged into another; None where no row is.

    Names are "2608.18565v2", "https://arxiv.org/pdf/2608.18565", "doi:10.1000/x", "https://lab.example/post",
    an address or path that ends in "/paper/2608.18565/", and "p42" or "42" for a row.
    """
    typed = typed.strip()
    path = re.split(r"[?#]", typed)[0].rstrip("/")
    if row := _ROW.fullmatch(_PAGE.sub("/paper/", path)):
        return Paper.objects.filter(pk=int(row[1])).first()
    for text in dict.fromkeys((typed, _PAGE.sub("", path))):
        for name in ("arxiv_id", "doi", "url"):
            try:
                identity = identify(**{name: text})
            except NoIdentity:
                continue
            if found := Paper.objects.filter(key=identity.key).first():
                return found
            # A paper that was known by another identifier first keeps its key.
            if identity.arxiv_id and (found := Paper.objects.filter(arxiv_id=identity.arxiv_id).first()):
                return found
            if identity.doi and (found := Paper.objects.filter(doi=identity.doi).first()):
                return found
    return None
