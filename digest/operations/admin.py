"""Editions in the admin, and what an operator may do with one; previews, tests, users.

Sources and papers have modules of their own. Rows that the machinery made are shown, not edited. Readers get
a second page here: `subscriptions` may not know of digests, so "preview" is added from this side.
"""

import email
import email.policy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, Sum
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from digest.editions import preview
from digest.models import Edition, EditionMatch, EditionPaper
from digest.operations import dashboard, paper_admin, source_admin, testmail, why_admin
from subscriptions import addresses
from subscriptions.admin import ReadOnlyAdmin, ReadOnlyInline, SubscriberAdmin, rows_of
from subscriptions.mail import outbox
from subscriptions.models import Delivery, Subscriber, Topic, normalise_address

__all__ = ["paper_admin", "source_admin"]  # registered by being imported

# --- editions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Act:
    """Something that is done to an edition's mailing as a whole, after a page that asks."""

    question: str
    consequence: str
    button: str
    do: Callable[[int, str, datetime], str]  # (mailing id, note, now) → what was done, a sentence
    note_label: str = ""
    is_kind: bool = False  # mends rather than stops


def _pause(mailing_id: int, note: str, now: datetime) -> str:
    if outbox.pause(mailing_id, reason=note, now=now):
        return "Paused. Groups under way finish; nothing more is handed to the mail server."
    return "Nothing to pause: the edition is paused already or complete."


def _resume(mailing_id: int, note: str, now: datetime) -> str:
    if outbox.resume(mailing_id):
        return "Resumed. Sending goes on within half a minute."
    return "Nothing to resume: the edition is not paused."


def _retry(mailing_id: int, note: str, now: datetime) -> str:
    return f"{rows_of(outbox.retry_failed(mailing_id), 'failed digest')} due again."


def _resend(mailing_id: int, note: str, now: datetime) -> str:
    moved = outbox.settle_uncertain(mailing_id, to=Delivery.State.DUE)
    return f"{rows_of(moved, 'uncertain digest')} due again, with the same Message-ID."


def _count_as_sent(mailing_id: int, note: str, now: datetime) -> str:
    moved = outbox.settle_uncertain(mailing_id, to=Delivery.State.SENT)
    return f"{rows_of(moved, 'uncertain digest')} counted as sent."


ACTS = {
    "pause": Act(
        "Pause this edition?",
        "Nothing more is handed to the mail server until you resume it. What is under way finishes. "
        "A digest that waits longer than a day expires.",
        "Pause edition",
        _pause,
        note_label="Why (shown on the overview)",
    ),
    "resume": Act(
        "Resume this edition?",
        "Digests that are due go out at once.",
        "Resume edition",
        _resume,
        is_kind=True,
    ),
    "retry": Act(
        "Try all failed digests again?",
        "They are due at once. Addresses that are suppressed are skipped.",
        "Try again",
        _retry,
        is_kind=True,
    ),
    "resend": Act(
        "Send all uncertain digests again?",
        "The Message-ID stays, so many mailboxes drop a repeat. Some readers may get it twice.",
        "Send again",
        _resend,
    ),
    "count-as-sent": Act(
        "Count all uncertain digests as sent?",
        "They are not sent again. Right where the mail server's log shows that it took them.",
        "Count as sent",
        _count_as_sent,
    ),
}


class EditionPaperInline(ReadOnlyInline):
    model = EditionPaper
    fields = ["position", "paper", "announced", "listing_day", "score", "votes", "gained", "comments"]
    ordering = ["position"]
    per_page = 25
    verbose_name_plural = "papers, frozen at opening"

    def get_queryset(self, request: HttpRequest) -> QuerySet[EditionPaper]:
        return super().get_queryset(request).select_related("paper")


class ProblemInline(ReadOnlyInline):
    """Only the filters that could not be evaluated: an edition may have thousands that could."""

    model = EditionMatch
    fields = ["filter", "problem"]
    ordering = ["pk"]
    per_page = 25
    verbose_name_plural = "filters that could not be evaluated"

    def get_queryset(self, request: HttpRequest) -> QuerySet[EditionMatch]:
        return super().get_queryset(request).exclude(problem="").select_related("filter")


@admin.register(Edition)
class EditionAdmin(ReadOnlyAdmin):
    list_display = [
        "date",
        "kind",
        "state",
        "prepared",
        "sent",
        "unfinished",
        "skipped",
        "failed",
        "uncertain",
        "ledger",
    ]
    list_filter = ["kind", "mailing__status", "is_sample"]
    search_fields = ["mailing__label"]
    search_help_text = "A date such as 2026-08-21, or daily, or weekly"
    date_hierarchy = "date"
    ordering = ["-date", "kind"]
    list_select_related = ["mailing"]
    fields = ["kind", "date", "state", "opened_at", "composed_at", "closes_at", "completed_at", "is_sample"]
    readonly_fields = ["state", "closes_at", "completed_at"]
    change_form_outer_before_template = "admin/digest/edition/before.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Edition]:
        sums = {
            f"sum_{name}": Sum(f"mailing__counters__{name}", default=0)
            for name in ("prepared", *Delivery.State.values)
        }
        return super().get_queryset(request).annotate(**sums)

    def get_inlines(self, request: HttpRequest, obj: Edition | None) -> list[type[ReadOnlyInline]]:
        has_problems = obj is not None and obj.matches.exclude(problem="").exists()
        return [ProblemInline, EditionPaperInline] if has_problems else [EditionPaperInline]

    def get_urls(self) -> list[URLPattern]:
        own = [
            path("preview/", self.admin_site.admin_view(self.preview_view), name="digest_edition_preview"),
            path("test/", self.admin_site.admin_view(self.test_view), name="digest_edition_test"),
            *(
                path(
                    f"<int:edition_id>/{name}/",
                    self.admin_site.admin_view(self.act_view),
                    {"name": name},
                    name=f"digest_edition_{name}",
                )
                for name in ACTS
            ),
        ]
        return own + super().get_urls()

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        edition = self.get_object(request, object_id) if object_id else None
        account = dashboard.account(edition, now=timezone.now()) if edition else {}
        return super().changeform_view(request, object_id, form_url, {**(extra_context or {}), **account})

    def act_view(self, request: HttpRequest, edition_id: int, name: str) -> HttpResponse:
        """GET asks; POST acts, says what was done, and goes back to the edition."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        edition = get_object_or_404(Edition.objects.select_related("mailing"), pk=edition_id)
        act = ACTS[name]
        if request.method == "POST":
            done = act.do(edition.mailing_id, request.POST.get("note", "").strip(), timezone.now())
            self.message_user(request, f"{edition.mailing.label}: {done}")
            return HttpResponseRedirect(dashboard.edition_url(edition))
        context = {
            **self.admin_site.each_context(request),
            "title": f"{edition.mailing.label}: {act.button}",
            "question": act.question,
            "consequence": act.consequence,
            "button": act.button,
            "note_label": act.note_label,
            "is_kind": act.is_kind,
            "rows": [edition.mailing.label],
            "post_to": request.path,
            "back": dashboard.edition_url(edition),
        }
        return TemplateResponse(request, "admin/ask.html", context)

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """The exact next digest of one reader, as the mail server would get it; nothing is recorded.

        The address is typed into a POST and leads to the reader's number: addresses stay out of logs.
        """
        if not request.user.has_perm("subscriptions.view_subscriber"):
            raise PermissionDenied
        form = ReaderForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            reader = form.cleaned_data["reader"]
            return HttpResponseRedirect(f"{reverse('admin:digest_edition_preview')}?subscriber={reader.pk}")
        context = {**self.admin_site.each_context(request), "title": "Preview a digest", "form": form}
        if number := request.GET.get("subscriber"):
            if not number.isdigit():
                raise Http404
            reader = get_object_or_404(Subscriber.objects.exclude(status="erased"), pk=int(number))
            context |= {"reader": reader, "letter": _letter(reader, now=timezone.now())}
        return TemplateResponse(request, "admin/digest/edition/preview.html", context)

    def test_view(self, request: HttpRequest) -> HttpResponse:
        """Send one real mail to an address of the operator's, as some reader would get it."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        form = TestForm(request.POST or None, initial={"to": request.user.email})  # type: ignore[union-attr]
        if request.method == "POST" and form.is_valid():
            try:
                reply = testmail.send(form.message(now=timezone.now()), to=form.cleaned_data["to"])
            except (testmail.TestRefused, preview.NoPapersError) as error:
                form.add_error(None, str(error))
            else:
                self.message_user(request, f"Sent to {form.cleaned_data['to']}. The server said: {reply}")
                return HttpResponseRedirect(reverse("admin:digest_edition_test"))
        context = {**self.admin_site.each_context(request), "title": "Send a test", "form": form}
        return TemplateResponse(request, "admin/digest/edition/test.html", context)

    @display(description="state", label={"complete": "success", "paused": "warning", "open": "info"})
    def state(self, edition: Edition) -> str:
        return edition.mailing.status

    @display(description="closes at")
    def closes_at(self, edition: Edition) -> str:
        return localize(edition.mailing.closes_at)

    @display(description="complete since")
    def completed_at(self, edition: Edition) -> str | None:
        return localize(edition.mailing.completed_at)

    def _counted(self, edition: Edition, *states: str) -> SafeString | str:
        number = sum(getattr(edition, f"sum_{state}") for state in states)
        if not number:
            return "0"
        name = states[0] if len(states) == 1 else "open"
        url = dashboard.deliveries_url(edition.mailing_id, "" if name == "prepared" else name)
        return format_html('<a class="underline" href="{}">{}</a>', url, f"{number:,}")

    @display(description="prepared")
    def prepared(self, edition: Edition) -> str:
        return self._counted(edition, "prepared")

    @display(description="sent")
    def sent(self, edition: Edition) -> str:
        return self._counted(edition, "sent")

    @display(description="not finished")
    def unfinished(self, edition: Edition) -> str:
        return self._counted(edition, "due", "leased", "handing", "deferred")

    @display(description="skipped")
    def skipped(self, edition: Edition) -> str:
        return self._counted(edition, "skipped")

    @display(description="failed")
    def failed(self, edition: Edition) -> str:
        return self._counted(edition, "failed")

    @display(description="uncertain")
    def uncertain(self, edition: Edition) -> str:
        return self._counted(edition, "uncertain")

    @display(description="ledger")
    def ledger(self, edition: Edition) -> str:
        counts = {name: getattr(edition, f"sum_{name}") for name in ("prepared", *Delivery.State.values)}
        return dashboard.Balance(edition.mailing_id, counts).short_verdict


# --- previews and tests -------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """A message taken apart for the page; `problem` instead, where there is none to show."""

    subject: str = ""
    sender: str = ""
    to: str = ""
    html: str = ""
    text: str = ""
    kilobytes: float = 0.0
    problem: str = ""


def _letter(reader: Subscriber, *, now: datetime) -> Shown:
    try:
        content = preview.for_subscriber(reader, now=now)
    except preview.NoPapersError as error:
        return Shown(problem=str(error))
    message = email.message_from_bytes(content, policy=email.policy.default)
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    return Shown(
        subject=message["Subject"],
        sender=message["From"],
        to=message["To"],
        html=html.get_content() if html else "",
        text=text.get_content() if text else "",
        kilobytes=len(content) / 1024,
    )


def _reader_of(typed: str) -> Subscriber:
    address = normalise_address(typed)
    reader = Subscriber.objects.filter(address=address).first()
    if reader is None:
        raise forms.ValidationError(f"No reader has the address {address}. The list of subscribers has all.")
    return reader


class ReaderForm(forms.Form):
    reader = forms.CharField(label="The reader's address", max_length=254)

    def clean_reader(self) -> Subscriber:
        return _reader_of(self.cleaned_data["reader"])


class TestForm(forms.Form):
    """Where to, and whose digest: a reader's, or one made of topics of the catalogue."""

    __test__ = False  # its name is not meant for pytest

    to = forms.CharField(label="Send it to", max_length=254)
    reader = forms.CharField(
        label="As this reader would get it",
        max_length=254,
        required=False,
        help_text="Their address. The links in the mail are this reader's own and act for them.",
    )
    topics = forms.ModelMultipleChoiceField(
        label="Or with these topics",
        queryset=Topic.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What can be seen at once: down to what is right below a heading.
        self.fields["topics"].queryset = Topic.objects.subjects().filter(parent__parent=None)  # type: ignore[attr-defined]

    def clean_to(self) -> str:
        try:
            return addresses.checked(self.cleaned_data["to"])
        except addresses.BadAddress as error:
            raise forms.ValidationError(str(error)) from error

    def clean_reader(self) -> Subscriber | None:
        typed = self.cleaned_data["reader"].strip()
        return _reader_of(typed) if typed else None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors and bool(cleaned.get("reader")) == bool(cleaned.get("topics")):
            raise forms.ValidationError("Name a reader, or choose topics: one of the two.")
        return cleaned

    def message(self, *, now: datetime) -> bytes:
        """The digest to send. Raises preview.NoPapersError."""
        reader = self.cleaned_data["reader"]
        if reader is not None:
            return preview.for_subscriber(reader, now=now)
        return preview.for_filters([topic.filter.canonical for topic in self.cleaned_data["topics"]], now=now)


# --- readers and users --------------------------------------------------------------------------

admin.site.unregister([Subscriber, User, Group])


@admin.register(Subscriber)
class ReaderAdmin(SubscriberAdmin):
    """A subscriber with what only this side knows: their next digest, and why they got a paper or not."""

    change_form_outer_before_template = "admin/digest/reader.html"

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<int:subscriber_id>/why/",
            self.admin_site.admin_view(self.why_view),
            name="subscriptions_subscriber_why",
        )
        return [own, *super().get_urls()]

    def why_view(self, request: HttpRequest, subscriber_id: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        reader = get_object_or_404(Subscriber.objects.exclude(status="erased"), pk=subscriber_id)
        return why_admin.page(request, reader, {**self.admin_site.each_context(request), "opts": self.opts})


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    pass
