"""`manage.py why`: the account on a terminal."""

import json

import pytest
from django.core.management import CommandError, call_command

from digest.editions import compose, schedule
from subscriptions import topics
from tests.factories import (
    DAY,
    MORNING_AFTER,
    NOON,
    SubscribedTopicFactory,
    SubscriberFactory,
    TopicFactory,
    listed_paper,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept_out() -> str:
    """The id of a paper that a NOT keeps from ada@example.org."""
    paper = listed_paper(title="Agents: a survey", abstract="")
    ada = SubscriberFactory(email="ada@example.org")
    revision = topics.filter_revision("agent -survey", now=NOON)
    topic = TopicFactory(name="Agents", filter=revision, owner=ada, slug=None)
    SubscribedTopicFactory(subscriber=ada, topic=topic)
    edition = schedule.open_edition("daily", DAY, now=MORNING_AFTER)
    assert edition is not None
    compose.compose(edition, now=MORNING_AFTER)
    return str(paper.arxiv_id)


def test_says_it_in_a_sentence_with_the_cure_and_then_each_stage(kept_out, capsys) -> None:
    call_command("why", kept_out, "--subscriber", "Ada@example.org")

    said = capsys.readouterr().out
    assert said.startswith(f"What ada@example.org may be told of “Agents: a survey” ({kept_out}):\n")
    assert "You did not get it because Agents does not find it: NOT survey leaves it out" in said
    assert "To get it next time: take NOT survey out of the filter of Agents.\n" in said
    assert "\nTopic Agents: agent AND NOT survey\n  failed         filter     Agents does not find it" in said
    assert "no   NOT survey\n" in said
    assert "yes  survey\n" in said
    assert "  passed         seen       Hugging Face Daily Papers listed it" in said


def test_json_is_the_last_line(kept_out, capsys) -> None:
    call_command("why", f"https://arxiv.org/abs/{kept_out}", "--subscriber", "ada@example.org", "--json")

    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["got"], told["paper"], told["edition"]) == (False, kept_out, "daily 2026-08-20")
    assert [stage["name"] for stage in told["topics"][0]["stages"]] == [
        "filter",
        "topic",
        "relevance",
        "limit",
    ]


def test_an_edition_can_be_named(kept_out, capsys) -> None:
    call_command("why", kept_out, "--subscriber", "ada@example.org", "--date", str(DAY))

    assert "it stands in the daily edition of 20 August 2026" in capsys.readouterr().out


def test_a_paper_that_nobody_knows_is_accounted_for(capsys) -> None:
    SubscriberFactory(email="ada@example.org")

    call_command("why", "2608.99999", "--subscriber", "ada@example.org")

    assert "no source that is read here has listed it" in capsys.readouterr().out


def test_who_or_what_is_missing_is_said() -> None:
    SubscriberFactory(email="ada@example.org")

    with pytest.raises(CommandError, match="Nobody has subscribed as bob"):
        call_command("why", "2608.99999", "--subscriber", "bob@example.org")
    with pytest.raises(CommandError, match="There is no weekly edition of 2026-08-17"):
        call_command(
            "why",
            "2608.99999",
            "--subscriber",
            "ada@example.org",
            "--kind",
            "weekly",
            "--date",
            str(DAY),
        )
