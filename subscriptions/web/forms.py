"""What people type, read leniently and answered exactly. Every form keeps what was typed."""

import functools
import zoneinfo
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from subscriptions import addresses, filters, interests, lifecycle, topics
from subscriptions.filters import FilterError
from subscriptions.interests import Interest
from subscriptions.lifecycle import Preferences, TopicLine, Wishes
from subscriptions.models import Subscriber, Topic

# Offered first; the rest follows by continent.
COMMON_TIMEZONES = (
    "UTC",
    "America/Los_Angeles",
    "America/New_York",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Berlin",
    "Africa/Lagos",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Australia/Sydney",
)
LANGUAGES = settings.LANGUAGES  # of the mail; each under its own name
HOURS = [(hour, f"{hour:02}:00") for hour in range(24)]
CAPS = (1, 2, 3, 5, 8, 10, 15, 20)
MAX_OWN_FILTERS = 50  # a digest has to be readable, and so has this page


@functools.cache
def timezones() -> list[tuple[str, list[tuple[str, str]]]]:
    """Groups for a select: common ones, then each continent; values are IANA names."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name in sorted(zoneinfo.available_timezones()):
        continent, slash, _ = name.partition("/")
        if slash and continent not in (
            "Etc",
            "SystemV",
            "posix",
            "right",
            "US",
            "Canada",
            "Brazil",
            "Chile",
            "Mexico",
        ):
            groups.setdefault(continent, []).append((name, name.partition("/")[2].replace("_", " ")))
    common = [(name, name.replace("_", " ")) for name in COMMON_TIMEZONES]
    return [("Common", common), *groups.items()]


class FilterField(forms.CharField):
    """A filter, in canonical form; empty stays empty."""

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        try:
            return filters.parse(text).canonical if text else ""
        except FilterError as error:
            raise ValidationError(str(error)) from error


def caret(error: FilterError) -> str:
    """The line below the filter: spaces and a ^ under the column."""
    return error.caret.rpartition("\n")[2]


class AddressField(forms.CharField):
    def clean(self, value: Any) -> str:
        try:
            return addresses.checked(str(value or ""))
        except addresses.BadAddress as error:
            raise ValidationError(str(error)) from error


class _TimesForm(forms.Form):
    frequency = forms.ChoiceField(choices=Subscriber.Frequency, initial=Subscriber.Frequency.DAILY)
    hour = forms.TypedChoiceField(choices=HOURS, coerce=int, initial=7)
    timezone = forms.CharField(initial="UTC", max_length=64)

    def clean_timezone(self) -> str:
        name = self.cleaned_data["timezone"]
        if name not in zoneinfo.available_timezones():
            raise ValidationError(f"{name} is not a time zone we know. Choose the nearest town.")
        return name


class SignUpForm(_TimesForm):
    email = AddressField(required=False)
    topic = forms.MultipleChoiceField(required=False)
    filter = FilterField(required=False, strip=True)
    interest = forms.CharField(required=False, max_length=1000)
    top_papers = forms.BooleanField(required=False)
    language = forms.ChoiceField(choices=LANGUAGES, required=False)  # empty: the first

    def __init__(self, data: Any = None, *, catalogue: Sequence[Topic], **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        chips = self.fields["topic"]
        assert isinstance(chips, forms.MultipleChoiceField)
        chips.choices = [(topic.slug, topic.name) for topic in catalogue]
        chips.error_messages["invalid_choice"] = "“%(value)s” is not in the catalogue any more."

    @property
    def chosen(self) -> set[str]:
        """Slugs of the chips that are ticked, valid form or not."""
        return set(self["topic"].value() or [])

    @property
    def mail_language(self) -> str:
        """The language of the mail that is chosen or preset, valid form or not."""
        value = str(self["language"].value() or "")
        return value if value in dict(LANGUAGES) else LANGUAGES[0][0]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        wanted = (cleaned.get(name) for name in ("topic", "filter", "interest", "top_papers"))
        if not (any(wanted) or self.errors):
            self.add_error("topic", "Choose a topic or write a filter, so that there is something to find.")
        return cleaned

    def wishes(self) -> Wishes:
        cleaned = self.cleaned_data
        return Wishes(
            topics=tuple(cleaned["topic"]),
            filter=cleaned["filter"],
            interest=Interest.read(cleaned["interest"]),
            frequency=cleaned["frequency"],
            hour=cleaned["hour"],
            timezone=cleaned["timezone"],
            top_papers_if_none=cleaned["top_papers"],
        )


class AddressForm(forms.Form):
    email = AddressField(required=False)


class PauseForm(forms.Form):
    until = forms.DateField(
        required=False,
        error_messages={"invalid": "This is not a date. Write it as 2026-08-24, or leave it empty."},
    )

    def __init__(self, data: Any = None, *, today: date, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.today = today

    def clean_until(self) -> date | None:
        until = self.cleaned_data["until"]
        if until is not None and until <= self.today:
            raise ValidationError("This day is over or today. Choose a later one, or leave it empty.")
        return until


@dataclass
class Row:
    """One topic on the preferences page, as typed."""

    line: TopicLine
    is_own: bool
    error: FilterError | None = None

    @property
    def key(self) -> str:
        return str(self.line.topic_id)

    @property
    def caret(self) -> str:
        return caret(self.error) if self.error else ""

    @property
    def caps(self) -> list[int]:
        cap = self.line.max_papers
        return sorted({*CAPS, *([cap] if cap else [])})

    @property
    def filter(self) -> str:
        """As the field shows it: empty where only the interest decides."""
        return "" if self.line.interest and self.line.filter == interests.EVERY_PAPER else self.line.filter

    @property
    def keywords(self) -> str:
        return ", ".join(self.line.interest.keywords)

    @property
    def thresholds(self) -> list[int]:
        least = self.line.min_relevance
        return sorted({*interests.THRESHOLDS, *([least] if least else [])})

    @property
    def needs_threshold(self) -> bool:
        return bool(self.line.interest) and not self.filter


@dataclass
class NewFilter:
    """The empty line for another topic of one's own, as typed: a filter, an interest, or both."""

    name: str = ""
    text: str = ""
    interest: str = ""
    error: FilterError | None = None

    @property
    def caret(self) -> str:
        return caret(self.error) if self.error else ""


class PreferencesForm(_TimesForm):
    """The whole preferences page: times by Django's fields, topics as rows, one `do` for the button pressed.

    `do` is save, add (a catalogue topic), add-filter, or up:ID, down:ID, mute:ID, unmute:ID, remove:ID. Every
    button saves everything, so nothing typed is lost by pressing another one.
    """

    weekday = forms.TypedChoiceField(choices=list(enumerate(lifecycle.WEEKDAYS)), coerce=int)
    length = forms.ChoiceField(choices=Subscriber.Length)
    max_papers = forms.IntegerField(
        min_value=1,
        max_value=100,
        error_messages={
            "min_value": "At least 1 paper, or pause the digest.",
            "max_value": "At most 100 papers fit one mail.",
            "required": "Write a number from 1 to 100.",
            "invalid": "Write a number from 1 to 100.",
        },
    )
    top_papers = forms.BooleanField(required=False)
    updates = forms.BooleanField(required=False)
    language = forms.ChoiceField(
        choices=LANGUAGES,
        error_messages={
            "required": "Choose the language of the mail.",
            "invalid_choice": "No mail is written in “%(value)s”. Choose one of the languages below.",
        },
    )

    def __init__(self, data: Any = None, *, current: Preferences, own_ids: Iterable[int]) -> None:
        super().__init__(
            data,
            initial={
                "frequency": current.frequency,
                "hour": current.hour,
                "weekday": current.weekday,
                "timezone": current.timezone,
                "length": current.length,
                "max_papers": current.max_papers,
                "top_papers": current.top_papers_if_none,
                "updates": current.wants_updates,
                "language": current.language,
            },
        )
        self.own_ids = set(own_ids)
        self.new = NewFilter()
        self.rows = [Row(line, line.topic_id in self.own_ids) for line in current.topics]
        if data is not None:
            self._read(data)

    def wanted(self, catalogue: Iterable[Topic]) -> Preferences | None:
        """What the reader wants, or None where something has to be mended first."""
        if not self.is_valid() or self.new.error or any(row.error for row in self.rows):
            return None
        lines = [row.line for row in self.rows]
        followed = {line.topic_id for line in lines}
        verb, _, key = str(self.data.get("do", "save")).partition(":")
        if verb == "add":
            slug = self.data.get("add", "")
            lines += [
                TopicLine(topic.pk) for topic in catalogue if topic.slug == slug and topic.pk not in followed
            ]
        if self.new.text or Interest.read(self.new.interest):
            interest = Interest.read(self.new.interest)
            lines.append(TopicLine(None, name=self.new.name, filter=self.new.text, interest=interest))
        cleaned = self.cleaned_data
        return Preferences(
            topics=tuple(_rearranged(lines, verb, key)),
            frequency=cleaned["frequency"],
            hour=cleaned["hour"],
            weekday=cleaned["weekday"],
            timezone=cleaned["timezone"],
            length=cleaned["length"],
            max_papers=cleaned["max_papers"],
            top_papers_if_none=cleaned["top_papers"],
            wants_updates=cleaned["updates"],
            language=cleaned["language"],
        )

    def _read(self, data: Any) -> None:
        by_key = {row.key: row for row in self.rows}
        # A topic that was added elsewhere meanwhile is not in the posted list, and stays.
        posted = [key for key in dict.fromkeys(data.getlist("row")) if key in by_key]
        self.rows = [by_key[key] for key in posted] + [
            row for key, row in by_key.items() if key not in posted
        ]
        removed = str(data.get("do", "")).partition("remove:")[2]
        for row in self.rows:
            if row.key not in posted:
                continue
            cap = str(data.get(f"cap_{row.key}", ""))
            max_papers = int(cap) if cap.isdecimal() and 0 < int(cap) <= 100 else None
            least = str(data.get(f"least_{row.key}", row.line.min_relevance or ""))
            min_relevance = int(least) if least.isdecimal() and 0 < int(least) <= 95 else None
            row.line = replace(row.line, max_papers=max_papers, min_relevance=min_relevance)
            if row.is_own:
                row.line = _own_line(row, data)
                is_wide_open = bool(row.line.interest) and row.line.filter == interests.EVERY_PAPER
                row.error = None if row.key == removed or is_wide_open else _error_in(row.line.filter)
        self.new.name = _name(str(data.get("new_name", "")))
        self.new.text = str(data.get("new_filter", "")).strip()
        self.new.interest = interests.one_line(str(data.get("new_interest", "")), 1000)
        if self.new.text or self.new.interest:
            self.new.error = _error_in(self.new.text) if self.new.text else None
            if len(self.own_ids) >= MAX_OWN_FILTERS and not self.new.error:
                self.new.error = FilterError(
                    f"you have {MAX_OWN_FILTERS} filters already.", column=1, cure="Remove one first."
                )


def _rearranged(lines: list[TopicLine], verb: str, key: str) -> list[TopicLine]:
    place = next((number for number, line in enumerate(lines) if str(line.topic_id) == key), None)
    if place is None:
        return lines
    if verb in ("mute", "unmute"):
        lines[place] = replace(lines[place], muted=verb == "mute")
    elif verb == "remove":
        del lines[place]
    elif verb in ("up", "down"):
        other = place + (-1 if verb == "up" else 1)
        if 0 <= other < len(lines):
            lines[place], lines[other] = lines[other], lines[place]
    return lines


def _own_line(row: Row, data: Any) -> TopicLine:
    """A topic of the reader's own as posted; what is not in the post stays."""
    line, key = row.line, row.key
    name = _name(str(data.get(f"name_{key}", line.name)))
    interest = Interest.of(
        str(data.get(f"keywords_{key}", row.keywords)),
        str(data.get(f"sentence_{key}", line.interest.sentence)),
    )
    text = str(data.get(f"filter_{key}", line.filter)).strip()
    if interest and not text:
        text = interests.EVERY_PAPER
    return replace(line, name=name or topics.OWN_NAME, filter=text, interest=interest)


def _name(typed: str) -> str:
    return interests.one_line(typed, interests.MAX_NAME)


def _error_in(text: str) -> FilterError | None:
    try:
        filters.parse(text)
    except FilterError as error:
        return error
    return None
