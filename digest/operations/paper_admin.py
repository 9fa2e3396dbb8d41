"""Papers in the admin: what was seen of each, which rows are the same work, what a model wrote."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from digest.models import AiSpending, AiText, Mention, Merge, Paper, Sighting
from digest.papers import merging, named
from subscriptions.admin import ReadOnlyAdmin, ReadOnlyInline, ask, is_confirmed, rows_of

_SHOWN_TITLE = 90


class SightingInline(ReadOnlyInline):
    model = Sighting
    fields = ["seen_at", "source", "listing_day", "announce_type", "version", "votes", "comments", "stars"]
    ordering = ["-seen_at"]
    per_page = 20

    def get_queryset(self, request: HttpRequest) -> QuerySet[Sighting]:
        return super().get_queryset(request).select_related("source")


class DiscussedInline(ReadOnlyInline):
    model = Mention
    fk_name = "paper"
    fields = ["seen_at", "source", "post"]
    ordering = ["-seen_at"]
    per_page = 20
    verbose_name_plural = "discussed at"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Mention]:
        return super().get_queryset(request).select_related("post", "source")


class AiTextInline(ReadOnlyInline):
    model = AiText
    fields = ["kind", "language", "status", "text", "model", "made_at"]
    ordering = ["language", "kind"]
    verbose_name_plural = "AI texts"


@admin.register(Paper)
class PaperAdmin(ReadOnlyAdmin):
    show_full_result_count = False
    list_display = ["short_title", "key", "votes", "comments", "organization", "first_listed_on"]
    list_filter = ["kind", "has_media", ("withdrawn_at", admin.EmptyFieldListFilter)]
    search_fields = ["title", "arxiv_id", "doi", "organization"]
    search_help_text = "Words of the title, arXiv id, DOI or organisation"
    date_hierarchy = "first_listed_on"
    ordering = ["-first_listed_on", "-votes"]
    inlines = [SightingInline, DiscussedInline, AiTextInline]
    change_form_outer_before_template = "admin/digest/paper/before.html"

    @display(description="title", ordering="title")
    def short_title(self, paper: Paper) -> str:
        return _short(paper.title)


def _short(title: str) -> str:
    return title if len(title) <= _SHOWN_TITLE else f"{title[: _SHOWN_TITLE - 1]}…"


# --- merges -------------------------------------------------------------------------------------


class PaperField(forms.CharField):
    """A paper, however it is named: arXiv id, DOI, its own address, or the address of its page here."""

    default_error_messages = {"unknown": "No paper here is “%(typed)s”. Type its arXiv id, DOI or address."}

    def clean(self, value: Any) -> Paper:
        typed = super().clean(value).strip()
        found = named.find(typed)
        if found is None:
            raise forms.ValidationError(self.error_messages["unknown"], "unknown", {"typed": typed})
        return found


class MergeForm(forms.Form):
    duplicate = PaperField(
        label="This one",
        max_length=1_000,
        help_text="Its arXiv id, DOI or address, or that of its page here.",
    )
    original = PaperField(
        label="is the same work as", max_length=1_000, help_text="This one stays; readers see only it."
    )
    evidence = forms.CharField(
        label="How you know", max_length=500, help_text="A sentence; it is kept with the merge."
    )


@admin.register(Merge)
class MergeAdmin(ReadOnlyAdmin):
    """Which rows are one work, how sure that is, and why. Undone, both stand by themselves again."""

    list_display = ["duplicate_title", "original_title", "how", "sure", "evidence", "merged_at", "undone_at"]
    list_filter = ["how", ("undone_at", admin.EmptyFieldListFilter)]
    search_fields = ["duplicate__title", "original__title", "duplicate__key", "original__key", "evidence"]
    ordering = ["-merged_at"]
    list_select_related = ["duplicate", "original"]
    show_full_result_count = False
    actions = ["undo"]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_operate_permission(request)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = MergeForm(request.POST or None, initial={"duplicate": request.GET.get("duplicate", "")})
        if request.method == "POST" and form.is_valid():
            try:
                merge = merging.merge(
                    form.cleaned_data["duplicate"],
                    form.cleaned_data["original"],
                    how=Merge.How.OPERATOR,
                    certainty=1.0,
                    evidence=form.cleaned_data["evidence"],
                    now=timezone.now(),
                )
            except merging.CannotMerge as error:
                form.add_error(None, str(error))
            else:
                self.message_user(request, "Merged. The first one's address now leads to the second's.")
                return HttpResponseRedirect(reverse("admin:digest_merge_change", args=[merge.pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": "Merge two papers",
            "form": form,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/digest/merge/add.html", context)

    @action(description="Undo", permissions=["operate"])
    def undo(self, request: HttpRequest, queryset: QuerySet[Merge]) -> HttpResponse | None:
        standing = queryset.filter(undone_at=None).select_related("duplicate", "original")
        if not is_confirmed(request):
            return ask(
                request,
                self,
                standing,
                question="Undo these merges?",
                consequence="Both papers stand by themselves again, and no machine merges them any more. "
                "Who has received one of the two gets neither again.",
                button="Undo",
            )
        now = timezone.now()
        undone = list(standing)
        for merge in undone:
            merging.undo(merge, now=now)
        self.message_user(request, f"{rows_of(len(undone), 'merge')} undone.")
        return None

    @display(description="this one", ordering="duplicate__title")
    def duplicate_title(self, merge: Merge) -> str:
        return f"{_short(merge.duplicate.title)} ({merge.duplicate.key})"

    @display(description="is the same as", ordering="original__title")
    def original_title(self, merge: Merge) -> str:
        return f"{_short(merge.original.title)} ({merge.original.key})"

    @display(description="certainty", ordering="certainty")
    def sure(self, merge: Merge) -> str:
        return f"{merge.certainty:.2f}".rstrip("0").rstrip(".")


# --- texts by a model ---------------------------------------------------------------------------


@admin.register(AiText)
class AiTextAdmin(ReadOnlyAdmin):
    list_display = [
        "paper_title",
        "kind",
        "language",
        "status",
        "model",
        "attempts",
        "due_at",
        "made_at",
        "problem",
    ]
    list_filter = ["status", "kind", "language"]
    search_fields = ["paper__title", "paper__arxiv_id", "text", "problem"]
    ordering = ["-due_at"]
    list_select_related = ["paper"]
    show_full_result_count = False
    actions = ["ask_again"]

    @display(description="paper", ordering="paper__title")
    def paper_title(self, row: AiText) -> str:
        return _short(row.paper.title)

    @action(description="Ask again for what was given up", permissions=["operate"])
    def ask_again(self, request: HttpRequest, queryset: QuerySet[AiText]) -> None:
        asked = queryset.filter(status=AiText.Status.FAILED).update(
            status=AiText.Status.WANTED, attempts=0, due_at=timezone.now()
        )
        self.message_user(request, f"{rows_of(asked, 'text')} wanted again.")


@admin.register(AiSpending)
class AiSpendingAdmin(ReadOnlyAdmin):
    list_display = ["day", "requests", "budget", "tokens"]
    ordering = ["-day"]
    date_hierarchy = "day"

    @display(description="of the day's budget")
    def budget(self, spent: AiSpending) -> SafeString | str:
        if not settings.LLM_DAILY_REQUESTS:
            return ""
        return format_html(
            "{} % of {}",
            f"{100 * spent.requests / settings.LLM_DAILY_REQUESTS:.0f}",
            f"{settings.LLM_DAILY_REQUESTS:,}",
        )
