"""The fields of a filter, their short names, and the values they know."""

import re

TEXT_FIELDS = ("title", "abstract", "author", "org", "all")
VALUE_FIELDS = ("cat", "primary", "source", "kind", "lang", "id", "has")
FIELDS = TEXT_FIELDS + VALUE_FIELDS
SHORT_NAMES = {"ti": "title", "abs": "abstract", "au": "author"}

# Words that people bring from arXiv, PubMed, Gmail, Scholar; named in the cure, not taken silently.
FOREIGN_NAMES = {
    "arxiv": "id",
    "authors": "author",
    "by": "author",
    "from": "author",
    "category": "cat",
    "categories": "cat",
    "subject": "cat",
    "topic": "title",
    "organization": "org",
    "organisation": "org",
    "affiliation": "org",
    "company": "org",
    "tiab": "all",
    "any": "all",
    "text": "all",
    "intitle": "title",
    "inabstract": "abstract",
    "summary": "abstract",
    "language": "lang",
    "type": "kind",
    "feed": "source",
    "is": "kind",
    "votes": "upvotes",
    "likes": "upvotes",
    "score": "upvotes",
    "github": "stars",
}

DATE_NAMES = frozenset({"year", "date", "day", "month", "after", "before", "since", "published"})

HAS = ("code", "project", "media")
MEDIA_KINDS = ("post", "forum", "news")
KINDS = ("paper", *MEDIA_KINDS, "media")

_LANGUAGE = re.compile(r"[a-z]{2,3}")
_ARXIV_PREFIX = re.compile(
    r"(?:(?:https?://)?(?:www\.)?(?:arxiv\.org/(?:abs|pdf|html)/|arxiv:)[\s,.;:!?'’‘`…、。·]*)+"
)
_ARXIV_ID = re.compile(r"(\d{4}\.\d{4,5}|[a-z-]+(?:\.[a-z]{2})?/\d{7})(?:v\d+)?(?:\.pdf)?")

# https://arxiv.org/category_taxonomy; archives without subdivisions stand with an empty tuple.
ARCHIVES: dict[str, tuple[str, ...]] = {
    archive: tuple(codes.split())
    for archive, codes in {
        "cs": "AI AR CC CE CG CL CR CV CY DB DC DL DM DS ET FL GL GR GT HC IR IT LG LO MA MM MS NA NE NI OH "
        "OS PF PL RO SC SD SE SI SY",
        "stat": "AP CO ME ML OT TH",
        "eess": "AS IV SP SY",
        "math": "AC AG AP AT CA CO CT CV DG DS FA GM GN GR GT HO IT KT LO MG MP NA NT OA OC PR QA RA RT SG "
        "SP ST",
        "econ": "EM GN TH",
        "q-bio": "BM CB GN MN NC OT PE QM SC TO",
        "q-fin": "CP EC GN MF PM PR RM ST TR",
        "physics": "acc-ph ao-ph app-ph atm-clus atom-ph bio-ph chem-ph class-ph comp-ph data-an ed-ph "
        "flu-dyn gen-ph geo-ph hist-ph ins-det med-ph optics plasm-ph pop-ph soc-ph space-ph",
        "astro-ph": "CO EP GA HE IM SR",
        "cond-mat": "dis-nn mes-hall mtrl-sci other quant-gas soft stat-mech str-el supr-con",
        "nlin": "AO CD CG PS SI",
        "gr-qc": "",
        "hep-ex": "",
        "hep-lat": "",
        "hep-ph": "",
        "hep-th": "",
        "math-ph": "",
        "nucl-ex": "",
        "nucl-th": "",
        "quant-ph": "",
    }.items()
}
CATEGORIES = tuple(
    name
    for archive, codes in ARCHIVES.items()
    for name in ([f"{archive}.{code}" for code in codes] if codes else [archive])
)
_KNOWN_CATEGORY = {name.casefold(): name for name in (*CATEGORIES, *ARCHIVES)}


def category(text: str) -> str | None:
    """The category or archive in arXiv's own spelling, None if arXiv has no such one. "cs.*" is "cs"."""
    return _KNOWN_CATEGORY.get(text.casefold().removesuffix(".*").removesuffix("."))


def in_category(value: str, name: str) -> bool:
    """Whether a paper's category `name` is `value`, or belongs to the archive `value`."""
    value, name = value.casefold(), name.casefold()
    return name == value or name.startswith(value + ".")


def identifier(text: str) -> str:
    """An arXiv id without prefix and version, else the text itself; lower case, for comparing."""
    folded = text.strip().casefold()
    prefix = _ARXIV_PREFIX.match(folded)
    if prefix:
        folded = folded[prefix.end() :]
    match = _ARXIV_ID.fullmatch(folded)
    return match[1] if match else folded


def language(text: str) -> str | None:
    folded = text.casefold()
    return folded if _LANGUAGE.fullmatch(folded) else None
