"""What a choice of topics, a filter and words would bring: the pane beside the sign-up form, and a page.

How the sign-up page uses it (nothing here is imported by it, it only asks these addresses):

- `GET /preview/?topic=agents&topic=memory&filter=harness -survey&interest=agent memory, recall` with the
  header `HX-Request` answers the inside of the pane:

      <aside class="preview" id="preview" aria-label="Preview" hx-get="/preview/"
             hx-trigger="load, paperboy:changed" hx-swap="innerHTML"
             hx-include="#sign-up [name=topic], #sign-up [name=filter], #sign-up [name=interest]"></aside>

  Never include the whole form: the address typed in it has no place in a URL. `signup.js` sends
  `paperboy:changed` 250 ms after the last keystroke or click in `form#sign-up`, and puts what a link of the
  pane offers (`data-filter`, `data-interest`) into the field of that name.
- Without that header the same address is a whole page with its own form, which works without JavaScript.
- `keywords=` (with commas between) and `sentence=` say the same as `interest=`, apart; `least=70` is the
  relevance that a paper needs.
- `GET /preview/?counts=1` answers JSON `{"days": 30, "topics": {"agents": {"papers": 81, "a_day": "6"}}}`;
  `signup.js` writes `a_day` into each element with `data-topic-count="agents"`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from digest.matching import recent, suggest
from digest.matching.backtest import BackTest, backtest
from digest.matching.calibration import band, shown_percent
from digest.matching.recent import Found, Match, Recent
from digest.papers import trending
from digest.web import charts, present
from digest.web.throttle import limited
from subscriptions import interests, topics
from subscriptions.filters import Filter, FilterError, parse
from subscriptions.filters.tree import Phrase, Word
from subscriptions.interests import Interest
from subscriptions.models import Topic

SHOWN = 4  # papers in the pane at once; the rest is one press away
A_MAIL = 20  # papers in one mail unless the reader wants another number
OWN = "your filter"
OWN_WORDS = "your words"


@dataclass(frozen=True)
class Line:
    """One paper of the pane: which of the chosen topics find it, and in which words."""

    entry: present.Entry
    topics: str  # the names after the first: ", Memory, your filter"
    first: str
    why: Sequence[present.Why]
    percent: int | None = None  # relevance, where one is shown

    @property
    def band(self) -> str:
        return band(self.percent).capitalize()


@dataclass(frozen=True)
class Asked:
    """What the address asks for."""

    slugs: tuple[str, ...]
    text: str  # the filter as typed
    interest: Interest
    least: int | None

    @classmethod
    def by(cls, request: HttpRequest) -> "Asked":
        said = request.GET
        apart = said.get("keywords", ""), said.get("sentence", "")
        interest = Interest.of(*apart) if any(apart) else Interest.read(said.get("interest", "")[:1000])
        least = said.get("least", "")
        return cls(
            tuple(slug for slug in dict.fromkeys(said.getlist("topic")) if "\x00" not in slug),
            said.get("filter", "").strip(),
            interest,
            int(least) if least in map(str, interests.THRESHOLDS) else None,
        )

    def query(self, *, filter: str | None = None, interest: Interest | None = None) -> str:
        """The same, with another filter or other words, as the query of an address."""
        wanted = self.interest if interest is None else interest
        pairs = [("topic", slug) for slug in self.slugs]
        pairs.append(("filter", self.text if filter is None else filter))
        if wanted:
            pairs.append(("interest", wanted.text))
        if self.least:
            pairs.append(("least", str(self.least)))
        return urlencode(pairs)


@dataclass(frozen=True)
class Link:
    """Something offered: what it says, what it brings in words, and where it leads.

    `field` is the name of the form's field that takes `value`.
    """

    words: str
    brings: str
    href: str
    field: str
    value: str


@dataclass(frozen=True)
class Note:
    words: str
    offers: Sequence[Link]


@dataclass(frozen=True)
class Advice:
    """What might be changed in the reader's own filter and words."""

    notes: Sequence[Note] = ()
    synonyms: Sequence[Link] = ()
    keywords: Sequence[Link] = ()


@dataclass(frozen=True)
class Pane:
    """What stands in the pane. `lines`: of the latest list, or else of the last day with some papers."""

    day_words: str  # "Today", or "From Friday’s list"
    total_today: int
    found_today: int
    lines: list[Line]
    of_the_day: int  # papers of that day; the lines are those of one mail
    older: str  # the day whose papers are shown instead, in words; empty for the latest list
    subject: str
    total: int
    days: int
    chart: charts.Bars
    is_many: bool
    is_scored: bool

    @property
    def shown(self) -> list[Line]:
        return self.lines[:SHOWN]

    @property
    def more(self) -> list[Line]:
        return self.lines[SHOWN:]

    @property
    def over(self) -> int:
        return max(self.of_the_day - A_MAIL, 0)


@require_safe
@limited("preview", times=150)
def preview(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    papers = recent.current(now=now)
    if request.GET.get("counts"):
        return _counts(papers, topics.offered(Topic.objects.catalogue(), chosen=request.GET.getlist("topic")))
    asked = Asked.by(request)
    chosen = list(Topic.objects.catalogue().filter(slug__in=asked.slugs)) if asked.slugs else []
    own, error = _read(asked.text)
    has_own = (own is not None or bool(asked.interest)) and error is None
    tried = (
        backtest(papers, filter=own, interest=asked.interest, min_relevance=asked.least) if has_own else None
    )
    context = {
        "pane": _pane(papers, chosen, tried, today=now.date()) if (chosen or tried) and papers.days else None,
        "advice": _advice(asked, tried) if tried and papers.days else Advice(),
        "has_papers": bool(papers.days),
        "text": asked.text,
        "interest": asked.interest.text,
        "least": asked.least,
        "own": own,
        "own_found": papers.find(own) if own else None,
        "error": error,
        "caret": error.caret.rpartition("\n")[2] if error else "",
        "days": len(papers.days),
    }
    if request.headers.get("HX-Request"):
        response = render(request, "web/_preview.html", context)
    else:
        catalogue = Topic.objects.catalogue()
        groups = topics.by_group(topics.offered(catalogue, chosen=asked.slugs))
        response = render(
            request,
            "web/preview.html",
            {
                **context,
                "groups": groups,
                "chosen": {topic.slug for topic in chosen},
                "sign_up_query": asked.query(),
            },
        )
    patch_vary_headers(response, ["HX-Request"])
    response["Cache-Control"] = "no-cache"
    return response


def _read(text: str) -> tuple[Filter | None, FilterError | None]:
    if not text:
        return None, None
    try:
        return parse(text), None
    except FilterError as error:
        return None, error


def _counts(papers: Recent, catalogue: list[Topic]) -> HttpResponse:
    counts = {}
    for topic in catalogue:
        found = papers.find_canonical(topic.filter.canonical)
        counts[topic.slug] = {"papers": len(found), "a_day": present.a_day(found.a_day())}
    response = JsonResponse({"days": len(papers.days), "topics": counts})
    response["Cache-Control"] = "public, max-age=60"
    return response


def _pane(papers: Recent, chosen: list[Topic], tried: BackTest | None, *, today: date) -> Pane:
    found = papers.find(*(recent.parsed(topic.filter.canonical) for topic in chosen))
    names = [topic.name for topic in chosen]
    scores = [papers.score_of(topic) for topic in chosen]
    if tried:
        found = Found(papers, (*found.hits, *tried.found.hits))
        names.append(OWN if tried.filter.canonical != interests.EVERY_PAPER else OWN_WORDS)
        scores.append(tried.scored)
    latest = papers.days[-1]
    per_day = found.per_day()
    shown_day = next((day for day, number in reversed(per_day) if number), None)
    lines = []
    for match in found.matches(shown_day) if shown_day else ():
        places = found.which(match.paper)
        likely = [
            float(scored.probabilities[match.position])
            for place in places
            if (scored := scores[place]) is not None
        ]
        lines.append((match, places, shown_percent(max(likely, default=None))))
    lines.sort(key=lambda line: (_BANDS.index(band(line[2])), *_best_first(line[0])))
    weekday = present.long_day(latest).partition(" ")[0]
    return Pane(
        day_words="Today you would get" if latest == today else f"From {weekday}’s list you would get",
        total_today=papers.listed_on(latest),
        found_today=found.on(latest),
        lines=[
            _line(match, [names[place] for place in places], percent)
            for match, places, percent in lines[:A_MAIL]
        ],
        of_the_day=len(lines),
        older=present.long_day(shown_day).rpartition(" ")[0] if shown_day and shown_day != latest else "",
        subject=_subject([match for match, _, _ in lines]),
        total=len(found),
        days=len(papers.days),
        chart=charts.bars(per_day, what="Matching papers"),
        is_many=found.a_day() > suggest.MANY_A_DAY,
        is_scored=any(percent for _, _, percent in lines),
    )


_BANDS = ("almost surely", "probably", "perhaps", "")


def _best_first(match: Match) -> tuple[float, int]:
    score = trending.score(votes=match.paper.votes, comments=match.paper.comments, age_hours=0)
    return -score, match.paper.pk


def _line(match: Match, topics: list[str], percent: int | None) -> Line:
    first = topics[0] if topics else ""
    return Line(
        present.Entry(match.paper),
        topics="".join(f", {name}" for name in topics[1:3]),
        first=first[:1].upper() + first[1:],
        why=present.why(match.reasons),
        percent=percent,
    )


def _advice(asked: Asked, tried: BackTest) -> Advice:
    papers = tried.recent
    best = [papers.papers[position] for position in tried.best]
    texts = [(paper.title, paper.abstract) for paper in best]
    count = papers.count
    days, total = len(papers.days), len(papers.papers)
    atoms = tried.filter.positive_atoms()
    known = [atom.text for atom in atoms if isinstance(atom, Word | Phrase)]
    known += [*asked.interest.keywords, asked.interest.sentence]
    terms = suggest.keywords(texts, papers=total, count=count, known=known)
    if tried.filter.canonical == interests.EVERY_PAPER and tried.min_relevance:
        warned = suggest.warnings_of_interest(
            shown=len(tried.found), papers=total, days=days, least=tried.min_relevance
        )
        others: list[suggest.Synonyms] = []
    else:
        warned = suggest.warnings(
            tried.filter, found=tried.let_in, papers=total, days=days, count=count, terms=terms
        )
        others = suggest.synonyms(tried.filter, count=count)
    is_too_wide = any(warning.kind in ("many", "common") for warning in warned)
    return Advice(
        notes=[
            Note(
                warning.words,
                [_filter_link(asked, one.words, one.text, one.papers) for one in warning.offers],
            )
            for warning in warned
        ],
        synonyms=[
            _filter_link(asked, f"{one.name} or {present.listing(one.others)}", one.text, one.more, more=True)
            for one in others
        ],
        keywords=[] if is_too_wide and not asked.interest else [_keyword_link(asked, term) for term in terms],
    )


def _filter_link(asked: Asked, words: str, text: str, papers: int, *, more: bool = False) -> Link:
    number = present.counted(papers, "more paper" if more else "paper")
    if more and not papers:
        number = "nothing more so far"
    return Link(words, number, f"{reverse('preview')}?{asked.query(filter=text)}", "filter", text)


def _keyword_link(asked: Asked, keyword: suggest.Keyword) -> Link:
    """Into the words where there are some, else as an alternative into the filter."""
    brings = present.counted(keyword.papers, "paper")
    if asked.interest:
        wider = Interest.of([*asked.interest.keywords, keyword.text], asked.interest.sentence)
        href = f"{reverse('preview')}?{asked.query(interest=wider)}"
        return Link(keyword.text, brings, href, "interest", wider.text)
    text = suggest.with_alternative(asked.text, keyword.text)
    return Link(keyword.text, brings, f"{reverse('preview')}?{asked.query(filter=text)}", "filter", text)


def _subject(matches: list[Match]) -> str:
    """As the mail's: the best title, then the number of the rest."""
    if not matches:
        return ""
    title = present.shortened(matches[0].paper.title, 60)
    rest = min(len(matches), A_MAIL) - 1
    return f"{title}, and {rest} more" if rest else title
