"""docs/adding-a-source.md, done: a parser and a line of the registry are all that a new kind needs."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import call_command

from digest.models import Batch, Paper, SetAside, Source
from digest.papers import fetch
from digest.sources.records import NotAList, PaperRecord, Parsed, Rejected
from digest.sources.registry import KINDS, SourceKind
from digest.sources.request import Request
from tests.conftest import REPOSITORY
from tests.servers import Reply, WebServer, web_server

NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)


def parse(body: bytes, day: date) -> Parsed:
    """The toy's list: a line for each paper, its address and its title with a blank between them."""
    lines = body.decode("utf-8", "replace").splitlines()
    if lines[:1] != ["toy 1"]:
        raise NotAList("not a toy's list: it does not begin with 'toy 1'")
    records, rejected = [], []
    for position, line in enumerate(lines[1:]):
        address, _, title = line.partition(" ")
        if title:
            records.append(PaperRecord(position=position, listing_day=day, url=address, title=title))
        else:
            rejected.append(Rejected(position=position, problem=f"Entry {position} has no title.", raw=line))
    return Parsed(declared=len(lines) - 1, records=tuple(records), rejected=tuple(rejected))


@pytest.fixture
def site(settings: Any) -> Iterator[WebServer]:
    with web_server() as running:
        settings.TRUSTED_FEED_HOSTS = [running.host]
        yield running


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    call_command("fetch_papers", "--source", "toy", "--json", *arguments)
    return json.loads(capsys.readouterr().out.splitlines()[-1])["sources"]["toy"]


@pytest.mark.django_db
class TestToySource:
    def test_one_list_for_everything(
        self, site: WebServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(KINDS, "toy", SourceKind(label="Toy", url=f"{site.url}/list", parse=parse))
        site.pages["/list"] = (
            b"toy 1\nhttps://toy.example/a First toy\nbroken\nhttps://arxiv.org/abs/2608.00001 Two\n"
        )

        totals = run(capsys)

        assert {name: totals[name] for name in ("declared", "parsed", "new", "rejected")} == {
            "declared": 3, "parsed": 2, "new": 2, "rejected": 1,
        }  # fmt: skip
        assert set(Paper.objects.values_list("key", "title", "kind")) == {
            ("url:https://toy.example/a", "First toy", "paper"),
            ("arxiv:2608.00001", "Two", "paper"),
        }
        assert SetAside.objects.get().problem == "Entry 1 has no title."
        assert run(capsys)["new"] == 0

    def test_the_worker_reads_it_until_an_operator_switches_it_off(
        self, site: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Source.objects.update(enabled=False)
        monkeypatch.setitem(KINDS, "toy", SourceKind(label="Toy", url=f"{site.url}/list", parse=parse))
        site.pages["/list"] = b"toy 1\nhttps://toy.example/a First toy\n"

        fetch.fetch_due(now=NOON)
        Source.objects.filter(slug="toy").update(enabled=False)
        fetch.fetch_due(now=NOON + timedelta(days=1))

        source = Source.objects.get(kind="toy")
        assert (source.slug, source.name, source.gives) == ("toy", "Toy", "paper")
        assert (len(site.asked), Paper.objects.count()) == (1, 1)

    def test_a_list_for_each_day(
        self, site: WebServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def request(url: str, day: date) -> Request:
            return Request(url=url, params={"day": day.isoformat()})

        kind = SourceKind(
            label="Toy", url=f"{site.url}/list", gives="news", parse=parse, request=request, by_day=True
        )
        monkeypatch.setitem(KINDS, "toy", kind)
        site.pages["/list"] = lambda asked: Reply(
            body=f"toy 1\nhttps://toy.example/{asked.params['day']} News\n".encode()
        )

        totals = run(capsys, "--date", "2026-08-20", "--days", "2")

        assert (totals["declared"], totals["new"]) == (2, 2)
        assert {(one.listing_day.isoformat(), one.parsed) for one in Batch.objects.all()} == {
            ("2026-08-19", 1),
            ("2026-08-20", 1),
        }
        assert set(Paper.objects.values_list("kind", flat=True)) == {"news"}

    def test_the_example_of_the_page_works(
        self, site: WebServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        page = (REPOSITORY / "docs" / "adding-a-source.md").read_text()
        module, line = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
        archive: dict[str, Any] = {}
        exec(module, archive)
        kinds = eval(f"{{{line}}}", {"archive": SimpleNamespace(**archive), "SourceKind": SourceKind})
        monkeypatch.setitem(KINDS, "toy", replace(kinds["archive"], url=f"{site.url}/list"))
        site.pages["/list"] = b'[{"title": "On archives", "doi": "10.1000/1"}, {"title": 7}, null]'

        totals = run(capsys, "--date", "2026-08-20")

        assert (totals["declared"], totals["new"], totals["rejected"]) == (3, 1, 2)
        assert site.asked[0].params == {"on": "2026-08-20"}
        assert Paper.objects.get().key == "doi:10.1000/1"

    def test_what_is_no_list_of_it_is_said(
        self, site: WebServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setitem(KINDS, "toy", SourceKind(label="Toy", url=f"{site.url}/list", parse=parse))
        site.pages["/list"] = b"<html>"

        with pytest.raises(SystemExit):
            run(capsys)

        assert "not a toy's list" in Source.objects.get(slug="toy").last_error
