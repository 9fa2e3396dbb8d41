"""What became of the paper under each of the reader's topics: filter, relevance, place and limits."""

from collections.abc import Iterator
from typing import Any

from digest.editions import prose, relevance
from digest.editions.why import repairs, words
from digest.editions.why.case import Case, Followed
from digest.editions.why.told import Stage, TopicAccount, failed, not_applicable, passed
from digest.matching import calibration, profiles, spaces
from digest.matching.rank import Ranker
from digest.models import EditionMatch, Paper
from subscriptions import interests
from subscriptions.filters import FilterError, parse
from subscriptions.filters.account import Truth, account, distance, faults, holding, in_words
from subscriptions.models import FilterRevision

_TITLES_NAMED = 3
_TOPICS_NAMED = 2


def accounts(case: Case) -> Iterator[TopicAccount]:
    """Each topic in the reader's order."""
    filters = FilterRevision.objects.in_bulk({one.filter_id for one in case.followed})
    found = {
        match.filter_id: match
        for match in EditionMatch.objects.filter(edition=case.edition, filter__in=filters)
    }
    for one in case.followed:
        canonical = filters[one.filter_id].canonical
        stages = [_filter(case, one, canonical, found.get(one.filter_id)), _topic(case, one)]
        for name, stage in (("relevance", _relevance), ("limit", _limit)):
            has_failed = any(before.has_failed for before in stages)
            stages.append(not_applicable(name, "it did not come so far") if has_failed else stage(case, one))
        yield TopicAccount(one.topic.name, canonical, tuple(stages))


def reasons_in_words(truth: Truth) -> str:
    """ "“agents” (title)"; what makes a filter hold."""
    atoms = [f"“{' '.join(part.found[0].text.split())}” ({part.found[0].field})" for part in holding(truth)]
    return words.some(list(dict.fromkeys(atoms)))


def _filter(case: Case, one: Followed, canonical: str, match: EditionMatch | None) -> Stage:
    name = one.topic.name
    problem, truth = match.problem if match else "", None
    try:
        filter = parse(canonical)
        truth = account(filter, case.document)
    except FilterError as error:
        problem = problem or str(error)
    if problem or truth is None:
        said = f"the filter of {name} could not be read: {problem.rstrip('.')}"
        return failed("filter", said, {"filter": canonical}, cure=f"mend the filter of {name}")
    facts: dict[str, Any] = {"filter": canonical, "truth": truth.as_json()}
    holds = truth.holds
    if match is not None and case.member is not None and not case.member.folded_in:
        # What was found when the edition was put together is what counts, whatever has changed since.
        holds = facts["was_found"] = any(pk in case.names for pk, _reasons in match.hits)
    if case.holds(one.section):
        holds = True
    if canonical == interests.EVERY_PAPER and holds:
        return passed("filter", f"{name} takes in every paper that is relevant enough", facts)
    if holds and truth.holds:
        return passed("filter", f"{name} finds it by {reasons_in_words(truth)}", facts)
    if holds:
        return passed("filter", f"{name} found it then, and would not by what is known of it now", facts)
    if truth.holds:
        return failed("filter", f"{name} did not find it then, and would by what is known of it now", facts)
    missing = in_words(faults(truth, case.document))
    facts |= {"faults": missing, "distance": distance(truth)}
    if one.topic.owner_id is None:
        cure = _otherwise(case, name)
    else:
        cure = repairs.cure(name, filter, truth, case.document, case.paper.keywords)
    return failed("filter", f"{name} does not find it: {words.some(missing)}", facts, cure=cure)


def _otherwise(case: Case, name: str) -> str:
    """How to get what a topic of the catalogue does not find, whose filter is not the reader's to change."""
    ways = []
    if finders := case.finders:
        ways.append(f"follow {prose.listing(finders[:_TOPICS_NAMED], is_choice=True)}")
    if term := repairs.term(case.document, case.paper.keywords):
        ways.append(f"make a topic of your own with the filter {term}")
    return ", or ".join(ways) or f"make a topic of your own beside {name}"


def _topic(case: Case, one: Followed) -> Stage:
    """Whether the reader followed the topic, unmuted, when the mail was put together."""
    name = one.topic.name
    if one.section is not None:
        return passed("topic", f"{name} was among your topics")
    if one.wish is not None and one.wish.muted:
        return failed("topic", f"you have muted {name}", cure=f"unmute {name} in your preferences")
    if case.digest is not None:
        return failed("topic", f"{name} was not among your topics when that mail was put together")
    return passed("topic", f"{name} is among your topics")


def _relevance(case: Case, one: Followed) -> Stage:
    name = one.topic.name
    probability, reasons = _probability(case, one)
    if probability is None:
        said = f"how relevant it is to {name} was not worked out, so whatever the filter finds may come"
        return not_applicable("relevance", said)
    least = one.wish.min_relevance if one.wish else None
    percent = calibration.shown_percent(probability)
    facts = {"probability": round(probability, 4), "percent": percent, "least": least, "reasons": reasons}
    shown = f"{percent} %" if percent else f"less than {round(100 * calibration.LOWEST_SHOWN)} %"
    said = f"it looks {shown} relevant to {name}"
    if relevance.is_enough(probability, least) or case.holds(one.section):
        return passed("relevance", said, facts)
    said = f"{said}, and you take papers from {least} % on"
    lower = next((one for one in reversed(interests.THRESHOLDS) if one <= (percent or 0)), None)
    if lower is not None:
        return failed("relevance", said, facts, cure=f"lower the threshold of {name} to {lower} %")
    return failed("relevance", said, facts, cure=f"add to {name} what you look for in papers like this")


def _probability(case: Case, one: Followed) -> relevance.Scored:
    """As the mail has it, whatever the reader has said since; else as the edition scored it, or what the
    reader says of papers changes that. For papers in no edition by the topic's words alone.
    """
    if case.material is None:
        return relevance.Scored(_by_its_words(case, one), [])
    stored = one.section or {}
    for pk in case.names:
        if case.holds(one.section) and str(pk) in stored.get("relevance", {}):
            return relevance.Scored(stored["relevance"][str(pk)], stored.get("why", {}).get(str(pk), []))
    if case.delivery is not None and one.topic.pk not in case.scored:
        return relevance.Scored(None, [])  # no part of how that mail was made
    scores = case.material.relevance.of(one.topic.pk)
    wish = next((wish for wish in case.wishes if wish.topic_id == one.topic.pk), None)
    if wish is not None and not case.holds(one.section) and case.taught.has_said(case.reader):
        scores = case.taught.scores(case.material, case.reader, wish.topic) or scores
    return next((scores[pk] for pk in case.names if pk in scores), relevance.Scored(None, []))


def _by_its_words(case: Case, one: Followed) -> float | None:
    profile = profiles.of_topic(one.topic)
    if not profile:
        return None
    paper = {"id": case.paper.pk, "title": case.paper.title, "abstract": case.paper.abstract}
    ranker = Ranker(calibration=spaces.scale()).fit([paper], spaces.current().space)
    found = ranker.relevance(profile)
    return found[0] if found else None


def _limit(case: Case, one: Followed) -> Stage:
    """Its place among what the edition had for the reader, beside the reader's limits."""
    name, order = one.topic.name, case.ordered.get(one.topic.pk, [])
    rank = next((at for at, pk in enumerate(order, 1) if pk in case.names), None)
    if case.holds(one.section) and rank is None:
        return passed("limit", f"it stands under {name}")
    if rank is None:
        return _elsewhere(case, name)
    before = order[: rank - 1]
    titles = Paper.objects.in_bulk(before[:_TITLES_NAMED])
    shown = [titles[pk].title for pk in before[:_TITLES_NAMED]]
    own, all_topics = one.wish.max_papers if one.wish else None, case.reader.max_papers
    facts = {
        "rank": rank,
        "of": len(order),
        "topic_limit": own,
        "mail_limit": all_topics,
        "before": shown,
    }
    place = f"it is number {rank} of {len(order)} that {name} has for you"
    is_chosen = (
        case.holds(one.section)
        if case.digest is not None
        else not case.names.isdisjoint(case.chosen.get(one.topic.pk, ()))
    )
    if is_chosen:
        return passed("limit", place, facts)
    stood = f"; before it stand {words.titles(shown, len(before))}" if before else ""
    if own is not None and rank > own:
        said = f"{place}, and you take {own} of {name} a mail{stood}"
        return failed("limit", said, facts, cure=f"raise the limit of {name} to {rank}")
    if sum(map(len, case.ordered.values())) > all_topics:
        said = f"{place}, and you take {all_topics} papers a mail, of your topics in turn{stood}"
        cure = f"raise your limit of {all_topics} papers a mail, or give your other topics lower limits"
        return failed("limit", said, facts, cure=cure)
    return failed("limit", f"{place}, and the limits that you had then left it out{stood}", facts)


def _elsewhere(case: Case, name: str) -> Stage:
    for other in case.followed:
        if not case.names.isdisjoint(case.ordered.get(other.topic.pk, ())):
            said = f"it counts for {other.topic.name}, which stands before {name} among your topics"
            return not_applicable("limit", said)
    return not_applicable("limit", "it did not come so far")
