"""arXiv identifiers as arXiv writes them: `oai:arXiv.org:2604.21935v1`, `http://arxiv.org/abs/math/0309136v2`."""

import re

LARGEST_VERSION = 999

# YYMM.NNNNN since 2015, YYMM.NNNN since 2007-04, before that archive[.SC]/YYMMNNN. The month is checked, so
# that a date is not read as an id. Source: https://info.arxiv.org/help/arxiv_identifier.html
_ID = re.compile(
    r"(?:(?P<new>\d{2}(?:0[1-9]|1[0-2])\.\d{4,5})"
    r"|(?P<archive>[a-z]{2,10}(?:-[a-z]{2,10})?)(?:\.[A-Za-z]{2})?/(?P<number>\d{2}(?:0[1-9]|1[0-2])\d{3}))"
    r"(?:v(?P<version>[1-9]\d{0,4}))?",
    re.ASCII,
)
_BEFORE = re.compile(
    r"(?:oai:arXiv\.org:|arXiv:\s*|(?:https?://)?(?:www\.|export\.)?arxiv\.org/(?:abs|pdf|html)/)",
    re.IGNORECASE,
)


class NotAnId(ValueError):
    """The message shows what was given instead."""


def split(text: str) -> tuple[str, int | None]:
    """The id without version and subject class, and the version: "math.GT/0309136v2" → "math/0309136", 2.

    Raises NotAnId.
    """
    given = text[:200].strip()
    match = _ID.fullmatch(_BEFORE.sub("", given, count=1).removesuffix(".pdf"))
    if match is None or int(match["version"] or 1) > LARGEST_VERSION:
        raise NotAnId(ascii(given[:60]))
    version = int(match["version"]) if match["version"] else None
    return match["new"] or f"{match['archive']}/{match['number']}", version
