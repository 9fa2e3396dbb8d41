"""Who gets what: each reader's row and digest, and that nobody gets a paper twice."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connection

from digest.editions import compose, digests, faces, schedule, share
from digest.editions.material import Material
from digest.models import Digest, Edition, EditionMatch, Received
from digest.papers import merging
from digest.processes import wait_until
from subscriptions import topics
from subscriptions.mail import ledger, outbox
from subscriptions.models import Delivery, Subscriber, Suppression, Topic
from tests.factories import (
    DAY,
    MORNING_AFTER,
    NOON,
    ConsentFactory,
    PaperFactory,
    SightingFactory,
    SubscribedTopicFactory,
    SubscriberFactory,
    TopicFactory,
    arxiv_sighting,
    listed_paper,
)

pytestmark = pytest.mark.django_db

NEXT_DAY = DAY + timedelta(days=1)
NEXT_MORNING = MORNING_AFTER + timedelta(days=1)


def topic(text: str) -> Topic:
    return TopicFactory(name=text, filter=topics.filter_revision(text, now=NOON))


def reader(*filters: str, **values: object) -> Subscriber:
    subscriber = SubscriberFactory(**values)
    for position, text in enumerate(filters):
        SubscribedTopicFactory(subscriber=subscriber, topic=topic(text), position=position)
    return subscriber


def paper(title: str, votes: int = 10, **values: object):
    return listed_paper(title=title, abstract="", votes=votes, **values)


def edition_of(day=DAY, *, now=None) -> Edition:
    edition = schedule.open_edition("daily", day, now=now or schedule.opening("daily", day))
    assert edition is not None
    return edition


def row_of(edition: Edition, subscriber: Subscriber) -> Delivery:
    return Delivery.objects.get(pk=(edition.mailing_id << 32) + subscriber.pk)


def sections_of(edition: Edition, subscriber: Subscriber) -> list[list[int]]:
    digest = Digest.objects.get(pk=(edition.mailing_id << 32) + subscriber.pk)
    return [section["papers"] for section in digest.sections]


def deliver_all(edition: Edition, state: str = "sent") -> None:
    """As if the mail server had answered this of everything that is due."""
    outbox.hasten(edition.mailing_id)
    while lease := outbox.claim(edition.mailing_id):
        outbox.hand(lease, lease.delivery_ids)
        said = [outbox.Outcome(pk, state, retry_after=timedelta(hours=1)) for pk in lease.delivery_ids]
        outbox.record(lease, said, suppress=lambda address, evidence: None)


class TestDigest:
    def test_has_a_section_for_each_topic_in_the_readers_order_best_first(self):
        quiet, loud = paper("On agents", votes=2), paper("More agents", votes=80)
        robots = paper("Robots", votes=5)
        subscriber = reader("robot", "agent")
        edition = edition_of()

        compose.compose(edition, now=MORNING_AFTER)

        assert sections_of(edition, subscriber) == [[robots.pk], [loud.pk, quiet.pk]]
        assert row_of(edition, subscriber).state == "due"

    def test_shows_a_paper_once_and_names_the_other_topics_that_found_it(self):
        both = paper("Agents and robots")
        subscriber = reader("agent", "robot")
        edition = edition_of()

        compose.compose(edition, now=MORNING_AFTER)

        digest = Digest.objects.get(subscriber_id=subscriber.pk)
        robot = topics.filter_revision("robot", now=NOON)
        assert [section["papers"] for section in digest.sections] == [[both.pk], []]
        assert digest.sections[0]["also"] == {str(both.pk): [robot.pk]}

    def test_keeps_the_reasons_of_each_hit(self):
        both = paper("Agents and robots")
        reader("agent robot")
        edition = edition_of()

        compose.compose(edition, now=MORNING_AFTER)

        match = EditionMatch.objects.get(edition=edition)
        assert match.hits == [[both.pk, [["title", "Agents"], ["title", "robots"]]]]

    def test_topics_take_turns_where_there_are_more_papers_than_wanted(self):
        agents = [paper(f"Agents {n}", votes=50 - n) for n in range(5)]
        robots = [paper(f"Robots {n}", votes=9 - n) for n in range(3)]
        subscriber = reader("agent", "robot", max_papers=4)
        edition = edition_of()

        compose.compose(edition, now=MORNING_AFTER)

        assert sections_of(edition, subscriber) == [
            [p.pk for p in agents[:2]],
            [p.pk for p in robots[:2]],
        ]
        assert Digest.objects.get(subscriber_id=subscriber.pk).held == 4

    def test_a_topic_may_have_a_cap_and_be_muted(self):
        agents = [paper(f"Agents {n}", votes=50 - n) for n in range(3)]
        paper("Robots")
        subscriber = reader("agent", "robot")
        first, second = subscriber.subscribed_topics.all()
        first.max_papers, second.muted = 1, True
        first.save()
        second.save()
        edition = edition_of()

        compose.compose(edition, now=MORNING_AFTER)

        assert sections_of(edition, subscriber) == [[agents[0].pk]]

    def test_a_filter_that_cannot_be_read_any_more_stops_nobody_else(self):
        found = paper("Agents")
        subscriber = reader("agent")
        broken = topic("robot")
        SubscribedTopicFactory(subscriber=subscriber, topic=broken, position=9)
        type(broken.filter).objects.filter(pk=broken.filter_id).update(canonical="((")
        edition = edition_of()

        compose.compose(edition, now=MORNING_AFTER)

        assert sections_of(edition, subscriber) == [[found.pk], []]
        assert "bracket" in EditionMatch.objects.get(filter=broken.filter_id).problem


class TestRows:
    def test_one_readers_unknown_time_zone_stops_nobody(self):
        paper("Agents")
        lost, other = reader("agent", timezone="Mars/Olympus_Mons"), reader("agent")
        edition = edition_of()

        compose.compose(edition, now=MORNING_AFTER)

        assert row_of(edition, lost).due_at == row_of(edition, other).due_at

    def test_every_member_has_one_and_the_counters_know(self):
        paper("Agents")
        matching = reader("agent")
        without = reader("robot")
        paused = reader("agent", status="paused")
        suppressed = reader("agent")
        Suppression.objects.create(address=suppressed.address, reason="complaint", created_at=NOON)
        reader("agent", frequency="weekly")
        reader("agent", status="unsubscribed")
        reader("agent", status="unconfirmed")
        edition = edition_of()

        added = compose.compose(edition, now=MORNING_AFTER)

        assert added == 4
        assert {
            subscriber: (row_of(edition, subscriber).state, row_of(edition, subscriber).reason)
            for subscriber in (matching, without, paused, suppressed)
        } == {
            matching: ("due", ""),
            without: ("skipped", "no_match"),
            paused: ("skipped", "paused"),
            suppressed: ("skipped", "suppressed"),
        }
        counts = ledger.counts(edition.mailing_id)
        assert {name: n for name, n in counts.items() if n} == {"prepared": 4, "due": 1, "skipped": 3}

    def test_a_second_run_adds_nothing(self):
        paper("Agents")
        reader("agent")
        edition = edition_of()
        compose.compose(edition, now=MORNING_AFTER)

        assert compose.compose(edition, now=MORNING_AFTER) == 0
        assert Digest.objects.count() == 1

    def test_top_up_gives_a_row_to_who_came_later_until_the_edition_closes(self):
        paper("Agents")
        edition = edition_of()
        compose.compose(edition, now=MORNING_AFTER)
        late = reader("agent")
        assert compose.compose(edition, now=MORNING_AFTER + timedelta(hours=5)) == 1
        assert row_of(edition, late).due_at == MORNING_AFTER + timedelta(hours=6)  # 07:00

        reader("agent")
        assert compose.compose(edition, now=MORNING_AFTER + timedelta(hours=24)) == 0

    def test_who_confirms_gets_the_latest_edition_at_once_even_when_it_is_closed(self):
        paper("Agents")
        edition = edition_of()
        later = MORNING_AFTER + timedelta(hours=40)
        newcomer = reader("agent", confirmed_at=later, hour=23)
        ConsentFactory(subscriber=newcomer)

        assert compose.compose(edition, now=later + timedelta(minutes=1)) == 1

        assert row_of(edition, newcomer).due_at == later + timedelta(minutes=1)
        assert Digest.objects.get(subscriber_id=newcomer.pk).is_welcome

    def test_so_does_who_confirmed_just_before_it_closed_unseen(self):
        paper("Agents")
        edition = edition_of()
        closes_at = edition.mailing.closes_at
        newcomer = reader("agent", confirmed_at=closes_at - timedelta(seconds=5))
        ConsentFactory(subscriber=newcomer)

        assert compose.compose(edition, now=closes_at + timedelta(seconds=10)) == 1
        assert row_of(edition, newcomer).state == "due"

    def test_only_the_first_digest_of_a_newcomer_comes_at_once(self):
        paper("Agents")
        newcomer = reader("agent", confirmed_at=MORNING_AFTER, hour=7)
        ConsentFactory(subscriber=newcomer)
        imported = reader("agent", confirmed_at=MORNING_AFTER, hour=7)
        first = edition_of(now=MORNING_AFTER)  # opened by the very run that finds the newcomer
        compose.compose(first, now=MORNING_AFTER)
        paper("New agents", day=NEXT_DAY)
        second = edition_of(NEXT_DAY)
        compose.compose(second, now=schedule.opening("daily", NEXT_DAY))

        assert row_of(first, newcomer).due_at == MORNING_AFTER
        assert row_of(first, imported).due_at == MORNING_AFTER + timedelta(hours=6)
        assert row_of(second, newcomer).due_at == NEXT_MORNING + timedelta(hours=6)

    def test_everybody_now_does_not_wait_for_hours_or_closing(self):
        paper("Agents")
        subscriber = reader("agent", hour=23)
        edition = edition_of()

        compose.compose(edition, now=MORNING_AFTER + timedelta(days=9), at_once=True)

        assert row_of(edition, subscriber).due_at == MORNING_AFTER + timedelta(days=9)

    def test_the_top_papers_are_those_of_the_trending_score_not_of_the_votes(self):
        paper("Something that nobody speaks of", votes=60, comments=0)
        best = [paper(f"Something {n}", votes=59, comments=30 - n) for n in range(3)]
        subscriber = reader("agent", top_papers_if_none=True)

        compose.compose(edition_of(), now=MORNING_AFTER)

        assert Digest.objects.get(subscriber_id=subscriber.pk).top == [p.pk for p in best]

    def test_without_a_match_the_top_papers_come_if_the_reader_chose_so(self):
        best = [paper(f"Something {n}", votes=90 - n) for n in range(5)]
        subscriber = reader("agent", top_papers_if_none=True)
        edition = edition_of()

        compose.compose(edition, now=MORNING_AFTER)

        assert Digest.objects.get(subscriber_id=subscriber.pk).top == [p.pk for p in best[:3]]
        assert row_of(edition, subscriber).state == "due"


class TestReceived:
    def test_a_paper_never_comes_twice(self):
        refeatured = paper("Agents")
        subscriber = reader("agent")
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get())
        SightingFactory(paper=refeatured, listing_day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        new = paper("New agents", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))

        edition = edition_of(NEXT_DAY)
        compose.compose(edition, now=NEXT_MORNING)

        assert sections_of(edition, subscriber) == [[new.pk]]

    def test_nor_does_the_same_paper_under_a_merged_id(self):
        first = paper("Agents")
        subscriber = reader("agent")
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get())
        second = paper("Agents, published", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        first.canonical = second
        first.save()

        edition = edition_of(NEXT_DAY)
        compose.compose(edition, now=NEXT_MORNING)

        assert row_of(edition, subscriber).reason == "no_match"

    @pytest.mark.parametrize(("state", "comes_again"), [("failed", True), ("uncertain", False)])
    def test_what_failed_does_not_count_what_is_uncertain_does(self, state, comes_again):
        refeatured = paper("Agents")
        subscriber = reader("agent")
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get(), state)
        SightingFactory(paper=refeatured, listing_day=NEXT_DAY, seen_at=NOON + timedelta(days=1))

        edition = edition_of(NEXT_DAY)
        compose.compose(edition, now=NEXT_MORNING)

        assert (row_of(edition, subscriber).state == "due") is comes_again

    def test_spans_daily_and_weekly(self):
        known = paper("Agents")
        subscriber = reader("agent")
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get())
        other = paper("Other agents")
        Subscriber.objects.update(frequency="weekly")

        weekly = schedule.open_edition("weekly", DAY, now=MORNING_AFTER + timedelta(days=3))
        compose.compose(weekly, now=MORNING_AFTER + timedelta(days=3))

        assert known.pk in weekly.edition_papers.values_list("paper_id", flat=True)
        assert sections_of(weekly, subscriber) == [[other.pk]]


class TestFolding:
    def two_days(self, state: str) -> tuple[Subscriber, Edition, Edition]:
        self.old = paper("Agents")
        subscriber = reader("agent", frequency="weekdays")
        first = edition_of()
        compose.compose(first, now=MORNING_AFTER)
        if state != "due":
            deliver_all(first, state)
        self.new = paper("New agents", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        second = edition_of(NEXT_DAY)
        compose.compose(second, now=NEXT_MORNING)
        return subscriber, first, second

    @pytest.mark.parametrize("state", ["due", "deferred"])
    def test_an_undelivered_earlier_digest_joins_the_new_one(self, state):
        subscriber, first, second = self.two_days(state)

        assert (row_of(first, subscriber).state, row_of(first, subscriber).reason) == ("skipped", "folded")
        assert sections_of(second, subscriber) == [[self.new.pk, self.old.pk]]
        digest = Digest.objects.get(pk=(second.mailing_id << 32) + subscriber.pk)
        assert digest.sections[0]["why"] == {str(self.old.pk): [["title", "Agents"]]}
        assert second.edition_papers.get(paper=self.old).folded_in

    def test_what_joins_keeps_its_place_of_the_week(self):
        paper("Agents")
        reader("agent")
        first = edition_of()
        compose.compose(first, now=MORNING_AFTER)
        first.edition_papers.update(top_percent=5)
        paper("New agents", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        second = edition_of(NEXT_DAY)
        compose.compose(second, now=NEXT_MORNING)

        assert second.edition_papers.get(folded_in=True).top_percent == 5

    def test_a_delivered_one_does_not(self):
        subscriber, first, second = self.two_days("sent")

        assert row_of(first, subscriber).state == "sent"
        assert sections_of(second, subscriber) == [[self.new.pk]]

    def test_all_undelivered_ones_join_not_only_the_newest(self):
        """Two wait where an operator retries failed rows of the day before."""
        subscriber = reader("agent")
        first_paper, day_after = paper("Agents"), NEXT_DAY + timedelta(days=1)
        first = edition_of()
        compose.compose(first, now=MORNING_AFTER)
        deliver_all(first, "failed")
        second_paper = paper("More agents", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        second = edition_of(NEXT_DAY)
        compose.compose(second, now=NEXT_MORNING)
        outbox.retry_failed(first.mailing_id)
        third_paper = paper("New agents", day=day_after, seen_at=NOON + timedelta(days=2))
        third = edition_of(day_after)

        compose.compose(third, now=NEXT_MORNING + timedelta(days=1))

        assert [row_of(edition, subscriber).reason for edition in (first, second)] == ["folded", "folded"]
        assert sections_of(third, subscriber) == [[third_paper.pk, second_paper.pk, first_paper.pk]]
        assert set(third.edition_papers.filter(folded_in=True).values_list("paper_id", flat=True)) == {
            first_paper.pk,
            second_paper.pk,
        }

    def test_a_reader_who_paused_or_left_the_topic_gets_nothing_of_it(self):
        paper("Agents")
        paused, muted = reader("agent"), reader("agent", "robot")
        first = edition_of()
        compose.compose(first, now=MORNING_AFTER)
        Subscriber.objects.filter(pk=paused.pk).update(status="paused")
        muted.subscribed_topics.filter(topic__name="agent").update(muted=True)
        robots = paper("Robots", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        second = edition_of(NEXT_DAY)

        compose.compose(second, now=NEXT_MORNING)

        assert (row_of(second, paused).state, row_of(second, paused).reason) == ("skipped", "paused")
        assert sections_of(second, muted) == [[robots.pk]]
        assert row_of(first, muted).reason == "folded"

    def test_what_came_meanwhile_with_another_digest_does_not_join(self):
        """A retried row holds a paper that a later edition has brought."""
        refeatured = paper("Agents")
        subscriber = reader("agent")
        first = edition_of()
        compose.compose(first, now=MORNING_AFTER)
        deliver_all(first, "failed")
        SightingFactory(paper=refeatured, listing_day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        second = edition_of(NEXT_DAY)
        compose.compose(second, now=NEXT_MORNING)
        deliver_all(second)
        outbox.retry_failed(first.mailing_id)
        new = paper("New agents", day=NEXT_DAY + timedelta(days=1), seen_at=NOON + timedelta(days=2))
        third = edition_of(NEXT_DAY + timedelta(days=1))

        compose.compose(third, now=NEXT_MORNING + timedelta(days=1))

        assert sections_of(third, subscriber) == [[new.pk]]

    @pytest.mark.django_db(transaction=True, serialized_rollback=True)
    def test_two_runs_at_once_give_one_digest(self, monkeypatch):
        """The second must not pass over the row that the first has locked to fold it."""
        old, subscriber = paper("Agents"), reader("agent")
        first = edition_of()
        compose.compose(first, now=MORNING_AFTER)
        new = paper("New agents", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        second = edition_of(NEXT_DAY)
        gather, calls = share.gather, Counter()
        other_is_done = threading.Event()

        def first_one_slowly(*arguments, **options):
            calls["gather"] += 1
            if calls["gather"] == 1:
                other_is_done.wait(2)
            return gather(*arguments, **options)

        def beside() -> None:
            try:
                compose.compose(second, now=NEXT_MORNING)
            finally:
                connection.close()

        monkeypatch.setattr(share, "gather", first_one_slowly)
        threads = [threading.Thread(target=beside) for _ in range(2)]
        threads[0].start()
        wait_until(lambda: calls["gather"] == 1, seconds=10)
        threads[1].start()
        threads[1].join(1.5)
        other_is_done.set()
        for thread in threads:
            thread.join(20)

        assert row_of(first, subscriber).reason == "folded"
        assert sections_of(second, subscriber) == [[new.pk, old.pk]]

    def test_papers_that_were_folded_in_are_offered_to_nobody_else(self):
        _, _, second = self.two_days("due")
        newcomer = reader("agent")

        compose.compose(second, now=NEXT_MORNING)

        assert sections_of(second, newcomer) == [[self.new.pk]]


class TestWork:
    def test_each_distinct_filter_is_evaluated_once_whatever_the_number_of_readers(self, monkeypatch):
        evaluated = Counter()
        find = Material._find

        def counting(self, revision):
            evaluated[revision.canonical] += 1
            return find(self, revision)

        monkeypatch.setattr(Material, "_find", counting)
        monkeypatch.setattr(compose, "RANGE", 3)
        paper("Agents and robots")
        shared = [topic("agent"), topic("robot")]
        for number in range(10):
            SubscribedTopicFactory(subscriber=SubscriberFactory(), topic=shared[number % 2])

        compose.compose(edition_of(), now=MORNING_AFTER)

        assert evaluated == {"agent": 1, "robot": 1}

    def test_queries_do_not_grow_with_readers(self, django_assert_max_num_queries):
        paper("Agents")
        shared = topic("agent")
        for _ in range(30):
            SubscribedTopicFactory(subscriber=SubscriberFactory(), topic=shared)
        edition = edition_of()

        with django_assert_max_num_queries(60):  # whatever the number of readers
            compose.compose(edition, now=MORNING_AFTER)

    def test_what_is_received_is_written_with_the_rows(self):
        found = paper("Agents")
        subscriber = reader("agent")
        reader("robot")
        compose.compose(edition_of(), now=MORNING_AFTER)

        assert list(Received.objects.values_list("subscriber_id", "paper_ids", "day")) == [
            (subscriber.pk, [found.pk], DAY)
        ]
        assert digests.already_received([subscriber.pk], [found.pk], since=DAY) == {subscriber.pk: {found.pk}}


def test_a_ledger_row_belongs_to_its_partition():
    paper("Agents")
    reader("agent")
    edition = edition_of()
    compose.compose(edition, now=MORNING_AFTER)
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM subscriptions_delivery")
        assert cursor.fetchall() == [(f"subscriptions_delivery_m{edition.mailing_id}",)]


class TestMerged:
    """A paper that turned out to be another one, whenever that is found out."""

    def test_member_that_is_what_the_reader_has(self):
        known = paper("Agents")
        subscriber = reader("agent")
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get())
        again = paper("Agents, published", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        edition = edition_of(NEXT_DAY)
        again.canonical = known  # found out after the edition's papers were frozen
        again.save()

        compose.compose(edition, now=NEXT_MORNING)

        assert row_of(edition, subscriber).reason == "no_match"

    def test_two_that_are_the_same_third(self):
        known = paper("Agents")
        subscriber = reader("agent")
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get())
        again = paper("Agents, published", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        edition = edition_of(NEXT_DAY)
        third = paper("Agents, the book", day=NEXT_DAY + timedelta(days=30))
        type(third).objects.filter(pk__in=[known.pk, again.pk]).update(canonical=third)

        compose.compose(edition, now=NEXT_MORNING)

        assert row_of(edition, subscriber).reason == "no_match"

    def test_two_members_come_once(self):
        first, second = paper("Agents", votes=50), paper("Agents, published", votes=5)
        subscriber = reader("agent")
        edition = edition_of()
        second.canonical = first
        second.save()

        compose.compose(edition, now=MORNING_AFTER)

        assert sections_of(edition, subscriber) == [[first.pk]]

    def test_one_that_was_folded_in_and_is_here_under_its_other_name(self):
        old = paper("Agents")
        subscriber = reader("agent")
        first = edition_of()
        compose.compose(first, now=MORNING_AFTER)
        new = paper("Agents, published", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        second = edition_of(NEXT_DAY)
        old.canonical = new
        old.save()

        compose.compose(second, now=NEXT_MORNING)

        assert row_of(first, subscriber).reason == "folded"
        assert sections_of(second, subscriber) == [[new.pk]]

    def test_what_failed_under_one_name_comes_under_the_other(self):
        first = paper("Agents")
        subscriber = reader("agent")
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get(), "failed")
        second = paper("Agents, published", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        first.canonical = second
        first.save()

        edition = edition_of(NEXT_DAY)
        compose.compose(edition, now=NEXT_MORNING)

        assert sections_of(edition, subscriber) == [[second.pk]]

    def test_one_that_was_given_as_another_and_taken_apart_since_is_not_new(self):
        given, other = paper("Agents"), paper("Agents again")
        merge = merging.merge(other, given, how="operator", certainty=1, evidence="The same.", now=NOON)
        subscriber = reader("agent")
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get())
        merging.undo(merge, now=MORNING_AFTER)
        SightingFactory(paper=other, listing_day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        edition = edition_of(NEXT_DAY)

        compose.compose(edition, now=NEXT_MORNING)

        assert row_of(edition, subscriber).reason == "no_match"

    def test_nor_is_one_given_before_the_two_were_merged(self):
        given = paper("Agents")
        subscriber = reader("agent")
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get())
        other = paper("Agents again", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        merge = merging.merge(
            other, given, how="operator", certainty=1, evidence="The same.", now=MORNING_AFTER
        )
        merging.undo(merge, now=MORNING_AFTER)
        edition = edition_of(NEXT_DAY)

        compose.compose(edition, now=NEXT_MORNING)

        assert row_of(edition, subscriber).reason == "no_match"

    def test_what_was_given_after_they_were_taken_apart_excludes_itself_only(self):
        first, other = paper("Agents"), paper("Agents again", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        merge = merging.merge(other, first, how="operator", certainty=1, evidence="The same.", now=NOON)
        merging.undo(merge, now=NOON - timedelta(days=1))
        subscriber = reader("agent")
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get())
        edition = edition_of(NEXT_DAY)

        compose.compose(edition, now=NEXT_MORNING)

        assert sections_of(edition, subscriber) == [[other.pk]]


class TestRevisions:
    """A revised version is for readers who asked for updates, once, whether they had the paper or not."""

    def revised(self, day=DAY, version=2, known=None):
        found = known or PaperFactory(title="Agents revised", abstract="")
        arxiv_sighting(found, day, announce_type="replace", version=version, seen_at=NOON + (day - DAY))
        return found

    def test_come_only_to_readers_who_asked_for_updates(self):
        known = self.revised()
        asked, other = reader("agent", wants_updates=True), reader("agent")

        compose.compose(edition_of(), now=MORNING_AFTER)

        assert sections_of(Edition.objects.get(), asked) == [[known.pk]]
        assert row_of(Edition.objects.get(), other).reason == "no_match"

    def test_come_although_the_reader_has_had_the_paper_and_say_so(self):
        known = paper("Agents")
        subscriber = reader("agent", wants_updates=True)
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get())
        self.revised(NEXT_DAY, known=known)
        edition = edition_of(NEXT_DAY)

        compose.compose(edition, now=NEXT_MORNING)

        digest = Digest.objects.get(pk=(edition.mailing_id << 32) + subscriber.pk)
        assert [section["papers"] for section in digest.sections] == [[known.pk]]
        assert digest.sections[0]["updated"] == {str(known.pk): 2}

    def test_come_once_a_version_daily_or_weekly(self):
        known = self.revised()
        subscriber = reader("agent", wants_updates=True)
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get())
        subscriber.frequency = Subscriber.Frequency.WEEKLY
        subscriber.save()
        weekly = schedule.open_edition("weekly", DAY, now=schedule.opening("weekly", DAY))
        compose.compose(weekly, now=weekly.opened_at)

        assert row_of(weekly, subscriber).reason == "no_match"

        next_week = DAY + timedelta(days=7)
        self.revised(next_week, version=3, known=known)
        later = schedule.open_edition("weekly", next_week, now=schedule.opening("weekly", next_week))
        compose.compose(later, now=later.opened_at)

        assert sections_of(later, subscriber) == [[known.pk]]

    def test_join_the_next_digest_where_they_were_not_delivered(self):
        known = paper("Agents", day=DAY - timedelta(days=5))
        first = edition_of(DAY - timedelta(days=5))
        subscriber = reader("agent", wants_updates=True)
        compose.compose(first, now=first.opened_at, at_once=True)
        deliver_all(first)
        self.revised(known=known)
        paper("Planes")
        undelivered = edition_of()
        compose.compose(undelivered, now=MORNING_AFTER)
        other = paper("Agents, again", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        edition = edition_of(NEXT_DAY)

        compose.compose(edition, now=NEXT_MORNING)

        assert row_of(undelivered, subscriber).reason == "folded"
        assert sections_of(edition, subscriber) == [[other.pk, known.pk]]
        folded = edition.edition_papers.get(paper=known)
        assert (folded.folded_in, folded.announced, folded.version) == (True, "updated", 2)
        digest = Digest.objects.get(pk=(edition.mailing_id << 32) + subscriber.pk)
        assert digest.sections[0]["updated"] == {str(known.pk): 2}

    def test_are_no_top_papers_of_the_day(self):
        self.revised()
        listed = paper("Planes")
        subscriber = reader("nothing", top_papers_if_none=True, wants_updates=True)

        compose.compose(edition_of(), now=MORNING_AFTER)

        assert Digest.objects.get(subscriber_id=subscriber.pk).top == [listed.pk]

    def test_keep_their_paper_from_coming_as_new(self):
        known = self.revised()
        subscriber = reader("agent", wants_updates=True)
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get())
        SightingFactory(paper=known, listing_day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        edition = edition_of(NEXT_DAY)

        compose.compose(edition, now=NEXT_MORNING)

        assert row_of(edition, subscriber).reason == "no_match"

    def test_of_a_paper_that_is_listed_the_same_day_come_to_who_had_it(self):
        known = paper("Agents")
        asked, other = reader("agent", wants_updates=True), reader("agent")
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get())
        SightingFactory(paper=known, listing_day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        self.revised(NEXT_DAY, known=known)
        late = reader("agent")
        edition = edition_of(NEXT_DAY)

        compose.compose(edition, now=NEXT_MORNING)

        assert sections_of(edition, asked) == sections_of(edition, late) == [[known.pk]]
        assert row_of(edition, other).reason == "no_match"
        member = edition.edition_papers.get()
        assert (member.announced, member.version) == ("new", 2)
        assert [label.text for label in faces.face(member, faces.Told(), {}, length="gist").labels] == [
            "Updated v2"
        ]

    def test_of_a_paper_that_came_new_in_that_version_do_not_come(self):
        known = paper("Agents")
        self.revised(known=known)
        subscriber, other = reader("agent", wants_updates=True), reader("agent")
        edition = edition_of()
        compose.compose(edition, now=MORNING_AFTER)
        assert sections_of(edition, subscriber) == [[known.pk]]
        deliver_all(edition)
        Subscriber.objects.update(frequency=Subscriber.Frequency.WEEKLY)
        weekly = schedule.open_edition("weekly", DAY, now=schedule.opening("weekly", DAY))

        compose.compose(weekly, now=weekly.opened_at)

        assert row_of(weekly, subscriber).reason == row_of(weekly, other).reason == "no_match"

    def test_a_new_paper_that_was_revised_the_same_day_is_folded_for_everybody(self):
        known = paper("Agents")
        self.revised(known=known)
        subscriber = reader("agent")
        compose.compose(edition_of(), now=MORNING_AFTER)
        paper("Agents too", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        edition = edition_of(NEXT_DAY)

        compose.compose(edition, now=NEXT_MORNING)

        assert [known.pk in shown for shown in sections_of(edition, subscriber)] == [True]

    def test_come_once_whatever_the_paper_turned_out_to_be(self):
        known = self.revised(known=PaperFactory(title="Agents", arxiv_id=None, key="doi:10.1000/agents"))
        subscriber = reader("agent", wants_updates=True)
        compose.compose(edition_of(), now=MORNING_AFTER)
        deliver_all(Edition.objects.get())
        original = PaperFactory(title="Agents", abstract="")
        merging.merge(known, original, how="doi", certainty=1, evidence="The same.", now=MORNING_AFTER)
        subscriber.frequency = Subscriber.Frequency.WEEKLY
        subscriber.save()
        weekly = schedule.open_edition("weekly", DAY, now=schedule.opening("weekly", DAY))

        compose.compose(weekly, now=weekly.opened_at)

        assert row_of(weekly, subscriber).reason == "no_match"
