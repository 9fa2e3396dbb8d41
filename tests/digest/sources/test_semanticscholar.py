import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources import semanticscholar
from digest.sources.http import Client, SourceError
from digest.sources.records import NotAList
from digest.sources.semanticscholar import Cited
from tests.servers import Reply, WebServer, web_server

PATH = "/graph/v1/paper/batch"
ENTRY = {
    "paperId": "0f40",
    "externalIds": {"ArXiv": "2106.15928", "CorpusId": 1},
    "citationCount": 12,
    "influentialCitationCount": 0,
    "tldr": {"model": "tldr@v2.0.0", "text": "Agents use tools."},
}


@pytest.fixture
def server(settings):
    with web_server() as running:
        settings.SEMANTIC_SCHOLAR_URL, settings.SEMANTIC_SCHOLAR_KEY = running.url, ""
        yield running


@pytest.fixture
def client():
    return Client(attempts=1, total_seconds=5, budget_seconds=5)


class TestAsk:
    def test_asks_for_all_at_once_and_keeps_their_order(self, server: WebServer, client):
        server.pages[PATH] = json.dumps([None, ENTRY]).encode()

        answered = semanticscholar.ask(["DOI:10.1/x", "ARXIV:2106.15928"], client=client)

        assert answered.papers == (None, Cited(citations=12, influential=0, tldr="Agents use tools."))
        (asked,) = server.asked
        assert asked.method == "POST"
        assert json.loads(asked.body) == {"ids": ["DOI:10.1/x", "ARXIV:2106.15928"]}
        assert "citationCount" in asked.params["fields"]
        assert "x-api-key" not in asked.headers

    def test_sends_the_key_where_there_is_one(self, server: WebServer, client, settings):
        settings.SEMANTIC_SCHOLAR_KEY = "secret"
        server.pages[PATH] = b"[null]"

        semanticscholar.ask(["ARXIV:2106.15928"], client=client)

        assert server.asked[0].headers["x-api-key"] == "secret"

    @pytest.mark.parametrize("number", [0, 501])
    def test_asks_for_1_to_500(self, client, number):
        with pytest.raises(ValueError, match="1 to 500"):
            semanticscholar.ask(["ARXIV:1"] * number, client=client)

    def test_a_batch_of_unknown_papers_is_no_mistake(self, server: WebServer, client):
        server.pages[PATH] = Reply(status=400, body=b'{"error":"No valid paper ids given"}')

        assert semanticscholar.ask(["ARXIV:1", "ARXIV:2"], client=client).papers == (None, None)

    @pytest.mark.parametrize("status", [400, 404, 429])
    def test_says_what_it_was_told(self, server: WebServer, client, status):
        server.pages[PATH] = Reply(status=status, body=b'{"error":"Unrecognized or unsupported fields: [x]"}')

        with pytest.raises(SourceError, match="Unrecognized") as caught:
            semanticscholar.ask(["ARXIV:1"], client=client)

        assert caught.value.status == status


class TestParse:
    @pytest.mark.parametrize(
        "body", [b"", b"{}", b"<html>", b'{"error": "x"}', b"[]", b"[null, null]", b"7", b"[" * 100_000]
    )
    def test_refuses_what_is_no_answer_to_one_id(self, body):
        with pytest.raises(NotAList):
            semanticscholar.parse(body, ["ARXIV:2106.15928"])

    @pytest.mark.parametrize("entry", [7, "x", [], ENTRY | {"externalIds": {"ArXiv": "9999.99999"}}])
    def test_one_bad_entry_costs_no_other(self, entry):
        answered = semanticscholar.parse(
            json.dumps([entry, ENTRY]).encode(), ["ARXIV:2106.15928", "ARXIV:2106.15928"]
        )

        assert [one is None for one in answered.papers] == [True, False]
        assert answered.problems[0].startswith("ARXIV:2106.15928: the entry is")

    @pytest.mark.parametrize("value", [-1, "12", 1.5, True, None, 10**12, [], {}])
    def test_what_is_no_count_is_unknown(self, value):
        body = json.dumps([ENTRY | {"citationCount": value, "tldr": value}]).encode()

        (cited,) = semanticscholar.parse(body, ["ARXIV:2106.15928"]).papers

        assert cited == Cited(citations=None, influential=0, tldr="")

    @given(
        st.lists(
            st.none()
            | st.integers()
            | st.dictionaries(
                st.sampled_from(["externalIds", "citationCount", "tldr", "text"]),
                st.none()
                | st.text()
                | st.integers()
                | st.dictionaries(st.sampled_from(["ArXiv", "text"]), st.text()),
            ),
            max_size=4,
        )
        | st.binary(max_size=50)
    )
    def test_knows_no_other_failure(self, value):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        with contextlib.suppress(NotAList):
            assert len(semanticscholar.parse(body, ["ARXIV:1", "DOI:10.1000/x"]).papers) == 2


@pytest.mark.shared_data
class TestRecordings:
    def test_the_recorded_batches(self, shared_data_dir: Path):
        folder = shared_data_dir / "semantic_scholar"
        manifest = {one["file"]: one for one in json.loads((folder / "manifest.json").read_text())}
        read = {}
        for name in ("paper_batch_all_fields_first_null.json", "paper_batch_authors.json"):
            ids = json.loads(manifest[name]["request_body"])["ids"]
            read[name] = semanticscholar.parse((folder / name).read_bytes(), ids)

        full = read["paper_batch_all_fields_first_null.json"]
        assert full.problems == ()
        assert full.papers == (
            None,
            Cited(citations=10_670, influential=578),
            Cited(citations=2_185, influential=245),
            Cited(citations=0, influential=0),
        )
        assert read["paper_batch_authors.json"].papers == (Cited(), Cited(), Cited())

    @pytest.mark.parametrize("name", ["paper_400.json", "paper_404.json", "paper_search_transformer.json"])
    def test_recorded_answers_to_something_else_are_refused(self, shared_data_dir: Path, name):
        with pytest.raises(NotAList):
            semanticscholar.parse((shared_data_dir / "semantic_scholar" / name).read_bytes(), ["ARXIV:1"])
