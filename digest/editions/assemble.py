"""The bytes of one email, joined from stored pieces: no template and no premailer here, thousands a second.

Everything comes from rows (Card, Shell, EditionMatch, EditionRelevance, Digest, Delivery), so that any sent
mail can be made again exactly, all but the dates inside its personal links.
"""

import binascii
import bisect
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import lxml.html
from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from digest.editions import cards, digests, prose, wording
from digest.editions.cards import Piece, in_html, in_text
from digest.models import (
    Card,
    Digest,
    Edition,
    EditionMatch,
    EditionPaper,
    EditionRelevance,
    Paper,
    Shell,
)
from subscriptions import interests, tokens
from subscriptions.mail import message
from subscriptions.mail.letters import Letter, Recipient
from subscriptions.mail.message import one_line
from subscriptions.models import FilterRevision, Topic

HTML_MAX_BYTES = 81_920  # decoded; Gmail cuts a mail at 102 KB
PERSONAL_LINKS = ("preferences_url", "view_url", "unsubscribe_url", "rules_url")
NO_LINK = "about:blank"
FILTERS_KEPT = 5_000  # in memory; an edition may have a hundred thousand
SCORES_KEPT = 100_000  # papers of topics; a topic may let a whole day in

Hits = Mapping[int, Sequence[Sequence[str]]]
# Paper id → probability, the reasons of the score.
Scores = Mapping[int, tuple[float | None, Sequence[Sequence[str]]]]


class Assembler:
    """Makes the letters of one edition; call it with a group of recipients. Keeps what it has looked up."""

    def __init__(self, edition: Edition) -> None:
        self._edition = edition
        self._looks: dict[tuple[str, str], _Look] = {}
        self._votes: dict[int, int | None] = {}
        self._positions: dict[int, int] = {}
        self._places: dict[int, int] = {}
        self._joined: set[int] = set()
        self._media: set[int] = set()
        self._matches: dict[int, tuple[Hits, str]] = {}
        self._scores: dict[int, Scores] = {}
        self._topics: dict[int, Topic] = {}
        # Reasons in words, by language, filter, topic and paper: thousands of readers share a topic.
        self._reasons: dict[tuple[str, int, int, int], list[wording.Why]] = {}

    def __call__(self, recipients: Sequence[Recipient]) -> list[Letter]:
        """One letter for each recipient, in order; a handful of queries.

        Raises LookupError where a recipient has no stored digest.
        """
        found = Digest.objects.in_bulk([recipient.delivery_id for recipient in recipients])
        missing = [recipient.delivery_id for recipient in recipients if recipient.delivery_id not in found]
        if missing:
            raise LookupError(f"No digest is stored for delivery {missing[0]} and {len(missing) - 1} others.")
        self._look_up(found.values())
        return [self._letter(recipient, found[recipient.delivery_id]) for recipient in recipients]

    def letter(self, recipient: Recipient, digest: Digest) -> Letter:
        """One letter, of a digest that need not be stored."""
        self._look_up([digest])
        return self._letter(recipient, digest)

    def view(self, recipient: Recipient, digest: Digest) -> wording.View:
        """The words of that letter, before any is left out for its size."""
        self._look_up([digest])
        with translation.override(digest.language):
            return wording.view(digest, self._known(digest), email=recipient.email)

    def page(self, digest: Digest) -> str:
        """The HTML part for a browser: whole, whatever its size, with no link that acts for the reader."""
        self._look_up([digest])
        with translation.override(digest.language):
            view = wording.view(digest, self._known(digest), email=_("you"))
            look = self._look(digest.language, digest.length)
            encoded = look.html(view, dict.fromkeys(PERSONAL_LINKS, NO_LINK))
        document = lxml.html.document_fromstring(binascii.a2b_qp(encoded).decode())
        for link in document.xpath("//a[starts-with(@href, $no_link)]", no_link=NO_LINK):
            if link.get("class") == "rules":  # the reasons stay, as words
                for change in link.find_class("change"):
                    change.drop_tree()
                link.drop_tag()
            else:
                link.drop_tree()
        return lxml.html.tostring(document, encoding="unicode", doctype="<!doctype html>")

    # --- looking up, for many digests at once ---------------------------------------------------------

    def _look_up(self, wanted: Iterable[Digest]) -> None:
        wanted = list(wanted)
        papers = {pk for digest in wanted for pk in digests.papers_of(digest)}
        if not papers <= self._positions.keys():
            self._look_up_papers()
        by_look: dict[tuple[str, str], set[int]] = {}
        for digest in wanted:
            by_look.setdefault((digest.language, digest.length), set()).update(digests.papers_of(digest))
        for key, needed in by_look.items():
            self._look(*key).bring(needed)
        sections = [section for digest in wanted for section in digest.sections]
        self._bring_matches({section["filter"] for section in sections})
        self._bring_topics({section["topic"]: section["filter"] for section in sections})
        self._bring_scores({section["topic"] for section in sections})

    def _look_up_papers(self) -> None:
        rows = self._edition.edition_papers.order_by("position").values_list(
            "paper_id", "votes", "position", "announced", "folded_in", "paper__kind"
        )
        self._places.clear()
        for paper_id, votes, position, announced, folded_in, kind in rows:
            self._votes[paper_id], self._positions[paper_id] = votes, position
            if folded_in:
                self._joined.add(paper_id)
            elif announced != EditionPaper.Announced.UPDATED:
                self._places[paper_id] = len(self._places) + 1
            if kind != Paper.Kind.PAPER:
                self._media.add(paper_id)

    def _look(self, language: str, length: str) -> "_Look":
        key = (language, length)
        if key not in self._looks:
            shells = self._edition.shells.filter(language=language, length=length)
            shell = shells.first()
            if shell is None:
                cards.build(self._edition, languages_lengths=[key], paper_ids=())
                shell = shells.get()
            self._looks[key] = _Look.of(shell)
        return self._looks[key]

    def _bring_matches(self, filter_ids: set[int]) -> None:
        new = filter_ids - self._matches.keys()
        if not new:
            return
        if len(self._matches) + len(new) > FILTERS_KEPT:
            self._matches.clear()
            self._reasons.clear()
            new = filter_ids
        rows = EditionMatch.objects.filter(edition=self._edition, filter__in=new)
        for filter_id, hits, problem in rows.values_list("filter_id", "hits", "problem"):
            self._matches[filter_id] = (dict(hits), problem)

    def _bring_topics(self, filter_of: Mapping[int, int]) -> None:
        new = filter_of.keys() - self._topics.keys()
        if not new:
            return
        self._topics.update(Topic.objects.in_bulk(new))
        gone = new - self._topics.keys()
        if gone:  # a reader's own topic, deleted since: its filter still says what it was
            revisions = FilterRevision.objects.in_bulk([filter_of[pk] for pk in gone])
            for pk in gone:
                revision = revisions[filter_of[pk]]
                self._topics[pk] = Topic(pk=pk, name=revision.canonical, filter=revision)

    def _bring_scores(self, topic_ids: set[int]) -> None:
        """Of the topics that say what they want; many a topic of a reader's own is a filter and no more."""
        wanted = {pk for pk in topic_ids if interests.of_topic(self._topics[pk])}
        new = wanted - self._scores.keys()
        if not new:
            return
        if sum(map(len, self._scores.values())) > SCORES_KEPT:
            self._scores.clear()
            self._reasons.clear()
            new = wanted
        self._scores.update({pk: {} for pk in new})
        rows = EditionRelevance.objects.filter(edition=self._edition, topic__in=new)
        for topic_id, scored in rows.values_list("topic_id", "scored"):
            self._scores[topic_id] = {
                paper_id: (probability, reasons) for paper_id, probability, reasons in scored
            }

    # --- words to bytes ---------------------------------------------------------------------------------

    def _known(self, digest: Digest) -> wording.Known:
        look = self._look(digest.language, digest.length)
        ids = {section["topic"] for section in digest.sections}
        return wording.Known(
            kind=self._edition.kind,
            total=look.facts["total"],
            account=look.facts.get("account", ""),
            counted=look.facts.get("counted", ""),
            lines=look.facts["lines"],
            titles=look.titles,
            votes=self._votes,
            positions=self._positions,
            places=self._places,
            joined=self._joined,
            media=self._media,
            topics={pk: _name(self._topics[pk], digest.language) for pk in ids},
            hits=lambda pk: self._matches.get(pk, _NOTHING)[0],
            why=functools.partial(self._why, digest.language),
            is_scored=self._is_scored if look.takes_relevance else lambda _section: False,
            relevance=self._relevance if look.takes_relevance else lambda _section, _paper_id: None,
            problem=lambda pk: self._matches.get(pk, _NOTHING)[1],
        )

    def _why(self, language: str, section: Mapping[str, Any], paper_id: int) -> list[wording.Why]:
        own = section.get("why", {}).get(str(paper_id))
        key = (language, section["filter"], section["topic"], paper_id)
        if own is None and key in self._reasons:
            return self._reasons[key]
        found = [*self._matches.get(section["filter"], _NOTHING)[0].get(paper_id, ())]
        # A reader's own: what their examples say of the score, or all of a paper that joined from an
        # earlier digest which was not delivered.
        found += self._score(section, paper_id)[1] if own is None else own
        reasons = wording.reasons(found)
        if own is None:
            self._reasons[key] = reasons
        return reasons

    def _is_scored(self, section: Mapping[str, Any]) -> bool:
        return bool(self._scores.get(section["topic"]) or section.get("relevance"))

    def _relevance(self, section: Mapping[str, Any], paper_id: int) -> float | None:
        own = section.get("relevance", {})
        return own[str(paper_id)] if str(paper_id) in own else self._score(section, paper_id)[0]

    def _score(
        self, section: Mapping[str, Any], paper_id: int
    ) -> tuple[float | None, Sequence[Sequence[str]]]:
        return self._scores.get(section["topic"], {}).get(paper_id, (None, ()))

    def _letter(self, recipient: Recipient, digest: Digest) -> Letter:
        with translation.override(digest.language):
            known = self._known(digest)
            look = self._look(digest.language, digest.length)
            urls = _urls(recipient)
            view = wording.view(digest, known, email=recipient.email)
            html = look.html(view, urls)
            if len(html) > HTML_MAX_BYTES and _decoded(html) > HTML_MAX_BYTES:
                view, html = self._shortened(recipient, digest, known, urls)
            text = look.text(view, urls)
        kind = self._edition.kind
        to = message.address(recipient.email)
        headers = message.headers(
            to=to,
            subject=view.subject,
            message_id=message.message_id(recipient.delivery_id, recipient.domain),
            date=recipient.dated_at,
            unsubscribe_url=urls["unsubscribe_url"],
            more={
                "List-Id": f"Paperboy {kind} papers <{kind}.{recipient.domain}>",
                "Feedback-ID": f"{recipient.mailing_id}:{kind}:digest:paperboy",
            },
        )
        return Letter(
            delivery_id=recipient.delivery_id,
            envelope_from=message.envelope_from(recipient.delivery_id, recipient.domain),
            to=to,
            content=message.joined(headers, text, html),
        )

    def _shortened(
        self, recipient: Recipient, digest: Digest, known: wording.Known, urls: Mapping[str, str]
    ) -> tuple[wording.View, bytes]:
        """The largest mail that fits: stories become briefs from the end, then papers are left out."""
        look = self._look(digest.language, digest.length)
        number = len(digests.papers_of(digest))
        steps = [(stories, number) for stories in range(number, -1, -1)]
        steps += [(0, papers) for papers in range(number - 1, 0, -1)]

        def made(step: tuple[int, int]) -> tuple[wording.View, bytes]:
            stories, papers = step
            view = wording.view(digest, known, email=recipient.email, stories=stories, papers=papers)
            return view, look.html(view, urls)

        first = bisect.bisect_left(steps, True, key=lambda step: _decoded(made(step)[1]) <= HTML_MAX_BYTES)
        return made(steps[min(first, len(steps) - 1)])


_NOTHING: tuple[Hits, str] = ({}, "")
_NO_PIECE = Piece("")
_END_OF_LINK = in_text("/\n")


def _name(topic: Topic, language: str) -> wording.Name:
    url = f"{settings.SITE_URL}/topics/{topic.slug}/" if topic.slug else ""
    return wording.Name(one_line(topic.names.get(language) or topic.name), url)


def _urls(recipient: Recipient) -> dict[str, str]:
    """The reader's own links; `rules_url` with a paper's id is where they say what they think of it."""
    preferences_url = tokens.preferences_url(recipient.subscriber_id, now=recipient.dated_at)
    return {
        "preferences_url": preferences_url,
        "rules_url": f"{preferences_url}paper/",
        "view_url": tokens.digest_url(recipient.delivery_id),
        "unsubscribe_url": tokens.unsubscribe_url(recipient.unsubscribe_key),
    }


def _decoded(html: bytes) -> int:
    return len(binascii.a2b_qp(html))


@dataclass(slots=True)
class _Card:
    html_head: Piece
    html_tail: bytes
    text_head: bytes
    text_tail: bytes
    in_link: bytes  # the paper's number, as it ends a personal link in either part


@dataclass
class _Look:
    """A shell and its cards: everything that is the same for readers of one language and length."""

    shell: Shell
    facts: dict[str, Any]  # of account.facts
    titles: dict[int, str] = field(default_factory=dict)
    _cards: dict[tuple[int, str], _Card] = field(default_factory=dict)

    @classmethod
    def of(cls, shell: Shell) -> "_Look":
        return cls(shell, shell.pieces["facts"])

    def __post_init__(self) -> None:
        self._html = {name: Piece(stored) for name, stored in self.shell.pieces["html"].items()}
        self._text = {name: Piece(stored) for name, stored in self.shell.pieces["text"].items()}
        # Whether relevance can be shown: not in shells that were stored before mails knew of it.
        self.takes_relevance = cards.GUTTERS[0] in self._html
        # Few distinct ones among many readers: a topic's name and count, the reasons of one filter.
        self._reasons = functools.lru_cache(maxsize=20_000)(self._encoded_reasons)
        self._text_reasons = functools.lru_cache(maxsize=20_000)(self._encoded_text_reasons)
        self._in_card = functools.lru_cache(maxsize=20_000)(self._filled_in_card)
        self._piece = functools.lru_cache(maxsize=20_000)(self._filled)
        self._text_piece = functools.lru_cache(maxsize=20_000)(self._text_filled)

    def bring(self, paper_ids: set[int]) -> None:
        """Load the cards of these papers; those that are missing are made first."""
        new = paper_ids - self.titles.keys()
        if new and new - self._load(new):
            look = (self.shell.language, self.shell.length)
            cards.build(self.shell.edition, languages_lengths=[look], paper_ids=new)
            if gone := new - self._load(new):
                raise LookupError(f"{self.shell.edition} holds no paper {min(gone)}, but a digest names it.")

    def _load(self, paper_ids: set[int]) -> set[int]:
        rows = Card.objects.filter(
            edition=self.shell.edition_id,
            language=self.shell.language,
            length=self.shell.length,
            paper__in=paper_ids,
        )
        for row in rows.iterator(chunk_size=500):
            card = _Card(
                html_head=Piece(bytes(row.html_head).decode("ascii")),
                html_tail=bytes(row.html_tail),
                text_head=bytes(row.text_head),
                text_tail=bytes(row.text_tail),
                in_link=in_text(str(row.paper_id)),
            )
            self._cards[row.paper_id, row.form] = card
            first_line = binascii.a2b_qp(card.text_head).partition(b"\n")[0]
            self.titles[row.paper_id] = first_line.decode().strip()
        return paper_ids & self.titles.keys()

    # --- the HTML part ----------------------------------------------------------------------------------

    def html(self, view: wording.View, urls: Mapping[str, str]) -> bytes:
        piece = self._piece
        parts = [
            self._html["top"].filled(
                {
                    "subject": in_html(view.subject),
                    "preheader": in_html(view.preheader),
                    "headline": in_html(view.headline),
                }
            )
        ]
        parts += [piece("line", ("line", line)) for line in view.lines]
        parts.append(piece("after_lines"))
        if view.rows:
            parts.append(piece("rows_open"))
            most = max(row.count for row in view.rows)
            for row in view.rows:
                parts.append(piece(*_linked("row", row.name, row.url)))
                parts += map(piece, self._bar(row.count, most) or ["no_block"])
                parts.append(piece("row_close", ("count", str(row.count))))
            parts.append(piece("rows_close"))
        rules_url = in_html(urls["rules_url"])
        for section in view.sections:
            parts.append(piece(*_linked("section", section.name, section.url), ("count", section.count)))
            for number, item in enumerate(section.items):
                if item.band:
                    parts.append(piece("band" if number else "band_first", ("band", item.band)))
                parts.append(piece(_opening(0 if item.band else number, item.form)))
                card = self._cards[item.paper_id, item.form]
                in_card = self._in_card(item.form, item.votes, item.is_scored, item.percent)
                parts.append(card.html_head.filled(in_card))
                if item.why:
                    opening = "why_open_brief" if item.form == Card.Form.BRIEF else "why_open"
                    link = {"rules_url": rules_url, "paper_id": card.in_link}
                    parts += (self._html[opening].filled(link), self._reasons(item.why))
                parts += (card.html_tail, piece("item_close"))
            parts += [piece("reason", ("reason", reason)) for reason in section.reasons]
        if view.more:
            parts.append(
                self._html["more"].filled({"more": in_html(view.more), "view_url": in_html(urls["view_url"])})
            )
        if view.meaning:
            parts.append(piece("meaning", ("meaning", view.meaning)))
        parts.append(
            self._html["bottom"].filled(
                {
                    "note": b"",  # in shells that were stored while the note at the end was personal
                    "receipt": in_html(view.receipt),
                    **{name: in_html(url) for name, url in urls.items()},
                }
            )
        )
        return b"".join(parts)

    def _bar(self, count: int, most: int) -> list[str]:
        if "block_five" in self._html:
            return bar(count, most)
        # Of a shell that was stored before one block stood for several papers.
        return ["block_wide" if most <= 7 else "block_narrow" if most <= 21 else "block_thin"] * count

    def _filled(self, name: str, *values: tuple[str, str]) -> bytes:
        return self._html[name].filled({slot: in_html(value) for slot, value in values})

    def _filled_in_card(
        self, form: str, votes: int | None, is_scored: bool, percent: str
    ) -> dict[str, bytes]:
        """What fills the slots of a card; those of older editions have none."""
        if not self.takes_relevance:
            return {}
        numbers = (
            ("percent", percent),
            ("votes", str(votes)),
            ("votes_word", ngettext("vote", "votes", votes or 0)),
        )
        counted = "counted_brief" if form == Card.Form.BRIEF else "counted"
        return {
            "gutter": self._filled(
                cards.gutter_of(form, votes=votes, is_scored=is_scored, percent=percent), *numbers
            ),
            "counted": self._filled(counted, *numbers) if is_scored and votes is not None else b"",
        }

    def _encoded_reasons(self, why: tuple[wording.Why, ...]) -> bytes:
        """The parts of a why-line and its end."""
        chip = [self._html.get(name, _NO_PIECE).filled({}) for name in ("chip_open", "chip_close")]
        parts: list[bytes] = []
        for part in why:
            marked = in_html(prose.comma()).join(self._filled("mark", ("word", word)) for word in part.words)
            blank = " " if part.words and part.where else ""
            parts += (in_html("\u2002 "), chip[0], marked, in_html(blank + part.where), chip[1])
        return b"".join((*parts, self._html["why_close"].filled({})))

    # --- the text part ----------------------------------------------------------------------------------

    def text(self, view: wording.View, urls: Mapping[str, str]) -> bytes:
        piece = self._text_piece
        rules_url = in_text(urls["rules_url"])
        parts = [piece("top", ("headline", view.headline))]
        parts += [piece("line", ("line", line)) for line in view.lines]
        if view.rows:
            parts.append(piece("rows_open"))
            parts += [piece("row", ("count", str(row.count)), ("name", row.name)) for row in view.rows]
        for section in view.sections:
            parts.append(piece("section", ("name", section.name), ("count", section.count)))
            for item in section.items:
                if item.band:
                    parts.append(piece("band", ("band", item.band)))
                card = self._cards[item.paper_id, item.form]
                parts += (piece("item"), card.text_head, self._text_reasons(item.percent, item.why))
                if item.why and self.takes_relevance:
                    parts += (rules_url, card.in_link, _END_OF_LINK)
                parts.append(card.text_tail)
            parts += [piece("reason", ("reason", reason)) for reason in section.reasons]
        if view.more:
            values = {"more": in_text(view.more), "view_url": in_text(urls["view_url"])}
            parts.append(self._text["more"].filled(values))
        if view.meaning:
            parts.append(piece("meaning", ("meaning", view.meaning)))
        personal = {"note": "", "receipt": view.receipt, **urls}
        parts.append(self._text["bottom"].filled({name: in_text(value) for name, value in personal.items()}))
        return b"".join(parts)

    def _encoded_text_reasons(self, percent: str, why: tuple[wording.Why, ...]) -> bytes:
        """The lines of a paper's relevance and reasons, and what stands before its link."""
        colon = prose.colon()
        lines = f"{_('Relevance')}{colon}{percent}\n" if percent else ""
        if why:
            lines += f"{_('Why')}{colon}{wording.plain(why)}\n"
        if why and self.takes_relevance:
            lines += f"{_('More or less like this')}{colon}"
        return in_text(lines)

    def _text_filled(self, name: str, *values: tuple[str, str]) -> bytes:
        return self._text[name].filled({slot: in_text(value) for slot, value in values})


def _linked(name: str, text: str, url: str) -> tuple[str, *tuple[tuple[str, str], ...]]:
    if url:
        return (f"{name}_link", ("name", text), ("url", url))
    return (f"{name}_plain", ("name", text))


def _opening(number: int, form: str) -> str:
    if form == Card.Form.BRIEF:
        return "item_brief" if number else "item_first_brief"
    return "item_next" if number else "item_first"


def bar(count: int, most: int) -> list[str]:
    """The blocks of one row: the widest of which the bar of the largest still fits its cell."""
    if most <= 7:
        return ["block_wide"] * count
    if most <= 19:
        return ["block_five"] * (count // 5) + ["block_narrow"] * (count % 5)
    return ["block_ten"] * (count // 10) + ["block_thin"] * (count % 10)
