import html
import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from digest.editions import compose, feedback, schedule
from digest.models import Digest, Edition, EditionRelevance, Feedback, Paper, ReaderModel
from digest.web import feedback as pages
from subscriptions import tokens, topics
from subscriptions.models import Mute, Subscriber, Topic
from tests.digest.web.test_frame import Markup
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
    """Kept for a day in a process, and a test's day has its own; so has its minute of requests."""
    feedback._background.cache_clear()
    cache.clear()


def token_of(reader: Subscriber) -> str:
    url = tokens.preferences_url(reader.pk, now=timezone.now())
    return re.search(r"/preferences/([^/]+)/", url)[1]


@pytest.fixture
def reader() -> Subscriber:
    return SubscriberFactory(email="mira@lab.example")


@pytest.fixture
def paper(reader) -> Paper:
    """One of the reader's topics finds it."""
    topic = TopicFactory(name="Agents", filter=topics.filter_revision("agent author:lovelace", now=NOON))
    SubscribedTopicFactory(subscriber=reader, topic=topic)
    return listed_paper(title="Agents <that> plan", authors=["Ada Lovelace"])


@pytest.fixture
def digest(paper) -> Digest:
    """It came to the reader."""
    edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)
    compose.compose(edition, now=MORNING_AFTER)
    return Digest.objects.get()


@pytest.fixture
def about(reader, paper) -> str:
    return reverse("paper-and-you", args=[token_of(reader), paper.pk])


@pytest.fixture
def learnt(reader) -> str:
    return reverse("learnt", args=[token_of(reader)])


def press(client, page: str, do: str, **more: str) -> str:
    """Press a button; the page that follows."""
    return client.post(page, {"do": do, **more}, follow=True).content.decode()


def undo(client, page: str, shown: str) -> str:
    return press(client, page, html.unescape(re.search(r'name="do" value="([^"]*)">Undo', shown)[1]))


class TestAPaper:
    def test_says_why_it_came_and_offers_what_can_be_done(self, client, about, digest):
        response = client.get(about)
        text = response.content.decode()

        assert response.status_code == 200
        assert "Agents &lt;that&gt; plan" in text
        assert "20 August 2026" in text
        assert "<mark>Agents</mark> in the title" in text
        assert "Never show papers with “Agents”" in text
        assert "Never show papers by Ada Lovelace" in text
        assert "Edit this topic" in text
        assert "no-store" in response["Cache-Control"]
        assert response["X-Robots-Tag"] == "noindex"
        markup = Markup(text)
        assert (markup.refused, markup.unbalanced) == ([], [])

    @pytest.mark.parametrize(("probability", "said"), [(0.42, "under 50 %"), (0.81, "80 %"), (None, "")])
    @pytest.mark.usefixtures("digest")
    def test_says_how_relevant_it_is_and_what_that_means(self, client, about, paper, probability, said):
        EditionRelevance.objects.create(
            edition=Edition.objects.get(),
            topic=Topic.objects.get(name="Agents", subscribed__isnull=False),
            scored=[[paper.pk, probability, [["about", "plan"]]]],
        )

        text = client.get(about).content.decode()

        assert re.findall(r'<span class="muted num">([^<]+)</span>', text) == ([said] if said else [])
        assert "<mark>plan</mark> raised its score" in text
        assert ("about 80 in 100 were judged relevant" in text) == bool(said)

    def test_says_that_it_is_below_what_the_reader_takes(self, client, about, reader):
        wide = TopicFactory(
            name="Wheat",
            slug=None,
            owner=reader,
            keywords=["growth of wheat"],
            filter=topics.filter_revision("kind:paper", now=NOON),
        )
        SubscribedTopicFactory(subscriber=reader, topic=wide, min_relevance=50, position=9)

        text = client.get(about).content.decode()

        assert "under 50 %" in text
        assert "It does not come: you take papers of this topic from 50 % on." in text
        assert "Never show papers of the kind" not in text

    def test_says_what_a_dislike_does_not_do(self, client, about, paper):
        text = press(client, about, f"less:{paper.pk}")

        assert "they still come where a filter of yours finds them" in text

    def test_a_visit_changes_nothing(self, client, about, learnt, reader, paper):
        feedback.say_less(reader.pk, paper.pk, now=NOON)
        for page in (about, learnt):
            for query in ("", "?do=more:1", "?do=reset&sure=yes", f"?do=forget:{paper.pk}"):
                assert client.get(page + query).status_code == 200
                client.head(page + query)

        assert list(Feedback.objects.values_list("opinion", "at")) == [("less", NOON)]
        assert not Mute.objects.exists()
        assert not ReaderModel.objects.exists()

    def test_each_opinion_is_kept_shown_and_undone(self, client, about, paper):
        for do, opinion in (("more", "more"), ("less", "less")):
            text = press(client, about, f"{do}:{paper.pk}")
            assert Feedback.objects.get().opinion == opinion
            assert f'value="back:{paper.pk}" aria-pressed="true"' in text
        undo(client, about, text)
        assert Feedback.objects.get().opinion == "more"
        press(client, about, f"back:{paper.pk}")
        assert not Feedback.objects.exists()

    def test_a_paper_is_saved_beside_an_opinion(self, client, about, paper):
        press(client, about, f"less:{paper.pk}")
        text = press(client, about, f"save:{paper.pk}")
        row = Feedback.objects.get()
        assert (row.opinion, row.saved_at is not None) == ("less", True)
        undo(client, about, text)
        assert Feedback.objects.get().saved_at is None

    def test_an_opinion_taken_back_leaves_what_is_saved_and_says_so(self, client, about, paper):
        press(client, about, f"more:{paper.pk}")
        press(client, about, f"save:{paper.pk}")

        assert "stays saved, and counts as one that you like" in press(client, about, f"back:{paper.pk}")
        assert [(row.opinion, row.saved_at is not None) for row in Feedback.objects.all()] == [("", True)]

    def test_a_reason_is_muted_and_unmuted(self, client, about, digest):
        text = client.get(about).content.decode()
        offered = re.findall(r'name="filter" value="([^"]+)"', text)
        assert offered == ["Agents", "author:&quot;Ada Lovelace&quot;"]

        text = press(client, about, "mute", filter='author:"Ada Lovelace"')

        assert Mute.objects.get().filter.canonical == 'author:"Ada Lovelace"'
        assert "Of your last 1 paper, 1 would not have come." in text
        text = undo(client, about, text)
        assert not Mute.objects.exists()
        undo(
            client,
            about,
            text.replace("&quot;", '"').replace(
                'value="mute:author:"Ada Lovelace"">', 'value="mute:survey">'
            ),
        )
        assert Mute.objects.get().filter.canonical == "survey"

    def test_a_paper_that_no_topic_finds_says_so(self, client, reader):
        stray = PaperFactory(title="Proofs")
        text = client.get(reverse("paper-and-you", args=[token_of(reader), stray.pk])).content.decode()
        assert "None of your topics finds this paper." in text

    def test_a_merged_paper_is_shown_as_its_original(self, client, reader, paper):
        twin = PaperFactory(canonical=paper)
        page = reverse("paper-and-you", args=[token_of(reader), twin.pk])
        assert "Agents &lt;that&gt; plan" in client.get(page).content.decode()
        press(client, page, f"more:{paper.pk}")
        assert Feedback.objects.get().paper == paper

    @pytest.mark.parametrize("number", [0, 10**30])
    def test_a_paper_that_is_not_there_is_not_found(self, client, reader, number):
        assert client.get(reverse("paper-and-you", args=[token_of(reader), number])).status_code == 404

    @pytest.mark.parametrize(
        "do",
        [
            "",
            "more",
            "more:",
            "more:x",
            "more:9" + "9" * 30,
            "put:1:nonsense",
            "unmute:x",
            "mute",
            "nothing:1",
        ],
    )
    def test_a_button_that_is_no_button_does_nothing(self, client, about, do):
        assert client.post(about, {"do": do}).status_code in (302, 404)
        assert not Feedback.objects.exists()
        assert not Mute.objects.exists()


class TestTokens:
    @pytest.mark.parametrize("name", ["paper-and-you", "learnt"])
    def test_another_reader_touches_only_their_own(self, client, reader, paper, name):
        feedback.say_more(reader.pk, paper.pk, now=NOON)
        made = feedback.mute(reader.pk, "survey", now=NOON)
        other = token_of(SubscriberFactory())
        page = reverse(name, args=[other, paper.pk] if name == "paper-and-you" else [other])

        for do in (f"forget:{paper.pk}", f"back:{paper.pk}", f"unmute:{made.pk}", "reset"):
            client.post(page, {"do": do, "sure": "yes"})

        assert feedback.said_of(reader.pk, paper.pk).opinion == "more"
        assert feedback.mutes([reader.pk]) == {reader.pk: [made.filter_id]}
        assert f"unmute:{made.pk}" not in client.get(reverse("learnt", args=[other])).content.decode()

    @pytest.mark.parametrize("name", ["paper-and-you", "learnt"])
    def test_links_that_do_not_act_say_what_to_do(self, client, reader, paper, name):
        old = tokens.preferences_url(reader.pk, now=timezone.now() - timedelta(days=61))
        expired = re.search(r"/preferences/([^/]+)/", old)[1]
        for token, status in ((expired, 410), ("nonsense", 404), (expired[:-1] + "A", 404)):
            page = reverse(name, args=[token, paper.pk] if name == "paper-and-you" else [token])
            assert client.get(page).status_code == status
            assert client.post(page, {"do": f"more:{paper.pk}"}).status_code == status
        assert not Feedback.objects.exists()

    def test_who_has_left_has_nothing_to_say(self, client, about, reader, paper):
        Subscriber.objects.update(status=Subscriber.Status.UNSUBSCRIBED)
        client.post(about, {"do": f"more:{paper.pk}"})
        assert not Feedback.objects.exists()

    def test_a_form_of_another_site_is_refused(self, about, paper):
        assert Client(enforce_csrf_checks=True).post(about, {"do": f"more:{paper.pk}"}).status_code == 403

    def test_many_requests_are_slowed_down(self, client, about, monkeypatch):
        assert {client.get(about).status_code for _ in range(pages.A_MINUTE + 1)} == {200, 429}


class TestWhatWasLearnt:
    def test_is_empty_at_first(self, client, learnt):
        text = client.get(learnt).content.decode()
        assert "Nothing yet." in text
        assert "Forget everything" not in text
        assert 'content="noindex"' in text

    @pytest.mark.parametrize("word", ["w" * 300, "\u202eagent\u2066 plan", 'an "agent"'])
    def test_a_word_that_nobody_could_read_is_kept_so_that_its_undo_finds_it(self, client, learnt, word):
        text = press(client, learnt, f"forget-word:{word}")
        (kept,) = ReaderModel.objects.get().weights["removed_words"]

        assert kept.isprintable()
        assert len(kept) <= 80
        assert f"Nothing is learnt from “{kept}” any more." in text
        assert "counts again" in undo(client, learnt, text)
        assert ReaderModel.objects.get().weights["removed_words"] == []

    def test_says_that_a_model_was_tried_and_is_not_in_use(self, client, learnt, reader):
        ReaderModel.objects.create(subscriber=reader, weights={}, examples=16, is_better=False, made_at=NOON)

        assert "Tried on 16 opinions, and not in use" in client.get(learnt).content.decode()

    def test_no_word_is_nothing_to_take_out_or_to_put_back(self, client, learnt):
        for do in ("forget-word:", "forget-word: \u202e", "bring-word-back:never"):
            assert 'class="toast"' not in press(client, learnt, do)

    def test_each_piece_is_shown_and_can_be_taken_out(self, client, learnt, reader, paper):
        robots = [PaperFactory(title=f"Robots grasp, part {n}", abstract="A robot.") for n in range(3)]
        for one in robots:
            feedback.say_more(reader.pk, one.pk, now=NOON)
        feedback.say_less(reader.pk, paper.pk, now=NOON)
        feedback.save(reader.pk, paper.pk, now=NOON)
        made = feedback.mute(reader.pk, "survey", now=NOON)
        text = client.get(learnt).content.decode()
        word = re.search(r'value="forget-word:([^"]+)"', text)[1]
        markup = Markup(text)
        assert (markup.refused, markup.unbalanced) == ([], [])
        assert word.lower().startswith("robot")

        for do in (
            f"forget-word:{word}",
            f"forget:{robots[0].pk}",
            f"unsave:{paper.pk}",
            f"unmute:{made.pk}",
        ):
            assert f'value="{do}"' in text
            undo_of = press(client, learnt, do)
            assert f'value="{do}"' not in undo_of
            undo(client, learnt, undo_of)
            text = client.get(learnt).content.decode()
        assert feedback.said_of(reader.pk, robots[0].pk).opinion == "more"
        assert feedback.said_of(reader.pk, paper.pk) == feedback.Said("less", saved=True)
        assert feedback.learnt(reader.pk).removed_words == []

    def test_a_filter_can_be_muted_and_a_wrong_one_is_explained(self, client, learnt, reader):
        response = client.post(learnt, {"do": "mute", "filter": "survey (agent"})
        assert response.status_code == 422
        assert "Column 8" in response.content.decode()
        assert 'value="survey (agent"' in response.content.decode()

        text = press(client, learnt, "mute", filter="survey OR review")
        assert "Papers that match survey OR review no longer come." in text

    def test_everything_is_forgotten_only_where_it_is_meant(self, client, learnt, reader, paper):
        feedback.say_less(reader.pk, paper.pk, now=NOON)
        assert "Tick the box first" in press(client, learnt, "reset")
        assert Feedback.objects.exists()
        assert "Nothing yet." in press(client, learnt, "reset", sure="yes")
        assert not Feedback.objects.exists()

    def test_hostile_words_stay_words(self, client, learnt, reader):
        feedback.forget_word(reader.pk, '<script>alert("x")</script>', now=NOON)
        hostile = PaperFactory(title='"><script>alert(1)</script>' * 3)
        feedback.say_more(reader.pk, hostile.pk, now=NOON)
        text = client.get(learnt).content.decode()
        assert "<script>alert" not in text

    def test_preferences_lead_there(self, client, reader, learnt):
        page = reverse("subscriptions:preferences", args=[token_of(reader)])
        text = client.get(page).content.decode()
        assert re.search(r"/preferences/[^/]+/learnt/", text)
