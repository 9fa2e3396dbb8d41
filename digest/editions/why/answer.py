"""The sentence that all stages add up to, and how to get the paper next time."""

from digest.editions import prose, schedule
from digest.editions.why import words
from digest.editions.why.case import UNDER_WAY, Case, Receipt, State
from digest.editions.why.reader import fate
from digest.editions.why.told import Stage, TopicAccount

_NOT_GOT = "You did not get it because"


def answer(
    case: Case, before: list[Stage], topics: list[TopicAccount], after: list[Stage]
) -> tuple[str, str]:
    """(sentence, cure): a mail that holds the paper says most, else the first stage that kept it out."""
    if case.receipt is not None:
        return _of_a_mail(case, case.receipt)
    for stage in before:
        if stage.has_failed:
            start = "You have not got it yet:" if stage.is_pending else _NOT_GOT
            return f"{start} {stage.words}.", stage.cure
    assert case.edition is not None  # else the edition's stage has failed
    by_name = {stage.name: stage for stage in after}
    received, never, delivery = by_name["received"], by_name["never"], by_name["delivery"]
    if received.has_failed:
        return f"You did not get it in {words.edition(case.edition)} because {received.words}.", ""
    row = case.delivery
    if row is not None and row.state == State.SKIPPED and row.reason != "no_match":
        return f"{_NOT_GOT} {delivery.words}.", delivery.cure
    if not topics:
        return f"{_NOT_GOT} you follow no topic.", "choose topics in your preferences"
    nearest = _nearest(topics)
    kept_out = nearest.failed
    if kept_out is not None and kept_out.name == "filter":
        return f"{_NOT_GOT} {_not_found(nearest, kept_out, topics)}.", kept_out.cure
    if kept_out is not None and kept_out.name == "topic":
        return f"{_NOT_GOT} {kept_out.words}, though {nearest.name} finds it.", kept_out.cure
    if kept_out is not None and kept_out.name == "relevance":
        return f"{_NOT_GOT} {kept_out.words}.", kept_out.cure
    if never.has_failed:
        return f"{_NOT_GOT} {never.words}.", never.cure
    if kept_out is not None:
        return f"{_NOT_GOT} {kept_out.words}.", kept_out.cure
    if row is None:
        due = max(case.now, schedule.due_at(case.reader, case.edition))
        return f"You have not got it yet: it is to come in your mail {words.moment(due)}.", ""
    then = f"when {words.edition(case.edition)} was put together"
    return f"{_NOT_GOT} your topics or limits were others {then}; by those of now it would have come.", ""


def _nearest(topics: list[TopicAccount]) -> TopicAccount:
    """The topic under which the paper came furthest, of equals the first."""

    def rank(one: TopicAccount) -> tuple[bool, int, int]:
        # A topic that passed it on to one before has nothing to say where that one's limit kept it out.
        is_limit = one.failed is not None and one.failed.name == "limit"
        return is_limit, one.came, -one.stage("filter").facts.get("distance", 0)

    return max(topics, key=rank)


def _of_a_mail(case: Case, receipt: Receipt) -> tuple[str, str]:
    under = _under(case)
    if receipt.has_arrived:
        return f"You got it {receipt.words}{under}.", ""
    row = receipt.delivery
    assert row is not None  # a mail whose row is gone has arrived
    said, cure = fate(row)
    where = (
        f"your mail of {words.edition(case.edition)}{under}" if case.edition else f"a mail of yours{under}"
    )
    if row.state in UNDER_WAY:
        return f"You have not got it yet: it is in {where}, and {said}.", ""
    if row.state == State.UNCERTAIN:
        return f"You may have got it: it was in {where}, but {said}.", cure
    return f"You did not get it, though it was in {where}, because {said}.", cure


def _under(case: Case) -> str:
    if case.digest is None:
        return ""
    if not case.names.isdisjoint(case.digest.top):
        return ", among the top papers"
    names = [one.topic.name for one in case.followed if case.holds(one.section)]
    return f", under {names[0]}" if names else ""


def _not_found(nearest: TopicAccount, kept_out: Stage, topics: list[TopicAccount]) -> str:
    if len(topics) == 1:
        return kept_out.words
    which = f"none of your {prose.number(len(topics))} topics finds it"
    missing = kept_out.facts.get("faults")
    if not missing:
        return f"{which}: {kept_out.words}"
    return f"{which}; the nearest is {nearest.name}, and {words.some(missing)}"
