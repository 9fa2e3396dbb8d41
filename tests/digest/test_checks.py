"""What an installation must not run with, and that each refusal says how to mend it."""

import pytest
from django.core.checks import run_checks

from digest import checks


@pytest.fixture
def production(settings):
    """Settings as a public site should have them."""
    settings.ENVIRONMENT = "production"
    settings.SECRET_KEY = "x" * 64
    settings.POSTAL_ADDRESS = "Paperboy, 1 Lane, 12345 Town"
    settings.SITE_URL = "https://papers.example.org"
    settings.DATABASE_URL = "postgres://db/paperboy"
    settings.REDIS_URL = "redis://cache:6379/0"
    settings.EMAIL_URL = "smtp+tls://mail.example.org:587"
    settings.DEFAULT_FROM_EMAIL = "Paperboy <paperboy@example.org>"
    return settings


def ids(found) -> list[str]:
    return [problem.id for problem in found]


class TestProductionSettings:
    def test_a_public_site_passes(self, production):
        assert checks.production_settings(None) == []

    @pytest.mark.parametrize(
        ("name", "value", "number"),
        [
            ("POSTAL_ADDRESS", "  ", "paperboy.E011"),
            ("SITE_URL", "http://papers.example.org", "paperboy.E012"),
            ("DATABASE_URL", "", "paperboy.E013"),
            ("REDIS_URL", "", "paperboy.E014"),
            ("EMAIL_URL", "", "paperboy.E015"),
        ],
    )
    def test_each_default_of_a_laptop_is_refused_with_its_cure(self, production, name, value, number):
        setattr(production, name, value)

        (problem,) = checks.production_settings(None)

        assert problem.id == number
        assert name in problem.msg
        assert name in str(problem.hint)

    def test_the_default_key_is_refused(self, production):
        production.SECRET_KEY = production.INSECURE_SECRET_KEY

        assert ids(checks.production_settings(None)) == ["paperboy.E010"]

    def test_a_laptop_may_have_all_of_them(self, production):
        production.ENVIRONMENT = "development"
        production.SECRET_KEY = production.INSECURE_SECRET_KEY
        production.POSTAL_ADDRESS = production.DATABASE_URL = production.REDIS_URL = production.EMAIL_URL = ""
        production.SITE_URL = "http://127.0.0.1:8000"

        assert checks.production_settings(None) == []


class TestMeaningfulSettings:
    def test_the_defaults_pass(self):
        assert checks.meaningful_settings(None) == []

    @pytest.mark.parametrize(
        ("name", "value", "number"),
        [
            ("ENVIRONMENT", "prod", "paperboy.E001"),
            ("UNCERTAIN_POLICY", "retry", "paperboy.E002"),
            ("DEFAULT_FROM_EMAIL", "Paperboy", "paperboy.E003"),
            ("DEFAULT_FROM_EMAIL", "Paperboy <paperboy@>", "paperboy.E003"),
            ("DEFAULT_FROM_EMAIL", "Paperboy <@example.org>", "paperboy.E003"),
            ("DEFAULT_FROM_EMAIL", "Paperboy <paperboy@localhost>", "paperboy.E003"),
            ("DEFAULT_FROM_EMAIL", "Paperboy\nBcc: all@example.org <a@example.org>", "paperboy.E003"),
            ("MAX_RATE", -1.0, "paperboy.E004"),
            ("SEMANTIC_MODEL", "bert", "paperboy.E005"),
        ],
    )
    def test_what_means_nothing_is_refused_everywhere(self, settings, name, value, number):
        setattr(settings, name, value)

        (problem,) = checks.meaningful_settings(None)

        assert problem.id == number
        assert problem.msg.startswith(f"{name} is ")
        assert name in str(problem.hint)

    def test_django_asks_both(self, settings):
        settings.ENVIRONMENT = "production"
        settings.UNCERTAIN_POLICY = "retry"

        found = set(ids(run_checks()))

        assert {"paperboy.E002", "paperboy.E010"} <= found
