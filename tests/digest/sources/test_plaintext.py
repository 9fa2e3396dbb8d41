"""HTML of strangers as text and links."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources import plaintext
from digest.sources.plaintext import absolute, of_any, of_html, of_text


class TestOfHtml:
    @pytest.mark.parametrize(
        ("markup", "paragraphs"),
        [
            ("<p>One</p><p>Two</p>", ("One", "Two")),
            ("One<br>Two<br/>Three", ("One", "Two", "Three")),
            ("<b>bo</b>ld and <i>it</i>alic", ("bold and italic",)),
            ("<ul><li>a<li>b</ul>", ("a", "b")),
            ("<p>unclosed <a href='x'>link", ("unclosed link",)),
            ("AT&amp;T &lt;b&gt; &nbsp; x", ("AT&T <b> x",)),
            ("<script>alert(1)</script>text<style>p {}</style>", ("text",)),
            ("<svg onload=x><text>y</text></svg>z", ("z",)),
            ("<!-- hidden --><p>shown</p>", ("shown",)),
            ("<p>a<!-- in the middle -->b</p>", ("ab",)),
            ("<p style='display: none'>preheader</p><p hidden>x</p><p>shown</p>", ("shown",)),
            ("<iframe src='https://tracker.example'></iframe><img src='x' alt='y'>text", ("text",)),
            ('<meta name="twitter:title" content="x" /><p>y</p>', ("y",)),
            ("<?xml version='1.0' encoding='x'?><p>y</p>", ("y",)),
            ("<noscript><img src=x>no</noscript>yes", ("yes",)),
            ("a\x00b\ud800c", ("a b c",)),
            ("", ()),
            ("<!--", ()),
            ("<div><div> \n </div></div>", ()),
        ],
    )
    def test_gives_what_a_reader_reads(self, markup: str, paragraphs: tuple[str, ...]) -> None:
        assert of_html(markup).paragraphs == paragraphs

    def test_gives_links_once_and_absolute(self) -> None:
        links = of_html(
            "<a href='/a'>1</a> <a href='//cdn.example/b'>2</a> <a href='https://c.example/?q=1&amp;r=2'>3</a>"
            "<a href='/a'>again</a> and https://arxiv.org/abs/2608.00001.",
            base="https://blog.example/post",
        ).links

        assert links == (
            "https://blog.example/a",
            "https://cdn.example/b",
            "https://c.example/?q=1&r=2",
            "https://arxiv.org/abs/2608.00001",
        )

    @pytest.mark.parametrize(
        "href",
        [
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            " java\tscript:alert(1)",
            "&#106;avascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "mailto:a@b.example",
            "https:///path",
            "http://[bad",
            "",
        ],
    )
    def test_no_address_but_the_web_s_survives(self, href: str) -> None:
        found = of_html(f"<a href='{href}'>click</a>", base="")

        assert found.links == ()
        assert found.text == "click"

    @pytest.mark.parametrize(
        "markup",
        [
            "<div>" * 30_000,
            "<" * 100_000,
            "&" * 100_000,
            "<a " * 40_000,
            "<p>x" * 30_000,
            "<a href='" + "x" * 90_000,
            "<table>" * 15_000,
            "<!--" * 25_000,
            "<a " + " ".join(f"a{number}=1" for number in range(9_000)) + ">",
        ],
    )
    def test_costs_little_whatever_it_is(self, markup: str) -> None:
        began = time.perf_counter()

        of_any(markup)

        assert time.perf_counter() - began < 2

    def test_looks_at_the_beginning_of_what_is_too_long(self) -> None:
        found = of_html("<p>begins</p>" + "x" * 5_000_000 + "<p>ends</p>")

        assert found.paragraphs[0] == "begins"
        assert len(found.text) < plaintext.LONGEST

    @given(st.text(alphabet=st.sampled_from("<>/=\"'& apbrscrit:j-!\x00\ud800\u202e"), max_size=80))
    def test_never_raises_and_leaves_no_markup_of_scripts(self, markup: str) -> None:
        found = of_any(f"<p>{markup}</p>", base="https://blog.example/")

        assert all(link.startswith(("http://", "https://")) for link in found.links)
        assert all(paragraph.strip() for paragraph in found.paragraphs)


class TestOfAny:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("if a < b and c > d", "if a < b and c > d"),
            ("std::vector<int> and Map<K, V>", "std::vector<int> and Map<K, V>"),
            ("&lt;p&gt;escaped twice&lt;/p&gt;", "escaped twice"),
            ("R&amp;D", "R&D"),
            ("<em>x</em>", "x"),
            ("plain", "plain"),
        ],
    )
    def test_tells_html_from_text(self, text: str, expected: str) -> None:
        assert of_any(text).text == expected


class TestOfText:
    def test_keeps_what_looks_like_markup(self) -> None:
        assert of_text("one <b>\n\ntwo\nlines").paragraphs == ("one <b>", "two lines")


class TestAbsolute:
    @given(st.text(max_size=60), st.text(max_size=30))
    def test_gives_a_web_address_or_nothing(self, address: str, base: str) -> None:
        found = absolute(address, base=base)

        assert found == "" or found.lower().startswith(("http://", "https://"))
        assert not any(character.isspace() for character in found)
