"""AI texts and citations by hand: what the worker does by itself, for given days, with progress."""

import json
import sys
import time
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from digest.editions import ai_wishes
from digest.management import arguments
from digest.models import AiText, Paper
from digest.papers import ai, citations
from digest.sources import llm, semanticscholar

AI_OFF = (
    "AI texts are off. To have them, set LLM_URL to an OpenAI-compatible endpoint (…/v1), LLM_MODEL, and "
    "LLM_KEY where it needs one."
)
CITATIONS_OFF = (
    "Citations are off. To have them, set SEMANTIC_SCHOLAR_URL to https://api.semanticscholar.org; a key in "
    "SEMANTIC_SCHOLAR_KEY makes it dependable."
)
_AI_NUMBERS = ("requests", "written", "put_off", "given_up")
_CITATION_NUMBERS = ("requests", "asked", "known", "summaries")
_STEP_SECONDS = 90.0


class Command(BaseCommand):
    help = (
        "Ask for the AI texts that readers of these listing days will want, and for the papers' citations. "
        "The worker does the same by itself; mails never wait for either. Without --date: the last days."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--date", type=arguments.day, metavar="D", help="Listing day YYYY-MM-DD.")
        parser.add_argument("--days", type=_number, metavar="N", help="Also the days before it, N in all.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object as the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        last = options["date"] or timezone.now().date()
        count = options["days"] or (1 if options["date"] else ai_wishes.DAYS)
        days = [last - timedelta(days=age) for age in range(count)]
        report = {"ai": self._write(days), "citations": self._cite(days)}
        if options["json"]:
            self.stdout.write(json.dumps(report, ensure_ascii=False))
        if any(part["failed"] for part in report.values()):
            sys.exit(1)

    def _write(self, days: Sequence[date]) -> dict[str, Any]:
        totals: dict[str, Any] = dict.fromkeys(("wanted", *_AI_NUMBERS, "left_today"), 0)
        totals |= {"on": llm.is_on(), "failed": False, "problems": []}
        if not llm.is_on():
            self.stdout.write(AI_OFF)
            return totals
        totals["wanted"] = ai_wishes.want(ai_wishes.wishes(days), now=timezone.now())
        due = AiText.objects.filter(status=AiText.Status.WANTED, due_at__lte=timezone.now())
        self.stdout.write(
            f"{_texts(totals['wanted'])} newly wanted, {due.count()} due; asking "
            f"{settings.LLM_MODEL or 'the model'}."
        )
        while True:
            began = time.monotonic()
            done = ai.write_due(now=timezone.now(), seconds=_STEP_SECONDS)
            for name in _AI_NUMBERS:
                totals[name] += getattr(done, name)
            totals["problems"] += done.problems
            for problem in done.problems:
                self.stdout.write(f"  {problem}")
            seconds = time.monotonic() - began
            self.stdout.write(
                f"{_texts(done.written)} written with {done.requests} requests in {seconds:.0f} s, "
                f"{done.put_off} put off, {done.given_up} given up. {done.stopped}"
            )
            if done.stopped != ai.TIME_IS_OVER:
                break
        standing = ai.standing(now=timezone.now())
        totals["left_today"] = max(standing.requests_a_day - standing.requests_today, 0)
        totals["failed"] = bool(totals["problems"]) and not totals["written"]
        self.stdout.write(
            f"Today's budget: {standing.requests_today} of {standing.requests_a_day} requests are spent."
        )
        return totals

    def _cite(self, days: Sequence[date]) -> dict[str, Any]:
        totals: dict[str, Any] = dict.fromkeys(_CITATION_NUMBERS, 0)
        totals |= {"on": semanticscholar.is_on(), "failed": False, "problems": []}
        if not semanticscholar.is_on():
            self.stdout.write(CITATIONS_OFF)
            return totals
        papers = Paper.objects.listed_between(min(days), max(days)).exclude(arxiv_id=None, doi=None)
        now = timezone.now()  # the same for all steps: what was read after it is not asked again
        while True:
            done = citations.refresh_due(now=now, seconds=_STEP_SECONDS, papers=papers.order_by("pk"))
            for name in _CITATION_NUMBERS:
                totals[name] += getattr(done, name)
            totals["problems"] += done.problems
            totals["failed"] |= done.has_failed
            for problem in done.problems:
                self.stdout.write(f"  {problem}")
            self.stdout.write(
                f"{semanticscholar.NAME} knows {done.known} of {done.asked} papers; "
                f"{done.summaries} summaries taken over. {done.stopped}"
            )
            if done.stopped != citations.TIME_IS_OVER:
                return totals


def _texts(number: int) -> str:
    return "1 text" if number == 1 else f"{number} texts"


def _number(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise CommandError(f"--days {text}: give a number of days from 1 to 1000.")
    return int(text)
