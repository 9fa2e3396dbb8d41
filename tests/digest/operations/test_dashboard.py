"""The overview: sums that add up, sums that do not, and no query that counts the ledger."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from digest.models import Edition, EditionMatch, EditionPaper, SetAside, Source
from digest.operations import dashboard, health
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
            ("Fetch", "done", "17 of 17 papers read, 1 in the edition"),
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
    def leads(self) -> dict[str, dashboard.Note]:
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
    """On the one source that the migrations bring."""

    def lamp(self) -> dashboard.Lamp:
        (lamp,) = dashboard.overview(now=NOW).sources
        return lamp

    def test_a_complete_day_is_good(self):
        BatchFactory(declared=17, parsed=17, fetched_at=NOW, settled_at=NOW)

        assert (self.lamp().light, self.lamp().figure) == ("good", "17 of 17 for 20 Aug, read 10:12, settled")

    def test_only_the_newest_day_counts(self):
        BatchFactory(declared=17, parsed=17, fetched_at=NOW)
        BatchFactory(listing_day=DAY - timedelta(days=1), declared=9, parsed=3, fetched_at=NOW)

        assert self.lamp().figure == "17 of 17 for 20 Aug, read 10:12, still open"

    def test_an_entry_set_aside_needs_attention(self):
        batch = BatchFactory(declared=17, parsed=16, fetched_at=NOW)
        SetAside.objects.create(batch=batch, position=0, problem="no id", raw="{}", seen_at=NOW)

        assert self.lamp().light == "warn"
        assert self.lamp().figure.endswith("1 set aside")

    def test_an_old_reading_needs_attention(self):
        BatchFactory(declared=17, parsed=17, fetched_at=NOW - timedelta(hours=30), settled_at=NOW)

        assert (self.lamp().light, self.lamp().figure.rpartition(", ")[2]) == ("warn", "30 h old")

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

    def test_sample_data_is_said(self):
        BatchFactory(declared=60, parsed=60, fetched_at=NOW, is_sample=True)

        assert self.lamp().figure.endswith("sample data")


class TestMachinery:
    def lamps(self) -> dict[str, dashboard.Lamp]:
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
