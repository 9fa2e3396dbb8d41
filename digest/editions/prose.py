"""How words, numbers and sentences are joined in the active language."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

_HAN = r"[\u3400-\u4dbf\u4e00-\u9fff]"
_LATIN = r"[0-9A-Za-z\u00c0-\u024f]"
_OF_DATES = "[年月日]"  # "8月20日" stays together
_SEAM = re.compile(rf"(?<={_HAN})(?<!{_OF_DATES})(?={_LATIN})|(?<={_LATIN})(?={_HAN})(?!{_OF_DATES})")
_FULL_WIDTH_STOPS = ("。", "！", "？", "；", "：", "，")


def comma() -> str:
    """What stands between the items of a list."""
    return pgettext("between the items of a list", ", ")


def by_comma() -> str:
    """What stands between who wrote something, where and when."""
    return pgettext("between the parts of a by-line", ", ")


def semicolon() -> str:
    """What stands between the parts of a line that are lists themselves."""
    return pgettext("between the parts of a line", "; ")


def colon() -> str:
    """What stands between a label and its value."""
    return pgettext("between a label and its value", ": ")


def listing(words: Sequence[str], *, is_choice: bool = False) -> str:
    """ "a", "a and b", "a, b and c"; with "or" if `is_choice`."""
    if len(words) < 2:
        return "".join(words)
    values = {"items": comma().join(words[:-1]), "last": words[-1]}
    joined = _("%(items)s or %(last)s") if is_choice else _("%(items)s and %(last)s")
    return spaced(joined % values)


def spaced(text: str) -> str:
    """The text with a blank between Chinese and Latin letters or digits."""
    return _SEAM.sub(" ", text)


def sentences(parts: Iterable[str]) -> str:
    """Sentences one after the other; empty ones are left out."""
    text = ""
    for part in filter(None, parts):
        text += part if not text or text.endswith(_FULL_WIDTH_STOPS) else f" {part}"
    return text


def number(count: int) -> str:
    """1284 → "1,284"."""
    return f"{count:,}"


def percent(number: int) -> str:
    """85 → "85 %", with a blank that does not break."""
    return (pgettext("a percentage", "%(number)d %%") % {"number": number}).replace(" ", "\u00a0")


def long_day(day: date) -> str:
    """ "Thursday 20 August 2026"."""
    return date_format(day, pgettext("date format", "l j F Y"))


def day_and_month(day: date) -> str:
    """ "20 August"."""
    return date_format(day, pgettext("date format", "j F"))


def day_month_year(day: date) -> str:
    """ "20 August 2026"."""
    return date_format(day, pgettext("date format", "j F Y"))


def short_day(day: date, *, near: date) -> str:
    """ "20 Aug", with the year where that is not the one of `near`."""
    if day.year == near.year:
        return date_format(day, pgettext("date format", "j M"))
    return date_format(day, pgettext("date format", "j M Y"))


def clock(moment: datetime, *, on: date) -> str:
    """ "10:12 UTC", with the day where that is not `on`: "20 August, 10:12 UTC"."""
    moment = moment.astimezone(UTC)
    time = f"{moment:%H:%M} UTC"
    if moment.date() == on:
        return time
    return _("%(day)s, %(time)s") % {"day": day_and_month(moment.date()), "time": time}
