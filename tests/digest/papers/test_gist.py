import gzip
import json
import random
import time
from pathlib import Path
from statistics import fmean

import pytest

from digest.papers.gist import best_sentence
from digest.papers.glance import sentences, shortened
from digest.papers.text import readable
from tests.digest.papers.rouge import rouge_l, rouge_n

BACKGROUND = "Language models have recently become the basis of many agents."
PROBLEM = "However, existing methods remain slow and often suffer from long contexts."
GIVEN = "We introduce Swift, a method that makes agents twice as fast by sharing caches between their steps."
RESULT = "Experiments on three benchmarks show gains of 4.1 points."
CODE = "Code is available at https://github.com/example/swift."


class TestBestSentence:
    def test_takes_what_the_paper_gives_wherever_it_stands(self):
        for abstract in (
            [BACKGROUND, PROBLEM, GIVEN, RESULT, CODE],
            [GIVEN, BACKGROUND, PROBLEM, RESULT, CODE],
            [CODE, RESULT, PROBLEM, BACKGROUND, GIVEN],
        ):
            assert best_sentence("Swift: Fast Agents", " ".join(abstract)) == GIVEN

    def test_takes_no_question_and_no_address(self):
        question = "Can agents introduce tools, and do they present them well?"

        found = best_sentence("Agents and Tools", " ".join([question, RESULT, CODE]))

        assert found == RESULT

    def test_follows_the_title_where_nothing_is_announced(self):
        weather = "The weather in the mountains was mild during all of the long summer."
        glaciers = "Glaciers of the mountains lost a tenth of their ice in one season."

        assert best_sentence("Glaciers lose ice", f"{weather} {glaciers}") == glaciers

    def test_reads_chinese(self):
        background = "近年来，大型语言模型取得了显著进展，然而现有方法仍然缓慢。"
        given = "我们提出了一种新的智能体框架，通过共享缓存将推理速度提高一倍。"

        assert best_sentence("快速智能体框架", background + given + "代码将公开。") == given

    def test_is_word_for_word_and_bounded(self):
        endless = "We propose " + "a very long thing " * 60 + "indeed."

        found = best_sentence("A Thing", endless, limit=100)

        assert len(found) <= 100
        assert endless.startswith(found.removesuffix("…"))

    @pytest.mark.parametrize("abstract", ["", "   ", "One sentence."])
    def test_has_little_to_choose(self, abstract):
        assert best_sentence("T", abstract) == abstract.strip()

    def test_is_quick_with_hostile_abstracts(self):
        began = time.process_time()

        for piece in ("We propose ", ". A", "in this paper ", "code is , a ", "。", "\x00", "(" * 50):
            best_sentence(piece * 50, piece * 10_000)

        assert time.process_time() - began < 2


@pytest.fixture(scope="module")
def papers(shared_data_dir: Path) -> list[tuple[str, str, str]]:
    """Every second paper with a summary, the half on which no weight was set; of those every fifth."""
    corpus = shared_data_dir / "corpus" / "hf_daily_papers_2024-05_2026-08.jsonl.gz"
    with gzip.open(corpus, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    with_summary = [row for row in rows if row.get("ai_summary")]
    assert len(with_summary) == 5_715
    return [
        (readable(row["title"]), readable(row["abstract"]), readable(row["ai_summary"]))
        for row in with_summary[1::10]
    ]


@pytest.mark.shared_data
class TestOnRecordedSummaries:
    """Against Hugging Face's own one-line summaries: written by a model that read the same abstract."""

    def test_says_far_more_of_them_than_the_first_sentence(self, papers, capsys):
        chance = random.Random(7)
        ways = {
            "first": lambda title, abstract: shortened(sentences(abstract)[0], 320),
            "random": lambda title, abstract: shortened(chance.choice(sentences(abstract)), 320),
            "best": best_sentence,
        }
        measured = {
            name: (
                fmean(rouge_n(text, summary, 1) for text, summary in said),
                fmean(rouge_n(text, summary, 2) for text, summary in said),
                fmean(rouge_l(text, summary) for text, summary in said),
            )
            for name, way in ways.items()
            for said in [[(way(title, abstract), summary) for title, abstract, summary in papers]]
        }

        with capsys.disabled():
            for name, (one, two, longest) in measured.items():
                print(f"\n{name:>8}: ROUGE-1 {one:.3f}  ROUGE-2 {two:.3f}  ROUGE-L {longest:.3f}", end="")  # noqa: T201
            print()  # noqa: T201
        for best, first, margin in zip(measured["best"], measured["first"], (0.09, 0.07, 0.08), strict=True):
            assert best > first + margin

    def test_takes_about_half_a_millisecond(self, papers):
        began = time.process_time()
        for title, abstract, _summary in papers:
            best_sentence(title, abstract)

        assert (time.process_time() - began) / len(papers) < 0.003  # other tests run beside this one
