import csv
import io
import json
from datetime import UTC, date, datetime

import pytest
from django.core.management import CommandError, call_command

from subscriptions import lifecycle, lists, topics
from subscriptions.interests import Interest
from subscriptions.models import Consent, FilterRevision, Notice, SubscribedTopic, Subscriber
from tests.factories import SubscribedTopicFactory, SubscriberFactory, TopicFactory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 8, 21, 12, tzinfo=UTC)
HEAD = "email,filter,frequency,consent_at,consent_source"
GOOD = "mira@lab.example,harness -survey,daily,2026-01-05T10:00:00Z,old list"


@pytest.fixture
def load(tmp_path, capsys):
    """Import lines through the command; (counts, lines of standard error)."""

    def load(*lines: str, head: str = HEAD) -> tuple[dict[str, int], list[str]]:
        path = tmp_path / "list.csv"
        path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
        call_command("import_subscribers", str(path), "--json")
        captured = capsys.readouterr()
        return json.loads(captured.out.splitlines()[-1]), captured.err.splitlines()

    return load


def exported() -> list[dict[str, str]]:
    file = io.StringIO()
    lists.write(file)
    file.seek(0)
    return list(csv.DictReader(file))


class TestImport:
    def test_makes_an_active_reader_with_consent_recorded(self, load):
        counts, errors = load(GOOD)

        assert counts == {"created": 1, "updated": 0, "suppressed": 0, "rejected": 0}
        assert errors == []
        reader = Subscriber.objects.get()
        assert (reader.email, reader.status, reader.frequency) == ("mira@lab.example", "active", "daily")
        consent = reader.consents.get()
        assert (consent.act, consent.at, consent.source) == (
            "imported",
            datetime(2026, 1, 5, 10, tzinfo=UTC),
            "old list",
        )
        assert reader.subscribed_topics.get().topic.filter.canonical == "harness AND NOT survey"
        assert not Notice.objects.exists()

    def test_takes_the_optional_columns(self, load):
        TopicFactory(slug="our-agents", name="Agents")
        TopicFactory(slug="our-robots", name="Robots")

        counts, _ = load(
            "mira@lab.example,,weekly,2026-01-05,list,our-robots; our-agents,zh-hans,Asia/Shanghai,9",
            head=HEAD + ",topics,language,timezone,hour",
        )

        assert counts["created"] == 1
        reader = Subscriber.objects.get()
        assert (reader.language, reader.timezone, reader.hour) == ("zh-hans", "Asia/Shanghai", 9)
        assert [line.topic.name for line in reader.subscribed_topics.all()] == ["Robots", "Agents"]

    def test_columns_come_in_any_order_with_a_byte_order_mark(self, load):
        counts, _ = load(
            "list,2026-01-05,daily,harness,mira@lab.example,x",
            head="\ufeffConsent_Source,consent_at, frequency,filter,EMAIL,colour",
        )

        assert counts["created"] == 1

    def test_the_same_file_again_changes_nothing(self, load):
        load(GOOD)

        counts, _ = load(GOOD)

        assert counts == {"created": 0, "updated": 1, "suppressed": 0, "rejected": 0}
        assert Consent.objects.count() == SubscribedTopic.objects.count() == 1

    def test_a_second_line_of_an_address_adds_its_filter(self, load):
        counts, _ = load(GOOD, "MIRA@lab.example,robot*,weekly,2026-01-05,old list")

        assert counts == {"created": 1, "updated": 1, "suppressed": 0, "rejected": 0}
        reader = Subscriber.objects.get()
        assert reader.frequency == "weekly"
        assert [line.topic.filter.canonical for line in reader.subscribed_topics.all()] == [
            "harness AND NOT survey",
            "robot*",
        ]

    def test_an_unconfirmed_address_becomes_active(self, load):
        SubscriberFactory(email="mira@lab.example", status="unconfirmed", confirmed_at=None)

        counts, _ = load(GOOD)

        assert counts["updated"] == 1
        assert Subscriber.objects.get().status == "active"
        assert Consent.objects.get().act == "imported"

    def test_a_pause_stays(self, load):
        SubscriberFactory(email="mira@lab.example", status="paused", paused_until=date(2026, 12, 1))

        load(GOOD)

        assert Subscriber.objects.get().status == "paused"

    @pytest.mark.parametrize("how", ["unsubscribed", "suppressed", "complained, unknown", "erased"])
    def test_never_brings_back_who_left(self, load, how):
        subscriber = SubscriberFactory(email="Mira@lab.example")
        if how == "unsubscribed":
            lifecycle.unsubscribe(subscriber.pk, now=NOW, source="test")
        elif how == "suppressed":
            lifecycle.suppress("mira@lab.example", reason="hard_bounce", evidence="", now=NOW)
        elif how == "erased":
            lifecycle.erase(subscriber.pk, now=NOW)
        else:
            subscriber.delete()
            lifecycle.suppress("mira@lab.example", reason="complaint", evidence="", now=NOW)

        counts, _ = load(GOOD)

        assert counts == {"created": 0, "updated": 0, "suppressed": 1, "rejected": 0}
        assert not Subscriber.objects.filter(status="active").exists()
        assert not SubscribedTopic.objects.exists()

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("mira@lab.example,harness,daily,,old list", "no consent: consent_at is empty"),
            ("mira@lab.example,harness,daily,2026-01-05,", "no consent: consent_source is empty"),
            ("mira@lab.example,harness,daily,yesterday,list", "consent_at 'yesterday' is not a date"),
            ("mira@lab.example,harness,daily,2999-01-05,list", "consent_at 2999-01-05 is in the future"),
            ("mira@,harness,daily,2026-01-05,list", "nothing after the @"),
            ("mira lab.example,harness,daily,2026-01-05,list", "it has no @"),
            ("mira@lab..example,harness,daily,2026-01-05,list", "This is not an email address"),
            ("mira@lab.example,harness,hourly,2026-01-05,list", "frequency 'hourly' is none of daily"),
            ("mira@lab.example,(harness,daily,2026-01-05,list", "filter: Column 1: this bracket is never"),
            ("mira@lab.example,,daily,2026-01-05,list", "nothing to look for"),
            ("mira@lab.example,harness,daily,2026-01-05,list,surplus", "more cells than columns"),
            ("mira@lab.example,harness", "no consent: consent_at is empty"),
            ("mira@lab.example,har\x00ness,daily,2026-01-05,list", "filter holds a control character"),
        ],
    )
    def test_one_bad_row_is_reported_by_line_and_stops_no_other(self, load, line, reason):
        counts, errors = load("first" + GOOD, line, "last" + GOOD)

        assert counts == {"created": 2, "updated": 0, "suppressed": 0, "rejected": 1}
        assert len(errors) == 1
        assert errors[0].startswith("line 3: ")
        assert reason in errors[0]

    @pytest.mark.parametrize(
        ("cells", "reason"),
        [
            ("no-such-topic,,,", "there is no topic 'no-such-topic'"),
            (",fr,,", "language 'fr' is none of en, zh-hans"),
            (",,Berlin,", "'Berlin' is not a time zone"),
            (",,,24", "hour '24' is not one from 0 to 23"),
        ],
    )
    def test_reports_bad_optional_cells(self, load, cells, reason):
        counts, errors = load(f"{GOOD},{cells}", head=HEAD + ",topics,language,timezone,hour")

        assert counts["rejected"] == 1
        assert reason in errors[0]

    def test_somebody_who_signs_up_meanwhile_is_met_at_the_second_look(self, load, monkeypatch):
        barred = lists._barred

        def while_somebody_signs_up(*args, **kwargs):
            SubscriberFactory(email="mira@lab.example", status="unconfirmed")
            monkeypatch.setattr(lists, "_barred", barred)
            # The batch's transaction is rolled back as a whole, so the sign-up has to come again.
            monkeypatch.setattr(lists, "_write_once", again)
            return barred(*args, **kwargs)

        once = lists._write_once

        def again(*args, **kwargs):
            SubscriberFactory(email="mira@lab.example", status="unconfirmed")
            once(*args, **kwargs)

        monkeypatch.setattr(lists, "_barred", while_somebody_signs_up)

        counts, _ = load(GOOD)

        assert counts == {"created": 0, "updated": 1, "suppressed": 0, "rejected": 0}
        assert Subscriber.objects.get().status == "active"

    def test_a_file_without_the_columns_is_refused_as_a_whole(self, load):
        with pytest.raises(CommandError, match="consent_at, consent_source are missing"):
            load("mira@lab.example,harness,daily", head="email,filter,frequency")

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(CommandError, match="No such file"):
            call_command("import_subscribers", str(tmp_path / "none.csv"))

    def test_a_file_in_another_encoding_says_where_it_stops(self, tmp_path):
        path = tmp_path / "latin.csv"
        path.write_bytes(f"{HEAD}\n{GOOD}\nren\xe9@lab.example,x,daily,2026-01-05,l\n".encode("latin-1"))

        with pytest.raises(CommandError, match="UTF-8"):
            call_command("import_subscribers", str(path))

    def test_addresses_under_test_are_taken_without_asking_dns(self, load):
        assert load("reader@lab.test,harness,daily,2026-01-05,list")[0]["created"] == 1

    def test_queries_do_not_grow_with_the_rows(self, load, django_assert_max_num_queries):
        lines = [f"reader{n}@lab{n % 9}.example,word{n % 50},daily,2026-01-05,list" for n in range(1500)]

        with django_assert_max_num_queries(20):
            counts, _ = load(*lines)

        assert counts["created"] == 1500
        assert FilterRevision.objects.filter(canonical__startswith="word").count() == 50


class TestExport:
    def test_writes_what_the_import_reads(self, load):
        TopicFactory(slug="our-agents", name="Agents")
        head = HEAD + ",topics,language,timezone,hour"
        cells = ["mira@lab.example", '"""world model"" OR x"', "weekdays", "2026-01-05T10:00:00Z", "old list"]
        load(",".join([*cells, "our-agents", "en", "Asia/Tokyo", "9"]), head=head)

        assert exported() == [
            {
                "email": "mira@lab.example",
                "filter": '"world model" OR x',
                "frequency": "weekdays",
                "consent_at": "2026-01-05T10:00:00Z",
                "consent_source": "old list",
                "topics": "our-agents",
                "language": "en",
                "timezone": "Asia/Tokyo",
                "hour": "9",
            }
        ]

    def test_leaves_out_who_has_not_agreed_or_left(self):
        for status in Subscriber.Status.values:
            SubscriberFactory(email=f"{status}@lab.example", status=status)

        assert [row["email"] for row in exported()] == ["active@lab.example", "paused@lab.example"]

    def test_several_filters_are_several_lines_and_come_back_as_one_reader(self, load):
        reader = SubscriberFactory(email="mira@lab.example")
        Consent.objects.create(subscriber=reader, act="confirmed", at=NOW, source="confirmation mail")
        SubscribedTopicFactory(subscriber=reader, topic__slug="our-agents")
        for text in ("harness", "robot*"):
            topics.follow(reader, [topics.own(reader, text, now=NOW)])
        rows = exported()
        assert [(row["filter"], row["topics"]) for row in rows] == [
            ("harness", "our-agents"),
            ("robot*", ""),
        ]
        file = io.StringIO()
        lists.write(file)
        Subscriber.objects.all().delete()

        file.seek(0)
        done = lists.read(file, now=datetime(2026, 9, 1, tzinfo=UTC), report=pytest.fail)

        assert (done.created, done.updated) == (1, 1)
        assert Subscriber.objects.get().subscribed_topics.count() == 3

    @pytest.mark.parametrize(
        "text", ['="GRPO"', "=x", "+x", "-x", "@x", "\tx", "'=x", "''=x", "'x", "x=", ""]
    )
    def test_formulas_are_defused_and_come_back_exactly(self, text):
        written = lists._quoted(text)

        assert not written.startswith(("=", "+", "-", "@", "\t"))
        assert lists._unquoted(written) == text

    def test_an_exact_filter_survives_the_round_trip(self, load):
        load(
            GOOD.replace("harness -survey", '\'=""GRPO""').replace("'=", "\"'=").replace(",daily", '",daily')
        )

        assert exported()[0]["filter"] == '\'="GRPO"'

    def test_the_command_writes_csv_and_then_json(self, capsys):
        SubscriberFactory(email="mira@lab.example")

        call_command("export_subscribers", "--json")

        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "email,filter,frequency,consent_at,consent_source,topics,language,timezone,hour"
        assert lines[1].startswith("mira@lab.example,,daily,2026-08-01T00:00:00Z,")
        assert json.loads(lines[-1]) == {"exported": 1}

    def test_the_command_writes_a_file(self, tmp_path, capsys):
        SubscriberFactory(email="mira@lab.example")

        call_command("export_subscribers", "--out", str(tmp_path / "out.csv"))

        assert "mira@lab.example" in (tmp_path / "out.csv").read_text()
        assert "1 readers written" in capsys.readouterr().out


def test_a_topic_in_words_is_exported_as_the_filter_that_comes_nearest():
    reader = SubscriberFactory()
    for words in (Interest(("agent memory", "recall")), Interest((), "How agents keep what they learnt")):
        topics.follow(reader, [topics.own(reader, "", now=NOW, interest=words)])

    assert [row["filter"] for row in exported()] == ['"agent memory" OR recall']
