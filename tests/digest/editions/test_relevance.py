"""How mails say how relevant a paper is, and why it came."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import lxml.html  # type: ignore[import-untyped]
import pytest
from django.urls import resolve

from digest.editions import assemble, cards, compose, feedback, share
from digest.editions.material import Material
from digest.editions.taught import Taught
from digest.models import Card, Digest, Edition, EditionPaper, EditionRelevance, Paper, Shell
from digest.papers.standing import SHOWN
from subscriptions import topics
from subscriptions.models import Subscriber, Topic
from tests import mail
from tests.digest.editions.letters import (
    digest_of,
    edition_of,
    letter,
    reader,
    recipient_of,
    reference,
    same_tree,
    score,
    texts,
    words,
)
from tests.factories import NOON, SubscribedTopicFactory, TopicFactory, listed_paper

pytestmark = pytest.mark.django_db

LINK = re.compile(r"https://paperboy\.example/preferences/[\w-]{32}/paper/(\d+)/")


@pytest.fixture(autouse=True)
def site(settings):
    settings.SITE_URL = "https://paperboy.example"
    settings.DEFAULT_FROM_EMAIL = "Paperboy <papers@paperboy.example>"
    settings.POSTAL_ADDRESS = "Example Institute, 1 Library Lane"


def html(content: bytes) -> str:
    return mail.part(mail.parsed(content), "html")


def text(content: bytes) -> str:
    return mail.part(mail.parsed(content), "plain")


def gutters(content: bytes) -> list[str]:
    found = texts(html(content), '//td[contains(concat(" ", @class, " "), " votes ")]')
    return [gutter.replace("\u00a0", " ") for gutter in found]


def chips(content: bytes) -> list[str]:
    return list(texts(html(content), '//span[@class="chip"]'))


class Scored:
    """An edition with papers of decreasing votes, a reader with one topic, and what it thinks of them."""

    def __init__(self, *probabilities: float | None, reasons: Any = (), **values: Any) -> None:
        self.papers = [
            listed_paper(title=f"On agents {number}", votes=9 - number, abstract="", **values)
            for number in range(len(probabilities))
        ]
        self.edition: Edition = edition_of()
        self.subscriber: Subscriber = reader("agent", language="en")
        self.topic: Topic = self.subscriber.topics.get()
        Topic.objects.filter(pk=self.topic.pk).update(name="Agents")
        scores = {
            paper.pk: (probability, list(reasons))
            for paper, probability in zip(self.papers, probabilities, strict=True)
        }
        score(self.edition, self.topic, scores)

    def digest(self, **section: Any) -> Digest:
        digest = digest_of(self.edition, self.subscriber)
        assert {paper.pk for paper in self.papers} == {*digest.sections[0]["papers"]}
        digest.sections[0] |= {"papers": [paper.pk for paper in self.papers], **section}
        return digest

    def letter(self, **section: Any) -> bytes:
        to = recipient_of(self.edition, self.subscriber)
        content = assemble.Assembler(self.edition).letter(to, self.digest(**section)).content
        mail.check(content, is_list=True)
        return content


class TestPercent:
    def test_stands_in_the_gutter_in_steps_of_five_and_the_votes_among_the_facts(self):
        content = Scored(0.991, 0.83, 0.62).letter()

        assert gutters(content) == ["95 %", "85 %", "60 %"]
        assert re.findall(r"Relevance: (\d+)\s%\n", text(content)) == ["95", "85", "60"]
        facts = texts(html(content), '//p[contains(., " votes")]')
        assert [fact.split(" votes")[0] for fact in facts[-3:]] == ["9", "8", "7"]
        assert "9 votes\n" in text(content)

    def test_is_not_shown_under_one_half_nor_for_posts(self):
        shown = Scored(0.9, 0.4, 0.8)
        Paper.objects.filter(pk=shown.papers[2].pk).update(kind="news")
        content = shown.letter()

        assert gutters(content) == ["90 %", "", ""]
        assert text(content).count("Relevance: ") == 1

    def test_leaves_the_votes_in_the_gutter_where_no_paper_of_the_topic_has_one(self):
        content = Scored(0.4, None).letter()

        assert gutters(content) == ["9 votes", "8 votes"]
        assert "Relevance" not in text(content)
        assert "A percentage" not in html(content)

    def test_is_headed_by_its_band_once(self):
        content = Scored(0.95, 0.87, 0.7, 0.5, 0.2).letter()

        headings = ["Almost surely yours", "Probably", "Perhaps", "Matches the filter"]
        assert list(texts(html(content), '//p[@class="band"]')) == headings
        plain = text(content)
        assert [plain.count(f"\n{heading}\n") for heading in headings] == [1, 1, 1, 1]
        places = [plain.index(f"\n{words}\n") for words in ("Probably", "On agents 2", "Perhaps")]
        assert places == sorted(places)

    def test_is_explained_by_one_sentence_in_the_mails_that_show_one(self):
        content = Scored(0.95, 0.87).letter()

        for part in (" ".join(texts(html(content), "//body")), text(content)):
            said = " ".join(part.split())
            assert said.count("of papers shown at 80 %, about 80 in 100 were judged relevant.") == 1
            assert "Under 50 % none is shown." in said

    def test_is_the_readers_own_where_their_examples_change_it(self):
        shown = Scored(0.95, 0.6)
        first, second = (str(paper.pk) for paper in shown.papers)

        assert gutters(shown.letter(relevance={first: 0.7, second: 0.9})) == ["70 %", "90 %"]
        assert gutters(shown.letter(relevance={first: None, second: 0.9})) == ["", "90 %"]

    def test_makes_the_surest_paper_the_subject(self):
        shown = Scored(0.6, 0.95)
        shown.papers.reverse()

        assert mail.parsed(shown.letter())["Subject"] == "On agents 1, and 1 more"

    @pytest.mark.parametrize("length", Subscriber.Length.values)
    @pytest.mark.parametrize("language", ["en", "zh-hans"])
    def test_is_the_same_as_a_plain_rendering_gives(self, length, language):
        shown = Scored(0.95, 0.9, 0.7, None, 0.3, reasons=[["liked", "On =3D and\u2028.dots"]])
        Subscriber.objects.filter(pk=shown.subscriber.pk).update(length=length, language=language)
        shown.subscriber.refresh_from_db()
        to, digest = recipient_of(shown.edition, shown.subscriber), shown.digest()

        content = assemble.Assembler(shown.edition).letter(to, digest).content

        read, expected = mail.check(content, is_list=True), reference(shown.edition, to, digest)
        assert same_tree(mail.part(read, "html")) == same_tree(mail.part(expected, "html"))
        assert words(mail.part(read, "plain")) == words(mail.part(expected, "plain"))


class TestReasons:
    def test_of_the_filter_and_of_the_score_stand_together_each_once(self):
        reasons = [
            ["title", "Agents"],
            ["abstract", "tool use"],
            ["liked", "EnvHarness: Awakening Static Worlds"],
            ["about", "agents"],
            ["about", "memory"],
            ["about", "planning"],
        ]
        content = Scored(0.9, reasons=reasons).letter()

        expected = [
            "agents in title",
            "tool use in abstract",
            "similar to “EnvHarness: Awakening Static Worlds”",
            "about memory, planning",
            "topic Agents",
            "first of 1 that day",
        ]
        assert chips(content) == expected
        assert f"Why: {'; '.join(expected)}\n" in text(content)

    def test_of_a_filter_alone_say_so_without_a_figure(self):
        listed_paper(title="On agents", abstract="")
        listed_paper(title="On lions", abstract="", votes=1)
        content = letter(edition_of(), reader("agent OR kind:paper"))

        assert chips(content)[:2] == ["agents in title", "matches your filter"]
        assert chips(content)[-1:] == ["matches your filter"]
        assert "%" not in text(content)

    def test_of_a_single_liked_paper_are_without_a_figure(self):
        shown = Scored(None)
        EditionRelevance.objects.all().delete()
        Topic.objects.update(keywords=[])
        (paper,) = shown.papers

        content = shown.letter(why={str(paper.pk): [["liked", "EnvHarness"]]})

        assert "similar to “EnvHarness”" in chips(content)
        assert "%" not in text(content)

    def test_that_are_the_readers_own_take_the_place_of_the_topics(self):
        shown = Scored(0.9, reasons=[["about", "memory"]])
        own = {str(shown.papers[0].pk): [["about", "planning"]]}

        assert "about planning" in chips(shown.letter(why=own))
        assert "about memory" not in chips(shown.letter(why=own))
        assert "about memory" in chips(shown.letter())

    def test_lead_to_where_each_paper_of_the_reader_is_changed(self):
        shown = Scored(0.9, 0.8, 0.7, 0.6)
        content = shown.letter()

        ids = [str(paper.pk) for paper in shown.papers]
        document = lxml.html.document_fromstring(html(content))
        links = [chip.getparent().get("href") for chip in document.find_class("chip")]
        assert list(dict.fromkeys(LINK.fullmatch(link)[1] for link in links)) == ids
        assert LINK.findall(text(content)) == ids
        assert resolve(urlsplit(links[0]).path).url_name == "paper-and-you"

    def test_stay_as_words_on_a_page_without_a_reader(self):
        shown = Scored(0.9, reasons=[["about", "memory"]])
        page = assemble.Assembler(shown.edition).page(shown.digest())

        assert texts(page, '//p/span[@class="chip"]')[:2] == ["agents in title", "about memory"]
        assert not re.search("about:blank|/preferences/|>More or less like this<", page)
        assert "90\u00a0%" in page

    def test_name_who_is_at_the_top_of_their_field_this_week(self):
        shown = Scored(0.9, 0.8)
        EditionPaper.objects.filter(paper=shown.papers[0]).update(top_percent=SHOWN[1])
        content = shown.letter()

        for part in (" ".join(texts(html(content), "//body")), text(content)):
            assert " ".join(part.split()).count("top 5 % this week") == 1

    def test_a_paper_is_not_called_similar_to_itself(self):
        shown = Scored(0.9, 0.8)
        liked = str(shown.papers[0].pk), str(shown.papers[1].pk)
        content = shown.letter(why={pk: [["liked", "On agents 0"]] for pk in liked})

        assert [one for one in chips(content) if "like" in one or "similar" in one] == [
            "you liked it",
            "similar to “On agents 0”",
        ]


class TestATopicWithoutPapers:
    """Says which of the reader's own rules left out what its filter found."""

    def said(self, shown: Scored) -> str:
        material = Material.of(shown.edition)
        followed = compose.topics_of([shown.subscriber.pk])[shown.subscriber.pk]
        taught = Taught.by([shown.subscriber.pk])
        material.evaluate({row.topic.filter_id for row in followed} | taught.muted_filters)
        material.relevance.bring([shown.topic], material.found)
        digest = share.gather(material, shown.subscriber, followed, received=(), taught=taught)
        to = recipient_of(shown.edition, shown.subscriber)
        return " ".join(text(assemble.Assembler(shown.edition).letter(to, digest).content).split())

    def test_the_threshold(self):
        shown = Scored(0.6, 0.4)
        shown.topic.refresh_from_db()
        shown.subscriber.subscribed_topics.update(min_relevance=70)

        said = self.said(shown)

        assert "2 papers matched, all below your 70 %." in said
        assert "your limits" not in said

    def test_what_they_never_want(self):
        shown = Scored(0.9)
        feedback.mute(shown.subscriber.pk, "agents", now=NOON)

        assert "1 matched that you never want to see." in self.said(shown)


class TestTheSubject:
    def test_is_no_paper_of_a_scored_topic_that_is_hardly_relevant(self):
        other = listed_paper(title="Robots that walk", votes=1, abstract="")
        shown = Scored(0.3)
        robots = TopicFactory(name="Robots", filter=topics.filter_revision("robots", now=NOON))
        SubscribedTopicFactory(subscriber=shown.subscriber, topic=robots, position=9)
        score(shown.edition, robots, {other.pk: (0.6, [])})
        digest = digest_of(shown.edition, shown.subscriber)
        to = recipient_of(shown.edition, shown.subscriber)

        content = assemble.Assembler(shown.edition).letter(to, digest).content

        assert mail.parsed(content)["Subject"].startswith("Robots that walk")


class TestWork:
    def test_relevance_is_looked_up_once_for_a_group(self, django_assert_num_queries):
        shown = Scored(0.9, 0.8)
        assembler = assemble.Assembler(shown.edition)
        to, digest = recipient_of(shown.edition, shown.subscriber), shown.digest()
        first = assembler.letter(to, digest)

        with django_assert_num_queries(0):
            assert assembler.letter(to, digest) == first

    def test_a_wish_in_a_sentence_counts_as_one_in_keywords(self):
        shown = Scored(0.9)
        Topic.objects.update(
            keywords=[], description="How agents use tools", owner=shown.subscriber, slug=None
        )

        assert gutters(shown.letter()) == ["90 %"]

    def test_no_more_scores_are_kept_than_memory_allows(self, monkeypatch):
        monkeypatch.setattr(assemble, "SCORES_KEPT", 1)
        shown = Scored(0.9, 0.8)
        other = reader("on agents")
        score(shown.edition, other.topics.get(), {shown.papers[0].pk: (0.6, [])})
        assembler = assemble.Assembler(shown.edition)

        def made(subscriber: Subscriber) -> bytes:
            to, digest = recipient_of(shown.edition, subscriber), digest_of(shown.edition, subscriber)
            return assembler.letter(to, digest).content

        before = made(shown.subscriber)
        assert "60 %" in gutters(made(other))
        assert made(shown.subscriber) == before


class TestOlderEditions:
    """Mails of an edition whose shell was stored before there was relevance stay as they were."""

    def stored(self, pieces: Mapping[str, str]) -> dict[str, str]:
        new = (*cards.GUTTERS, "counted", "counted_brief", "band", "band_first", "meaning", "chip_open")
        new += ("block_five", "block_ten")
        kept = {name: piece for name, piece in pieces.items() if name not in (*new, "chip_close")}
        opening = cards.in_html('<p class="why"><b>Why</b>').decode()
        closing = cards.in_html("</p>").decode()
        if "why_open" in kept:
            kept |= dict.fromkeys(("why_open", "why_open_brief"), opening) | {"why_close": closing}
        return kept

    def test_with_votes_in_the_gutter_even_of_papers_that_came_later(self):
        shown = Scored(0.9, 0.8)
        shown.letter()
        shell = Shell.objects.get()
        shell.pieces = {
            **shell.pieces,
            **{part: self.stored(shell.pieces[part]) for part in ("html", "text")},
        }
        shell.save()
        Card.objects.all().delete()

        content = shown.letter()

        assert gutters(content) == ["9 votes", "8 votes"]
        assert not LINK.search(html(content) + text(content))
        assert "Why: agents in title; matches your filter; first of 2 that day\n" in text(content)
        assert "%" not in text(content)
