"""The pages of a week and of a month."""

from datetime import date, timedelta

import pytest
from django.urls import reverse

from digest.web.rankings import month_of, week_of
from tests.factories import DAY, NOON, PaperFactory, SightingFactory, listed_paper

pytestmark = pytest.mark.django_db

WEEK = "/papers/week/2026-W34/"
MONTH = "/papers/month/2026-08/"


def text_of(response) -> str:
    return response.content.decode()


class TestPeriod:
    @pytest.mark.parametrize(
        ("period", "name", "title"),
        [
            (week_of(date(2026, 8, 20)), "2026-W34", "17 to 23 August 2026"),
            (week_of(date(2026, 8, 31)), "2026-W36", "31 August to 6 September 2026"),
            (week_of(date(2027, 1, 1)), "2026-W53", "28 December 2026 to 3 January 2027"),
            (month_of(date(2028, 2, 29)), "2028-02", "February 2028"),
        ],
    )
    def test_is_named_as_the_calendar_names_it(self, period, name, title) -> None:
        assert (period.name, period.title) == (name, title)

    def test_ends_with_its_last_day(self) -> None:
        assert month_of(date(2028, 2, 3)).last == date(2028, 2, 29)
        assert week_of(date(2026, 8, 20)).last == date(2026, 8, 23)


class TestAddresses:
    def test_the_newest_week_and_month_have_addresses_that_do_not_change(self, client):
        listed_paper()

        assert client.get("/papers/week/")["Location"] == WEEK
        assert client.get("/papers/month/")["Location"] == MONTH

    def test_without_any_paper_say_so(self, client):
        assert client.get("/papers/week/").status_code == 200

    @pytest.mark.parametrize(
        ("asked", "canonical"),
        [
            ("/papers/week/2026-w34/", WEEK),
            ("/papers/week/2026-W4/", "/papers/week/2026-W04/"),
            ("/papers/month/2026-8/?order=votes", f"{MONTH}?order=votes"),
        ],
    )
    def test_written_otherwise_lead_to_the_one_that_counts(self, client, asked, canonical):
        answer = client.get(asked)

        assert (answer.status_code, answer["Location"]) == (301, canonical)

    @pytest.mark.parametrize(
        "name",
        [
            *("week/2026-W54", "week/2025-W53", "week/2026-W00", "week/2026-34x", "week/9999-W52"),
            *("week/0000-W01", "month/2026-13", "month/2026-00", "month/0001-01", "month/9999-12"),
            *("month/2026-008", "month/٢٠٢٦-٠٨"),
        ],
    )
    def test_of_no_week_or_month_are_no_page(self, client, name):
        assert client.get(f"/papers/{name}/").status_code == 404

    def test_of_an_empty_week_say_where_the_last_papers_are(self, client):
        listed_paper()

        answer = client.get("/papers/week/2026-W40/")

        assert answer.status_code == 404
        assert "No papers were listed in this week." in text_of(answer)
        assert f'href="{WEEK}"' in text_of(answer)

    def test_ask_only_to_look(self, client):
        assert client.post(WEEK).status_code == 405


class TestPage:
    def test_the_most_talked_about_stand_first_with_their_place(self, client):
        listed_paper(title="Quiet", votes=3, comments=0, day=date(2026, 8, 17))
        listed_paper(title="Loud", votes=40, comments=0, day=date(2026, 8, 19))

        page = text_of(client.get(WEEK))

        assert page.index("Loud") < page.index("Quiet")
        assert "2 papers of 2 days in week 34" in page
        assert "40 votes" in page
        assert f'<link rel="canonical" href="http://testserver{WEEK}">' in page or "canonical" in page
        assert 'href="/papers/2026-08-19/"' in page

    def test_by_votes_when_asked(self, client):
        listed_paper(title="Many comments", votes=3, comments=60)
        listed_paper(title="Many votes", votes=40, comments=0)

        trending, by_votes = (text_of(client.get(WEEK + query)) for query in ("", "?order=votes"))

        assert trending.index("Many comments") < trending.index("Many votes")
        assert by_votes.index("Many votes") < by_votes.index("Many comments")

    def test_says_what_a_paper_gained_that_was_listed_before(self, client):
        listed_paper(title="New", votes=60)
        old = PaperFactory(title="Old", votes=90, first_listed_on=DAY - timedelta(days=20))
        for back, votes in ((20, 60), (0, 90)):
            SightingFactory(
                paper=old,
                listing_day=DAY - timedelta(days=back),
                seen_at=NOON - timedelta(days=back),
                votes=votes,
            )

        page = text_of(client.get(WEEK))

        assert "30 in the week" in page
        assert page.count("in the week</span>") == 1

    def test_leads_to_the_periods_beside_it_that_have_papers(self, client):
        for day in (date(2026, 7, 30), DAY, date(2026, 9, 9)):
            listed_paper(day=day)

        page = text_of(client.get(WEEK))

        assert '<a class="btn btn--plain" href="/papers/week/2026-W31/" rel="prev">Week 31</a>' in page
        assert '<a class="btn btn--plain" href="/papers/week/2026-W37/" rel="next">Week 37</a>' in page
        assert f'<a href="{MONTH}">Month</a>' in page
        month = text_of(client.get(MONTH))
        assert '<a class="btn btn--plain" href="/papers/month/2026-07/" rel="prev">July</a>' in month

    def test_a_day_leads_to_its_week_and_month(self, client):
        listed_paper()

        page = text_of(client.get("/papers/2026-08-20/"))

        assert f'href="{WEEK}"' in page
        assert f'href="{MONTH}"' in page

    def test_has_fifty_on_a_page(self, client):
        for number in range(60):
            listed_paper(title=f"Paper {number:02}", votes=100 - number, comments=0)

        first, second = (text_of(client.get(f"{WEEK}?page={page}")) for page in (1, 2))

        assert "1 to 50 of 60" in first
        assert "Paper 49" in first
        assert "Paper 50" not in first
        assert "51 to 60 of 60" in second
        assert "Paper 50" in second
        assert "Paper 49" not in second

    @pytest.mark.parametrize("page", ["0", "-1", "99", "999999999999", "x", "²"])
    def test_a_page_that_is_not_there_is_the_nearest(self, client, page):
        listed_paper(title="Alone")

        assert "Alone" in text_of(client.get(WEEK, {"page": page}))

    def test_names_late_bloomers(self, client):
        paper = PaperFactory(title="Slow start", votes=54, first_listed_on=DAY - timedelta(days=6))
        for back, votes in ((6, 2), (0, 54)):
            SightingFactory(
                paper=paper,
                listing_day=DAY - timedelta(days=back),
                seen_at=NOON - timedelta(days=back),
                votes=votes,
            )

        assert "2 on 14 Aug, 54 on 20 Aug" in text_of(client.get(WEEK))

    def test_asks_the_database_the_same_few_questions_for_many_papers(
        self, client, django_assert_max_num_queries
    ):
        for number in range(70):
            listed_paper(votes=number, primary_category="cs.CL")

        with django_assert_max_num_queries(22):
            assert client.get(MONTH).status_code == 200

    def test_is_written_by_papers_without_breaking(self, client):
        listed_paper(
            title='<script>alert(1)</script> "quoted"', organization="<b>", comments=None, votes=None
        )

        page = text_of(client.get(WEEK))

        assert "<script>alert(1)" not in page
        assert "&lt;script&gt;alert(1)" in page

    def test_answers_not_modified_to_a_browser_that_has_the_page(self, client):
        listed_paper()
        first = client.get(reverse("papers-week", args=["2026-W34"]))

        assert client.get(WEEK, headers={"If-None-Match": first["ETag"]}).status_code == 304
