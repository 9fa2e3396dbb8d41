import csv
import re
from pathlib import Path

import pytest

from digest.sources.arxiv import taxonomy
from digest.sources.arxiv.ids import NotAnId, split


class TestTaxonomy:
    @pytest.mark.parametrize(
        ("code", "name"),
        [
            ("cs.CL", "cs:cs:CL"),
            ("stat.ML", "stat:stat:ML"),
            ("hep-th", "physics:hep-th"),
            ("astro-ph.CO", "physics:astro-ph:CO"),
            ("physics.optics", "physics:physics:optics"),
            ("math-ph", "physics:math-ph"),
            ("cs", "cs:cs"),
            ("nlin", "physics:nlin"),
        ],
    )
    def test_sets_of_oai_pmh(self, code: str, name: str) -> None:
        assert taxonomy.oai_set(code) == name

    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("cs:cs:CL", "cs.CL"),
            ("physics:hep-th", "hep-th"),
            ("physics:physics:optics", "physics.optics"),
            ("cs", ""),
        ],
    )
    def test_categories_of_sets(self, name: str, code: str) -> None:
        assert taxonomy.of_oai_set(name) == code

    @pytest.mark.parametrize("code", ["cs.CL", "hep-th", "cs.XX", "math-ph", "cond-mat.soft", "astro-ph"])
    def test_categories_and_what_may_become_one(self, code: str) -> None:
        assert taxonomy.is_category(code)

    @pytest.mark.parametrize(
        "code", ["I.2.6", "68T05", "", "cs", "cs.CL\n", "xx.YY", "cs.C", "../x", "cs.CL+cs.AI"]
    )
    def test_what_is_none(self, code: str) -> None:
        assert not taxonomy.is_category(code)

    def test_archives(self) -> None:
        assert taxonomy.is_archive("cs")
        assert taxonomy.is_archive("nlin")
        assert not taxonomy.is_archive("hep-th")
        assert not taxonomy.is_archive("xx")

    def test_spelling(self) -> None:
        assert taxonomy.spelled(" CS.cl ") == "cs.CL"
        assert taxonomy.spelled("HEP-TH") == "hep-th"
        assert taxonomy.spelled("cs.XX") == "cs.XX"

    @pytest.mark.shared_data
    def test_all_that_arxiv_has(self, shared_data_dir: Path) -> None:
        with (shared_data_dir / "arxiv_categories.tsv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))

        assert {row["code"] for row in rows} == set(taxonomy.CATEGORIES)
        for row in rows:
            category = taxonomy.CATEGORIES[row["code"]]
            assert (category.name, category.group) == (row["name"], row["group"])
            assert category.is_active == (row["active"] == "1")
            assert category.archive == row["archive"]

    @pytest.mark.shared_data
    def test_each_active_category_has_its_set(self, shared_data_dir: Path) -> None:
        answer = (shared_data_dir / "arxiv_oai/reconstructed/ListSets.xml").read_text(encoding="utf-8")
        sets = set(re.findall("<setSpec>([^<]*)</setSpec>", answer))

        for code, category in taxonomy.CATEGORIES.items():
            if category.is_active:
                assert taxonomy.oai_set(code) in sets
                assert taxonomy.of_oai_set(taxonomy.oai_set(code)) == code


class TestIds:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2604.21935", ("2604.21935", None)),
            ("oai:arXiv.org:2604.21935v1", ("2604.21935", 1)),
            ("http://arxiv.org/abs/astro-ph/0601001v12", ("astro-ph/0601001", 12)),
            ("https://arxiv.org/pdf/2604.21935v2.pdf", ("2604.21935", 2)),
            ("arXiv:0706.0001", ("0706.0001", None)),
            ("math.GT/0309136v2", ("math/0309136", 2)),
            ("cs/0001024", ("cs/0001024", None)),
            ("1001.1820", ("1001.1820", None)),
            (" 2604.21935v3 ", ("2604.21935", 3)),
        ],
    )
    def test_ids(self, text: str, expected: tuple[str, int | None]) -> None:
        assert split(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            *(
                "",
                "abc",
                "0000.0000",
                "2613.00001",
                "2604.219355",
                "2604.219",
                "2604.21935v0",
                "2604.21935v99999",
            ),
            *("2604.21935 ", "٢٦٠٤.21935")[1:],
            *("math/999", "../../etc/passwd", "2604.21935\x00", "2604.21935\n2604.21936", "A" * 100_000),
            "https://arxiv.org/api/errors#incorrect_id_format_for_abc",
        ],
    )
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(NotAnId):
            split(text)
