"""The ground every test stands on: own PostgreSQL and Redis for this run, no network, nobody's settings.

The services live in a temporary VAR_DIR, started once for all xdist workers and stopped afterwards, so that
any number of runs go on beside each other and beside a `make run`.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import django
import environ
import pytest
from django.conf import settings

from digest import embedded

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# All settings: design.md lists them.
SETTINGS = (
    *("ENVIRONMENT", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "SITE_URL", "PORT", "VAR_DIR", "ALLOWED_HOSTS"),
    *("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "EMAIL_URL", "DEFAULT_FROM_EMAIL", "POSTAL_ADDRESS"),
    *("HUGGINGFACE_URL", "ARXIV_API_URL", "ARXIV_RSS_URL", "ARXIV_OAI_URL", "CONTACT", "LOG_LEVEL"),
    *("LLM_URL", "LLM_KEY", "LLM_MODEL", "DKIM_DOMAIN", "DKIM_SELECTOR", "DKIM_KEY_FILE"),
    *("UNCERTAIN_POLICY", "MAX_RATE", "TRUSTED_FEED_HOSTS", "LLM_DAILY_REQUESTS"),
    *("SEMANTIC_SCHOLAR_URL", "SEMANTIC_SCHOLAR_KEY", "SEMANTIC_MODEL", "LLM_JUDGE"),
)

_is_worker = "PYTEST_XDIST_WORKER" in os.environ


def _prepare_environment() -> Path:
    """Before Django reads its settings: a VAR_DIR of our own, nothing of the caller's environment or .env."""
    if settings.configured:
        raise pytest.UsageError(
            "Django was set up before tests/conftest.py could point it at its own services. Unset "
            "DJANGO_SETTINGS_MODULE and leave out --ds; conftest.py names the settings itself."
        )
    if not _is_worker:
        os.environ["PAPERBOY_TEST_VAR_DIR"] = tempfile.mkdtemp(prefix="paperboy-test-")
    var_dir = Path(os.environ["PAPERBOY_TEST_VAR_DIR"])
    for name in SETTINGS:
        os.environ.pop(name, None)
    environ.Env.read_env = staticmethod(lambda *_args, **_kwargs: None)
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "digest.settings",
        "VAR_DIR": str(var_dir),
        # One Redis database per worker, so that a test may flush its own.
        "REDIS_URL": embedded.redis_url(var_dir, db=number + 1),
        "CELERY_BROKER_URL": embedded.broker_url(var_dir, db=number + 1),
        # Port 9 answers nobody; a test that fetches brings its own server.
        "HUGGINGFACE_URL": "http://127.0.0.1:9",
        "ARXIV_RSS_URL": "http://127.0.0.1:9",
        "ARXIV_OAI_URL": "http://127.0.0.1:9/oai",
        "ARXIV_API_URL": "http://127.0.0.1:9/api/query",
    }
    return var_dir


def _remove_abandoned() -> None:
    """Folders of runs that were killed: an hour old, and nobody in them."""
    for folder in Path(tempfile.gettempdir()).glob("paperboy-test-*"):
        status = folder.stat()
        if (
            status.st_uid == os.getuid()
            and status.st_mtime < time.time() - 3600
            and not embedded.is_held(folder)
        ):
            shutil.rmtree(folder, ignore_errors=True)


VAR_DIR = _prepare_environment()
django.setup()  # pytest-django does so by itself only where it knows the settings module before this file
del os.environ["DJANGO_SETTINGS_MODULE"]  # xdist workers inherit it, and would know it too early
_services = contextlib.ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if not _is_worker and not session.config.option.collectonly:
        _remove_abandoned()
        _services.enter_context(embedded.hold(VAR_DIR, {embedded.POSTGRES, embedded.REDIS}, durable=False))


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    if not _is_worker:
        _services.close()
        shutil.rmtree(VAR_DIR, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    no_data = pytest.mark.skip(reason=f"the recorded upstream data is not at {SHARED_DATA}")
    no_browser = pytest.mark.skip(reason="not run: no Chromium found")
    for item in items:
        if "shared_data" in item.keywords and not SHARED_DATA.is_dir():
            item.add_marker(no_data)
        # .ci/run sets REQUIRE_BROWSER: there a missing browser fails (in the fixture) not passes unseen.
        if "browser" in item.keywords and _chromium() is None and not os.environ.get("REQUIRE_BROWSER"):
            item.add_marker(no_browser)


@pytest.fixture(scope="session")
def shared_data_dir() -> Path:
    """../shared/data beside the repository; tests that use it are marked shared_data."""
    return SHARED_DATA


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The browser of tests marked browser."""
    path = _chromium()
    assert path is not None, f"None of {', '.join(BROWSERS)} is on the PATH, and CHROMIUM names none."
    return path


@pytest.fixture
def var_dir() -> Iterator[Path]:
    """An empty folder for services of a test's own; short, because sockets' paths are."""
    folder = Path(tempfile.mkdtemp(prefix="paperboy-test-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _chromium() -> str | None:
    given = os.environ.get("CHROMIUM")
    return given or next((path for name in BROWSERS if (path := shutil.which(name))), None)
