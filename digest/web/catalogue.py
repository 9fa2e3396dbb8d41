"""The page of all topics: the tree, with what each of them found in the last days."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import conditional_page, require_safe

from digest.matching import recent
from digest.matching.recent import Recent
from subscriptions import topics
from subscriptions.models import Topic
from subscriptions.topics import ARXIV, Branch


@dataclass(frozen=True)
class Row:
    """A topic, the papers it found, and the same for what is part of it. `share` is the bar's width in %."""

    topic: Topic
    number: int
    share: int
    depth: int
    parts: "Sequence[Row]"

    def walk(self) -> "list[Row]":
        """This row and all below it."""
        return [self, *(row for part in self.parts for row in part.walk())]


@dataclass(frozen=True)
class Section:
    """One heading. `head` is the topic of that name, which is all of it; `rows` are its parts."""

    name: str
    anchor: str
    head: Row | None
    rows: Sequence[Row]


@require_safe
@cache_control(public=True, max_age=60)
@conditional_page
def catalogue(request: HttpRequest) -> HttpResponse:
    """All topics as a tree. Each filter is evaluated once for as long as the recent papers stay the same."""
    papers = recent.current(now=timezone.now())
    offered = list(Topic.objects.catalogue())
    sections = _sections(offered, papers)
    categories = sum(topic.group == ARXIV for topic in offered)
    context = {
        "sections": [section for section in sections if section.name != ARXIV],
        "arxiv": next((section for section in sections if section.name == ARXIV), None),
        "subjects": len(offered) - categories,
        "categories": categories,
        "days": len(papers.days),
        "papers": len(papers.papers),
    }
    return render(request, "web/topics.html", context)


def _sections(offered: Iterable[Topic], papers: Recent) -> list[Section]:
    roots: dict[str, list[Branch]] = {}
    for root in topics.tree(offered):
        roots.setdefault(root.topic.group, []).append(root)
    numbers = {
        branch.topic.pk: len(papers.find_canonical(branch.topic.filter.canonical))
        for branches in roots.values()
        for root in branches
        for branch in root.walk()
    }
    # Bars compare topics of one kind: those right below a heading.
    most = max(
        (
            numbers[child.topic.pk]
            for name, branches in roots.items()
            for root in branches
            for child in root.children
            if name != ARXIV
        ),
        default=0,
    )

    def row(branch: Branch) -> Row:
        number = numbers[branch.topic.pk]
        share = min(100, round(100 * number / most)) if most else 0
        return Row(branch.topic, number, share, branch.depth, [row(child) for child in branch.children])

    sections = []
    for place, (name, branches) in enumerate(roots.items(), start=1):
        rows = [row(branch) for branch in branches]
        head = next((one for one in rows if one.topic.name == name), None)
        below = [*(head.parts if head else ()), *(one for one in rows if one is not head)]
        sections.append(Section(name, f"group-{place}", head, below))
    return sections
