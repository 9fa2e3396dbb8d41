"""Papers, merges and texts of a language model in the admin."""

import pytest
from django.contrib.auth.models import User

from digest.models import AiSpending, AiText, Mention, Merge, Paper
from digest.papers import merging
from tests.factories import (
    DAY,
    MORNING_AFTER,
    NOON,
    PaperFactory,
    SightingFactory,
    SourceFactory,
    listed_paper,
)
from tests.operator import admin_client

__all__ = ["admin_client"]

MERGES = "/admin/digest/merge/"
TEXTS = "/admin/digest/aitext/"

pytestmark = pytest.mark.django_db


def a_post(**values: object) -> Paper:
    url = "https://lab.example/post"
    return PaperFactory(**{"arxiv_id": None, "key": f"url:{url}", "url": url, "kind": "post"} | values)


def a_merge() -> Merge:
    return merging.merge(
        a_post(title="Kites"),
        PaperFactory(title="Kites that learn"),
        how=Merge.How.TITLE,
        certainty=0.95,
        evidence="Same title, first author.",
        now=NOON,
    )


class TestPaper:
    def test_its_page_shows_sightings_discussions_and_texts(self, admin_client):
        paper = listed_paper()
        SightingFactory(
            paper=paper, announce_type="replace", version=2, is_listing=False, seen_at=MORNING_AFTER
        )
        Mention.objects.create(
            post=a_post(title="What a paper"),
            key=paper.key,
            paper=paper,
            source=SourceFactory(),
            seen_at=NOON,
        )
        AiText.objects.create(paper=paper, language="zh-hans", kind="title", text="风筝", due_at=NOON)

        page = admin_client.get(f"/admin/digest/paper/{paper.pk}/change/").content.decode()

        for words in ("replace", "What a paper", "风筝", f"{MERGES}add/?duplicate=p{paper.pk}"):
            assert words in page


class TestMerges:
    def test_the_list_shows_certainty_and_evidence(self, admin_client):
        a_merge()

        page = admin_client.get(MERGES).content.decode()

        for words in (
            "0.95",
            "Same title, first author.",
            "same title and authors",
            "url:https://lab.example",
        ):
            assert words in page

    def test_undoing_asks_then_undoes(self, admin_client):
        merge = a_merge()
        chosen = {"action": "undo", "_selected_action": [merge.pk]}

        asked = admin_client.post(MERGES, chosen).content.decode()
        assert "Undo these merges?" in asked
        assert Paper.objects.get(pk=merge.duplicate_id).canonical_id == merge.original_id

        page = admin_client.post(MERGES, chosen | {"confirmed": "yes"}, follow=True).content.decode()
        assert "1 merge undone." in page
        assert Paper.objects.get(pk=merge.duplicate_id).canonical_id is None

        again = admin_client.post(MERGES, chosen | {"confirmed": "yes"}, follow=True).content.decode()
        assert "0 merges undone." in again

    @pytest.mark.parametrize(
        "how", ["id", "version", "arxiv page", "doi", "doi page", "address", "page here", "row"]
    )
    def test_two_papers_are_merged_by_hand_however_they_are_named(self, admin_client, how):
        original = PaperFactory(arxiv_id="2608.00042", doi="10.1000/kites.7")
        duplicate = a_post()
        named = {
            "id": "2608.00042",
            "version": "arXiv:2608.00042v3",
            "arxiv page": "https://arxiv.org/abs/2608.00042",
            "doi": "10.1000/KITES.7",
            "doi page": "https://doi.org/10.1000/kites.7",
            "address": "https://arxiv.org/pdf/2608.00042v1",
            "page here": "http://testserver/paper/2608.00042/",
            "row": f"p{original.pk}",
        }[how]

        response = admin_client.post(
            f"{MERGES}add/",
            {
                "duplicate": "https://lab.example/post?utm_source=x",
                "original": named,
                "evidence": "I wrote both.",
            },
        )

        merge = Merge.objects.get()
        assert response["Location"] == f"{MERGES}{merge.pk}/change/"
        assert (merge.duplicate, merge.original) == (duplicate, original)
        assert (merge.how, merge.certainty, merge.evidence) == ("operator", 1.0, "I wrote both.")

    @pytest.mark.parametrize(
        ("duplicate", "original", "words"),
        [
            ("2608.99999", "2608.00042", "No paper here is “2608.99999”."),
            ("p999999999", "2608.00042", "No paper here is “p999999999”."),
            ("https://lab.example/post", "2608.00042v2", "merged into arxiv:2608.00042 already"),
            ("2608.00042", "2608.00042", "cannot be merged with itself"),
            ("2608.00042", "https://lab.example/post", "is merged into arxiv:2608.00042"),
            ("", "2608.00042", "This field is required."),
        ],
    )
    def test_says_what_cannot_be_merged(self, admin_client, duplicate, original, words):
        paper = PaperFactory(arxiv_id="2608.00042")
        merging.merge(a_post(), paper, how="title", certainty=0.9, evidence="Same title.", now=NOON)

        page = admin_client.post(
            f"{MERGES}add/", {"duplicate": duplicate, "original": original, "evidence": "So it is."}
        ).content.decode()

        assert words in page
        assert Merge.objects.count() == 1

    def test_only_who_may_change_merges_can_merge(self, client):
        client.force_login(User.objects.create(username="looker", is_staff=True))

        assert client.get(f"{MERGES}add/").status_code == 403


class TestTexts:
    def test_given_up_ones_can_be_asked_for_again(self, admin_client):
        paper = PaperFactory()
        values = {"paper": paper, "language": "en", "due_at": NOON}
        lost = AiText.objects.create(
            kind="summary", status="failed", attempts=4, problem="No JSON.", **values
        )
        done = AiText.objects.create(kind="title", status="written", text="Kites", **values)

        listed = admin_client.get(TEXTS).content.decode()
        page = admin_client.post(
            TEXTS, {"action": "ask_again", "_selected_action": [lost.pk, done.pk]}, follow=True
        ).content.decode()

        assert "No JSON." in listed
        assert "1 text wanted again." in page
        lost.refresh_from_db()
        done.refresh_from_db()
        assert (lost.status, lost.attempts, done.status) == ("wanted", 0, "written")
        assert lost.due_at > NOON

    def test_the_spending_of_a_day_is_told_with_its_budget(self, admin_client, settings):
        settings.LLM_DAILY_REQUESTS = 1_000
        AiSpending.objects.create(day=DAY, requests=412, tokens=381_220)

        page = admin_client.get("/admin/digest/aispending/").content.decode()

        assert "41 % of 1,000" in page
