"""The letters: the same as a plain rendering would give, within the contract, and in the right words."""

from datetime import timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from digest.editions import assemble, cards, compose, digests
from digest.models import Batch, Digest, Edition, EditionPaper, Shell, Source
from digest.papers import ingest
from digest.sources import huggingface
from subscriptions.models import SubscribedTopic, Subscriber, Topic
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
from tests.factories import (
    DAY,
    MORNING_AFTER,
    BatchFactory,
    PaperFactory,
    SightingFactory,
    SourceFactory,
    SubscriberFactory,
    TopicFactory,
    listed_paper,
)

pytestmark = pytest.mark.django_db

ODD = [
    "Agents 🦉 with $E=mc^2$ and \\alpha",
    "=3D equals = soft =\n.",
    ".dot at the start of agents",
    "From agents to tools",
    "סוכנים לומדים agents",
    "智能体 agents：后训练",
    "agents " + "x" * 300,
    "<script>alert('agents')</script> & \"quotes\" <!-- x -->",
    "agents\u2028separator\u00a0blank",
    "{{ why }} {% include 'x' %} agents",
    "Agent's “best” – paper…  ",
]
# No U+FFFD going in: coming out it means that something was broken.
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00\ufffd")
titles = st.one_of(
    st.sampled_from(ODD),
    st.text(characters, min_size=1, max_size=120).map(lambda text: f"agents {text}"),
)
names = st.text(characters, max_size=30)


@pytest.fixture(autouse=True)
def site(settings):
    settings.SITE_URL = "https://paperboy.example"
    settings.DEFAULT_FROM_EMAIL = "Paperboy <papers@paperboy.example>"
    settings.POSTAL_ADDRESS = "Example Institute, 1 Library Lane"


def html(content: bytes) -> str:
    return mail.part(mail.parsed(content), "html")


def text(content: bytes) -> str:
    return mail.part(mail.parsed(content), "plain")


class TestSameAsAPlainRendering:
    @settings(
        max_examples=15,
        deadline=None,
        phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes here
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(
        papers=st.lists(
            st.tuples(titles, st.lists(names, max_size=6), names, st.none() | st.integers(0, 500)),
            min_size=1,
            max_size=7,
        ),
        length=st.sampled_from(Subscriber.Length.values),
        welcome=st.booleans(),
        names_of_topics=st.lists(names.filter(str.strip), min_size=2, max_size=2),
        probabilities=st.lists(st.none() | st.floats(0, 1), min_size=7, max_size=7),
        similar=titles,
        local=st.from_regex(r"[a-z'+=]{1,20}(\.[a-z]{1,20})?", fullmatch=True),
    )
    def test_both_parts_and_the_subject(
        self, papers, length, welcome, names_of_topics, probabilities, similar, local
    ):
        with transaction.atomic():  # each example starts with an empty day
            for title, authors, organization, votes in papers:
                listed_paper(
                    title=title,
                    authors=authors,
                    organization=organization,
                    votes=votes,
                    abstract=f"{title}. We do things. ",
                    summary=organization,
                    summary_source="A machine" if organization else "",
                    code_url="https://code.example/?a=1&b=%20" if votes else "",
                )
            subscriber = reader("agent", "zebra", "tool", email=f"{local}@lab.example", length=length)
            first, *_ = topics = subscriber.topics.order_by("pk")
            for topic, name in zip(topics, names_of_topics, strict=False):
                Topic.objects.filter(pk=topic.pk).update(name=name)
            edition = edition_of()
            members = edition.edition_papers.values_list("paper_id", flat=True)
            reasons = [["liked", similar], ["title", "agents"], ["about", "tools"]]
            scores = {pk: (one, reasons) for pk, one in zip(members, probabilities, strict=False)}
            score(edition, first, scores)
            digest, to = digest_of(edition, subscriber, is_welcome=welcome), recipient_of(edition, subscriber)

            content = assemble.Assembler(edition).letter(to, digest).content

            read, expected = mail.check(content, is_list=True), reference(edition, to, digest)
            transaction.set_rollback(True)
        assert " ".join(read["Subject"].split()) == expected["Subject"]
        assert same_tree(mail.part(read, "html")) == same_tree(mail.part(expected, "html"))
        assert words(mail.part(read, "plain")) == words(mail.part(expected, "plain"))


class TestContent:
    def test_says_everything_about_a_paper_in_both_parts(self):
        listed_paper(
            title="On agents",
            authors=["Ada Lovelace", "Émilie du Châtelet", "C", "D", "E"],
            organization="Analytical Engines",
            categories=["cs.LG", "cs.AI"],
            votes=12,
            stars=3,
            code_url="https://github.com/ada/engine",
            abstract="We study how agents use tools in the world. More follows.",
        )
        content = letter(edition_of(), reader("agent"))

        for part in (" ".join(texts(html(content), "//body")), " ".join(text(content).split())):
            for words_ in (
                "On agents",
                "Ada Lovelace, Émilie du Châtelet, C and 2 more, Analytical Engines",
                "cs.LG Machine Learning, cs.AI",
                "12 votes",
                "Code",
                "We study how agents use tools in the world.",
                "agents in title",
            ):
                assert words_ in part, words_
        for part in (html(content), text(content)):
            for link in (
                "/paper/2608.",
                "arxiv.org/abs/2608.",
                "arxiv.org/pdf/2608.",
                "github.com/ada/engine",
            ):
                assert link in part

    def test_both_parts_hold_the_same_titles_links_and_reasons_in_one_order(self):
        for number in range(9):
            listed_paper(title=f"On agents and tools, part {number}", votes=number * 7)
        content = letter(edition_of(), reader("agent", "tool", "zebra"))

        headings = texts(html(content), "//h3")
        assert len(headings) == 9
        plain = text(content)
        places = [plain.index(f"\n{title}\n") for title in headings]
        assert places == sorted(places)
        reasons = [
            " ".join(why.removeprefix("Why").removesuffix("More or less like this").split())
            for why in texts(html(content), '//p[starts-with(., "Why")]')
        ]
        in_text = [line.removeprefix("Why: ") for line in plain.split("\n") if line.startswith("Why: ")]
        assert [reason.replace(";", "") for reason in in_text] == reasons
        for section in texts(html(content), "//h2"):
            assert section in plain

    def test_each_paper_has_its_reason_and_the_first_says_so(self):
        listed_paper(title="On agents", votes=50, abstract="")
        listed_paper(title="More agents and tools", votes=40, abstract="")
        plain = text(letter(edition_of(), reader("agent", "tool")))

        assert "Why: agents in title; matches your filter; first of 2 that day" in plain
        assert "Why: agents in title; matches your filter; also in tool" in plain

    def test_nobody_is_first_among_papers_without_votes(self):
        listed_paper(title="On agents", votes=None, comments=None, abstract="")
        listed_paper(title="More agents", votes=None, comments=None, abstract="")
        plain = text(letter(edition_of(), reader("agent")))

        assert "Why: agents in title" in plain
        assert "first of" not in plain

    def test_names_catalogue_topics_in_the_readers_language_with_a_link(self):
        listed_paper(title="On agents")
        subscriber = reader("agent", language="zh-hans")
        Topic.objects.filter(subscribed__subscriber=subscriber).update(
            names={"zh-hans": "智能体"}, slug="agent-topic"
        )
        content = letter(edition_of(), subscriber)

        assert 'lang="zh-Hans"' in html(content)
        assert texts(html(content), "//h2/a") == ["智能体"]
        assert "https://paperboy.example/topics/agent-topic/" in html(content)

    def test_only_a_paper_that_stands_out_leads(self):
        listed_paper(title="First agents", votes=30)
        second = listed_paper(title="Second agents", votes=20)
        assert len(texts(html(letter(edition_of(), reader("agent"))), '//h3[@class="lead"]')) == 1

        Edition.objects.all().delete()
        second.sightings.update(votes=21)
        type(second).objects.filter(pk=second.pk).update(votes=21)
        assert texts(html(letter(edition_of(), reader("agent"))), '//h3[@class="lead"]') == []

    def test_papers_after_the_third_of_a_section_are_briefs_unless_abstracts_are_wanted(self):
        for number in range(5):
            listed_paper(title=f"On agents {number}")
        edition = edition_of()

        def briefs(length: str) -> int:
            return len(texts(html(letter(edition, reader("agent", length=length))), '//h3[@class="brief"]'))

        assert [briefs(length) for length in ("one_line", "abstract", "titles")] == [2, 0, 5]

    def test_a_topic_without_papers_says_why(self):
        listed_paper(title="On agents")
        edition = edition_of()

        assert "None of the 1 papers" not in text(letter(edition, reader("agent", "zebra")))
        assert "The one paper did not match." in text(letter(edition, reader("agent", "zebra")))
        several = text(letter(edition, reader("agent", "zebra", "lion", "on agents")))
        assert "The one paper did not match zebra or lion." in several
        assert "on agents: 1 paper matched and stands under another topic." in several

    def test_a_welcome_digest_says_so(self):
        listed_paper(title="On agents")
        content = letter(edition_of(), reader("agent"), is_welcome=True)

        for part in (html(content), text(content)):
            assert "Welcome. This is the latest edition" in part

    def test_top_papers_come_under_a_heading_of_their_own(self):
        for number in range(3):
            listed_paper(title=f"Paper {number}", votes=number + 20)
        subscriber = reader("zebra", top_papers_if_none=True)
        content = letter(edition_of(), subscriber)

        assert texts(html(content), "//h1") == ["3 top papers"]
        assert "Top papers of the day" in texts(html(content), "//h2")
        assert "Why: number 2 of 3 that day" in text(content)

    def test_limits_are_named(self):
        for number in range(5):
            listed_paper(title=f"On agents {number}")
        content = letter(edition_of(), reader("agent", max_papers=2))

        assert texts(html(content), "//h1") == ["2 papers for you"]
        for part in (html(content), text(content)):
            assert "; 5 matched, 2 shown, 3 over your limits. Votes as of" in " ".join(part.split())

    def test_a_readers_own_topic_that_is_gone_is_named_by_its_filter(self):
        listed_paper(title="On agents")
        subscriber = reader("agent")
        edition = edition_of()
        digest = digest_of(edition, subscriber)
        subscriber.topics.all().delete()

        content = assemble.Assembler(edition).letter(recipient_of(edition, subscriber), digest).content

        assert texts(html(content), "//h2") == ["agent"]


class TestAccount:
    """The line below the headline: the edition's numbers, then the reader's."""

    def said(self, content: bytes) -> str:
        lines = text(content).split("\n")
        return lines[lines.index(next(line for line in lines if "announced" in line))]

    def test_says_what_was_announced_matched_and_shown(self):
        for number in range(3):
            listed_paper(title=f"On agents {number}")
        listed_paper(title="Zebras", abstract="")
        Batch.objects.update(declared=4, settled_at=MORNING_AFTER)
        content = letter(edition_of(), reader("agent"))

        expected = "4 announced on Hugging Face on 20 August, all scanned; 3 matched, 3 shown."
        assert self.said(content).startswith(expected)
        assert any(expected in line for line in texts(html(content), "//p"))
        assert "Complete. Hugging Face Daily Papers: all 4 entries read by" in text(content)

    def test_says_what_was_not_read(self):
        listed_paper(title="On agents")
        arxiv = Source.objects.get(slug="arxiv")
        Batch.objects.update(declared=1, settled_at=MORNING_AFTER)
        Batch.objects.create(source=arxiv, category="cs.LG", listing_day=DAY)

        content = letter(edition_of(), reader("agent"))

        assert "on 20 August; cs.LG was not read; 1 matched, 1 shown." in self.said(content)
        assert "Not complete. Hugging Face Daily Papers: the one entry" in text(content)

    def test_counts_a_revision_apart(self):
        listed_paper(title="On agents")
        listed_paper(title="More agents")
        edition = edition_of()
        EditionPaper.objects.filter(paper__title="More agents").update(announced="updated", version=2)

        content = letter(edition, reader("agent", wants_updates=True))

        assert "; 1 matched, 1 shown. Also one revised version." in self.said(content)
        assert "Why: agents in title; matches your filter; first of 1 that day" in text(content)
        assert "number 2" not in text(content)

    def test_says_when_nothing_matched(self):
        listed_paper(title="On tools", abstract="")

        content = letter(edition_of(), reader("agent", top_papers_if_none=True))

        assert "; none matched." in self.said(content)

    def test_an_empty_topic_does_not_speak_of_revisions_that_nobody_asked_for(self):
        listed_paper(title="On agents")
        listed_paper(title="Zebras", abstract="")
        edition = edition_of()
        EditionPaper.objects.filter(paper__title="Zebras").update(announced="updated", version=2)

        plain = text(letter(edition, reader("agent", "zebra")))

        assert "The one paper did not match." in plain
        assert "Zebras" not in plain

    def test_of_a_week_adds_up_the_days(self):
        listed_paper(title="On agents", day=DAY)
        listed_paper(title="More agents", day=DAY - timedelta(days=1))
        Batch.objects.update(declared=1, settled_at=MORNING_AFTER)

        content = letter(edition_of(kind="weekly"), reader("agent", frequency="weekly"))

        assert self.said(content).startswith("2 announced on Hugging Face in the week from 17 August; ")
        assert "not every list of 21 August was read; 2 matched, 2 shown." in self.said(content)


class TestLabels:
    def test_stand_after_the_title_in_html_and_below_it_in_text(self):
        listed_paper(title="On agents")
        edition = edition_of()
        EditionPaper.objects.update(announced="updated", version=3)
        content = letter(edition, reader("agent", wants_updates=True))

        assert texts(html(content), '//h3/span[contains(@class, "label")]') == ["Updated v3"]
        assert "\nOn agents\n[Updated v3]\n" in text(content)
        assert mail.parsed(content)["Subject"] == "On agents"

    def test_posts_are_named_counted_and_lead_to_the_original(self):
        listed_paper(title="On agents", votes=12)
        blog = SourceFactory(slug="openai-news", name="OpenAI News", kind="feed", gives="news")
        post = PaperFactory(
            title="Agents for all",
            kind="news",
            arxiv_id=None,
            key="url:https://openai.com/agents",
            url="https://openai.com/agents",
            authors=[],
            votes=None,
            comments=None,
        )
        SightingFactory(paper=post, batch=BatchFactory(source=blog, listing_day=DAY), url=post.url)
        content = letter(edition_of(), reader("agent"))

        mail.check(content, is_list=True)
        assert texts(html(content), "//h1") == ["1 paper and 1 post for you"]
        assert "1 paper, 1 post" in texts(html(content), "//td[contains(@class, 'count')]")
        card = text(content).partition("\nAgents for all\n")[2]
        assert card.startswith("[News]\nOpenAI News, 20 Aug\n")
        assert "Original: https://openai.com/agents\n" in card
        assert "arxiv.org" not in card
        assert mail.spam_score(content) < 1.0

    def test_both_parts_say_the_same_of_labels_facts_and_discussions(self):
        paper = listed_paper(
            title="On agents",
            venue="ICML 2026",
            citations=7,
            affiliations=["MIT", "ETH Zürich", "Third"],
            primary_category="cs.CL",
            summary="A line.",
            summary_source="Hugging Face",
        )
        blog = SourceFactory(slug="openai-news", name="OpenAI News", kind="feed", gives="news")
        SightingFactory(
            paper=paper,
            batch=BatchFactory(source=blog, listing_day=DAY),
            announce_type="discussed",
            is_listing=False,
            url="https://openai.com/agents",
        )
        edition = edition_of()
        EditionPaper.objects.update(announced="cross", gained=12)
        content = letter(edition, reader("agent"))

        for part in (" ".join(texts(html(content), "//body")), " ".join(text(content).split())):
            for words_ in (
                "Cross-listed",
                "MIT, ETH Zürich",
                "cs.CL Computation and Language",
                "Accepted at ICML 2026",
                "7 citations",
                "+12 votes in a day",
                "(AI text: Hugging Face)",
                "Discussed at OpenAI News",
            ):
                assert words_ in part, words_
        assert 'href="https://openai.com/agents"' in html(content)
        assert "https://openai.com/agents" in text(content)


class TestSubject:
    @pytest.mark.parametrize(
        ("found", "subject"),
        [
            (["EnvHarness: on agents"], "EnvHarness: on agents"),
            (["EnvHarness: on agents", "agents"], "EnvHarness: on agents, and 1 more"),
            (
                ["A very long title on agents that goes on and on until nobody reads it any more", "agents"],
                "A very long title on agents that goes on and on until…, and 1 more",
            ),
        ],
    )
    def test_names_the_best_paper_and_counts_the_rest(self, found, subject):
        for number, title in enumerate(found):
            listed_paper(title=title, votes=90 - number)

        assert mail.parsed(letter(edition_of(), reader("agent")))["Subject"] == subject

    def test_of_a_week_counts_first(self):
        listed_paper(title="EnvHarness: on agents", votes=90)
        listed_paper(title="More agents", votes=9)
        content = letter(edition_of(kind="weekly"), reader("agent", frequency="weekly"))

        assert mail.parsed(content)["Subject"] == "Your week: 2 papers, EnvHarness first"
        assert texts(html(content), "//h1") == ["Your week: 2 papers"]
        assert "17 August to 23 August 2026" in text(content)

    def test_the_preheader_counts_topics_and_says_why_the_first_is_first(self):
        listed_paper(title="On agents", votes=163, abstract="")
        listed_paper(title="Tools", votes=1, abstract="")
        (preheader, *_) = texts(html(letter(edition_of(), reader("agent", "tool"))), "//body/div")

        assert preheader.startswith("agent 1, tool 1. Top: agents in title (163 votes).")


class TestHeaders:
    def test_come_from_the_row(self):
        listed_paper(title="On agents")
        subscriber = reader("agent")
        edition = edition_of()
        to = recipient_of(edition, subscriber)

        made = assemble.Assembler(edition).letter(to, digest_of(edition, subscriber))

        read = mail.check(made.content, is_list=True)
        assert read["Message-ID"] == f"<{to.delivery_id:x}.digest@paperboy.example>"
        assert read["Date"].datetime == to.dated_at
        assert read["List-Id"] == "Paperboy daily papers <daily.paperboy.example>"
        assert subscriber.unsubscribe_key in read["List-Unsubscribe"]
        assert str(edition.mailing_id) in read["Feedback-ID"]
        assert (made.to, made.delivery_id) == (subscriber.email, to.delivery_id)
        assert made.envelope_from.endswith("@paperboy.example")

    def test_an_address_with_a_line_break_brings_no_header(self):
        listed_paper(title="On agents")
        subscriber = reader("agent")
        edition = edition_of()
        to = recipient_of(edition, subscriber, email="a@lab.example\r\nBcc: all@lab.example")

        content = assemble.Assembler(edition).letter(to, digest_of(edition, subscriber)).content

        assert mail.parsed(content)["Bcc"] is None


class TestGroups:
    def test_one_letter_for_each_recipient_in_order_with_few_queries(self, django_assert_max_num_queries):
        for number in range(6):
            listed_paper(title=f"On agents {number}")
        readers = [reader("agent") for _ in range(8)]
        edition = edition_of()
        compose.compose(edition, now=MORNING_AFTER)
        recipients = [recipient_of(edition, one) for one in reversed(readers)]
        assembler = assemble.Assembler(Edition.objects.get(pk=edition.pk))

        with django_assert_max_num_queries(7):
            letters = assembler(recipients)
        with django_assert_max_num_queries(1):
            again = assembler(recipients)

        assert [one.to for one in letters] == [one.email for one in reversed(readers)]
        assert letters == again

    def test_a_sent_mail_is_made_again_exactly_although_the_paper_has_changed(self):
        paper = listed_paper(title="On agents", votes=12)
        subscriber = reader("agent")
        edition = edition_of()
        compose.compose(edition, now=MORNING_AFTER)
        to = recipient_of(edition, subscriber)
        (before,) = assemble.Assembler(edition)([to])

        type(paper).objects.filter(pk=paper.pk).update(title="Another", votes=99, abstract="Else.")
        (after,) = assemble.Assembler(Edition.objects.get(pk=edition.pk))([to])

        assert after == before

    def test_a_shell_that_was_stored_before_accounts_were_still_makes_its_mail(self):
        listed_paper(title="On agents")
        subscriber = reader("agent")
        edition = edition_of()
        letter(edition, subscriber)
        shell = Shell.objects.get()
        shell.pieces["facts"] = {"total": 1, "lines": ["Out of 1 on this day’s list."]}
        for part in ("html", "text"):
            shell.pieces[part]["bottom"] = f"{cards.SLOT}note\r\n{shell.pieces[part]['bottom']}"
        shell.save()

        content = letter(edition, subscriber)

        assert "\n1 paper for you\nOut of 1 on this day’s list.\n" in text(content)
        assert "Out of 1 on this day’s list." in html(content)

    def test_a_recipient_without_a_digest_is_an_error(self):
        listed_paper(title="On agents")
        edition = edition_of()

        with pytest.raises(LookupError, match="No digest is stored"):
            assemble.Assembler(edition)([recipient_of(edition, SubscriberFactory())])

    def test_papers_of_an_undelivered_digest_keep_their_reasons(self):
        old = listed_paper(title="Old agents", day=DAY - timedelta(days=4))
        subscriber = reader("agent", frequency="daily")
        earlier = edition_of(DAY - timedelta(days=4))
        compose.compose(earlier, now=MORNING_AFTER - timedelta(days=4))
        listed_paper(title="New agents")
        edition = edition_of()
        compose.compose(edition, now=MORNING_AFTER)
        stored = Digest.objects.get(pk=(edition.mailing_id << 32) + subscriber.pk)
        assert old.pk in digests.papers_of(stored)

        (made,) = assemble.Assembler(edition)([recipient_of(edition, subscriber)])

        plain = text(made.content)
        assert "; 1 matched, 1 shown. Also one from an earlier mail that was not sent." in plain
        assert plain.count("Why: agents in title") == 2
        assert plain.count("first of 1 that day") == 1


class TestSize:
    def test_stories_become_briefs_from_the_end_when_a_mail_grows_too_large(self):
        for number in range(40):
            listed_paper(title=f"On agents {number}", abstract="Agents do things. " * 110)
        content = letter(edition_of(), reader("agent", max_papers=40, length="abstract"))

        mail.check(content, is_list=True)
        headings = texts(html(content), "//h3")
        briefs = texts(html(content), '//h3[@class="brief"]')
        assert 0 < len(briefs) < len(headings) == 40
        assert headings[-len(briefs) :] == briefs
        assert all(f"\n{title}\n" in text(content) for title in headings)

    def test_then_papers_are_left_to_the_web_page(self):
        for number in range(90):
            listed_paper(title=f"On agents {number} {'and tools ' * 30}")
        content = letter(edition_of(), reader("agent", max_papers=100))

        mail.check(content, is_list=True)
        shown = len(texts(html(content), "//h3"))
        assert shown < 90
        for part in (html(content), text(content)):
            assert f"{90 - shown} more on the web page." in part
            assert "90 papers for you" in part

    @pytest.mark.parametrize(("count", "most"), [(3, 7), (7, 7), (13, 19), (19, 19), (40, 76), (99, 100)])
    def test_a_bar_is_as_long_as_its_count_and_short_in_bytes(self, count, most):
        blocks = assemble.bar(count, most)
        unit = sum(cards.BLOCKS[assemble.bar(1, most)[0]])

        assert sum(sum(cards.BLOCKS[name]) for name in blocks) == count * unit
        assert len(blocks) <= 18
        assert count * unit <= 100

    def test_the_longest_labels_facts_and_links_stay_within_the_size(self):
        long = "Institute of everything that is known " * 20
        for number in range(60):
            listed_paper(
                title=f"On agents {number} {'and tools ' * 30}",
                affiliations=[long, long, long],
                venue=long[:200],
                citations=10**6,
                abstract="Agents do things. " * 200,
            )
        edition = edition_of()
        EditionPaper.objects.update(announced="cross", gained=10**6)

        for length in Subscriber.Length.values:
            content = letter(edition, reader("agent", max_papers=100, length=length))
            mail.check(content, is_list=True)
            assert len(text(content).encode()) < assemble.HTML_MAX_BYTES


@pytest.mark.shared_data
class TestRealPapers:
    @pytest.fixture
    def recorded(self, shared_data_dir):
        for day in (DAY - timedelta(days=1), DAY):
            body = (shared_data_dir / "hf_daily_papers" / f"{day}.json").read_bytes()
            ingest.ingest(
                huggingface.parse(body, day),
                source=Source.objects.get(slug="huggingface"),
                listing_day=day,
                now=MORNING_AFTER,
            )

    @pytest.mark.usefixtures("recorded")
    def test_keep_the_contract_and_are_no_spam(self):
        content = letter(edition_of(), reader("agent", "reasoning", "video", "zebra"))

        read = mail.check(content, is_list=True)
        assert mail.spam_score(content) < 1.0
        assert len(texts(mail.part(read, "html"), "//h3")) > 3

    @pytest.mark.usefixtures("recorded")
    def test_twenty_stay_far_below_the_size_at_which_mails_are_cut(self):
        topics = ("agent", "model", "video", "image", "learning", "data", "kind:paper")
        edition, subscriber = edition_of(kind="weekly"), reader(*topics, frequency="weekly")
        EditionPaper.objects.update(top_percent=25)
        reasons = [["abstract", "tool use"], ["liked", "A title " * 20], ["about", "memory"]]
        members = edition.edition_papers.values_list("paper_id", flat=True)
        for topic in subscriber.topics.all():
            score(edition, topic, {pk: (0.6 + pk % 4 / 10, reasons) for pk in members})
        content = letter(edition, subscriber)

        headings = texts(html(content), "//h3")
        assert len(headings) == 20
        assert len(texts(html(content), '//h3[@class="brief"]')) < 12
        assert len(html(content).encode()) < 74_000


def test_a_catalogue_topic_and_a_spam_check_need_no_recorded_data():
    for number, title in enumerate(("Agents that use tools", "Tools for agents", "A survey of agents")):
        listed_paper(title=title, votes=30 - number)
    topic = TopicFactory(name="Agents", slug="agents-topic", filter=reader("agent").topics.get().filter)
    subscriber = SubscriberFactory()
    SubscribedTopic.objects.create(subscriber=subscriber, topic=topic)
    edition = edition_of()
    cards.build(edition, languages_lengths=[("en", "one_line")])

    assert mail.spam_score(letter(edition, subscriber)) < 1.0
