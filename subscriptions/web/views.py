"""The pages where one person acts: one domain call each. No GET changes anything or spends a token."""

import json
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.translation import get_language_from_request
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from subscriptions import abuse, filters, lifecycle, privacy, tasks, tokens, topics
from subscriptions.filters import FilterError
from subscriptions.lifecycle import Wishes
from subscriptions.models import Subscriber, Topic, normalise_address
from subscriptions.tokens import BadToken, Fresh
from subscriptions.web import forms
from subscriptions.web.person import is_reading, person_page, reader

SOURCE_SIGN_UP = "sign-up page"
SOURCE_PREFERENCES = "preferences page"
SOURCE_UNSUBSCRIBE = "unsubscribe page"
SOURCE_ONE_CLICK = "one-click unsubscribe"

OPEN_GROUPS = 2  # of the catalogue; the others are one press away


def _too_many(request: HttpRequest, error: abuse.TooMany) -> HttpResponse:
    context = {"tries": error.tries, "until": error.until}
    response = render(request, "429.html", context, status=HTTPStatus.TOO_MANY_REQUESTS)
    response["Retry-After"] = str(max(1, int((error.until - timezone.now()).total_seconds())))
    return response


# --- joining ------------------------------------------------------------------------------------


@require_safe
def sign_up(request: HttpRequest) -> HttpResponse:
    """The front page; `?topic=slug&filter=…` fills it in, for links from topic pages."""
    catalogue = list(Topic.objects.catalogue())
    initial = {
        "topic": request.GET.getlist("topic"),
        "filter": request.GET.get("filter", ""),
        "interest": request.GET.get("interest", ""),
        "language": get_language_from_request(request),
    }
    return _sign_up_page(request, forms.SignUpForm(catalogue=catalogue, initial=initial), catalogue)


@require_http_methods(["GET", "HEAD", "POST"])
def subscribe(request: HttpRequest) -> HttpResponse:
    """Queue a confirmation mail, whoever the address belongs to; the page is the same for all."""
    if request.method != "POST":
        return redirect("subscriptions:sign-up")
    if request.POST.get("do") == "preview":
        return _to_preview(request)
    now = timezone.now()
    catalogue = list(Topic.objects.catalogue())
    form = forms.SignUpForm(request.POST, catalogue=catalogue)
    if not form.is_valid():
        return _sign_up_page(request, form, catalogue, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    email = form.cleaned_data["email"]
    try:
        abuse.count_sender(request, now=now)
        abuse.count_address(normalise_address(email), now=now)
    except abuse.TooMany as error:
        return _too_many(request, error)
    if not abuse.is_trapped(request):
        with transaction.atomic():
            lifecycle.subscribe(
                email, form.wishes(), now=now, source=SOURCE_SIGN_UP, language=form.mail_language
            )
            tasks.poke_notices()
    return render(request, "subscriptions/sent.html", {"email": email})


@require_POST
def ask_again(request: HttpRequest) -> HttpResponse:
    """Mail the confirmation or the preferences link once more. The page is the same for all addresses."""
    now = timezone.now()
    form = forms.AddressForm(request.POST)
    if not form.is_valid():
        context = {"bad": None, "page": "", "form": form}
        return render(request, "subscriptions/bad_link.html", context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    email = form.cleaned_data["email"]
    try:
        abuse.count_sender(request, now=now)
        abuse.count_address(normalise_address(email), now=now)
    except abuse.TooMany as error:
        return _too_many(request, error)
    with transaction.atomic():
        lifecycle.ask_again(email, now=now)
        tasks.poke_notices()
    return render(request, "subscriptions/sent.html", {"email": email, "again": True})


@require_safe
def echo_filter(request: HttpRequest) -> HttpResponse:
    """The line below the filter box: how a filter reads, or where it is wrong. A fragment."""
    context = _echo(request.GET.get("filter", ""))
    return render(request, "subscriptions/_filter_say.html", {**context, "is_fragment": True})


def _echo(text: str) -> dict[str, Any]:
    """How a filter reads: canonical form and hints, or the error with the place of its caret."""
    said: dict[str, Any] = {"canonical": "", "hints": (), "error": None, "caret": ""}
    if text.strip():
        try:
            own = filters.parse(text.strip())
        except FilterError as error:
            said |= {"error": error, "caret": forms.caret(error)}
        else:
            said |= {"canonical": own.canonical, "hints": (*own.also, *own.hints)}
    return said


def _sign_up_page(
    request: HttpRequest, form: forms.SignUpForm, catalogue: list[Topic], *, status: int = HTTPStatus.OK
) -> HttpResponse:
    chosen = form.chosen
    groups = []
    for place, (name, members) in enumerate(topics.by_group(topics.offered(catalogue, chosen=chosen))):
        is_open = place < OPEN_GROUPS or any(topic.slug in chosen for topic in members)
        groups.append({"name": name, "topics": members, "is_open": is_open})
    offers_languages = {form.mail_language, get_language_from_request(request)} != {forms.LANGUAGES[0][0]}
    context = {
        "form": form,
        "groups": groups,
        "all_topics": len(catalogue),
        "chosen": chosen,
        # Asked only where the browser is in another of the mail's languages: for most one question less.
        "languages": forms.LANGUAGES if offers_languages else (),
        "hours": forms.HOURS,
        "timezones": forms.timezones(),
        "trap_field": abuse.TRAP_FIELD,
        **_echo(str(form["filter"].value() or "")),
    }
    response = render(request, "subscriptions/sign_up.html", context, status=status)
    patch_vary_headers(response, ["Accept-Language"])
    return response


def _to_preview(request: HttpRequest) -> HttpResponse:
    # The button that works without JavaScript. Not formmethod="get": that would put the address in a URL.
    query = [("topic", slug) for slug in request.POST.getlist("topic")]
    query.append(("filter", request.POST.get("filter", "")))
    if interest := request.POST.get("interest", "").strip():
        query.append(("interest", interest))
    return HttpResponseRedirect(f"/preview/?{urlencode(query)}", status=HTTPStatus.SEE_OTHER)


@require_http_methods(["GET", "HEAD", "POST"])
@person_page
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    """GET asks, since link scanners follow every link in a mail; the button confirms."""
    now = timezone.now()
    notice_id = tokens.read_confirm(token, now=now)
    if request.method != "POST":
        notice, subscriber = lifecycle.pending(notice_id)
        former = subscriber.status != Subscriber.Status.UNCONFIRMED and not notice.context["keeps_topics"]
        context = {
            "notice": notice,
            "asked": notice.context,
            "said": lifecycle.said(Wishes.from_json(notice.context["wishes"])),
            "former_topics": [line.name for line in lifecycle.preferences(subscriber).topics]
            if former
            else [],
        }
        return render(request, "subscriptions/confirm.html", context)
    with transaction.atomic():
        subscriber = lifecycle.confirm(notice_id, now=now, keep_topics=bool(request.POST.get("keep_topics")))
        tasks.poke_editions()
    context = {"subscriber": subscriber, "preferences_url": tokens.preferences_url(subscriber.pk, now=now)}
    return render(request, "subscriptions/confirmed.html", context)


# --- preferences --------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@person_page
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    """Everything a reader can set; after a POST it says what changed."""
    now = timezone.now()
    subscriber = reader(token, now=now)
    if not is_reading(subscriber):
        return render(request, "subscriptions/not_reading.html", {"subscriber": subscriber})
    current = lifecycle.preferences(subscriber)
    catalogue = list(Topic.objects.catalogue())
    own_ids = subscriber.own_topics.filter(retired_at=None).values_list("pk", flat=True)
    form = forms.PreferencesForm(
        request.POST if request.method == "POST" else None, current=current, own_ids=own_ids
    )
    if request.method != "POST":
        return _preferences_page(request, token, subscriber, form, catalogue, now=now)
    wanted = form.wanted(catalogue)
    if wanted is None:
        return _preferences_page(
            request, token, subscriber, form, catalogue, now=now, status=HTTPStatus.UNPROCESSABLE_ENTITY
        )
    changes = lifecycle.change_preferences(subscriber.pk, wanted, now=now)
    messages.success(request, _saved(changes))
    return redirect("subscriptions:preferences", token=token)


@require_POST
@person_page
def pause(request: HttpRequest, token: str) -> HttpResponse:
    """Pause until a date or until resumed; `do=resume` ends the pause."""
    now = timezone.now()
    subscriber = reader(token, now=now)
    if request.POST.get("do") == "resume":
        if lifecycle.resume(subscriber.pk, now=now, source=SOURCE_PREFERENCES):
            tasks.poke_editions()
            messages.success(request, "Your digest comes again, from the next one on.")
        return redirect("subscriptions:preferences", token=token)
    today = now.astimezone(ZoneInfo(subscriber.timezone)).date()
    form = forms.PauseForm(request.POST, today=today)
    if not form.is_valid():
        messages.error(request, str(form.errors["until"][0]))
        return redirect("subscriptions:preferences", token=token)
    until = form.cleaned_data["until"]
    if lifecycle.pause(subscriber.pk, until=until, now=now, source=SOURCE_PREFERENCES):
        end = f"until {until:%A} {until.day} {until:%B %Y}" if until else "until you resume it"
        messages.success(request, f"Paused {end}. Nothing is sent before.")
    return redirect("subscriptions:preferences", token=token)


@require_POST
@person_page
def ask_for_link(request: HttpRequest, token: str) -> HttpResponse:
    """Mail a 15-minute link for what a forwarded digest must not allow: export, erase, another address."""
    now = timezone.now()
    subscriber = reader(token, now=now)
    try:
        purpose = Fresh(request.POST.get("purpose", ""))
    except ValueError:
        return redirect("subscriptions:preferences", token=token)
    with transaction.atomic():
        is_queued = lifecycle.ask_for_link(subscriber.pk, purpose, now=now)
        tasks.poke_notices()
    if is_queued:
        messages.success(request, f"We have mailed a link to {subscriber.email}. It works for 15 minutes.")
    else:
        messages.error(
            request,
            f"No link was sent: at most {lifecycle.MAILS_A_DAY} mails a day go to one address, and none to "
            "one that bounced. Try again tomorrow.",
        )
    return redirect("subscriptions:preferences", token=token)


def _preferences_page(
    request: HttpRequest,
    token: str,
    subscriber: Subscriber,
    form: forms.PreferencesForm,
    catalogue: list[Topic],
    *,
    now: datetime,
    status: int = HTTPStatus.OK,
) -> HttpResponse:
    followed = {row.line.topic_id for row in form.rows}
    today = now.astimezone(ZoneInfo(subscriber.timezone)).date()
    context = {
        "token": token,
        "subscriber": subscriber,
        "when": lifecycle.when(
            frequency=subscriber.frequency,
            hour=subscriber.hour,
            weekday=subscriber.weekday,
            timezone=subscriber.timezone,
        ),
        "is_paused": subscriber.is_paused_on(today),
        "today": today,
        "form": form,
        "offered": topics.by_group(topic for topic in catalogue if topic.pk not in followed),
        "hours": forms.HOURS,
        "timezones": forms.timezones(),
        "lengths": Subscriber.Length.choices,
        "languages": forms.LANGUAGES,
        "weekdays": list(enumerate(lifecycle.WEEKDAYS)),
        "unsubscribe_url": tokens.unsubscribe_url(subscriber.unsubscribe_key),
        "fresh": Fresh,
        "max_papers_choices": (5, 10, 15, 20, 30, 50, 100),
    }
    return render(request, "subscriptions/preferences.html", context, status=status)


def _saved(changes: list[str]) -> str:
    return " ".join(["Saved.", *changes]) if changes else "Nothing was changed."


# --- leaving ------------------------------------------------------------------------------------


@csrf_exempt  # mailbox providers POST here with no cookie (RFC 8058); the key in the address is the proof
@require_http_methods(["GET", "HEAD", "POST"])
@person_page
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """POST unsubscribes at once; GET only asks, because link scanners follow every link in an email."""
    now = timezone.now()
    subscriber = _key_holder(token)
    if request.method != "POST":
        context = {
            "subscriber": subscriber,
            "token": token,
            "is_out": subscriber.status == Subscriber.Status.UNSUBSCRIBED,
            "can_undo": lifecycle.can_undo(subscriber, now=now),
        }
        return render(request, "subscriptions/unsubscribe.html", context)
    is_one_click = request.POST.get("List-Unsubscribe") == "One-Click"
    with transaction.atomic():
        lifecycle.unsubscribe(
            subscriber.pk, now=now, source=SOURCE_ONE_CLICK if is_one_click else SOURCE_UNSUBSCRIBE
        )
        tasks.poke_notices()
    if is_one_click:
        return HttpResponse("Unsubscribed.\n", content_type="text/plain")
    return render(request, "subscriptions/unsubscribed.html", {"subscriber": subscriber, "token": token})


@require_POST
@person_page
def undo_unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Come back: at once within an hour, later through a confirmation mail."""
    now = timezone.now()
    subscriber = _key_holder(token)
    with transaction.atomic():
        is_back = lifecycle.undo_unsubscribe(subscriber.pk, now=now)
        tasks.poke_notices()
        if is_back:
            tasks.poke_editions()
    if not is_back:
        return render(request, "subscriptions/sent.html", {"email": subscriber.email, "again": True})
    context = {
        "subscriber": subscriber,
        "is_back": True,
        "preferences_url": tokens.preferences_url(subscriber.pk, now=now),
    }
    return render(request, "subscriptions/confirmed.html", context)


def _key_holder(token: str) -> Subscriber:
    subscriber = Subscriber.objects.filter(unsubscribe_key=tokens.read_unsubscribe(token)).first()
    if subscriber is None:
        raise BadToken(BadToken.DAMAGED)
    return subscriber


@require_http_methods(["GET", "HEAD", "POST"])
@person_page
def export(request: HttpRequest, token: str) -> HttpResponse:
    """A file with all we know about the reader, once."""
    now = timezone.now()
    notice_id = tokens.read_fresh(Fresh.EXPORT, token, now=now)
    if request.method != "POST":
        return render(
            request,
            "subscriptions/export.html",
            {"subscriber": lifecycle.behind_link(notice_id, Fresh.EXPORT)},
        )
    with transaction.atomic():
        subscriber = lifecycle.spend_link(notice_id, Fresh.EXPORT, now=now)
        known = privacy.export(subscriber.pk)
    body = json.dumps(known, ensure_ascii=False, indent=2)
    return HttpResponse(
        body,
        content_type="application/json; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="paperboy-{now:%Y-%m-%d}.json"'},
    )


@require_http_methods(["GET", "HEAD", "POST"])
@person_page
def erase(request: HttpRequest, token: str) -> HttpResponse:
    """Ask, then forget the reader."""
    now = timezone.now()
    notice_id = tokens.read_fresh(Fresh.ERASE, token, now=now)
    if request.method != "POST":
        return render(
            request, "subscriptions/erase.html", {"subscriber": lifecycle.behind_link(notice_id, Fresh.ERASE)}
        )
    with transaction.atomic():
        subscriber = lifecycle.spend_link(notice_id, Fresh.ERASE, now=now)
        privacy.erase(subscriber.pk, now=now)
    return render(request, "subscriptions/erased.html")


@require_http_methods(["GET", "HEAD", "POST"])
@person_page
def change_address(request: HttpRequest, token: str) -> HttpResponse:
    """Ask for another address, and write to that one; it counts once its owner has pressed the button."""
    now = timezone.now()
    notice_id = tokens.read_fresh(Fresh.CHANGE_ADDRESS, token, now=now)
    subscriber = lifecycle.behind_link(notice_id, Fresh.CHANGE_ADDRESS)
    form = forms.AddressForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        status = HTTPStatus.UNPROCESSABLE_ENTITY if form.is_bound else HTTPStatus.OK
        context = {"subscriber": subscriber, "form": form}
        return render(request, "subscriptions/change_address.html", context, status=status)
    email = form.cleaned_data["email"]
    try:
        abuse.count_address(normalise_address(email), now=now)
    except abuse.TooMany as error:
        return _too_many(request, error)
    with transaction.atomic():
        lifecycle.ask_change_of_address(notice_id, email, now=now)
        tasks.poke_notices()
    return render(request, "subscriptions/sent.html", {"email": email, "is_move": True})
