"""Text of strangers, as hostile as it comes, through the whole of Paperboy: pages, the admin, the mail."""

import threading
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from urllib.parse import quote, urlsplit

import lxml.html  # type: ignore[import-untyped]
import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.db import connections
from django.test import Client as Browser
from django.utils import timezone
from playwright.sync_api import Dialog, sync_playwright

from digest.matching import recent
from digest.models import AiText, Alarm, Batch, Mention, Merge, Paper, SetAside, Sighting, Source
from digest.papers import alarms, feeds, fetch, merging
from digest.papers.ingest import ingest
from digest.papers.text import readable, spelled_out
from digest.sources.http import Client, SourceError
from digest.sources.records import PaperRecord, Parsed, Rejected
from subscriptions.models import Subscriber
from tests import mail
from tests.digest.editions.letters import edition_of, letter, reader
from tests.factories import DAY, NOON, BatchFactory, PaperFactory, SourceFactory, listed_paper
from tests.operator import admin_client
from tests.servers import WebServer, web_server

__all__ = ["admin_client"]

pytestmark = pytest.mark.django_db

SPOILED = (
    "<script>alert(1)</script>\"><img src=x onerror=alert(1)>' onmouseover='alert(1) javascript:alert(1) "
    "Q{{ 7*7 }}Q {% load static %}\r\nBcc: x@example.org\u2028two\u2029three\x85\u202etxet\u2066 \0 \ud800 "
    "</title></textarea></pre><!-- %s %(count)s {0} {name}"
)
LONG = "w" * 10_000
EVIL = f"Agents {SPOILED} {LONG}"
SHORT = "\u202e\"'><b>\u2028"  # for codes and identifiers
# PostgreSQL takes neither NUL nor half characters: rows that no parser made hold the rest.
STORABLE = EVIL.replace("\0", "").replace("\ud800", "")
TYPED = "\"'><b>{{ 7*7 }}"  # by who looks: their own letters come back as they are
UNSEEN = "\0\u202a\u202b\u202d\u202e\u2028\u2029\u2066\u2067\u2069\ufffd"

LINKS = (
    "javascript:alert(1)",
    "https://[bad",
    "https://evil.example/\u202egpj.exe",
    'https://evil.example/"onclick=alert(1)',
    "data:text/html,<script>alert(1)</script>",
    "https://user:secret@evil.example/\r\nBcc: x@example.org",
)


def record(position: int, **values: object) -> PaperRecord:
    link = LINKS[position % len(LINKS)]
    given: dict[str, object] = {
        "position": position,
        "listing_day": DAY,
        "arxiv_id": f"2608.1{position:04}",
        "title": f"{position} {EVIL}",
        "abstract": f"{EVIL}. We study agents {SPOILED}. " * 2,
        "authors": (EVIL, SPOILED, SHORT, *(f"{SPOILED} {number}" for number in range(60))),
        "affiliations": (SPOILED, EVIL) * 6,
        "organization": SPOILED,
        "organization_handle": SHORT,
        "primary_category": SHORT,
        "categories": (SHORT, "cs.CL", EVIL),
        "language": SHORT,
        "code_url": link,
        "project_url": link,
        "thumbnail_url": link,
        "source_url": link,
        "summary": f"Agents {SPOILED}",
        "summary_source": SPOILED,
        "keywords": (SPOILED, EVIL),
        "votes": 50 - position,
        "comments": 3,
        "announce_type": SHORT,
        "comment": f"Accepted at {SPOILED} {LONG}. Code: {link}",
        "journal_ref": EVIL,
        "withdrawal": SPOILED,
        "raw": {SPOILED: EVIL},
    }
    return PaperRecord(**given | values)  # type: ignore[arg-type]


def listed(source: Source, *records: PaperRecord, **options: object) -> None:
    rejected = (
        Rejected(position=900, problem=f"Entry 900 says {SPOILED}", raw=SPOILED),
        Rejected(position=901, problem=f"Entry 901 says {EVIL}", raw={SPOILED: [EVIL]}),
    )
    ingest(
        Parsed(declared=len(records) + 2, records=records, rejected=rejected, notes=(EVIL, SPOILED)),
        source=source,
        listing_day=DAY,
        now=NOON,
        **options,  # type: ignore[arg-type]
    )


def feed_of(title: str) -> bytes:
    """A blog of the worst kind, as far as XML can say it."""
    said = title.replace("\0", "&#0;").replace("\ud800", "&#xD800;").replace("]]>", "")
    said = f"<![CDATA[{said}]]>"
    items = "".join(
        f"<item><title>{said}</title><link>{link}</link><author>{said}</author>"
        f"<dc:creator>{said}</dc:creator><category>{said}</category><description>{said} "
        f"&lt;a href='https://arxiv.org/abs/2608.10000'&gt;agents&lt;/a&gt;</description>"
        f"<pubDate>Thu, 20 Aug 2026 10:0{number}:00 GMT</pubDate></item>"
        for number, link in enumerate(
            ("https://lab.example/agents", "javascript:alert(1)", "https://lab.example/&quot;&gt;&#x202E;x")
        )
    )
    return (
        "<?xml version='1.0' encoding='utf-8'?><rss version='2.0' xmlns:dc='http://purl.org/dc/elements/1.1/'>"
        f"<channel><title>{said}</title><link>javascript:alert(1)</link>{items}</channel></rss>"
    ).encode()


@dataclass
class Spoiled:
    """What is stored of it all."""

    feed: Source
    merge: Merge
    alarm: Alarm


@pytest.fixture
def site(settings):
    settings.SITE_URL = "https://paperboy.example"
    settings.DEFAULT_FROM_EMAIL = "Paperboy <papers@paperboy.example>"
    settings.POSTAL_ADDRESS = "Example Institute, 1 Library Lane"
    cache.clear()
    with web_server() as server:
        settings.TRUSTED_FEED_HOSTS = [server.host]
        yield server


@pytest.fixture
def spoiled(site: WebServer) -> Spoiled:
    arxiv, huggingface = (Source.objects.get(kind=kind) for kind in ("arxiv", "huggingface"))
    records = [record(number) for number in range(len(LINKS))]
    listed(huggingface, *records)
    listed(
        arxiv,
        *(record(number, announce_type="new", version=1, votes=None) for number in range(2)),
        record(7, announce_type="replace", version=2, is_listing=False, votes=None),
        record(8, withdrawn_at=NOON, votes=None),
        categories=("cs.CL", "cs.AI"),
    )
    site.pages["/feed"] = feed_of(EVIL)
    feed = feeds.add(f"{site.url}/feed", now=NOON, client=Client(attempts=1))
    fetch.fetch_day(feed, None, now=NOON, client=Client(attempts=1))
    paper = Paper.objects.get(arxiv_id="2608.10000")
    for language in ("en", "zh-hans"):
        for kind in AiText.Kind.values:
            AiText.objects.create(
                paper=paper,
                language=language,
                kind=kind,
                status="written",
                text=readable(f"智能体 {EVIL}"),  # what the proofreader makes of it
                model=readable(SPOILED)[:100],
                problem=spelled_out(EVIL),
                due_at=NOON,
            )
    duplicate = PaperFactory(arxiv_id=None, key="url:https://evil.example/x", url="https://evil.example/x")
    merge = merging.merge(
        duplicate, paper, how=Merge.How.OPERATOR, certainty=0.5, evidence=readable(EVIL), now=NOON
    )
    alarm = alarms.raise_("late:evil", kind="late", source=feed, message=EVIL, now=NOON)
    Source.objects.filter(pk=feed.pk).update(consecutive_failures=3, etag=STORABLE[:20])
    return Spoiled(feed, merge, alarm)


def faults(page: str, *, where: str) -> list[str]:
    """What is wrong with a page: something that would run, look like something else, or lead elsewhere."""
    found = [f"{where}: {letter!r}" for letter in UNSEEN if letter in page]
    found += [f"{where}: a template was executed"] * ("Q49Q" in page)
    for element in lxml.html.document_fromstring(page.encode(), parser=PARSER).iter():
        if not isinstance(element.tag, str):
            continue
        if element.tag in ("script", "style", "iframe") and "alert" in (element.text or ""):
            found.append(f"{where}: <{element.tag}> {element.text}")
        for name, value in element.attrib.items():
            if name.startswith("on") or (name == "src" and value == "x"):
                found.append(f"{where}: {name}={value[:60]!r}")
            if name in ("href", "src", "action", "formaction", "poster", "srcset") and not is_harmless(value):
                found.append(f"{where}: {name}={value[:60]!r}")
    return found


WIDE = """[...document.querySelectorAll("*")].filter(one => one.scrollWidth > innerWidth)
    .map(one => one.tagName + "." + one.className).slice(-3).join(" ")"""
PARSER = lxml.html.HTMLParser(encoding="utf-8", huge_tree=True)


def is_harmless(address: str) -> bool:
    try:
        urlsplit(address)
    except ValueError:
        return False
    return urlsplit(address.strip()).scheme in ("", "http", "https") or address.startswith(
        ("mailto:papers@", "mailto:contact", "data:image/")
    )


def pages_of(browser: Browser, addresses: list[str], *, answers: tuple[int, ...] = (200,)) -> list[str]:
    found = []
    for address in addresses:
        response = browser.get(address)
        if response.status_code not in answers:
            found.append(f"{address}: {response.status_code}")
        elif response.status_code == 200:
            found += faults(response.content.decode(), where=address)
    return found


class TestPages:
    def test_nothing_of_it_runs_or_misleads_on_any_public_page(self, client, spoiled):
        recent.current(now=timezone.now())
        papers = [f"/paper/{paper.public_id}/" for paper in Paper.objects.filter(canonical=None)]
        assert len(papers) > 8
        day = f"/papers/{DAY}/"
        addresses = [
            *("/papers/", day, f"{day}?length=abstract", f"{day}?length=titles"),
            *(f"{day}?show=posts", f"{day}?show=updated", f"{day}?code=1", f"{day}?category=cs.CL"),
            *("/papers/week/2026-W34/", "/papers/month/2026-08/", "/topics/", "/topics/agents/"),
            *papers,
            *(
                f"/preview/?topic=agents&filter={quote(text)}"
                for text in ("agents", readable(SPOILED), "\"'><b>")
            ),
            f"{day}?length={quote(SHORT)}&category={quote(SPOILED, errors='replace')}&page=%00",
        ]

        assert pages_of(client, addresses) == []
        assert "Agents" in client.get(day).content.decode()

    @pytest.mark.browser
    @pytest.mark.django_db(transaction=True, serialized_rollback=True)
    def test_nothing_of_it_breaks_the_frame_or_runs_in_a_browser(
        self, spoiled, live_server, chromium_path, monkeypatch
    ):
        monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright's loop runs in this thread
        monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
        user = User.objects.create(username="admin", is_staff=True, is_superuser=True)
        signed_in = Browser()
        signed_in.force_login(user)
        post = Paper.objects.filter(kind="post").first()
        entry = SetAside.objects.filter(position=901).first()
        assert post is not None
        assert entry is not None
        addresses = [
            *(f"/papers/{DAY}/", f"/papers/{DAY}/?length=abstract", "/papers/week/2026-W34/"),
            *("/paper/2608.10000/", "/paper/2608.10008/", f"/paper/{post.public_id}/", "/topics/agents/"),
            *("/admin/", "/admin/digest/source/", "/admin/digest/alarm/"),
            *(f"/admin/digest/setaside/{entry.pk}/change/", f"/admin/digest/alarm/{spoiled.alarm.pk}/clear/"),
            f"/admin/digest/source/{spoiled.feed.pk}/off/",
        ]
        said: list[str] = []

        def dismissed(dialog: Dialog) -> None:
            said.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
            context = browser.new_context(viewport={"width": 390, "height": 800}, base_url=live_server.url)
            session = signed_in.session.session_key or ""
            context.add_cookies(
                [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
            )
            page = context.new_page()
            page.on("dialog", dismissed)
            page.on("pageerror", lambda error: said.append(str(error)))
            for address in addresses:
                page.goto(address)
                if not page.evaluate("document.documentElement.scrollWidth <= innerWidth"):
                    said.append(f"{address} is wider than the window: {page.evaluate(WIDE)}")
            browser.close()
            connections.close_all()  # those of Playwright's loop, which nobody else sees

        assert said == []

    def test_addresses_made_of_it_are_no_mistakes_of_ours(self, client, spoiled):
        texts = ("%00", "%ED%A0%80", quote(SHORT), "p99999999999999999", "p١", "v", "2608.10000v99999", "p-1")
        addresses = [
            *(f"/paper/{text}/" for text in texts),
            *(f"/topics/{text}/" for text in texts),
            *(f"/papers/week/{text}/" for text in (*texts, "2026-W99", "0000-W01", "9999-W53")),
            *(f"/papers/month/{text}/" for text in (*texts, "2026-13", "0000-01", "9999-12")),
            *(f"/papers/{day}/" for day in ("2026-02-30", "0000-00-00", "9999-12-31")),
        ]

        assert pages_of(client, addresses, answers=(200, 301, 302, 404)) == []


class TestAdmin:
    def test_nothing_of_it_runs_or_misleads_in_the_admin(self, admin_client, spoiled):
        feed, merge, alarm = spoiled.feed.pk, spoiled.merge.pk, spoiled.alarm.pk
        rows = {
            "batch": Batch.objects.values_list("pk", flat=True),
            "setaside": SetAside.objects.values_list("pk", flat=True),
            "paper": Paper.objects.values_list("pk", flat=True),
            "aitext": AiText.objects.values_list("pk", flat=True)[:2],
        }
        lists = ("source", "batch", "setaside", "alarm", "merge", "aitext", "paper", "upstreamclock")
        addresses = [
            "/admin/",
            *(f"/admin/digest/{name}/" for name in lists),
            *(f"/admin/digest/{name}/?q={quote(TYPED)}" for name in lists if name != "upstreamclock"),
            *(f"/admin/digest/{name}/{pk}/change/" for name, pks in rows.items() for pk in pks),
            *(f"/admin/digest/source/{feed}/{name}/" for name in ("change", "on", "off")),
            f"/admin/digest/merge/{merge}/change/",
            f"/admin/digest/merge/add/?duplicate={quote(TYPED)}",
            "/admin/digest/source/add/",
            *(f"/admin/digest/alarm/{alarm}/{name}/" for name in ("change", "clear")),
        ]

        found = pages_of(admin_client, addresses)
        assert not found, "\n".join(found[:12])

    def test_nor_where_it_is_asked_and_said_what_was_done(self, admin_client, spoiled):
        forms = [
            ("source/add/", {"address": STORABLE[:400], "name": STORABLE[:100]}),
            ("merge/add/", {"duplicate": STORABLE[:900], "original": SHORT, "evidence": STORABLE}),
            ("merge/", {"action": "undo", "_selected_action": [spoiled.merge.pk]}),
            ("alarm/", {"action": "clear", "_selected_action": [spoiled.alarm.pk]}),
            (f"source/{spoiled.feed.pk}/off/", {"confirmed": "yes"}),
            (f"source/{spoiled.feed.pk}/on/", {"confirmed": "yes"}),
            ("source/", {"action": "read_now", "_selected_action": [spoiled.feed.pk]}),
        ]
        found = []
        for path, typed in forms:
            response = admin_client.post(f"/admin/digest/{path}", typed, follow=True)
            if response.status_code != 200:
                found.append(f"{path}: {response.status_code}")
            page = response.content.decode()
            # What an operator typed stands in the field again, as typed.
            found += [one for one in faults(page, where=path) if "add/: '\\u" not in one]

        assert found == []

    def test_what_was_set_aside_is_shown_as_it_came_with_hidden_letters_spelled_out(
        self, admin_client, spoiled
    ):
        entry = SetAside.objects.filter(position=901).first()
        assert entry is not None

        page = admin_client.get(f"/admin/digest/setaside/{entry.pk}/change/").content.decode()

        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "\\u202e" in page

    def test_names_of_sources_are_readable_whoever_gave_them(self, spoiled):
        assert "<script>" not in spoiled.feed.name
        assert spoiled.feed.name.isprintable()
        assert len(spoiled.feed.name) <= 120


class TestMail:
    HEADERS = {"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"}

    @pytest.mark.parametrize("language", ["en", "zh-hans"])
    @pytest.mark.parametrize("length", [*Subscriber.Length])
    def test_a_digest_of_it_is_a_digest(self, spoiled, language, length):
        content = letter(edition_of(), reader("agents", language=language, length=length, wants_updates=True))
        parsed = mail.parsed(content)

        assert isinstance(parsed, EmailMessage)
        assert "Bcc" not in parsed
        assert parsed.defects == []
        assert max(map(len, content.split(b"\r\n"))) <= 998
        assert b"\n" not in content.replace(b"\r\n", b"")
        html, text = mail.part(parsed, "html"), mail.part(parsed, "plain")
        assert faults(html, where="html") == []
        assert not [letter for letter in UNSEEN if letter in text + str(parsed["Subject"])]
        assert not [line for line in text.splitlines() if line.startswith("Bcc:")]
        assert "Q49Q" not in text
        assert len(str(parsed["Subject"])) < 120
        assert len(html.encode()) < 102_000
        assert "Agents" in text


class TestRights:
    GETS = (
        "source/{feed}/on/",
        "source/{feed}/off/",
        "alarm/{alarm}/clear/",
        "source/?action=read_now&_selected_action={feed}",
        "merge/?action=undo&_selected_action={merge}&confirmed=yes",
        "alarm/?action=clear&_selected_action={alarm}&confirmed=yes",
    )

    @staticmethod
    def state() -> list[object]:
        return [
            list(model.objects.order_by("pk").values()) for model in (Source, Alarm, Merge, AiText, Batch)
        ]

    def test_looking_changes_nothing(self, admin_client, spoiled):
        before = self.state()
        ids = {"feed": spoiled.feed.pk, "alarm": spoiled.alarm.pk, "merge": spoiled.merge.pk}

        for path in self.GETS:
            assert admin_client.get(f"/admin/digest/{path.format(**ids)}").status_code in (200, 302)

        assert self.state() == before

    def test_who_may_only_look_neither_sees_nor_does_anything(self, client, spoiled):
        looker = User.objects.create(username="looker", is_staff=True)
        looker.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
        client.force_login(looker)
        before = self.state()
        feed, merge, alarm = spoiled.feed.pk, spoiled.merge.pk, spoiled.alarm.pk

        for path in (
            *("source/add/", "merge/add/", f"source/{feed}/on/", f"source/{feed}/off/"),
            f"alarm/{alarm}/clear/",
        ):
            assert client.get(f"/admin/digest/{path}").status_code == 403, path
            assert client.post(f"/admin/digest/{path}", {"confirmed": "yes"}).status_code == 403, path
        for name, action, pk in (
            ("source", "read_now", feed),
            ("merge", "undo", merge),
            ("alarm", "clear", alarm),
            ("aitext", "ask_again", 1),
        ):
            page = client.get(f"/admin/digest/{name}/").content.decode()
            assert f'value="{action}"' not in page
            client.post(
                f"/admin/digest/{name}/", {"action": action, "_selected_action": [pk], "confirmed": "yes"}
            )
        client.post(f"/admin/digest/source/{feed}/change/", {"name": "Mine", "url": "https://x.example/"})

        assert self.state() == before

    def test_their_pages_offer_nothing_that_would_be_refused(self, client, spoiled):
        looker = User.objects.create(username="looker", is_staff=True)
        looker.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
        client.force_login(looker)
        paper = Paper.objects.get(arxiv_id="2608.10001")

        source = client.get(f"/admin/digest/source/{spoiled.feed.pk}/change/").content.decode()
        shown = client.get(f"/admin/digest/paper/{paper.pk}/change/").content.decode()

        assert "Read now" not in source
        assert "Switch off" not in source
        assert "It is the same as another" not in shown

    def test_strangers_to_the_admin_see_nothing(self, client, spoiled):
        for path in ("", "digest/source/", f"digest/setaside/{SetAside.objects.all()[0].pk}/change/"):
            assert client.get(f"/admin/{path}").status_code == 302


class TestMergingByHand:
    @pytest.mark.parametrize(
        ("duplicate", "original"),
        [
            ("2608.10000", "2608.10000"),
            ("https://evil.example/x", "2608.10001"),
            ("2608.10000", "https://evil.example/x"),
            ("2608.77777", "2608.10001"),
            ("p999999999999999999", "p1"),
            ("\u202e\u2028%00", "https://[bad"),
            ("/paper/", "p"),
            ("x\0y", "2608.10000"),
            ("10.1/" + "x" * 900, "2608.10000"),
        ],
    )
    def test_what_cannot_be_is_said(self, admin_client, spoiled, duplicate, original):
        page = admin_client.post(
            "/admin/digest/merge/add/",
            {"duplicate": duplicate, "original": original, "evidence": "Same work."},
        )

        assert page.status_code == 200
        assert Merge.objects.count() == 1
        assert 'role="alert"' in page.content.decode() or 'aria-invalid="true"' in page.content.decode()

    def test_undone_twice_is_undone_once(self, admin_client, spoiled):
        chosen = {"action": "undo", "_selected_action": [spoiled.merge.pk], "confirmed": "yes"}

        for _ in range(2):
            assert admin_client.post("/admin/digest/merge/", chosen, follow=True).status_code == 200

        assert Merge.objects.get().undone_at is not None
        assert Paper.objects.filter(canonical__isnull=False).count() == 0


class TestManyRows:
    def test_lists_cost_no_more_for_many(self, admin_client, django_assert_max_num_queries):
        Source.objects.bulk_create(
            Source(
                slug=f"s{n}",
                name=f"Source {n}",
                kind="feed",
                url=f"https://s{n}.example/",
                next_fetch_at=NOON,
            )
            for n in range(500)
        )
        sources = list(Source.objects.filter(slug__startswith="s"))
        Batch.objects.bulk_create(
            Batch(source=one, listing_day=DAY, declared=1, rejected=1, fetched_at=NOON) for one in sources
        )
        batches = list(Batch.objects.all())
        SetAside.objects.bulk_create(
            SetAside(
                batch=batches[0] if n < 2_500 else batches[n % 500],
                position=n,
                problem="x",
                raw="y",
                seen_at=NOON,
            )
            for n in range(3_000)
        )
        Alarm.objects.bulk_create(
            Alarm(key=f"late:{one.slug}", kind="late", source=one, message="Late.", raised_at=NOON)
            for one in sources
        )
        for path, most in (
            ("", 60),
            *((f"digest/{name}/", 14) for name in ("source", "batch", "setaside", "alarm")),
            (f"digest/batch/{batches[0].pk}/change/", 14),
            (f"digest/source/{sources[0].pk}/change/", 14),
        ):
            with django_assert_max_num_queries(most):
                response = admin_client.get(f"/admin/{path}")
            assert response.status_code == 200
            assert len(response.content) < 1_000_000, path

    def test_a_paper_s_page_costs_no_more_for_many_sightings(
        self, admin_client, django_assert_max_num_queries
    ):
        paper = listed_paper()
        for number in range(60):
            source = SourceFactory(slug=f"s{number}", name=f"Source {number}")
            Sighting.objects.create(
                paper=paper,
                source=source,
                batch=BatchFactory(source=source),
                listing_day=DAY,
                seen_at=NOON + timedelta(minutes=number),
            )
            post = PaperFactory(arxiv_id=None, key=f"url:https://x.example/{number}", kind="post")
            Mention.objects.create(post=post, key=paper.key, paper=paper, source=source, seen_at=NOON)

        with django_assert_max_num_queries(20):
            assert admin_client.get(f"/admin/digest/paper/{paper.pk}/change/").status_code == 200


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
class TestAtTheSameMoment:
    @staticmethod
    def at_once(*addresses: str) -> list[str]:
        """What comes of adding these feeds at one moment."""
        said: list[str] = []
        start = threading.Barrier(len(addresses))

        def add(address: str) -> None:
            try:
                start.wait(10)
                said.append(feeds.add(address, now=NOON, client=Client(attempts=1)).slug)
            except SourceError as error:
                said.append(str(error))
            except Exception as error:  # what the test is about
                said.append(f"{type(error).__name__}: {error}")
            finally:
                connections.close_all()

        threads = [threading.Thread(target=add, args=(address,)) for address in addresses]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        return sorted(said)

    def test_feeds_of_one_name_have_slugs_of_their_own(self, site: WebServer) -> None:
        names = [f"/feed{number}" for number in range(6)]
        for name in names:
            site.pages[name] = TestAtTheSameMoment.FEED

        assert self.at_once(*(f"{site.url}{name}" for name in names)) == [
            "a-lab",
            *(f"a-lab-{number}" for number in range(2, 7)),
        ]

    def test_one_address_is_added_once(self, site: WebServer) -> None:
        site.pages["/feed"] = TestAtTheSameMoment.FEED

        said = self.at_once(*[f"{site.url}/feed"] * 4)

        assert Source.objects.filter(kind="feed").count() == 1
        assert sum("is read already" in one for one in said) == 3

    FEED = (
        b"<rss version='2.0'><channel><title>A lab</title><item><title>We did it</title>"
        b"<link>https://lab.example/1</link></item></channel></rss>"
    )
