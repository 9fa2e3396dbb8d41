"""What the pages behind one person's link have in common; `digest.web` has some of them, too."""

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from subscriptions import tokens
from subscriptions.models import Subscriber
from subscriptions.tokens import BadToken
from subscriptions.web import forms

View = Callable[..., HttpResponse]


def person_page(view: View) -> View:
    """A page behind a link of one person: never cached; a link that does not act says what to do instead."""

    @wraps(view)
    def page(request: HttpRequest, token: str, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, token, **kwargs)
        except BadToken as bad:
            return _bad_link(request, bad)

    return never_cache(page)


def _bad_link(request: HttpRequest, bad: BadToken) -> HttpResponse:
    match = request.resolver_match
    context = {"bad": bad, "page": match.url_name if match else "", "form": forms.AddressForm()}
    status = HTTPStatus.NOT_FOUND if bad.reason == BadToken.DAMAGED else HTTPStatus.GONE
    return render(request, "subscriptions/bad_link.html", context, status=status)


def reader(token: str, *, now: datetime) -> Subscriber:
    """Whose footer link this is. Raises BadToken, also for who has been erased since."""
    subscriber_id = tokens.read_preferences(token, now=now)
    subscriber = Subscriber.objects.filter(pk=subscriber_id).exclude(status=Subscriber.Status.ERASED).first()
    if subscriber is None:
        raise BadToken(BadToken.SPENT, number=subscriber_id)
    return subscriber


def is_reading(subscriber: Subscriber) -> bool:
    """Whether there is a digest to have wishes about: active or paused."""
    return subscriber.status in (Subscriber.Status.ACTIVE, Subscriber.Status.PAUSED)
