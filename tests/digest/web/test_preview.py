import re
from datetime import timedelta
from html import unescape
from urllib.parse import quote

import pytest
from django.core.cache import cache

from digest.matching import recent
from digest.web import preview
from tests.factories import DAY, NOON, PaperFactory, SightingFactory, listed_paper

pytestmark = pytest.mark.django_db

FRAGMENT = {"HX-Request": "true"}


def pane(client, query: str) -> str:
    response = client.get(f"/preview/?{query}", headers=FRAGMENT)
    assert response.status_code == 200
    return response.content.decode()


@pytest.fixture(autouse=True)
def _no_counts_of_other_tests():
    cache.clear()


class TestPane:
    def test_shows_subject_count_and_why_for_topics_and_a_filter(self, client):
        listed_paper(title="Agents in a harness", abstract="Nothing else.", votes=40)
        listed_paper(title="Agents alone", abstract="Nothing else.", votes=5)
        listed_paper(title="Weather", abstract="Rain.", votes=90)

        html = pane(client, "topic=agents&filter=harness")

        assert "2 of 3 papers" in html
        assert "<b>Agents in a harness, and 1 more</b>" in html
        assert "<b>Agents</b>, your filter" in html
        assert "<mark>Agents</mark> and <mark>harness</mark> in title" in html
        assert "2 in 1 days" in html
        assert "Weather" not in html
        assert "<html" not in html

    def test_is_a_whole_page_without_javascript(self, client):
        listed_paper(title="Agents")

        page = client.get("/preview/?topic=agents&filter=agents+-survey").content.decode()

        assert "<html" in page
        assert "Reads as <code>agents AND NOT survey</code>" in page
        assert 'value="agents" checked' in page
        assert 'href="/?topic=agents&amp;filter=agents+-survey"' in page

    def test_finds_and_names_the_english_of_chinese_words(self, client):
        listed_paper(title="Post-training of agents")

        page = client.get("/preview/", {"filter": "后训练"}).content.decode()

        assert "Reads as <code>后训练</code>. 后训练, also post-training. It finds 1 in" in page

    def test_counts_a_paper_once_that_two_topics_find_or_two_days_list(self, client):
        paper = PaperFactory(title="Agents and memory")
        SightingFactory(paper=paper, listing_day=DAY)
        SightingFactory(paper=paper, listing_day=DAY - timedelta(days=1), seen_at=NOON - timedelta(days=1))

        assert "1 in 2 days" in pane(client, "topic=agents&topic=memory")

    def test_shows_the_last_day_with_a_match_where_today_has_none(self, client):
        listed_paper(DAY - timedelta(days=1), title="A harness", abstract="")
        listed_paper(DAY, title="Other", abstract="")

        html = pane(client, "filter=harness")

        assert "None of the 1 papers matched" in html
        assert "Wednesday 19 August" in html
        assert "A <mark>" not in html
        assert "A harness" in html

    def test_says_what_to_do_where_nothing_matches_or_is_chosen(self, client):
        listed_paper()

        assert "Nothing in 1 listing day, 1 paper." in pane(client, "filter=zebra")
        assert "Nothing is chosen yet" in pane(client, "")
        assert "Nothing is chosen yet" in pane(client, "topic=no-such-topic&filter=+")

    def test_keeps_to_the_days_that_a_digest_could_come_from(self, client):
        for number in range(recent.DAYS + 3):
            listed_paper(DAY - timedelta(days=number), title="Agents")

        assert f"{recent.DAYS} in {recent.DAYS} days" in pane(client, "topic=agents")

    def test_has_room_for_the_rest_but_not_for_more_than_a_mail(self, client):
        for number in range(25):
            listed_paper(title=f"Agents {number}", votes=number)

        html = pane(client, "topic=agents")

        assert "25 of 25 papers" in html
        assert f"and {preview.A_MAIL - 1} more" in html
        assert html.count('class="paper"') == preview.A_MAIL
        assert "5 beyond these stay out" in html


class TestInterest:
    @pytest.fixture
    def papers(self):
        for number in range(3):
            listed_paper(
                title=f"Agent memory for long dialogues {number}",
                abstract="Language agents keep a long-term memory of what users said and retrieve it.",
                votes=number,
            )
        listed_paper(title="Weather over Bavaria", abstract="Rain, measured by hand.", votes=99)

    def test_counts_the_papers_that_are_relevant_enough_and_says_how_relevant(self, client, papers):
        html = pane(client, "interest=agent+memory,+long-term+memory")

        assert "3 of 4 papers" in html
        assert "Weather" not in html
        assert "Your words" in html
        assert len(re.findall(r'<div class="rel"><b>\d\d<small>%', html)) == 3

    def test_reads_keywords_and_a_sentence_apart_just_as_in_one_field(self, client, papers):
        apart = pane(client, "keywords=agent+memory&sentence=How+agents+keep+what+they+learnt+from+users")
        together = pane(client, "interest=agent+memory;+How+agents+keep+what+they+learnt+from+users")

        assert apart == together

    def test_keeps_the_hits_of_a_filter_whatever_their_relevance(self, client, papers):
        html = pane(client, "filter=weather+OR+memory&interest=agent+memory")

        assert "4 of 4 papers" in html
        assert html.index("Agent memory") < html.index("Weather")  # though it has the most votes

    def test_says_that_nothing_is_relevant_enough(self, client, papers):
        assert "reaches a relevance of 50 %" in pane(
            client, "interest=quantum+chromodynamics,+quark+gluon+plasma"
        )

    def test_survives_words_that_say_nothing(self, client, papers):
        for words in ("the", "of and", "☃", "%00", "a" * 2000):
            assert client.get(f"/preview/?interest={quote(words)}", headers=FRAGMENT).status_code == 200

    def test_goes_on_to_the_sign_up_page(self, client, papers):
        page = client.get("/preview/?interest=agent+memory").content.decode()
        filled = client.get("/?filter=&interest=agent+memory").content.decode()

        assert 'href="/?filter=&amp;interest=agent+memory"' in page
        assert 'name="interest" value="agent memory"' in filled


class TestAdvice:
    def test_offers_other_names_as_a_filter_to_take(self, client):
        for _ in range(3):
            listed_paper(title="Text2SQL", abstract="")

        html = pane(client, "topic=agents&filter=text-to-SQL+-survey")

        (link,) = re.findall(
            r'<a href="([^"]*)" data-field="filter" data-value="([^"]*)">text-to-SQL or', html
        )
        assert "3 more papers" in html
        assert "topic=agents" in link[0]
        page = client.get(unescape(link[0])).content.decode()
        assert f'value="{link[1]}"' in page
        assert "It finds 3 in 1 days" in page

    def test_warns_and_offers_the_cure(self, client):
        listed_paper(title="Agents", abstract="Planning.")

        html = pane(client, "filter=agents+planning+memory+tools")

        assert "A blank means AND" in html
        assert 'data-value="agents OR planning OR memory OR tools"' in html

    def test_proposes_keywords_for_the_filter_or_for_the_words(self, client):
        for number in range(4):
            verb = ("keeps", "holds", "has", "finds")[number]
            listed_paper(title=f"Agents {number}", abstract=f"Its vector store {verb} it all.")
        for number in range(120):
            listed_paper(title=f"Weather {number}", abstract="Rain.")

        for_filter = pane(client, "filter=agents")
        for_words = pane(client, "filter=agents&interest=planning")

        assert 'data-field="filter" data-value="agents OR &quot;vector store&quot;"' in for_filter
        assert 'data-field="interest" data-value="planning, vector store"' in for_words

    def test_escapes_what_it_offers(self, client):
        listed_paper(title="Agents")
        hostile = quote('"><script>alert(1)</script>, agents')

        html = pane(client, f"filter=LLM+agents&interest={hostile}")

        assert "<script>" not in html


class TestErrors:
    @pytest.mark.parametrize(
        "typed", ["(agents", "-survey", "agents OR", "title:", '"', "a" * 2000, "cat:", "x>=3"]
    )
    def test_says_where_and_how_to_mend_it(self, client, typed):
        listed_paper()

        page = client.get(f"/preview/?filter={quote(typed)}").content.decode()

        assert "Column " in page
        assert 'aria-invalid="true"' in page
        assert '<div class="caret" aria-hidden="true">' in page

    def test_puts_the_caret_under_the_column(self, client):
        page = client.get("/preview/?filter=memory+(agents").content.decode()

        assert "Column 8: " in page
        assert f'aria-hidden="true">{" " * 7}^</div>' in page

    def test_shows_the_topics_while_the_filter_cannot_be_read(self, client):
        listed_paper(title="Agents")

        html = pane(client, "topic=agents&filter=(")

        assert "1 of 1 paper" in html
        assert "Your filter is left out" in html

    def test_escapes_what_was_typed(self, client):
        page = client.get("/preview/?filter=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").content.decode()

        assert "<script>alert" not in page

    def test_survives_any_bytes(self, client):
        assert client.get("/preview/?filter=%00%ff%f0%9f%98%80&topic=%00").status_code == 200


class TestLimits:
    def test_asks_few_questions_once_the_index_stands(self, client, django_assert_max_num_queries):
        for _ in range(40):
            listed_paper()
        pane(client, "topic=agents")

        with django_assert_max_num_queries(4):
            pane(client, "topic=agents&topic=memory&filter=agents")

    def test_sees_what_was_read_since(self, client):
        listed_paper(title="Agents one")
        assert "1 of 1 paper" in pane(client, "topic=agents")

        listed_paper(title="Agents two")
        assert "2 of 2 papers" in pane(client, "topic=agents")

    def test_lets_nobody_ask_for_ever(self, client):
        answers = {
            client.get("/preview/", headers=FRAGMENT, REMOTE_ADDR="203.0.113.9").status_code
            for _ in range(151)
        }
        assert answers == {200, 429}

        waiting = client.get("/preview/", REMOTE_ADDR="203.0.113.9")
        assert "Wait until" in waiting.content.decode()
        assert 1 <= int(waiting["Retry-After"]) <= 60
        assert client.get("/preview/", REMOTE_ADDR="203.0.113.10").status_code == 200
