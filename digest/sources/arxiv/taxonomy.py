"""arXiv's categories: what each code is called, which group it belongs to, and which codes mean the same.

Facts as of 2026-06 from arXiv's own taxonomy (https://arxiv.org/category_taxonomy, and the definitions in the
public repository arXiv/arxiv-base). Case matters in codes: `cs.CL`, never `cs.cl`.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Category:
    """`alias`: the code that a paper in this category carries as well; of a closed category its successor."""

    code: str
    name: str
    group: str
    is_active: bool = True
    alias: str = ""

    @property
    def archive(self) -> str:
        """What stands before the dot: `cs` of `cs.CL`; `hep-th` is its own."""
        return self.code.partition(".")[0]


# One line each: the code, then its name.
_ACTIVE = {
    "Computer Science": """
        cs.AI Artificial Intelligence
        cs.AR Hardware Architecture
        cs.CC Computational Complexity
        cs.CE Computational Engineering, Finance, and Science
        cs.CG Computational Geometry
        cs.CL Computation and Language
        cs.CR Cryptography and Security
        cs.CV Computer Vision and Pattern Recognition
        cs.CY Computers and Society
        cs.DB Databases
        cs.DC Distributed, Parallel, and Cluster Computing
        cs.DL Digital Libraries
        cs.DM Discrete Mathematics
        cs.DS Data Structures and Algorithms
        cs.ET Emerging Technologies
        cs.FL Formal Languages and Automata Theory
        cs.GL General Literature
        cs.GR Graphics
        cs.GT Computer Science and Game Theory
        cs.HC Human-Computer Interaction
        cs.IR Information Retrieval
        cs.IT Information Theory
        cs.LG Machine Learning
        cs.LO Logic in Computer Science
        cs.MA Multiagent Systems
        cs.MM Multimedia
        cs.MS Mathematical Software
        cs.NA Numerical Analysis
        cs.NE Neural and Evolutionary Computing
        cs.NI Networking and Internet Architecture
        cs.OH Other Computer Science
        cs.OS Operating Systems
        cs.PF Performance
        cs.PL Programming Languages
        cs.RO Robotics
        cs.SC Symbolic Computation
        cs.SD Sound
        cs.SE Software Engineering
        cs.SI Social and Information Networks
        cs.SY Systems and Control
    """,
    "Economics": """
        econ.EM Econometrics
        econ.GN General Economics
        econ.TH Theoretical Economics
    """,
    "Electrical Engineering and Systems Science": """
        eess.AS Audio and Speech Processing
        eess.IV Image and Video Processing
        eess.SP Signal Processing
        eess.SY Systems and Control
    """,
    "Mathematics": """
        math.AC Commutative Algebra
        math.AG Algebraic Geometry
        math.AP Analysis of PDEs
        math.AT Algebraic Topology
        math.CA Classical Analysis and ODEs
        math.CO Combinatorics
        math.CT Category Theory
        math.CV Complex Variables
        math.DG Differential Geometry
        math.DS Dynamical Systems
        math.FA Functional Analysis
        math.GM General Mathematics
        math.GN General Topology
        math.GR Group Theory
        math.GT Geometric Topology
        math.HO History and Overview
        math.IT Information Theory
        math.KT K-Theory and Homology
        math.LO Logic
        math.MG Metric Geometry
        math.MP Mathematical Physics
        math.NA Numerical Analysis
        math.NT Number Theory
        math.OA Operator Algebras
        math.OC Optimization and Control
        math.PR Probability
        math.QA Quantum Algebra
        math.RA Rings and Algebras
        math.RT Representation Theory
        math.SG Symplectic Geometry
        math.SP Spectral Theory
        math.ST Statistics Theory
    """,
    "Physics": """
        astro-ph.CO Cosmology and Nongalactic Astrophysics
        astro-ph.EP Earth and Planetary Astrophysics
        astro-ph.GA Astrophysics of Galaxies
        astro-ph.HE High Energy Astrophysical Phenomena
        astro-ph.IM Instrumentation and Methods for Astrophysics
        astro-ph.SR Solar and Stellar Astrophysics
        cond-mat.dis-nn Disordered Systems and Neural Networks
        cond-mat.mes-hall Mesoscale and Nanoscale Physics
        cond-mat.mtrl-sci Materials Science
        cond-mat.other Other Condensed Matter
        cond-mat.quant-gas Quantum Gases
        cond-mat.soft Soft Condensed Matter
        cond-mat.stat-mech Statistical Mechanics
        cond-mat.str-el Strongly Correlated Electrons
        cond-mat.supr-con Superconductivity
        gr-qc General Relativity and Quantum Cosmology
        hep-ex High Energy Physics - Experiment
        hep-lat High Energy Physics - Lattice
        hep-ph High Energy Physics - Phenomenology
        hep-th High Energy Physics - Theory
        math-ph Mathematical Physics
        nlin.AO Adaptation and Self-Organizing Systems
        nlin.CD Chaotic Dynamics
        nlin.CG Cellular Automata and Lattice Gases
        nlin.PS Pattern Formation and Solitons
        nlin.SI Exactly Solvable and Integrable Systems
        nucl-ex Nuclear Experiment
        nucl-th Nuclear Theory
        physics.acc-ph Accelerator Physics
        physics.ao-ph Atmospheric and Oceanic Physics
        physics.app-ph Applied Physics
        physics.atm-clus Atomic and Molecular Clusters
        physics.atom-ph Atomic Physics
        physics.bio-ph Biological Physics
        physics.chem-ph Chemical Physics
        physics.class-ph Classical Physics
        physics.comp-ph Computational Physics
        physics.data-an Data Analysis, Statistics and Probability
        physics.ed-ph Physics Education
        physics.flu-dyn Fluid Dynamics
        physics.gen-ph General Physics
        physics.geo-ph Geophysics
        physics.hist-ph History and Philosophy of Physics
        physics.ins-det Instrumentation and Detectors
        physics.med-ph Medical Physics
        physics.optics Optics
        physics.plasm-ph Plasma Physics
        physics.pop-ph Popular Physics
        physics.soc-ph Physics and Society
        physics.space-ph Space Physics
        quant-ph Quantum Physics
    """,
    "Quantitative Biology": """
        q-bio.BM Biomolecules
        q-bio.CB Cell Behavior
        q-bio.GN Genomics
        q-bio.MN Molecular Networks
        q-bio.NC Neurons and Cognition
        q-bio.OT Other Quantitative Biology
        q-bio.PE Populations and Evolution
        q-bio.QM Quantitative Methods
        q-bio.SC Subcellular Processes
        q-bio.TO Tissues and Organs
    """,
    "Quantitative Finance": """
        q-fin.CP Computational Finance
        q-fin.EC Economics
        q-fin.GN General Finance
        q-fin.MF Mathematical Finance
        q-fin.PM Portfolio Management
        q-fin.PR Pricing of Securities
        q-fin.RM Risk Management
        q-fin.ST Statistical Finance
        q-fin.TR Trading and Market Microstructure
    """,
    "Statistics": """
        stat.AP Applications
        stat.CO Computation
        stat.ME Methodology
        stat.ML Machine Learning
        stat.OT Other Statistics
        stat.TH Statistics Theory
    """,
}
# In papers of the past only: code, name, group, successor.
_CLOSED = (
    ("cmp-lg", "Computation and Language", "Computer Science", "cs.CL"),
    ("alg-geom", "Algebraic Geometry", "Mathematics", "math.AG"),
    ("dg-ga", "Differential Geometry", "Mathematics", "math.DG"),
    ("funct-an", "Functional Analysis", "Mathematics", "math.FA"),
    ("q-alg", "Quantum Algebra and Topology", "Mathematics", "math.QA"),
    ("acc-phys", "Accelerator Physics", "Physics", "physics.acc-ph"),
    ("adap-org", "Adaptation, Noise, and Self-Organizing Systems", "Physics", "nlin.AO"),
    ("ao-sci", "Atmospheric-Oceanic Sciences", "Physics", "physics.ao-ph"),
    ("astro-ph", "Astrophysics", "Physics", ""),
    ("atom-ph", "Atomic, Molecular and Optical Physics", "Physics", "physics.atom-ph"),
    ("bayes-an", "Bayesian Analysis", "Physics", "physics.data-an"),
    ("chao-dyn", "Chaotic Dynamics", "Physics", "nlin.CD"),
    ("chem-ph", "Chemical Physics", "Physics", "physics.chem-ph"),
    ("comp-gas", "Cellular Automata and Lattice Gases", "Physics", "nlin.CG"),
    ("cond-mat", "Condensed Matter", "Physics", ""),
    ("mtrl-th", "Materials Theory", "Physics", "cond-mat.mtrl-sci"),
    ("patt-sol", "Pattern Formation and Solitons", "Physics", "nlin.PS"),
    ("plasm-ph", "Plasma Physics", "Physics", "physics.plasm-ph"),
    ("solv-int", "Exactly Solvable and Integrable Systems", "Physics", "nlin.SI"),
    ("supr-con", "Superconductivity", "Physics", "cond-mat.supr-con"),
    ("q-bio", "Quantitative Biology", "Quantitative Biology", ""),
)
# Two names of one category, in two archives: a paper in one is in the other too.
_ALIASES = (
    ("cs.IT", "math.IT"),
    ("cs.NA", "math.NA"),
    ("cs.SY", "eess.SY"),
    ("econ.GN", "q-fin.EC"),
    ("math.MP", "math-ph"),
    ("math.ST", "stat.TH"),
)


def _categories() -> dict[str, Category]:
    aliases = dict(_ALIASES) | {second: first for first, second in _ALIASES}
    table: dict[str, Category] = {}
    for group, lines in _ACTIVE.items():
        for line in lines.split("\n"):
            code, _, name = line.strip().partition(" ")
            if code:
                table[code] = Category(code, name, group, alias=aliases.get(code, ""))
    for code, name, group, successor in _CLOSED:
        table[code] = Category(code, name, group, is_active=False, alias=successor)
    return table


CATEGORIES: dict[str, Category] = _categories()

_ARCHIVES = frozenset(category.archive for category in CATEGORIES.values())
_OF_PHYSICS = frozenset(category.archive for category in CATEGORIES.values() if category.group == "Physics")
_BY_LOWER_CASE = {code.lower(): code for code in CATEGORIES}
# A code that arXiv may add tomorrow; subject classes of other systems (I.2.6, 68T05) do not look like it.
_LIKE_A_CODE = re.compile(
    r"(?P<archive>[a-z]{2,10}(?:-[a-z]{2,10})?)\.(?:[A-Z]{2}|[a-z]{2,8}(?:-[a-z]{2,8})?)", re.ASCII
)


def is_category(code: str) -> bool:
    """Whether this is a category, or could be a new one of an archive that is there."""
    match = _LIKE_A_CODE.fullmatch(code)
    return code in CATEGORIES or (match is not None and match["archive"] in _ARCHIVES)


def is_archive(code: str) -> bool:
    """Whether this names all categories of an archive: "cs" stands for "cs.AI", "cs.CL" and so on."""
    return code in _ARCHIVES and (code not in CATEGORIES or not CATEGORIES[code].is_active)


def spelled(code: str) -> str:
    """The code as arXiv's data has it: "CS.cl" → "cs.CL". What is no category is given back as it is."""
    code = code.strip()
    return _BY_LOWER_CASE.get(code.lower(), code)


def oai_set(code: str) -> str:
    """The set of a category or an archive in OAI-PMH: "cs.CL" → "cs:cs:CL", "hep-th" → "physics:hep-th"."""
    archive, _, subject = code.partition(".")
    group = "physics" if archive in _OF_PHYSICS else archive
    return f"{group}:{archive}:{subject}" if subject else f"{group}:{archive}"


def of_oai_set(name: str) -> str:
    """The category of a set: "physics:astro-ph:CO" → "astro-ph.CO". Empty for sets of several categories."""
    _, _, rest = name.partition(":")
    code = rest.replace(":", ".")
    return code if code in CATEGORIES else ""
