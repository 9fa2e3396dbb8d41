from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import pytest

from digest.editions import compose, feedback, personal, reader_models, schedule
from digest.editions.feedback import Said, TooMany
from digest.matching import spaces
from digest.matching.explain import Reason
from digest.matching.rank import Ranker
from digest.models import (
    Calibration,
    Digest,
    EditionRelevance,
    Feedback,
    Merge,
    Paper,
    ReaderModel,
)
from subscriptions import privacy, topics
from subscriptions.filters import FilterError
from subscriptions.models import Mute, Subscriber
from tests.factories import (
    DAY,
    MORNING_AFTER,
    NOON,
    PaperFactory,
    SubscribedTopicFactory,
    SubscriberFactory,
    TopicFactory,
    listed_paper,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _papers_in_general():
    """Kept for a day in a process, and a test's day has papers of its own."""
    feedback._background.cache_clear()


LATER = MORNING_AFTER + timedelta(hours=1)


@pytest.fixture
def reader() -> Subscriber:
    return SubscriberFactory()


@pytest.fixture
def paper() -> Paper:
    return PaperFactory(title="Agents that plan")


def said(reader: Subscriber) -> list[tuple[int, str, bool]]:
    rows = Feedback.objects.filter(subscriber=reader).order_by("pk")
    return [(row.paper_id, row.opinion, row.saved_at is not None) for row in rows]


class TestSaying:
    def test_twice_is_once(self, reader, paper):
        first = feedback.say_more(reader.pk, paper.pk, now=NOON)
        second = feedback.say_more(reader.pk, paper.pk, now=LATER)

        assert (first, second) == (Said(), Said("more"))
        assert said(reader) == [(paper.pk, "more", False)]
        assert Feedback.objects.get().at == NOON

    def test_the_last_word_counts_and_what_is_kept_stays_kept(self, reader, paper):
        feedback.save(reader.pk, paper.pk, now=NOON)
        feedback.say_more(reader.pk, paper.pk, now=NOON)
        feedback.say_less(reader.pk, paper.pk, now=LATER)

        assert said(reader) == [(paper.pk, "less", True)]
        assert Feedback.objects.get().saved_at == NOON

    def test_what_is_neither_said_nor_kept_leaves_no_row(self, reader, paper):
        feedback.save(reader.pk, paper.pk, now=NOON)
        feedback.unsave(reader.pk, paper.pk, now=NOON)
        feedback.take_back(reader.pk, paper.pk, now=NOON)

        assert said(reader) == []

    def test_what_was_before_can_be_put_back(self, reader, paper):
        feedback.say_less(reader.pk, paper.pk, now=NOON)
        feedback.save(reader.pk, paper.pk, now=NOON)
        before = feedback.take_back(reader.pk, paper.pk, now=NOON)
        feedback.put(reader.pk, paper.pk, before, now=NOON)

        assert feedback.said_of(reader.pk, paper.pk) == Said("less", saved=True)

    def test_a_merged_paper_counts_as_its_original(self, reader, paper):
        twin = PaperFactory()
        feedback.say_less(reader.pk, twin.pk, now=NOON)
        Paper.objects.filter(pk=twin.pk).update(canonical=paper)

        assert feedback.said_of(reader.pk, paper.pk) == Said("less")
        feedback.say_more(reader.pk, twin.pk, now=LATER)
        assert said(reader) == [(paper.pk, "more", False)]

    def test_a_paper_that_is_not_there_is_refused(self, reader):
        with pytest.raises(Paper.DoesNotExist):
            feedback.say_more(reader.pk, 1, now=NOON)


@pytest.fixture
def digest(reader) -> Digest:
    """The reader's digest: a paper that two topics find, scored for the first."""
    listed_paper(title="Agents that plan", abstract="World models help.", authors=["Ada Lovelace"])
    for name, text in (("Agents", "agent"), ("World models", '"world model"')):
        topic = TopicFactory(name=name, filter=topics.filter_revision(text, now=NOON))
        SubscribedTopicFactory(subscriber=reader, topic=topic)
    edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)
    compose.compose(edition, now=MORNING_AFTER)
    made = Digest.objects.get()
    EditionRelevance.objects.filter(edition=edition).delete()
    paper_id = made.sections[0]["papers"][0]
    EditionRelevance.objects.create(
        edition=edition,
        topic_id=made.sections[0]["topic"],
        scored=[[paper_id, 0.83, [["about", "plan"]]]],
    )
    return made


class TestWhyItCame:
    def test_names_each_topic_with_its_reasons_and_relevance(self, reader, digest):
        paper_id = digest.sections[0]["papers"][0]

        came = feedback.came(reader.pk, paper_id)

        assert came.edition.date == DAY
        assert [(under.topic.name, under.probability) for under in came.topics] == [
            ("Agents", 0.83),
            ("World models", None),
        ]
        assert came.topics[0].reasons == (Reason("Agents", "title"), Reason("plan", "about"))
        assert Reason("World models", "abstract") in came.topics[1].reasons

    def test_an_opinion_counts_for_that_topic_with_what_was_shown_before(self, reader, digest):
        feedback.say_less(reader.pk, digest.sections[0]["papers"][0], now=LATER)

        row = Feedback.objects.get()
        assert (row.topic.name, row.relevance) == ("Agents", 0.83)

    def test_what_came_in_no_digest_counts_for_the_topic_given_if_it_is_the_readers(self, reader, paper):
        own, strange = TopicFactory(), TopicFactory(slug=None, owner=SubscriberFactory())
        feedback.say_more(reader.pk, paper.pk, now=NOON, topic_id=strange.pk)
        assert Feedback.objects.get().topic is None
        feedback.take_back(reader.pk, paper.pk, now=NOON)
        feedback.say_more(reader.pk, paper.pk, now=NOON, topic_id=own.pk)

        assert Feedback.objects.get().topic == own
        assert feedback.came(reader.pk, paper.pk) is None

    def test_topics_that_would_find_a_paper_are_told(self, reader, digest):
        other = listed_paper(title="More agents")
        assert [under.topic.name for under in feedback.would_come(reader.pk, other.pk)] == ["Agents"]


class TestExamples:
    def test_by_topic_liked_and_disliked_newest_first(self, reader, django_assert_max_num_queries):
        topic = TopicFactory()
        liked, kept, disliked, loose = (PaperFactory() for _ in range(4))
        feedback.say_more(reader.pk, liked.pk, now=NOON, topic_id=topic.pk)
        feedback.save(reader.pk, kept.pk, now=LATER, topic_id=topic.pk)
        feedback.say_less(reader.pk, disliked.pk, now=NOON, topic_id=topic.pk)
        feedback.say_less(reader.pk, loose.pk, now=NOON)
        stranger = SubscriberFactory()

        with django_assert_max_num_queries(3):
            found = feedback.examples([reader.pk, stranger.pk])

        by_id = {
            key: tuple([one["id"] for one in side] for side in sides)
            for key, sides in found[reader.pk].items()
        }
        assert by_id == {topic.pk: ([kept.pk, liked.pk], [disliked.pk]), None: ([], [loose.pk])}
        assert found.keys() == {reader.pk}

    def test_the_newest_fifty_of_a_kind(self, reader, monkeypatch):
        monkeypatch.setattr(feedback, "MOST_EXAMPLES", 2)
        papers = [PaperFactory() for _ in range(3)]
        for minute, paper in enumerate(papers):
            feedback.say_more(reader.pk, paper.pk, now=NOON + timedelta(minutes=minute))

        liked, _ = feedback.examples([reader.pk])[reader.pk][None]
        assert [one["id"] for one in liked] == [papers[2].pk, papers[1].pk]

    def test_of_two_names_of_one_paper_the_newest_word_counts(self, reader, paper):
        twin = PaperFactory()
        feedback.say_more(reader.pk, paper.pk, now=NOON)
        feedback.say_less(reader.pk, twin.pk, now=LATER)
        Paper.objects.filter(pk=twin.pk).update(canonical=paper)

        liked, disliked = feedback.examples([reader.pk])[reader.pk][None]
        assert (liked, [one["id"] for one in disliked]) == ([], [paper.pk])

    def test_lack_the_words_that_the_reader_took_out(self, reader, paper):
        feedback.say_more(reader.pk, paper.pk, now=NOON)
        feedback.forget_word(reader.pk, "agent", now=NOON)

        (example,), _ = feedback.examples([reader.pk])[reader.pk][None]
        assert (example["title"].strip(), example["shown_title"]) == ("that plan", "Agents that plan")
        assert "agent" not in example["abstract"]
        feedback.bring_word_back(reader.pk, "agent", now=NOON)
        (example,), _ = feedback.examples([reader.pk])[reader.pk][None]
        assert example["title"] == "Agents that plan"


NEXT_DAY = (
    {"id": 1, "title": "Grasping with a robot hand", "abstract": "A robot learns to grasp objects."},
    {"id": 2, "title": "Proving theorems in Lean", "abstract": "A language model writes formal proofs."},
    {"id": 3, "title": "Cooking with kitchen robots", "abstract": "Manipulation of household objects."},
)


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    return Ranker().fit(NEXT_DAY)


class TestAtOnce:
    """The matcher itself, on the next day's papers."""

    def scores(self, ranker, reader) -> list[float]:
        liked, disliked = feedback.examples([reader.pk]).get(reader.pk, {}).get(None, ([], []))
        profile = {"name": "Machine learning", "liked": liked, "disliked": disliked}
        return [float(score) for score in ranker.score(profile)]

    def test_a_like_raises_and_a_dislike_lowers_similar_papers(self, ranker, reader):
        robots = PaperFactory(title="Robots that grasp", abstract="A robot hand grasps objects.")
        before = self.scores(ranker, reader)
        feedback.say_more(reader.pk, robots.pk, now=NOON)
        liked = self.scores(ranker, reader)
        feedback.say_less(reader.pk, robots.pk, now=NOON)
        disliked = self.scores(ranker, reader)
        feedback.take_back(reader.pk, robots.pk, now=NOON)

        assert liked[0] - liked[1] > before[0] - before[1]
        assert disliked[0] < before[0]
        assert disliked[0] - disliked[1] < before[0] - before[1]
        assert self.scores(ranker, reader) == before

    def test_a_removed_word_no_longer_lifts_papers(self, ranker, reader):
        paper = PaperFactory(title="Robots prove theorems", abstract="A robot writes formal proofs.")
        feedback.say_more(reader.pk, paper.pk, now=NOON)
        before = self.scores(ranker, reader)
        feedback.forget_word(reader.pk, "robot", now=NOON)
        after = self.scores(ranker, reader)

        assert after[0] - after[1] < before[0] - before[1]


class TestMutes:
    @pytest.mark.parametrize(
        ("reason", "filter"),
        [
            (Reason("LLM agents", "title"), '"LLM agents"'),
            (Reason("agents", "abstract"), "agents"),
            (Reason("plan", "about"), "plan"),
            (Reason("Yann LeCun", "author"), 'author:"Yann LeCun"'),
            (Reason("cs.CL", "category"), "cat:cs.CL"),
            (Reason("Google DeepMind", "organization"), 'org:"Google DeepMind"'),
            (Reason("huggingface", "source"), "source:huggingface"),
            (Reason("code", "has"), "has:code"),
            (Reason("zh-hans", "language"), "lang:zh"),
            (Reason('say "hello"', "title"), '"say hello"'),
            (Reason("OR", "title"), '"OR"'),
            (Reason("Agents that plan", "liked"), ""),
            (Reason("20", "upvotes"), ""),
            (Reason('"', "title"), ""),
        ],
    )
    def test_a_reason_becomes_a_filter_where_it_can_be_muted(self, reason, filter):
        assert feedback.mute_text(reason) == filter

    def test_twice_is_once_and_spellings_share_a_row(self, reader):
        first = feedback.mute(reader.pk, "Survey", now=NOON)
        assert feedback.mute(reader.pk, '"Survey"', now=LATER) == first
        other = feedback.mute(SubscriberFactory().pk, "Survey", now=NOON)

        assert feedback.mutes([reader.pk]) == {reader.pk: [first.filter_id]}
        assert other.filter_id == first.filter_id

    def test_are_taken_back_by_their_reader_alone(self, reader):
        made = feedback.mute(reader.pk, "survey", now=NOON)

        assert feedback.unmute(SubscriberFactory().pk, made.pk) is None
        assert feedback.mutes([reader.pk])
        assert feedback.unmute(reader.pk, made.pk) == "survey"
        assert feedback.unmute(reader.pk, made.pk) is None

    def test_what_cannot_be_read_or_is_too_much_is_refused(self, reader, monkeypatch):
        with pytest.raises(FilterError):
            feedback.mute(reader.pk, "-survey", now=NOON)
        monkeypatch.setattr(feedback, "MOST_MUTES", 0)
        with pytest.raises(TooMany):
            feedback.mute(reader.pk, "survey", now=NOON)
        assert not Mute.objects.exists()

    def test_keep_papers_out_of_the_next_digest(self, reader):
        listed_paper(title="A survey of agents")
        kept = listed_paper(title="Agents that plan")
        topic = TopicFactory(filter=topics.filter_revision("agent", now=NOON))
        SubscribedTopicFactory(subscriber=reader, topic=topic)
        feedback.mute(reader.pk, "survey", now=NOON)
        compose.compose(schedule.open_edition("daily", DAY, now=MORNING_AFTER), now=MORNING_AFTER)

        assert [section["papers"] for section in Digest.objects.get().sections] == [[kept.pk]]

    def test_say_what_would_not_have_come(self, reader, digest):
        assert feedback.left_out_by(reader.pk, "agents") == (1, 1)
        assert feedback.left_out_by(reader.pk, "survey") == (0, 1)


@pytest.fixture
def talkative(reader) -> Subscriber:
    """Twelve likes of robots and twelve dislikes of proofs, in turns, of one topic."""
    topic = TopicFactory(name="Everything", keywords=["science"])
    robots = [("Robots grasp, part {}", "A robot arm grasps things.", "more")] * 12
    proofs = [("Proofs of theorems, part {}", "A proof in mathematics.", "less")] * 12
    said = [pair for both in zip(robots, proofs, strict=True) for pair in both]
    papers = Paper.objects.bulk_create(
        PaperFactory.build(title=title.format(number), abstract=abstract)
        for number, (title, abstract, _) in enumerate(said)
    )
    Feedback.objects.bulk_create(
        Feedback(subscriber=reader, paper=paper, topic=topic, opinion=opinion, at=NOON)
        for paper, (*_, opinion) in zip(papers, said, strict=True)
    )
    return reader


class BagOfWords:
    """A ranker whose space has a dimension for each of some words, and whose default knows nothing."""

    words = ("robot", "grasp", "arm", "proof", "theorem", "mathematic", "part", "thing")

    def __init__(self, papers: Sequence[Mapping]) -> None:
        self.vectors = np.array([self.vector_of(paper) for paper in papers])
        self.profiles: list[Mapping] = []

    def score(self, profile: Mapping) -> list[float]:
        self.profiles.append(profile)
        return [0.3] * len(self.vectors)

    def vector_of(self, paper: Mapping) -> np.ndarray:
        text = f"{paper['title']} {paper['abstract']}".lower()
        vector = np.array([float(text.count(word)) for word in self.words])
        return vector / max(float(np.linalg.norm(vector)), 1e-9)


def learn(reader: Subscriber) -> bool:
    return reader_models.learn(reader.pk, now=LATER, fit=BagOfWords, space="words")


class TestOwnModel:
    def test_consistent_opinions_take_over_for_their_topic(self, talkative):
        assert reader_models.due_to_learn(space="words") == [talkative.pk]
        assert learn(talkative)

        topic_id = Feedback.objects.first().topic_id
        (model,) = reader_models.models([talkative.pk])[talkative.pk].values()
        assert reader_models.models([talkative.pk])[talkative.pk].keys() == {topic_id}
        assert model.vector[0] > 0 > model.vector[3]
        assert reader_models.due_to_learn(space="words") == []

    def test_the_default_is_asked_without_the_opinions_that_it_shall_foresee(self, talkative):
        asked: list[BagOfWords] = []

        def fit(papers: Sequence[Mapping]) -> BagOfWords:
            asked.append(BagOfWords(papers))
            return asked[-1]

        reader_models.learn(talkative.pk, now=LATER, fit=fit, space="words")

        sizes = [len(one["liked"]) + len(one["disliked"]) for one in asked[0].profiles]
        assert len(asked) == 1
        assert sum(24 - size for size in sizes) == 24
        assert asked[0].profiles[0]["name"] == "Everything"

    def test_is_out_of_use_as_soon_as_something_else_is_said(self, talkative):
        learn(talkative)
        feedback.take_back(talkative.pk, Feedback.objects.first().paper_id, now=LATER)

        assert reader_models.models([talkative.pk]) == {}
        assert reader_models.due_to_learn(space="words") == [talkative.pk]

    def test_is_learnt_again_in_another_space(self, talkative):
        learn(talkative)
        assert reader_models.due_to_learn(space="other") == [talkative.pk]

    def test_a_removed_word_changes_it(self, talkative):
        learn(talkative)
        (before,) = reader_models.models([talkative.pk])[talkative.pk].values()
        feedback.forget_word(talkative.pk, "robots", now=LATER)
        assert reader_models.due_to_learn(space="words") == [talkative.pk]
        learn(talkative)
        (after,) = reader_models.models([talkative.pk])[talkative.pk].values()

        assert before.vector[0] > 0.1
        assert after.vector[0] == pytest.approx(0, abs=0.01)
        assert after.vector[3] < 0

    def test_few_opinions_are_not_due(self, reader):
        for _ in range(20):
            feedback.say_more(reader.pk, PaperFactory().pk, now=NOON)
        assert reader_models.due_to_learn(space="words") == []

    def test_opinions_scattered_over_topics_make_one_for_all_of_them(self, talkative):
        for number, row in enumerate(Feedback.objects.order_by("pk")):
            row.topic = TopicFactory() if number % 4 == 0 else None if number % 4 == 1 else row.topic
            row.save()
        learn(talkative)
        assert None in reader_models.models([talkative.pk])[talkative.pk]

    def test_is_learnt_by_the_matcher_itself_in_the_space_in_use(self, talkative):
        assert reader_models.learn_due(now=LATER) == 1

        row = ReaderModel.objects.get()
        assert (row.examples, row.weights["space"]) == (24, spaces.current().name)
        assert reader_models.learn_due(now=LATER) == 0


class TestWhatWasLearnt:
    def test_is_papers_words_and_mutes(self, talkative):
        feedback.mute(talkative.pk, "survey", now=NOON)
        kept = PaperFactory(title="Robots, kept")
        feedback.save(talkative.pk, kept.pk, now=LATER)

        known = feedback.learnt(talkative.pk)

        assert (len(known.liked), len(known.disliked)) == (12, 12)
        assert [one.paper for one in known.saved] == [kept]
        assert {word.text.lower() for word in known.more} & {"robots", "robots grasp", "robot arm"}
        assert {word.text.lower() for word in known.less} & {"proofs", "proof", "theorems"}
        assert [mute.filter.canonical for mute in known.mutes] == ["survey"]

    def test_a_word_that_was_taken_out_is_told_as_such(self, talkative):
        word = feedback.learnt(talkative.pk).less[0].text
        feedback.forget_word(talkative.pk, word, now=LATER)

        known = feedback.learnt(talkative.pk)
        assert known.removed_words == [word]
        assert word not in {one.text for one in known.less}

    def test_a_reset_brings_everything_back_to_the_start(self, talkative):
        other = SubscriberFactory()
        feedback.say_more(other.pk, PaperFactory().pk, now=NOON)
        feedback.mute(talkative.pk, "survey", now=NOON)
        feedback.forget_word(talkative.pk, "robot", now=NOON)
        learn(talkative)
        feedback.reset(talkative.pk)

        assert feedback.learnt(talkative.pk).is_empty
        assert feedback.examples([talkative.pk]) == feedback.mutes([talkative.pk]) == {}
        assert reader_models.models([talkative.pk]) == {}
        assert len(said(other)) == 1

    def test_is_exported_and_erased(self, talkative):
        feedback.mute(talkative.pk, "survey", now=NOON)
        learn(talkative)

        known = privacy.export(talkative.pk)
        assert len(known["opinions"]["said"]) == 24
        assert known["opinions"]["said"][0]["topic"] == "Everything"
        assert known["opinions"]["model"]["in_use"]
        assert known["mutes"] == [{"filter": "survey", "since": NOON.isoformat()}]

        privacy.erase(talkative.pk, now=LATER)
        assert not Feedback.objects.exists()
        assert not ReaderModel.objects.exists()
        assert not Mute.objects.exists()
        assert personal.export_opinions(talkative.pk) == {"said": [], "model": None}


class TestScale:
    def answers(self, number: int, *, at=NOON) -> None:
        """Readers like half of what was shown at 80 %, and a third of what was shown at 60 %."""
        readers = [SubscriberFactory() for _ in range(2)]
        papers = Paper.objects.bulk_create(
            PaperFactory.build(arxiv_id=f"2601.{n:05}", key=f"arxiv:2601.{n:05}") for n in range(number // 2)
        )
        Feedback.objects.bulk_create(
            Feedback(
                subscriber=reader,
                paper=paper,
                opinion="more" if n % (2 if reader == readers[0] else 3) == 0 else "less",
                at=at,
                relevance=0.8 if reader == readers[0] else 0.6,
            )
            for reader in readers
            for n, paper in enumerate(papers)
        )

    def test_is_refitted_from_200_opinions_on_and_once_a_week(self):
        self.answers(198)
        assert reader_models.refit_calibration(now=LATER) is None
        Feedback.objects.all().delete()
        Paper.objects.all().delete()
        self.answers(400)
        made = reader_models.refit_calibration(now=LATER)

        assert (made.opinions, made.intercept < 0) == (400, True)
        assert reader_models.refit_calibration(now=LATER + timedelta(days=1)) is None

    def test_what_was_shown_under_an_older_scale_is_read_by_it(self):
        Calibration.objects.create(intercept=-1, slope=1, opinions=200, made_at=NOON - timedelta(days=30))
        self.answers(400)
        first = reader_models.refit_calibration(now=LATER)
        Calibration.objects.all().delete()
        plain = reader_models.refit_calibration(now=LATER)

        # The same answers, but the ranker itself had given one unit of log-odds more.
        assert first.intercept < plain.intercept - 0.5


def test_an_undone_merge_gives_each_row_its_own_word_back(reader, paper):
    twin = PaperFactory()
    feedback.say_less(reader.pk, twin.pk, now=NOON)
    Merge.objects.all().delete()
    Paper.objects.filter(pk=twin.pk).update(canonical=paper)
    Paper.objects.filter(pk=twin.pk).update(canonical=None)

    assert feedback.said_of(reader.pk, paper.pk) == Said()
    assert feedback.said_of(reader.pk, twin.pk) == Said("less")
