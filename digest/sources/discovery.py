"""Where a site keeps its feeds, by what its page says. Pure, no network.

Sites name their feeds in the head of every page (`<link rel="alternate" type="application/rss+xml">`,
https://www.rssboard.org/rss-autodiscovery); where they do not, a link on the page often leads there.
"""

import re
from urllib.parse import urljoin, urlsplit

from digest.sources import plaintext

LONGEST = 1_000_000  # characters of a page: heads with all their styles inside have been seen at 400,000
MOST = 20

_TYPES = (
    "application/atom+xml",
    "application/rss+xml",
    "application/feed+json",
    "application/rdf+xml",
    "application/xml",
    "text/xml",
    "application/json",  # last: WordPress says this of something else
)
_IN_A_LINK = re.compile(
    r"(?:/(?:feed|rss|atom)/?|[/_-](?:feed|rss|atom|index)\.(?:xml|rss|atom|json)|\.(?:rss|atom))$",
    re.IGNORECASE,
)
_SIDE_ISSUE = re.compile(r"comment|/tag/|/author/", re.IGNORECASE)
# Where WordPress and Substack, newer site builders, and Jekyll put it.
_USUAL = ("/feed/", "/rss.xml", "/feed.xml")


def feeds_of(page: str, *, address: str) -> list[str]:
    """The feeds that a page names, the likeliest first: http(s) addresses, once each."""
    tree = plaintext.tree_of(page, longest=LONGEST)
    if tree is None:
        return []
    base = address
    for element in tree.iter("base"):
        base = plaintext.absolute(element.get("href") or "", base=address) or address
        break
    found: list[tuple[int, str]] = []
    for element in tree.iter("link"):
        names = (element.get("rel") or "").lower().split()
        kind = (element.get("type") or "").split(";")[0].strip().lower()
        if "alternate" not in names or kind not in _TYPES:
            continue
        if given := plaintext.absolute(element.get("href") or "", base=base):
            # A blog's comments have a feed too.
            is_aside = bool(_SIDE_ISSUE.search(given) or _SIDE_ISSUE.search(element.get("title") or ""))
            is_json = kind == "application/json"
            found.append((2 * is_json + is_aside, given))
    for element in tree.iter("a"):
        given = plaintext.absolute(element.get("href") or "", base=base)
        if given and _IN_A_LINK.search(urlsplit(given).path):
            found.append((4 + bool(_SIDE_ISSUE.search(given)), given))
    ordered = dict.fromkeys(given for _rank, given in sorted(found, key=lambda one: one[0]))
    return list(ordered)[:MOST]


def usual_places(address: str) -> list[str]:
    """Where feeds often are on a site that names none: three addresses, to be asked as a last resort."""
    return [urljoin(address, place) for place in _USUAL]
