"""Why a reader got a paper or not: each stage is told as it was."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from digest.editions import compose, digests, feedback, schedule
from digest.editions.why import Account, Outcome, why
from digest.models import (
    Digest,
    Edition,
    EditionMatch,
    EditionRelevance,
    Mention,
    Paper,
    SetAside,
    Source,
)
from digest.papers import merging
from subscriptions import topics
from subscriptions.filters import parse
from subscriptions.mail import outbox
from subscriptions.models import Delivery, Mute, SubscribedTopic, Subscriber, Suppression, Topic
from tests.factories import (
    DAY,
    MORNING_AFTER,
    NOON,
    BatchFactory,
    PaperFactory,
    SourceFactory,
    SubscribedTopicFactory,
    SubscriberFactory,
    TopicFactory,
    arxiv_sighting,
    listed_paper,
)

pytestmark = pytest.mark.django_db

NEXT_DAY = DAY + timedelta(days=1)
NEXT_MORNING = MORNING_AFTER + timedelta(days=1)


def reader(*filters: str, **values: object) -> Subscriber:
    """Has topics of their own, each called as its filter, with a capital."""
    subscriber = SubscriberFactory(**values)
    for position, text in enumerate(filters):
        revision = topics.filter_revision(text, now=NOON)
        own = TopicFactory(name=text.capitalize(), filter=revision, owner=subscriber, slug=None)
        SubscribedTopicFactory(subscriber=subscriber, topic=own, position=position)
    return subscriber


def paper(title: str, votes: int = 10, **values: object) -> Paper:
    return listed_paper(title=title, abstract="", votes=votes, **values)


def opened(day=DAY, kind: str = "daily") -> Edition:
    edition = schedule.open_edition(kind, day, now=schedule.opening(kind, day))
    assert edition is not None
    return edition


def composed(day=DAY, kind: str = "daily") -> Edition:
    edition = opened(day, kind)
    compose.compose(edition, now=schedule.opening(kind, day) + timedelta(minutes=30))
    edition.refresh_from_db()
    return edition


def deliver(edition: Edition, state: str = "sent", reason: str = "") -> None:
    """As if the mail server had answered this of everything that is due."""
    outbox.hasten(edition.mailing_id)
    while lease := outbox.claim(edition.mailing_id):
        outbox.hand(lease, lease.delivery_ids)
        said = [
            outbox.Outcome(pk, state, reason=reason, retry_after=timedelta(hours=1))
            for pk in lease.delivery_ids
        ]
        outbox.record(lease, said, suppress=lambda address, evidence: None)


def told(subscriber: Subscriber, about: Paper | str, *, now=NEXT_MORNING, edition=None) -> Account:
    return why(Subscriber.objects.get(pk=subscriber.pk), about, now=now, edition=edition)


class TestGot:
    def test_names_the_day_the_edition_and_the_topic(self) -> None:
        found = paper("On agents")
        subscriber = reader("robot", "agent")
        deliver(composed())
        Delivery.objects.update(done_at=NEXT_MORNING)

        account = told(subscriber, found.arxiv_id)

        assert account.got
        assert account.sentence == (
            "You got it on 22 August 2026, in the daily edition of 20 August 2026, under Agent."
        )
        assert [topic.failed is None for topic in account.topics] == [False, True]
        assert account.topics[1].stage("filter").words == "Agent finds it by “agents” (title)"
        assert account.topics[1].stage("limit").facts["rank"] == 1
        assert account.stage("delivery").outcome == Outcome.PASSED

    @pytest.mark.parametrize("spelled", ["https://arxiv.org/pdf/{0}v2", "/paper/{0}/", "p{1}", "{1}"])
    def test_takes_the_paper_in_any_spelling(self, spelled: str) -> None:
        found = paper("On agents")
        subscriber = reader("agent")
        deliver(composed())

        assert told(subscriber, spelled.format(found.arxiv_id, found.pk)).got

    def test_among_the_top_papers_where_no_topic_found_any(self) -> None:
        found = paper("On agents")
        subscriber = reader("robot", top_papers_if_none=True)
        deliver(composed())

        account = told(subscriber, found)

        assert account.sentence.endswith("in the daily edition of 20 August 2026, among the top papers.")

    def test_under_the_name_of_the_row_that_it_was_merged_into(self) -> None:
        found = paper("On agents")
        double = PaperFactory(title="On agents!", arxiv_id="2608.77777")
        merging.merge(double, found, how="operator", certainty=1, evidence="Same title.", now=NOON)
        subscriber = reader("agent")
        deliver(composed())

        account = told(subscriber, "2608.77777")

        assert account.got
        assert account.paper == found
        merged = account.stage("merged")
        assert merged.outcome == Outcome.PASSED
        assert merged.words == f"it is the same work as {found.arxiv_id}, “On agents” (Same title)"

    def test_once_the_ledger_s_row_is_dropped_still(self) -> None:
        found = paper("On agents")
        subscriber = reader("agent")
        deliver(composed())
        Delivery.objects.all().delete()

        account = told(subscriber, found)

        assert account.got
        assert account.sentence == "You got it in the daily edition of 20 August 2026, under Agent."
        assert account.stage("delivery").words == "it was sent; how it went is no longer kept"

    def test_changes_nothing(self) -> None:
        found = paper("On agents")
        subscriber = reader("agent")
        opened()

        account = told(subscriber, found, now=MORNING_AFTER)

        assert account.topics[0].stage("limit").outcome == Outcome.PASSED
        assert not EditionMatch.objects.exists()

    def test_is_plain_json(self) -> None:
        found = paper("On agents")
        subscriber = reader("agent", "robot -survey")
        deliver(composed())

        plain = told(subscriber, found).as_json()

        assert plain["topics"][1]["stages"][0]["facts"]["truth"]["holds"] is False
        assert plain["before"][0]["name"] == "seen"


class TestSeen:
    def test_names_the_lists_and_when_they_were_read(self) -> None:
        found = paper("On agents")
        arxiv_sighting(found, seen_at=NOON + timedelta(hours=2))

        stage = told(reader("agent"), found).stage("seen")

        assert stage.outcome == Outcome.PASSED
        assert stage.words == (
            "Hugging Face Daily Papers listed it under 20 August 2026, read on 20 August 2026 at 12:00 UTC; "
            "arXiv cs.CL listed it under 20 August 2026, read on 20 August 2026 at 14:00 UTC"
        )
        assert [one["source"] for one in stage.facts["lists"]] == ["huggingface", "arxiv"]

    def test_a_paper_that_nobody_listed_names_what_is_read(self) -> None:
        Source.objects.filter(slug="arxiv").update(enabled=True, categories=["cs.CL", "cs.LG"])
        post = paper("A post", kind=Paper.Kind.POST, arxiv_id=None, key="url:https://lab.example/1")
        Mention.objects.create(post=post, key="arxiv:2608.99999", source=SourceFactory(), seen_at=NOON)

        account = told(reader("agent"), "https://arxiv.org/abs/2608.99999v1")

        assert (account.got, account.paper) == (False, None)
        assert account.sentence == (
            "You did not get it because no source that is read here has listed it (read are Hugging "
            "Face Daily Papers and arXiv in cs.CL, cs.LG), though a post links to it."
        )
        assert account.cure == "ask whoever runs this service to read a source that lists it"

    def test_what_is_no_name_of_a_paper_is_said_to_be_none(self) -> None:
        account = told(reader("agent"), "some words")

        assert account.sentence == "You did not get it because no paper here is called “some words”."

    def test_an_entry_that_could_not_be_read_is_found_again(self) -> None:
        SetAside.objects.create(
            batch=BatchFactory(),
            position=3,
            problem="Entry 3 has no title.",
            raw='{"id": "2608.99999"}',
            seen_at=NOON,
        )

        account = told(reader("agent"), "2608.99999")

        assert account.sentence == (
            "You did not get it because an entry of Hugging Face Daily Papers for 20 August 2026 that "
            "names it "
            "could not be read: Entry 3 has no title."
        )

    def test_a_paper_of_which_only_posts_speak_is_on_no_list(self) -> None:
        known = PaperFactory()
        post = paper("A post", kind=Paper.Kind.POST, arxiv_id=None, key="url:https://lab.example/1")
        Mention.objects.create(post=post, key=known.key, paper=known, source=SourceFactory(), seen_at=NOON)

        account = told(reader("agent"), known)

        assert account.stage("seen").has_failed
        assert account.sentence == (
            "You did not get it because no source has listed it, though a post links to it."
        )


class TestEdition:
    def test_a_withdrawn_paper_is_not_sent(self) -> None:
        gone = paper("On agents", withdrawn_at=NOON)
        paper("Others")
        subscriber = reader("agent")
        composed()

        account = told(subscriber, gone)

        assert account.stage("withdrawn").has_failed
        assert account.sentence == (
            "You did not get it because it was withdrawn on 20 August 2026, and papers that are "
            "withdrawn are "
            "not sent."
        )

    def test_one_that_was_withdrawn_later_was_sent(self) -> None:
        found = paper("On agents")
        subscriber = reader("agent")
        deliver(composed())
        Paper.objects.update(withdrawn_at=NEXT_MORNING)

        account = told(subscriber, found.arxiv_id)

        assert account.got
        assert account.stage("withdrawn").outcome == Outcome.PASSED

    def test_before_its_edition_opens_it_is_not_there_yet(self) -> None:
        found = paper("On agents")

        account = told(reader("agent"), found, now=NOON)

        assert account.sentence == (
            "You have not got it yet: the daily edition of 20 August 2026 has not been opened; that is "
            "done by "
            "21 August 2026 at 00:30 UTC."
        )
        assert account.topics[0].stage("filter").outcome == Outcome.PASSED

    def test_a_weekly_reader_s_paper_waits_for_the_end_of_the_week(self) -> None:
        found = paper("On agents")
        composed()

        account = told(reader("agent", frequency="weekly"), found, now=MORNING_AFTER)

        assert account.edition is None
        assert account.sentence.startswith(
            "You have not got it yet: the weekly edition of the week from 17 August 2026 has not been opened"
        )

    def test_a_late_paper_joins_one_of_the_next_and_no_later_one(self) -> None:
        paper("On planes")
        subscriber = reader("agent")
        composed()
        late = paper("On agents", seen_at=MORNING_AFTER + timedelta(hours=1))

        soon = told(subscriber, late, now=MORNING_AFTER + timedelta(hours=2))
        never = told(subscriber, late, now=MORNING_AFTER + timedelta(days=9))
        paper("On ships", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        joined = told(subscriber, late, edition=opened(NEXT_DAY))

        assert soon.sentence == (
            "You have not got it yet: it was read on 21 August 2026 at 02:00 UTC, after the daily edition of "
            "20 August 2026 had been opened on 21 August 2026 at 00:30 UTC; the next daily edition "
            "takes it in."
        )
        assert never.sentence.startswith("You did not get it because it was read on 21 August")
        assert never.sentence.endswith("those of the 3 days after did not take it in either.")
        assert joined.stage("edition").words.startswith(
            "it stands in the daily edition of 21 August 2026, since it came in after that of its own day"
        )

    def test_an_edition_that_was_never_made_is_said_to_be_missing(self) -> None:
        found = paper("On agents")

        account = told(reader("agent"), found, now=NOON + timedelta(days=40))

        assert account.sentence == (
            "You did not get it because the daily edition of 20 August 2026 was never opened."
        )

    def test_an_edition_of_other_days_does_not_hold_it(self) -> None:
        found = paper("On agents")
        paper("On ships", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        opened()

        account = told(reader("agent"), found, edition=opened(NEXT_DAY))

        assert account.stage("edition").facts["editions"] == ["daily 2026-08-20"]
        assert account.sentence == (
            "You did not get it because it was listed under 20 August 2026, and so is not of the daily "
            "edition "
            "of 21 August 2026."
        )

    def test_a_new_version_is_for_readers_who_asked_for_updates(self) -> None:
        revised = PaperFactory(title="On agents", first_listed_on=DAY - timedelta(days=90))
        arxiv_sighting(revised, announce_type="replace", version=3)
        paper("On planes")
        plain, curious = reader("agent"), reader("agent", wants_updates=True)
        deliver(composed())

        without, with_updates = told(plain, revised), told(curious, revised)

        assert without.sentence == (
            "You did not get it because version 3 was announced, no new paper, and you did not ask for "
            "updates."
        )
        assert without.cure == "ask for new versions of papers in your preferences"
        assert with_updates.got
        assert with_updates.stage("updates").outcome == Outcome.PASSED


class TestReader:
    @pytest.mark.parametrize(
        ("status", "sentence"),
        [
            ("unconfirmed", "You did not get it because your subscription is not confirmed."),
            ("unsubscribed", "You did not get it because you have unsubscribed."),
        ],
    )
    def test_who_has_no_row_is_told_why(self, status: str, sentence: str) -> None:
        found = paper("On agents")
        subscriber = reader("agent", status=status)
        composed()

        account = told(subscriber, found)

        assert account.stage("reader").has_failed
        assert account.sentence == sentence
        assert account.cure

    def test_who_came_after_the_edition_had_closed_is_told_so(self) -> None:
        found = paper("On agents")
        edition = composed()
        subscriber = reader("agent", confirmed_at=edition.mailing.closes_at + timedelta(hours=1))

        account = told(subscriber, found, now=NEXT_MORNING + timedelta(days=3))

        assert account.sentence == (
            "You did not get it because you have been a reader since 22 August 2026 at 01:30 UTC, and "
            "by then "
            "the daily edition of 20 August 2026 was closed."
        )

    def test_a_weekly_reader_does_not_read_daily_editions(self) -> None:
        found = paper("On agents")

        account = told(reader("agent", frequency="weekly"), found, edition=composed())

        assert account.sentence == (
            "You did not get it because you read weekly editions, and this is the daily edition of "
            "20 August 2026."
        )

    def test_who_has_no_row_yet_is_told_when_the_mail_comes(self) -> None:
        found = paper("On agents")
        opened()

        account = told(reader("agent"), found, now=MORNING_AFTER)

        assert account.sentence == (
            "You have not got it yet: it is to come in your mail on 21 August 2026 at 07:00 UTC."
        )
        assert account.stage("delivery").outcome == Outcome.NOT_APPLICABLE


class TestFilter:
    def test_names_the_word_that_is_missing_and_a_cure_that_works(self) -> None:
        found = paper("EnvBench: learning to plan")
        subscriber = reader('agent "tool use"')
        composed()

        account = told(subscriber, found)

        filter = account.topics[0].stage("filter")
        assert filter.has_failed
        assert filter.facts["faults"] == ["neither “agent” nor “tool use” is in its title or abstract"]
        assert account.sentence == (
            'You did not get it because Agent "tool use" does not find it: neither “agent” nor “tool use” is '
            "in its title or abstract."
        )
        assert account.cure == 'add OR EnvBench to the filter of Agent "tool use"'

    def test_names_the_not_that_leaves_it_out(self) -> None:
        found = paper("Agents: a survey")
        subscriber = reader("agent -survey")
        composed()

        account = told(subscriber, found)

        assert account.sentence == (
            "You did not get it because Agent -survey does not find it: NOT survey leaves it out: "
            "“survey” is "
            "in its title."
        )
        assert account.cure == "take NOT survey out of the filter of Agent -survey"

    def test_names_the_one_condition_that_does_not_hold(self) -> None:
        found = paper("Agents", primary_category="cs.RO", categories=["cs.RO"])
        subscriber = reader("agent cat:cs.CL")
        composed()

        account = told(subscriber, found)

        assert "cs.CL is not among its categories (they are cs.RO)" in account.sentence
        assert account.cure == ("take cat:cs.CL out of the filter of Agent cat:cs.cl, or add OR Agents to it")

    def test_of_several_the_nearest_is_named(self) -> None:
        found = paper("Planning: a survey")
        subscriber = reader("agent robot", "planning -survey", "ship car")
        composed()

        account = told(subscriber, found)

        assert account.sentence == (
            "You did not get it because none of your 3 topics finds it; the nearest is Planning -survey, and "
            "NOT survey leaves it out: “survey” is in its title."
        )
        assert account.cure == "take NOT survey out of the filter of Planning -survey"

    def test_of_the_catalogue_is_not_the_reader_s_to_change(self) -> None:
        found = paper("Marsupia: on quokkas")
        subscriber = reader()
        TopicFactory(name="Quokkas", filter=topics.filter_revision("quokka", now=NOON))
        other = TopicFactory(name="Wombats", filter=topics.filter_revision("wombat", now=NOON))
        SubscribedTopicFactory(subscriber=subscriber, topic=other)
        composed()

        account = told(subscriber, found)

        assert account.cure == "follow Quokkas, or make a topic of your own with the filter Marsupia"

    def test_counts_the_votes_as_they_were(self) -> None:
        found = paper("On agents", votes=12)
        subscriber = reader("agent upvotes>=20")
        composed()
        Paper.objects.update(votes=90)

        account = told(subscriber, found.arxiv_id)

        assert "it has 12 votes, not >= 20" in account.sentence

    def test_tells_of_the_filter_that_the_mail_was_made_with(self) -> None:
        found = paper("On agents")
        subscriber = reader("robot", "ship")
        paper("Robots")
        composed()
        for topic in [row.topic for row in subscriber.subscribed_topics.all()]:
            topic.filter = topics.filter_revision("agent", now=NOON)
            topic.save()

        account = told(subscriber, found)

        assert [topic.filter for topic in account.topics] == ["robot", "ship"]
        assert account.topics[0].stage("filter").has_failed

    def test_does_not_take_back_what_was_found_then(self) -> None:
        found = paper("On agents")
        subscriber = reader("agent")
        deliver(composed())
        Paper.objects.update(title="Renamed")

        account = told(subscriber, found.arxiv_id)

        assert account.got
        assert account.topics[0].stage("filter").words == (
            "Agent found it then, and would not by what is known of it now"
        )

    def test_that_cannot_be_read_is_said_to_be_broken(self) -> None:
        found = paper("On agents")
        subscriber = reader("agent")
        row = subscriber.subscribed_topics.get().topic.filter
        type(row).objects.filter(pk=row.pk).update(canonical="agent (")
        composed()

        assert "the filter of Agent could not be read" in told(subscriber, found).sentence

    def test_a_reader_without_topics_is_told_so(self) -> None:
        found = paper("On agents")
        subscriber = reader()
        composed()

        account = told(subscriber, found)

        assert account.sentence == "You did not get it because you follow no topic."
        assert account.cure == "choose topics in your preferences"

    @pytest.mark.parametrize(
        ("text", "title"),
        [
            ("agent -survey -cat:cs.CL", "Agents: a survey of robots"),
            ('"world model" (robot OR car)', "Vision for the world of robots"),
            ("(agent -planning) OR ships", "Planning with agents"),
            ('title:="exact words here"', "A note on tau-bench"),
            ("后训练", "A study of how things fall"),
        ],
    )
    def test_every_cure_that_adds_or_takes_something_makes_the_filter_find_it(
        self, text: str, title: str
    ) -> None:
        found = paper(title, categories=["cs.CL"])
        subscriber = reader(text)
        composed()

        account = told(subscriber, found)

        cure = account.cure
        assert cure
        canonical = parse(text).canonical
        if " out of " in cure:
            rest = canonical
            for part in cure.removeprefix("take ").split(" out of ")[0].split(" and "):
                rest = rest.replace(f" AND {part}", "").replace(f"{part} AND ", "")
            changed = rest
        else:
            changed = f"({canonical}) OR {cure.removeprefix('add OR ').split(' to the filter')[0]}"
        assert changed != canonical
        again = told(reader(changed), found, now=MORNING_AFTER)
        assert again.topics[0].stage("filter").outcome == Outcome.PASSED, changed


class TestTopic:
    def test_a_muted_topic_keeps_out_what_it_finds(self) -> None:
        found = paper("On agents")
        subscriber = reader("robot", "agent")
        subscriber.subscribed_topics.filter(position=1).update(muted=True)
        composed()

        account = told(subscriber, found)

        assert account.sentence == ("You did not get it because you have muted Agent, though Agent finds it.")
        assert account.cure == "unmute Agent in your preferences"

    def test_one_that_was_followed_later_did_not_count(self) -> None:
        found = paper("On agents")
        paper("On robots")
        subscriber = reader("robot")
        deliver(composed())
        later = TopicFactory(name="Agent", filter=topics.filter_revision("agent", now=NOON))
        SubscribedTopicFactory(subscriber=subscriber, topic=later, position=2)

        account = told(subscriber, found)

        assert account.sentence == (
            "You did not get it because Agent was not among your topics when that mail was put together, "
            "though Agent finds it."
        )

    def test_what_the_reader_never_wants_stays_out(self) -> None:
        found = paper("On agents: a survey")
        subscriber = reader("agent")
        Mute.objects.create(
            subscriber=subscriber, filter=topics.filter_revision("survey", now=NOON), created_at=NOON
        )
        opened()

        account = told(subscriber, found, now=MORNING_AFTER)

        assert account.stage("never").has_failed
        assert account.sentence == (
            "You did not get it because you never want survey, and this has “survey” (title)."
        )
        assert account.cure == "take survey off the list of what you never want"

    def test_what_the_reader_never_wants_kept_it_out_of_the_mail_that_was_made(self) -> None:
        found = paper("On agents: a survey")
        paper("Agents")
        subscriber = reader("agent")
        feedback.mute(subscriber.pk, "survey", now=NOON)
        deliver(composed())
        Paper.objects.filter(pk=found.pk).update(title="On agents")

        account = told(subscriber, found.arxiv_id)

        assert account.sentence == "You did not get it because you never want survey, which it was then."

    def test_what_the_reader_said_after_the_mail_was_made_is_not_blamed(self) -> None:
        papers = [paper("Agents"), paper("Agents: a survey", votes=5)]
        subscriber = reader("agent", max_papers=1)
        deliver(composed())
        feedback.mute(subscriber.pk, "survey", now=NEXT_MORNING)

        assert "it is number 2 of 2 that Agent has for you" in told(subscriber, papers[1]).sentence

    def test_what_the_reader_said_after_the_mail_was_made_did_not_count(self) -> None:
        found = paper("On agents: a survey")
        subscriber = reader("robot")
        composed()
        Mute.objects.create(
            subscriber=subscriber, filter=topics.filter_revision("survey", now=NOON), created_at=NEXT_MORNING
        )

        assert told(subscriber, found).stage("never").outcome == Outcome.PASSED


class TestRelevance:
    def scored(self, least: int | None, probability: float) -> Account:
        found = paper("On agents")
        subscriber = reader("agent")
        subscriber.subscribed_topics.update(min_relevance=least)
        topic = subscriber.subscribed_topics.get().topic
        Topic.objects.update(keywords=["agents"])
        EditionRelevance.objects.create(
            edition=opened(), topic=topic, scored=[[found.pk, probability, [["title", "agents"]]]]
        )
        return told(subscriber, found, now=MORNING_AFTER)

    def test_under_the_reader_s_threshold_it_stays_out(self) -> None:
        account = self.scored(80, 0.72)

        assert account.topics[0].stage("relevance").facts == {
            "probability": 0.72,
            "percent": 70,
            "least": 80,
            "reasons": [["title", "agents"]],
        }
        assert account.sentence == (
            "You did not get it because it looks 70 % relevant to Agent, and you take papers from 80 % on."
        )
        assert account.cure == "lower the threshold of Agent to 70 %"

    @pytest.mark.parametrize("least", [None, 70])
    def test_above_it_or_without_one_it_comes(self, least: int | None) -> None:
        account = self.scored(least, 0.72)

        assert account.topics[0].stage("relevance").outcome == Outcome.PASSED
        assert account.sentence.startswith("You have not got it yet: it is to come")

    def test_far_below_it_more_words_are_the_cure(self) -> None:
        account = self.scored(50, 0.2)

        said = "it looks less than 50 % relevant to Agent, and you take papers from 50 % on"
        assert said in account.sentence
        assert account.cure == "add to Agent what you look for in papers like this"

    def interested(self) -> Subscriber:
        subscriber = SubscriberFactory()
        wish = topics.filter_revision("kind:paper", now=NOON)
        own = TopicFactory(
            name="Mine", slug=None, owner=subscriber, filter=wish, keywords=["language agents"]
        )
        SubscribedTopicFactory(subscriber=subscriber, topic=own, min_relevance=50)
        return subscriber

    def test_is_told_before_the_edition_is_scored_and_before_it_opens(self) -> None:
        near, far = paper("Language agents that plan"), paper("On the growth of wheat")
        subscriber = self.interested()

        for edition_is_open in (False, True):
            if edition_is_open:
                opened()
            stages = [
                told(subscriber, one, now=MORNING_AFTER).topics[0].stage("relevance") for one in (near, far)
            ]

            assert [stage.outcome for stage in stages] == [Outcome.PASSED, Outcome.FAILED]
            assert stages[0].facts["percent"] >= 70
            assert stages[1].facts["least"] == 50

    def test_is_that_by_which_the_mail_was_made(self) -> None:
        near, far = paper("Language agents that plan"), paper("On the growth of wheat", votes=90)
        subscriber = self.interested()
        deliver(composed())

        assert told(subscriber, near).got
        account = told(subscriber, far)
        assert account.sentence == (
            "You did not get it because it looks less than 50 % relevant to Mine, "
            "and you take papers from 50 % on."
        )
        assert account.topics[0].stage("filter").words == "Mine takes in every paper that is relevant enough"

    def test_counts_what_the_reader_said_of_papers(self) -> None:
        liked = paper("The growth of wheat under drought", day=DAY - timedelta(days=3))
        far = paper("On the growth of wheat")
        subscriber = self.interested()
        opened()
        before = told(subscriber, far, now=MORNING_AFTER).topics[0].stage("relevance")
        feedback.say_more(subscriber.pk, liked.pk, now=NOON, topic_id=Topic.objects.get(name="Mine").pk)

        after = told(subscriber, far, now=MORNING_AFTER).topics[0].stage("relevance")

        assert after.facts["probability"] > before.facts["probability"]

    def test_stays_that_of_the_mail_whatever_the_reader_says_of_the_paper_afterwards(self) -> None:
        near = paper("Language agents that plan")
        subscriber = self.interested()
        deliver(composed())
        before = told(subscriber, near).topics[0].stage("relevance")
        feedback.say_less(subscriber.pk, near.pk, now=NEXT_MORNING)

        assert told(subscriber, near).topics[0].stage("relevance") == before

    def test_does_not_apply_to_mails_from_before_it_was_worked_out(self) -> None:
        far = paper("On the growth of wheat")
        subscriber = self.interested()
        edition = opened()
        compose.compose(edition, now=MORNING_AFTER)
        EditionRelevance.objects.all().delete()

        assert told(subscriber, far).topics[0].stage("relevance").outcome == Outcome.NOT_APPLICABLE

    def test_of_a_topic_that_scores_nothing_it_does_not_apply(self) -> None:
        found = paper("On agents")
        opened()

        account = told(reader("agent"), found, now=MORNING_AFTER)

        assert account.topics[0].stage("relevance").outcome == Outcome.NOT_APPLICABLE


class TestLimit:
    def test_of_a_topic_names_the_place_and_what_stood_before(self) -> None:
        papers = [paper(f"Agents {n}", votes=90 - n) for n in range(5)]
        subscriber = reader("agent")
        subscriber.subscribed_topics.update(max_papers=2)
        deliver(composed())

        account = told(subscriber, papers[3])

        assert account.sentence == (
            "You did not get it because it is number 4 of 5 that Agent has for you, and you take 2 of "
            "Agent a "
            "mail; before it stand “Agents 0”, “Agents 1” and “Agents 2”."
        )
        assert account.cure == "raise the limit of Agent to 4"
        assert told(subscriber, papers[1]).got

    def test_of_a_mail_is_shared_by_the_topics(self) -> None:
        agents = [paper(f"Agents {n}", votes=90 - n) for n in range(3)]
        [paper(f"Robots {n}", votes=50 - n) for n in range(3)]
        subscriber = reader("agent", "robot", max_papers=2)
        deliver(composed())

        account = told(subscriber, agents[1])

        assert account.topics[0].stage("limit").facts["mail_limit"] == 2
        assert "it is number 2 of 3 that Agent has for you, and you take 2 papers a mail" in account.sentence

    def test_counts_under_the_first_topic_that_finds_it(self) -> None:
        both = paper("Robots and agents", votes=1)
        paper("Agents", votes=50)
        subscriber = reader("agent", "robot")
        subscriber.subscribed_topics.filter(position=0).update(max_papers=1)
        deliver(composed())

        account = told(subscriber, both)

        assert account.topics[1].stage("limit").words == (
            "it counts for Agent, which stands before Robot among your topics"
        )
        assert account.cure == "raise the limit of Agent to 2"

    def test_that_was_raised_since_is_not_blamed(self) -> None:
        papers = [paper(f"Agents {n}", votes=90 - n) for n in range(3)]
        subscriber = reader("agent", max_papers=1)
        deliver(composed())
        Subscriber.objects.update(max_papers=50)

        assert "the limits that you had then left it out" in told(subscriber, papers[2]).sentence


class TestReceived:
    def test_a_paper_that_came_before_does_not_come_again(self) -> None:
        found = paper("On agents")
        subscriber = reader("agent")
        deliver(composed())
        Delivery.objects.update(done_at=MORNING_AFTER)
        arxiv_sighting(found, NEXT_DAY, seen_at=NOON + timedelta(days=1))
        second = composed(NEXT_DAY)

        account = told(subscriber, found, edition=second)

        assert account.stage("received").has_failed
        assert account.sentence == (
            "You did not get it in the daily edition of 21 August 2026 because you had got it already, "
            "on 21 August 2026, in the daily edition of 20 August 2026."
        )
        assert told(subscriber, found).got  # asked without an edition, it is told of the one that brought it

    def test_nor_does_one_that_was_taken_for_it(self) -> None:
        first, other = paper("On agents"), PaperFactory(title="On agents, again", abstract="")
        merge = merging.merge(other, first, how="operator", certainty=1, evidence="x", now=NOON)
        subscriber = reader("agent")
        deliver(composed())
        merging.undo(merge, now=MORNING_AFTER)
        arxiv_sighting(other, NEXT_DAY, seen_at=NOON + timedelta(days=1))
        second = composed(NEXT_DAY)

        account = told(subscriber, other.arxiv_id, edition=second)

        assert "you had got what was taken for the same work then already" in account.sentence

    def test_what_failed_does_not_count(self) -> None:
        found = paper("On agents")
        subscriber = reader("agent")
        deliver(composed(), "failed", "550 no such user")
        arxiv_sighting(found, NEXT_DAY, seen_at=NOON + timedelta(days=1))

        account = told(subscriber, found, edition=opened(NEXT_DAY), now=NEXT_MORNING)

        assert account.stage("received").outcome == Outcome.PASSED
        assert account.sentence.startswith("You have not got it yet: it is to come")


class TestDelivery:
    def mail(self, state: str = "", reason: str = "", **values: object) -> Account:
        found = paper("On agents")
        subscriber = reader("agent", **values)
        edition = composed()
        if state:
            deliver(edition, state, reason)
        return told(subscriber, found)

    def test_that_is_due_has_not_come_yet(self) -> None:
        account = self.mail()

        assert not account.got
        assert account.sentence == (
            "You have not got it yet: it is in your mail of the daily edition of 20 August 2026, under "
            "Agent, "
            "and it is due on 21 August 2026 at 07:00 UTC."
        )

    def test_that_was_deferred_says_what_the_server_said(self) -> None:
        assert (
            "the mail server asked to wait (451 busy), so it is due"
            in self.mail("deferred", "451 busy").sentence
        )

    def test_that_failed_says_what_the_server_said(self) -> None:
        account = self.mail("failed", "550 no such user")

        assert account.sentence == (
            "You did not get it, though it was in your mail of the daily edition of 20 August 2026, under "
            "Agent, because the mail server refused it: 550 no such user."
        )
        assert account.stage("delivery").facts["state"] == "failed"

    def test_of_which_nobody_knows_may_have_come(self) -> None:
        account = self.mail("uncertain", "lost")

        assert account.sentence.startswith("You may have got it: it was in your mail")
        assert not account.got

    def test_that_was_skipped_while_paused_says_so(self) -> None:
        account = self.mail(status="paused")

        assert account.sentence == "You did not get it because your mail was paused then."
        assert account.cure == "resume your mail"
        assert account.stage("delivery").facts["reason"] == "paused"

    def test_to_a_suppressed_address_says_so(self) -> None:
        found = paper("On agents")
        subscriber = reader("agent")
        Suppression.objects.create(
            address=subscriber.address, reason=Suppression.Reason.OPERATOR, created_at=NOON
        )
        composed()

        account = told(subscriber, found)

        assert account.sentence.startswith(
            "You did not get it because nothing is sent to your address any more"
        )

    def test_that_joined_the_next_one_is_told_of_that(self) -> None:
        found = paper("On agents")
        subscriber = reader("agent")
        first = composed()
        paper("New agents", day=NEXT_DAY, seen_at=NOON + timedelta(days=1))
        second = composed(NEXT_DAY)

        folded, joined = told(subscriber, found, edition=first), told(subscriber, found)

        assert "it had not gone out when the next one was put together" in folded.sentence
        assert joined.edition == second
        assert joined.sentence.startswith(
            "You have not got it yet: it is in your mail of the daily edition of 21 August 2026"
        )

    def test_without_a_match_leads_to_the_topics(self) -> None:
        found = paper("On planes")
        subscriber = reader("agent")
        edition = composed()

        account = told(subscriber, found)

        row = Delivery.objects.of_mailing(edition.mailing_id).get(subscriber_id=subscriber.pk)
        assert (row.state, row.reason) == ("skipped", "no_match")
        assert account.stage("delivery").facts["reason"] == "no_match"
        assert account.sentence.startswith("You did not get it because Agent does not find it")

    def test_where_all_has_changed_since_says_so(self) -> None:
        found = paper("On agents")
        subscriber = reader()
        composed()
        later = TopicFactory(name="Agent", filter=topics.filter_revision("agent", now=NOON))
        SubscribedTopic.objects.create(subscriber=subscriber, topic=later)

        assert told(subscriber, found).sentence == (
            "You did not get it because your topics or limits were others when the daily edition of 20 "
            "August "
            "2026 was put together; by those of now it would have come."
        )


def test_a_mail_of_somebody_else_is_nobody_s_receipt() -> None:
    found = paper("On agents")
    other, subscriber = reader("agent"), reader("robot")
    deliver(composed())

    assert told(other, found).got
    assert not told(subscriber, found).got


def test_what_is_told_is_what_the_mails_hold_and_nobody_is_left_without_a_reason() -> None:
    titles = ("Agents plan", "Robots and agents", "A survey of agents", "Robots", "Tool use", "Ships")
    papers = [paper(title, votes=40 - 3 * number) for number, title in enumerate(titles)]
    readers = [
        reader("agent", "robot", max_papers=2),
        reader("agent -survey", "ship", top_papers_if_none=True),
        reader("nothing", top_papers_if_none=True),
        reader("(agent robot) OR tool*"),
    ]
    edition = composed()
    deliver(edition)
    held = {
        one.subscriber_id: set(digests.papers_of(one)) for one in Digest.objects.filter(edition_id=edition.pk)
    }

    for subscriber in readers:
        for one in papers:
            account = told(subscriber, one)
            assert account.got == (one.pk in held[subscriber.pk]), account.sentence
            if not account.got:
                failed = [stage for topic in account.topics if (stage := topic.failed)]
                assert failed, account.sentence
                reasons = [one for stage in failed for one in stage.facts.get("faults", [stage.words])]
                assert any(reason in account.sentence for reason in reasons), account.sentence
                assert account.cure


def test_asks_no_more_of_the_database_for_a_full_edition_than_for_a_small_one() -> None:
    counts = []
    for day, number in ((DAY, 2), (NEXT_DAY + timedelta(days=5), 40)):
        at = NOON + (day - DAY)
        papers = [paper(f"Agents {n}", day=day, seen_at=at, votes=90 - n) for n in range(number)]
        subscriber = reader("agent", "robot", max_papers=1)
        edition = opened(day)
        compose.compose(edition, now=schedule.opening("daily", day))
        with CaptureQueriesContext(connection) as queries:
            account = told(subscriber, papers[1], edition=edition)
        assert account.topics[0].stage("limit").has_failed
        counts.append(len(queries))

    assert counts[0] == counts[1] <= 40
