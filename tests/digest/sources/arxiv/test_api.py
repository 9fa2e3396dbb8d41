import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.sources.arxiv import api
from digest.sources.records import NotAList
from tests.arxiv_server import api_error, api_page, entry, paper

THURSDAY = date(2026, 8, 20)


class TestParse:
    def test_reads_an_entry(self) -> None:
        one = paper("2608.00001", "cs.CL", "cs.AI", versions=[datetime(2026, 8, 18, 9, 30, tzinfo=UTC)])

        found = api.parse(api_page([entry(one)], total=1), THURSDAY)

        assert (found.total, found.start, found.per_page, found.error, found.is_hole) == (1, 0, 10, "", False)
        (record,) = found.parsed.records
        assert (record.arxiv_id, record.version, record.listing_day) == ("2608.00001", 1, THURSDAY)
        assert record.authors == ("Ada Lovelace", "Charles Babbage")
        assert (record.primary_category, record.categories) == ("cs.CL", ("cs.CL", "cs.AI"))
        assert record.published_at == datetime(2026, 8, 18, 9, 30, tzinfo=UTC)
        assert (record.is_listing, record.announce_type) == (False, "")

    def test_without_a_listing_day_it_is_that_of_the_first_version(self) -> None:
        body = api_page([entry(paper("2608.00001"))], total=1)

        assert api.parse(body).parsed.records[0].listing_day == date(2026, 8, 19)

    def test_an_error_is_no_paper(self) -> None:
        found = api.parse(api_error("incorrect id format for abc"))

        assert found.error == "incorrect id format for abc"
        assert found.parsed.records == found.parsed.rejected == ()

    def test_nothing_where_there_is_more_is_a_hole(self) -> None:
        assert api.parse(api_page([], total=100, start=50)).is_hole
        assert not api.parse(api_page([], total=0)).is_hole
        assert not api.parse(api_page([], total=100, start=100)).is_hole

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (("<title>Invented paper 2608.00001</title>", ""), "Entry 1 (2608.00001) has no title."),
            (("2608.00001v1", "x"), "Entry 1: 'http://arxiv.org/abs/x' is no arXiv id."),
        ],
    )
    def test_one_bad_entry_is_rejected_alone(self, change: tuple[str, str], problem: str) -> None:
        entries = [entry(paper(f"2608.0000{number}")) for number in range(3)]
        entries[1] = entries[1].replace(*change)

        found = api.parse(api_page(entries, total=3), THURSDAY).parsed

        assert [one.problem for one in found.rejected] == [problem]
        assert (found.declared, len(found.records)) == (3, 2)

    @pytest.mark.parametrize("body", [b"", b"Rate exceeded.", b"<html/>", b"<rss/>", b"{}"])
    def test_anything_else_is_refused(self, body: bytes) -> None:
        with pytest.raises(NotAList):
            api.parse(body)

    @pytest.mark.parametrize(
        ("arxiv_id", "askable"),
        [
            ("2608.00001", True),
            ("math/0309136", True),
            ("2608.00001v2", False),
            ("abc", False),
            ("math.GT/0309136", False),
        ],
    )
    def test_ids_that_may_be_asked_for(self, arxiv_id: str, askable: bool) -> None:
        assert api.is_askable(arxiv_id) is askable


class TestFuzz:
    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_whatever_is_spoiled_each_entry_is_accounted_for(self, data: Any) -> None:
        body = api_page([entry(paper(f"2608.0000{number}")) for number in range(4)], total=4)
        for _time in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(body)))
            length = data.draw(st.integers(0, 30))
            body = body[:at] + data.draw(st.binary(max_size=12)) + body[at + length :]
        try:
            found = api.parse(body, THURSDAY).parsed
        except NotAList:
            return
        named = sum(" repeats " in note or "answered with an error" in note for note in found.notes)
        assert found.declared == len(found.records) + len(found.rejected) + named


@pytest.mark.shared_data
class TestRecordings:
    def test_each_holds_what_the_manifest_says(self, shared_data_dir: Path) -> None:
        folder = shared_data_dir / "arxiv_api"
        for one in json.loads((folder / "manifest.json").read_text()):
            body = (folder / one["file"]).read_bytes()
            if one["counts"] is None:
                with pytest.raises(NotAList):
                    api.parse(body)
                continue
            found = api.parse(body)
            counts = one["counts"]
            assert (found.total, found.start, found.per_page) == (
                counts["total_results"],
                counts["start"],
                counts["items_per_page"],
            )
            assert found.parsed.declared == counts["entries"]
            assert found.parsed.rejected == ()
            if one["http_status"] == 400:
                assert found.error == "incorrect id format for abc"
                continue
            assert len(found.parsed.records) == counts["entries"]
            for record in found.parsed.records:
                assert record.title
                assert record.abstract
                assert record.authors
                assert record.primary_category in record.categories
                assert record.published_at
                assert record.version

    def first(self, shared_data_dir: Path, file: str) -> Any:
        return api.parse((shared_data_dir / "arxiv_api" / file).read_bytes()).parsed.records[0]

    def test_a_paper_that_is_called_zero(self, shared_data_dir: Path) -> None:
        assert self.first(shared_data_dir, "id_2104.12255v1_title_zero.xml").title == "0"

    def test_affiliations_once_each(self, shared_data_dir: Path) -> None:
        record = self.first(shared_data_dir, "id_old_style_astro-ph_0601001.xml")

        assert record.arxiv_id == "astro-ph/0601001"
        assert record.affiliations == ("Ohio State", "CfA", "Warsaw University Observatory")
        assert record.journal_ref == "ActaAstron.56:1-50,2006"

    def test_the_three_formats_say_the_same(self, shared_data_dir: Path) -> None:
        """Papers that are both in the answer before and in the one after the change of November 2025."""
        folder = shared_data_dir / "arxiv_api"
        before, after = (
            {record.arxiv_id: record for record in api.parse((folder / file).read_bytes()).parsed.records}
            for file in ("legacy_2025-08-20_search.xml", "transitional_2025-11-11_search.xml")
        )

        shared = before.keys() & after.keys()
        assert shared
        for arxiv_id in shared:
            old, new = before[arxiv_id], after[arxiv_id]
            assert " ".join(old.title.split()) == " ".join(new.title.split())
            assert (old.authors, old.categories, old.published_at) == (
                new.authors,
                new.categories,
                new.published_at,
            )
