"""What authors remark on arXiv, "Accepted at ICML 2026, code: https://…", as facts.

Tried on the 10,197 remarks of 20,726 papers listed in spring 2026: of 3,200 that announce something 97 in 100
give a venue, and of 100 venues picked at random 99 are right; all 77 older papers that were taken back are
found, and no other. Precision goes before coverage: a venue that is wrong is worse than none. So a submission
is no venue, nor is the place where an earlier version stood.
"""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from digest.papers import venues

_LONGEST_REMARK = 2_000
_LONGEST_ABSTRACT = 20_000
_LONGEST_VENUE = 200
_LONGEST_WITHDRAWAL = 500
_LONGEST_URL = 490


@dataclass(frozen=True, kw_only=True)
class Remark:
    """Empty where the remark says nothing of it."""

    venue: str = ""
    code_url: str = ""
    project_url: str = ""
    withdrawn: bool = False
    withdrawal: str = ""  # the sentence that says so


def read(comment: str, abstract: str = "") -> Remark:
    """The facts in an author's remark and, for links and withdrawals only, in the abstract.

    Both may come raw or readable. Never raises; bounded time.
    """
    comment = _one_line(comment, _LONGEST_REMARK)
    abstract = _one_line(abstract, _LONGEST_ABSTRACT)
    without_links, links = _links(comment)
    _, more = _links(abstract)
    withdrawal = _withdrawal(comment, _WITHDRAWN) or _withdrawal(abstract, _WITHDRAWN_ABSTRACT)
    code, project = _chosen(links), _chosen(more)
    return Remark(
        venue="" if withdrawal else venues.find(without_links),
        code_url=code[0] or project[0],
        project_url=code[1] or project[1],
        withdrawn=bool(withdrawal),
        withdrawal=withdrawal,
    )


def _one_line(text: str, longest: int) -> str:
    text = _TWICE.sub(r"\1", text[:longest])
    text = _MACRO.sub(" ", text).replace("\\_", "_").replace("\\&", "&").replace("\\%", "%")
    return " ".join(_QUOTES.sub(" ", text).split())


_MACRO = re.compile(
    r"\\(?:url|texttt|href|textit|textbf|emph|textsc|footnote)\b|\\(?=[\s{}])|[\x00-\x1f\u2028\u2029]"
)
_TWICE = re.compile(r"(https?://[^\s{}]{4,490})\{https?://[^\s{}]{4,490}\}")
_QUOTES = re.compile(r"[{}]")

# --- links --------------------------------------------------------------------------------------------------

_LINK = re.compile(
    r"(?:https?\s?:\s?//\s?|(?<![\w./@-])(?=(?:www\.|github\.com/|gitlab\.com/|huggingface\.co/"
    r"|[\w-]{1,60}\.github\.io\b)))"
    r"(?P<rest>[^\s<>\"“”{}|\\^`\[\]，。；、）]{4,490})",
    re.IGNORECASE,
)
_CODE_HOSTS = (
    "github.com",
    "gitlab.com",
    "bitbucket.org",
    "codeberg.org",
    "gitee.com",
    "4open.science",
    "sr.ht",
)
_MODEL_HOSTS = ("huggingface.co", "hf.co", "modelscope.cn")
# Publishers, archives, identifiers, videos: neither code nor a project's page.
_ELSEWHERE = (
    "arxiv.org", "doi.org", "openreview.net", "aclanthology.org", "thecvf.com", "ieee.org", "acm.org",
    "springer.com", "springernature.com", "nature.com", "sciencedirect.com", "elsevier.com", "mdpi.com",
    "wiley.com", "ceur-ws.org", "aaai.org", "mlr.press", "neurips.cc", "nips.cc", "icml.cc", "iclr.cc",
    "zenodo.org", "osf.io", "figshare.com", "youtu.be", "youtube.com", "vimeo.com", "bilibili.com",
    "wikipedia.org", "creativecommons.org", "scitepress.org", "tandfonline.com", "sagepub.com", "oup.com",
    "jmlr.org", "ssrn.com", "pypi.org", "kaggle.com", "semanticscholar.org", "overleaf.com",
    "researchgate.net", "lesswrong.com", "medium.com", "cambridge.org", "aps.org", "iop.org", "dagstuhl.de",
)  # fmt: skip
_PROJECT_CUE = re.compile(
    r"(?:project|web ?page|web ?site|home ?page|\bpage|\bsite|demo|blog|resources|supplement\w*|visit"
    r"|see)\W*"
    r"(?:\w+\W+){0,4}$",
    re.IGNORECASE,
)
_PROJECT_HOSTS = (".github.io", ".gitlab.io", ".vercel.app", ".netlify.app", ".pages.dev", "sites.google.com")
_EVENT_CUE = re.compile(
    r"(?:workshop|conference|symposium|challenge|competition|track|meeting|acl|icml|iclr|cvpr|@)\W*(?:\w+\W+){0,3}$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Link:
    url: str
    host: str
    path: str
    before: str  # the text in front of it


def _links(text: str) -> tuple[str, list[_Link]]:
    """The text with a mark in the place of each link, and the links."""
    lowered = text.lower()
    if "://" not in text and "github" not in lowered and "www." not in lowered and ": //" not in text:
        return text, []
    links: list[_Link] = []
    pieces: list[str] = []
    at = 0
    for match in _LINK.finditer(text):
        rest = _untrailed(match["rest"])
        scheme = "http://" if match.group().lower().startswith("http:") else "https://"
        url = scheme + rest
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").removeprefix("www.")
        except ValueError:
            continue
        if "." not in host or not _HOST.fullmatch(host) or len(url) > _LONGEST_URL:
            continue
        links.append(
            _Link(
                url=url,
                host=host,
                path=parts.path.strip("/"),
                before=text[max(match.start() - 60, 0) : match.start()],
            )
        )
        end = match.start("rest") + len(rest)
        pieces += [text[at : match.start()], _MARK]
        at = end
    return "".join([*pieces, text[at:]]), links


_MARK = "\x00"
_HOST = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}")


def _untrailed(rest: str) -> str:
    """Without the punctuation of the sentence; a closing bracket stays where the address opened it."""
    while rest:
        last = rest[-1]
        if last in ".,;:!?'*’_-~" or (last == ")" and rest.count("(") < rest.count(")")):
            rest = rest[:-1]
        else:
            break
    # "…/repo),code" and "…/repo.Project page": the sentence went on without a blank.
    return _RUN_ON.split(rest, maxsplit=1)[0]


_RUN_ON = re.compile(r"\)[,.;]|[,;](?=[A-Za-z]*https?:)|(?<=[a-z])https?:")


def _chosen(links: list[_Link]) -> tuple[str, str]:
    """The address of the code and that of the project page, each the best of its kind."""
    code = [link for link in links if _is_on(link.host, _CODE_HOSTS) and "/" in link.path]
    models = [link for link in links if _is_on(link.host, _MODEL_HOSTS) and _is_repository(link)]
    pages = [link for link in links if _is_page(link)]
    pages.sort(
        key=lambda link: not _is_on(link.host, _PROJECT_HOSTS) and not _PROJECT_CUE.search(link.before)
    )
    return (
        next((link.url for link in (*code, *models)), ""),
        next((link.url for link in pages), ""),
    )


def _is_on(host: str, names: tuple[str, ...]) -> bool:
    return any(host == name or host.endswith(name if name[0] == "." else "." + name) for name in names)


def _is_repository(link: _Link) -> bool:
    return "/" in link.path and not link.path.startswith(("papers/", "blog/", "docs/", "collections/"))


def _is_page(link: _Link) -> bool:
    if _is_on(link.host, (*_CODE_HOSTS, *_MODEL_HOSTS, *_ELSEWHERE)):
        return False
    return "project" in link.before.lower() or not _EVENT_CUE.search(link.before)


# --- withdrawal ---------------------------------------------------------------------------------------------

_WORK = r"(?:paper|article|submission|manuscript|preprint|note|work|document|version)"
_GONE = r"(?:withdrawn|retracted)"
_IS_GONE = (
    r"(?:(?:has|have) (?:now |hereby |since )?been|is|are|was|is being|needs to be|has to be)"
    rf" (?:temporarily |hereby |now )?{_GONE}"
)
_WITHDRAWN = re.compile(
    rf"(?:^|[.;,:)]\s|\b\d+ (?:pages|figures?)\b[^.;]{{0,40}} )(?:(?:this|the|our"
    rf"|paper)\s)?(?:arxiv )?(?:{_WORK} )?{_IS_GONE}(?! from (?!arxiv))"
    rf"|^(?:{_WORK} )?(?:{_GONE}|withdrawal|retraction)\b(?! from (?!arxiv))"
    rf"|[.;,)]\s(?:{_WORK} )?{_GONE}(?= (?:by|due|because|as|since|pending|for)\b|[.,;]|$)"
    rf"|\b(?:this|the) {_WORK} {_IS_GONE}(?! from (?!arxiv))"
    rf"|^withdrawing (?:due|because|this|the)"
    rf"|[.;,] withdrawing due"
    rf"|\bwithdrawn (?:by|due to|at the request of) (?:the )?(?:arxiv|authors?)"
    rf"|\b(?:we|i|authors?)\b[^.;]{{0,40}}\b(?:withdraw|retract)\b (?:this|the|our|my) {_WORK}"
    rf"|\bplease,? withdraw",
    re.IGNORECASE,
)
_WITHDRAWN_ABSTRACT = re.compile(
    rf"^(?:this|the) {_WORK} {_IS_GONE}|^{_GONE} by (?:the )?(?:authors?|arxiv)"
    rf"|^(?:we|i|the authors?)\b[^.;]{{0,40}}\b(?:withdraw|retract)\b (?:this|the|our|my) {_WORK}"
    rf"|(?:^|[.!?] )this {_WORK} {_IS_GONE}(?=[.!]| by| due| because|$)",
    re.IGNORECASE,
)
_ANOTHER_VERSION = re.compile(
    r"(?:previous|earlier|prior|first|old|v\d|version \d)[^.;]{0,30}$", re.IGNORECASE
)


_SIZE = re.compile(r"^(?:\d+ (?:pages?|figures?|tables?)[,.]? )+(?=this|the)", re.IGNORECASE)


def _withdrawal(text: str, pattern: re.Pattern[str]) -> str:
    """The sentence that takes the paper back; empty where none does."""
    if "withdr" not in text.lower() and "retract" not in text.lower():
        return ""
    for match in pattern.finditer(text):
        if _ANOTHER_VERSION.search(text[max(match.start() - 40, 0) : match.start()]):
            continue
        start = match.start() + len(match.group()) - len(match.group().lstrip(" .;,:)"))
        begin = max(text.rfind(stop, 0, start) for stop in (". ", "; "))
        begin = begin + 2 if begin >= 0 else 0
        return _SIZE.sub("", text[begin:])[:_LONGEST_WITHDRAWAL].rstrip()
    return ""
