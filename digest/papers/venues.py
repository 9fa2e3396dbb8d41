"""Where a paper was accepted or has appeared, out of what its authors remark.

"12 pages, accepted to the CVPR 2026 Workshop on X. Code: …" says "CVPR 2026 Workshop on X". Two shapes are
read: a sentence with a word such as "accepted", and a part that is nothing but a name ("ICML 2026
Spotlight", "IEEE Transactions on Image Processing"). What was only submitted, what an earlier version did,
and what is a report on a contest is left out.
"""

import re
from collections.abc import Iterator
from itertools import islice


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LONGEST = 200
_LONGEST_SENTENCE = 500
_MOST_CUES = 5
_LONG = 60  # longer names of well-known conferences are said short


def find(remark: str) -> str:
    """The venue in the authors' own words, tidied; empty where the remark names none.

    `remark` is one line in which links stand as "\\x00".
    """
    sentences = list(_sentences(_spelled(_NOTE.split(remark, maxsplit=1)[0])))
    for sentence in sentences:
        if name := _announced(sentence):
            return name
    for sentence in sentences:
        if name := _stated(sentence):
            return name
    return ""


# Everything behind arXiv's own note speaks of other papers.
_NOTE = re.compile(r"arxiv admin note", re.IGNORECASE)
_END = re.compile(r"[;|•\x00]|\.(?=\s+[A-Z\d\"“‘(]|\s*$)")
_ABBREVIATED = re.compile(
    r"\b(?:Proc|Int|Intl|Conf|Trans|Symp|Comput|Lett|Sci|Eng|vol|no|pp|al|St|[A-Z])$", re.IGNORECASE
)


def _sentences(text: str) -> Iterator[str]:
    begin = 0
    for end in _END.finditer(text):
        if end.group() == "." and _ABBREVIATED.search(text, max(begin, end.start() - 12), end.start()):
            continue
        yield text[begin : end.start()].strip()
        begin = end.end()
    yield text[begin:].strip()


# The paper is not there yet, or the words speak of another one: nothing behind them is read.
_NOT_THERE = re.compile(
    r"\bsub(?:mit|mis)|\bunder\b|in review|reviewing|being reviewed|review process|revision|await|reject"
    r"|\bplan(?:s|ned|ning)? to\b|\bplanned for\b"
    r"|\bintend|being prepared|in preparation|\btarget(?:ed|ing) (?:at|for|to)|extended (?!abstract)"
    r"|extension|\bextends\b|journal version"
    r"|(?:previous|earlier|preliminary|initial|conference|prior|first|older) (?:\w+ )?(?:version"
    r"|results?|work|draft)s?\b"
    r"|\bparts? of|\bpartial|based on|builds? (?:up)?on|companion (?:paper|to)|follow-up|template"
    r"|\bformat\b|\bstyle\b"
    r"|rolling review|\breport\b|system description|system paper|\bsolution|\bwinn|\bplace\b|\branked"
    r"|\bchallenge\b(?! (?:track|workshop))"
    r"|\bteam\b|\btask \d|\bnot\b|\bpossible\b|considered|\bconsideration\b|\bpotential publication"
    r"|\bhackathon|conditional",
    re.IGNORECASE,
)
_CUE = re.compile(
    r"\b(?:accept(?:ed|ance)?|ac+[ep]{1,3}[cpt]{1,3}e?t?e?d|appectped|(?:to|will) (?:be )?appear(?:ed)?"
    r"|appear(?:s|ed|ing)?(?= (?:in|at)\b)"
    r"|publish(?:ed)?|publication|present(?:ed)?(?= (?:at|in|on|as)\b)|presentation"
    r"|forthcoming|in press|camera[- ]ready|in proceedings)\b",
    re.IGNORECASE,
)


def _announced(sentence: str) -> str:
    """The venue of "12 pages, accepted for publication as a full paper at …"."""
    for cue in islice(_CUE.finditer(sentence), _MOST_CUES):
        if _NOT_THERE.search(sentence, 0, cue.start()):
            return ""
        rest = sentence[cue.end() : cue.end() + _LONGEST_SENTENCE]
        if name := _named(_without_filler(rest)):
            return name
        # "ICML 2026 (accepted)"
        if name := _stated(sentence[: cue.start()]):
            return name
    return ""


# Words between "accepted" and the name of the place.
_FILLER = _words(
    """
    and for as a an the at to by in on into with from be is was will has have been our its this upcoming
    now version presented published accepted appear appears publication publishing presentation
    inclusion acceptance appearance oral poster posters spotlight highlight talk paper papers article
    articles proceedings proceeding proc of manuscript work publish it non-archival camera-ready
    """
)
_KINDS_OF_PAPER = _words(
    """
    full long short regular research conference journal workshop poster oral demo demonstration
    technical position application survey invited main industry findings spotlight highlight late
    breaking late-breaking extended peer-reviewed track (oral) (poster) (spotlight) (highlight) doctoral
    consortium special session resource
    """
)
_PAPERS = _words(
    """
    paper papers article articles presentation poster talk contribution abstract abstracts results
    proceedings
    """
)
_BOUND = _words("for at of in to")


def _without_filler(text: str) -> str:
    words = text.split()
    at = 0
    while at < len(words):
        word = words[at].strip(",:@-–—&*/'\"“”").lower().rstrip(".")
        if not word or word in _FILLER or (word[0] == "(" and word[-1] == ")" and _is_remark(word)):
            at += 1
            continue
        ahead = at
        while ahead < len(words) and words[ahead].strip(",()").lower() in _KINDS_OF_PAPER:
            ahead += 1
        if at < ahead < len(words):
            following = words[ahead].strip(",.()").lower()
            if following in _PAPERS or (following in _BOUND and ahead - at > 1) or (following == "for"):
                at = ahead + 1
                continue
        if word[0] == "(" and (
            end := next((n for n in range(at, min(at + 5, len(words))) if ")" in words[n]), None)
        ):
            inside = " ".join(words[at : end + 1]).strip("(),").lower()
            following = words[end + 1].lower() if end + 1 < len(words) else ""
            if following in _BOUND | {"by"} or all(
                part in _FILLER | _KINDS_OF_PAPER | _PAPERS for part in inside.split()
            ):
                at = end + 1
                continue
        break
    return " ".join(words[at:])


def _is_remark(word: str) -> bool:
    return word.strip("()") in _FILLER | _KINDS_OF_PAPER | _PAPERS


# What may stand behind a name, and is none of it.
_BEHIND = re.compile(
    r"[\s,:(\[–—-]{0,4}(?:(?<!\w)\d{1,3}\s*(?:\+\s*\d+\s*)?-?(?:pages?|pgs?|pp|figures?|figs?|tables?"
    r"|algorithms?|main|equations|content)\b"
    r"|\bpages?:?\s+\d|\bpp\.|\bto be (?:published|presented|held)|\b(?:which|that|where)\s|\bheld (?:in"
    r"|at|on)\b|\bon (?:january|february|march|april|may|june|july|august|september|october|november"
    r"|december)\b|\bedited by|\bdoi\b"
    r"|\barxiv\b|\bvol(?:\.|ume)\b|\bissn\b|\bisbn\b|\b(?:with|and|plus)\s+\d|\bincluding\b|\bcontains?\b"
    r"|\b(?:project|webpage|web page|website|homepage|source code|github|supplementary|appendix|our"
    r"|please|see|available|this (?:is|paper|work|version|article|arxiv|preprint)|dataset is"
    r"|datasets? available)\b"
    r"|\b(?:and )?codes?(?=\s*(?:$|[:\x00(]|(?:is|are|at|and|will|available|release|repository)\b))"
    r"|\bdata (?=is|are|and code|available)|\bdemo (?=at|video|page|is)"
    r"|\bas (?:an?|the|its|main|long|short|full|oral|poster|spotlight|highlight|regular)\b"
    r"|\bfor (?:publication|presentation|oral|poster|publishing)\b"
    r"|\bfirst published|\breceived\b|\bcopyright|©|\blicense|\b(?:the )?authors?\b|\bequal contrib"
    r"|\bcorresponding|\(\d+(?:st|nd|rd|th) place|\bauthor accepted|\balready\b|\bin its\b|\bunder\b"
    r"|\bsubmi|\band (?:was |has been |will be |is )?(?:presented|accepted|published|selected"
    r"|to appear)\b|\band will\b|/ to appear)"
    r".*",
    re.IGNORECASE,
)
_YEAR = r"(?:20[0-3]\d|[’'‘`]\s?(?:20)?[0-3]\d|2[4-9]\b)"
_HAS_YEAR = re.compile(rf"(?<!\d){_YEAR}(?!\d)")
_GOES_ON = re.compile(
    r"(?:\w+\s+){0,3}(?:workshops?|findings?|main|oral|spotlight|highlight|poster|demo|industry|track"
    r"|srw)\b|(?:and|&)\s",
    re.IGNORECASE,
)


def _named(text: str) -> str:
    """The name of a place at the beginning of the text; empty where none stands there."""
    text = _BEHIND.sub("", text, count=1)
    parts = text.split(", ")
    name = parts[0]
    for part in parts[1:5]:
        # A year in front, "2026 International Conference on …", says nothing about where the name ends.
        has_year = bool(_HAS_YEAR.search(name, 6)) or (name.endswith(")") and not _HAS_YEAR.match(part))
        if has_year and not (_GOES_ON.match(part) and "(" not in part[:1]):
            break
        if not has_year and not (part[:1].isupper() or part[:1].isdigit() or _GOES_ON.match(part)):
            break
        name = f"{name}, {part}"
    name = _tidied(name)
    return name if _is_place(name) else ""


# Words that a place's name has, and what they are part of is one.
_PLACE = re.compile(
    r"\b(?:conference|workshops?|symposium|journal|transactions|trans\.|letters|proceedings|congress"
    r"|meeting|annual|findings|magazine"
    r"|handbook|lecture notes|colloquium|forum|summit|bulletin|annals|advances|frontiers|reviews?"
    r"|encyclopedia|special issue"
    r"|nature|science|sciences|springer|ieee|acm|plos|mdpi|cambridge|oxford|society|association"
    r"|communications|reports|interspeech"
    r"|siggraph|eurographics|globecom|neurocomputing|scientometrics|patterns?|networks|systems"
    r"|engineering|analysis|computing|research"
    r"|medicine|imaging|access|sensors|electronics|information|vision|intelligence|informatics|robotics"
    r"|learning|linguistics)\b",
    re.IGNORECASE,
)
_ACRONYM = (
    r"(?:[A-Z][A-Za-z]*[A-Z][A-Za-z0-9&]*(?:[-/][A-Za-z&][\w&]*)*"
    r"|Interspeech|Siggraph|Eurographics|Globecom|Odyssey|Findings)"
)
_STARTS_WITH_ACRONYM = re.compile(rf"{_ACRONYM}\b")
_NO_PLACE = _words(
    """
    arr aime ieee acm imo wip html pdf icpc amc ioi covid llm llms gpt ai nlp cv sota usa uk rl vlm mllm
    rag
    """
)
_SMALL_WORDS = _words(
    """
    a an and at by for from in into of on or the to with via & - – -- @
    """
)
_NO_TITLE = re.compile(
    r"(?:zenodo|github|figshare|hugging ?face|kaggle|pypi|arxiv|osf|english|german|french|chinese"
    r"|section|table|appendix|figure"
    r"|version|january|february|march|april|may|june|july|august|september|october|november|december"
    r"|elsevier$|springer(?: nature)?$|wiley$"
    r"|mdpi$|university|department|code|data|all|part|chapter \d|phase|stage|author|publication$"
    r"|best paper|targeting|accepted|open access|proprietary|no|yes|here|tbd)\b",
    re.IGNORECASE,
)


def _is_titled(name: str) -> bool:
    words = [word for word in re.findall(r"[^\s()\[\],:]+", name) if word.lower() not in _SMALL_WORDS]
    return 0 < len(words) <= 12 and all(not word[0].islower() for word in words)


_SENTENCE_WORDS = re.compile(
    r"\b(?:is|are|was|were|has|have|we|our|this|these|they|results|available|should|can|will|here)\b",
    re.IGNORECASE,
)


def _is_place(name: str) -> bool:
    if not 3 <= len(name) <= _LONGEST or _NOT_THERE.search(name) or _SENTENCE_WORDS.search(name):
        return False
    first = name.lstrip("\"'“‘(/*#")
    if not (first[:1].isupper() or first[:1].isdigit() or re.match(r"(?:e|i|n|x)[A-Z]|npj ", first)):
        return False
    if name.lower() in _NO_PLACE or not re.search(r"[^\W\d]{2}", name) or _NO_TITLE.match(first):
        return False
    words = name.split()
    if _PLACE.search(name):
        return len(words) > 1 or not first[:1].isdigit()
    if match := _STARTS_WITH_ACRONYM.match(first):
        return match.group().lower() not in _NO_PLACE
    # "Accepted by Displays", "published in Theory and Practice of Logic Programming"
    return _is_titled(name) and not re.match(r"[A-Z]\.", name)


_MONTHS = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Spring|Summer|Fall|Autumn|Winter|Since)"
_ACRONYM_YEAR = re.compile(
    rf"\b(?P<name>{_ACRONYM})"
    rf"(?:[\s(]+(?:Main|Findings?|Industry|SRW|Demos?|Workshops?|Conference"
    rf"|Track))*[\s(’‘'-]{{0,2}}(?P<year>{_YEAR})(?!\d)"
    rf"|\b(?!{_MONTHS})(?P<word>[A-Z][a-z]{{4,}})\s?20[0-3]\d(?!\d)"
)
# Words beside "ICML 2026" that leave it what it is.
_QUALITIES = _words(
    """
    main mains finding findings workshop workshops track tracks conference conf oral orals spotlight
    spotlights highlight highlights poster posters demo demos demonstration demonstrations system
    systems industry camera ready camera-ready srw student research long short full regular paper papers
    position resource resources best award candidate finalist applied data science datasets dataset
    benchmark benchmarks and special proceedings accepted presentation theme ads journal technical
    late-breaking companion in the of at for ieee acm ieee/cvf ieee/rsj acm/ieee session early accept
    provisional provisionally acceptance non-archival appeared appearing archival award-winning social
    impact good creative & application applications international to extended abstract abstracts appear
    art
    """
)
_EVENTS = re.compile(r"\b(?:workshops?|track|findings?|tutorial|bridge|forum|symposium)\b|@", re.IGNORECASE)
_FULL_NAME = re.compile(
    r"(?:proceedings of (?:the )?)?(?:(?:the\s+)?(?:\d+(?:st|nd|rd|th)|20\d\d|first|second|third|fourth"
    r"|fifth|sixth|seventh|eighth|ninth|tenth)\s+)*"
    r"(?:(?:(?:annual|international|european|asian|ieee(?:/\w+)?|acm(?:/\w+)?|aaai|joint|pacific|world"
    r"|winter|north american)\s+)+(?:[\w&/-]+\s+){0,5}?(?:conference|symposium|workshop|congress"
    r"|meeting)s?\b"
    r"|(?:[\w&/-]+\s+){0,3}(?:conference|symposium|workshop) on\b|ieee (?:transactions|journal|robotics"
    r"|signal|access|internet|communications|wireless|geoscience)\b"
    r"|(?:acm )?transactions on\b|(?:[\w-]+\s+){0,2}journal (?:of|on|for)\b|annals of\b|frontiers in\b"
    r"|lecture notes in\b)",
    re.IGNORECASE,
)


_LEADING = re.compile(
    r"^(?:(?:(?:in|at|for|appears|appeared|present|presented|paper|conference:|oral|poster|spotlight"
    r"|highlight|presentation|proceedings?|the)\s+)+"
    r"(?:in|at|of|for|the)\s+(?:the\s+)?|(?:in|at|for|conference:"
    r"|proceedings of(?: the)?)\s+)(?=[A-Z\d])",
    re.IGNORECASE,
)
# A name that was written out, with its short form or year in brackets.
_WITH_BRACKETS = re.compile(
    rf"[A-Z][\w&/' -]{{8,120}}\(\s*(?:{_ACRONYM}[\s’'-]{{0,2}}{_YEAR}?|20[0-3]\d)\s*\)(?:\s*20[0-3]\d)?$"
)


def _stated(sentence: str) -> str:
    """The venue where a part of the sentence is nothing but its name: "8 pages, ICML 2026 Spotlight"."""
    if stop := _NOT_THERE.search(sentence):
        sentence = sentence[: stop.start()].rpartition(",")[0]
    sentence = _BEHIND.sub("", sentence, count=1) if not sentence[:1].isdigit() else sentence
    parts = [part.strip() for part in re.split(r",\s*(?![^()]*\))", sentence)]
    for at, part in enumerate(parts):
        part = _BEHIND.sub("", part[:_LONGEST_SENTENCE], count=1)
        part = _LEADING.sub("", part)
        if not part or _SENTENCE_WORDS.search(part) or len(part) > _LONGEST:
            continue
        if _FULL_NAME.match(part) and part[:1].isupper() | part[:1].isdigit():
            return _named(", ".join([part, *parts[at + 1 :]]))
        if _WITH_BRACKETS.match(part) and _is_titled(part):
            following = parts[at + 1] if at + 1 < len(parts) else ""
            return _tidied(f"{part}, {following}" if _HAS_YEAR.fullmatch(following) else part)
        match = _ACRONYM_YEAR.search(part)
        if match is None or (match["name"] or match["word"]).lower() in _NO_PLACE:
            continue
        beside = re.findall(r"[\w&@/-]+", part[: match.start()] + " " + part[match.end() :])
        others = [word for word in beside if word.lower() not in _QUALITIES]
        is_plain = len(others) <= 1 and all(re.fullmatch(r"[A-Z][A-Z0-9]{2,}", word) for word in others)
        is_plain = is_plain and not any(word.lower() in _NO_PLACE for word in others)
        if is_plain or (_EVENTS.search(part) and len(beside) <= 16 and part[:1].isupper()):
            following = parts[at + 1] if at + 1 < len(parts) else ""
            if (
                is_plain
                and following
                and all(word.lower() in _QUALITIES for word in re.findall(r"[\w-]+", following))
            ):
                part = f"{part}, {following}"
            return _tidied(part)
    return ""


_WELL_KNOWN = _words(
    """
    AAAI AAMAS ACCV ACL AIED AISTATS BMVC CHI CIKM COLING COLM COLT CoNLL CoRL CVPR DAC EACL ECAI ECCV
    ECIR EMBC EMNLP EUSIPCO FAccT GECCO ICAPS ICASSP ICCV ICDAR ICDE ICDM ICIP ICLR ICME ICML ICMR ICPR
    ICRA ICSE ICWSM IGARSS IJCAI IJCAI-ECAI IJCNN INTERSPEECH IROS ISBI ISIT ISMAR ITSC KDD LREC MICCAI
    MIDL MLSys NAACL NeurIPS RecSys RSS SIGGRAPH SIGIR SIGMOD STOC UAI UMAP VLDB WACV WSDM WWW
    """
)
_WELL_KNOWN_NAMES = "|".join(sorted(_WELL_KNOWN, key=lambda name: (-len(name), name)))
_IN_BRACKETS = re.compile(
    rf"\(\s*(?:ACM |IEEE )?(?P<name>{_ACRONYM})?\W{{0,3}}(?P<year>{_YEAR})?[^()]{{0,40}}\)"
)


def _spelled(text: str) -> str:
    """With well-known conferences as they spell themselves: acl2026, CVPR'26 and ICML-2026 get a blank."""
    text = _WAS_SUBMITTED.sub("", text)
    return _WITH_YEAR.sub(
        lambda match: f"{_spelling(match['name'])}{match['w'].upper()} 20{match['year'][-2:]}", text
    )


_WAS_SUBMITTED = re.compile(r"\bsubmitted(?: to| and|,)+ (?=accepted)", re.IGNORECASE)
_WITH_YEAR = re.compile(
    rf"\b(?P<name>{_WELL_KNOWN_NAMES})(?P<w>w?)(?:\s?[’'‘`]\s?|\s?-\s?|\s)?(?P<year>20[0-3]\d"
    rf"|2[3-9](?![\d%]))",
    re.IGNORECASE,
)
_SPELLINGS = {name.lower(): name for name in _WELL_KNOWN}


def _spelling(name: str) -> str:
    return _SPELLINGS[name.lower()]


_IDLE_END = re.compile(
    r"(?<=\d) (?:papers?|provisionally|early)$|(?<=[Hh]ighlight|[Ss]potlight) [Pp]aper$"
    r"| \((?:in press|accepted)\)$"
)


def _tidied(name: str) -> str:
    name = re.sub(
        r"(?<=[A-Za-z])\s?[’'‘`]\s?(?:20)?(2[0-9])(?!\d)", r" 20\1", " ".join(name[:_LONGEST].split())
    )
    name = re.sub(r"\[([^\]]*)\]", r"(\1)", name)
    name = re.sub(r"\s+(?=[,)])", "", name)
    name = re.sub(r"^(?:the|in)\s+", "", name, flags=re.IGNORECASE)
    name = re.sub(
        r"^proceedings of (?:the )?(?!vldb|national|acm on|ieee\b)(?=.{12})", "", name, flags=re.IGNORECASE
    )
    if name[:1] == "(" and name[-1:] == ")" and name.count("(") == 1:
        name = name[1:-1]
    for opening, closing in ("()", "“”"):
        if name.count(opening) > name.count(closing):
            name = name[: name.rfind(opening)]
        elif name.count(opening) < name.count(closing):
            name = name.replace(closing, "")
    if name.count('"') == 1:
        name = name.replace('"', "")
    name = name.strip(" ,:;.-–—/'‘’*!&@#")
    if name[:1] + name[-1:] in ('""', "“”"):
        name = name[1:-1]
    name = _IDLE_END.sub("", name)
    return _short(" ".join(name.split()))


def _short(name: str) -> str:
    """The well-known name of a conference that was written out: "ACL 2026 Findings"."""
    if len(name) <= _LONG or re.search(
        r"\b(?:workshop|track|tutorial|symposium on|challenge)", name, re.IGNORECASE
    ):
        return name
    for match in _IN_BRACKETS.finditer(name):
        acronym = match["name"] or ""
        acronym = re.sub(r"[-\d]+$", "", acronym)
        year = match["year"] or next(iter(_HAS_YEAR.findall(name)), "")
        if acronym in _WELL_KNOWN and year:
            findings = " Findings" if re.search(r"\bfindings?\b", name, re.IGNORECASE) else ""
            return f"{acronym} 20{year[-2:]}{findings}"
    return name
