"""Two ways through the whole: with nothing but a mailbox and a browser, against a running Paperboy."""

import copy
import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
import requests
from playwright.sync_api import Page, expect, sync_playwright

from tests.journeys.conftest import TITLES, Paperboy

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("journeys"),  # one Paperboy for both
    # subprocess pipes and the browser's driver close when Python sees fit
    pytest.mark.filterwarnings("default::ResourceWarning"),
]


expect.set_options(timeout=20_000)  # a page is busy while other tests are


def links_in(text: str, path: str) -> list[str]:
    return re.findall(rf"https?://[^\s<>\"]+/{path}/[^\s<>\"]+", text)


def text_of(message) -> str:
    return message.get_body(("plain",)).get_content()


def sign_up(paperboy: Paperboy, address: str, **wishes: object) -> requests.Session:
    """Fill in the form as a browser without JavaScript would."""
    session = requests.Session()
    page = session.get(f"{paperboy.url}/", timeout=10)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
    form = {
        "csrfmiddlewaretoken": token,
        "email": address,
        "topic": ["post-training"],
        "frequency": "daily",
        "hour": "7",
        "timezone": "Europe/Berlin",
    } | wishes
    answer = session.post(f"{paperboy.url}/subscribe/", data=form, timeout=10)
    assert answer.status_code == 200, answer.text
    return session


def confirm(session: requests.Session, link: str) -> None:
    page = session.get(link, timeout=10)
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
    assert session.post(link, data={"csrfmiddlewaretoken": token}, timeout=10).status_code == 200


def test_a_paper_finds_its_way_from_the_source_to_an_inbox(paperboy):
    """Through fetch, beat, broker, worker and SMTP; the only hands are the reader's."""
    address = "ada@lab.example"
    session = sign_up(paperboy, address)
    asked = paperboy.mail_to(address, "onfirm")
    link = links_in(text_of(asked), "confirm")[0]
    started = time.monotonic()
    confirm(session, link)

    digest = paperboy.mail_to(address, "ost-training")

    assert time.monotonic() - started < 60
    text = text_of(digest)
    assert TITLES[0] in text
    assert TITLES[3] in text
    assert TITLES[1] not in text
    html = digest.get_body(("html",)).get_content()
    assert TITLES[0] in html
    assert digest["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    # The next day's list is out: the operator sends it now, and only what is new.
    today = datetime.now(UTC).date()
    paperboy.source.days[today] = copy.deepcopy(paperboy.source.days[today - timedelta(days=1)][:3:2])
    for listed in paperboy.source.days[today]:
        listed["paper"]["submittedOnDailyAt"] = f"{today}T00:00:00.000Z"
    paperboy.manage("fetch_papers", "--date", str(today))
    account = json.loads(
        paperboy.manage("run_edition", "--date", str(today), "--now", "--json").splitlines()[-1]
    )
    assert (account["prepared"], account["sent"], account["skipped"]) == (1, 0, 1)  # they have it already
    again = json.loads(
        paperboy.manage("run_edition", "--date", str(today), "--now", "--json").splitlines()[-1]
    )
    assert again["sent"] == 0
    assert len(paperboy.mails_to(address)) == 2


@pytest.fixture
def page(chromium_path):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"],
        )
        context = browser.new_context(timezone_id="Asia/Tokyo", locale="en-GB")
        yield context.new_page()
        browser.close()


@pytest.mark.browser
def test_from_sign_up_to_unsubscribe_in_a_browser(paperboy, page: Page):
    address = "grace@lab.example"
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.goto(paperboy.url)

    # While choosing: what the mail would hold, before any address is given.
    page.locator("label.chip", has_text="Post-training").click()
    preview = page.locator("#preview")
    expect(preview).to_contain_text(TITLES[0])
    expect(preview).not_to_contain_text(TITLES[1])
    page.get_by_label("Filter", exact=True).fill("agents (")
    expect(page.locator("#filter-say")).to_contain_text("Column")
    page.get_by_label("Filter", exact=True).fill("agents")
    expect(preview).to_contain_text(TITLES[2])
    expect(page.locator("#timezone")).to_have_value("Asia/Tokyo")

    page.get_by_label("Email address").fill(address)
    page.get_by_role("button", name="Subscribe").click()
    expect(page.locator("main")).to_contain_text(address)

    link = links_in(text_of(paperboy.mail_to(address, "onfirm")), "confirm")[0]
    page.goto(link)
    assert not [m for m in paperboy.mails_to(address) if "onfirm" not in m["Subject"]]  # GET did nothing
    page.get_by_role("button", name="Yes, send me the papers").click()
    expect(page.locator("h1")).to_have_text("Confirmed")

    digest = text_of(paperboy.mail_to(address, "Agents|ost-training"))
    assert TITLES[2] in digest

    page.goto(min(links_in(digest, "preferences"), key=len))  # the others are about one paper each
    page.locator(".seg label", has_text="Weekly").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("weekly", ignore_case=True)

    page.goto(links_in(digest, "unsubscribe")[0])
    page.get_by_role("button", name="Unsubscribe").click()
    expect(page.locator("h1")).to_have_text("Done. You will get nothing more.")
    paperboy.mail_to(address, "nsubscribed|nothing more|Goodbye|Done")
    assert problems == []
