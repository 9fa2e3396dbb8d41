"""What one reader says of papers, and what was learnt from it: two pages behind their footer link.

A GET only shows. Every button is a plain form; after a POST the page says what changed and offers to undo it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from digest.editions import feedback, relevance
from digest.editions.feedback import Opinion, Said, TooMany
from digest.matching import calibration, learning
from digest.matching.explain import Reason
from digest.models import Paper
from digest.papers.glance import shortened
from digest.web import present
from digest.web.throttle import limited
from subscriptions import interests
from subscriptions.filters import FilterError
from subscriptions.models import Subscriber
from subscriptions.web.forms import caret
from subscriptions.web.person import is_reading, person_page, reader

A_MINUTE = 60  # requests by one sender
_MOST_REASONS = 12
_HIGHEST_ID = 2**63 - 1
_TITLE_MAX_CHARACTERS = 80  # in a sentence

# What stands behind the words of a reason, and how a paper is called that has them.
_SAID = {
    "title": ("in the title", "with “{}”"),
    "abstract": ("in the abstract", "with “{}”"),
    "about": ("raised its score", "with “{}”"),
    "author": ("as author", "by {}"),
    "organization": ("as organisation", "from {}"),
    "category": ("as category", "in {}"),
    "source": ("lists it", "from {}"),
    "has": ("comes with it", "with {}"),
    "kind": ("is what it is", "of the kind {}"),
    "language": ("is its language", "in the language {}"),
    "liked": ("is like it, and you liked that", ""),
    "id": ("as identifier", ""),
    "upvotes": ("votes", ""),
    "stars": ("stars", ""),
    "comments": ("comments", ""),
}


@dataclass(frozen=True)
class Line:
    """One reason: words of the paper, where they stand, and the mute that it could become."""

    words: str
    where: str
    mute: str  # the filter; empty where there is nothing to mute
    papers: str  # which papers that would leave out: "with “agents”"
    is_liked: bool = False  # it is not in the paper, but a paper that the reader liked


@dataclass(frozen=True)
class Topic:
    """One topic that found the paper."""

    name: str
    slug: str | None
    relevance: str  # "70 %", "under 50 %"; empty where there is no score
    least: int | None  # the reader's percentage where the paper is below it, and so does not come
    takes_every_paper: bool
    lines: list[Line]


@require_http_methods(["GET", "HEAD", "POST"])
@limited("feedback", times=A_MINUTE)
@person_page
def paper_and_you(request: HttpRequest, token: str, paper_id: int) -> HttpResponse:
    """One paper: why it came, what the reader says of it, and which of the rules to edit or to mute."""
    subscriber = reader(token, now=timezone.now())
    if not is_reading(subscriber):
        return render(request, "subscriptions/not_reading.html", {"subscriber": subscriber})
    paper = _paper(paper_id)
    if request.method == "POST":
        try:
            _act(request, subscriber)
        except FilterError as error:
            messages.error(request, f"This cannot be muted. {error}")
        return redirect("paper-and-you", token=token, paper_id=paper_id)
    came = feedback.came(subscriber.pk, paper.pk)
    found = came.topics if came else feedback.would_come(subscriber.pk, paper.pk)
    topics = [_topic(paper, under) for under in found]
    context = {
        "token": token,
        "paper": paper,
        "entry": present.Entry(paper),
        "said": feedback.said_of(subscriber.pk, paper.pk),
        "opinions": Opinion,
        "came": came,
        "day_words": present.long_day(came.edition.date) if came else "",
        "topics": topics,
        "is_scored": any(topic.relevance for topic in topics),
    }
    return _private(render(request, "web/feedback.html", context))


@require_http_methods(["GET", "HEAD", "POST"])
@limited("learnt", times=A_MINUTE)
@person_page
def learnt(request: HttpRequest, token: str) -> HttpResponse:
    """What Paperboy has learnt from one reader, as papers and words; each piece can be taken out."""
    subscriber = reader(token, now=timezone.now())
    if not is_reading(subscriber):
        return render(request, "subscriptions/not_reading.html", {"subscriber": subscriber})
    problem: FilterError | None = None
    if request.method == "POST":
        try:
            _act(request, subscriber)
        except FilterError as error:
            problem = error
        else:
            return redirect("learnt", token=token)
    context = {
        "token": token,
        "learnt": feedback.learnt(subscriber.pk),
        "least": (learning.LEAST_EXAMPLES, learning.LEAST_OF_A_KIND),
        "typed": request.POST.get("filter", "") if problem else "",
        "problem": problem,
        "caret": caret(problem) if problem else "",
    }
    status = HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK
    return _private(render(request, "web/learnt.html", context, status=status))


def _private(response: HttpResponse) -> HttpResponse:
    response["X-Robots-Tag"] = "noindex"
    return response


def _paper(paper_id: int) -> Paper:
    found = Paper.objects.select_related("canonical").filter(pk=min(paper_id, _HIGHEST_ID)).first()
    if found is None:
        raise Http404("Paperboy knows no paper under this address.")
    return found.canonical or found


def _topic(paper: Paper, under: feedback.Under) -> Topic:
    is_wide = under.topic.filter.canonical == interests.EVERY_PAPER
    # To mute what lets every paper in would mute the mail.
    reasons = [reason for reason in under.reasons if not (is_wide and reason.field == "kind")]
    is_below = under.probability is not None and not relevance.is_enough(under.probability, under.least)
    return Topic(
        name=under.topic.name,
        slug=under.topic.slug,
        relevance=_relevance(under.probability),
        least=under.least if is_below else None,
        takes_every_paper=is_wide,
        lines=_lines(paper, reasons),
    )


def _relevance(probability: float | None) -> str:
    if probability is None:
        return ""
    percent = calibration.shown_percent(probability)
    return f"{percent} %" if percent else f"under {round(100 * calibration.LOWEST_SHOWN)} %"


def _lines(paper: Paper, reasons: Iterable[Reason]) -> list[Line]:
    lines = []
    for reason in list(reasons)[:_MOST_REASONS]:
        where, papers = _SAID.get(reason.field, ("", ""))
        if reason.field == "liked" and reason.atom_text == paper.title:
            where = "is this paper, and you liked it"
        mute = feedback.mute_text(reason) if papers else ""
        lines.append(
            Line(reason.atom_text, where, mute, papers.format(reason.atom_text), reason.field == "liked")
        )
    return lines


# --- what a button does -------------------------------------------------------------------------------------
#
# Each button is `do=act:object` ("less:42"), the same on both pages; what undoes it is such a button again.


def _act(request: HttpRequest, subscriber: Subscriber) -> None:
    """Do what the button says, and say what changed. Raises FilterError for a mute that cannot be read."""
    act, _, what = request.POST.get("do", "").partition(":")
    try:
        if act in _ON_PAPERS:
            _act_on_paper(request, subscriber, act, what)
        elif act in ("mute", "unmute"):
            _act_on_mute(request, subscriber, act, what)
        elif act in ("forget-word", "bring-word-back"):
            _act_on_word(request, subscriber, act, what)
        elif act == "reset":
            _reset(request, subscriber)
    except TooMany as error:
        messages.error(request, str(error))


_ON_PAPERS = {
    "more": "Papers like this one stand higher, from your next digest on.",
    "less": "Papers like this one stand lower, from your next digest on.",
    "save": "Saved.",
    "unsave": "No longer saved.",
    "back": "Taken back: “{}” no longer counts.",
    "back-saved": "Taken back. “{}” stays saved, and counts as one that you like.",
    "forget": "“{}” is forgotten.",
    "put": "As it was.",
}


def _act_on_paper(request: HttpRequest, subscriber: Subscriber, act: str, what: str) -> None:
    number, _, said = what.partition(":")
    paper = _paper(int(number) if number.isdecimal() else 0)
    now = timezone.now()
    match act:
        case "more":
            before = feedback.say_more(subscriber.pk, paper.pk, now=now)
        case "less":
            before = feedback.say_less(subscriber.pk, paper.pk, now=now)
        case "save":
            before = feedback.save(subscriber.pk, paper.pk, now=now)
        case "unsave":
            before = feedback.unsave(subscriber.pk, paper.pk, now=now)
        case "back":
            kept = feedback.said_of(subscriber.pk, paper.pk).saved
            before = feedback.put(subscriber.pk, paper.pk, Said(saved=kept), now=now)
            act = "back-saved" if kept else act
        case "forget":
            before = feedback.take_back(subscriber.pk, paper.pk, now=now)
        case _:
            before = feedback.put(subscriber.pk, paper.pk, _read(said), now=now)
    undo = f"put:{paper.pk}:{_written(before)}" if act != "put" else ""
    _done(request, _ON_PAPERS[act].format(shortened(paper.title, _TITLE_MAX_CHARACTERS)), undo)


def _act_on_mute(request: HttpRequest, subscriber: Subscriber, act: str, what: str) -> None:
    if act == "unmute":
        canonical = feedback.unmute(subscriber.pk, int(what)) if _is_id(what) else None
        if canonical is not None:
            _done(request, f"Papers that match {canonical} may come again.", f"mute:{canonical}")
        return
    made = feedback.mute(subscriber.pk, what or request.POST.get("filter", "").strip(), now=timezone.now())
    canonical = made.filter.canonical
    number, of = feedback.left_out_by(subscriber.pk, canonical)
    would = f" Of your last {present.counted(of, 'paper')}, {number} would not have come." if of else ""
    _done(request, f"Papers that match {canonical} no longer come.{would}", f"unmute:{made.pk}")


def _act_on_word(request: HttpRequest, subscriber: Subscriber, act: str, word: str) -> None:
    now = timezone.now()
    if act == "forget-word":
        if kept := feedback.forget_word(subscriber.pk, word, now=now):
            _done(request, f"Nothing is learnt from “{kept}” any more.", f"bring-word-back:{kept}")
    elif feedback.bring_word_back(subscriber.pk, word, now=now):
        _done(request, f"“{word}” counts again.", f"forget-word:{word}")


def _reset(request: HttpRequest, subscriber: Subscriber) -> None:
    if not request.POST.get("sure"):
        messages.error(request, "Nothing was forgotten. Tick the box first: this cannot be undone.")
        return
    feedback.reset(subscriber.pk)
    _done(request, "Everything that was learnt is forgotten.")


def _is_id(text: str) -> bool:
    return text.isdecimal() and len(text) < 19


def _done(request: HttpRequest, sentence: str, undo: str = "") -> None:
    """Say what changed; `undo` is the button beside it."""
    messages.success(request, sentence, extra_tags=undo)


def _written(said: Said) -> str:
    """ "less+saved", "more", "" """
    return f"{said.opinion}+saved" if said.saved else said.opinion


def _read(text: str) -> Said:
    """What `_written` wrote; anything else says nothing."""
    opinion, plus, _ = text.partition("+")
    return Said(opinion if opinion in Opinion.values else "", bool(plus))
