"""JSON Feed, through the door of all feeds."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources import feed
from digest.sources.records import NotAList, Parsed

TODAY = date(2026, 8, 23)
ITEM = {
    "id": "1",
    "url": "https://lab.example/agents",
    "title": "On agents",
    "content_html": "<p>The <b>whole</b> story.</p><a href='https://arxiv.org/abs/2608.00001'>paper</a>",
    "summary": "Short.",
    "date_published": "2026-08-20T09:30:00+02:00",
    "authors": [{"name": "Ada Lovelace"}],
    "tags": ["Research"],
}


def parse(*items: Any, **feed_values: Any) -> Parsed:
    whole = {"version": "https://jsonfeed.org/version/1.1", "title": "Lab", "items": list(items)}
    return feed.parse(json.dumps(whole | feed_values).encode(), TODAY)


class TestParse:
    def test_reads_an_item(self) -> None:
        (record,) = parse(ITEM, language="de-CH").records

        assert (record.title, record.url) == ("On agents", "https://lab.example/agents")
        assert record.abstract == "The whole story. paper"
        assert record.published_at == datetime(2026, 8, 20, 7, 30, tzinfo=UTC)
        assert (record.authors, record.keywords, record.language) == (("Ada Lovelace",), ("Research",), "de")
        assert record.mentions == ("https://arxiv.org/abs/2608.00001",)

    def test_reads_version_1_and_plain_text(self) -> None:
        item = {"id": 7, "url": "/a", "content_text": "a <b> c", "author": {"name": "Ada"}}

        (record,) = parse(
            item, version="https://jsonfeed.org/version/1", home_page_url="https://lab.example/"
        ).records

        assert (record.title, record.url, record.authors) == ("a <b> c", "https://lab.example/a", ("Ada",))

    def test_what_a_post_is_about_is_mentioned(self) -> None:
        (record,) = parse(ITEM | {"external_url": "https://arxiv.org/abs/2608.00009"}).records

        assert record.mentions[0] == "https://arxiv.org/abs/2608.00009"

    def test_one_bad_item_costs_no_other(self) -> None:
        parsed = parse(ITEM, 7, {"id": "3"}, ITEM | {"id": "4", "url": "https://lab.example/b", "tags": 7})

        assert (parsed.declared, len(parsed.records)) == (4, 2)
        assert {one.position: one.problem for one in parsed.rejected} == {
            1: "Entry 1 is no JSON object.",
            2: "Entry 2 has no web address where it could be read.",
        }

    def test_its_title_is_known(self) -> None:
        body = json.dumps({"version": "https://jsonfeed.org/version/1.1", "title": "Lab", "items": []})

        assert feed.about(body.encode()) == feed.About(title="Lab", is_forum=False)

    @pytest.mark.parametrize(
        "values",
        [{"items": None}, {"items": {}}, {"version": "1"}, {"version": None}, {"items": [1] * 10_001}],
    )
    def test_refuses_json_of_another_kind(self, values: dict[str, Any]) -> None:
        with pytest.raises(NotAList):
            parse(ITEM, **values)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from([*ITEM, "external_url", "author"]), inner, max_size=6)
            ),
            max_leaves=12,
        )
    )
    def test_whatever_an_item_is_it_is_accounted_for(self, item: Any) -> None:
        parsed = parse(ITEM, item)

        named = sum("repeats entry" in note for note in parsed.notes)
        assert parsed.declared == 2 == len(parsed.records) + len(parsed.rejected) + named
