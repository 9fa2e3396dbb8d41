import time

import pytest

from digest.papers.glance import first_sentences, sentences, shortened


class TestSentences:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("It works. We are glad.", ["It works.", "We are glad."]),
            (
                "Tools, e.g. Search, i.e. Google, help. They work.",
                ["Tools, e.g. Search, i.e. Google, help.", "They work."],
            ),
            ("See Fig. 3 and Sec. IV. Then read on.", ["See Fig. 3 and Sec. IV.", "Then read on."]),
            ("Unlike Smith et al. Ours is small.", ["Unlike Smith et al. Ours is small."]),
            ("Unlike Smith et al. We are small.", ["Unlike Smith et al.", "We are small."]),
            ("A. N. Lovelace and J. Doe wrote it.", ["A. N. Lovelace and J. Doe wrote it."]),
            ("Scores are of class A. We show why.", ["Scores are of class A.", "We show why."]),
            ("It gains 3.5 points. 20 tasks gain.", ["It gains 3.5 points.", "20 tasks gain."]),
            (
                "Code is at https://github.com/a.b/c. Data is not.",
                ["Code is at https://github.com/a.b/c.", "Data is not."],
            ),
            ("Data are i.i.d. This helps.", ["Data are i.i.d.", "This helps."]),
            ("It fails.We mend it.", ["It fails.", "We mend it."]),
            ("We use torch.Tensor here.", ["We use torch.Tensor here."]),
            (
                "Is it so? Yes! “It is.” iPhone users agree.",
                ["Is it so?", "Yes!", "“It is.”", "iPhone users agree."],
            ),
            ("It has parts: 1. A dataset. We like it.", ["It has parts: 1. A dataset.", "We like it."]),
            ("我们提出了一种方法。结果表明它有效！", ["我们提出了一种方法。", "结果表明它有效！"]),
            ("他说“可以。”然后走了。", ["他说“可以。”", "然后走了。"]),
            ("no end", ["no end"]),
            ("  ", []),
        ],
    )
    def test_ends_where_a_reader_would(self, text, expected):
        assert sentences(text) == expected

    @pytest.mark.parametrize("piece", [".", ". ", "A. ", "。", ".”", '(["', "e.g. ", "1. "])
    def test_takes_linear_time_whatever_the_text(self, piece):
        text = piece * (100_000 // len(piece))
        began = time.process_time()

        sentences(text)

        assert time.process_time() - began < 2


class TestFirstSentences:
    def test_goes_on_while_they_are_short(self):
        text = "It works. It works well, too, on every task that we tried. More follows."

        found = first_sentences(text, limit=80)

        assert found == "It works. It works well, too, on every task that we tried."

    def test_cuts_a_first_sentence_that_is_too_long_at_a_word(self):
        assert first_sentences("One sentence that never ends and goes on", limit=20) == "One sentence that…"


class TestShortened:
    def test_leaves_alone_what_fits(self):
        assert shortened(" fits ", 4) == "fits"
