"""What holds for every public page: policy, note, markup."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.template.loader import render_to_string
from django.test import Client, RequestFactory

from digest.models import AiText, Batch, Mention
from subscriptions.models import Topic
from tests.factories import NOON, PaperFactory, SightingFactory, listed_paper

pytestmark = pytest.mark.django_db

PAGES = [
    "/papers/",
    "/papers/2026-08-20/",
    "/papers/2026-08-20/?length=abstract",
    "/papers/2026-08-20/?show=updated",
    "/papers/2026-08-20/?show=posts",
    "/paper/2608.00042/",
    "/paper/2607.00043/",
    "/paper/p999001/",
    "/topics/",
    "/topics/agents/",
    "/preview/?topic=agents",
    "/filters/",
    "/no-such-page/",
]
FIRST_ROW = 999_001  # of the post, so that its address is known
EVERY_PAGE = pytest.mark.parametrize("address", PAGES)
VOID = {"meta", "link", "input", "br", "img", "rect", "path", "circle"}


@pytest.fixture(autouse=True)
def _a_paper():
    """A paper that fills every section of its page, a post that discusses it, and a revision."""
    paper = listed_paper(
        arxiv_id="2608.00042",
        title="Agents",
        code_url="https://code.example/",
        votes=40,
        version=2,
        affiliations=[f"Institute {number}" for number in range(20)],
        authors=[f"Author {number}" for number in range(50)],
        primary_category="cs.CL",
        categories=["cs.CL", "cs.AI"],
        comment="Accepted.",
        citations=3,
    )
    url = "https://lab.example/post"
    post = listed_paper(
        arxiv_id=None, key=f"url:{url}", url=url, kind="post", votes=None, published_at=NOON, pk=FIRST_ROW
    )
    Mention.objects.create(
        post=post, key=paper.key, paper=paper, source=post.sightings.get().source, seen_at=NOON
    )
    PaperFactory(arxiv_id=None, key="doi:10.1/x", doi="10.1/x", canonical=paper)
    for kind in ("title", "abstract"):
        AiText.objects.create(paper=paper, language="zh-hans", kind=kind, text="智能体", due_at=NOON)
    AiText.objects.create(paper=paper, language="en", kind="summary", text="They act.", due_at=NOON)
    revised = PaperFactory(arxiv_id="2607.00044")
    SightingFactory(paper=revised, announce_type="replace", version=3, is_listing=False)
    gone = PaperFactory(arxiv_id="2607.00043", withdrawn_at=NOON, withdrawal="An error.")
    SightingFactory(paper=gone, announce_type="replace", version=2, is_listing=False)


class Markup(HTMLParser):
    """Collects what the policy would refuse, and elements that are not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.refused: list[str] = []
        self.unbalanced: list[str] = []
        self.addresses: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.unbalanced += self._open

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.refused += [f"{tag} {name}" for name in values if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in values):
            self.refused.append(tag)
        self.addresses += [values[name] for name in ("href", "src", "action") if values.get(name)]
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        if self._open and self._open[-1] == tag:
            self._open.pop()
        elif tag not in VOID:
            self.unbalanced.append(f"/{tag}")


@EVERY_PAGE
class TestEveryPage:
    def test_has_a_strict_policy_and_nothing_that_it_would_refuse(self, client, address):
        response = client.get(address)
        policy = response["Content-Security-Policy"]

        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert Markup(response.content.decode()).refused == []

    def test_is_well_formed_with_one_heading_and_a_way_past_the_masthead(self, client, address):
        page = client.get(address).content.decode()

        assert Markup(page).unbalanced == []
        assert page.count("<h1") == 1
        assert '<a class="skip" href="#main">' in page
        assert '<html lang="en">' in page
        assert not re.search(r"{[{%#]", page)

    def test_says_sample_data_exactly_while_there_is_some(self, client, address):
        assert "Sample data." not in client.get(address).content.decode()

        Batch.objects.update(is_sample=True)

        assert "<b>Sample data.</b>" in client.get(address).content.decode()

    def test_loads_nothing_from_elsewhere_and_every_file_exists(self, client, address):
        page = client.get(address).content.decode()
        loaded = re.findall(r'<(?:script|link)[^>]*(?:src|href)="([^"]+)"', page)
        static = [one for one in loaded if "/static/" in one]

        assert len(static) >= 4
        assert all(finders.find(one.partition("/static/")[2]) for one in static)

    def test_is_the_same_for_a_chinese_browser_as_long_as_there_is_one_language(self, client, address):
        response = client.get(address, headers={"Accept-Language": "zh-CN"})

        assert "月" not in response.content.decode()
        assert "Accept-Language" not in response.get("Vary", "")

    def test_thanks_arxiv(self, client, address):
        assert (
            "Thank you to arXiv for use of its open access interoperability."
            in client.get(address).content.decode()
        )

    def test_is_read_only(self, client, address):
        assert client.post(address).status_code in (404, 405)


class TestLinks:
    def test_lead_to_pages_that_exist(self, client):
        """Every address of our own that a page names answers; those of other parts are left out."""
        ours = re.compile(r"^/(papers|paper|topics|preview|filters)/")
        found = {
            link
            for address in PAGES[:-1]
            for link in Markup(client.get(address).content.decode()).addresses
            if ours.match(link)
        }

        topics = sorted(link for link in found if link.startswith("/topics/") and "?" not in link)
        slugs = {link.split("/")[2] for link in topics} - {""}

        assert len(found - set(topics)) > 15
        assert len(slugs) > 300
        assert slugs <= set(Topic.objects.catalogue().values_list("slug", flat=True))
        asked = {*(found - set(topics)), *topics[::25]}  # of four hundred topics, which are made alike, some
        answers = {link: client.get(link).status_code for link in sorted(asked)}
        assert {link: status for link, status in answers.items() if status != 200} == {}


class TestErrorPages:
    def test_stands_without_a_request_or_a_database_when_everything_fails(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            page = render_to_string("500.html")

        assert "This page could not be made" in page
        assert Markup(page).refused == []

    def test_explains_a_form_without_its_cookie(self):
        response = Client(enforce_csrf_checks=True).post("/papers/")

        assert response.status_code == 403
        assert "Please send the form once more" in response.content.decode()

    @pytest.mark.parametrize("template", ["400.html", "403.html", "429.html"])
    def test_has_words_for_the_others(self, template):
        page = render_to_string(template, {"tries": "10 in a minute"}, request=RequestFactory().get("/"))

        assert page.count("<h1") == 1


class TestScale:
    def test_has_a_rule_for_every_whole_percent(self):
        css = Path(str(finders.find("paperboy/scale.css"))).read_text("utf-8")

        for name in "vxy":
            assert all(f'[data-{name}="{number}"]{{--{name}:{number}%}}' in css for number in range(101))
