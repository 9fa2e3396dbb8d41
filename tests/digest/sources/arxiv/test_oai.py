import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digest.sources.arxiv import oai
from digest.sources.records import NotAList, PaperRecord
from tests.arxiv_server import Paper, oai_error, oai_page, paper, record

THURSDAY = date(2026, 8, 20)
WEDNESDAY_NOON = datetime(2026, 8, 19, 12, tzinfo=UTC)


def page(
    *papers: Paper | str, day: date | None = THURSDAY, asked: tuple[str, ...] = ("cs.CL",), **kwargs: Any
) -> oai.Page:
    records = [
        one if isinstance(one, str) else record(one, stamp=one.datestamp or THURSDAY) for one in papers
    ]
    return oai.parse(oai_page(records, **kwargs).body, day, asked=asked)


def announced(one: Paper, **kwargs: Any) -> str | None:
    """How the paper was announced on Thursday; None if it was not."""
    found = page(one, **kwargs).parsed.records
    return found[0].announce_type if found else None


class TestParse:
    def test_reads_a_record_of_arxiv_raw(self) -> None:
        found = page(
            paper(
                "2608.00001",
                "cs.CL",
                "cs.AI",
                title="On agents",
                abstract="We study.",
                authors="Ada Lovelace (1) and Charles Babbage (2) ((1) London, (2) Cambridge)",
                comment="Accepted at ACL",
                doi="10.1000/xyz",
                journal_ref="J. Agents 1",
                versions=[WEDNESDAY_NOON],
            )
        )

        (one,) = found.parsed.records
        assert one.listing_day == THURSDAY
        assert (one.arxiv_id, one.version, one.title, one.abstract) == (
            "2608.00001",
            1,
            "On agents",
            "We study.",
        )
        assert one.authors == ("Ada Lovelace", "Charles Babbage")
        assert one.affiliations == ("London", "Cambridge")
        assert (one.primary_category, one.categories) == ("cs.CL", ("cs.CL", "cs.AI"))
        assert (one.comment, one.doi, one.journal_ref) == ("Accepted at ACL", "10.1000/xyz", "J. Agents 1")
        assert (one.announce_type, one.is_listing, one.published_at) == ("new", True, WEDNESDAY_NOON)

    def test_a_single_page_is_the_last_one(self) -> None:
        assert page(paper("2608.00001")).is_last

    def test_an_empty_token_ends_a_sequence(self) -> None:
        assert page(paper("2608.00001"), token="").is_last

    def test_a_token_asks_for_more(self) -> None:
        found = page(paper("2608.00001"), token="verb%3DListRecords%26skip%3D15")

        assert (found.token, found.is_last) == ("verb%3DListRecords%26skip%3D15", False)
        assert found.expires_at == datetime(2026, 8, 22, tzinfo=UTC)

    def test_a_page_without_anything_is_a_hole(self) -> None:
        found = page()

        assert not found.is_last
        assert found.is_hole

    @pytest.mark.parametrize(
        "code", ["noRecordsMatch", "badResumptionToken", "badArgument", "idDoesNotExist"]
    )
    def test_errors_come_with_status_200(self, code: str) -> None:
        found = oai.parse(oai_error(code, "Reason: Set does not exist").body, THURSDAY)

        assert (found.error, found.message) == (code, "Reason: Set does not exist")
        assert found.parsed.declared == 0

    def test_markup_that_breaks_is_not_the_last_page(self) -> None:
        body = oai_page([record(paper(f"2608.0000{n}"), stamp=THURSDAY) for n in range(3)]).body

        found = oai.parse(body[:-120], THURSDAY)

        assert len(found.parsed.records) == 2
        assert "could not be read" in found.parsed.rejected[0].problem
        assert not found.is_last

    @pytest.mark.parametrize(
        "body", [b"", b"<html/>", b"<rss/>", b"<OAI-PMH/>", b"<OAI-PMH><Identify/></OAI-PMH>", b"x"]
    )
    def test_anything_else_is_refused(self, body: bytes) -> None:
        with pytest.raises(NotAList):
            oai.parse(body)


class TestAnnouncements:
    def test_one_version_of_the_last_days_is_a_new_paper(self) -> None:
        assert announced(paper("2608.00001", versions=[WEDNESDAY_NOON])) == "new"

    def test_at_home_elsewhere_it_is_cross_listed(self) -> None:
        assert announced(paper("2608.00001", "cs.CV", "cs.CL", versions=[WEDNESDAY_NOON])) == "cross"

    @pytest.mark.parametrize(
        ("primary", "asked"),
        [("math.NA", "cs.NA"), ("eess.SY", "cs.SY"), ("stat.TH", "math.ST"), ("cs.CV", "cs")],
    )
    def test_an_alias_or_an_archive_is_home_too(self, primary: str, asked: str) -> None:
        assert announced(paper("2608.00001", primary, versions=[WEDNESDAY_NOON]), asked=(asked,)) == "new"

    def test_moderation_may_take_days(self) -> None:
        assert announced(paper("2608.00001", versions=[WEDNESDAY_NOON - timedelta(days=9)])) == "new"

    def test_a_second_version_is_a_revision(self) -> None:
        versions = [WEDNESDAY_NOON - timedelta(days=100), WEDNESDAY_NOON]

        (one,) = page(paper("2605.00001", versions=versions)).parsed.records

        assert (one.announce_type, one.version, one.is_listing) == ("replace", 2, False)
        assert announced(paper("2605.00001", "cs.CV", "cs.CL", versions=versions)) == "replace-cross"

    @pytest.mark.parametrize("count", [1, 3])
    def test_a_change_without_a_version_was_not_announced(self, count: int) -> None:
        versions = [WEDNESDAY_NOON - timedelta(days=100 - number) for number in range(count)]

        found = page(paper("2605.00001", versions=versions), paper("2608.00001"))

        assert [one.arxiv_id for one in found.parsed.records] == ["2608.00001"]
        assert found.unannounced == 1
        assert found.parsed.notes == ("1 paper changed without an announcement; left out.",)

    def test_a_record_of_another_day_is_not_of_this_list(self) -> None:
        found = page(paper("2608.00001", datestamp=THURSDAY + timedelta(days=1)))

        assert found.parsed.records == ()
        assert found.parsed.notes == ("1 paper changed on another day than 2026-08-20; left out.",)

    @pytest.mark.parametrize(("arxiv_id", "expected"), [("2608.00001", "new"), ("2605.00001", None)])
    def test_a_version_whose_date_cannot_be_is_judged_by_the_month_of_its_id(
        self, arxiv_id: str, expected: str | None
    ) -> None:
        spoiled = record(paper(arxiv_id), stamp=THURSDAY).replace("2026 12:00:00 GMT", "2099 12:00:00 GMT")

        found = page(spoiled).parsed

        assert next((one.announce_type for one in found.records), None) == expected
        assert any("is no date" in note for note in found.notes)

    def test_without_a_day_each_record_is_read_and_none_is_listed(self) -> None:
        (one,) = page(paper("2605.00001", datestamp=date(2026, 8, 1)), day=None).parsed.records

        assert (one.listing_day, one.announce_type, one.is_listing) == (date(2026, 8, 1), "", False)

    def test_deleted_records_are_named(self) -> None:
        found = page(paper("2608.00001", is_deleted=True), paper("2608.00002"))

        assert [one.arxiv_id for one in found.parsed.records] == ["2608.00002"]
        assert found.parsed.notes == ("Entry 0: 'oai:arXiv.org:2608.00001' is marked as deleted; left out.",)


class TestOneBadEntry:
    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (("2608.00002", "x"), "Entry 2: 'x' is no arXiv id."),
            (("<title>Invented paper 2608.00002</title>", ""), "Entry 2 (2608.00002) has no title."),
            (("metadata>", "about>"), "Entry 2 has no metadata."),
        ],
    )
    def test_is_rejected_alone(self, change: tuple[str, str], problem: str) -> None:
        records = [record(paper(f"2608.0000{number}"), stamp=THURSDAY) for number in range(4)]
        records[2] = records[2].replace(*change)

        found = page(*records).parsed

        assert [one.problem for one in found.rejected] == [problem]
        assert (found.declared, len(found.records)) == (4, 3)


class TestFuzz:
    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_whatever_is_spoiled_each_entry_is_accounted_for(self, data: Any) -> None:
        body = oai_page([record(paper(f"2608.0000{n}"), stamp=THURSDAY) for n in range(4)], token="x").body
        for _time in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(body)))
            length = data.draw(st.integers(0, 30))
            body = body[:at] + data.draw(st.binary(max_size=12)) + body[at + length :]
        try:
            found = oai.parse(body, data.draw(st.sampled_from([None, THURSDAY])), asked=("cs.CL",))
        except NotAList:
            return
        accounted = len(found.parsed.records) + len(found.parsed.rejected)
        assert found.parsed.declared == accounted or found.parsed.notes


@pytest.mark.shared_data
class TestRecordings:
    def test_each_holds_what_the_manifest_says(self, shared_data_dir: Path) -> None:
        folder = shared_data_dir / "arxiv_oai"
        for entry in json.loads((folder / "manifest.json").read_text()):
            body = (folder / entry["file"]).read_bytes()
            name = Path(entry["file"]).stem
            if name.startswith(("Identify", "ListMetadataFormats", "ListSets")):
                with pytest.raises(NotAList, match="where records belong"):
                    oai.parse(body)
                continue
            found = oai.parse(body)
            if name.startswith("error_"):
                assert found.error == name.split("_")[1]
                continue
            assert found.parsed.declared == entry["records"]
            if name.startswith("ListIdentifiers"):
                assert found.parsed.notes == ("230 papers came as a header without a record; left out.",)
                continue
            assert len(found.parsed.records) == entry["records"]
            assert found.parsed.rejected == found.parsed.notes == ()
            assert all(
                one.title and one.abstract and one.authors and one.categories for one in found.parsed.records
            )

    def test_pages_of_a_sequence(self, shared_data_dir: Path) -> None:
        folder = shared_data_dir / "arxiv_oai/reconstructed"
        pages = [
            oai.parse((folder / f"ListRecords_arXiv_set-cs_page{number}.xml").read_bytes())
            for number in (1, 2, 3)
        ]

        assert [bool(one.token) for one in pages] == [True, True, False]
        assert [one.is_last for one in pages] == [False, False, True]
        assert len({record.arxiv_id for one in pages for record in one.parsed.records}) == 42

    def test_versions(self, shared_data_dir: Path) -> None:
        body = (
            shared_data_dir / "arxiv_oai/recorded_ListRecords_arXivRaw_set-cs_2026-05-08_trimmed.xml"
        ).read_bytes()

        first, second = oai.parse(body).parsed.records

        assert (first.arxiv_id, first.version) == ("2309.09550", 4)
        assert first.published_at == datetime(2023, 9, 18, 7, 56, 40, tzinfo=UTC)
        assert second.authors == ("Shashank Singh", "Amit Roy", "Selvan M.P")
        (revised,) = oai.parse(body, date(2026, 5, 6), asked=("cs.NE",)).parsed.records
        assert (revised.arxiv_id, revised.announce_type) == ("2309.09550", "replace")

    def records(self, shared_data_dir: Path, file: str) -> dict[str, PaperRecord]:
        found = oai.parse((shared_data_dir / "arxiv_oai/reconstructed" / file).read_bytes())
        return {one.arxiv_id: one for one in found.parsed.records}

    def test_names_of_the_three_formats(self, shared_data_dir: Path) -> None:
        plain = self.records(shared_data_dir, "ListRecords_arXiv_set-cs_page1.xml")["cs/0001024"]
        raw = self.records(shared_data_dir, "ListRecords_arXivRaw.xml")["0901.0022"]
        dublin_core = self.records(shared_data_dir, "ListRecords_oai_dc.xml")["1102.0328"]

        assert plain.authors == ("B. R. Schlei", "L. Prasad")
        assert raw.authors == ("Christopher D. Sogge", "Chengbo Wang")
        assert dublin_core.authors[0] == "Florin P. Boca"
        assert (dublin_core.doi, dublin_core.categories) == ("10.2140/ant.2014.8.999", ("math.NT", "math.DS"))
        assert dublin_core.comment == "27 pages, 6 figures. Version accepted for publication"
