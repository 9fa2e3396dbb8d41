"""Filters as numbers find what they find as trees."""

import random

import pytest

from digest.matching.batch import as_bits
from digest.matching.compiled import BadCompiledError, Compiled
from digest.matching.index import DayIndex
from subscriptions.filters import Filter
from subscriptions.filters.tree import And, Not, Or, Word
from tests.subscriptions.filters import trees


class TestCompiled:
    def test_finds_what_the_index_finds(self):
        rng = random.Random(1)
        index = DayIndex([trees.document(rng) for _ in range(70)])
        wanted = [trees.node(rng) for _ in range(250)]
        compiled = Compiled(wanted)

        for kept in (compiled, Compiled.from_bytes(compiled.to_bytes())):
            asked = kept.asked(index)
            assert len(kept) == 250
            for first, last in ((0, 100), (100, 250)):
                plain = as_bits([index.evaluate(Filter(node)).bits for node in wanted[first:last]], 70)
                assert (asked.hits(first, last) == plain).all()

    def test_grows_after_it_was_stored(self):
        kept = Compiled.from_bytes(Compiled([Word("agent")]).to_bytes())

        number = kept.add(Or((Word("agent"), Word("tool"))))

        assert (number, len(kept), kept.atoms) == (1, 2, 2)

    def test_knows_empty_groups_and_bits_beyond_the_last_paper(self):
        rng = random.Random(2)
        index = DayIndex([trees.document(rng) for _ in range(3)])

        asked = Compiled([And(()), Or(()), Not(Or(()))]).asked(index)

        assert asked.hits(0, 3).tolist() == [[7], [0], [7]]

    def test_says_what_are_no_compiled_filters(self):
        with pytest.raises(BadCompiledError):
            Compiled.from_bytes(b"PK nothing of the kind")
