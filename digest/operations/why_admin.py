"""The page that tells an operator why a reader got a paper, or did not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from digest.editions import why
from subscriptions.models import Subscriber

_LIGHTS = {why.Outcome.PASSED: "good", why.Outcome.FAILED: "bad", why.Outcome.NOT_APPLICABLE: "off"}


class PaperForm(forms.Form):
    paper = forms.CharField(
        label="Paper",
        max_length=1_000,
        help_text="Its arXiv id, DOI or address, or that of its page here.",
    )


@dataclass(frozen=True)
class Line:
    name: str
    light: str
    words: str


@dataclass(frozen=True)
class Part:
    """The stages of the paper, of one topic or of the mail; `tree`: a filter that failed, part by part."""

    heading: str
    lines: tuple[Line, ...]
    tree: str = ""


def page(request: HttpRequest, reader: Subscriber, context: dict[str, Any]) -> HttpResponse:
    """The line for a paper, and with `?paper=` the answer. The reader's address stands in no URL."""
    form = PaperForm(request.GET if "paper" in request.GET else None)
    context |= {"title": "Why did they get a paper, or not?", "reader": reader, "form": form}
    if form.is_valid():
        account = why.why(reader, form.cleaned_data["paper"], now=timezone.now())
        context |= {"account": account, "parts": list(_parts(account))}
    return TemplateResponse(request, "admin/digest/subscriber/why.html", context)


def _parts(account: why.Account) -> Iterator[Part]:
    yield Part("The paper", _lines(account.before))
    for topic in account.topics:
        yield Part(f"Topic {topic.name}", _lines(topic.stages), "\n".join(topic.tree))
    if account.after:
        yield Part("The mail", _lines(account.after))


def _lines(stages: Sequence[why.Stage]) -> tuple[Line, ...]:
    return tuple(
        Line(
            f"{stage.name.capitalize()}: {stage.outcome}",
            "warn" if stage.is_pending else _LIGHTS[stage.outcome],
            stage.sentence,
        )
        for stage in stages
    )
