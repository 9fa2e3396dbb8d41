"""The overview: sums that add up, sums that do not, and no query that counts the ledger."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from digest.models import AiSpending, AiText, Alarm, Batch, Edition, EditionMatch, EditionPaper, Source
from digest.operations import dashboard, health, reading
from digest.operations.parts import Lamp, Note
from digest.papers import ai, alarms
from digest.sources import clock as sources_clock
from subscriptions.mail import ledger, outbox
from subscriptions.models import Mailing, MailingCounter, Notice, Subscriber
from tests.factories import (
    DAY,
    BatchFactory,
    FilterRevisionFactory,
    PaperFactory,
    SourceFactory,
    SubscriberFactory,
    open_mailing,
)
from tests.operator import admin_client

__all__ = ["admin_client"]

NOW = datetime(2026, 8, 21, 10, 12, tzinfo=UTC)
CSS = Path(__file__).resolve().parents[3] / "digest" / "static" / "paperboy"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.clear()


def an_edition(day: date = DAY, *, kind: str = "daily", **values: object) -> Edition:
    with transaction.atomic():
        mailing = open_mailing(closes_at=NOW + timedelta(hours=14))
        return Edition.objects.create(
            kind=kind,
            date=day,
            mailing=mailing,
            opened_at=datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC),
            **{"composed_at": NOW - timedelta(hours=9), "seconds": {"match": 0.9, "compose": 4.1}} | values,
        )


def rows(edition: Edition, **states: int) -> None:
    """Ledger rows in these states, made by COPY and moved as the outbox would count them."""
    readers = SubscriberFactory.create_batch(sum(states.values()))
    with transaction.atomic():
        ledger.add(edition.mailing_id, [ledger.NewRow(r.pk, r.email, NOW) for r in readers])
    ids = [(edition.mailing_id << 32) + reader.pk for reader in readers]
    for state, number in states.items():
        chosen, ids = ids[:number], ids[number:]
        lease = "now() + interval '5 minutes'" if state in ("leased", "handing") else "NULL"
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE subscriptions_delivery SET state = %s, reason = '421 too many connections',"
                f" lease_expires_at = {lease} WHERE id = ANY(%s)",
                [state, chosen],
            )
        if state != "due":
            ledger.count(edition.mailing_id, {"due": -number, state: number})


class TestBalance:
    def test_every_state_has_its_place_in_the_bar(self):
        edition = an_edition()
        rows(
            edition,
            sent=4,
            due=1,
            leased=2,
            handing=1,
            deferred=3,
            skipped=2,
            failed=1,
            uncertain=1,
            expired=1,
        )

        balance = dashboard.overview(now=NOW).balance

        assert balance is not None
        assert {part.name: part.count for part in balance.segments} == {
            "Sent": 4,
            "Due": 4,
            "Deferred": 3,
            "Skipped": 2,
            "Failed": 1,
            "Expired": 1,
            "Uncertain": 1,
        }
        assert sum(part.count for part in balance.segments) == balance.prepared == 16
        assert (balance.under_way, balance.difference) == (3, 0)
        assert balance.verdict == "16 = 16, balances"

    def test_sums_the_slots_of_all_workers(self):
        edition = an_edition()
        MailingCounter.objects.create(mailing_id=edition.mailing_id, slot=1, prepared=5, due=5)
        MailingCounter.objects.create(mailing_id=edition.mailing_id, slot=2, due=-5, sent=5)

        balance = dashboard.balances_of([edition.mailing_id])[edition.mailing_id]

        assert (balance.counts["due"], balance.counts["sent"], balance.difference) == (0, 5, 0)

    @pytest.mark.parametrize(
        ("prepared", "sent", "words"),
        [
            (10, 8, "does not balance: 2 rows prepared and in no state"),
            (10, 9, "does not balance: 1 row prepared and in no state"),
            (10, 13, "does not balance: 3 rows in a state and never prepared"),
        ],
    )
    def test_a_wrong_counter_is_shown_in_rows(self, admin_client, prepared, sent, words):
        edition = an_edition()
        MailingCounter.objects.create(mailing_id=edition.mailing_id, slot=1, prepared=prepared, sent=sent)

        page = admin_client.get("/admin/").content.decode()

        assert words in page
        assert "The counters do not add up." in page
        assert "manage.py deliveries --date 2026-08-20 --kind daily" in page

    def test_the_page_shows_the_equation_and_leads_to_its_rows(self, admin_client):
        edition = an_edition()
        rows(edition, sent=3, deferred=2)

        page = admin_client.get("/admin/").content.decode()

        assert "5 = 5, balances" in page
        assert f"/admin/subscriptions/delivery/?mailing={edition.mailing_id}&amp;state=deferred" in page
        assert 'style="flex-grow:3" title="Sent 3"' in page


class TestQueries:
    def test_none_counts_the_ledger(self):
        edition = an_edition()
        rows(edition, sent=3, deferred=2, uncertain=1, failed=1)

        with CaptureQueriesContext(
            connection,
        ) as captured:
            dashboard.overview(now=NOW)

        on_the_ledger = [q["sql"] for q in captured if '"subscriptions_delivery"' in q["sql"]]
        assert all(re.search(r"LIMIT 1\b", sql) for sql in on_the_ledger)
        assert not any(re.search(r"COUNT|SUM|GROUP BY", sql, re.IGNORECASE) for sql in on_the_ledger)

    def test_their_number_does_not_grow_with_what_there_is(self):
        edition = an_edition()
        rows(edition, sent=1, deferred=1)
        SourceFactory()
        with CaptureQueriesContext(connection) as few:
            dashboard.overview(now=NOW)

        for back in range(1, 5):
            rows(an_edition(DAY - timedelta(days=back)), sent=2)
        SubscriberFactory.create_batch(30)
        for number in range(4):
            BatchFactory(source=SourceFactory(slug=f"feed-{number}", name=f"Feed {number}"))
        with CaptureQueriesContext(connection) as many:
            dashboard.overview(now=NOW)

        assert len(many) == len(few) < 25


class TestEdition:
    def test_its_stages_carry_figures_and_times(self):
        edition = an_edition()
        BatchFactory(declared=17, parsed=17, fetched_at=NOW)
        EditionPaper.objects.create(
            edition=edition, paper=PaperFactory(), listing_day=DAY, position=1, score=1.0
        )
        EditionMatch.objects.create(edition=edition, filter=FilterRevisionFactory())
        rows(edition, sent=2, due=1)

        steps = dashboard.overview(now=NOW).steps

        assert [(step.name, step.state, step.figure) for step in steps] == [
            ("Fetch", "done", "17 of 17 entries read, 1 in the edition"),
            ("Match", "done", "1 filter, 0.9 s"),
            ("Compose", "done", "3 digests, 4.1 s"),
            ("Send", "now", "2 of 3 finished"),
            ("Close", "todo", "when nothing is due"),
        ]
        assert steps[0].when == "10:12"
        assert steps[4].when == "not before 22 Aug 00:12"

    @pytest.mark.parametrize(
        ("status", "composed", "words"),
        [
            ("open", False, "Daily edition, opened at 00:00, not composed yet."),
            ("open", True, "Daily edition, being sent. 1 of 2 digests finished."),
            ("paused", True, "Daily edition, paused since 10:02. 1 digest waits."),
            ("complete", True, "Daily edition, complete since 10:07. 1 of 2 digests sent."),
        ],
    )
    def test_its_state_is_one_sentence(self, status, composed, words):
        edition = an_edition(composed_at=NOW if composed else None)
        rows(edition, sent=1, due=1)
        Mailing.objects.filter(pk=edition.mailing_id).update(
            status=status, paused_at=NOW - timedelta(minutes=10), completed_at=NOW - timedelta(minutes=5)
        )

        assert dashboard.overview(now=NOW).sentence.startswith(words)

    def test_the_newest_daily_edition_is_the_current_one(self):
        daily = an_edition(DAY)
        weekly = an_edition(date(2026, 8, 17), kind="weekly")
        Edition.objects.filter(pk=weekly.pk).update(opened_at=NOW)

        overview = dashboard.overview(now=NOW)

        assert overview.edition == daily
        assert [row.name for row in overview.others] == ["Week of Mon 17 Aug"]
        assert overview.others_title == "Other editions"

    def test_before_the_first_edition_the_page_says_what_to_do(self, admin_client):
        page = admin_client.get("/admin/").content.decode()

        assert "No edition yet" in page
        assert "manage.py run_edition --now" in page

    def test_sample_data_is_said(self):
        an_edition(is_sample=True)

        assert dashboard.overview(now=NOW).sentence.endswith("Sample data.")


class TestNotes:
    def leads(self) -> dict[str, Note]:
        return {note.lead: note for note in dashboard.overview(now=NOW).notes}

    def test_a_quiet_edition_has_none(self):
        rows(an_edition(), sent=2)

        assert self.leads() == {}

    def test_a_paused_one_says_why_and_how_to_go_on(self):
        edition = an_edition()
        rows(edition, due=2)
        outbox.pause(edition.mailing_id, reason="The logo is wrong.", now=NOW - timedelta(minutes=10))

        note = self.leads()["Paused by an operator"]

        assert note.text.startswith("since 10:02 (The logo is wrong). 2 digests wait")
        assert note.links[0].url == f"/admin/digest/edition/{edition.pk}/resume/"

    def test_a_blocked_one_says_why_since_when_and_how_many_wait(self):
        edition = an_edition()
        rows(edition, due=2)
        Mailing.objects.filter(pk=edition.mailing_id).update(trouble="Connection refused.", trouble_at=NOW)

        note = self.leads()["Blocked because"]

        assert note.text.startswith("Connection refused, last at 10:12. 2 digests wait")

    def test_slow_answers_are_shown_by_one_example(self):
        rows(an_edition(), deferred=2)

        note = self.leads()["Slowed down."]

        assert "answered “later” to 2 digests" in note.text
        assert "answers “421 too many connections”" in note.text

    @pytest.mark.parametrize(
        ("policy", "words"), [("hold", "They are held"), ("resend", "They go out again")]
    )
    def test_uncertain_ones_follow_the_policy(self, settings, policy, words):
        settings.UNCERTAIN_POLICY = policy
        rows(an_edition(), uncertain=2)

        assert words in self.leads()["2 uncertain."].text

    def test_filters_that_failed_are_counted(self):
        EditionMatch.objects.create(edition=an_edition(), filter=FilterRevisionFactory(), problem="too deep")

        assert "1 filter could not be evaluated." in self.leads()


class TestSources:
    """The migrations bring two: Hugging Face, and arXiv, which is off."""

    def lamp(self, name: str = "Hugging Face Daily Papers") -> Lamp:
        return {lamp.name: lamp for lamp in reading.readings(now=NOW).sources}[name]

    def test_a_complete_day_is_good(self):
        BatchFactory(declared=17, parsed=17, fetched_at=NOW, settled_at=NOW)

        assert (self.lamp().light, self.lamp().figure) == ("good", "17 of 17 for 20 Aug, read 10:12, settled")

    def test_only_the_newest_day_counts(self):
        BatchFactory(declared=17, parsed=17, fetched_at=NOW)
        BatchFactory(listing_day=DAY - timedelta(days=1), declared=9, parsed=3, fetched_at=NOW)

        assert self.lamp().figure == "17 of 17 for 20 Aug, read 10:12, still open"

    def test_categories_are_told_together(self):
        source = arxiv_on()
        for category, settled_at in (("cs.AI", NOW), ("cs.CL", NOW), ("cs.CV", NOW)):
            Batch.objects.create(
                source=source,
                category=category,
                listing_day=DAY,
                declared=100,
                parsed=99,
                rejected=category == "cs.CL",
                fetched_at=NOW,
                settled_at=settled_at,
            )

        lamp = self.lamp("arXiv")

        assert lamp.light == "warn"
        assert lamp.figure == "297 of 300 in 3 categories for 20 Aug, read 10:12, settled, 1 set aside"

    def test_a_list_that_did_not_come_needs_attention(self):
        source = arxiv_on()
        Batch.objects.create(source=source, category="cs.AI", listing_day=DAY, fetched_at=NOW, settled_at=NOW)
        Batch.objects.create(source=source, category="cs.CL", listing_day=DAY)

        assert self.lamp("arXiv").light == "warn"
        assert self.lamp("arXiv").figure.endswith("1 list not read")

    def test_an_entry_set_aside_needs_attention(self):
        BatchFactory(declared=17, parsed=16, rejected=1, fetched_at=NOW)

        assert self.lamp().light == "warn"
        assert self.lamp().figure.endswith("1 set aside")

    def test_an_old_reading_needs_attention(self):
        BatchFactory(declared=17, parsed=17, fetched_at=NOW - timedelta(hours=30), settled_at=NOW)

        assert (self.lamp().light, self.lamp().figure.rpartition(", ")[2]) == ("warn", "30 h old")

    def test_an_old_list_of_a_source_that_answers_is_no_trouble(self):
        """arXiv has no lists on weekends, and a quiet blog no posts for weeks."""
        BatchFactory(declared=17, parsed=17, fetched_at=NOW - timedelta(days=3), settled_at=NOW)
        Source.objects.update(last_success_at=NOW)

        assert self.lamp().light == "good"

    @pytest.mark.parametrize(("hours", "light"), [(3, "warn"), (30, "bad")])
    def test_failures_are_told_in_their_own_words(self, hours, light):
        Source.objects.update(
            consecutive_failures=2,
            last_success_at=NOW - timedelta(hours=hours),
            last_error="It answered 503.",
        )

        assert self.lamp().light == light
        assert self.lamp().figure == f"2 failures in a row, last answer {hours} h ago: It answered 503."

    def test_a_source_that_is_off_is_no_trouble(self):
        Source.objects.update(enabled=False, consecutive_failures=4)

        assert (self.lamp().light, self.lamp().figure) == ("off", "switched off")

    def test_a_source_that_is_off_can_be_switched_on_from_here(self, admin_client):
        source = Source.objects.get(slug="arxiv")

        page = admin_client.get("/admin/").content.decode()

        assert (
            f'href="/admin/digest/source/{source.pk}/on/">Switch on<span class="vh"> arXiv</span></a>' in page
        )

    def test_sources_that_are_on_come_first(self):
        names = [lamp.name for lamp in reading.readings(now=NOW).sources]

        assert names == ["Hugging Face Daily Papers", "arXiv"]

    def test_sample_data_is_said(self):
        BatchFactory(declared=60, parsed=60, fetched_at=NOW, is_sample=True)

        assert self.lamp().figure.endswith("sample data")


def arxiv_on() -> Source:
    Source.objects.filter(slug="arxiv").update(enabled=True)
    return Source.objects.get(slug="arxiv")


class TestWhatWasRead:
    def test_the_table_has_a_line_for_each_list_with_its_numbers(self, admin_client):
        source = arxiv_on()
        Source.objects.update(next_fetch_at=NOW + timedelta(hours=1))
        BatchFactory(declared=25, parsed=25, new=24, updated=1, fetched_at=NOW)
        for category in ("cs.CL", "cs.AI"):
            Batch.objects.create(
                source=source,
                category=category,
                listing_day=DAY,
                declared=1284,
                cross=77,
                rejected=3,
                door="rss",
                fetched_at=NOW,
            )

        lines = reading.readings(now=NOW).lines
        page = admin_client.get("/admin/").content.decode()

        assert [(line.batch.category, line.state, line.is_first) for line in lines] == [
            ("", "still open", True),
            ("cs.AI", "not complete", True),
            ("cs.CL", "not complete", False),
        ]
        assert {line.next_at for line in lines} == {"11:12"}
        cells = re.findall(r"<td>(.*?)</td>", page)
        assert cells[cells.index("1,284") :][:4] == ["1,284", "0", "77", "0"]
        assert f"setaside/?batch__id__exact={lines[1].batch.pk}" in page

    def test_lists_of_sources_that_are_off_are_left_out(self):
        source = Source.objects.get(slug="arxiv")
        Batch.objects.create(source=source, category="cs.AI", listing_day=DAY, fetched_at=NOW)

        assert reading.readings(now=NOW).lines == []

    @pytest.mark.parametrize(
        ("values", "light", "words"),
        [
            ({"settled_at": NOW}, "good", "All is read. 1 of 1 list complete, no alarm."),
            ({}, "good", "All is read. 0 of 1 list complete, 1 still open, no alarm."),
            (
                {"rejected": 2},
                "warn",
                "Read, with something to look at. 0 of 1 list complete, 1 not complete, 2 entries set aside, "
                "no alarm.",
            ),
        ],
    )
    def test_one_sentence_says_whether_it_went_well(self, values, light, words):
        BatchFactory(declared=17, parsed=17, fetched_at=NOW, **values)

        verdict = reading.readings(now=NOW).verdict

        assert (verdict.light, f"{verdict.name} {verdict.figure}") == (light, words)

    def test_before_the_first_list_nothing_is_claimed(self):
        assert reading.readings(now=NOW).verdict.light == "off"


class TestAlarms:
    def raised(self, kind: str = Alarm.Kind.LATE, number: int = 1) -> None:
        source = Source.objects.get(slug="huggingface")
        for place in range(number):
            alarms.raise_(
                f"{kind}:{place}",
                kind=kind,
                source=source,
                message=f"No list {place}.",
                now=NOW - timedelta(hours=1),
            )

    def test_stand_on_top_with_their_words_and_a_way_to_clear_them(self, admin_client):
        self.raised()
        an_edition()

        page = admin_client.get("/admin/").content.decode()

        assert page.index("No list 0.") < page.index('class="steps"')
        assert f"/admin/digest/alarm/{Alarm.objects.get().pk}/clear/" in page

    def test_make_the_day_one_that_did_not_go_well(self):
        BatchFactory(declared=17, parsed=17, fetched_at=NOW, settled_at=NOW)
        self.raised()

        verdict = reading.readings(now=NOW).verdict

        assert (verdict.light, verdict.figure) == ("bad", "1 of 1 list complete, 1 alarm.")

    @pytest.mark.parametrize(("kind", "weight"), [("late", "warn"), ("gap", "bad"), ("gone", "bad")])
    def test_say_since_when(self, kind, weight):
        self.raised(kind)

        (note,) = reading.readings(now=NOW).alarms

        assert (note.weight, note.lead) == (weight, f"{kind.capitalize()} since 09:12.")

    def test_many_are_counted(self, admin_client):
        self.raised(number=8)

        assert len(reading.readings(now=NOW).alarms) == reading.SHOWN_ALARMS
        assert ">3 more</a>" in admin_client.get("/admin/").content.decode()

    def test_cleared_ones_are_history(self):
        self.raised()
        alarms.clear("late", now=NOW)

        assert reading.readings(now=NOW).alarms == []


class TestEnrichment:
    def lamps(self) -> dict[str, Lamp]:
        return {lamp.name: lamp for lamp in reading.enrichment(now=NOW)}

    def test_is_off_where_nothing_is_set(self):
        assert {lamp.light for lamp in self.lamps().values()} == {"off"}

    @pytest.mark.parametrize(("requests", "light"), [(120, "good"), (950, "warn")])
    def test_the_budget_of_the_day_is_told(self, settings, requests, light):
        settings.LLM_URL, settings.LLM_DAILY_REQUESTS = "http://llm.example/v1", 1_000
        AiSpending.objects.create(day=NOW.date(), requests=requests, tokens=45_000)
        AiSpending.objects.create(day=NOW.date() - timedelta(days=1), requests=1_000)
        AiText.objects.create(paper=PaperFactory(), language="en", kind="summary", due_at=NOW)

        lamp = self.lamps()["AI text"]

        assert lamp.light == light
        assert lamp.figure == f"{requests} of 1,000 requests today, 45,000 tokens, 1 wanted, 0 written"

    def test_an_endpoint_that_is_left_alone_is_told_with_its_reason(self, settings):
        settings.LLM_URL = "http://llm.example/v1"
        sources_clock.close(ai.CLOCK, until=NOW + timedelta(minutes=5), reason="It answered 429.")

        lamp = self.lamps()["AI text"]

        assert lamp.light == "warn"
        assert lamp.figure.endswith("Left alone until 10:17: It answered 429.")

    def test_citations_say_when_they_were_read(self, settings):
        settings.SEMANTIC_SCHOLAR_URL = "http://s2.example"
        assert self.lamps()["Citations"].figure == "not read yet"

        PaperFactory(cited_at=NOW - timedelta(hours=1))

        assert self.lamps()["Citations"].figure == "Semantic Scholar, read 09:12"


class TestMachinery:
    def lamps(self) -> dict[str, Lamp]:
        overview = dashboard.overview(now=NOW)
        return {lamp.name: lamp for lamp in (*overview.machinery, *overview.mail)}

    @pytest.mark.parametrize(("minutes", "light"), [(0, "good"), (5, "warn")])
    def test_the_pulse_of_beat_and_workers(self, minutes, light):
        health.beat_seen(NOW - timedelta(minutes=minutes))

        assert self.lamps()["Beat and workers"].light == light

    def test_no_pulse_is_bad(self):
        assert self.lamps()["Beat and workers"].light == "bad"

    def test_database_and_broker_are_asked(self):
        assert self.lamps()["Database"].light == self.lamps()["Broker"].light == "good"
        assert self.lamps()["Queue"].figure == "0 tasks waiting"

    def test_a_notice_that_waits_too_long_needs_attention(self):
        Notice.objects.create(
            key="confirm:1:1",
            kind="confirm",
            to="a@lab.example",
            created_at=NOW,
            due_at=NOW - timedelta(hours=3),
        )

        assert (self.lamps()["Notices"].light, self.lamps()["Notices"].figure) == (
            "warn",
            "1 waiting, the oldest for 3 h",
        )


class TestGrowth:
    def test_counts_who_confirmed_and_has_not_left(self):
        SubscriberFactory(confirmed_at=NOW - timedelta(days=100))
        SubscriberFactory(confirmed_at=NOW - timedelta(days=3))
        SubscriberFactory(confirmed_at=NOW - timedelta(days=2), status=Subscriber.Status.PAUSED)
        SubscriberFactory(
            confirmed_at=NOW - timedelta(days=90),
            left_at=NOW - timedelta(days=1),
            status=Subscriber.Status.UNSUBSCRIBED,
        )
        SubscriberFactory(confirmed_at=None, status=Subscriber.Status.UNCONFIRMED)

        growth = dashboard.overview(now=NOW).growth

        assert (growth.confirmed, growth.paused) == (3, 1)
        assert (growth.came, growth.left, growth.change) == (2, 1, 1)
        assert [bar.height for bar in growth.bars.up] == ["1", "1"]
        assert len(growth.line.path.split("L")) == dashboard.CHART_DAYS


class TestLook:
    """The admin's stylesheet repeats the tokens' colours, because unfold switches by class."""

    @pytest.mark.parametrize(
        ("selector", "part"), [("html:not(.dark)", "light"), ("html.dark", "dark")], ids=["light", "dark"]
    )
    def test_its_colours_are_the_tokens(self, selector, part):
        tokens = (CSS / "tokens.css").read_text()
        light, _, rest = tokens.partition("@media (prefers-color-scheme: dark)")
        wanted = _colours(light if part == "light" else rest)
        own = (CSS / "admin.css").read_text().partition(f"{selector} {{")[2].partition("}")[0]

        assert _colours(own) == wanted
        assert len(wanted) > 20


def _colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", css))
