"""Letters for tests, and the slow way to make one: whole templates, premailer, the standard library."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from email.message import EmailMessage
from typing import Any

import lxml.html  # type: ignore[import-untyped]
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.safestring import mark_safe

from digest.editions import account, assemble, cards, compose, faces, prose, schedule, share, wording
from digest.editions.material import Material
from digest.models import Digest, Edition, EditionPaper, EditionRelevance
from digest.papers import ai
from subscriptions import tokens, topics
from subscriptions.mail import message
from subscriptions.mail.letters import Recipient
from subscriptions.models import Subscriber, Topic
from tests.factories import DAY, NOON, SubscribedTopicFactory, SubscriberFactory, TopicFactory


def reader(*filters: str, **values: Any) -> Subscriber:
    """A reader with one topic for each filter, named like it."""
    subscriber = SubscriberFactory(**values)
    for position, text in enumerate(filters):
        topic = TopicFactory(name=text, filter=topics.filter_revision(text, now=NOON))
        SubscribedTopicFactory(subscriber=subscriber, topic=topic, position=position)
    return subscriber


def edition_of(day: date = DAY, kind: str = "daily") -> Edition:
    edition = schedule.open_edition(kind, day, now=schedule.opening(kind, day))
    assert edition is not None
    return edition


def digest_of(edition: Edition, subscriber: Subscriber, **changes: Any) -> Digest:
    """What compose would give this reader, not stored."""
    material = Material.of(edition)
    followed = compose.topics_of([subscriber.pk]).get(subscriber.pk, [])
    material.evaluate({row.topic.filter_id for row in followed})
    digest = share.gather(material, subscriber, followed, received=())
    for name, value in changes.items():
        setattr(digest, name, value)
    return digest


def score(edition: Edition, topic: Topic, scored: Mapping[int, tuple[float | None, Any]]) -> None:
    """Give the topic a keyword, and these papers their probability and reasons [[field, words], …]."""
    Topic.objects.filter(pk=topic.pk).update(keywords=["harness"])
    EditionRelevance.objects.update_or_create(
        edition=edition, topic=topic, defaults={"scored": [[pk, *values] for pk, values in scored.items()]}
    )


def recipient_of(edition: Edition, subscriber: Subscriber, **changes: Any) -> Recipient:
    values: dict[str, Any] = {
        "delivery_id": (edition.mailing_id << 32) + subscriber.pk,
        "mailing_id": edition.mailing_id,
        "subscriber_id": subscriber.pk,
        "email": subscriber.email,
        "language": subscriber.language,
        "unsubscribe_key": subscriber.unsubscribe_key,
        "dated_at": schedule.opening(edition.kind, edition.date),
        "domain": "paperboy.example",
        "label": edition.mailing.label,
    }
    return Recipient(**values | changes)


def letter(edition: Edition, subscriber: Subscriber, **changes: Any) -> bytes:
    """The message of this reader's digest."""
    to, digest = recipient_of(edition, subscriber), digest_of(edition, subscriber, **changes)
    return assemble.Assembler(edition).letter(to, digest).content


def reference(edition: Edition, to: Recipient, digest: Digest) -> EmailMessage:
    """The same mail made without any of our joining, cutting and encoding."""
    view = assemble.Assembler(edition).view(to, digest)
    with translation.override(digest.language):
        html, text = (_rendered(edition, to, digest, view, kind) for kind in ("html", "txt"))
    whole = EmailMessage()
    whole["Subject"] = message.one_line(view.subject)
    whole.set_content(text, cte="quoted-printable")
    whole.add_alternative(message.inline(html), subtype="html", cte="quoted-printable")
    return whole


def _rendered(edition: Edition, to: Recipient, digest: Digest, view: wording.View, kind: str) -> str:
    rows = {row.paper_id: row for row in EditionPaper.objects.filter(edition=edition).select_related("paper")}
    told = faces.told(row.paper for row in rows.values())
    texts = ai.texts_of(list(rows), digest.language)
    complete, note = account.completeness(account.Record.of(edition))
    key = "html" if kind == "html" else "text"
    preferences_url = tokens.preferences_url(to.subscriber_id, now=to.dated_at)
    sections = []
    for section in view.sections:
        items = []
        for item in section.items:
            pk = item.paper_id
            face = faces.face(rows[pk], told[pk], texts.get(pk, {}), length=digest.length)
            personal = {
                name: mark_safe(_template(f"_{name}.html", item=item)) for name in ("gutter", "counted")
            }
            why = _template(f"_why.{kind}", item=item, rules_url=f"{preferences_url}paper/")
            card = cards.card_part(face, item.form, kind, why=mark_safe(why), **personal)
            items.append({"form": item.form, "band": item.band, key: mark_safe(card)})
        sections.append({**asdict(section), "items": items})
    most = max((row.count for row in view.rows), default=0)
    return _template(
        f"body.{kind}",
        **{name: getattr(view, name) for name in ("subject", "preheader", "headline", "lines", "more")},
        meaning=view.meaning,
        receipt=view.receipt,
        lang=message.LANGUAGE_TAGS.get(digest.language, digest.language),
        site_url="https://paperboy.example",
        postal_address="Example Institute, 1 Library Lane",
        dated=account.dated(edition),
        rows=[{**asdict(row), "blocks": _blocks(row.count, most)} for row in view.rows],
        sections=sections,
        complete=complete,
        note=prose.sentences((complete, note)).removeprefix(complete),
        preferences_url=preferences_url,
        view_url=tokens.digest_url(to.delivery_id),
        unsubscribe_url=tokens.unsubscribe_url(to.unsubscribe_key),
    )


def _template(name: str, **context: Any) -> str:
    return message.clean(render_to_string(f"email/digest/{name}", context))


def same_tree(html: str) -> str:
    """The document in one spelling: entities, quotes and line breaks between elements do not count."""
    root = lxml.html.document_fromstring(html)
    for element in root.iter():
        for name in ("text", "tail"):
            text = getattr(element, name)
            if text is not None and "\n" in text and not text.strip():
                setattr(element, name, None)
    return lxml.html.tostring(root, encoding="unicode")


def words(text: str) -> list[str]:
    return text.split()


def texts(html: str, path: str) -> Sequence[str]:
    """The text of each element at an XPath, blanks as one."""
    found = lxml.html.document_fromstring(html).xpath(path)
    return [" ".join(element.text_content().split()) for element in found]


def _blocks(count: int, most: int) -> list[dict[str, int]]:
    return [
        dict(zip(("width", "gap"), cards.BLOCKS[name], strict=True)) for name in assemble.bar(count, most)
    ]
