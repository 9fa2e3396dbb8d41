"""What an operator sees of readers, topics and mail, and the little that may be changed by hand.

Consents, deliveries and notices are read-only: a row edited by hand would lie. Whatever moves goes through
`lifecycle`, `outbox` and `notices`, and asks before it acts.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Count, IntegerField, Model, OuterRef, Q, QuerySet, Subquery, URLField
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action, display
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminTextareaWidget

from subscriptions import addresses, filters, lifecycle, privacy, topics
from subscriptions.mail import notices, outbox
from subscriptions.models import (
    Consent,
    Delivery,
    Mailing,
    Notice,
    SubscribedTopic,
    Subscriber,
    Suppression,
    Topic,
    normalise_address,
)
from subscriptions.models.delivery import DeliveryQuerySet
from subscriptions.models.suppression import SuppressionQuerySet

State = Delivery.State
_LISTED_MAILINGS = 60
_SHOWN_FILTER = 80  # characters, in a list
_SHOWN_ROWS = 20  # of a selection, on the page that asks

# The deliveries list's filter; the overview's links use the same names.
STATE_CHOICES: dict[str, tuple[str, tuple[str, ...]]] = {
    "open": ("not finished", (State.DUE, State.LEASED, State.HANDING, State.DEFERRED)),
    "due": ("due or under way", (State.DUE, State.LEASED, State.HANDING)),
    "deferred": ("deferred", (State.DEFERRED,)),
    "sent": ("sent", (State.SENT,)),
    "skipped": ("skipped", (State.SKIPPED,)),
    "failed": ("failed", (State.FAILED,)),
    "expired": ("expired", (State.EXPIRED,)),
    "uncertain": ("uncertain", (State.UNCERTAIN,)),
}


# --- what all lists share -----------------------------------------------------------------------


class OperatorAdmin(ModelAdmin):
    """A list in unfold's dress; actions that move something need the right to change the model."""

    list_per_page = 100
    show_facets = admin.ShowFacets.NEVER  # a facet is a count, and some of these tables are long
    list_disable_select_all = True  # an action is for rows that were looked at
    warn_unsaved_form = True

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if isinstance(db_field, URLField):
            kwargs["assume_scheme"] = "https"  # what Django 6 does by itself, and warns about until then
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        # PostgreSQL has no NUL; Django notices it in the search box only, not in filters.
        if any("\0" in value for values in request.GET.lists() for value in values[1]):
            raise IncorrectLookupParameters
        return super().get_changelist_instance(request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        # Not has_change_permission: read-only lists answer that with False.
        return request.user.has_perm(f"{self.opts.app_label}.change_{self.opts.model_name}")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        # Nothing is deleted from a list: readers are erased, topics retired, mailings dropped as a whole.
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions


class ReadOnlyAdmin(OperatorAdmin):
    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyInline(TabularInline):
    extra = 0
    hide_title = True
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def is_confirmed(request: HttpRequest) -> bool:
    return "confirmed" in request.POST


def ask(
    request: HttpRequest,
    model_admin: ModelAdmin,
    queryset: QuerySet[Any],
    *,
    question: str,
    consequence: str,
    button: str,
    note_label: str = "",
) -> HttpResponse:
    """The page between an action and its deed: what would happen to which rows, one button, and a way back.

    With `note_label` it has a line of text, which comes back as `note`.
    """
    context = {
        **model_admin.admin_site.each_context(request),
        "title": question,
        "opts": model_admin.opts,
        "question": question,
        "consequence": consequence,
        "rows": list(queryset[:_SHOWN_ROWS]),
        "more": len(request.POST.getlist(ACTION_CHECKBOX_NAME)) - _SHOWN_ROWS,
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "action": request.POST.get("action", ""),
        "button": button,
        "note_label": note_label,
        "back": request.get_full_path(),  # with the list's filters, which the selection lies within
    }
    return TemplateResponse(request, "admin/ask.html", context)


def rows_of(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _operator(request: HttpRequest) -> str:
    return f"operator {request.user.get_username()}"


# --- subscribers --------------------------------------------------------------------------------


class SubscribedTopicInline(ReadOnlyInline):
    model = SubscribedTopic
    fields = ["topic", "filter", "muted", "max_papers"]
    readonly_fields = ["filter"]
    verbose_name_plural = "topics, in the order of the digest"

    def get_queryset(self, request: HttpRequest) -> QuerySet[SubscribedTopic]:
        return super().get_queryset(request).select_related("topic__filter")

    @display(description="filter")
    def filter(self, row: SubscribedTopic) -> str:
        return row.topic.filter.canonical


class ConsentInline(ReadOnlyInline):
    model = Consent
    fields = ["at", "act", "source", "wording"]
    ordering = ["-at", "-pk"]
    verbose_name_plural = "consent, newest first"


@admin.register(Subscriber)
class SubscriberAdmin(OperatorAdmin):
    """Nobody is added here: consent comes by the sign-up page or with an import. Nobody is deleted, but
    erased, which keeps the number from being used again."""

    list_display = ["email", "state", "frequency", "hour", "timezone", "created_at", "confirmed_at"]
    show_full_result_count = False
    list_filter = ["status", "frequency", "length", "language"]
    search_fields = ["address"]
    search_help_text = "Any part of the address"
    ordering = ["-pk"]
    readonly_fields = [
        "email",
        "status",
        "paused_until",
        "created_at",
        "confirmed_at",
        "left_at",
        "deliveries",
    ]
    fieldsets = [
        (None, {"fields": ["email", "status", "paused_until", "deliveries"]}),
        ("When", {"fields": ["frequency", "hour", "weekday", "timezone"]}),
        ("What", {"fields": ["length", "max_papers", "top_papers_if_none", "wants_updates", "language"]}),
        ("Since", {"fields": ["created_at", "confirmed_at", "left_at"]}),
    ]
    inlines = [SubscribedTopicInline, ConsentInline]
    actions = ["suppress", "lift", "unsubscribe", "erase"]
    change_form_outer_before_template = "admin/subscriptions/subscriber/acts.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Subscriber | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Subscriber, form: forms.ModelForm, change: bool) -> None:
        # Only what was typed: the status may have moved while the page was open.
        obj.save(update_fields=form.changed_data)

    @display(
        description="status",
        ordering="status",
        label={"active": "success", "unconfirmed": "info", "paused": "warning", "suppressed": "danger"},
    )
    def state(self, subscriber: Subscriber) -> str:
        return subscriber.status

    @display(description="deliveries")
    def deliveries(self, subscriber: Subscriber) -> SafeString:
        query = urlencode({"q": subscriber.email or subscriber.pk})
        return format_html(
            '<a class="underline" href="{}?{}">What was sent to this reader</a>',
            reverse("admin:subscriptions_delivery_changelist"),
            query,
        )

    @action(description="Suppress", permissions=["operate"])
    def suppress(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> HttpResponse | None:
        if not is_confirmed(request):
            return ask(
                request,
                self,
                queryset,
                question="Never write to these addresses again?",
                consequence="They get nothing more, a digest under way included, until you lift it.",
                button="Suppress",
                note_label="Why (kept as evidence)",
            )
        evidence = f"{_operator(request)}: {request.POST.get('note', '').strip() or 'no reason given'}"
        chosen = list(queryset.exclude(status=Subscriber.Status.ERASED))
        for subscriber in chosen:
            lifecycle.suppress(
                subscriber.address,
                reason=Suppression.Reason.OPERATOR,
                evidence=evidence,
                now=timezone.now(),
            )
        self.message_user(request, f"{len(chosen):,} suppressed.")
        return None

    @action(description="Lift the suppression", permissions=["operate"])
    def lift(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> HttpResponse | None:
        if not is_confirmed(request):
            return ask(
                request,
                self,
                queryset,
                question="Write to these addresses again?",
                consequence="Each reader is what they were before: active, paused or unsubscribed.",
                button="Lift",
            )
        now, source = timezone.now(), _operator(request)
        lifted = sum(lifecycle.lift(subscriber.address, now=now, source=source) for subscriber in queryset)
        self.message_user(request, f"{lifted:,} of {len(queryset):,} lifted; the others were not suppressed.")
        return None

    @action(description="Unsubscribe", permissions=["operate"])
    def unsubscribe(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> HttpResponse | None:
        if not is_confirmed(request):
            return ask(
                request,
                self,
                queryset,
                question="Unsubscribe these readers?",
                consequence="They get one goodbye mail, which lets them undo it, and nothing after that.",
                button="Unsubscribe",
            )
        now, source = timezone.now(), _operator(request)
        left = sum(lifecycle.unsubscribe(reader.pk, now=now, source=source) for reader in queryset)
        self.message_user(request, f"{left:,} of {len(queryset):,} unsubscribed; the others had left before.")
        return None

    @action(description="Erase", permissions=["operate"])
    def erase(self, request: HttpRequest, queryset: QuerySet[Subscriber]) -> HttpResponse | None:
        if not is_confirmed(request):
            return ask(
                request,
                self,
                queryset,
                question="Forget these people?",
                consequence="Address, topics and mails are deleted for good. This cannot be undone.",
                button="Erase",
            )
        for subscriber in queryset:
            privacy.erase(subscriber.pk, now=timezone.now())
        self.message_user(request, f"{len(queryset):,} erased.")
        return None


# --- topics -------------------------------------------------------------------------------------


class TopicForm(forms.ModelForm):
    """A topic with its filter as text; the row keeps the revision that the text stands for."""

    filter_text = forms.CharField(
        label="Filter",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "class": "font-mono", "spellcheck": "false"}),
        help_text="In the filter language. Shown back in its canonical form; counts from the next edition.",
    )

    class Meta:
        model = Topic
        fields = [
            "name",
            "slug",
            "group",
            "parent",
            "position",
            "description",
            "keywords",
            "names",
            "descriptions",
            "retired_at",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial.setdefault("filter_text", self.instance.filter.canonical)
        parents = self.fields["parent"]
        assert isinstance(parents, forms.ModelChoiceField)
        parents.queryset = Topic.objects.catalogue()

    def clean_parent(self) -> Topic | None:
        above = parent = self.cleaned_data["parent"]
        while above is not None and self.instance.pk:
            if above.pk == self.instance.pk:
                raise forms.ValidationError(f"{parent} is this topic or part of it. Choose another.")
            above = above.parent
        return parent

    def clean_filter_text(self) -> str:
        try:
            return filters.parse(self.cleaned_data["filter_text"]).canonical
        except filters.FilterError as error:
            raise forms.ValidationError(str(error)) from error

    def clean_slug(self) -> str | None:
        slug = self.cleaned_data["slug"]
        if not slug and self.instance.owner_id is None:
            raise forms.ValidationError(
                "A topic of the catalogue needs a slug: it names its page, /topics/<slug>/."
            )
        return slug or None


class CatalogueFilter(admin.SimpleListFilter):
    title = "kind"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("retired", "retired"), ("own", "readers' own")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Topic]) -> QuerySet[Topic]:
        if self.value() == "own":
            return queryset.exclude(owner=None)
        return queryset.filter(owner=None, retired_at__isnull=self.value() != "retired")

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": "offered"}
        yield from others


@admin.register(Topic)
class TopicAdmin(OperatorAdmin):
    """The catalogue. Topics are retired, not deleted: readers keep what they follow."""

    form = TopicForm
    list_display = ["name", "group", "short_filter", "followers", "position", "retired_at"]
    list_filter = [CatalogueFilter, "group"]
    search_fields = ["name", "slug", "filter__canonical", "keywords"]
    ordering = ["position", "name"]
    list_select_related = ["filter"]
    fieldsets = [
        (None, {"fields": ["name", "slug", "group", "parent", "position", "filter_text"]}),
        ("For readers", {"fields": ["description", "keywords"]}),
        ("Translations", {"fields": ["names", "descriptions"]}),
        ("End", {"fields": ["retired_at"]}),
    ]

    def has_delete_permission(self, request: HttpRequest, obj: Topic | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Topic]:
        counted = (
            SubscribedTopic.objects.filter(topic=OuterRef("pk"))
            .order_by()
            .values("topic")
            .annotate(number=Count("pk"))
            .values("number")
        )
        return (
            super()
            .get_queryset(request)
            .annotate(followed=Coalesce(Subquery(counted, output_field=IntegerField()), 0))
        )

    @display(description="filter", ordering="filter__canonical")
    def short_filter(self, topic: Topic) -> str:
        text = topic.filter.canonical
        return text if len(text) <= _SHOWN_FILTER else f"{text[: _SHOWN_FILTER - 1]}…"

    @display(description="followers")
    def followers(self, topic: Topic) -> str:
        return f"{topic.followed:,}"  # type: ignore[attr-defined]

    def save_model(self, request: HttpRequest, obj: Topic, form: forms.ModelForm, change: bool) -> None:
        obj.filter = topics.filter_revision(form.cleaned_data["filter_text"], now=timezone.now())
        super().save_model(request, obj, form, change)


# --- deliveries ---------------------------------------------------------------------------------


class MailingFilter(admin.SimpleListFilter):
    """One mailing, the newest unless another is chosen; a search goes through all of them."""

    title = "mailing"
    parameter_name = "mailing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        rows = list(Mailing.objects.order_by("-pk").values_list("pk", "label")[:_LISTED_MAILINGS])
        self.newest = rows[0] if rows else None
        return [(str(pk), label) for pk, label in rows]

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        deliveries = cast("DeliveryQuerySet", queryset)
        chosen = self.value()
        if chosen is None and request.GET.get("q", "").strip():
            return queryset
        if chosen is None:
            return deliveries.of_mailing(self.newest[0]) if self.newest else deliveries.none()
        if not chosen.isdigit() or int(chosen) >= 2**31:
            raise IncorrectLookupParameters(f"{chosen!r} is no mailing")
        return deliveries.of_mailing(int(chosen))

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": f"newest ({self.newest[1]})" if self.newest else "none yet"}
        yield from others


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, label) for name, (label, _states) in STATE_CHOICES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> QuerySet[Delivery]:
        chosen = self.value()
        if chosen is None:
            return queryset
        if chosen not in STATE_CHOICES:
            raise IncorrectLookupParameters(f"{chosen!r} is no state")
        return queryset.filter(state__in=STATE_CHOICES[chosen][1])


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """The ledger, page by page: it is never counted, and only the outbox moves its rows."""

    list_display = ["email", "shown_state", "reason", "mailing", "route", "attempts", "due_at", "done_at"]
    list_filter = [MailingFilter, StateFilter]
    search_fields = ["subscriber_id"]  # only so that there is a search box; see get_search_results
    search_help_text = "A whole address, or a subscriber's number; looks in all mailings"
    show_full_result_count = False
    ordering = ["id"]
    sortable_by: Sequence[str] = []
    paginator = InfinitePaginator
    actions = ["try_again", "send_again", "count_as_sent", "count_as_failed"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        label = Mailing.objects.filter(pk=OuterRef("mailing_id")).values("label")
        return super().get_queryset(request).annotate(mailing_label=Subquery(label))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        # By subscriber: that column has an index, the address has none.
        known = Q(address=normalise_address(term)) | Q(email=term)
        if term.isascii() and term.isdigit():
            known |= Q(pk=min(int(term), 2**32))
        ids = list(Subscriber.objects.filter(known).values_list("pk", flat=True))
        return queryset.filter(subscriber_id__in=ids), False

    @display(
        description="state",
        label={
            "sent": "success",
            "deferred": "warning",
            "uncertain": "warning",
            "failed": "danger",
            "expired": "danger",
            "leased": "info",
            "handing": "info",
        },
    )
    def shown_state(self, delivery: Delivery) -> str:
        return delivery.state

    @display(description="mailing")
    def mailing(self, delivery: Delivery) -> str:
        return delivery.mailing_label or str(delivery.mailing_id)  # type: ignore[attr-defined]

    @action(description="Try the failed again", permissions=["operate"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse | None:
        if not is_confirmed(request):
            return ask(
                request,
                self,
                queryset,
                question="Try these failed digests again?",
                consequence="Those that failed are due at once. Addresses that are suppressed are skipped.",
                button="Try again",
            )
        moved = sum(
            outbox.retry_failed(mailing_id, delivery_ids=ids)
            for mailing_id, ids in _by_mailing(queryset).items()
        )
        self.message_user(request, f"{rows_of(moved, 'failed digest')} due again.")
        return None

    @action(description="Send the uncertain again (same Message-ID)", permissions=["operate"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse | None:
        return self._settle(
            request,
            queryset,
            to=State.DUE,
            question="Send these uncertain digests again?",
            consequence="The Message-ID stays: many mailboxes drop a repeat. Some readers may get it twice.",
            button="Send again",
        )

    @action(description="Count the uncertain as sent", permissions=["operate"])
    def count_as_sent(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse | None:
        return self._settle(
            request,
            queryset,
            to=State.SENT,
            question="Count these uncertain digests as sent?",
            consequence="They are not sent again. Right where the mail server's log shows that it took them.",
            button="Count as sent",
        )

    @action(description="Count the uncertain as failed", permissions=["operate"])
    def count_as_failed(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> HttpResponse | None:
        return self._settle(
            request,
            queryset,
            to=State.FAILED,
            question="Count these uncertain digests as failed?",
            consequence="They are not sent again; their papers may come in a later digest.",
            button="Count as failed",
        )

    def _settle(
        self, request: HttpRequest, queryset: QuerySet[Delivery], *, to: str, **page: str
    ) -> HttpResponse | None:
        if not is_confirmed(request):
            return ask(request, self, queryset, **page)
        moved = sum(
            outbox.settle_uncertain(mailing_id, to=to, delivery_ids=ids)
            for mailing_id, ids in _by_mailing(queryset).items()
        )
        self.message_user(request, f"{rows_of(moved, 'uncertain digest')} now {to}.")
        return None


def _by_mailing(queryset: QuerySet[Delivery]) -> dict[int, list[int]]:
    ids: dict[int, list[int]] = defaultdict(list)
    for mailing_id, pk in queryset.values_list("mailing_id", "pk"):
        ids[mailing_id].append(pk)
    return ids


# --- notices and suppressions -------------------------------------------------------------------


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    show_full_result_count = False
    list_display = ["to", "kind", "state", "attempts", "created_at", "due_at", "sent_at", "last_error"]
    list_filter = ["status", "kind"]
    search_fields = ["to", "key"]
    search_help_text = "Any part of the address or the key"
    ordering = ["-pk"]
    exclude = ["context"]
    actions = ["send_again"]

    @display(
        description="status",
        ordering="status",
        label={
            "sent": "success",
            "queued": "info",
            "sending": "info",
            "bounced": "danger",
            "failed": "danger",
        },
    )
    def state(self, notice: Notice) -> str:
        return notice.status

    @action(description="Send again", permissions=["operate"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Notice]) -> None:
        queued = notices.requeue(queryset, now=timezone.now())
        self.message_user(request, f"{rows_of(queued, 'notice')} queued again; only failed ones can be.")


class SuppressionForm(forms.ModelForm):
    class Meta:
        model = Suppression
        fields = ["address", "evidence", "expires_at"]

    def clean_address(self) -> str:
        try:
            return normalise_address(addresses.checked(self.cleaned_data["address"]))
        except addresses.BadAddress as error:
            raise forms.ValidationError(str(error)) from error

    def _post_clean(self) -> None:
        # Not the model's own look for a second row of this address: suppressing again renews the first.
        return


class InForceFilter(admin.SimpleListFilter):
    title = "force"
    parameter_name = "force"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "in force"), ("no", "lifted or expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> QuerySet[Suppression]:
        in_force = cast("SuppressionQuerySet", queryset).in_force(timezone.now())
        if self.value() == "yes":
            return in_force
        if self.value() == "no":
            return queryset.exclude(pk__in=in_force.values("pk"))
        return queryset


@admin.register(Suppression)
class SuppressionAdmin(OperatorAdmin):
    """An operator may add one and lift one; what a server or a reader said is not edited."""

    list_display = ["address", "reason", "evidence", "created_at", "expires_at", "lifted_at"]
    list_filter = [InForceFilter, "reason"]
    search_fields = ["address"]
    search_help_text = "Any part of the address"
    ordering = ["-created_at"]
    actions = ["lift"]

    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = SuppressionForm
            kwargs["fields"] = SuppressionForm.Meta.fields
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        return SuppressionForm.Meta.fields if obj is None else super().get_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: Suppression, form: forms.ModelForm, change: bool) -> None:
        if change:
            raise PermissionDenied
        wanted = form.cleaned_data
        lifecycle.suppress(
            wanted["address"],
            reason=Suppression.Reason.OPERATOR,
            evidence=f"{_operator(request)}: {wanted['evidence'] or 'no reason given'}",
            now=timezone.now(),
            expires_at=wanted["expires_at"],
        )
        stored = Suppression.objects.get(address=wanted["address"])
        for field in Suppression._meta.concrete_fields:
            setattr(obj, field.attname, getattr(stored, field.attname))

    @action(description="Lift", permissions=["operate"])
    def lift(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> HttpResponse | None:
        if not is_confirmed(request):
            return ask(
                request,
                self,
                queryset,
                question="Write to these addresses again?",
                consequence="Each reader is what they were before: active, paused or unsubscribed.",
                button="Lift",
            )
        now, source = timezone.now(), _operator(request)
        lifted = sum(lifecycle.lift(row.address, now=now, source=source) for row in queryset)
        self.message_user(request, f"{lifted:,} of {len(queryset):,} lifted.", messages.SUCCESS)
        return None
