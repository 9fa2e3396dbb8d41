import json
import os
import random
from pathlib import Path
from unittest.mock import Mock

import pytest

from digest.matching.explain import Reason
from digest.matching.index import DayIndex
from subscriptions.filters import Document, Filter, evaluate, matches, normal, parse
from subscriptions.filters.tree import atoms, positive_atoms
from tests.subscriptions.filters import trees

# Random filters held against the plain reading; FILTER_TREES=10000 for the long proof.
TREES = int(os.environ.get("FILTER_TREES", 1600))


class TestDayIndex:
    @pytest.mark.parametrize("seed", range(8))
    def test_finds_what_the_plain_reading_finds(self, seed):
        rng = random.Random(seed)
        papers = [trees.document(rng) for _ in range(12)]
        index = DayIndex(papers)

        for _ in range(TREES // 8):
            wanted = Filter(trees.node(rng))
            hits = index.evaluate(wanted)
            plain = [at for at, paper in enumerate(papers) if matches(wanted, paper)]
            assert list(hits) == plain, wanted.canonical

    def test_gives_the_reasons_that_the_plain_reading_gives(self):
        rng = random.Random(8)
        papers = [trees.document(rng) for _ in range(12)]
        index = DayIndex(papers)

        for _ in range(250):
            wanted = Filter(trees.node(rng))
            hits = index.evaluate(wanted)
            for at in hits:
                known = {
                    (" ".join(found.text.split()), found.field)
                    for atom in positive_atoms(wanted.tree)
                    for found in evaluate.where(atom, papers[at])
                }
                assert set(hits.reasons(at)) <= known, wanted.canonical

    def test_names_the_words_that_the_plain_reading_names_first(self):
        rng = random.Random(9)
        papers = [trees.document(rng) for _ in range(12)]
        index = DayIndex(papers)

        for _ in range(400):
            atom = next(atoms(trees.node(rng, depth=0)))
            hits = index.evaluate(Filter(atom))
            for at in hits:
                first = next(evaluate.where(atom, papers[at]))
                assert hits.reasons(at) == [Reason(" ".join(first.text.split()), first.field)], atom

    def test_names_the_english_words_that_a_chinese_one_found(self):
        paper = Document(id="1", title="Robots", abstract="They learn 后训练 by post-training.")
        index = DayIndex([paper])

        assert index.evaluate(parse("机器人")).reasons(0) == [Reason("Robots", "title")]
        assert index.evaluate(parse("后训练")).reasons(0) == [Reason("后训练", "abstract")]
        assert index.evaluate(parse('="机器人" OR ="后训练"')).reasons(0) == [Reason("后训练", "abstract")]

    def test_answers_over_no_papers(self):
        hits = DayIndex([]).evaluate(parse("agents"))

        assert (list(hits), len(hits), hits.documents) == ([], 0, [])

    def test_counts_and_lists_its_hits(self):
        papers = [Document(id=str(n), title="agents" if n % 3 == 0 else "poems") for n in range(20)]

        hits = DayIndex(papers).evaluate(parse("agent"))

        assert len(hits) == 7
        assert 3 in hits
        assert 4 not in hits
        assert [paper.id for paper in hits.documents] == ["0", "3", "6", "9", "12", "15", "18"]

    def test_looks_an_atom_up_once_for_all_filters(self, monkeypatch):
        index = DayIndex([Document(id="1", title="agents use tools")])
        look_up = Mock(wraps=index._look_up)
        monkeypatch.setattr(index, "_look_up", look_up)

        for text in ("agents tools", "tools OR agents", "agents -tools"):
            index.evaluate(parse(text))

        assert look_up.call_count == 2

    def test_forgets_atoms_before_they_fill_the_memory(self, monkeypatch):
        monkeypatch.setattr("digest.matching.index.MAX_REMEMBERED", 3)
        index = DayIndex([Document(id="1", title="agents use tools")])

        found = [list(index.evaluate(parse(f"agents (tools OR word{n})"))) for n in range(20)]

        assert found == [[0]] * 20
        assert len(index._atoms) <= 3

    def test_reads_a_very_long_text_in_time(self):
        paper = Document(id="1", title="a-" * 5000, abstract="reward model " * 5000)

        assert list(DayIndex([paper]).evaluate(parse('"reward model reward model" a-a-a-a'))) == [0]


def recorded_papers(folder: Path) -> list[Document]:
    papers: dict[str, Document] = {}
    for file in sorted((folder / "hf_daily_papers").glob("2026-*.json")):
        for entry in json.loads(file.read_text()):
            paper = entry["paper"]
            papers.setdefault(
                paper["id"],
                Document(
                    id=paper["id"],
                    title=paper["title"],
                    abstract=paper["summary"],
                    authors=tuple(author["name"] for author in paper["authors"]),
                    org=(paper.get("organization") or {}).get("fullname", ""),
                    upvotes=paper.get("upvotes"),
                    stars=paper.get("githubStars"),
                    has=frozenset({"code"} if paper.get("githubRepo") else ()),
                ),
            )
    return list(papers.values())


@pytest.fixture(scope="module")
def recorded_day(shared_data_dir) -> DayIndex:
    return DayIndex(recorded_papers(shared_data_dir))


@pytest.mark.shared_data
class TestDayIndexOnRecordedPapers:
    def test_finds_what_the_plain_reading_finds(self, recorded_day):
        papers = recorded_day.documents
        assert len(papers) == 535

        for text in (
            "post-training",
            '"world model" -video',
            "agent* tool-use",
            "title:(LLM OR VLM) upvotes>=20",
            '"large language model" OR "vision language action"',
            '="reinforcement learning"',
            "GRPO OR RLHF OR dpo",
            "au:wang has:code",
            "org:university",
            "3D gaussian-splatting",
        ):
            wanted = parse(text)
            plain = [at for at, paper in enumerate(papers) if matches(wanted, paper)]
            assert plain, text
            assert list(recorded_day.evaluate(wanted)) == plain, text

    @pytest.mark.parametrize(
        "spellings",
        [
            ("post-training", "posttraining", '"post training"', "post-trained", "POST–TRAINING"),
            ("pre-training", "pretraining", '"pre training"', "pretrained"),
            ("mid-training", "midtraining", '"mid training"'),
            ("fine-tuning", "finetuning", '"fine tuned"'),
            ("multi-agent", "multiagent", '"multi agents"'),
            ("world-model", '"world models"', "worldmodel"),
            ("open-source", "opensource"),
            ("LLM", "llms", "LLMs"),
            ("text-to-image", '"text to image"'),
            ("vision-language-action", '"vision language action"'),
            ("chain-of-thought", '"chain of thoughts"'),
            ("mixture-of-experts", '"mixture of experts"'),
        ],
    )
    def test_finds_the_same_by_every_spelling(self, recorded_day, spellings):
        found = [list(recorded_day.evaluate(parse(text))) for text in spellings]

        assert found[0]
        assert all(other == found[0] for other in found)


class TestHaving:
    @pytest.mark.parametrize(
        "text", ["agents", '"tool using agents"', "multi-agent", "agen*", '"in the mid training"']
    )
    def test_names_the_papers_whose_words_are_read_later(self, text):
        titles = [
            "Agents",
            "Tool-using agents",
            "Multiagent tools",
            "In the mid-training",
            "In the midtraining",
            "Rain",
        ]
        index = DayIndex(
            [Document(id=str(n), title=title, org="Agents; Tools") for n, title in enumerate(titles)]
        )
        (atom,) = parse(text).positive_atoms()
        pattern = normal.pattern(atom.text, prefix=text.endswith("*"))

        for texts in index._texts.values():
            assert texts.having(pattern).tolist() == sorted(texts.find(pattern))
