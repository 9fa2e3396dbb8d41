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
from html import escape
from itertools import islice
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.safestring import SafeString, mark_safe

from digest.editions import account, faces, prose
from digest.editions.faces import Face
from digest.models import Card, Edition, Shell
from digest.papers import ai
from subscriptions.mail.message import LANGUAGE_TAGS, clean, inline, one_line, qp
from subscriptions.models import Subscriber

PAPERS_A_PASS = 60  # of premailer; more do not make it faster, only larger
# Width and gap in pixels; a phone leaves 99 for a bar, and squeezes a longer one. Some stand for several
# papers, since each takes 230 bytes of a mail.
BLOCKS = {
    "block_wide": (12, 2),
    "block_narrow": (4, 1),
    "block_five": (24, 1),
    "block_thin": (1, 0),
    "block_ten": (10, 0),
}

# The reader's length → the forms that their emails may hold.
FORMS = {
    Subscriber.Length.TITLES: (Card.Form.BRIEF,),
    Subscriber.Length.ONE_LINE: (Card.Form.LEAD, Card.Form.STORY, Card.Form.BRIEF),
    Subscriber.Length.ABSTRACT: (Card.Form.LEAD, Card.Form.STORY, Card.Form.BRIEF),
}
GUTTERS = ("gutter_percent", "gutter_votes", "gutter_number", "gutter_empty")
SLOT = "=@"  # a line of a stored piece that names what goes there; no line of quoted-printable begins so

# Slots inside a card: what stands in its gutter and among its facts depends on what ordered its section.
IN_CARDS = ("gutter", "counted")
SLOTS = (
    *IN_CARDS,
    "subject",
    "preheader",
    "headline",
    "line",
    "url",
    "name",
    "count",
    "word",
    "reason",
    "votes",
    "votes_word",
    "percent",
    "band",
    "more",
    "meaning",
    "rules_url",
    "paper_id",
    "receipt",
    "preferences_url",
    "view_url",
    "unsubscribe_url",
)


def build(
    edition: Edition,
    *,
    languages_lengths: Iterable[tuple[str, str]],
    paper_ids: Collection[int] | None = None,
) -> None:
    """Make the cards and the shells of an edition that are still missing; of these papers, or of all.

    Safe to repeat and to run beside itself: rows once written are never changed.
    """
    members = list(edition.edition_papers.select_related("paper").order_by("position"))
    record: account.Record | None = None
    told: dict[int, faces.Told] = {}
    for language, length in languages_lengths:
        stored = set(edition.cards.filter(language=language, length=length).values_list("paper_id", "form"))
        missing = [
            row
            for row in members
            if (paper_ids is None or row.paper_id in paper_ids)
            and any((row.paper_id, form) not in stored for form in FORMS[_length(length)])
        ]
        takes_relevance = _takes_relevance(edition, language=language, length=length)
        shell_exists = takes_relevance is not None
        if not missing and shell_exists:
            continue
        if record is None:
            record = account.Record.of(edition)
            told = faces.told(row.paper for row in members if paper_ids is None or row.paper_id in paper_ids)
        texts = ai.texts_of([row.paper_id for row in missing], language)
        with translation.override(language):
            completeness = account.completeness(record)
            parts = iter(missing)
            chunk = list(islice(parts, PAPERS_A_PASS))
            while chunk or not shell_exists:
                shown = [
                    faces.face(row, told[row.paper_id], texts.get(row.paper_id, {}), length=length)
                    for row in chunk
                ]
                pieces = _pieces(edition, shown, completeness, language=language, length=length)
                if not shell_exists:
                    facts = account.facts(record, members)
                    _store_shell(edition, pieces, facts, language=language, length=length)
                    shell_exists = True
                if takes_relevance is False:
                    pieces = _with_votes(pieces, shown, length=length)
                Card.objects.bulk_create(
                    _cards(edition, shown, pieces, language=language, length=length),
                    ignore_conflicts=True,
                    batch_size=200,
                )
                chunk = list(islice(parts, PAPERS_A_PASS))


def _takes_relevance(edition: Edition, *, language: str, length: str) -> bool | None:
    """Whether the stored shell of a look has gutters to fill; None where none is stored."""
    shells = edition.shells.filter(language=language, length=length)
    takes = shells.annotate(takes=Q(pieces__html__has_key=GUTTERS[0])).values_list("takes", flat=True)
    return takes.first()


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


def _pieces(
    edition: Edition, shown: Sequence[Face], completeness: tuple[str, str], *, language: str, length: str
) -> _Pieces:
    markers = _Markers()
    slots = {name: markers.slot(name) for name in SLOTS}
    marked = mark_safe("".join(_specimens(markers, slots)))
    band = slots["band"]
    # The first of a section, or below a heading, stands closer to it, and briefs closer to each other.
    specimens = {
        "section_link": [
            {"form": "story", "html": marked, "text": "", "band": band},
            {"form": "story", "html": "", "text": ""},
            {"form": "brief", "html": "", "text": ""},
            {"form": "story", "html": "", "text": "", "band": band},
        ],
        "section_plain": [{"form": "brief", "html": "", "text": ""}],
    }
    cards = [
        {
            "form": form,
            "html": _marked(markers, face, form, "html"),
            "text": _marked(markers, face, form, "txt"),
        }
        for face in shown
        for form in FORMS[_length(length)]
    ]
    linked = {"url": slots["url"], "name": slots["name"], "count": slots["count"]}
    plain = linked | {"url": ""}
    blocks = [{"cut": markers[name], "width": width, "gap": gap} for name, (width, gap) in BLOCKS.items()]
    complete, note = completeness
    context = {
        **slots,
        "cut": markers,
        "lang": LANGUAGE_TAGS.get(language, language),
        "site_url": settings.SITE_URL,
        "postal_address": one_line(settings.POSTAL_ADDRESS),
        "dated": account.dated(edition),
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
        "note": prose.sentences((complete, note)).removeprefix(complete),
    }
    html = markers.cut(inline(_render("body.html", **context)))
    text = markers.cut(_render("body.txt", **context))
    return _Pieces(
        {name: markers.encoded(piece) for name, piece in html.items()},
        {name: markers.encoded(piece) for name, piece in text.items()},
    )


def _specimens(markers: _Markers, slots: Mapping[str, str]) -> Iterator[str]:
    """What differs between the readers of one card, in every look that it has."""
    why = [{"words": [slots["word"]], "where": ""}]
    for form in (Card.Form.STORY, Card.Form.BRIEF):
        chosen = {"form": str(form), "why": why, "paper_id": slots["paper_id"]}
        yield _render("_why.html", item=chosen, rules_url=slots["rules_url"], cut=markers)
        voted = {"form": str(form), "votes": slots["votes"], "votes_word": slots["votes_word"]}
        scored = voted | {"is_scored": True}
        for item in (voted, scored, scored | {"percent": slots["percent"]}):
            gutter = _render("_gutter.html", item=item, cut=markers)
            yield f'<table><tr><td class="votes">{gutter}</td></tr></table>'
            yield f'<p class="three">{_render("_counted.html", item=item, cut=markers)}</p>'


def _marked(markers: _Markers, face: Face, form: str, part: str) -> SafeString:
    """A card between markers: head, then (after the place of the why-line) tail."""
    name = f"{face.paper_id}.{form}"
    slots = {slot: markers.slot(slot) for slot in IN_CARDS}
    card = card_part(face, form, part, why=markers[f"{name}.tail"], **slots)
    return mark_safe(f"{markers[f'{name}.head']}{card}{markers['end']}")


def card_part(face: Face, form: str, part: str, *, why: str, gutter: str, counted: str) -> str:
    """One card as text or HTML ("txt", "html"), not inlined, not encoded, with what is personal about it."""
    return _render(f"_card.{part}", card=face, form=str(form), why=why, gutter=gutter, counted=counted)


def _with_votes(pieces: _Pieces, shown: Iterable[Face], *, length: str) -> _Pieces:
    """The cards for a shell that was stored before mails knew relevance: votes in every gutter."""
    html = dict(pieces.html)
    for face in shown:
        for form in FORMS[_length(length)]:
            name = f"{face.paper_id}.{form}.head"
            gutter = Piece(html[gutter_of(form, votes=face.votes)])
            counted = {"votes": in_html(str(face.votes)), "votes_word": in_html(face.votes_word)}
            values = {"gutter": gutter.filled(counted), "counted": b""}
            html[name] = Piece(html[name]).filled(values).decode("ascii")
    return _Pieces(html, pieces.text)


def gutter_of(form: str, *, votes: int | None, is_scored: bool = False, percent: str = "") -> str:
    """The name of the piece that stands in a gutter; see templates/email/digest/_gutter.html."""
    if is_scored:
        return "gutter_percent" if percent else "gutter_empty"
    if votes is None:
        return "gutter_empty"
    return "gutter_number" if form == Card.Form.BRIEF else "gutter_votes"


def _render(template: str, **context: Any) -> str:
    return clean(render_to_string(f"email/digest/{template}", context))


def _cards(
    edition: Edition, shown: Iterable[Face], pieces: _Pieces, *, language: str, length: str
) -> Iterator[Card]:
    for each in shown:
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
    edition: Edition, pieces: _Pieces, facts: Mapping[str, Any], *, language: str, length: str
) -> None:
    kept = {
        "html": {name: piece for name, piece in pieces.html.items() if not name[0].isdigit()},
        "text": {name: piece for name, piece in pieces.text.items() if not name[0].isdigit()},
        "facts": facts,
    }
    Shell.objects.bulk_create(
        [Shell(edition=edition, language=language, length=length, pieces=kept)], ignore_conflicts=True
    )


def _length(length: str) -> Subscriber.Length:
    return Subscriber.Length(length)


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
