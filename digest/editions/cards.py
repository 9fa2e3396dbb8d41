"""What the emails of an edition are joined from: each paper's cards, and the shell around them.

The whole email is one pair of templates, templates/email/digest/body.html and body.txt. They are rendered
here with many papers and a specimen of every other part, inlined by premailer in one pass (one for each card
would cost ten times as much), and cut at markers. The pieces are stored as encoded lines; assemble.py only
joins them.
"""

import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import islice
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.formats import date_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from digest.models import Card, Edition, EditionPaper, Paper, Shell, Sighting, Source
from digest.papers import days, glance
from subscriptions.mail.message import LANGUAGE_TAGS, clean, inline, one_line, qp
from subscriptions.models import Subscriber

PAPERS_A_PASS = 60  # of premailer; more do not make it faster, only larger
GIST_MAX_CHARACTERS = 320
LEAD_MAX_CHARACTERS = 520
LEAD_AT_LEAST_CHARACTERS = 200
BLOCKS = {"block_wide": (16, 2), "block_narrow": (5, 1), "block_thin": (1, 0)}  # width and gap in pixels

# The reader's length → the forms that their emails may hold.
FORMS = {
    Subscriber.Length.TITLES: (Card.Form.BRIEF,),
    Subscriber.Length.ONE_LINE: (Card.Form.LEAD, Card.Form.STORY, Card.Form.BRIEF),
    Subscriber.Length.ABSTRACT: (Card.Form.LEAD, Card.Form.STORY, Card.Form.BRIEF),
}
SLOT = "=@"  # a line of a stored piece that names what goes there; no line of quoted-printable begins so

SLOTS = (
    "subject",
    "preheader",
    "headline",
    "line",
    "url",
    "name",
    "count",
    "word",
    "reason",
    "more",
    "note",
    "receipt",
    "preferences_url",
    "view_url",
    "unsubscribe_url",
)


def build(edition: Edition, *, languages_lengths: Iterable[tuple[str, str]]) -> None:
    """Make the cards and the shells of an edition that are still missing.

    Safe to repeat and to run beside itself: rows once written are never changed.
    """
    members = list(edition.edition_papers.select_related("paper").order_by("position"))
    pages: dict[int, list[Page]] | None = None
    for language, length in languages_lengths:
        stored = set(edition.cards.filter(language=language, length=length).values_list("paper_id", "form"))
        missing = [
            row
            for row in members
            if any((row.paper_id, form) not in stored for form in FORMS[_length(length)])
        ]
        shell_exists = edition.shells.filter(language=language, length=length).exists()
        if not missing and shell_exists:
            continue
        if pages is None:
            pages = _source_pages([row.paper_id for row in members])
        with translation.override(language):
            parts = iter(missing)
            chunk = list(islice(parts, PAPERS_A_PASS))
            while chunk or not shell_exists:
                faces = [face(row, pages.get(row.paper_id, ()), length=length) for row in chunk]
                pieces = _pieces(edition, faces, language=language, length=length)
                if not shell_exists:
                    _store_shell(edition, pieces, members, language=language, length=length)
                    shell_exists = True
                Card.objects.bulk_create(
                    _cards(edition, faces, pieces, language=language, length=length),
                    ignore_conflicts=True,
                    batch_size=200,
                )
                chunk = list(islice(parts, PAPERS_A_PASS))


# --- a paper, in the words of its card --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """A source's own page for a paper."""

    kind: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Face:
    """What the cards of one paper say, as plain text; the templates lay it out."""

    paper_id: int
    url: str
    title: str
    authors: str
    organization: str
    categories: str
    brief_by: str
    votes: int | None
    votes_word: str
    gist: str
    lead_gist: str
    summary_source: str
    links: tuple[Mapping[str, str], ...]


def face(row: EditionPaper, pages: Sequence[Page], *, length: str) -> Face:
    """The words of a member's cards, in the active language, with its numbers as of the edition's opening."""
    paper = row.paper
    names, more = glance.first_authors([one_line(str(name)) for name in paper.authors])
    authors = _("%(names)s and %(count)d more") % {"names": ", ".join(names), "count": more} if more else ""
    organization = one_line(paper.organization)
    gist, lead_gist, machine = _gists(paper, whole=length == Subscriber.Length.ABSTRACT)
    return Face(
        paper_id=paper.pk,
        url=f"{settings.SITE_URL}/paper/{paper.public_id}/",
        title=one_line(paper.title) or paper.public_id,
        authors=authors or _listing(names),
        organization=organization,
        categories=", ".join(_categories(paper)),
        brief_by=organization or authors or _listing(names),
        votes=row.votes,
        votes_word=ngettext("vote", "votes", row.votes or 0),
        gist=gist,
        lead_gist=lead_gist,
        summary_source=machine,
        links=tuple(_links(row, pages)),
    )


def _gists(paper: Paper, *, whole: bool) -> tuple[str, str, str]:
    """What a story and what a lead says, and who wrote it if a machine did."""
    abstract, summary = one_line(paper.abstract), one_line(paper.summary)
    if whole and abstract:
        return abstract, abstract, ""
    if summary:
        gist = glance.shortened(summary, GIST_MAX_CHARACTERS)
        return gist, gist, one_line(paper.summary_source)
    gist = glance.first_sentences(abstract, limit=GIST_MAX_CHARACTERS)
    lead = glance.first_sentences(abstract, limit=LEAD_MAX_CHARACTERS, at_least=LEAD_AT_LEAST_CHARACTERS)
    return gist, lead, ""


def _categories(paper: Paper, *, shown: int = 3) -> list[str]:
    first = [paper.primary_category] if paper.primary_category else []
    return (first + [name for name in paper.categories if name not in first])[:shown]


def _listing(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return _("%(names)s and %(last)s") % {"names": ", ".join(names[:-1]), "last": names[-1]}


def _links(row: EditionPaper, pages: Sequence[Page]) -> Iterator[dict[str, str]]:
    paper = row.paper
    if paper.arxiv_id:
        yield {"label": "arXiv", "url": f"https://arxiv.org/abs/{paper.arxiv_id}"}
        yield {"label": "PDF", "url": f"https://arxiv.org/pdf/{paper.arxiv_id}"}
    elif original := glance.web_link(paper.url):
        yield {"label": _("Original"), "url": original}
    if code := glance.web_link(paper.code_url):
        label = _("Code")
        if row.stars is not None:
            label = ngettext("Code, %(count)d star", "Code, %(count)d stars", row.stars) % {
                "count": row.stars
            }
        yield {"label": label, "url": code}
    for page in pages:
        label = one_line(page.name)
        if page.kind == Source.Kind.HUGGINGFACE:
            label = "Hugging Face"
            if row.comments:
                label = ngettext("%(count)d comment", "%(count)d comments", row.comments) % {
                    "count": row.comments
                }
        yield {"label": label, "url": page.url}


def _source_pages(paper_ids: Sequence[int]) -> dict[int, list[Page]]:
    """Each paper's pages at its sources, arXiv's left out (its cards link there anyway); one query."""
    found: dict[int, dict[str, Page]] = {}
    rows = (
        Sighting.objects.filter(paper__in=paper_ids)
        .exclude(url="")
        .exclude(source__kind=Source.Kind.ARXIV)
        .order_by("source_id", "seen_at")
        .values_list("paper_id", "source__slug", "source__kind", "source__name", "url")
    )
    for paper_id, slug, kind, name, url in rows:
        if glance.web_link(url):
            found.setdefault(paper_id, {})[slug] = Page(kind, name, url)
    return {paper_id: list(pages.values()) for paper_id, pages in found.items()}


# --- rendered once, cut at markers ----------------------------------------------------------------


class _Markers(dict[str, SafeString]):
    """Comments that stand where the rendered templates are cut, and slots that stand for personal words.

    Both hold a number nobody can guess, so that no title can pretend to be one.
    """

    def __init__(self) -> None:
        super().__init__()
        self._secret = secrets.token_hex(12)
        self._cuts = re.compile(rf"<!--{self._secret} (.*?)-->", re.DOTALL)
        self._slots = re.compile(rf"{self._secret}([a-z_]+)0")

    def __missing__(self, name: str) -> SafeString:
        return mark_safe(f"<!--{self._secret} {name}-->")

    def slot(self, name: str) -> str:
        return f"{self._secret}{name}0"

    def cut(self, rendered: str) -> dict[str, str]:
        """The pieces by the names of the markers before them; what stands before the first is "top"."""
        first, *rest = self._cuts.split(rendered)
        pieces = {"top": first}
        for name, piece in zip(rest[::2], rest[1::2], strict=True):
            if name != "end":
                pieces.setdefault(name, piece)
        return pieces

    def encoded(self, piece: str) -> str:
        """The piece as quoted-printable lines, each slot a line of its own: SLOT and its name."""
        parts = self._slots.split(piece)
        lines = [qp(part).decode("ascii") for part in parts]
        lines[1::2] = [f"{SLOT}{name}\r\n" for name in parts[1::2]]
        return "".join(lines)


@dataclass(frozen=True)
class _Pieces:
    """Encoded pieces of both parts by name; see _Markers.encoded."""

    html: Mapping[str, str]
    text: Mapping[str, str]


def _pieces(edition: Edition, faces: Sequence[Face], *, language: str, length: str) -> _Pieces:
    markers = _Markers()
    slots = {name: markers.slot(name) for name in SLOTS}
    why = [{"words": [slots["word"]], "where": ""}]
    marked = [_render("_why.html", why=why, form=form, cut=markers) for form in ("story", "brief")]
    # The first of a section stands closer to its head, and briefs closer to each other.
    specimens = {
        "section_link": [
            {"form": "story", "html": mark_safe("".join(marked)), "text": ""},
            {"form": "story", "html": "", "text": ""},
            {"form": "brief", "html": "", "text": ""},
        ],
        "section_plain": [{"form": "brief", "html": "", "text": ""}],
    }
    cards = [
        {
            "form": form,
            "html": _marked(markers, face, form, "html"),
            "text": _marked(markers, face, form, "txt"),
        }
        for face in faces
        for form in FORMS[_length(length)]
    ]
    linked = {"url": slots["url"], "name": slots["name"], "count": slots["count"]}
    plain = linked | {"url": ""}
    blocks = [{"cut": markers[name], "width": width, "gap": gap} for name, (width, gap) in BLOCKS.items()]
    complete, note = completeness(edition)
    context = {
        **slots,
        "cut": markers,
        "lang": LANGUAGE_TAGS.get(language, language),
        "site_url": settings.SITE_URL,
        "postal_address": one_line(settings.POSTAL_ADDRESS),
        "dated": dated(edition),
        "lines": [slots["line"]],
        "rows": [
            {**linked, "cut_open": markers["row_link"], "blocks": blocks},
            {**plain, "cut_open": markers["row_plain"], "blocks": []},
        ],
        "sections": [
            {
                **linked,
                "cut_open": markers["section_link"],
                "items": specimens["section_link"],
                "reasons": [slots["reason"]],
            },
            {
                **plain,
                "cut_open": markers["section_plain"],
                "items": specimens["section_plain"] + cards,
                "reasons": [],
            },
        ],
        "complete": complete,
        "note": f"{note} {slots['note']}" if note else slots["note"],
    }
    html = markers.cut(inline(_render("body.html", **context)))
    text = markers.cut(_render("body.txt", **context))
    return _Pieces(
        {name: markers.encoded(piece) for name, piece in html.items()},
        {name: markers.encoded(piece) for name, piece in text.items()},
    )


def _marked(markers: _Markers, face: Face, form: str, part: str) -> SafeString:
    """A card between markers: head, then (after the place of the why-line) tail."""
    name = f"{face.paper_id}.{form}"
    card = card_part(face, form, part, why=markers[f"{name}.tail"])
    return mark_safe(f"{markers[f'{name}.head']}{card}{markers['end']}")


def card_part(face: Face, form: str, part: str, *, why: str) -> str:
    """One card as text or HTML ("txt", "html") with its why-line, not inlined, not encoded."""
    return _render(f"_card.{part}", card=face, form=str(form), why=why)


def _render(template: str, **context: Any) -> str:
    return clean(render_to_string(f"email/digest/{template}", context))


def _cards(
    edition: Edition, faces: Iterable[Face], pieces: _Pieces, *, language: str, length: str
) -> Iterator[Card]:
    for each in faces:
        for form in FORMS[_length(length)]:
            name = f"{each.paper_id}.{form}"
            yield Card(
                edition=edition,
                paper_id=each.paper_id,
                language=language,
                length=length,
                form=form,
                html_head=pieces.html[f"{name}.head"].encode("ascii"),
                html_tail=pieces.html[f"{name}.tail"].encode("ascii"),
                text_head=pieces.text[f"{name}.head"].encode("ascii"),
                text_tail=pieces.text[f"{name}.tail"].encode("ascii"),
            )


def _store_shell(
    edition: Edition, pieces: _Pieces, members: Collection[EditionPaper], *, language: str, length: str
) -> None:
    kept = {
        "html": {name: piece for name, piece in pieces.html.items() if not name[0].isdigit()},
        "text": {name: piece for name, piece in pieces.text.items() if not name[0].isdigit()},
        "facts": facts(edition, members),
    }
    Shell.objects.bulk_create(
        [Shell(edition=edition, language=language, length=length, pieces=kept)], ignore_conflicts=True
    )


def _length(length: str) -> Subscriber.Length:
    return Subscriber.Length(length)


# --- what is the same for every reader of an edition ------------------------------------------------


def dated(edition: Edition) -> str:
    """ "Friday 21 August 2026", or for a week "17 August to 23 August 2026"."""
    if edition.kind == Edition.Kind.DAILY:
        return date_format(edition.date, "l j F Y")
    last = edition.date + timedelta(days=6)
    return _("%(first)s to %(last)s") % {
        "first": date_format(edition.date, "j F"),
        "last": date_format(last, "j F Y"),
    }


def facts(edition: Edition, members: Collection[EditionPaper]) -> dict[str, Any]:
    """Numbers that hold for every reader: papers on the list, and the line below the headline."""
    own = [row for row in members if not row.folded_in]
    counted = max((row.counted_at for row in own if row.counted_at), default=None)
    if edition.kind == Edition.Kind.DAILY:
        out_of = _("Out of %(total)d on this day’s list.") % {"total": len(own)}
    else:
        out_of = _("Out of %(total)d on the week’s lists.") % {"total": len(own)}
    if counted is not None:
        out_of += " " + _("Votes as of %(time)s.") % {"time": _as_of(counted, edition.opened_at)}
    lines = [out_of]
    if edition.is_sample:
        lines.append(_("Sample data: real papers, shown under shifted days, because no source answered."))
    return {"total": len(own), "lines": lines}


def completeness(edition: Edition) -> tuple[str, str]:
    """ "Complete." and what was read, source by source; both empty where no batch is known."""
    first = edition.date
    last = first if edition.kind == Edition.Kind.DAILY else first + timedelta(days=6)
    sources: dict[str, list[days.Reading]] = {}
    for number in range((last - first).days + 1):
        for reading in days.readings(first + timedelta(days=number)):
            sources.setdefault(one_line(reading.batch.source.name), []).append(reading)
    if not sources:
        return "", ""
    said = [_source_read(name, readings, edition.opened_at) for name, readings in sources.items()]
    whole = all(_is_whole(reading) for readings in sources.values() for reading in readings)
    return (_("Complete.") if whole else _("Not complete.")), " ".join(said)


def _is_whole(reading: days.Reading) -> bool:
    return reading.state in (days.State.COMPLETE, days.State.GROWING)


def _source_read(name: str, readings: Sequence[days.Reading], opened_at: datetime) -> str:
    read, declared = sum(r.read for r in readings), sum(r.declared for r in readings)
    fetched = max((r.batch.fetched_at for r in readings if r.batch.fetched_at), default=None)
    if fetched is None:
        return _("%(source)s had not answered.") % {"source": name}
    values = {"source": name, "read": read, "all": declared, "time": _as_of(fetched, opened_at)}
    if read == declared and all(_is_whole(reading) for reading in readings):
        return (
            ngettext(
                "The one paper that %(source)s listed was read by %(time)s.",
                "All %(all)d papers that %(source)s listed were read by %(time)s.",
                declared,
            )
            % values
        )
    said = _("%(read)d of %(all)d papers that %(source)s listed were read by %(time)s.") % values
    unread = sum(reading.state == days.State.UNREAD for reading in readings)
    if unread:
        words = ngettext("One day’s list was not read.", "%(days)d days’ lists were not read.", unread)
        said += " " + words % {"days": unread}
    return said


def _as_of(moment: datetime, opened_at: datetime) -> str:
    """ "10:12 UTC" on the day of opening, else "20 August, 10:12 UTC"."""
    moment = moment.astimezone(UTC)
    clock = f"{moment:%H:%M} UTC"
    if moment.date() == opened_at.astimezone(UTC).date():
        return clock
    return f"{date_format(moment.date(), 'j F')}, {clock}"


# --- filling pieces ---------------------------------------------------------------------------------


class Piece:
    """A stored piece, ready to be filled: encoded lines, with the names of the slots between them."""

    __slots__ = ("_fixed", "_slots")
    _LINE = re.compile(rf"^{SLOT}([a-z_]+)\r\n", re.MULTILINE)

    def __init__(self, stored: str) -> None:
        parts = self._LINE.split(stored)
        self._fixed = [part.encode("ascii") for part in parts[::2]]
        self._slots = parts[1::2]

    def filled(self, values: Mapping[str, bytes]) -> bytes:
        """The piece with encoded values in its slots. Raises KeyError where one is missing."""
        if not self._slots:
            return self._fixed[0]
        parts = [self._fixed[0]]
        for name, fixed in zip(self._slots, self._fixed[1:], strict=True):
            parts += (values[name], fixed)
        return b"".join(parts)


def in_html(text: str) -> bytes:
    """A personal word as it goes into a slot of the HTML part."""
    return qp(escape(clean(text)))


def in_text(text: str) -> bytes:
    """A personal word as it goes into a slot of the text part."""
    return qp(clean(text))
