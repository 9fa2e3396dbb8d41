"""The command, and all 25 recorded days through it."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from digest.models import Batch, Paper, Sighting, Source
from tests.arxiv_server import arxiv_server, free_clock
from tests.arxiv_server import paper as arxiv_paper
from tests.factories import NOON
from tests.servers import HuggingFaceServer, Reply, WebServer, entry, huggingface_server, web_server

FRIDAY = date(2026, 7, 24)

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: Any) -> Iterator[HuggingFaceServer]:
    with huggingface_server() as running:
        settings.HUGGINGFACE_URL = running.url
        yield running


def fetch(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    call_command("fetch_papers", *arguments, "--json")
    return json.loads(capsys.readouterr().out.splitlines()[-1])["sources"]


class TestFetchPapers:
    def test_prints_one_json_object_as_the_last_line(
        self, server: HuggingFaceServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.days[FRIDAY] = [entry("2607.00001", day=FRIDAY), entry("2607.00002", day=FRIDAY)]

        assert fetch(capsys, "--date", "2026-07-24") == {
            "huggingface": {
                "declared": 2,
                "parsed": 2,
                "new": 2,
                "updated": 0,
                "cross": 0,
                "rejected": 0,
                "errors": [],
            }
        }

    def test_says_what_it_did_in_words(
        self, server: HuggingFaceServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.days[FRIDAY] = [entry("2607.00001", day=FRIDAY), {"paper": None}]

        call_command("fetch_papers", "--date", "2026-07-24")

        assert (
            capsys.readouterr().out
            == "Hugging Face Daily Papers 2026-07-24: 2 entries, 1 new, 0 updated, 1 set aside\n"
        )

    def test_set_aside_entries_are_accounted_for_and_no_failure(
        self, server: HuggingFaceServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.days[FRIDAY] = [entry("2607.00001", day=FRIDAY), {"paper": None}]

        report = fetch(capsys, "--date", "2026-07-24")["huggingface"]

        assert (report["parsed"], report["rejected"]) == (1, 1)
        assert report["errors"] == ["2026-07-24: Entry 1 has no paper object: paper is missing."]

    def test_a_day_that_fails_ends_in_1_and_the_others_are_read(
        self, server: HuggingFaceServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.days[FRIDAY] = [entry("2607.00001", day=FRIDAY)]
        server.replies = [Reply(status=403, body=b"no")]

        with pytest.raises(SystemExit) as ended:
            call_command("fetch_papers", "--date", "2026-07-24", "--days", "2", "--json")

        report = json.loads(capsys.readouterr().out.splitlines()[-1])["sources"]["huggingface"]
        assert ended.value.code == 1
        assert report["new"] == 1
        assert "403" in report["errors"][0]
        assert report["errors"][0].startswith("2026-07-23: ")

    def test_without_a_date_reads_today_and_the_days_that_still_change(
        self, server: HuggingFaceServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        fetch(capsys)

        today = datetime.now(UTC).date()
        assert {asked.params["date"] for asked in server.asked} <= {
            (today - timedelta(days=age)).isoformat() for age in range(-1, 5)
        }
        assert len({asked.params["date"] for asked in server.asked}) == 4

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["--source", "nature"], "no source 'nature' that can be fetched. There are: arxiv, huggingface"),
            (["--date", "24.7.2026"], "Write it as YYYY-MM-DD"),
            (["--days", "0"], "from 1 to 1000"),
        ],
    )
    def test_says_what_is_wrong_with_an_argument(self, arguments: list[str], says: str) -> None:
        with pytest.raises(CommandError, match=says):
            call_command("fetch_papers", *arguments)


class TestSeveralSources:
    FEED = b"""<rss version="2.0"><channel><title>Lab</title>
        <item><title>On logs</title><link>https://lab.example/logs</link></item>
        <item><title>On maps</title><link>https://lab.example/maps</link></item></channel></rss>"""

    @pytest.fixture
    def lab(self, settings: Any) -> Iterator[WebServer]:
        with web_server() as site:
            settings.TRUSTED_FEED_HOSTS = [site.host]
            site.pages["/feed"] = self.FEED
            Source.objects.create(
                slug="lab", name="Lab", kind="feed", gives="post", url=f"{site.url}/feed", next_fetch_at=NOON
            )
            yield site

    def test_a_feed_is_read_once_whatever_the_days(
        self, server: HuggingFaceServer, lab: WebServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.days[FRIDAY] = [entry("2607.00001", day=FRIDAY)]

        report = fetch(capsys, "--date", "2026-07-24", "--days", "3")

        assert len(lab.asked) == 1
        assert (report["lab"]["declared"], report["lab"]["new"]) == (2, 2)
        assert report["huggingface"]["new"] == 1

    def test_one_that_fails_hides_none_of_the_others(
        self, server: HuggingFaceServer, lab: WebServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.replies = [Reply(status=403, body=b"no")]

        with pytest.raises(SystemExit) as ended:
            call_command("fetch_papers", "--date", "2026-07-24", "--json")

        report = json.loads(capsys.readouterr().out.splitlines()[-1])["sources"]
        assert ended.value.code == 1
        assert report["lab"]["new"] == 2
        assert "403" in report["huggingface"]["errors"][0]

    def test_a_category_that_cannot_be_read_ends_in_1_and_the_others_are_stored(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        free_clock(monkeypatch)
        Source.objects.filter(slug="arxiv").update(categories=["cs.CL", "cs.XX"])
        with arxiv_server() as running:
            for name, value in running.settings().items():
                setattr(settings, name, value)
            running.shows = FRIDAY
            running.announce(FRIDAY, [arxiv_paper("2607.00001", "cs.CL")])
            with pytest.raises(SystemExit) as ended:
                call_command("fetch_papers", "--source", "arxiv", "--date", str(FRIDAY), "--json")

        said, report = capsys.readouterr().out.splitlines()[-2:]
        told = json.loads(report)["sources"]["arxiv"]
        assert (ended.value.code, told["parsed"], Paper.objects.count()) == (1, 1, 1)
        assert "arXiv does not take cs.XX" in told["errors"][0]
        assert "arXiv does not take cs.XX" in said

    def test_nor_does_one_that_is_read_wrongly(
        self,
        server: HuggingFaceServer,
        lab: WebServer,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def stumble(*_arguments: Any) -> None:
            raise KeyError("title")

        monkeypatch.setattr("digest.sources.huggingface.parse", stumble)
        server.days[FRIDAY] = [entry("2607.00001", day=FRIDAY)]

        with pytest.raises(SystemExit) as ended:
            call_command("fetch_papers", "--date", "2026-07-24", "--json")

        report = json.loads(capsys.readouterr().out.splitlines()[-1])["sources"]
        assert ended.value.code == 1
        assert report["lab"]["new"] == 2
        assert "Paperboy made a mistake" in report["huggingface"]["errors"][0]


@pytest.mark.shared_data
class TestRecordedDays:
    def test_all_25_days_lose_nothing_and_a_second_pass_changes_only_votes(
        self, server: HuggingFaceServer, shared_data_dir: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for path in (shared_data_dir / "hf_daily_papers").glob("2026-*.json"):
            server.days[date.fromisoformat(path.stem)] = json.loads(path.read_bytes())
        arguments = ("--date", "2026-08-21", "--days", "33")

        first = fetch(capsys, *arguments)["huggingface"]

        assert first == {
            "declared": 537,
            "parsed": 537,
            "new": 535,
            "updated": 2,
            "cross": 0,
            "rejected": 0,
            "errors": [],
        }
        assert (Paper.objects.count(), Sighting.objects.count()) == (535, 537)
        assert all(Paper.objects.listed_on(day).count() == len(listed) for day, listed in server.days.items())
        assert Batch.objects.filter(settled_at=None).count() == 0

        for listed in server.days.values():
            listed[0]["paper"]["upvotes"] += 5
        before = _without_votes()

        second = fetch(capsys, *arguments)["huggingface"]

        assert second == {
            "declared": 537,
            "parsed": 537,
            "new": 0,
            "updated": 25,
            "cross": 0,
            "rejected": 0,
            "errors": [],
        }
        assert _without_votes() == before
        assert Sighting.objects.count() == 537 + 25
        assert fetch(capsys, *arguments)["huggingface"]["updated"] == 0

    def test_a_day_cut_off_at_50_is_read_on(
        self, server: HuggingFaceServer, shared_data_dir: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        day = date(2026, 5, 12)
        path = shared_data_dir / "hf_daily_papers" / "history" / "2026-05-12_capped_at_50.json"
        server.days[day] = [
            *json.loads(path.read_bytes()),
            *(entry(f"2605.9{n:04d}", day=day) for n in range(7)),
        ]
        server.honours_limit = False

        assert fetch(capsys, "--date", "2026-05-12")["huggingface"]["new"] == 57


def _without_votes() -> list[Any]:
    own = ("id", "votes", "counted_at", "updated_at")
    fields = [field.attname for field in Paper._meta.concrete_fields if field.attname not in own]
    return list(Paper.objects.order_by("key").values_list(*fields))
