"""What a choice of topics and a filter would bring: the pane beside the sign-up form, and a page of its own.

How the sign-up page uses it (nothing here is imported by it, it only asks these addresses):

- `GET /preview/?topic=agents&topic=memory&filter=harness -survey` with the header `HX-Request` answers the
  inside of the pane:

      <aside class="preview" id="preview" aria-label="Preview" hx-get="/preview/"
             hx-trigger="load, paperboy:changed" hx-swap="innerHTML"
             hx-include="#sign-up [name=topic], #sign-up [name=filter]"></aside>

  Never include the whole form: the address typed in it has no place in a URL. `signup.js` sends
  `paperboy:changed` 250 ms after the last keystroke or click in `form#sign-up`.
- Without that header the same address is a whole page with its own form, which works without JavaScript.
- `GET /preview/?counts=1` answers JSON `{"days": 14, "topics": {"agents": {"papers": 81, "a_day": "6"}}}`;
  `signup.js` writes `a_day` into each element with `data-topic-count="agents"`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from digest.matching import recent
from digest.matching.recent import Found, Match, Recent
from digest.papers import trending
from digest.web import charts, present
from digest.web.throttle import limited
from subscriptions.filters import Filter, FilterError, parse
from subscriptions.models import Topic

SHOWN = 4  # papers in the pane at once; the rest is one press away
A_MAIL = 20  # papers in one mail unless the reader wants another number
MANY_A_DAY = 40
OWN = "your filter"


@dataclass(frozen=True)
class Line:
    """One paper of the pane: which of the chosen topics find it, and in which words."""

    entry: present.Entry
    topics: str  # the names after the first: ", Memory, your filter"
    first: str
    why: Sequence[present.Why]


@dataclass(frozen=True)
class Pane:
    """What stands in the pane. `lines`: the papers of the latest list, or else of the last day with some."""

    day_words: str  # "Today", or "From Friday’s list"
    total_today: int
    found_today: int
    lines: list[Line]
    older: str  # the day whose papers are shown instead, in words; empty for the latest list
    subject: str
    total: int
    days: int
    chart: charts.Bars
    is_many: bool

    @property
    def shown(self) -> list[Line]:
        return self.lines[:SHOWN]

    @property
    def more(self) -> list[Line]:
        return self.lines[SHOWN:A_MAIL]

    @property
    def over(self) -> int:
        return max(len(self.lines) - A_MAIL, 0)


@require_safe
@limited("preview", times=150)
def preview(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    papers = recent.current(now=now)
    catalogue = list(Topic.objects.catalogue())
    if request.GET.get("counts"):
        return _counts(papers, catalogue)
    slugs = set(request.GET.getlist("topic"))
    chosen = [topic for topic in catalogue if topic.slug in slugs]
    text = request.GET.get("filter", "").strip()
    own, error = _read(text)
    names = [topic.name for topic in chosen] + ([OWN] if own else [])
    filters = [recent.parsed(topic.filter.canonical) for topic in chosen] + ([own] if own else [])
    context = {
        "pane": _pane(papers, names, filters, today=now.date()) if filters and papers.days else None,
        "has_papers": bool(papers.days),
        "text": text,
        "own": own,
        "own_found": papers.find(own) if own else None,
        "error": error,
        "caret": error.caret.rpartition("\n")[2] if error else "",
        "days": len(papers.days),
    }
    if request.headers.get("HX-Request"):
        response = render(request, "web/_preview.html", context)
    else:
        groups = [(name, list(topics)) for name, topics in groupby(catalogue, key=lambda topic: topic.group)]
        response = render(
            request,
            "web/preview.html",
            {**context, "groups": groups, "chosen": {topic.slug for topic in chosen}},
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


def _pane(papers: Recent, names: list[str], filters: list[Filter], *, today: date) -> Pane:
    found = papers.find(*filters)
    latest = papers.days[-1]
    per_day = found.per_day()
    shown_day = next((day for day, number in reversed(per_day) if number), None)
    matches = sorted(found.matches(shown_day), key=_best_first) if shown_day else []
    lines = [_line(found, match, names) for match in matches]
    weekday = present.long_day(latest).partition(" ")[0]
    return Pane(
        day_words="Today you would get" if latest == today else f"From {weekday}’s list you would get",
        total_today=papers.listed_on(latest),
        found_today=found.on(latest),
        lines=lines,
        older=present.long_day(shown_day).rpartition(" ")[0] if shown_day and shown_day != latest else "",
        subject=_subject(matches),
        total=len(found),
        days=len(papers.days),
        chart=charts.bars(per_day, what="Matching papers"),
        is_many=found.a_day() > MANY_A_DAY,
    )


def _best_first(match: Match) -> tuple[float, int]:
    score = trending.score(votes=match.paper.votes, comments=match.paper.comments, age_hours=0)
    return -score, match.paper.pk


def _line(found: Found, match: Match, names: list[str]) -> Line:
    of_these = [names[place] for place in found.which(match.paper)]
    first = of_these[0] if of_these else ""
    return Line(
        present.Entry(match.paper),
        topics="".join(f", {name}" for name in of_these[1:3]),
        first=first[:1].upper() + first[1:],
        why=present.why(match.reasons),
    )


def _subject(matches: list[Match]) -> str:
    """As the mail's: the best title, then the number of the rest."""
    if not matches:
        return ""
    title = present.shortened(matches[0].paper.title, 60)
    rest = min(len(matches), A_MAIL) - 1
    return f"{title}, and {rest} more" if rest else title
