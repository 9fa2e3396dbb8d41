"""Bytes to records: the format's changes since May 2024, and what is easy to get wrong."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from digest.sources.huggingface import parse
from digest.sources.records import NotAList, PaperRecord, joined
from tests.servers import entry

FRIDAY = date(2026, 7, 24)


def body(*entries: Any) -> bytes:
    return json.dumps(entries).encode()


def record(edit: Callable[[dict[str, Any]], Any] | None = None, day: date | None = FRIDAY) -> PaperRecord:
    parsed = parse(body(entry("2607.00001", day=FRIDAY, edit=edit)), day)
    assert not parsed.rejected
    return parsed.records[0]


class TestHostileEntries:
    """What a list of a public site may hold one day: the entry suffers, the list does not."""

    def test_an_address_with_half_a_character_is_unknown(self) -> None:
        said = record(lambda said: said["paper"].update(githubRepo="https://github.com/\ud800"))
        assert said.code_url == ""

    @pytest.mark.parametrize("more", ["?x=" + "y" * 3000, "?x=\ud800"])
    def test_an_id_that_is_an_address_is_not_hung_on_another_address(self, more: str) -> None:
        said = record(lambda said: said["paper"].update(id=f"https://arxiv.org/abs/2607.00001{more}"))
        assert said.source_url == ""

    def test_a_number_of_thousands_of_digits_is_no_count(self) -> None:
        long = body(entry("2607.00001", day=FRIDAY)).replace(b'"upvotes": 3', b'"upvotes": ' + b"9" * 5000)
        parsed = parse(long, FRIDAY)
        assert parsed.records[0].votes is None
        assert "upvotes" in parsed.notes[0]

    def test_a_list_too_long_for_a_page_is_none(self) -> None:
        with pytest.raises(NotAList, match="2,001 entries"):
            parse(b"[" + b"{}," * 2_000 + b"{}]", FRIDAY)


class TestRecord:
    def test_reads_what_an_entry_says(self) -> None:
        def edit(said: dict[str, Any]) -> None:
            said["paper"] |= {
                "githubRepo": "https://github.com/a/b",
                "githubStars": 0,
                "projectPage": " https://a.example/p",
                "ai_summary": "One line.",
                "ai_keywords": ["agents", ""],
                "organization": {"_id": "o", "name": "acme", "fullname": "Acme Research"},
                "mediaUrls": ["https://a.example/x.mp4"],
            }

        assert record(edit) == PaperRecord(
            position=0,
            listing_day=FRIDAY,
            arxiv_id="2607.00001",
            source_url="https://huggingface.co/papers/2607.00001",
            title="Invented paper 2607.00001",
            abstract="An invented abstract, number 2607.00001.",
            authors=("Ada Lovelace", "Charles Babbage"),
            organization="Acme Research",
            organization_handle="acme",
            published_at=datetime(2026, 7, 24, tzinfo=UTC),
            code_url="https://github.com/a/b",
            project_url="https://a.example/p",
            thumbnail_url="https://cdn-thumbnails.huggingface.co/social-thumbnails/papers/2607.00001.png",
            has_media=True,
            summary="One line.",
            summary_source="Hugging Face",
            keywords=("agents",),
            votes=3,
            comments=1,
            stars=0,
        )

    def test_zero_upvotes_are_zero(self) -> None:
        assert record(lambda said: said["paper"].update(upvotes=0)).votes == 0

    def test_missing_upvotes_are_unknown(self) -> None:
        assert record(lambda said: said["paper"].pop("upvotes")).votes is None

    def test_comments_are_the_outer_number_and_no_votes(self) -> None:
        found = record(lambda said: said.update(numComments=7))

        assert (found.comments, found.votes) == (7, 3)

    def test_the_listing_day_is_never_the_outer_date(self) -> None:
        # New York time marked Z names the day before.
        assert record(lambda said: said.update(publishedAt="2026-07-23T20:00:00.000Z")).listing_day == FRIDAY
        assert record(
            lambda said: said.update(publishedAt="2026-07-23T20:00:00.000Z")
        ).published_at == datetime(2026, 7, 24, tzinfo=UTC)

    def test_a_day_with_a_time_of_day_is_that_day_in_utc(self) -> None:
        late = record(lambda said: said["paper"].update(submittedOnDailyAt="2026-07-24T23:59:59.999Z"))

        assert late.listing_day == FRIDAY

    def test_an_entry_of_before_2025_has_the_day_that_was_asked_for(self) -> None:
        assert record(
            lambda said: said["paper"].pop("submittedOnDailyAt"), date(2024, 5, 27)
        ).listing_day == date(2024, 5, 27)

    def test_without_a_day_asked_for_the_entry_says_it(self) -> None:
        assert record(day=None).listing_day == FRIDAY

    def test_without_any_day_it_is_rejected(self) -> None:
        parsed = parse(
            body(entry("2607.00001", day=FRIDAY, edit=lambda said: said["paper"].pop("submittedOnDailyAt"))),
            None,
        )

        assert [one.problem for one in parsed.rejected] == [
            "Entry 0 (2607.00001) does not say its listing day, and none was asked for."
        ]

    def test_hidden_authors_stay_hidden(self) -> None:
        def edit(said: dict[str, Any]) -> None:
            said["paper"]["authors"][0]["hidden"] = True

        assert record(edit).authors == ("Charles Babbage",)

    def test_the_inner_value_wins_and_the_outer_fills_in(self) -> None:
        def edit(said: dict[str, Any]) -> None:
            said["title"] = "Outer title"
            said["paper"]["title"] = "Inner title"
            del said["paper"]["summary"]
            said["summary"] = "Outer summary"
            said["organization"] = {"name": "outer"}

        found = record(edit)

        assert (found.title, found.abstract, found.organization) == ("Inner title", "Outer summary", "outer")

    def test_recognises_a_withdrawn_paper(self) -> None:
        found = record(lambda said: said["paper"].update(withdrawnAt="2026-07-25T00:00:00.000Z"))

        assert found.withdrawn_at == datetime(2026, 7, 25, tzinfo=UTC)

    def test_a_title_may_be_zero(self) -> None:
        assert record(lambda said: said["paper"].update(title="0")).title == "0"

    def test_only_an_id_and_a_title_are_needed(self) -> None:
        parsed = parse(body({"paper": {"id": "2607.00001", "title": "Bare"}}), FRIDAY)

        assert [(one.title, one.authors, one.votes) for one in parsed.records] == [("Bare", (), None)]
        assert parsed.notes == ()

    def test_unknown_keys_are_ignored(self) -> None:
        assert record(lambda said: said.update(submitterOrganization={"name": "x"}, novelty=[1])) == record()

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("upvotes", "many"),
            ("upvotes", -1),
            ("upvotes", True),
            ("upvotes", 2**31),
            ("githubStars", 1.5),
            ("githubRepo", "javascript:alert(1)"),
            ("githubRepo", ["https://github.com/a/b"]),
            ("projectPage", "https://a.example/" + "x" * 600),
            ("publishedAt", "yesterday"),
            ("publishedAt", 20260724),
            ("authors", "Ada"),
            ("ai_summary", 3),
            ("ai_keywords", "agents"),
            ("organization", "Acme"),
        ],
    )
    def test_an_optional_value_of_the_wrong_kind_is_unknown_and_noted(self, key: str, value: Any) -> None:
        parsed = parse(
            body(entry("2607.00001", day=FRIDAY, edit=lambda said: said["paper"].update({key: value}))),
            FRIDAY,
        )

        assert len(parsed.records) == 1
        assert [note.startswith(f"Entry 0 (2607.00001): {key} is ") for note in parsed.notes] == [True]


class TestParse:
    @pytest.mark.parametrize(
        ("broken", "problem"),
        [
            ("text", 'Entry 1 is "text" where an object belongs.'),
            (None, "Entry 1 is missing where an object belongs."),
            ({}, "Entry 1 has no paper object: paper is missing."),
            ({"paper": []}, "Entry 1 has no paper object: paper is a list."),
            ({"paper": {"title": "x"}}, "Entry 1 has no id: paper.id is missing."),
            ({"paper": {"id": 2607.1, "title": "x"}}, "Entry 1 has no id: paper.id is 2607.1."),
            ({"paper": {"id": "2607.00009", "title": " "}}, "Entry 1 (2607.00009) has no title."),
        ],
    )
    def test_sets_one_malformed_entry_aside_and_reads_the_others(self, broken: Any, problem: str) -> None:
        parsed = parse(body(entry("2607.00001", day=FRIDAY), broken, entry("2607.00002", day=FRIDAY)), FRIDAY)

        assert [one.arxiv_id for one in parsed.records] == ["2607.00001", "2607.00002"]
        assert [(one.position, one.problem, one.raw) for one in parsed.rejected] == [(1, problem, broken)]
        assert parsed.declared == 3

    def test_takes_the_first_of_two_equal_entries(self) -> None:
        parsed = parse(
            body(entry("2607.00001", day=FRIDAY), entry("2607.00001", day=FRIDAY, votes=9)), FRIDAY
        )

        assert [one.votes for one in parsed.records] == [3]
        assert parsed.notes == ("Entry 1 repeats paper 2607.00001; the first one counts.",)

    def test_leaves_out_and_names_entries_of_another_day(self) -> None:
        parsed = parse(
            body(entry("2607.00001", day=date(2026, 7, 23)), entry("2607.00002", day=FRIDAY)), FRIDAY
        )

        assert [one.arxiv_id for one in parsed.records] == ["2607.00002"]
        assert parsed.notes == ("1 entry belongs to 2026-07-23, not to 2026-07-24, and stayed out.",)

    def test_an_empty_list_is_an_empty_day(self) -> None:
        assert parse(b"[]", FRIDAY).declared == 0

    @pytest.mark.parametrize(
        ("answer", "problem"),
        [
            (b"", "not JSON"),
            (b"<!DOCTYPE html><title>Too busy</title>", "not JSON.*Too busy"),
            (b'{"error":"Invalid date"}', "an object where a list belongs.*Invalid date"),
            (b'"text"', "where a list belongs"),
            (b"null", "missing where a list belongs"),
            (b"[" * 100_000, "not JSON"),
            (b"\xff\xfe\x00", "not JSON"),
        ],
    )
    def test_refuses_what_is_no_list_and_shows_its_beginning(self, answer: bytes, problem: str) -> None:
        with pytest.raises(NotAList, match=problem):
            parse(answer, FRIDAY)

    def test_reads_past_a_byte_order_mark_and_bad_bytes(self) -> None:
        answer = b"\xef\xbb\xbf" + body(entry("2607.00001", day=FRIDAY)).replace(
            b"Invented", b"Inv\xffented", 1
        )

        assert len(parse(answer, FRIDAY).records) == 1


def test_pages_that_shifted_while_we_read_count_an_entry_once() -> None:
    first = parse(body(*(entry(f"2607.0000{n}", day=FRIDAY) for n in (1, 2))), FRIDAY)
    second = parse(body(*(entry(f"2607.0000{n}", day=FRIDAY) for n in (2, 3))), FRIDAY)

    whole = joined([first, second])

    assert whole.declared == 3
    assert [one.arxiv_id for one in whole.records] == ["2607.00001", "2607.00002", "2607.00003"]


@pytest.mark.shared_data
class TestRecordedAnswers:
    def test_every_format_change_parses_completely(self, shared_data_dir: Path) -> None:
        paths = sorted((shared_data_dir / "hf_daily_papers" / "history").glob("*.json"))
        assert len(paths) == 9

        for path in paths:
            day = date.fromisoformat(path.name[:10])
            parsed = parse(path.read_bytes(), day)
            assert (parsed.declared, parsed.rejected, parsed.notes) == (len(parsed.records), (), ()), (
                path.name
            )
            assert all(one.authors and one.abstract and one.published_at for one in parsed.records)
            assert all(None not in (one.votes, one.comments) for one in parsed.records)
            assert {one.listing_day for one in parsed.records} == {day}

    def test_each_change_brings_its_field(self, shared_data_dir: Path) -> None:
        def some(day: str, name: str) -> int:
            path = next((shared_data_dir / "hf_daily_papers" / "history").glob(f"{day}*.json"))
            return sum(
                bool(getattr(one, name)) for one in parse(path.read_bytes(), date.fromisoformat(day)).records
            )

        assert some("2024-05-27", "has_media") == 13  # mediaUrl, a string
        assert some("2024-06-13", "thumbnail_url") == 21
        assert some("2024-06-13", "has_media") == 3  # mediaUrls, a list
        assert some("2025-03-17", "code_url") == 3
        assert some("2025-05-22", "summary") == 27
        assert some("2025-10-03", "organization") == 16

    def test_a_day_cut_off_at_the_default_limit(self, shared_data_dir: Path) -> None:
        path = shared_data_dir / "hf_daily_papers" / "history" / "2026-05-12_capped_at_50.json"

        assert parse(path.read_bytes(), date(2026, 5, 12)).declared == 50

    def test_an_answer_without_a_date_asked_for(self, shared_data_dir: Path) -> None:
        path = shared_data_dir / "hf_daily_papers" / "latest_no_date_param.json"

        parsed = parse(path.read_bytes(), None)

        assert {one.listing_day for one in parsed.records} == {date(2026, 6, 12)}  # asked on the Sunday after
        assert len(parsed.records) == 30
        # On the Sunday itself nothing of it belongs to the day.
        assert parse(path.read_bytes(), date(2026, 6, 14)).records == ()
