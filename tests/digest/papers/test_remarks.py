"""Authors' remarks: where the paper was accepted, its links, and whether it was taken back."""

import gzip
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digest.papers.remarks import read


class TestVenue:
    @pytest.mark.parametrize(
        ("comment", "venue"),
        [
            ("Accepted at ICML 2026", "ICML 2026"),
            ("Accepted to ACL2026 main conference", "ACL 2026 main conference"),
            ("accepted by CVPR'26; Code: https://github.com/a/b", "CVPR 2026"),
            ("15 pages, 5 figures. Accepted by CVPR 2026 Workshop", "CVPR 2026 Workshop"),
            ("NeurIPS 2025 (Spotlight)", "NeurIPS 2025 (Spotlight)"),
            ("ICML 2026 [Spotlight]", "ICML 2026 (Spotlight)"),
            ("31 pages, 8 figures, ICML 2026", "ICML 2026"),
            ("MICCAI2026 early accept", "MICCAI 2026"),
            ("Findings of ACL2026", "Findings of ACL 2026"),
            ("GEM Workshop at ACL 2026", "GEM Workshop at ACL 2026"),
            ("AI4Space @ CVPR 2026", "AI4Space @ CVPR 2026"),
            ("Accpeted by ICASSP2026", "ICASSP 2026"),
            (
                "Published in Transactions on Machine Learning Research (TMLR), 24 pages",
                "Transactions on Machine Learning Research (TMLR)",
            ),
            (
                "This manuscript has been accepted to the IEEE Transactions on Image Processing as a regular "
                "paper",
                "IEEE Transactions on Image Processing",
            ),
            ("Accepted by Medical Image Analysis", "Medical Image Analysis"),
            (
                'Accepted to the "Journal of Alzheimer\'s Disease" for publication',
                "Journal of Alzheimer's Disease",
            ),
            (
                "Accepted for publication as a full paper (Main Track) at the 27th International Conference "
                "on Artificial Intelligence in Education (AIED 2026)",
                "AIED 2026",
            ),
            (
                "In Proceedings of the 32nd ACM-SIGKDD Conference on Knowledge Discovery and Data Mining "
                "(KDD 2026)",
                "KDD 2026",
            ),
            (
                "2026 International Conference on Computing, Analytics, and Networks",
                "2026 International Conference on Computing, Analytics, and Networks",
            ),
            ("Highlight in CVPR 2026. Project at https://a.github.io/b/", "CVPR 2026"),
            ("To appear in ACL 2026", "ACL 2026"),
        ],
    )
    def test_is_what_authors_say(self, comment: str, venue: str) -> None:
        assert read(comment).venue == venue

    @pytest.mark.parametrize(
        "comment",
        [
            "",
            "12 pages, 5 figures",
            "Preprint. Under review",
            "Submitted to ICML 2026",
            "13 pages, 3 figures. Submitted to NeurIPS 2026",
            "6 pages, 4 figures, 1 table, and submitted to 2026 IEEE Globecom",
            "Under review for ACM ICMI 2026",
            "10 pages. Workshop submission to HAIL @ AIED 2026",
            "26 pages. Planning to submit to NeurIPS 2026",
            "Extended version of a paper accepted to KR 2026",
            "An earlier version of this paper was presented at WINE 2025",
            "Technical report for the CVPR 2026 VAND 4.0 workshop challenge",
            "1st place solution for the 5th PVUW Challenge (CVPR 2026 Workshop)",
            "Code will be released upon acceptance",
            "8 pages, 6 figures, IEEE conference format",
            "18 pages, uses lrec2026.sty",
            "Accepted by IEEE",
            "Preprint. June 1st, 2026",
            "Published here: https://a.example/papers.html",
            "arXiv admin note: text overlap with a paper accepted at ICML 2025",
        ],
    )
    def test_is_no_submission_no_count_of_pages_and_no_other_paper(self, comment: str) -> None:
        assert read(comment).venue == ""


class TestLinks:
    @pytest.mark.parametrize(
        ("comment", "code", "project"),
        [
            ("Code: https://github.com/a/b.", "https://github.com/a/b", ""),
            ("Code at \\url{https://github.com/a/b}", "https://github.com/a/b", ""),
            ("(https://github.com/a/b).", "https://github.com/a/b", ""),
            ("Code and data available at github.com/a/b", "https://github.com/a/b", ""),
            ("Code: https://github.com/a/b_c~d.git{https://x.example}", "https://github.com/a/b_c~d.git", ""),
            ("https://gitlab.com/a/b and https://bitbucket.org/c/d", "https://gitlab.com/a/b", ""),
            ("Models: https://huggingface.co/a/b", "https://huggingface.co/a/b", ""),
            (
                "Dataset: https://huggingface.co/datasets/a/b; code: https://github.com/a/b",
                "https://github.com/a/b",
                "",
            ),
            ("Project page: https://a.github.io/b/", "", "https://a.github.io/b/"),
            (
                "CVPR 2026, Project Page: https://aka.ms/x, Code: https://github.com/m/x",
                "https://github.com/m/x",
                "https://aka.ms/x",
            ),
            ("see https://en.example/wiki/A_(b)", "", "https://en.example/wiki/A_(b)"),
            ("DOI: https://doi.org/10.1000/1 and https://arxiv.org/abs/2601.00001", "", ""),
            ("Video: https://youtu.be/x", "", ""),
            ("At the GEM workshop: https://gem.example.com/", "", ""),
            ("https://github.com/", "", ""),
            ("https://[::1", "", ""),
            ("javascript:alert(1) https://localhost/x", "", ""),
        ],
    )
    def test_are_code_or_a_project_page(self, comment: str, code: str, project: str) -> None:
        remark = read(comment)

        assert (remark.code_url, remark.project_url) == (code, project)

    def test_come_from_the_abstract_where_the_remark_has_none(self) -> None:
        remark = read(
            "12 pages", "We do it. Code is available at \\href{https://github.com/a/b}{this https URL}."
        )

        assert remark.code_url == "https://github.com/a/b"
        assert (
            read("Code: https://github.com/own/x", "https://github.com/a/b").code_url
            == "https://github.com/own/x"
        )


class TestWithdrawal:
    @pytest.mark.parametrize(
        ("comment", "said"),
        [
            ("This paper has been withdrawn by the author", "This paper has been withdrawn by the author"),
            (
                "12 pages, 6 figures This paper has been withdrawn by the author due to a crucial error",
                "This paper has been withdrawn by the author due to a crucial error",
            ),
            ("Paper withdrawn", "Paper withdrawn"),
            (
                "2 pages, withdrawn because it is incorrect",
                "2 pages, withdrawn because it is incorrect",
            ),
            (
                "Withdrawn, due to extended version being published",
                "Withdrawn, due to extended version being published",
            ),
            ("I was wrong. I would like to withdraw the paper now", "I would like to withdraw the paper now"),
            ("This submission has been retracted", "This submission has been retracted"),
        ],
    )
    def test_is_recognised_and_quoted(self, comment: str, said: str) -> None:
        remark = read(comment)

        assert remark.withdrawn
        assert remark.withdrawal == said
        assert remark.venue == ""

    def test_in_the_abstract_stands_at_its_beginning(self) -> None:
        assert read("", "This submission has been withdrawn at the request of the author.").withdrawn
        assert not read(
            "", "We study what happens when the paper has been withdrawn by its authors."
        ).withdrawn

    @pytest.mark.parametrize(
        "comment",
        [
            "53 pages. Contains the results of the withdrawn preprint arXiv:1401.1050",
            "Supersedes arXiv:1202.3331",
            "This paper was withdrawn from ICLR 2026",
            "Version 1 was withdrawn by the authors and is replaced by this one",
            "We withdraw samples from both communities",
            "Code for drug withdrawal and retraction: https://github.com/a/withdrawn",
        ],
    )
    def test_is_not_seen_in_innocent_words(self, comment: str) -> None:
        assert not read(comment).withdrawn


class TestHostileRemarks:
    @given(
        st.text(st.characters(codec=None), max_size=300)
        | st.text("accepted at(ACL 2026).,/:https ", max_size=120)
    )
    def test_are_read_without_an_error(self, text: str) -> None:
        remark = read(text, text)

        assert len(remark.venue) <= 200
        assert max(len(remark.code_url), len(remark.project_url)) <= 500

    @pytest.mark.parametrize(
        "text",
        [
            "accepted ",
            "(",
            "Accepted at A1, ",
            "http://",
            "this paper is ",
            "[",
            "accepted at (",
            "A,",
            "\\url{",
        ],
    )
    def test_cost_no_more_than_their_length(self, text: str) -> None:
        began = time.process_time()

        read(text * 5_000, text * 5_000)

        assert time.process_time() - began < 1


@pytest.mark.shared_data
class TestRecordedRemarks:
    def test_most_announcements_name_a_venue_and_submissions_none(self, shared_data_dir: Path) -> None:
        comments = _comments(shared_data_dir, "arxiv_listings_2026-04_2026-07", "comment")
        accepted = [text for text in comments if "accepted" in text.lower() and "submi" not in text.lower()]
        submitted = [text for text in comments if text.lower().startswith("submitted to")]
        counts = [text for text in comments if text.lower().endswith(("figures", "tables", "pages"))]

        assert sum(bool(read(text).venue) for text in accepted) > 0.97 * len(accepted)
        assert [text for text in submitted if read(text).venue] == []
        assert sum(bool(read(text).venue) for text in counts) < 0.06 * len(counts)

    def test_all_who_took_their_paper_back_are_found_and_nobody_else(self, shared_data_dir: Path) -> None:
        listed = _comments(shared_data_dir, "arxiv_listings_2026-04_2026-07", "comment")
        older = _comments(shared_data_dir, "arxiv_all_sciences_until_2019", "comments")

        assert [text for text in listed if read(text).withdrawn] == []
        spoke = [text for text in older if "withdr" in text.lower()]
        assert [text for text in spoke if not read(text).withdrawn] == [
            text for text in spoke if "Contains the results of the withdrawn preprint" in text
        ]
        assert [text for text in older if read(text).withdrawn and "withdr" not in text.lower()] == []


def _comments(shared_data_dir: Path, name: str, key: str) -> list[str]:
    with gzip.open(shared_data_dir / "corpus" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [text for line in lines if (text := json.loads(line).get(key))]
