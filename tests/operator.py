"""An operator's browser, without the slow hashing of a password in every test.

Import it in the test module: `from tests.operator import admin_client`.
"""

import pytest
from django.contrib.auth.models import User
from django.test import Client


@pytest.fixture
def admin_client(db: None) -> Client:
    """Signed in as the superuser `admin`; in the place of pytest-django's fixture of that name."""
    client = Client()
    client.force_login(User.objects.create(username="admin", is_staff=True, is_superuser=True))
    return client
