"""The Chinese of the mails: nothing missing, nothing left over, nothing stale."""

import re

import polib
import pytest
from django.utils import translation

from digest.papers import categories
from digest.sources.arxiv.taxonomy import CATEGORIES
from tests import messages

CATALOGUE = polib.pofile(str(messages.CATALOGUE))
# Looked up by names that the code does not spell out.
OPEN_CONTEXTS = {"town", "category"}
_PLACE = re.compile(r"%\((\w+)\)[sd]|%(d)")


def places(text: str) -> set[str]:
    return {named or bare for named, bare in _PLACE.findall(text)}


def told(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) or [entry.msgstr]


def test_every_text_of_the_mails_is_translated():
    known = {messages.key(entry) for entry in CATALOGUE if entry.translated() and not entry.fuzzy}

    missing = {message: where for message, where in messages.spoken().items() if message not in known}

    assert not missing, "Add these to the catalogue, then run `python -m tests.messages`."


def test_the_search_finds_texts_of_every_kind():
    found = messages.spoken()

    assert ("", "Why", "") in found  # Python
    assert ("", "vote", "votes") in found
    assert ("date format", "j F", "") in found
    assert ("", "Monday", "") in found
    assert ("", "View in browser", "") in found  # templates
    assert ("", "It works until %(until)s UTC.", "") in found
    assert ("", "l j F, H:i", "") in found  # an argument of a filter
    assert ("between a label and its value", ": ", "") in found


def test_nothing_is_translated_that_no_mail_says():
    spoken = messages.spoken()
    left_over = [
        entry.msgid
        for entry in CATALOGUE
        if entry.msgctxt not in OPEN_CONTEXTS and messages.key(entry) not in spoken
    ]

    assert left_over == []


def test_category_names_are_those_of_arxiv():
    names = {category.name for category in CATEGORIES.values()}
    translated = {entry.msgid for entry in CATALOGUE if entry.msgctxt == "category"}

    assert translated <= names
    for code in ("cs.AI", "cs.CL", "cs.CV", "cs.LG", "stat.ML"):  # what is read unless said otherwise
        assert categories.name(code) in translated


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.msgid[:40])
def test_a_translation_holds_the_places_that_its_text_has(entry):
    if entry.msgid == "%(first)s to %(last_with_year)s":
        return  # the year stands first in Chinese
    for text in told(entry):
        assert places(text) == places(entry.msgid_plural or entry.msgid)


def test_the_compiled_catalogue_is_that_of_the_text():
    compiled = polib.mofile(str(messages.CATALOGUE.with_suffix(".mo")))

    def content(catalogue):
        return {(messages.key(entry), tuple(told(entry))) for entry in catalogue}

    assert content(compiled) == content(CATALOGUE), "Run `python -m tests.messages`."


def test_django_finds_it():
    with translation.override("zh-hans"):
        assert translation.gettext("View in browser") == "在浏览器中查看"
        assert translation.ngettext("%d paper", "%d papers", 1) == "%d 篇论文"
