import pytest

from subscriptions.filters import compounds, normal


def words_of(text: str) -> list[str]:
    return [edge.word for edge in normal.lattice(text).edges]


class TestFold:
    @pytest.mark.parametrize(
        ("text", "folded"),
        [
            ("Agents", "agents"),
            ("  a \n b\t c ", "a b c "),
            ("Ａｇｅｎｔ：１", "agent:1"),
            ("ﬁne naïve Łukasz Ångström straße", "fine naive lukasz angstrom strasse"),
            ("e\u0301tude", "etude"),
            ("がく", "がく"),
            ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
            ("‐ ‑ – − —", "- - - -  - "),
            ("LLM’s", "llm's"),
            ("α ά \\alpha $\\alpha$ 𝛼", "alpha alpha alpha alpha alpha"),
            ("$\\tau$-bench τ-bench", "tau-bench tau-bench"),
            ("10^{25} 10²⁵ $10^{25}$ 10^25", "1025 1025 1025 1025"),
            ("$\\pi_0$ π_0 π₀ π0 π_{0}", "pi0 pi0 pi0 pi0 pi0"),
            ("$1.58$-bit", "1.58-bit"),
            ("my_function gamma_eff", "my_function gamma_eff"),
            ("\\textbf{L}azy \\emph{x} textbf{F}ast", "lazy x fast"),
            ("90\\% R\\&D ~\\cite{a,b} \\citep[see][]{c}.", "90% r&d ."),
            ('Schr\\"{o}dinger K\\"oln \\v{c} \\o', "schrodinger koln c o"),
            ("vision--language --- models", "vision-language - models"),
            ("a \\neq b \\ourmethod", "a b ourmethod"),
        ],
    )
    def test_makes_one_form_of_many(self, text, folded):
        assert " ".join(normal.fold(text).text.split()) == " ".join(folded.split())

    def test_knows_where_each_character_came_from(self):
        text = "The $\\tau$-bench  of ﬁne \\textbf{L}azy ½"

        folded = normal.fold(text)

        assert len(folded.text) == len(folded.starts) == len(folded.ends)
        place = folded.text.index("lazy")
        assert text[folded.starts[place] : folded.ends[place + 3]] == "L}azy"
        place = folded.text.index("tau")
        assert text[folded.starts[place] : folded.ends[place + 2]] == "\\tau"
        place = folded.text.index("fine")
        assert text[folded.starts[place] : folded.ends[place + 3]] == "ﬁne"


class TestStem:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("agents", "agent"),
            ("trained", "training"),
            ("llms", "llm"),
            ("llm's", "llms"),
            ("vlas", "vla"),
            ("gpus", "gpu"),
            ("h100s", "h100"),
            ("matrices", "matrix"),
            ("tokenisation", "tokenization"),
            ("optimised", "optimized"),
            ("policies", "policy"),
            ("transformers", "transformer"),
            ("generalisation", "generalizing"),
        ],
    )
    def test_joins_the_forms_of_a_word(self, one, other):
        assert normal.stem(one) == normal.stem(other)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("transformer", "transform"),
            ("objective", "object"),
            ("experiments", "experience"),
            ("organisation", "organ"),
            ("bias", "bia"),
            ("class", "clas"),
            ("universal", "university"),
            ("activationsteering", "activation"),
            ("transformerarchitecture", "transformer"),
            ("responsibleai", "responsible"),
        ],
    )
    def test_keeps_different_words_apart(self, one, other):
        assert normal.stem(one) != normal.stem(other)


class TestLattice:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("mid-training data", ["mid", "training", "midtraining", "data"]),
            ("midtraining", ["mid", "training", "midtraining"]),
            ("world-model", ["world", "model", "worldmodel"]),
            ("text-to-image", ["text", "to", "textto", "image", "toimage", "texttoimage"]),
            ("GPT4", ["gpt", "4", "gpt4"]),
            ("layers 3-5", ["layers", "3", "5"]),
            ("C++ and F#", ["c++", "and", "f#"]),
            ("后训练LLM", ["后", "训", "练", "llm"]),
            ("don't", ["don't"]),
            ("a/b ab_cd", ["a", "b", "ab", "cd"]),
            ("...", []),
        ],
    )
    def test_holds_parts_and_joined_forms(self, text, words):
        assert words_of(text) == words


class TestPattern:
    @pytest.mark.parametrize("phrase", ["emergent ability", "activation steering", "agent able"])
    def test_never_takes_the_first_word_of_a_phrase_for_all_of_it(self, phrase):
        words = {step.word for step in normal.pattern(phrase).steps if step.end - step.start == 2}

        assert normal.stem(phrase.partition(" ")[0]) not in words


class TestSplit:
    @pytest.mark.parametrize(
        ("word", "parts"),
        [
            ("midtraining", ("mid", "training")),
            ("pretrained", ("pre", "trained")),
            ("finetuning", ("fine", "tuning")),
            ("multiagent", ("multi", "agent")),
            ("rollouts", ("roll", "outs")),
            ("stepwise", ("step", "wise")),
            ("taubench", ("tau", "bench")),
            ("llama3", ("llama", "3")),
            ("qwen3vl", ("qwen", "3vl")),
        ],
    )
    def test_finds_the_seam(self, word, parts):
        assert compounds.split(word) == parts

    @pytest.mark.parametrize(
        "word",
        [
            *("present", "preference", "predict", "report", "research", "single", "overall", "understanding"),
            *(
                "poster",
                "posterior",
                "multiple",
                "metal",
                "nonetheless",
                "autonomous",
                "middle",
                "anticipate",
            ),
            *("neurons", "otherwise", "workbench", "text2image", "r1", "3d", "cross", "mid"),
        ],
    )
    def test_leaves_whole_words_whole(self, word):
        assert compounds.split(word) is None
