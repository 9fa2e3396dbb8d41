import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.sources.arxiv import rss
from digest.sources.records import NotAList
from tests.arxiv_server import Paper, feed, item, paper

THURSDAY = date(2026, 8, 20)


def parsed(
    *papers: Paper | str, announced: str = "new", day: date = THURSDAY, **changes: str
) -> rss.Announcement:
    """The feed of these papers; each pair of `changes` is replaced in its text."""
    items = [one if isinstance(one, str) else item(one, day=day, announced=announced) for one in papers]
    text = feed(items, day=day).decode()
    for before, after in changes.items():
        assert before in text
        text = text.replace(before, after)
    return rss.parse(text.encode())


class TestParse:
    def test_reads_an_item(self) -> None:
        found = parsed(
            paper(
                "2608.00001",
                "cs.CL",
                "cs.AI",
                title="On <i>agents</i> & $\\alpha$",
                abstract="We study. Abstract: of it.",
                authors="Ada Lovelace (Royal Society, London), Charles Babbage",
                doi="10.1000/xyz",
                journal_ref="J. Agents 1 (2026)",
            )
        )

        assert (found.day, found.is_whole, found.is_cut) == (THURSDAY, True, False)
        assert (found.parsed.declared, found.parsed.rejected, found.parsed.notes) == (1, (), ())
        (record,) = found.parsed.records
        assert record.listing_day == THURSDAY
        assert (record.arxiv_id, record.version) == ("2608.00001", 1)
        assert record.title == "On <i>agents</i> & $\\alpha$"
        assert record.abstract == "We study. Abstract: of it."
        assert record.authors == ("Ada Lovelace", "Charles Babbage")
        assert record.affiliations == ("Royal Society, London",)
        assert (record.primary_category, record.categories) == ("cs.CL", ("cs.CL", "cs.AI"))
        assert (record.doi, record.journal_ref) == ("10.1000/xyz", "J. Agents 1 (2026)")
        assert (record.announce_type, record.is_listing) == ("new", True)
        assert record.source_url == "https://arxiv.org/abs/2608.00001"
        assert record.published_at is None  # the feed knows when it was announced, not when it was submitted

    @pytest.mark.parametrize(
        ("announced", "is_listing"),
        [("new", True), ("cross", True), ("replace", False), ("replace-cross", False)],
    )
    def test_announce_types(self, announced: str, is_listing: bool) -> None:
        (record,) = parsed(paper("2608.00001"), announced=announced).parsed.records

        assert (record.announce_type, record.is_listing) == (announced, is_listing)

    @pytest.mark.parametrize(("version", "taken"), [("v1", "new"), ("v3", "replace")])
    def test_an_announce_type_that_nobody_knows_follows_from_the_version(
        self, version: str, taken: str
    ) -> None:
        found = parsed(paper("2608.00001"), announced="withdrawn", **{"2608.00001v1": f"2608.00001{version}"})

        assert found.parsed.records[0].announce_type == taken
        assert found.parsed.notes == (f"Entry 0 (2608.00001): announced as 'withdrawn'; taken as {taken}.",)

    def test_the_type_stands_in_the_text_too(self) -> None:
        found = parsed(
            paper("2608.00001"),
            announced="replace-cross",
            **{"<arxiv:announce_type>replace-cross</arxiv:announce_type>": ""},
        )

        assert found.parsed.records[0].announce_type == "replace-cross"

    def test_old_ids(self) -> None:
        (record,) = parsed(paper("math/0309136", "math.GT")).parsed.records

        assert (record.arxiv_id, record.version) == ("math/0309136", 1)

    def test_an_entry_that_comes_twice_counts_once(self) -> None:
        found = parsed(paper("2608.00001"), paper("2608.00001"), paper("2608.00002"))

        assert [record.arxiv_id for record in found.parsed.records] == ["2608.00001", "2608.00002"]
        assert found.parsed.declared == 3
        assert found.parsed.notes == ("Entry 1 repeats 2608.00001; entry 0 counts.",)

    def test_a_list_of_two_thousand_was_cut(self) -> None:
        items = [item(paper(f"2608.{number:05}"), day=THURSDAY, announced="new") for number in range(2_000)]

        assert rss.parse(feed(items, day=THURSDAY)).is_cut
        assert not rss.parse(feed(items[1:], day=THURSDAY)).is_cut

    def test_five_thousand_authors(self) -> None:
        names = ", ".join(f"A. Author{number}" for number in range(5_000))

        (record,) = parsed(paper("2608.00001", authors=names)).parsed.records

        assert len(record.authors) == 5_000


class TestDay:
    @pytest.mark.parametrize(
        "day", [date(2026, 1, 15), date(2026, 8, 20), date(2026, 3, 9), date(2026, 11, 2)]
    )
    def test_is_the_channels_own(self, day: date) -> None:
        assert parsed(day=day).day == day

    def test_without_one_it_is_new_yorks_when_the_feed_was_built(self) -> None:
        found = parsed(**{"<pubDate>Thu, 20 Aug 2026 00:00:00 -0400</pubDate>": ""})

        assert found.day == THURSDAY

    def test_without_either_it_is_that_of_most_items(self) -> None:
        text = feed([item(paper("2608.00001"), day=THURSDAY, announced="new")], day=THURSDAY).decode()
        head, channel, rest = text.partition("<item>")
        head = head.replace("lastBuildDate", "built").replace("pubDate", "published_on")

        assert rss.parse((head + channel + rest).encode()).day == THURSDAY

    def test_without_any_it_is_no_list(self) -> None:
        with pytest.raises(NotAList, match="does not say its day"):
            parsed(lastBuildDate="built", pubDate="published_on")

    @pytest.mark.parametrize("year", ["1970", "2099", "99999"])
    def test_a_day_that_cannot_be_is_no_list(self, year: str) -> None:
        with pytest.raises(NotAList, match="day cannot be"):
            parsed(**{"<pubDate>Thu, 20 Aug 2026": f"<pubDate>Thu, 20 Aug {year}"})

    @pytest.mark.parametrize("wrong", ["Thu, 01 Jan 1970 00:00:00 GMT", "2099-01-01", "yesterday", "&#0;"])
    def test_an_items_own_date_does_not_matter(self, wrong: str) -> None:
        one = item(paper("2608.00001"), day=THURSDAY, announced="new")
        spoiled = one.replace("Thu, 20 Aug 2026 00:00:00 -0400", wrong)

        found = parsed(spoiled, paper("2608.00002"))

        assert [record.listing_day for record in found.parsed.records] == [THURSDAY, THURSDAY]
        assert any("the list's day counts" in note for note in found.parsed.notes)


class TestOneBadEntry:
    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (("2608.00007", "not-an-id"), "Entry 7: 'oai:arXiv.org:not-an-idv1' is no arXiv id."),
            (("2608.00007", "2699.00007"), "Entry 7: 'oai:arXiv.org:2699.00007v1' is no arXiv id."),
            (("<title>Invented paper 2608.00007</title>", ""), "Entry 7 (2608.00007) has no title."),
            (
                ("<title>Invented paper 2608.00007</title>", "<title> </title>"),
                "Entry 7 (2608.00007) has no title.",
            ),
            (("Invented paper 2608.00007", "&#x2028;"), "Entry 7 (2608.00007) has no title."),
            (("title>", "headline>"), "Entry 7 (2608.00007) has no title."),
        ],
    )
    def test_is_rejected_alone_with_the_reason(self, change: tuple[str, str], problem: str) -> None:
        items = [item(paper(f"2608.{number:05}"), day=THURSDAY, announced="new") for number in range(20)]
        items[7] = items[7].replace(*change)

        found = rss.parse(feed(items, day=THURSDAY)).parsed

        assert (found.declared, len(found.records)) == (20, 19)
        (rejected,) = found.rejected
        assert (rejected.position, rejected.problem) == (7, problem)
        assert rejected.raw.startswith("<item")

    @pytest.mark.parametrize(
        "title",
        ["A\x00B", "A&#xD800;B", "A\u2028B", "A\u202eB", "0", "<script>alert(1)</script>", "A" * 100_000],
    )
    def test_a_strange_title_costs_no_paper(self, title: str) -> None:
        items = [item(paper(f"2608.{number:05}"), day=THURSDAY, announced="new") for number in range(3)]
        items[1] = items[1].replace("Invented paper 2608.00001", title)

        assert len(rss.parse(feed(items, day=THURSDAY)).parsed.records) == 3

    def test_an_entry_without_an_id_in_its_guid_has_it_in_its_link(self) -> None:
        one = item(paper("2608.00001"), day=THURSDAY, announced="new").replace(
            "oai:arXiv.org:2608.00001v1", "x"
        )

        (record,) = parsed(one).parsed.records

        assert (record.arxiv_id, record.version) == ("2608.00001", None)

    def test_markup_that_breaks_costs_only_what_follows(self) -> None:
        items = [item(paper(f"2608.{number:05}"), day=THURSDAY, announced="new") for number in range(5)]
        items[3] = items[3].replace("</title>", "</oops>")

        found = rss.parse(feed(items, day=THURSDAY))

        assert not found.is_whole
        assert [record.arxiv_id for record in found.parsed.records] == [
            "2608.00000",
            "2608.00001",
            "2608.00002",
        ]
        assert found.parsed.declared == 4
        assert "Entry 3 and what follows could not be read" in found.parsed.rejected[0].problem

    def test_codes_of_other_systems_are_no_categories(self) -> None:
        (record,) = parsed(paper("2608.00001", "cs.CL", "I.2.6", "68T05", "cs.cl")).parsed.records

        assert record.categories == ("cs.CL",)


class TestNoList:
    def test_no_announcement_is_an_empty_list(self) -> None:
        found = parsed()

        assert (found.day, found.parsed.declared, found.is_whole) == (THURSDAY, 0, True)

    def test_the_error_feed_is_told_in_arxivs_own_words(self) -> None:
        body = feed([], day=THURSDAY, title="Feed error for query: x", said="Bad subject class 'XX'.")

        with pytest.raises(rss.Refused, match="Bad subject class 'XX'"):
            rss.parse(body)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"Rate exceeded.",
            b"<html><body>Sorry</body></html>",
            b"<!DOCTYPE html><html></html>",
            b"<OAI-PMH/>",
            b"{}",
            b"<rss/>",
            b"<rss><channel/></rss>",
        ],
    )
    def test_anything_else_is_refused(self, body: bytes) -> None:
        with pytest.raises(NotAList):
            rss.parse(body)


class TestFuzz:
    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_whatever_is_spoiled_each_entry_is_accounted_for(self, data: Any) -> None:
        body = feed(
            [item(paper(f"2608.{number:05}"), day=THURSDAY, announced="new") for number in range(4)],
            day=THURSDAY,
        )
        for _time in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(body)))
            length = data.draw(st.integers(0, 30))
            body = body[:at] + data.draw(st.binary(max_size=12)) + body[at + length :]
        try:
            found = rss.parse(body).parsed
        except NotAList:
            return
        named = sum(" repeats " in note for note in found.notes)
        assert found.declared == len(found.records) + len(found.rejected) + named


@pytest.mark.shared_data
class TestRecordings:
    def test_each_holds_what_the_manifest_says(self, shared_data_dir: Path) -> None:
        folder = shared_data_dir / "arxiv_rss"
        for entry in json.loads((folder / "manifest.json").read_text()):
            body = (folder / entry["file"]).read_bytes()
            if entry["http_status"] == 400:
                with pytest.raises(rss.Refused, match="Bad subject class 'XX'"):
                    rss.parse(body)
                continue
            found = rss.parse(body)
            assert (found.parsed.declared, len(found.parsed.records)) == (entry["items"], entry["items"])
            assert found.parsed.rejected == found.parsed.notes == ()
            for record in found.parsed.records:
                assert record.title
                assert record.abstract
                assert not record.abstract.startswith(("arXiv:", "Abstract"))
                assert record.authors
                assert record.categories
                assert record.version

    @pytest.mark.parametrize(
        ("file", "day"),
        [
            ("recorded_atom_cs.AI_2025-08-20.xml", date(2025, 8, 20)),
            ("recorded_rss_cs.CL_2026-04-27.xml", date(2026, 4, 27)),
            ("reconstructed/rss_weekend_empty_cs.CL.xml", date(2026, 6, 27)),
            ("reconstructed/atom_sunday_empty_cs_2025-11-23.xml", date(2025, 11, 23)),
        ],
    )
    def test_days(self, shared_data_dir: Path, file: str, day: date) -> None:
        assert rss.parse((shared_data_dir / "arxiv_rss" / file).read_bytes()).day == day

    def test_atom_says_the_same_as_rss(self, shared_data_dir: Path) -> None:
        body = (shared_data_dir / "arxiv_rss/recorded_atom_cs.AI_2025-08-20.xml").read_bytes()

        first = rss.parse(body).parsed.records[0]

        assert (first.arxiv_id, first.version, first.announce_type) == ("2508.13426", 1, "cross")
        assert first.authors == ("Chunhua Liu", "Kabir Manandhar Shrestha", "Sukai Huang")
        assert first.categories == ("cs.CL", "cs.AI")

    def test_two_blanks_in_a_list_of_names(self, shared_data_dir: Path) -> None:
        body = (shared_data_dir / "arxiv_rss/recorded_rss_cs.CL_2026-04-27.xml").read_bytes()

        assert "Deepti" in rss.parse(body).parsed.records[0].authors
