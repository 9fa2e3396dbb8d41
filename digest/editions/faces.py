"""What the card of one paper says, in the active language: plain words, no markup, no bytes."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC

from django.conf import settings
from django.db.models import Min, Q
from django.db.models.functions import Coalesce
from django.utils.text import wrap
from django.utils.translation import get_language, ngettext, pgettext
from django.utils.translation import gettext as _

from digest.editions import prose
from digest.models import AiText, EditionPaper, Paper, Sighting, Source
from digest.papers import categories, gist, glance
from subscriptions.mail.message import one_line
from subscriptions.models import Subscriber

GIST_MAX_CHARACTERS = 320
LEAD_MAX_CHARACTERS = 520
LEAD_AT_LEAST_CHARACTERS = 200
CATEGORIES_SHOWN = 3
AFFILIATIONS_SHOWN = 2
DISCUSSIONS_SHOWN = 2
NAME_MAX_CHARACTERS = 80  # of an institution, a venue, a source
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
DISCUSSED = "discussed"  # a sighting's announce type: a post links to the paper

Texts = Mapping[str, tuple[str, str]]  # AiText.Kind → (text, the model that wrote it)


@dataclass(frozen=True, slots=True)
class Page:
    """A source's own page for a paper, or a post about it."""

    kind: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Told:
    """What sources say of a paper beyond its record."""

    source: str = ""  # the name of the one that listed it first
    pages: tuple[Page, ...] = ()
    discussed: tuple[Page, ...] = ()  # posts that link to it, the newest first


@dataclass(frozen=True, slots=True)
class Label:
    """A word in a frame after the title; dashed for what a thing is, plain for what happened to it."""

    text: str
    is_kind: bool


@dataclass(frozen=True, slots=True)
class Face:
    """What the cards of one paper say, as plain text; the templates lay it out.

    `title` is translated where the reader's language has one, and `original` then what the authors wrote.
    `machine` and `title_machine` name the models that wrote the gist and the title.
    """

    paper_id: int
    url: str
    title: str
    original: str
    original_language: str
    labels: tuple[Label, ...]
    authors: str
    organization: str
    dated: str
    facts: tuple[str, ...]
    brief_by: str
    votes: int | None
    votes_word: str
    gist: str
    lead_gist: str
    machine: str
    title_machine: str
    links: tuple[Mapping[str, str], ...]

    @property
    def by(self) -> tuple[str, str, str]:
        """The line below the title: before the organisation, the organisation, after it."""
        comma = prose.by_comma()
        before = f"{self.authors}{comma}" if self.authors and self.organization else self.authors
        after = f"{comma}{self.dated}" if self.dated and (before or self.organization) else self.dated
        return before, self.organization, after

    @property
    def says_title_machine(self) -> bool:
        """Whether a story names the model of its title: not where the label of the gist says the same."""
        return bool(self.title_machine) and self.title_machine != self.machine

    @property
    def text(self) -> str:
        """The gist of a story, in lines for a text mail."""
        return _in_lines(self.gist)

    @property
    def lead_text(self) -> str:
        return _in_lines(self.lead_gist)


def _in_lines(text: str) -> str:
    """At most 72 characters each. Chinese has no blanks to break at: mail programs do it better."""
    return text if _HAN.search(text) else wrap(text, 72)


def face(row: EditionPaper, told: Told, texts: Texts, *, length: str) -> Face:
    """The words of a member's cards, in the active language, with its numbers as of the edition's opening."""
    paper = row.paper
    title = one_line(paper.title) or paper.public_id
    translated, by_title = _text(texts, AiText.Kind.TITLE)
    gists = _gists(paper, texts, whole=length == Subscriber.Length.ABSTRACT)
    authors = [one_line(str(name)) for name in paper.authors]
    dated = ""
    if paper.kind == Paper.Kind.PAPER:
        organization = one_line(paper.organization) or prose.comma().join(_affiliations(paper))
    else:
        organization = glance.shortened(one_line(told.source), NAME_MAX_CHARACTERS)
        authors = [name for name in authors if name.casefold() != organization.casefold()]
        on = paper.published_at.astimezone(UTC).date() if paper.published_at else row.listing_day
        dated = prose.short_day(on, near=row.listing_day)
    by = _authors(authors)
    return Face(
        paper_id=paper.pk,
        url=f"{settings.SITE_URL}/paper/{paper.public_id}/",
        title=translated or title,
        original=title if translated else "",
        original_language=paper.language,
        labels=tuple(_labels(row)),
        authors=by,
        organization=organization,
        dated=dated,
        facts=tuple(_facts(row)),
        brief_by=prose.by_comma().join(filter(None, (organization or by, dated))),
        votes=row.votes,
        votes_word=ngettext("vote", "votes", row.votes or 0),
        gist=gists.story,
        lead_gist=gists.lead,
        machine=gists.machine,
        title_machine=by_title,
        links=tuple(_links(row, told)),
    )


def _text(texts: Texts, kind: AiText.Kind) -> tuple[str, str]:
    text, model = texts.get(kind, ("", ""))
    return one_line(text), one_line(model)


# --- labels, by-line, facts ------------------------------------------------------------------------


def _labels(row: EditionPaper) -> Iterator[Label]:
    """A paper that is new has none."""
    match row.paper.kind:
        case Paper.Kind.POST:
            yield Label(_("Post"), is_kind=True)
        case Paper.Kind.FORUM:
            yield Label(_("Forum"), is_kind=True)
        case Paper.Kind.NEWS:
            yield Label(_("News"), is_kind=True)
    if row.paper.withdrawn_at is not None:
        yield Label(_("Withdrawn"), is_kind=False)
    elif row.announced == EditionPaper.Announced.UPDATED or row.version:
        said = _("Updated v%(version)d") % {"version": row.version} if row.version else _("Updated")
        yield Label(said, is_kind=False)
    elif row.announced == EditionPaper.Announced.CROSS:
        yield Label(_("Cross-listed"), is_kind=False)


def _authors(names: Sequence[str]) -> str:
    first, more = glance.first_authors(names)
    if more:
        return _("%(names)s and %(count)d more") % {"names": prose.comma().join(first), "count": more}
    return prose.listing(first)


def _affiliations(paper: Paper) -> list[str]:
    names = [one_line(str(name)) for name in paper.affiliations[:AFFILIATIONS_SHOWN]]
    return [glance.shortened(name, NAME_MAX_CHARACTERS) for name in names if name]


def _facts(row: EditionPaper) -> Iterator[str]:
    paper = row.paper
    if codes := _categories(paper):
        yield prose.comma().join([_named(codes[0]), *codes[1:]])
    if venue := glance.shortened(one_line(paper.venue), NAME_MAX_CHARACTERS):
        yield _("Accepted at %(venue)s") % {"venue": venue}
    elif journal := glance.shortened(one_line(paper.journal_ref), NAME_MAX_CHARACTERS):
        yield _("In %(journal)s") % {"journal": journal}
    if paper.citations is not None:
        words = ngettext("%(count)s citation", "%(count)s citations", paper.citations)
        yield words % {"count": prose.number(paper.citations)}
    if row.gained:
        words = ngettext("+%(count)s vote in a day", "+%(count)s votes in a day", row.gained)
        yield words % {"count": prose.number(row.gained)}
    if row.top_percent:
        yield _("top %(percent)s this week") % {"percent": prose.percent(row.top_percent)}


def _categories(paper: Paper) -> list[str]:
    """The primary category first; of two codes for the same one only the first."""
    codes = [paper.primary_category, *paper.categories]
    return list(categories.distinct(code for code in codes if code))[:CATEGORIES_SHOWN]


def _named(code: str) -> str:
    """ "cs.CL Computation and Language", in the reader's language where the catalogue has it."""
    name = categories.name(code)
    return code if name == code else f"{code} {pgettext('category', name)}"


# --- what it says ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Gists:
    """What a story and what a lead says, and who wrote it if a machine did."""

    story: str
    lead: str
    machine: str = ""


def _gists(paper: Paper, texts: Texts, *, whole: bool) -> _Gists:
    """The source's own summary, else one made by a model, else the best sentence of the abstract.

    In another language than the paper's, what was translated goes before what was not.
    """
    title, abstract = one_line(paper.title), one_line(paper.abstract)
    translation, translator = _text(texts, AiText.Kind.ABSTRACT)
    if whole and (translation or abstract):
        return _Gists(translation or abstract, translation or abstract, translator)
    given = (glance.shortened(one_line(paper.summary), GIST_MAX_CHARACTERS), one_line(paper.summary_source))
    written, writer = _text(texts, AiText.Kind.SUMMARY)
    made = (glance.shortened(written, GIST_MAX_CHARACTERS), writer)
    for text, machine in (given, made) if _is_readers(paper.language) else (made,):
        if text:
            return _Gists(text, text, machine)
    if translation:
        return _extracted(_text(texts, AiText.Kind.TITLE)[0], translation, machine=translator)
    if given[0]:
        return _Gists(given[0], given[0], given[1])
    return _extracted(title, abstract)


def _is_readers(language: str) -> bool:
    return (get_language() or "en").partition("-")[0] == language.partition("-")[0].lower()


def _extracted(title: str, abstract: str, *, machine: str = "") -> _Gists:
    """The best sentence; for a lead with those that follow it, until that is a paragraph."""
    best = gist.best_sentence(title, abstract, limit=GIST_MAX_CHARACTERS)
    lead, rest = best, abstract.partition(best)[2] if best else ""
    for sentence in glance.sentences(rest):
        longer = prose.sentences((lead, sentence))
        if len(lead) >= LEAD_AT_LEAST_CHARACTERS or len(longer) > LEAD_MAX_CHARACTERS:
            break
        lead = longer
    return _Gists(best, lead, machine if best else "")


# --- links -----------------------------------------------------------------------------------------


def _links(row: EditionPaper, told: Told) -> Iterator[dict[str, str]]:
    """Each address once; the paper itself, its code, its pages at the sources, who talks about it."""
    seen = set()
    for label, url in _addresses(row, told):
        if url not in seen:
            seen.add(url)
            yield {"label": label, "url": url}


def _addresses(row: EditionPaper, told: Told) -> Iterator[tuple[str, str]]:
    paper = row.paper
    if paper.arxiv_id and paper.kind == Paper.Kind.PAPER:
        yield "arXiv", f"https://arxiv.org/abs/{paper.arxiv_id}"
        yield "PDF", f"https://arxiv.org/pdf/{paper.arxiv_id}"
    elif original := glance.web_link(paper.url):
        yield _("Original"), original
    if code := glance.web_link(paper.code_url):
        label = _("Code")
        if row.stars is not None:
            words = ngettext("Code, %(count)s star", "Code, %(count)s stars", row.stars)
            label = words % {"count": prose.number(row.stars)}
        yield label, code
    for page in told.pages:
        label = glance.shortened(one_line(page.name), NAME_MAX_CHARACTERS)
        if page.kind == Source.Kind.HUGGINGFACE:
            label = "Hugging Face"
            if row.comments:
                words = ngettext("%(count)s comment", "%(count)s comments", row.comments)
                label = words % {"count": prose.number(row.comments)}
        yield label, page.url
    for page in told.discussed[:DISCUSSIONS_SHOWN]:
        name = glance.shortened(one_line(page.name), NAME_MAX_CHARACTERS)
        yield _("Discussed at %(source)s") % {"source": name}, page.url


@dataclass(slots=True)
class _Hearing:
    """What has been heard of one paper so far."""

    source: str = ""
    pages: dict[str, Page] = field(default_factory=dict)  # by source: the last address that it gave
    discussed: dict[str, Page] = field(default_factory=dict)  # by address: two posts of one source are two


def told(papers: Iterable[Paper]) -> dict[int, Told]:
    """What sources say of each of these papers, under whatever id they know it; one query.

    arXiv's own pages are left out: the cards link there anyway.
    """
    asked: dict[int, list[int]] = {}
    for paper in papers:
        asked.setdefault(paper.canonical_id or paper.pk, []).append(paper.pk)
    rows = (
        Sighting.objects.filter(Q(paper__in=asked) | Q(paper__canonical__in=asked))
        .annotate(original=Coalesce("paper__canonical_id", "paper_id"))
        .values("original", "announce_type", "url", "source__slug", "source__kind", "source__name")
        .annotate(first_seen_at=Min("seen_at"))
        .order_by("first_seen_at", "source_id", "url")
    )
    heard: dict[int, _Hearing] = {}
    for row in rows:
        hearing = heard.setdefault(row["original"], _Hearing())
        page = Page(row["source__kind"], row["source__name"], glance.web_link(row["url"]))
        if row["announce_type"] == DISCUSSED:
            if page.url:
                hearing.discussed.setdefault(page.url, page)
            continue
        hearing.source = hearing.source or page.name
        if page.url and page.kind != Source.Kind.ARXIV:
            hearing.pages[row["source__slug"]] = page
    return {
        pk: Told(one.source, tuple(one.pages.values()), tuple(reversed(one.discussed.values())))
        for original, pks in asked.items()
        for pk in pks
        for one in [heard.get(original, _Hearing())]
    }
