import socket
import time

import pytest
from django.db import transaction

from subscriptions import tasks


@pytest.fixture
def silent_broker(settings):
    """A broker that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        yield


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
@pytest.mark.parametrize("poke", [tasks.poke_notices, tasks.poke_editions])
def test_nobody_waits_for_a_broker_that_does_not_answer(silent_broker, monkeypatch, poke):
    monkeypatch.setattr(tasks, "BROKER_SECONDS", 0.2)

    started = time.monotonic()
    with transaction.atomic():
        poke()

    assert time.monotonic() - started < 5
