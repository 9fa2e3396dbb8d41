"""Feeds as they are found: formats, encodings, broken and hostile ones. Texts here are invented."""

import codecs
import json
import time
import tracemalloc
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources import feed, posts
from digest.sources.records import NotAList, PaperRecord, Parsed

TODAY = date(2026, 8, 23)
DATE = "<pubDate>Thu, 20 Aug 2026 09:30:00 +0200</pubDate>"

RSS_2 = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
  xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>Lab</title><link>https://lab.example/</link><language>en-GB</language>
<item><title>On agents</title><link>https://lab.example/agents</link>
  <guid isPermaLink="false">tag:lab,1</guid><dc:creator>Ada Lovelace</dc:creator>
  <category>Research</category><pubDate>Thu, 20 Aug 2026 09:30:00 +0200</pubDate>
  <description>Short.</description>
  <content:encoded><![CDATA[<p>The <b>whole</b> story.</p><p>See <a href="/more">more</a>.</p>]]>
  </content:encoded>
</item></channel></rss>"""
RSS_1 = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
  xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel rdf:about="https://lab.example/"><title>Lab</title><link>https://lab.example/</link></channel>
<item rdf:about="https://lab.example/agents"><title>On agents</title><link>https://lab.example/agents</link>
<description>The whole story.</description><dc:creator>Ada Lovelace</dc:creator>
<dc:date>2026-08-20T07:30:00Z</dc:date></item></rdf:RDF>"""
RSS_091 = """<?xml version="1.0"?><!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN"
 "http://my.netscape.com/publish/formats/rss-0.91.dtd">
<rss version="0.91"><channel><title>Lab</title><link>https://lab.example/</link><description>d</description>
<item><title>On agents</title><link>https://lab.example/agents</link><description>The whole story.
</description><pubDate>Thu, 20 Aug 2026 07:30:00 GMT</pubDate></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en"><title>Lab</title>
<link href="https://lab.example/"/><link rel="self" href="https://lab.example/atom"/>
<entry><id>urn:uuid:1</id><title>On agents</title><author><name>Ada Lovelace</name></author>
<link rel="enclosure" href="https://lab.example/x.mp3"/><link href="https://lab.example/agents"/>
<updated>2026-08-22T07:30:00Z</updated><published>2026-08-20T07:30:00Z</published>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>The whole story.</p></div></content>
</entry></feed>"""


def item(inner: str = "", *, title: str = "On agents", link: str = "https://lab.example/agents") -> str:
    return f"<item><title>{title}</title><link>{link}</link>{inner}</item>"


def rss(*items: str, before: str = "", attributes: str = "") -> bytes:
    return (
        f'{before}<rss version="2.0"{attributes}><channel><title>Lab</title><link>https://lab.example/</link>'
        f"{''.join(items)}</channel></rss>"
    ).encode("utf-8", "surrogatepass")


def parse(body: bytes | str) -> Parsed:
    return feed.parse(body if isinstance(body, bytes) else body.encode(), TODAY)


def only(body: bytes | str) -> PaperRecord:
    parsed = parse(body)
    (record,) = parsed.records
    assert not parsed.rejected
    return record


class TestFormats:
    @pytest.mark.parametrize("body", [RSS_2, RSS_1, RSS_091, ATOM])
    def test_reads_them_all(self, body: str) -> None:
        record = only(body)

        assert (record.title, record.url) == ("On agents", "https://lab.example/agents")
        assert record.abstract.startswith("The whole story.")
        assert record.published_at == datetime(2026, 8, 20, 7, 30, tzinfo=UTC)
        assert record.listing_day == date(2026, 8, 20)
        assert record.language == "en"

    @pytest.mark.parametrize("body", [RSS_2, RSS_1, ATOM])
    def test_reads_names(self, body: str) -> None:
        assert only(body).authors == ("Ada Lovelace",)

    def test_the_fullest_text_counts_and_its_links_are_mentions(self) -> None:
        record = only(RSS_2)

        assert record.abstract == "The whole story. See more."
        assert record.mentions == ("https://lab.example/more",)
        assert record.keywords == ("Research",)

    def test_an_empty_feed_is_no_error(self) -> None:
        assert parse(rss()) == Parsed(declared=0)

    def test_elements_are_found_by_namespace_not_by_prefix(self) -> None:
        body = RSS_2.replace("content:encoded", "c:encoded").replace("xmlns:content", "xmlns:c")

        assert only(body).abstract == "The whole story. See more."

    def test_a_default_namespace_on_the_root_hides_nothing(self) -> None:
        body = rss(item(DATE), attributes=' xmlns="com-wordpress:feed-additions:1"')

        assert only(body).title == "On agents"

    def test_says_what_it_calls_itself(self) -> None:
        assert feed.about(RSS_2.encode()) == feed.About(title="Lab", is_forum=False)

    @pytest.mark.parametrize(
        ("body", "problem"),
        [
            (b"", "neither XML nor JSON"),
            (b"hello", "neither XML nor JSON"),
            (b"<!DOCTYPE html><html><title>x</title></html>", "an HTML page"),
            (b"\n\n<html><body>Checking your browser", "an HTML page"),
            (b"<opml><body/></opml>", "another kind: its outermost element is 'opml'"),
            (b'<?xml version="1.0"?><urlset><url/></urlset>', "'urlset'"),
            (bytes(range(256)) * 50, "cannot be mended|neither XML"),
            (b'{"message": "not found"}', "does not|list of items|another kind"),
            (b"[1, 2]", "JSON of another kind"),
            (b"[" * 100_000, "not JSON"),
            (b" " * 5_000_001, "too large"),
        ],
    )
    def test_says_what_is_no_feed(self, body: bytes, problem: str) -> None:
        with pytest.raises(NotAList, match=problem):
            parse(body)


class TestEntries:
    def test_the_same_id_twice_is_one_entry(self) -> None:
        twice = item("<guid isPermaLink='false'>1</guid>" + DATE)
        parsed = parse(rss(twice, twice.replace("/agents", "/agents-2")))

        assert (parsed.declared, len(parsed.records)) == (2, 1)
        assert parsed.notes == ("Entry 1 repeats entry 0; the first one counts.",)

    def test_without_an_id_the_address_decides(self) -> None:
        parsed = parse(rss(item(DATE), item(DATE), item(DATE, link="https://lab.example/b")))

        assert [record.url for record in parsed.records] == [
            "https://lab.example/agents",
            "https://lab.example/b",
        ]

    def test_a_permalink_is_an_address(self) -> None:
        body = rss(f"<item><title>x</title><guid>https://lab.example/x</guid>{DATE}</item>")

        assert only(body).url == "https://lab.example/x"

    @pytest.mark.parametrize(
        ("link", "url"),
        [
            ("/agents", "https://lab.example/agents"),
            ("agents?a=1&amp;b=2", "https://lab.example/agents?a=1&b=2"),
            ("//cdn.example/x", "https://cdn.example/x"),
            (" https://lab.example/x\n", "https://lab.example/x"),
        ],
    )
    def test_relative_addresses_begin_at_the_channel_s(self, link: str, url: str) -> None:
        assert only(rss(item(DATE, link=link))).url == url

    def test_where_the_channel_has_none_they_are_left_to_who_knows(self) -> None:
        body = b"<rss version='2.0'><channel><item><title>x</title><link>/a</link></item></channel></rss>"

        assert only(body).url == "/a"

    @pytest.mark.parametrize(
        "link",
        ["javascript:alert(1)", "java&#10;script:alert(1)", "data:text/html,x", "mailto:a@b.example", ""],
    )
    def test_an_entry_without_a_web_address_is_rejected_alone(self, link: str) -> None:
        parsed = parse(rss(item(DATE, link=link), item(DATE, link="https://lab.example/b")))

        assert [record.url for record in parsed.records] == ["https://lab.example/b"]
        (rejected,) = parsed.rejected
        assert rejected.position == 0
        assert "no web address" in rejected.problem

    def test_an_entry_without_a_title_is_called_by_its_text(self) -> None:
        body = rss(
            f"<item><link>https://lab.example/a</link><description>{'word ' * 60}</description></item>"
        )

        title = only(body).title

        assert title.startswith("word word")
        assert title.endswith("…")
        assert len(title) <= 100

    def test_an_entry_with_neither_is_rejected(self) -> None:
        (rejected,) = parse(rss("<item><link>https://lab.example/a</link></item>")).rejected

        assert rejected.problem == "Entry 0 (https://lab.example/a) has neither a title nor a text."

    def test_of_a_long_feed_the_newest_are_read(self) -> None:
        """The oldest stand first here."""
        days = [f"2026-01-01T{hour:02}:{minute:02}:00Z" for hour in range(5) for minute in range(50)]
        body = rss(
            *(
                item(f"<pubDate>{day}</pubDate>", link=f"https://lab.example/{number}")
                for number, day in enumerate(days)
            )
        )

        parsed = parse(body)

        assert (parsed.declared, len(parsed.records)) == (250, 200)
        assert parsed.records[0].url == "https://lab.example/50"
        assert parsed.notes == ("50 older entries stayed out: of one feed 200 are read.",)
        assert posts.is_lasting(parsed.notes[0])

    def test_addresses_of_mail_are_nobody_s_name(self) -> None:
        for said in ("ada@lab.example (Ada Lovelace)", "Ada Lovelace &lt;ada@lab.institute&gt;"):
            assert only(rss(item(f"<author>{said}</author>{DATE}"))).authors == ("Ada Lovelace",)
        assert only(rss(item(f"<author>ada@lab.example</author>{DATE}"))).authors == ()

    def test_dates_are_no_keywords(self) -> None:
        body = rss(item(f"<category>May 19, 2026</category><category>NLP</category>{DATE}"))

        assert only(body).keywords == ("NLP",)

    def test_a_text_that_repeats_the_title_is_none(self) -> None:
        body = rss(item(f"<description>On Agents!</description>{DATE}"))

        assert only(body).abstract == ""

    def test_the_language_is_the_feed_s(self) -> None:
        body = rss(item(DATE)).replace(b"<link>https://lab.example/</link>", b"<language>zh-CN</language>", 1)

        assert only(body).language == "zh"

    def test_mentions_are_what_the_text_links_to_or_spells_out(self) -> None:
        text = (
            "&lt;a href='https://arxiv.org/abs/2608.00001v2'&gt;paper&lt;/a&gt; "
            "https://huggingface.co/papers/2608.00002, and arXiv:2608.00003. "
            "&lt;a href='#top'&gt;up&lt;/a&gt; &lt;a href='javascript:x'&gt;x&lt;/a&gt;"
        )

        assert only(rss(item(f"<description>{text}</description>{DATE}"))).mentions == (
            "https://arxiv.org/abs/2608.00001v2",
            "https://huggingface.co/papers/2608.00002",
            "https://arxiv.org/abs/2608.00003",
        )


class TestDates:
    @pytest.mark.parametrize(
        ("said", "day"),
        [
            ("Thu, 20 Aug 2026 09:30:00 GMT", date(2026, 8, 20)),
            ("Thu, 20 Aug 2026 22:30:00 -0700", date(2026, 8, 21)),
            ("Thu, 20 Aug 2026 22:30:00 PDT", date(2026, 8, 21)),
            ("20 Aug 2026 22:30:00 EST", date(2026, 8, 21)),
            ("2026-08-20", date(2026, 8, 20)),
            ("2026-08-20T23:59:59.999+08:00", date(2026, 8, 20)),
            ("Thu, 20 Aug 2026 00:00:00 +0000", date(2026, 8, 20)),
        ],
    )
    def test_reads_what_feeds_write(self, said: str, day: date) -> None:
        record = only(rss(item(f"<pubDate>{said}</pubDate>")))

        assert record.listing_day == day
        assert record.published_at is not None

    @pytest.mark.parametrize(
        "said",
        [
            "",
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "2099-12-31T00:00:00Z",
            "Mon, 24 Aug 2026 00:00:01 GMT",  # tomorrow
            "0000-00-00T00:00:00Z",
            "9999-12-31T23:59:59-12:00",
            "0001-01-01T00:00:00+14:00",
            "2026-13-45T99:99:99Z",
            "soon",
            "9" * 5_000,
            "1 " * 5_000,
        ],
    )
    def test_what_is_no_date_is_the_day_of_first_sight_with_a_note(self, said: str) -> None:
        parsed = parse(
            rss(
                item(f"<pubDate>{said}</pubDate>"),
                item(DATE, link="https://lab.example/b"),
            )
        )

        undated, dated = parsed.records
        assert (undated.listing_day, undated.published_at) == (TODAY, None)
        assert dated.listing_day == date(2026, 8, 20)
        (note,) = parsed.notes
        assert note.startswith("1 entry has no date that can be (entry 0 is the first)")
        assert posts.is_about_dates(note)

    def test_the_date_of_a_change_stands_in_for_one_that_cannot_be(self) -> None:
        body = ATOM.replace("2026-08-20T07:30:00Z", "1970-01-01T00:00:00Z")

        assert only(body).listing_day == date(2026, 8, 22)


class TestForums:
    BODY = (
        "<description><![CDATA[<p>How do I steer it?</p><p><small>1,026 posts - 8 participants</small></p>"
        '<p><a href="https://forum.example/t/x/1">Read full topic</a></p>]]></description>'
        "<discourse:topicPinned>Yes</discourse:topicPinned>"
        '<guid isPermaLink="false">forum.example-topic-1</guid>'
    )

    def body(self, *others: str) -> bytes:
        return rss(item(self.BODY + DATE), *others, attributes=' xmlns:discourse="http://www.discourse.org/"')

    def test_what_stands_under_every_post_goes_and_its_number_is_kept(self) -> None:
        record = only(self.body())

        assert (record.abstract, record.comments) == ("How do I steer it?", 1_026)

    def test_a_pinned_topic_keeps_its_own_day(self) -> None:
        later = item("<pubDate>Sat, 22 Aug 2026 10:00:00 GMT</pubDate>", link="https://forum.example/t/2")

        assert [record.listing_day.day for record in parse(self.body(later)).records] == [20, 22]

    def test_is_known_as_a_forum(self) -> None:
        assert feed.about(self.body()).is_forum

    def test_what_blogs_put_under_every_post_goes_too(self) -> None:
        body = rss(
            item(
                "<description>&lt;p&gt;News.&lt;/p&gt;&lt;p&gt;The post &lt;a href='x'&gt;Agents&lt;/a&gt; "
                f"appeared first on &lt;a href='y'&gt;Lab&lt;/a&gt;.&lt;/p&gt;</description>{DATE}"
            )
        )

        assert only(body).abstract == "News."

    def test_but_not_what_a_post_says(self) -> None:
        body = rss(
            item(f"<description>&lt;p&gt;2 posts - 1 participant, they said.&lt;/p&gt;</description>{DATE}")
        )

        assert only(body).abstract == "2 posts - 1 participant, they said."


class TestEncodings:
    @pytest.mark.parametrize(
        ("encoding", "declared", "title"),
        [
            ("utf-8", "UTF-8", "Café 中文"),
            ("utf-8", "ISO-8859-1", "Café 中文"),  # wrong, as so often
            ("utf-8", "x-nonsense", "Café 中文"),
            ("utf-8", None, "Café 中文"),
            ("latin-1", "ISO-8859-1", "Café"),
            ("cp1252", "iso-8859-1", "“Café” – 5 €"),
            ("cp1252", "utf-8", "Café “x”"),
            ("cp1252", None, "Café “x”"),
            ("gb18030", "gb2312", "中文標題"),
            ("cp932", "Shift_JIS", "日本語"),
            ("euc-jp", "EUC-JP", "日本語"),
            ("iso-2022-jp", "ISO-2022-JP", "日本語"),
            ("cp1251", "windows-1251", "Привет"),
            ("koi8-r", "koi8-r", "Привет"),
            ("big5", "Big5", "中文"),
            ("utf-16", "utf-16", "Café 中文"),
            ("utf-16-le", None, "Café 中文"),
            ("utf-16-be", None, "Café 中文"),
            ("utf-32", None, "Café 中文"),
        ],
    )
    def test_reads_it_whatever_it_says(self, encoding: str, declared: str | None, title: str) -> None:
        before = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""

        assert only(rss(item(DATE, title=title), before=before).decode().encode(encoding)).title == title

    def test_a_byte_order_mark_outweighs_what_is_said(self) -> None:
        body = rss(item(DATE, title="Café"), before='<?xml version="1.0" encoding="latin-1"?>')

        assert only(codecs.BOM_UTF8 + body).title == "Café"

    def test_a_spoilt_byte_costs_one_character(self) -> None:
        parsed = parse(rss(item(DATE, title="日本語" * 20)).replace("日".encode(), b"\xe6\x97", 1))

        assert parsed.records[0].title == "\ufffd本語" + "日本語" * 19
        assert parsed.notes == ("Some bytes, in 1 of its places, are no UTF-8.",)

    def test_what_was_guessed_is_said(self) -> None:
        body = rss(item(DATE, title="Café"), before='<?xml version="1.0" encoding="utf-8"?>')

        parsed = parse(body.decode().encode("latin-1"))

        assert parsed.notes == ("Its encoding is not utf-8, as it says; read as Windows-1252.",)


class TestBroken:
    @pytest.mark.parametrize(
        ("title", "expected"),
        [
            ("R&D", "R&D"),
            ("a &nbsp;&copy; b", "a \xa0© b"),
            ("&unknown;", "&unknown;"),
            ("a\x00b\x0bc", "abc"),
            ("a&#0;&#xD800;&#xFFFE;b", "ab"),
            ("a\ud800b", "ab"),
            ("x&#8232;y", "x\u2028y"),  # ingest makes it a blank
            ("&#x41;", "A"),
            ("<![CDATA[a <b>bold</b> title]]>", "a bold title"),
            ("&lt;script&gt;alert(1)&lt;/script&gt;Title", "Title"),
            ("vector&lt;int&gt; in C++", "vector<int> in C++"),
            ("R&amp;amp;D", "R&amp;D"),  # ingest reads entities once
        ],
    )
    def test_titles_are_cleaned(self, title: str, expected: str) -> None:
        body = rss(item(DATE, title=title))

        assert parse(body).records[0].title.replace("\ufffd", "") == expected

    def test_entries_before_the_break_are_kept_and_the_rest_is_named(self) -> None:
        whole = rss(item(DATE), item(DATE, link="https://lab.example/b"))

        parsed = parse(whole[:-60])

        assert len(parsed.records) == 2
        assert "not well-formed" in parsed.notes[0]
        assert "entries may be missing" in parsed.notes[0]
        assert not posts.is_lasting(parsed.notes[0])

    def test_a_prefix_that_nobody_declared_is_mended(self) -> None:
        body = rss(item(f"<dc:creator>Ada</dc:creator><content:encoded>Whole.</content:encoded>{DATE}"))

        parsed = parse(body)

        assert (parsed.records[0].authors, parsed.records[0].abstract) == (("Ada",), "Whole.")
        assert posts.is_lasting(parsed.notes[0])

    def test_what_stands_before_the_document_is_passed_over(self) -> None:
        assert only(b"\n\nWarning: mysql\n" + RSS_2.encode()).title == "On agents"


class TestHostile:
    BOMB = '<!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'

    @pytest.mark.parametrize(
        "before",
        [
            BOMB,
            f'<?xml version="1.0"?>\n<!-- <a --> {BOMB}',
            '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
            '<!DOCTYPE r SYSTEM "http://127.0.0.1:9/x.dtd">',
            '<!DOCTYPE r PUBLIC "-//x//y" "http://127.0.0.1:9/x.dtd">',
            '<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" "x" [<!ENTITY a "b">]>',
            '<!DOCTYPE r [<!ATTLIST r a CDATA "x">]>',
            '<!ENTITY a "b">',
        ],
    )
    def test_a_dtd_is_refused_with_a_reason(self, before: str) -> None:
        with pytest.raises(NotAList, match="DTD or entities of its own"):
            parse(rss(item(DATE, title="&c;&a;"), before=before))

    def test_a_dtd_inside_does_nothing(self) -> None:
        parsed = parse(rss(self.BOMB, item(DATE, title="&c;")))

        assert all("lol" not in record.title for record in parsed.records)

    @pytest.mark.parametrize(
        "inner",
        [
            "<item/>" * 600_000,
            "<a>" * 1_500_000,
            "<a/>" * 300_100,
            "&" * 2_000_000,
            "&lt;" * 1_000_100,
            "<a " + " ".join(f"b{number}='1'" for number in range(50_000)) + "/>",
            "".join(f"<p{number}:a xmlns:p{number}='urn:{number}'/>" for number in range(20_000)),
        ],
        ids=["entries", "depth", "elements", "ampersands", "pieces", "attributes", "namespaces"],
    )
    def test_more_than_a_feed_has_is_refused_in_bounded_time_and_memory(self, inner: str) -> None:
        body = rss(inner)
        tracemalloc.start()
        began = time.perf_counter()
        try:
            with pytest.raises(NotAList, match=r"more than|cannot be mended"):
                parse(body)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert peak < 150_000_000
        assert time.perf_counter() - began < 30  # tracing makes it several times slower

    @pytest.mark.parametrize(
        "inner",
        [
            item(DATE, title="x" * 4_800_000),
            item(f"<description>{'&lt;p&gt;x' * 100_000}</description>"),
            item("<category>a</category>" * 30_000),
            item("<author>a</author>" * 30_000),
            item("<pubDate>1970</pubDate>" * 30_000),
            item("<![CDATA[x]]>" * 200_000),
            "<![CDATA[" * 500_000,
            "<!--" * 1_000_000,
            "<?a" * 1_000_000,
        ],
        ids=["title", "html", "categories", "authors", "dates", "cdata", "open", "comments", "instructions"],
    )
    def test_what_is_long_is_read_in_bounded_time(self, inner: str) -> None:
        began = time.perf_counter()

        parsed = parse(rss(inner))

        assert time.perf_counter() - began < 20
        assert all(len(record.title) <= 2_000 and len(record.abstract) <= 5_000 for record in parsed.records)
        assert all(len(json.dumps(record.raw)) < 60_000 for record in parsed.records)

    def test_one_bad_entry_in_twenty_costs_no_other(self) -> None:
        good = [item(DATE, link=f"https://lab.example/{number}") for number in range(19)]
        bad = item("<description>\ud800\x00&lt;script&gt;</description>", title="", link="javascript:x")

        parsed = parse(rss(*good[:7], bad, *good[7:]))

        assert (parsed.declared, len(parsed.records), len(parsed.rejected)) == (20, 19, 1)
        assert parsed.rejected[0].position == 7

    def test_an_entry_that_the_library_stumbles_over_costs_no_other(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = feed._by_library

        def stumbling(xml: bytes) -> dict[str, Any]:
            if b"stumble" in xml:
                raise KeyError("links")
            return real(xml)

        monkeypatch.setattr(feed, "_by_library", stumbling)
        body = rss(item(DATE), item(DATE, title="stumble"), item(DATE, link="/b"), before="<!-- -->")

        parsed = parse(body)

        assert [record.position for record in parsed.records] == [0, 2]
        assert [one.problem for one in parsed.rejected] == ["Entry 1 cannot be read (KeyError)."]
        assert parsed.declared == 3
        assert parsed.records[1].url == "https://lab.example/b"

    @given(
        st.lists(
            st.tuples(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text(max_size=60)),
            max_size=6,
        )
    )
    def test_every_entry_is_accounted_for(self, entries: list[tuple[str, str, str, str]]) -> None:
        body = rss(
            *(
                f"<item><title>{title}</title><link>{link}</link><pubDate>{day}</pubDate>"
                f"<description>{text}</description></item>"
                for title, link, day, text in entries
            )
        )
        try:
            parsed = parse(body)
        except NotAList:  # no XML comes of it
            return
        named = sum("repeats entry" in note for note in parsed.notes)
        assert parsed.declared == len(parsed.records) + len(parsed.rejected) + named
        assert all(record.title.strip() and record.listing_day <= TODAY for record in parsed.records)

    @given(st.binary(max_size=300))
    def test_bytes_are_a_feed_or_refused(self, body: bytes) -> None:
        for whole in (body, b"<rss>" + body + b"</rss>", RSS_2.encode()[:400] + body):
            with suppress(NotAList):
                parse(whole)

    @pytest.mark.parametrize(
        "crowd",
        [
            pytest.param(f"<author>{'a' * 1_000_000}</author>", id="an author without end"),
            pytest.param(f"<author><name>{'a.' * 500_000}@</name></author>", id="a mail address without end"),
            pytest.param("".join(f"<category>{n}</category>" for n in range(50_000)), id="tags without end"),
            pytest.param(f"<keywords>{'a,' * 500_000}</keywords>", id="keywords without end"),
        ],
    )
    def test_names_and_tags_without_end_cost_no_more_than_their_length(self, crowd: str) -> None:
        item = "<item><title>{}</title><link>https://lab.institute/{}</link>{}</item>"
        body = rss(item.format("First", 1, crowd), item.format("Second", 2, "<author>Ada</author>"))

        began = time.process_time()
        parsed = feed.parse(body, TODAY)

        assert time.process_time() - began < 5
        assert [one.title for one in parsed.records] == ["First", "Second"]
        assert parsed.records[1].authors == ("Ada",)
        assert "were cut" in parsed.notes[0]


@pytest.mark.shared_data
class TestRecordedFeeds:
    NAIVE = "meta_engineering_ai_2026-04-27_bodies_cut.xml"  # its manifest counts what a naive look-up finds

    def manifest(self, folder: Path) -> list[dict[str, Any]]:
        return json.loads((folder / "feeds" / "manifest.json").read_text())

    def test_every_entry_of_every_feed_is_read(self, shared_data_dir: Path) -> None:
        counts = {}
        for one in self.manifest(shared_data_dir):
            body = (shared_data_dir / "feeds" / one["file"]).read_bytes()
            parsed = parse(body)
            assert parsed.declared == body.count(b"<item>") == len(parsed.records), one["file"]
            assert (parsed.rejected, parsed.notes) == ((), ()), one["file"]
            counts[one["file"]] = parsed.declared
            for record in parsed.records:
                assert record.published_at is not None
                assert record.url.startswith("http")
                assert "<" not in record.abstract
                assert "Read full topic" not in record.abstract
                assert "appeared first on" not in record.abstract
        expected = {one["file"]: one["items"] for one in self.manifest(shared_data_dir)} | {self.NAIVE: 3}
        assert counts == expected
        assert len(counts) == 13

    def test_a_feed_s_own_papers_are_at_arxiv(self, shared_data_dir: Path) -> None:
        body = (shared_data_dir / "feeds" / "scraped_eleuther_papers_2026-08-22.xml").read_bytes()

        assert all("arxiv.org/abs/" in record.url for record in parse(body).records)
