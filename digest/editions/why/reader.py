"""The stages of the reader and their mail: is there one, what keeps papers out of it, did it go."""

from digest.editions import digests, prose, schedule
from digest.editions.why import words
from digest.editions.why.case import UNDER_WAY, Case, State
from digest.editions.why.told import Stage, failed, not_applicable, passed
from digest.editions.why.topics import reasons_in_words
from digest.models import EditionPaper
from subscriptions.filters import FilterError, parse
from subscriptions.filters.account import account
from subscriptions.models import Delivery, Subscriber

_STATUS = {
    Subscriber.Status.UNCONFIRMED: (
        "your subscription is not confirmed",
        "press the button in the confirmation mail",
    ),
    Subscriber.Status.UNSUBSCRIBED: ("you have unsubscribed", "sign up again"),
    Subscriber.Status.SUPPRESSED: (
        "nothing is sent to your address any more, because mail to it came back or was reported",
        "ask whoever runs this service to write to you again",
    ),
    Subscriber.Status.ERASED: ("your subscription was erased", "sign up again"),
}
_SKIPPED = {
    "no_match": ("none of its papers was for you, so no mail was sent", ""),
    "paused": ("your mail was paused then", "resume your mail"),
    "suppressed": _STATUS[Subscriber.Status.SUPPRESSED],
    "unsubscribed": ("you had unsubscribed before it went out", "sign up again"),
    "unconfirmed": ("your subscription was not confirmed then", "confirm it"),
    "erased": ("your subscription was erased before it went out", "sign up again"),
    "folded": (
        "it had not gone out when the next one was put together, which took in its papers as far as your "
        "limits allowed",
        "",
    ),
}


def membership(case: Case) -> Stage:
    """Whether the reader is one of the edition's readers."""
    assert case.edition is not None
    reader, edition = case.reader, case.edition
    facts = {"status": reader.status, "frequency": reader.frequency}
    if case.delivery is not None or case.receipt is not None:
        return passed("reader", f"you are a reader of {words.edition(edition)}", facts)
    if reader.status in _STATUS:
        said, cure = _STATUS[Subscriber.Status(reader.status)]
        return failed("reader", said, facts, cure=cure)
    if edition.kind != case.kind:
        said = f"you read {case.kind} editions, and this is {words.edition(edition)}"
        return failed("reader", said, facts, cure=f"choose {edition.kind} mail in your preferences")
    since, closes_at = reader.confirmed_at, edition.mailing.closes_at
    if since is not None and since >= closes_at:
        said = (
            f"you have been a reader since {words.moment(since).removeprefix('on ')}, and by then "
            f"{words.edition(edition)} was closed"
        )
        return failed("reader", said, {**facts, "since": since.isoformat()})
    if reader.is_paused_on(schedule.due_at(reader, edition).date()):
        until = f" until {prose.day_month_year(reader.paused_until)}" if reader.paused_until else ""
        return failed("reader", f"your mail is paused{until}", facts, cure="resume your mail")
    if case.now >= closes_at:
        return failed(
            "reader", f"you were given no mail of {words.edition(edition)} before it was closed", facts
        )
    return passed("reader", f"you are a reader of {words.edition(edition)}", facts)


def never(case: Case) -> Stage:
    """What the reader never wants, whichever topic finds it."""
    if case.receipt is not None:
        return passed("never", "it is nothing that you never want")
    for mute in case.mutes:
        canonical = mute.filter.canonical
        try:
            truth = account(parse(canonical), case.document)
        except FilterError:
            continue  # the edition could not read it either
        holds = truth.holds
        if case.material is not None and case.member is not None and not case.member.folded_in:
            holds = not case.names.isdisjoint(case.material.found(mute.filter_id))
        if holds:
            said = f"you never want {canonical}"
            said += f", and this has {reasons_in_words(truth)}" if truth.holds else ", which it was then"
            cure = f"take {canonical} off the list of what you never want"
            return failed("never", said, {"filter": canonical, "truth": truth.as_json()}, cure=cure)
    return passed("never", "it is nothing that you never want")


def received(case: Case) -> Stage:
    """Whether an earlier mail has brought it; a new version that the reader asked for counts for itself."""
    assert case.key is not None
    earlier = [one for one in case.receipts if one.key < case.key and one.is_given]
    member = case.member
    is_update = member is not None and member.announced == EditionPaper.Announced.UPDATED
    if member is not None and (is_update or (member.version and case.reader.wants_updates)):
        marks = {digests.revision_mark(pk, member.version or 0) for pk in case.names}
        earlier = [one for one in earlier if not marks.isdisjoint(one.row.paper_ids)]
    elif not earlier and case.material is not None:
        for pair in case.material.parted:
            for some, others in ((pair.some, pair.others), (pair.others, pair.some)):
                if not case.names.isdisjoint(some):
                    earlier += [
                        one
                        for one in case.receipts_of(set(others))
                        if one.key < case.key and one.is_given and one.row.day <= pair.on
                    ]
    if not earlier or case.receipt is not None:
        return passed("received", "no earlier mail had brought it to you")
    first = min(earlier, key=lambda one: (not one.has_arrived, one.key))
    what = "it" if first in case.receipts else "what was taken for the same work then"
    facts = {"edition": str(first.edition) if first.edition else None, "day": str(first.row.day)}
    if first.has_arrived:
        return failed("received", f"you had got {what} already, {first.words}", facts)
    return failed("received", f"{what} was in a mail of yours already, {first.words}", facts)


def delivered(case: Case) -> Stage:
    """What became of the reader's mail of this edition."""
    assert case.edition is not None
    row = case.delivery
    if row is None and case.receipt is not None:
        return passed("delivery", "it was sent; how it went is no longer kept")
    if row is None:
        due = schedule.due_at(case.reader, case.edition).isoformat()
        said = f"no mail of {words.edition(case.edition)} has been put together for you"
        return not_applicable("delivery", said, {"due_at": due})
    facts = {
        "state": row.state,
        "reason": row.reason,
        "due_at": row.due_at.isoformat(),
        "done_at": row.done_at.isoformat() if row.done_at else None,
        "attempts": row.attempts,
    }
    said, cure = fate(row)
    if row.state == State.SENT:
        return passed("delivery", said, facts)
    if row.state in UNDER_WAY:
        return not_applicable("delivery", said, facts)
    return failed("delivery", said, facts, cure=cure)


def fate(row: Delivery) -> tuple[str, str]:
    """What became of a mail, and what the reader can do."""
    said = row.reason.rstrip(".")
    match row.state:
        case State.SENT:
            return (
                f"the mail server took it {words.moment(row.done_at)}" if row.done_at else "it was sent",
                "",
            )
        case State.DUE | State.LEASED | State.HANDING:
            return f"it is due {words.moment(row.due_at)}", ""
        case State.DEFERRED:
            return f"the mail server asked to wait ({said}), so it is due {words.moment(row.due_at)}", ""
        case State.SKIPPED:
            return _SKIPPED.get(row.reason, (f"no mail was sent ({said})", ""))
        case State.FAILED:
            return f"the mail server refused it: {said}", "see to it that your mailbox takes our mail"
        case State.EXPIRED:
            return f"it could not be delivered in time: {said}", "see to it that your mailbox takes our mail"
    return "the mail server's answer was lost", "look for it among what your mailbox holds as spam"
