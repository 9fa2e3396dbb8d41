import pytest

from digest.papers.identity import (
    NoIdentity,
    NotAnAddress,
    NotAnArxivId,
    canonical_arxiv_id,
    canonical_doi,
    canonical_url,
    identify,
)


class TestCanonicalArxivId:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2608.18565", "2608.18565"),
            ("2606.18831v2", "2606.18831"),
            ("arXiv:2606.18831", "2606.18831"),
            (" ARXIV: 0706.0001v1 ", "0706.0001"),
            ("1001.1820", "1001.1820"),  # as a number it would lose its last digit
            ("math/0211159", "math/0211159"),
            ("math.GT/0309136", "math/0309136"),
            ("hep-th/9901001v1", "hep-th/9901001"),
            ("https://arxiv.org/abs/2608.18565v3", "2608.18565"),
            ("http://export.arxiv.org/pdf/2608.18565.pdf", "2608.18565"),
            ("https://arxiv.org/pdf/hep-th/9901001v2.pdf", "hep-th/9901001"),
            ("https://arxiv.org/html/2608.18565v1/", "2608.18565"),
            ("https://huggingface.co/papers/2608.18565", "2608.18565"),
            ("https://huggingface.co/papers/2608.18565.md", "2608.18565"),
            ("https://www.alphaxiv.org/abs/2608.18565", "2608.18565"),
            ("10.48550/arXiv.2608.18565", "2608.18565"),
            ("https://doi.org/10.48550/arXiv.2608.18565", "2608.18565"),
        ],
    )
    def test_reads_every_form(self, text: str, expected: str) -> None:
        assert canonical_arxiv_id(text) == expected

    @pytest.mark.parametrize(
        "text",
        ["", "not-an-id", "2613.00001", "2608.185", "2608.1856500", "https://arxiv.org/list/cs.CL/new",
         "https://huggingface.co/papers",
         "https://evil.example/abs/2608.18565", "https://[bad", "10.1000/2608.18565"],
    )  # fmt: skip
    def test_refuses_the_rest(self, text: str) -> None:
        with pytest.raises(NotAnArxivId):
            canonical_arxiv_id(text)


class TestIdentify:
    def test_prefers_the_arxiv_id(self) -> None:
        found = identify(arxiv_id="2608.18565v2", doi="10.1000/XYZ", url="https://a.example/")

        assert (found.key, found.arxiv_id, found.doi) == ("arxiv:2608.18565", "2608.18565", "10.1000/xyz")
        assert found.url == "https://arxiv.org/abs/2608.18565"

    def test_finds_the_arxiv_id_in_an_address(self) -> None:
        assert identify(url="https://arxiv.org/abs/2608.18565v1").key == "arxiv:2608.18565"

    def test_arxivs_own_doi_is_no_second_identity(self) -> None:
        assert identify(doi="10.48550/arXiv.2608.18565").doi is None

    def test_takes_the_doi_next(self) -> None:
        assert identify(doi="https://doi.org/10.1000/ABC.").key == "doi:10.1000/abc"

    def test_takes_the_address_last(self) -> None:
        assert (
            identify(url="http://Blog.Example:80/Post/?utm_source=x&id=3#top").key
            == "url:https://blog.example/Post?id=3"
        )

    @pytest.mark.parametrize(
        "given", [{}, {"arxiv_id": "none"}, {"url": "javascript:alert(1)"}, {"doi": "11.1/x"}]
    )
    def test_says_what_it_was_given_when_there_is_none(self, given: dict[str, str]) -> None:
        with pytest.raises(
            NoIdentity, match=next(iter(given.values()), "neither").replace("(", r"\(").replace(")", r"\)")
        ):
            identify(**given)


class TestCanonicalUrl:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("https://a.example", "https://a.example"),
            ("HTTP://A.example/", "https://a.example"),
            ("https://a.example:8443/x/", "https://a.example:8443/x"),
            ("https://a.example/a b".replace(" ", "%20"), "https://a.example/a%20b"),
            ("https://a.example/?b=1&fbclid=2&a=", "https://a.example?b=1&a="),
        ],
    )
    def test_drops_what_does_not_matter(self, text: str, expected: str) -> None:
        assert canonical_url(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "ftp://a.example/",
            "https://u:p@a.example/",
            "//a.example",
            "https://a.example:x/",
            "https://" + "a" * 600,
        ],
    )
    def test_refuses_what_is_no_page(self, text: str) -> None:
        with pytest.raises(NotAnAddress):
            canonical_url(text)


def test_dois_ignore_case_and_resolver() -> None:
    assert canonical_doi("https://dx.doi.org/10.1234/AbC") == canonical_doi("doi:10.1234/abc")
