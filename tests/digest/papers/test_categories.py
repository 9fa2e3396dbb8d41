import pytest

from digest.papers import categories


class TestCategories:
    def test_have_names_and_groups(self) -> None:
        assert categories.name("cs.CL") == "Computation and Language"
        assert categories.group("cs.CL") == "Computer Science"
        assert categories.group("hep-th") == "Physics"
        assert categories.labelled("stat.ML") == "stat.ML, Machine Learning"

    def test_nobody_knows_are_their_own_name(self) -> None:
        assert (
            categories.name("cs.XX")
            == categories.labelled("cs.XX")
            == categories.canonical("cs.XX")
            == "cs.XX"
        )
        assert categories.group("cs.XX") == ""
        assert categories.names("cs.XX") == {"cs.XX"}

    @pytest.mark.parametrize(
        ("code", "canonical"),
        [
            ("math.IT", "cs.IT"),
            ("cs.IT", "cs.IT"),
            ("stat.TH", "math.ST"),
            ("cmp-lg", "cs.CL"),
            ("cs.LG", "cs.LG"),
        ],
    )
    def test_that_mean_the_same_have_one_code(self, code: str, canonical: str) -> None:
        assert categories.canonical(code) == canonical

    def test_are_counted_once_where_two_codes_mean_one(self) -> None:
        assert categories.distinct(["math.IT", "cs.LG", "cs.IT"]) == ("math.IT", "cs.LG")
        assert categories.names("cs.IT") == {"cs.IT", "math.IT"}

    def test_are_those_of_arxiv(self) -> None:
        assert len(categories.KNOWN) == 176
        assert {"astro-ph", "quant-ph", "q-fin.EC", "alg-geom"} <= categories.KNOWN
