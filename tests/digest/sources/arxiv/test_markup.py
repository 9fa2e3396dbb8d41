import contextlib
import time

import pytest

from digest.sources.arxiv import markup
from digest.sources.arxiv.markup import children, read, text_of
from digest.sources.records import NotAList


def document(inside: str, *, head: str = "") -> bytes:
    return f"{head}<rss><channel><title>List</title>{inside}</channel></rss>".encode()


def titles(body: bytes) -> list[str]:
    found = read(body, entries=("item",), at_most=100)
    return [text_of(children(element), "title") for element in found.entries]


class TestRead:
    def test_gives_the_entries_and_what_stands_beside_them(self) -> None:
        found = read(
            document("<item><title>A</title></item><item><title>B</title></item>"),
            entries=("item",),
            at_most=9,
        )

        assert [text_of(children(entry), "title") for entry in found.entries] == ["A", "B"]
        assert text_of(children(children(found.root)["channel"][0]), "title") == "List"
        assert (found.problem, found.notes) == ("", ())

    def test_an_entry_inside_an_entry_is_part_of_it(self) -> None:
        assert titles(document("<item><title>A</title><item><title>B</title></item></item>")) == ["A"]

    def test_keeps_what_stands_before_the_place_where_the_markup_breaks(self) -> None:
        body = document(
            "<item><title>A</title></item><item><title>B</oops></item><item><title>C</title></item>"
        )

        found = read(body, entries=("item",), at_most=9)

        assert len(found.entries) == 1
        assert "its XML breaks at line 1, column" in found.problem

    def test_says_where_an_answer_was_cut_off(self) -> None:
        body = document("<item><title>A</title></item><item><title>B</title></item>")[:-40]

        found = read(body, entries=("item",), at_most=9)

        assert len(found.entries) == 1
        assert found.problem

    @pytest.mark.parametrize(
        "body", [b"", b"Rate exceeded.", b"\x00", b"{}", b"\xff\xfe", b"<", "“”".encode(), b"   \n"]
    )
    def test_refuses_what_is_no_xml(self, body: bytes) -> None:
        with pytest.raises(NotAList, match="not XML"):
            read(body, entries=("item",), at_most=9)


class TestBounds:
    @pytest.mark.parametrize(
        "head",
        [
            '<!DOCTYPE rss [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
            '<!DOCTYPE rss SYSTEM "http://127.0.0.1:9/x.dtd">',
            '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
            "<!DOCTYPE html>",
        ],
    )
    def test_a_dtd_is_refused_whatever_it_holds(self, head: str) -> None:
        with pytest.raises(NotAList, match="DTD"):
            read(document("<item><title>&b;&x;</title></item>", head=head), entries=("item",), at_most=9)

    def test_too_many_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(markup, "LARGEST", 100)

        with pytest.raises(NotAList, match="too large"):
            read(document("<item/>" * 50), entries=("item",), at_most=9)

    def test_too_many_entries(self) -> None:
        found = read(document("<item/>" * 20), entries=("item",), at_most=9)

        assert len(found.entries) == 9
        assert found.problem == "it has more than 9 entries"

    def test_too_many_elements(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(markup, "MOST_ELEMENTS", 10)

        found = read(document("<item/>" + "<x/>" * 20), entries=("item",), at_most=9)

        assert len(found.entries) == 1
        assert found.problem == "it has more than 10 elements"

    def test_elements_too_deep_in_each_other(self) -> None:
        found = read(document("<item/>" + "<a>" * 200_000), entries=("item",), at_most=9)

        assert len(found.entries) == 1
        assert "deep" in found.problem

    @pytest.mark.parametrize(
        "body",
        [
            b"<rss>" + b"A" * 5_000_000,
            b"<rss a='" + b"A" * 5_000_000,
            b"<rss>" + b"<a/>" * 500_000,
            b"<rss>" + b"&amp;" * 750_000,
            b"<rss>" + b"&" * 1_250_000,
            b"<rss>" + b"&#0;" * 500_000,
            b"\x00" * 5_000_000,
        ],
        ids=["text", "attribute", "elements", "references", "ampersands", "forbidden", "NUL"],
    )
    def test_megabytes_take_seconds(self, body: bytes) -> None:
        began = time.process_time()
        with contextlib.suppress(NotAList):
            read(body, entries=("item",), at_most=9)
        assert time.process_time() - began < 4


class TestCharacters:
    @pytest.mark.parametrize(
        ("spoiled", "title"),
        [
            ("A\x00B", "AB"),
            ("A\x0b\x0cB", "AB"),
            ("A&#0;B", "A\ufffdB"),
            ("A&#xD800;B", "A\ufffdB"),
            ("A&#x1F;B", "A\ufffdB"),
            ("A&#99999999999999999999;B", "A\ufffdB"),
            ("A\ufffeB", "AB"),
        ],
    )
    def test_what_xml_forbids_costs_one_character_and_is_noted(self, spoiled: str, title: str) -> None:
        body = document(f"<item><title>Fine</title></item><item><title>{spoiled}</title></item>")

        found = read(body, entries=("item",), at_most=9)

        assert [text_of(children(entry), "title") for entry in found.entries] == ["Fine", title]
        (note,) = found.notes
        assert note.endswith("first in entry 1.")

    @pytest.mark.parametrize(
        ("written", "title"),
        [
            ("A &amp; B", "A & B"),
            ("AT&T", "AT&T"),
            ("A&nbsp;B", "A\xa0B"),
            ("&eacute;", "é"),
            ("A &unknown; B", "A &unknown; B"),
            ("&lt;b&gt;", "<b>"),
            ("&LT;b", "<b"),
            ("&#233;&#xE9;", "éé"),
            ("&#;", "&#;"),
            ("<b>A</b> B", "A B"),
            ("<![CDATA[A < B]]>", "A < B"),
            ("A\u2028B\u202e", "A\u2028B\u202e"),
        ],
    )
    def test_what_html_allows_is_read(self, written: str, title: str) -> None:
        assert titles(document(f"<item><title>{written}</title></item>")) == [title]

    def test_half_a_surrogate_in_bytes(self) -> None:
        body = document("<item><title>A@B</title></item>").replace(b"@", b"\xed\xa0\x80")

        found = read(body, entries=("item",), at_most=9)

        assert text_of(children(found.entries[0]), "title").replace("\ufffd", "") == "AB"
        assert "not in the encoding" in found.notes[0]

    @pytest.mark.parametrize(
        ("encoding", "codec"),
        [
            ("utf-8", "utf-8"),
            ("UTF-8", "utf-8-sig"),
            ("utf-16", "utf-16"),
            ("ISO-8859-1", "latin-1"),
            ("windows-1252", "cp1252"),
            ("no-such-thing", "utf-8"),
            ("utf-7", "utf-8"),
            ("rot13", "utf-8"),
        ],
    )
    def test_encodings(self, encoding: str, codec: str) -> None:
        text = f"<?xml version='1.0' encoding='{encoding}'?><rss><item><title>Gödel</title></item></rss>"

        assert titles(text.encode(codec)) == ["Gödel"]

    def test_another_encoding_than_it_says(self) -> None:
        body = "<?xml version='1.0' encoding='utf-8'?><rss><item><title>Gödel</title></item></rss>".encode(
            "latin-1"
        )

        assert titles(body) == ["G\ufffddel"]


class TestChildren:
    def test_goes_by_namespace_and_not_by_prefix(self) -> None:
        body = (
            b"<rss xmlns:x='http://purl.org/dc/elements/1.1/' xmlns:y='http://evil.example/'>"
            b"<item><y:title>Other</y:title><x:creator>Ada</x:creator></item></rss>"
        )

        found = children(read(body, entries=("item",), at_most=9).entries[0])

        assert text_of(found, "creator") == "Ada"
        assert text_of(found, "title") == ""

    def test_comments_and_instructions_are_nothing(self) -> None:
        body = document("<item><!-- no --><?php echo 1 ?><title>A<!-- b -->C</title></item>")

        assert titles(body) == ["AC"]
