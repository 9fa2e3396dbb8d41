"""A paper is found by whatever people call it."""

import pytest

from digest.papers import named
from tests.factories import PaperFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "typed",
    [
        "2608.18565",
        " arXiv:2608.18565v3 ",
        "https://arxiv.org/abs/2608.18565",
        "http://arxiv.org/pdf/2608.18565v2.pdf",
        "https://huggingface.co/papers/2608.18565",
        "https://doi.org/10.48550/arXiv.2608.18565",
        "10.1000/XYZ",
        "doi:10.1000/xyz",
        "https://doi.org/10.1000/xyz",
        "/paper/2608.18565/",
        "https://paperboy.example/paper/2608.18565",
        "https://paperboy.example/paper/2608.18565/?from=mail#votes",
    ],
)
def test_an_arxiv_paper_with_a_doi_is_found_by(typed: str) -> None:
    paper = PaperFactory(arxiv_id="2608.18565", doi="10.1000/xyz")

    assert named.find(typed) == paper


@pytest.mark.parametrize("typed", ["p{}", "{}", "/paper/p{}/", "https://paperboy.example/paper/p{}"])
def test_a_row_is_found_by_its_number(typed: str) -> None:
    paper = PaperFactory(arxiv_id=None, key="url:https://lab.example/post", url="https://lab.example/post")

    assert named.find(typed.format(paper.pk)) == paper
    assert named.find("http://lab.example/post/?utm_source=mail") == paper


def test_an_old_identifier_is_found_with_its_archive() -> None:
    paper = PaperFactory(arxiv_id="math/0309136")

    assert named.find("math.GT/0309136v1") == paper
    assert named.find("/paper/math/0309136/") == paper


@pytest.mark.parametrize(
    "typed",
    ["", "2608.18566", "p", "p999999", "9" * 30, "a\0b", "10.1000/\0", "https://[bad", "words of a title"],
)
def test_what_names_no_paper_finds_none(typed: str) -> None:
    PaperFactory(arxiv_id="2608.18565")

    assert named.find(typed) is None


def test_a_page_that_looks_like_ours_is_found_by_its_own_address() -> None:
    post = PaperFactory(
        arxiv_id=None,
        key="url:https://lab.example/paper/on-agents",
        url="https://lab.example/paper/on-agents",
    )

    assert named.find("https://lab.example/paper/on-agents") == post
