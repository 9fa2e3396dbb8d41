"""Feeds that a page names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources.discovery import feeds_of, usual_places

SITE = "https://lab.example/blog/"


def link(href: str, kind: str = "application/rss+xml", more: str = "") -> str:
    return f'<link rel="alternate" type="{kind}" href="{href}" {more}>'


class TestFeedsOf:
    @pytest.mark.parametrize(
        ("page", "found"),
        [
            (link("/feed.xml"), ["https://lab.example/feed.xml"]),
            (link("atom.xml", "application/atom+xml"), ["https://lab.example/blog/atom.xml"]),
            (link("https://cdn.example/f", "application/feed+json"), ["https://cdn.example/f"]),
            (link("/f", "Application/RSS+XML; charset=utf-8"), ["https://lab.example/f"]),
            ("<LINK REL='ALTERNATE home' TYPE='application/rss+xml' HREF=/f>", ["https://lab.example/f"]),
            ('<base href="https://www.lab.example/">' + link("f"), ["https://www.lab.example/f"]),
            (link("/f") + link("/f"), ["https://lab.example/f"]),
            ('<link rel="stylesheet" type="text/css" href="/x.css">', []),
            ('<link rel="alternate" hreflang="de" href="/de">', []),
            (link("javascript:alert(1)"), []),
            (link("ftp://lab.example/feed"), []),
            (link(""), []),
            ('<a href="/blog/rss.xml">RSS</a>', ["https://lab.example/blog/rss.xml"]),
            ('<a href="/feed/">Feed</a><a href="/feedback">Write</a>', ["https://lab.example/feed/"]),
            ("no page at all", []),
            ("", []),
        ],
    )
    def test_finds_what_the_page_names(self, page: str, found: list[str]) -> None:
        assert feeds_of(page, address=SITE) == found

    def test_the_likeliest_comes_first(self) -> None:
        page = (
            '<a href="/all.rss">all</a>'
            + link("/wp-json/pages/7", "application/json")
            + link("/comments/feed/", more='title="Comments"')
            + link("/feed/")
        )

        assert [one.removeprefix("https://lab.example") for one in feeds_of(page, address=SITE)] == [
            "/feed/",
            "/comments/feed/",
            "/wp-json/pages/7",
            "/all.rss",
        ]

    def test_names_a_few_of_many(self) -> None:
        assert len(feeds_of("".join(link(f"/{number}") for number in range(500)), address=SITE)) == 20

    @given(st.text(alphabet=st.sampled_from("<>link rel=alternate'\"typ/hf:\x00&"), max_size=120))
    def test_never_raises(self, page: str) -> None:
        assert all(one.startswith("http") for one in feeds_of(page, address=SITE))


def test_usual_places_are_three() -> None:
    assert usual_places(SITE + "2026/post") == [
        "https://lab.example/feed/",
        "https://lab.example/rss.xml",
        "https://lab.example/feed.xml",
    ]
