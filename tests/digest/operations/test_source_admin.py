"""Sources, lists, set-aside entries and alarms in the admin."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from digest.models import Alarm, Batch, SetAside, Source, UpstreamClock
from digest.papers import alarms
from tests.factories import DAY, NOON, BatchFactory
from tests.operator import admin_client
from tests.servers import web_server

__all__ = ["admin_client"]

SOURCES = "/admin/digest/source/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def arxiv() -> Source:
    return Source.objects.get(slug="arxiv")


@pytest.fixture
def feed() -> Source:
    return Source.objects.create(
        slug="lab",
        name="A lab",
        kind="feed",
        gives="post",
        url="https://lab.example/feed",
        etag='"1"',
        last_modified="Thu, 20 Aug 2026 10:00:00 GMT",
        payload_sha256="ab",
        next_fetch_at=timezone.now() + timedelta(hours=5),
    )


class TestList:
    def test_says_of_each_what_it_is_and_whether_it_is_on(self, admin_client, feed):
        Source.objects.create(slug="odd", name="Odd", kind="gopher", next_fetch_at=NOON)

        page = admin_client.get(SOURCES).content.decode()

        assert "Hugging Face Daily Papers" in page
        assert "gopher, which this version cannot read" in page
        assert page.index("Hugging Face Daily Papers") < page.index(">arXiv<")  # what is on comes first

    def test_reading_now_is_left_to_the_next_beat(self, admin_client, feed):
        admin_client.post(SOURCES, {"action": "read_now", "_selected_action": [feed.pk]}, follow=True)

        feed.refresh_from_db()
        assert feed.next_fetch_at <= timezone.now()

    def test_reading_now_leaves_what_is_off_alone(self, admin_client, arxiv):
        before = arxiv.next_fetch_at

        page = admin_client.post(
            SOURCES, {"action": "read_now", "_selected_action": [arxiv.pk]}, follow=True
        ).content.decode()

        arxiv.refresh_from_db()
        assert arxiv.next_fetch_at == before
        assert "0 sources read within a minute" in page

    def test_nothing_is_deleted(self, admin_client, feed):
        assert admin_client.post(f"{SOURCES}{feed.pk}/delete/", {"post": "yes"}).status_code == 403


class TestAdding:
    FEED = b"""<rss version="2.0"><channel><title>A lab's blog</title><item><title>We did it</title>
    <link>https://lab.example/1</link><pubDate>Thu, 20 Aug 2026 10:00:00 GMT</pubDate></item>
    </channel></rss>"""

    @pytest.fixture
    def web(self, settings):
        with web_server() as server:
            settings.TRUSTED_FEED_HOSTS = [server.host]
            yield server

    def test_a_site_is_enough_to_find_its_feed(self, admin_client, web):
        web.pages["/"] = b'<link rel="alternate" type="application/rss+xml" href="/feed">'
        web.pages["/feed"] = self.FEED

        page = admin_client.post(
            f"{SOURCES}add/", {"address": web.url, "name": "", "gives": "news"}, follow=True
        ).content.decode()

        source = Source.objects.get(url=f"{web.url}/feed")
        assert (source.name, source.kind, source.gives, source.enabled) == (
            "A lab's blog",
            "feed",
            "news",
            True,
        )
        assert source in Source.objects.due(timezone.now())
        assert "is added and switched on" in page

    @pytest.mark.parametrize(
        ("address", "words"),
        [
            ("{web}/page", "There is no feed at"),
            ("{web}/gone", "404"),
            ("http://127.0.0.2/feed", "127.0.0.2"),
            ("file:///etc/passwd", "file:///etc/passwd"),
            ("https://rss.arxiv.org/rss/cs.CL", "arXiv has a source of its own"),
            ("", "This field is required."),
        ],
    )
    def test_what_cannot_be_added_is_said_at_the_field(self, admin_client, web, address, words):
        web.pages["/page"] = b"<html>Hello</html>"
        typed = address.format(web=web.url)

        page = admin_client.post(f"{SOURCES}add/", {"address": typed, "name": "x"}).content.decode()

        assert words in page.partition('aria-invalid="true"')[2].partition("</p>")[0]
        assert f'value="{typed}"' in page
        assert Source.objects.count() == 2

    def test_the_same_feed_is_not_added_twice(self, admin_client, web):
        web.pages["/feed"] = self.FEED

        for _ in range(2):
            page = admin_client.post(f"{SOURCES}add/", {"address": f"{web.url}/feed"}, follow=True)

        assert "is read already" in page.content.decode()
        assert Source.objects.filter(kind="feed").count() == 1

    def test_only_who_may_add_sources_can(self, client):
        client.force_login(User.objects.create(username="looker", is_staff=True))

        assert client.post(f"{SOURCES}add/", {"address": "https://lab.example"}).status_code == 403


class TestSwitch:
    def test_on_asks_then_switches_and_reads_at_once(self, admin_client, arxiv):
        Source.objects.filter(pk=arxiv.pk).update(next_fetch_at=timezone.now() + timedelta(hours=5))

        asked = admin_client.get(f"{SOURCES}{arxiv.pk}/on/").content.decode()
        arxiv.refresh_from_db()
        assert "Switch arXiv on?" in asked
        assert not arxiv.enabled

        page = admin_client.post(f"{SOURCES}{arxiv.pk}/on/", follow=True).content.decode()
        arxiv.refresh_from_db()
        assert "arXiv: Switched on." in page
        assert arxiv in Source.objects.due(timezone.now())

    def test_off_asks_then_switches_and_clears_its_alarms(self, admin_client, feed, arxiv):
        alarms.raise_("failing:lab", kind="failing", source=feed, message="Silent.", now=NOON)
        alarms.raise_("late:arxiv", kind="late", source=arxiv, message="Late.", now=NOON)

        admin_client.get(f"{SOURCES}{feed.pk}/off/")
        feed.refresh_from_db()
        assert feed.enabled

        admin_client.post(f"{SOURCES}{feed.pk}/off/")
        feed.refresh_from_db()
        assert not feed.enabled
        assert [alarm.key for alarm in Alarm.objects.raised()] == ["late:arxiv"]

    @pytest.mark.parametrize("name", ["on", "off"])
    def test_only_who_may_change_sources_can(self, client, feed, name):
        client.force_login(User.objects.create(username="looker", is_staff=True))

        assert client.post(f"{SOURCES}{feed.pk}/{name}/").status_code == 403

    def test_an_unknown_source_is_not_found(self, admin_client):
        assert admin_client.get(f"{SOURCES}99999/on/").status_code == 404


class TestForm:
    def save(self, admin_client, source: Source, **changes: object) -> str:
        fields = {
            "name": source.name,
            "url": source.url,
            "gives": source.gives,
            "categories": source.categories,
        }
        response = admin_client.post(f"{SOURCES}{source.pk}/change/", fields | changes, follow=True)
        assert response.status_code == 200
        return response.content.decode()

    def test_categories_are_boxes_with_names_by_group(self, admin_client, arxiv):
        page = admin_client.get(f"{SOURCES}{arxiv.pk}/change/").content.decode()

        assert 'value="cs.CL" checked><span>Computation and Language <small>cs.CL</small>' in page
        assert 'value="cs.RO"><span>Robotics' in page
        assert "<summary>Computer Science <span>4 of 40</span></summary>" in page
        assert 'value="cmp-lg"' not in page  # closed long ago
        assert 'name="gives"' not in page

    def test_categories_are_stored_and_read_at_once(self, admin_client, arxiv):
        self.save(admin_client, arxiv, categories=["cs.RO", "stat.ML"])

        arxiv.refresh_from_db()
        assert arxiv.categories == ["cs.RO", "stat.ML"]
        assert arxiv.next_fetch_at <= timezone.now()

    @pytest.mark.parametrize("categories", [[], ["cs.NOPE"]])
    def test_none_and_unknown_ones_are_refused(self, admin_client, arxiv, categories):
        self.save(admin_client, arxiv, categories=categories)

        arxiv.refresh_from_db()
        assert "cs.CL" in arxiv.categories

    def test_a_closed_category_that_was_chosen_stays_a_box(self, admin_client, arxiv):
        Source.objects.filter(pk=arxiv.pk).update(categories=["cmp-lg"])

        assert 'value="cmp-lg" checked' in admin_client.get(f"{SOURCES}{arxiv.pk}/change/").content.decode()

    def test_what_a_feed_gives_can_be_chosen(self, admin_client, feed):
        self.save(admin_client, feed, gives="news")

        feed.refresh_from_db()
        assert (feed.gives, feed.etag) == ("news", '"1"')

    def test_another_address_forgets_what_the_former_one_said(self, admin_client, feed):
        self.save(admin_client, feed, url="https://lab.example/atom")

        feed.refresh_from_db()
        assert (feed.etag, feed.last_modified, feed.payload_sha256) == ("", "", "")
        assert feed.next_fetch_at <= timezone.now()

    def test_what_a_worker_wrote_meanwhile_stays(self, admin_client, feed):
        """The page shows state, but posts none of it."""
        self.save(admin_client, feed, name="The lab", etag="typed", last_error="typed", enabled="")

        feed.refresh_from_db()
        assert (feed.name, feed.etag, feed.last_error, feed.enabled) == ("The lab", '"1"', "", True)


class TestLists:
    def test_show_door_cross_and_state(self, admin_client, arxiv):
        Batch.objects.create(
            source=arxiv,
            category="cs.CL",
            listing_day=DAY,
            declared=120,
            cross=77,
            door="oai",
            fetched_at=NOON,
        )

        page = admin_client.get("/admin/digest/batch/", {"q": "cs.CL"}).content.decode()

        for cell in ("cs.CL", "120", "77", "oai", "still open"):
            assert cell in page

    def test_an_entry_is_shown_as_text_whatever_it_holds(self, admin_client):
        batch = BatchFactory()
        for position, raw in enumerate(['"<script>alert(1)</script>"', '{"title": ""}', '{"cut": "of']):
            SetAside.objects.create(batch=batch, position=position, problem="Bad.", raw=raw, seen_at=NOON)
        pages = [
            admin_client.get(f"/admin/digest/setaside/{one.pk}/change/").content.decode()
            for one in SetAside.objects.order_by("position")
        ]

        assert '<pre class="plain" tabindex="0">&lt;script&gt;alert(1)&lt;/script&gt;</pre>' in pages[0]
        assert "{\n  &quot;title&quot;: &quot;&quot;\n}" in pages[1]
        assert "{&quot;cut&quot;: &quot;of" in pages[2]

    def test_clocks_are_shown(self, admin_client):
        UpstreamClock.objects.create(name="some service", started_at=NOON, closed_until=NOON, reason="429")

        assert "429" in admin_client.get("/admin/digest/upstreamclock/").content.decode()


class TestAlarms:
    ALARMS = "/admin/digest/alarm/"

    @pytest.fixture(autouse=True)
    def _raised(self, arxiv):
        for key in ("late:arxiv:cs.AI", "late:arxiv:cs.CL"):
            alarms.raise_(key, kind="late", source=arxiv, message=f"{key} is late.", now=NOON)

    def test_those_that_stand_come_first(self, admin_client, arxiv):
        alarms.clear("late:arxiv:cs.AI", now=NOON)

        page = admin_client.get(self.ALARMS).content.decode()

        assert page.index("late:arxiv:cs.CL is late.") < page.index("late:arxiv:cs.AI is late.")

    def test_one_is_cleared_after_a_page_that_asks(self, admin_client):
        alarm = Alarm.objects.get(key="late:arxiv:cs.AI")

        asked = admin_client.get(f"{self.ALARMS}{alarm.pk}/clear/").content.decode()
        assert "Clear this alarm?" in asked
        assert Alarm.objects.raised().count() == 2

        response = admin_client.post(f"{self.ALARMS}{alarm.pk}/clear/")
        assert response["Location"] == "/admin/"
        assert [one.key for one in Alarm.objects.raised()] == ["late:arxiv:cs.CL"]

    def test_several_are_cleared_after_a_page_that_asks(self, admin_client):
        chosen = {"action": "clear", "_selected_action": [alarm.pk for alarm in Alarm.objects.all()]}

        asked = admin_client.post(self.ALARMS, chosen).content.decode()
        assert "Clear these alarms?" in asked
        assert Alarm.objects.raised().count() == 2

        page = admin_client.post(self.ALARMS, chosen | {"confirmed": "yes"}, follow=True).content.decode()
        assert "2 alarms cleared." in page
        assert not Alarm.objects.raised().exists()

    def test_only_who_may_change_alarms_can(self, client):
        client.force_login(User.objects.create(username="looker", is_staff=True))

        assert client.post(f"{self.ALARMS}{Alarm.objects.first().pk}/clear/").status_code == 403
