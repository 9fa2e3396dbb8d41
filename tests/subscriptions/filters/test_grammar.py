from string import ascii_letters

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from subscriptions.filters import Filter, FilterError, parse
from subscriptions.filters.tree import And, Compare, Exact, Not, Or, Phrase, Value, Word
from tests.subscriptions.filters import trees

A, B, C = Word("a"), Word("b"), Word("c")


class TestParse:
    @pytest.mark.parametrize(
        ("text", "tree"),
        [
            ("a", A),
            ("a b", And((A, B))),
            ("a AND b", And((A, B))),
            ("a OR b", Or((A, B))),
            ("a b OR c", Or((And((A, B)), C))),
            ("a OR b c", Or((A, And((B, C))))),
            ("a (b OR c)", And((A, Or((B, C))))),
            ("a -b", And((A, Not(B)))),
            ("a NOT b", And((A, Not(B)))),
            ("a AND NOT b", And((A, Not(B)))),
            ("a ANDNOT b", And((A, Not(B)))),
            ("-a b", And((Not(A), B))),
            ("a -(b OR c)", And((A, Not(Or((B, C)))))),
            ("a NOT -b", And((A, B))),
            ("a OR (b OR c)", Or((A, B, C))),
            ("a (b c)", And((A, B, C))),
            ("(((a)))", A),
            ("a a", A),
            ('"a b"', Phrase("a b")),
            ('"a"', A),
            ('"OR"', Phrase("OR")),
            ('="a b"', Exact("a b")),
            ("agent*", Word("agent", prefix=True)),
            ("title:a", Word("a", "title")),
            ("TI:a", Word("a", "title")),
            ("abs:a", Word("a", "abstract")),
            ('au:"Yann LeCun"', Phrase("Yann LeCun", "author")),
            ('title:="a b"', Exact("a b", "title")),
            ("title:(a OR b)", Or((Word("a", "title"), Word("b", "title")))),
            ("title:(a author:bo)", And((Word("a", "title"), Word("bo", "author")))),
            ("cat:CS.cl", Value("cat", "cs.CL")),
            ("cat:cs.*", Value("cat", "cs")),
            ("cat:(cs.CL OR cs.LG)", Or((Value("cat", "cs.CL"), Value("cat", "cs.LG")))),
            ("id:arXiv:2501.01234v2", Value("id", "2501.01234")),
            ("id:https://arxiv.org/abs/hep-th/9901001v1", Value("id", "hep-th/9901001")),
            ("has:Code", Value("has", "code")),
            ("upvotes>=20", Compare("upvotes", ">=", 20)),
            ("upvotes >= 20", Compare("upvotes", ">=", 20)),
            ("Stars=007", Compare("stars", "=", 7)),
            ("comments≤3", Compare("comments", "<=", 3)),
            ("upvotes", Word("upvotes")),
            ("or", Word("or")),
            ("2:4 a", And((Word("2:4"), A))),
            ("a, b.", And((A, B))),
            ("C++", Word("C++")),
            ("（a OR “b c”） －survey", And((Or((A, Phrase("b c"))), Not(Word("survey"))))),
            ("标题", Word("标题")),
            ("ｔｉｔｌｅ：ａ", Word("a", "title")),
            ("pre–training", Word("pre-training")),
        ],
    )
    def test_reads(self, text, tree):
        assert parse(text).tree == tree

    @pytest.mark.parametrize(
        ("text", "canonical"),
        [
            ("harness -survey has:code", "harness AND NOT survey AND has:code"),
            ("a b OR c", "(a AND b) OR c"),
            ("a (b OR c)", "a AND (b OR c)"),
            ("ti:(agent* OR tool)", "title:(agent* OR tool)"),
            ("ti:agent* OR ti:tool", "title:(agent* OR tool)"),
            ("x (ti:a OR ti:b)", "x AND title:(a OR b)"),
            ('au:"Yann LeCun"', 'author:"Yann LeCun"'),
            ("upvotes ≥ 020", "upvotes>=20"),
            ("“reward  model”", '"reward model"'),
            (
                'midtraining ("reward model" OR GRPO) -survey title:agent* au:"Yann LeCun" cat:cs.CL '
                "org:deepmind upvotes>=20 has:code",
                'midtraining AND ("reward model" OR GRPO) AND NOT survey AND title:agent* AND '
                'author:"Yann LeCun" AND cat:cs.CL AND org:deepmind AND upvotes>=20 AND has:code',
            ),
        ],
    )
    def test_writes_one_form(self, text, canonical):
        assert parse(text).canonical == canonical
        assert parse(canonical).canonical == canonical

    def test_lists_its_atoms_once(self):
        found = parse("a (b OR a) -c")

        assert found.atoms() == (A, B, C)
        assert found.positive_atoms() == (A, B)

    @pytest.mark.parametrize(
        ("text", "hints"),
        [
            ("agents OR tools", ()),
            (
                "agents or tools",
                ("Column 8: or is searched for as a word. Write OR for either of two.",),
            ),
            (
                "agents not tools",
                ("Column 8: not is searched for as a word. Write NOT to leave something out.",),
            ),
            (
                "agents, tools",
                ("Column 7: , does nothing; all words must be found. Write OR between alternatives.",),
            ),
            (
                "'reward model'",
                ('Column 1: \' makes no phrase. Write "words" with double quotes.',),
            ),
            (
                "au:Yann LeCun",
                (
                    "Column 9: LeCun is searched for as a word of its own. If it belongs to the name, write "
                    'au:"Yann LeCun".',
                ),
            ),
            ("au:LeCun GRPO", ()),
            ('au:"Yann LeCun" Agents', ()),
            ("title :a", ("Column 1: title is searched for as a word. Perhaps title:a is meant.",)),
            ("upvotes 20", ("Column 1: upvotes is searched for as a word. Perhaps upvotes>=20 is meant.",)),
            ("stars galaxies", ()),
            ("后训练 -au:何恺明", ()),
            (
                "生成",
                (
                    "Column 1: 生成 is too common a word to be taken in English too; it is found as it "
                    "stands only. In English perhaps generation.",
                ),
            ),
            (
                "agents 推理模型训练",
                (
                    "Column 8: 推理模型训练 is not in the glossary; it is found as it stands only. In "
                    'English perhaps "reasoning model" training.',
                ),
            ),
            ("한국어", ("Column 1: 한국어 is not in the glossary; it is found as it stands only.",)),
            ('="생성" ="生成"', ()),
        ],
    )
    def test_hints_at_what_was_perhaps_meant(self, text, hints):
        assert parse(text).hints == hints

    @pytest.mark.parametrize(
        ("text", "also"),
        [
            ("后训练", ("后训练, also post-training",)),
            ("title:推理 -后训练", ("推理, also reasoning or inference", "后训练, also post-training")),
            ('="后训练" 后训练* au:后训练', ()),
            ("生成 agents", ()),
            ("org:清华大学", ("清华大学, also Tsinghua University",)),
        ],
    )
    def test_says_what_chinese_words_also_mean(self, text, also):
        found = parse(text)

        assert found.also == also
        assert parse(found.canonical) == found
        assert parse(found.canonical).also == also

    def test_keeps_to_its_limits(self):
        assert len(parse("a" * 1000).canonical) == 1000
        assert len(parse(" ".join(f"w{n}" for n in range(50))).atoms()) == 50
        assert parse("(" * 10 + "a" + ")" * 10).tree == A


class TestCanonical:
    @given(trees.filters())
    @settings(max_examples=150, deadline=None)
    def test_is_read_back_as_the_same_tree(self, found):
        if len(found.canonical) <= 1000:
            assert parse(found.canonical) == found

    def test_is_read_back_at_the_greatest_depth(self):
        text = "x"
        for level in range(10):
            text = f"(a{level} b{level} OR c{level} {text})"

        found = parse(text)

        assert parse(found.canonical) == found

    def test_leaves_words_out_of_groups_when_it_would_grow_too_long(self):
        found = parse(" ".join(f"-{letter * 18}" for letter in ascii_letters[:47]) + " agents")

        assert " AND NOT " not in found.canonical
        assert parse(found.canonical) == found


SIGNS = st.sampled_from(
    [
        *"()\"-=*:.,|&!+<>'$\\{}_^~ \t：（“＊é…－—´℀≥ßİ",
        *(" OR ", " AND ", " NOT ", " ANDNOT ", "OR", "title:", "au:", "cat:", "has:", "id:", "arxiv:"),
        *("upvotes", ">=", "agent", "a", "9", "cs.CL", "code", "后训练", "ﷺ", "⑴"),
        *("\u3000", "\u200b", "\u0301", "\U0001f600", "\x00", "\ud800"),
    ]
)


class TestAnyText:
    @given(st.one_of(st.lists(SIGNS, max_size=30).map("".join), st.text(max_size=60)))
    @example('"')
    @example("(" * 1000)
    @example("-" * 1000)
    @example('="a"' * 250)
    @example("NOT " * 250)
    @example("title:" * 166)
    @example("a-" * 500)
    @example('"' + "a " * 499)
    @example("\\" * 1000)
    @example("{" * 1000)
    @settings(max_examples=400, deadline=1000)
    def test_is_a_filter_or_an_error_with_a_place_and_a_cure(self, text):
        read = _filter_or_error(text)

        if isinstance(read, FilterError):
            assert 1 <= read.column <= len(text) + 1
            assert read.message
            assert read.cure
            assert str(read) == f"Column {read.column}: {read.message} {read.cure}"
            assert read.caret.endswith("^")
        else:
            assert len(read.canonical) <= 1000
            assert parse(read.canonical) == read


def _filter_or_error(text: str) -> Filter | FilterError:
    try:
        return parse(text)
    except FilterError as error:
        return error
