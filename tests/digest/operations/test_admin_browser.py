"""The admin in a real browser: every request stays here, nothing is refused or broken, both themes hold."""

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from playwright.sync_api import Page, sync_playwright

from digest.models import Edition, Source
from digest.papers import alarms
from tests.factories import DAY, NOON, BatchFactory, SubscriberFactory, listed_paper, open_mailing

PAGES = (
    "/admin/",
    "/admin/digest/edition/",
    "/admin/digest/edition/test/",
    "/admin/subscriptions/delivery/",
    "/admin/subscriptions/subscriber/",
    "/admin/subscriptions/subscriber/{reader}/why/?paper=2608.99999",
    "/admin/subscriptions/topic/add/",
    "/admin/digest/source/",
    "/admin/digest/source/add/",
    "/admin/digest/source/{arxiv}/change/",
    "/admin/digest/source/{arxiv}/on/",
    "/admin/digest/batch/",
    "/admin/digest/alarm/",
    "/admin/digest/merge/",
    "/admin/digest/merge/add/",
    "/admin/digest/setaside/",
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, serialized_rollback=True)]


@pytest.fixture
def page(chromium_path, live_server, monkeypatch):
    """Signed in, as wide as a phone."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright's loop runs in this thread
    # The server's threads would keep their connections, and the test database could not be dropped.
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)
    client = Client()
    client.force_login(User.objects.create(username="admin", is_staff=True, is_superuser=True))
    session = client.session.session_key or ""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 390, "height": 800}, base_url=live_server.url)
        context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
        )
        yield context.new_page()
        browser.close()
        connections.close_all()  # those of Playwright's loop, which nobody else sees


def watched(page: Page, home: str) -> tuple[list[str], list[str]]:
    """Lists that fill while the page is used: trouble, and addresses elsewhere."""
    trouble: list[str] = []
    outside: list[str] = []
    own = (home, "data:", "blob:", "about:")
    page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith(own) else outside.append(sent.url))
    return trouble, outside


def test_pages_load_from_here_only_and_fit_a_phone(page, live_server):
    listed_paper()
    reader = SubscriberFactory()
    Edition.objects.create(kind="daily", date=DAY, mailing=open_mailing(), opened_at=NOON)
    source = Source.objects.get(slug="arxiv")
    alarms.raise_("late:arxiv", kind="late", source=source, message="No list came. " * 20, now=NOON)
    BatchFactory(declared=1_284, rejected=3)
    trouble, outside = watched(page, live_server.url)

    for path in (path.format(arxiv=source.pk, reader=reader.pk) for path in PAGES):
        response = page.goto(path)
        page.wait_for_load_state("networkidle")
        assert response.status == 200, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path

    assert trouble == []
    assert outside == []


def test_the_theme_can_be_chosen_against_the_system(page):
    page.emulate_media(color_scheme="dark")
    page.goto("/admin/")
    colours = {}
    for theme in ("light", "dark"):
        page.keyboard.press("Control+e")  # unfold's own shortcut: first to light, then to dark
        page.wait_for_function(f"document.documentElement.classList.contains('{theme}')")
        colours[theme] = page.evaluate("getComputedStyle(document.querySelector('#main')).backgroundColor")
        assert page.evaluate("getComputedStyle(document.documentElement).display") == "block"

    assert colours == {"light": "rgb(252, 252, 250)", "dark": "rgb(18, 20, 22)"}
