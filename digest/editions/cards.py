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
        shell_exists = edition.shells.filter(language=language, length=length).exists()
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
                Card.objects.bulk_create(
                    _cards(edition, shown, pieces, language=language, length=length),
                    ignore_conflicts=True,
                    batch_size=200,
                )
                chunk = list(islice(parts, PAPERS_A_PASS))


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
