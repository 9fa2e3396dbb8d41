"""Words as the matcher counts them: stems, compounds as parts and joined, without those that say nothing."""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

from digest.matching.index import DayIndex
from subscriptions.filters import normal

TITLE_WEIGHT = 3  # a word in the title counts as often

_SILENT_LIST = """
    a about above after all also although among an and any are as at be because been before being between both
    but by can could did do does doing due during each either et few for from further had has have having here
    how however i if in into is it its itself just may might more most much must no nor not now of off on once
    one only or other our out over own per same several shall she should since so some such than that the
    their them then there these they this those through thus to too two under until up upon us via was we well
    were what when where whether which while who whom why will with within without would yet you your
    paper propose proposed proposes present presents approach approaches method methods show shows shown use
    used uses using based new novel results demonstrate demonstrates achieve achieves achieving existing
    recent recently introduce introduces e.g i.e etc al
"""
SILENT = frozenset(normal.stem(word) for word in _SILENT_LIST.split())

# Words of any abstract: they tell where somebody asks for them, and tell no reader why a paper came. Not
# `agent` or `model`: those may be what somebody likes.
_SCHOLARLY_LIST = """
    abstract achieve across additional address advance aim allow also although analysis analyze another
    apply approach art article available base baseline become becomes being benefit best better beyond broad
    can cannot challenge com common comparable compare comprehensive conduct consider consist consistent
    contribute contribution crucial current dataset datasets demonstrate derive despite develop difference
    different difficult directly diverse done due each effective effectiveness efficient else enable enhance
    ensure et evaluate even every everyone everything example exist existing experiment experimental explore
    extensive facilitate fig find finding first five focus follow four framework full fully furthermore gain
    general github given good great high highly however http https identify important improve improvement
    include including increase introduce investigate key lack large lead less level leverage like limit
    limitation limited low made main make many method more moreover most multiple need new nothing novel
    number obtain offer often one open outperform overall paper particular per perform performance possible
    potential present previous prior problem propose provide public publicly range rather real recent
    recently remain report require research result reveal second section set several show significant
    significantly simple single small solution solve something sota specific standard still strategy strong
    study substantial substantially suggest support system table task technique term test then theory three
    thus time together toward towards traditional two type typical unified upon use used user using validate
    value various via way well whether while wide widely without work www year yet
"""
SCHOLARLY = frozenset(map(normal.stem, _SCHOLARLY_LIST.split()))


def is_telling(stem: str) -> bool:
    """Whether a word says what a paper is about; single letters and digits do not."""
    return len(stem) > 1 and stem not in SILENT


class Stems(NamedTuple):
    """The telling words of a few words, in order: as they stand, and neighbours written in one."""

    single: tuple[str, ...]  # mid, train
    joined: tuple[str, ...]  # midtrain


@lru_cache(maxsize=65_536)
def of_text(text: str) -> Stems:
    steps = [step for step in normal.pattern(text).steps if is_telling(step.word)]
    return Stems(
        tuple(step.word for step in steps if step.end - step.start == 1),
        tuple(step.word for step in steps if step.end - step.start > 1),
    )


def counts(index: DayIndex, columns: Mapping[str, int]) -> sp.csr_matrix:
    """(papers × columns) float32: how often each word stands in a paper, in the title TITLE_WEIGHT times.

    Words that `columns` does not name are left out.
    """
    rows, cols, times = [], [], []
    for place, weight in (("title", TITLE_WEIGHT), ("abstract", 1)):
        for stem, papers in index.stems(place):
            column = columns.get(stem)
            if column is not None:
                rows.append(papers)
                cols.append(np.full(len(papers), column, np.int32))
                times.append(np.full(len(papers), weight, np.float32))
    shape = (len(index.documents), len(columns))
    if not rows:
        return sp.csr_matrix(shape, dtype=np.float32)
    matrix = sp.coo_matrix((np.concatenate(times), (np.concatenate(rows), np.concatenate(cols))), shape=shape)
    return matrix.tocsr()  # which adds up what stands twice


def vocabulary(index: DayIndex, *, in_papers: int) -> list[str]:
    """The telling stems that stand in at least so many papers, in alphabetical order."""
    having: dict[str, set[int]] = {}
    for place in ("title", "abstract"):
        for stem, papers in index.stems(place):
            if is_telling(stem):
                having.setdefault(stem, set()).update(papers.tolist())
    return sorted(stem for stem, papers in having.items() if len(papers) >= in_papers)
