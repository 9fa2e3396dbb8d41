"""Sources in the admin: feeds are added, all switched on and off; their lists, what was set aside, alarms."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from digest.models import Alarm, Batch, SetAside, Source, UpstreamClock
from digest.operations import reading
from digest.papers import alarms, categories, feeds
from digest.papers.text import readable, spelled_out
from digest.sources.arxiv.taxonomy import CATEGORIES
from digest.sources.http import SourceError
from digest.sources.registry import KINDS
from subscriptions.admin import OperatorAdmin, ReadOnlyAdmin, ReadOnlyInline, ask, is_confirmed, rows_of

AFTER_CLEARING = (
    "Nothing else changes. Where the cause still holds, the alarm is raised again at the next look."
)


class CategoryBoxes(forms.CheckboxSelectMultiple):
    """arXiv's categories as boxes with their names, a group at a time; groups with a chosen one are open."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        chosen = {str(one) for one in value or ()}
        rows = [(code, categories.name(code), code in chosen) for code, _words in self.choices]
        groups = [
            (group, members, sum(is_on for _code, _name, is_on in members))
            for group, members in (
                (group, list(rows))
                for group, rows in groupby(rows, key=lambda row: categories.group(row[0]) or "Other")
            )
        ]
        return render_to_string("admin/digest/source/categories.html", {"name": name, "groups": groups})


def category_choices(chosen: list[str]) -> list[tuple[str, str]]:
    """Every category that papers are announced in, by group and code, and those chosen already."""
    known = {code for code, one in CATEGORIES.items() if one.is_active} | set(chosen)
    order = sorted(known, key=lambda code: (categories.group(code) or "~", code))
    return [(code, categories.labelled(code)) for code in order]


class SourceForm(forms.ModelForm):
    """What an operator may change of a source; categories are boxes. The admin names the fields."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "categories" in self.fields:
            self.fields["categories"] = forms.MultipleChoiceField(
                label="Categories",
                choices=category_choices(self.instance.categories),
                widget=CategoryBoxes,
                error_messages={"required": "Choose at least one category, or switch the source off."},
            )

    def clean_name(self) -> str:
        """Readers see it, in the subject of mails too: nothing in it that hides or rearranges."""
        name = readable(self.cleaned_data["name"])
        if not name:
            raise forms.ValidationError("Type a name that can be read.")
        return name


class FeedForm(forms.Form):
    """A feed to be added: the address of the feed itself, or of the site that has one."""

    address = forms.CharField(
        label="Address",
        max_length=500,
        help_text="Of a feed, or of the site: its feed is looked for.",
        widget=forms.TextInput(attrs={"inputmode": "url", "placeholder": "https://lab.example/blog"}),
    )
    name = forms.CharField(
        label="Name",
        max_length=120,
        required=False,
        help_text="Readers see it. Empty: as the feed calls itself.",
    )
    gives = forms.ChoiceField(
        label="What it gives",
        required=False,
        choices=[("", "as it looks"), *Source.Gives.choices],
        help_text="Readers can filter by it: kind:paper, kind:post, kind:forum, kind:news.",
    )


@dataclass(frozen=True)
class Act:
    """Something that is done to one source after a page that asks."""

    question: str
    consequence: str
    button: str
    do: Callable[[Source, datetime], str]
    is_kind: bool


def _switch_on(source: Source, now: datetime) -> str:
    Source.objects.filter(pk=source.pk).update(enabled=True, next_fetch_at=now, consecutive_failures=0)
    return "Switched on. It is read within a minute, if a worker runs."


def _switch_off(source: Source, now: datetime) -> str:
    Source.objects.filter(pk=source.pk).update(enabled=False)
    for alarm in Alarm.objects.raised().filter(source=source):
        alarms.clear(alarm.key, now=now)
    return "Switched off. Its papers stay; nothing new comes in."


ACTS = {
    "on": Act(
        "Switch {} on?",
        "It is read at once and then by its own clock. What it still gives of the last days comes in, "
        "and readers of its topics get those papers.",
        "Switch on",
        _switch_on,
        is_kind=True,
    ),
    "off": Act(
        "Switch {} off?",
        "It is not asked any more, and its alarms are cleared. What it gave stays.",
        "Switch off",
        _switch_off,
        is_kind=False,
    ),
}


@admin.register(Source)
class SourceAdmin(OperatorAdmin):
    """Sources are never deleted: that would take their sightings along. They are switched off."""

    form = SourceForm
    list_display = ["name", "kind_words", "gives", "is_on", "last_success_at", "failing", "next_fetch_at"]
    list_filter = ["enabled", "kind", "gives"]
    search_fields = ["name", "slug", "url"]
    ordering = ["-enabled", "name"]
    readonly_fields = [
        "slug",
        "kind_words",
        "is_on",
        "next_fetch_at",
        "last_success_at",
        "last_failure_at",
        "last_error",
        "consecutive_failures",
        "etag",
        "last_modified",
        "payload_sha256",
    ]
    actions = ["read_now"]
    change_form_outer_before_template = "admin/digest/source/before.html"

    def get_fieldsets(self, request: HttpRequest, obj: Source | None = None) -> Any:
        own = ["name", "slug", "kind_words", "is_on", "url"]
        if obj is not None and obj.kind == Source.Kind.ARXIV:
            own.append("categories")
        elif obj is not None and obj.kind != Source.Kind.HUGGINGFACE:
            own.append("gives")
        state = ["next_fetch_at", "last_success_at", "last_failure_at", "last_error", "consecutive_failures"]
        return [
            (None, {"fields": own}),
            ("How it went", {"fields": state}),
            (
                "What the server told us to say next time",
                {"fields": ["etag", "last_modified", "payload_sha256"]},
            ),
        ]

    def get_urls(self) -> list[URLPattern]:
        own = [
            path(
                f"<int:source_id>/{name}/",
                self.admin_site.admin_view(self.act_view),
                {"name": name},
                name=f"digest_source_{name}",
            )
            for name in ACTS
        ]
        return own + super().get_urls()

    def has_delete_permission(self, request: HttpRequest, obj: Source | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Source, form: forms.ModelForm, change: bool) -> None:
        # Only what was typed: a worker may have read the source while the page was open.
        fields = list(form.changed_data)
        if {"url", "categories"} & set(fields):
            # What the former address said says nothing of the new one.
            obj.etag = obj.last_modified = obj.payload_sha256 = ""
            obj.next_fetch_at = timezone.now()
            fields += ["etag", "last_modified", "payload_sha256", "next_fetch_at"]
        obj.save(update_fields=fields)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add a feed by its address. The others come with the code that reads them."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = FeedForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                source = feeds.add(
                    form.cleaned_data["address"],
                    name=form.cleaned_data["name"],
                    gives=form.cleaned_data["gives"],
                    now=timezone.now(),
                )
            except SourceError as error:
                form.add_error("address", str(error))
            else:
                self.message_user(request, f"{source.name} is added and switched on; a worker reads it next.")
                return HttpResponseRedirect(reverse("admin:digest_source_change", args=[source.pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": "Add a feed",
            "form": form,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/digest/source/add.html", context)

    def act_view(self, request: HttpRequest, source_id: int, name: str) -> HttpResponse:
        """GET asks; POST acts, says what was done, and goes back to the source."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        source = get_object_or_404(Source, pk=source_id)
        act, back = ACTS[name], reverse("admin:digest_source_change", args=[source.pk])
        if request.method == "POST":
            self.message_user(request, f"{source.name}: {act.do(source, timezone.now())}")
            return HttpResponseRedirect(back)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{source.name}: {act.button}",
            "question": act.question.format(source.name),
            "consequence": act.consequence,
            "button": act.button,
            "is_kind": act.is_kind,
            "post_to": request.path,
            "back": back,
        }
        return TemplateResponse(request, "admin/ask.html", context)

    @display(description="kind", ordering="kind")
    def kind_words(self, source: Source) -> str:
        kind = KINDS.get(source.kind)
        return kind.label if kind else f"{source.kind}, which this version cannot read"

    @display(description="switched", ordering="enabled", label={"on": "success", "off": "info"})
    def is_on(self, source: Source) -> str:
        return "on" if source.enabled else "off"

    @display(description="failures in a row", label={"0": "success"}, ordering="consecutive_failures")
    def failing(self, source: Source) -> str:
        return str(source.consecutive_failures)

    @action(description="Read now", permissions=["operate"])
    def read_now(self, request: HttpRequest, queryset: QuerySet[Source]) -> None:
        asked = queryset.filter(enabled=True).update(next_fetch_at=timezone.now())
        self.message_user(request, f"{rows_of(asked, 'source')} read within a minute, if a worker runs.")


class SetAsideInline(ReadOnlyInline):
    model = SetAside
    fields = ["position", "problem", "seen_at"]
    ordering = ["position"]
    show_change_link = True
    per_page = 20


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = [
        "listing_day",
        "source",
        "category",
        "state",
        "declared",
        "new",
        "cross",
        "updated",
        "rejected",
        "door",
        "fetched_at",
    ]
    list_filter = ["source", "door", "is_sample"]
    search_fields = ["source__name", "category"]
    search_help_text = "Words of the source's name, or a category such as cs.CL"
    date_hierarchy = "listing_day"
    ordering = ["-listing_day", "source", "category"]
    list_select_related = ["source"]
    readonly_fields = ["state"]
    inlines = [SetAsideInline]

    @display(
        description="state",
        label={"complete": "success", "still open": "info", "not complete": "warning", "not read": "danger"},
    )
    def state(self, batch: Batch) -> str:
        return reading.state_of(batch)


@admin.register(SetAside)
class SetAsideAdmin(ReadOnlyAdmin):
    list_display = ["batch", "position", "problem", "seen_at"]
    list_filter = ["batch__source"]
    search_fields = ["problem", "raw"]
    search_help_text = "Words of the problem or of the entry as received"
    ordering = ["-seen_at", "position"]
    list_select_related = ["batch__source"]
    fields = ["batch", "position", "problem", "seen_at", "as_received"]
    readonly_fields = ["as_received"]

    @display(description="the entry as received")
    def as_received(self, entry: SetAside) -> SafeString:
        return format_html('<pre class="plain" tabindex="0">{}</pre>', spelled_out(_indented(entry.raw)))


def _indented(raw: str) -> str:
    """A text as it came, anything else as indented JSON; what was cut is shown as it is stored."""
    try:
        entry = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    return entry if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False, indent=2)


@admin.register(Alarm)
class AlarmAdmin(ReadOnlyAdmin):
    list_display = ["message", "kind", "source", "category", "listing_day", "raised_at", "cleared_at"]
    list_filter = [("cleared_at", admin.EmptyFieldListFilter), "kind", "source"]
    search_fields = ["message", "key", "source__name"]
    ordering = [F("cleared_at").desc(nulls_first=True), "-raised_at"]
    list_select_related = ["source"]
    actions = ["clear"]

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<int:alarm_id>/clear/", self.admin_site.admin_view(self.clear_view), name="digest_alarm_clear"
        )
        return [own, *super().get_urls()]

    def clear_view(self, request: HttpRequest, alarm_id: int) -> HttpResponse:
        """GET asks; POST clears one alarm and goes back to the overview."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        alarm = get_object_or_404(Alarm, pk=alarm_id)
        if request.method == "POST":
            alarms.clear(alarm.key, now=timezone.now())
            self.message_user(request, "1 alarm cleared.")
            return HttpResponseRedirect(reverse("admin:index"))
        context = {
            **self.admin_site.each_context(request),
            "title": "Clear an alarm",
            "question": "Clear this alarm?",
            "consequence": AFTER_CLEARING,
            "rows": [alarm],
            "button": "Clear",
            "is_kind": True,
            "post_to": request.path,
            "back": reverse("admin:index"),
        }
        return TemplateResponse(request, "admin/ask.html", context)

    @action(description="Clear", permissions=["operate"])
    def clear(self, request: HttpRequest, queryset: QuerySet[Alarm]) -> HttpResponse | None:
        standing = queryset.filter(cleared_at=None)
        if not is_confirmed(request):
            return ask(
                request,
                self,
                standing,
                question="Clear these alarms?",
                consequence=AFTER_CLEARING,
                button="Clear",
            )
        now = timezone.now()
        keys = list(standing.values_list("key", flat=True))
        for key in keys:
            alarms.clear(key, now=now)
        self.message_user(request, f"{rows_of(len(keys), 'alarm')} cleared.")
        return None


@admin.register(UpstreamClock)
class UpstreamClockAdmin(ReadOnlyAdmin):
    """When services that count all our machines as one were asked last, and if they want to be left alone."""

    list_display = ["name", "started_at", "closed_until", "reason"]
