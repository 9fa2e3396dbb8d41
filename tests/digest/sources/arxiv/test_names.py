import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.sources.arxiv.names import MOST_NAMES, joined, split, turned


class TestSplit:
    @pytest.mark.parametrize(
        ("text", "authors"),
        [
            ("", []),
            ("Ada Lovelace", ["Ada Lovelace"]),
            ("Ada Lovelace, Charles Babbage", ["Ada Lovelace", "Charles Babbage"]),
            ("Anamta Khan,  Deepti, Joyojeet Pal", ["Anamta Khan", "Deepti", "Joyojeet Pal"]),
            (
                "Imtak Jeon, Kanghoon Lee and Jeong-Hyuck Park",
                ["Imtak Jeon", "Kanghoon Lee", "Jeong-Hyuck Park"],
            ),
            ("Ding Jinru, and Xu Jie", ["Ding Jinru", "Xu Jie"]),
            ("Ada Lovelace & Charles Babbage", ["Ada Lovelace", "Charles Babbage"]),
            ("E. Caputo, S. Sello, ; V. Marcolongo", ["E. Caputo", "S. Sello", "V. Marcolongo"]),
            ("Anders And, Sandy Alexander", ["Anders And", "Sandy Alexander"]),
            ("A.W.M. Dress, C.S.Rajan", ["A.W.M. Dress", "C.S.Rajan"]),
            ("John Smith, Jr., Jane Doe, III", ["John Smith Jr.", "Jane Doe III"]),
            ("Jr-Shin Li, J. Doe III", ["Jr-Shin Li", "J. Doe III"]),
            ("张三, 李四", ["张三", "李四"]),
            ("张三，李四、王五", ["张三", "李四", "王五"]),
            ("山田 太郎, Søren Kierkegaard, Ólafur Þór", ["山田 太郎", "Søren Kierkegaard", "Ólafur Þór"]),
            (r"S{\o}ren K. Boldsen and Jos\'e R. Le\'on", [r"S{\o}ren K. Boldsen", r"Jos\'e R. Le\'on"]),
            ("A. Foo$^{1,2}$, B. Bar$^1$, C. Baz^*", ["A. Foo", "B. Bar", "C. Baz"]),
            ("A. Foo[1], B. Bar*", ["A. Foo", "B. Bar"]),
            ("A. Foo et al.", ["A. Foo"]),
            ("Ada\u2028Lovelace", ["Ada Lovelace"]),
        ],
    )
    def test_names(self, text: str, authors: list[str]) -> None:
        assert list(split(text).authors) == authors
        assert split(text).affiliations == ()

    @pytest.mark.parametrize(
        ("text", "authors"),
        [
            ("G. Aad, B. Abbott for the ATLAS Collaboration", ["G. Aad", "B. Abbott", "ATLAS Collaboration"]),
            ("J. Smith (for the ATLAS Collaboration)", ["J. Smith", "ATLAS Collaboration"]),
            ("J. Smith (on behalf of the LHCb collaboration)", ["J. Smith", "LHCb collaboration"]),
            ("The ATLAS Collaboration", ["ATLAS Collaboration"]),
            ("ATLAS Collaboration: G. Aad, B. Abbott", ["ATLAS Collaboration", "G. Aad", "B. Abbott"]),
            (
                "the LIGO Scientific Collaboration and the Virgo Collaboration",
                ["LIGO Scientific Collaboration", "Virgo Collaboration"],
            ),
            ("R. Abbott, LIGO and Virgo Collaborations", ["R. Abbott", "LIGO and Virgo Collaborations"]),
            ("N. Aghanim (1), Planck Collaboration", ["N. Aghanim", "Planck Collaboration"]),
        ],
    )
    def test_collaborations_are_authors(self, text: str, authors: list[str]) -> None:
        assert list(split(text).authors) == authors
        assert split(text).affiliations == ()

    @pytest.mark.parametrize(
        ("text", "authors", "affiliations"),
        [
            (
                "Ada Lovelace (Royal Society, London), C. Babbage (Cambridge)",
                2,
                ["Royal Society, London", "Cambridge"],
            ),
            ("A. One (MIT), B. Two (MIT), C. Three (ETH; Google)", 3, ["MIT", "ETH", "Google"]),
            ("A. One (INFN and University of Pisa)", 1, ["INFN and University of Pisa"]),
            ("A. One (1), B. Two (1 and 2) ((1) MIT, (2) ETH Zurich)", 2, ["MIT", "ETH Zurich"]),
            ("A. One (1), B. Two (1,2), (1) MIT (2) ETH", 2, ["MIT", "ETH"]),
            ("A. One (1) and B. Two (2), (1) MIT, Cambridge, MA, (2) ETH", 2, ["MIT, Cambridge, MA", "ETH"]),
            ("A. One (1), B. Two (2), ((1) MIT, (2) ETH (Zurich))", 2, ["MIT", "ETH (Zurich)"]),
            ("A. One (a), B. Two (b), (a) MIT, (b) ETH", 2, ["MIT", "ETH"]),
            ("A. One (1) B. Two (2)", 2, []),
            ("张三（清华大学），李四（北京大学）", 2, ["清华大学", "北京大学"]),
        ],
    )
    def test_institutions(self, text: str, authors: int, affiliations: list[str]) -> None:
        found = split(text)

        assert len(found.authors) == authors
        assert list(found.affiliations) == affiliations

    @pytest.mark.parametrize("text", ["A. One (MIT, B. Two, C. Three", "A. One MIT), B. Two, C. Three"])
    def test_one_stray_parenthesis_does_not_swallow_the_others(self, text: str) -> None:
        assert list(split(text).authors)[-2:] == ["B. Two", "C. Three"]

    def test_five_thousand_names_are_kept(self) -> None:
        found = split(", ".join(f"A. Author{number}" for number in range(5_000)))

        assert len(found.authors) == 5_000
        assert found.notes == ()

    def test_what_is_too_much_is_cut_and_told(self) -> None:
        found = split(", ".join(f"A{number}" for number in range(MOST_NAMES + 1)))

        assert len(found.authors) == MOST_NAMES
        assert found.notes == ("of 6,001 names the first 6,000 are kept",)

    @pytest.mark.parametrize(
        "text",
        [
            "(" * 300_000,
            "(),",
            " and ",
            "a, ",
            "for the ",
            "for the Collaboration ",
            "(1) ",
            "^{",
            "(1) a,",
            "a:",
            "et al ",
        ],
    )
    def test_hostile_strings_take_seconds(self, text: str) -> None:
        began = time.process_time()
        split(text * (300_000 // len(text)))
        assert time.process_time() - began < 4

    @given(st.text(alphabet=st.sampled_from("ab (),;[]{}$^1&:*Jrndfotheclj.\\\u2028，（）"), max_size=200))
    def test_any_string_gives_names_without_rest(self, text: str) -> None:
        found = split(text)

        assert all(
            name == name.strip() and any(letter.isalnum() for letter in name) for name in found.authors
        )
        assert len(set(found.affiliations)) == len(found.affiliations)


class TestParts:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("Lovelace, Ada", "Ada Lovelace"),
            ("Smith, John, Jr.", "John Smith Jr."),
            ("Plato", "Plato"),
            ("", ""),
        ],
    )
    def test_turned(self, name: str, expected: str) -> None:
        assert turned(name) == expected

    def test_joined(self) -> None:
        assert joined(given="John  W.", family="Smith", suffix="Jr.") == "John W. Smith Jr."
