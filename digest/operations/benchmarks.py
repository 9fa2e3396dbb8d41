"""How fast is it here? Each benchmark runs the production code in a database of its own, dropped afterwards.

Papers are the bundled sample's sentences dealt out anew, readers follow catalogue topics and filters made of
the papers' own words, so that hits are as dense as in life. Fixed seeds: two runs do the same work.
"""

import contextlib
import gc
import json
import multiprocessing
import random
import resource
import secrets
import socketserver
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from digest.editions import compose, run, schedule
from digest.editions.material import documents_of
from digest.matching import batch, features, gather, packing, recent, space
from digest.matching.backtest import backtest
from digest.matching.calibration import LOWEST_SHOWN
from digest.matching.compiled import Compiled
from digest.matching.features import Papers
from digest.matching.index import DayIndex
from digest.matching.rank import Ranker
from digest.matching.space import Space
from digest.models import Batch, Paper, Sighting, Source
from digest.operations import crowd
from digest.papers import sample
from digest.papers.ingest import ingest
from digest.sources.records import PaperRecord, Parsed
from subscriptions import topics
from subscriptions.filters import Filter, parse
from subscriptions.filters.tree import Node
from subscriptions.interests import Interest
from subscriptions.mail import ledger
from subscriptions.models import SubscribedTopic, Subscriber, Topic

DAY = date(2026, 8, 20)
NOW = datetime(2026, 8, 21, 1, tzinfo=UTC)
FILTERS = 300
PARSED = 1_000  # filters
FOLLOWED = 5_000  # topics
READERS = 100_000  # gathered at a time
LEAST_INTERESTS = 24  # of the catalogue, from which others are mixed
PROFILES = 200  # back-tested
CATEGORIES = ("cs.AI", "cs.CL", "cs.CV", "cs.LG", "stat.ML")
# What authors leave in their abstracts: one in eight has a command, one in ten a dollar sign.
LATEX = (
    r"We bound the error by $\mathcal{O}(\sqrt{n \log n})$ for every $\epsilon > 0$.",
    r"Our \emph{two-stage} method gains 3.4\% over \textsc{Base}, see \url{https://example.org/code}.",
    r"Erd\H{o}s--R\'enyi graphs with $p_{ij} \leq 10^{-3}$ are covered as well.",
)
ORGANISATIONS = ("Example Lab", "Sample University", "Institute of Trials", "")


@dataclass(frozen=True, slots=True)
class Measured:
    """`rates` are things a second of wall time; `counts` as in `run_edition --json`, where one ran."""

    seconds: float
    cpu_seconds: float
    rates: dict[str, float]
    counts: dict[str, object]

    def as_json(self) -> dict[str, object]:
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            **self.counts,
            "seconds": round(self.seconds, 3),
            "cpu_seconds": round(self.cpu_seconds, 3),
            "peak_rss_mb": round(peak_kb / 1024, 1),
            "rates": {name: round(rate, 1) for name, rate in self.rates.items()},
        }


class _Clock:
    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._wall

    @property
    def cpu_seconds(self) -> float:
        return time.process_time() - self._cpu


class _Stages:
    """Clocks by name; one that is entered again goes on."""

    def __init__(self) -> None:
        self._wall: dict[str, float] = defaultdict(float)
        self._cpu: dict[str, float] = defaultdict(float)

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        clock = _Clock()
        yield
        self._wall[name] += clock.seconds
        self._cpu[name] += clock.cpu_seconds

    @property
    def names(self) -> list[str]:
        return list(self._wall)

    def seconds(self, *names: str) -> float:
        return sum(self._wall[name] for name in names)

    def cpu_seconds(self, *names: str) -> float:
        return sum(self._cpu[name] for name in names)


class _QueryCounter:
    """Counts what is sent to the database; keeping the texts, as tests do, would take half the time."""

    def __init__(self) -> None:
        self.queries = 0

    def __call__(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        self.queries += 1
        return execute(*arguments)


# --- the six of them ------------------------------------------------------------------------------


def match(*, subscribers: int, papers: int) -> Measured:
    """Match a day's papers with as many distinct profiles, then gather as many readers' mails.

    Every profile has a filter and an interest of its own. `seconds` and `cpu_seconds` are what the day costs:
    the papers indexed, the filters evaluated, the stored interests read, the hits scored. Apart from that
    stand under "stages", in seconds of CPU: filters parsed (a sample) and compiled, which is done once, when
    they are saved; and readers of 5,000 of these topics, who are gathered and ranked. What is not measured
    is the making of papers and people, block by block; `peak_rss_mb` is of the whole process.
    """
    ground = space.starter()
    topics = _catalogue_interests(max(LEAST_INTERESTS, subscribers // 40))
    known = [(topic, _prepared(topic, ground)) for topic in topics]
    _fill_papers(papers, random.Random(11), texts=crowd.texts(papers, ground=ground, topics=known))
    edition = schedule.open_edition("daily", DAY, now=NOW)
    assert edition is not None
    documents = documents_of([row.paper_id for row in edition.edition_papers.all()])
    if papers >= space.LEAST_PAPERS:
        # As an installation that has trained its own.
        ground = ground.joined(Space.trained(DayIndex(documents)))
        known = [(topic, _prepared(topic, ground)) for topic in topics]

    stages = _Stages()
    with stages("index"):
        index = DayIndex(documents)
        day = Papers(index, ground)
        assert len(day.vectors) == papers
    people = crowd.Crowd(day, known)

    compiled = Compiled()
    for trees in _blocks(people.trees(subscribers)):
        with stages("compile"):
            for tree in trees:
                compiled.add(tree)
        if len(compiled) <= batch.BLOCK:
            texts = [Filter(tree).canonical for tree in trees[:PARSED]]
            with stages("parse"):
                parsed = [parse(text) for text in texts]
            assert [one.tree for one in parsed] == trees[:PARSED]

    with stages("evaluate"):
        asked = compiled.asked(index)
    scorer = batch.Scorer(day)
    ranker = Ranker()
    hits = shown = 0
    followed: list[tuple[batch.Scored, npt.NDArray[np.float32]]] = []
    for first in range(0, subscribers, batch.BLOCK):
        last = min(first + batch.BLOCK, subscribers)
        with stages("evaluate"):
            found = asked.hits(first, last)
        packed = [packing.pack(one) for one in people.prepared(first, last)]
        with stages("load"):
            profiles = packing.Profiles.read(packed)
        with stages("score"):
            scored = scorer.score(profiles, found)
            probabilities = ranker.probabilities(scored.log_odds)
        hits += len(probabilities)
        shown += int((probabilities >= LOWEST_SHOWN).sum())
        if first == 0:
            followed = [(scored, probabilities)]

    gathered = 0
    (scored, probabilities) = followed[0]
    offered = min(FOLLOWED, subscribers)
    own = slice(scored.ends[offered])
    for first in range(0, subscribers, READERS):
        readers = crowd.readers(min(READERS, subscribers - first), topics=offered, seed=first)
        with stages("gather"):
            if first == 0:
                ends = scored.ends[: offered + 1]
                order = gather.in_order(ends, scored.positions[own], probabilities[own])
                offers = gather.Offers(ends, scored.positions[own][order], papers)
            gathered += len(gather.gather(readers, offers).papers)

    a_day = ("index", "evaluate", "load", "score")
    matched = ("evaluate", "load", "score")
    return Measured(
        stages.seconds(*a_day),
        stages.cpu_seconds(*a_day),
        {
            "filters_parsed": len(parsed) / stages.seconds("parse"),
            "filters_compiled": subscribers / stages.seconds("compile"),
            "papers_indexed": papers / stages.seconds("index"),
            "filters_evaluated": subscribers / stages.seconds("evaluate"),
            "profiles_loaded": subscribers / stages.seconds("load"),
            "profiles_scored": subscribers / stages.seconds("score"),
            "profiles_matched": subscribers / stages.seconds(*matched),
            "readers_gathered": subscribers / stages.seconds("gather"),
        },
        {
            "papers": papers,
            "subscribers": subscribers,
            "filters": len(compiled),
            "atoms": compiled.atoms,
            "parsed": len(parsed),
            "hits": hits,
            "shown": shown,
            "followed": offered,
            "gathered": gathered,
            "stages": {name: round(stages.cpu_seconds(name), 3) for name in stages.names},
        },
    )


def _blocks(trees: Iterator[Node]) -> Iterator[list[Node]]:
    while block := list(islice(trees, batch.BLOCK)):
        yield block


def _catalogue_interests(most: int) -> list[dict[str, Any]]:
    """Spread over the catalogue."""
    rows = [topic for topic in Topic.objects.catalogue() if len(topic.keywords) > 2]
    return [
        {"name": topic.name, "keywords": list(topic.keywords), "sentence": topic.description}
        for topic in rows[:: max(1, len(rows) // most)]
    ]


def _prepared(profile: dict[str, Any], ground: Space) -> features.Prepared:
    prepared = features.prepare(profile, ground)
    assert prepared is not None
    return prepared


def compose_edition(*, subscribers: int, papers: int) -> Measured:
    """Open an edition and write every reader's row and digest; nothing is sent."""
    fill(papers=papers, subscribers=subscribers)
    clock = _Clock()
    edition = schedule.open_edition("daily", DAY, now=NOW)
    assert edition is not None
    compose.compose(edition, now=NOW, at_once=True)
    seconds, cpu_seconds = clock.seconds, clock.cpu_seconds
    ran = run.Ran(edition, ledger.counts(edition.mailing_id), seconds)
    return Measured(seconds, cpu_seconds, {"rows_composed": subscribers / seconds}, ran.as_json())


def deliver(*, subscribers: int, papers: int) -> Measured:
    """Deliver an edition that is composed: lease, assemble, hand over, record."""
    fill(papers=papers, subscribers=subscribers)
    edition = schedule.open_edition("daily", DAY, now=NOW)
    assert edition is not None
    compose.compose(edition, now=NOW, at_once=True)
    clock = _Clock()
    ran = run.run("daily", DAY, now=NOW, at_once=True)
    assert ran is not None
    sent = ran.counts["sent"]
    return Measured(clock.seconds, clock.cpu_seconds, {"mails_sent": sent / clock.seconds}, ran.as_json())


def day(*, subscribers: int, papers: int) -> Measured:
    """A whole day: open, match, compose and deliver."""
    fill(papers=papers, subscribers=subscribers)
    clock = _Clock()
    ran = run.run("daily", DAY, now=NOW, at_once=True)
    assert ran is not None
    return Measured(
        clock.seconds, clock.cpu_seconds, {"mails_sent": ran.counts["sent"] / clock.seconds}, ran.as_json()
    )


def ingest_day(*, subscribers: int, papers: int) -> Measured:
    """Store an arXiv day: all new, the same again, then all changed. `subscribers` plays no part."""
    source = Source.objects.get(slug="arxiv")
    records = _records(papers, random.Random(13))
    changed = tuple(replace(record, version=2, title=f"{record.title} revised") for record in records)
    clock = _Clock()
    passes, queries = [], []
    for number, said in enumerate((records, records, changed)):
        started = clock.seconds
        counter = _QueryCounter()
        with connection.execute_wrapper(counter):
            done = ingest(
                Parsed(declared=papers, records=said),
                source=source,
                listing_day=DAY,
                now=NOW + timedelta(hours=number),
                categories=CATEGORIES,
                door="rss",
                is_final=True,
            )
        passes.append(clock.seconds - started)
        queries.append(counter.queries)
        assert done.parsed == papers
        if not number:
            counts = {"papers": papers, "new": done.new, "merged": done.merged, "rejected": done.rejected}
    return Measured(
        clock.seconds,
        clock.cpu_seconds,
        {name: papers / each for name, each in zip(("new", "again", "changed"), passes, strict=True)},
        {**counts, "queries": queries, "pass_seconds": [round(each, 3) for each in passes]},
    )


def backtest_profiles(*, subscribers: int, papers: int) -> Measured:
    """Back-test PROFILES random profiles over 30 listing days, each asked for the first time.

    The papers are indexed and measured before, as they are in a web process. `subscribers` plays no part.
    """
    dice = random.Random(17)
    _fill_papers(papers, dice, days=recent.DAYS)
    clock = _Clock()
    now = recent.current(now=NOW).get_ready()
    ready = clock.seconds
    profiles = list(_profiles(PROFILES, dice))
    gc.collect()
    gc.freeze()  # as digest/wsgi.py does
    found, took, worked = 0, [], []
    for profile in profiles:
        started, cpu_started = clock.seconds, clock.cpu_seconds
        tested = backtest(now, **profile)
        found += len(tested.found)
        tested.found.per_day()
        _ = tested.best
        took.append(clock.seconds - started)
        worked.append(clock.cpu_seconds - cpu_started)
    gc.unfreeze()
    return Measured(
        clock.seconds,
        clock.cpu_seconds,
        {"papers_prepared": papers / ready, "profiles": len(took) / sum(took)},
        {
            "papers": len(now.papers),
            "days": len(now.days),
            "profiles": len(took),
            "found": found,
            "median_ms": round(1000 * statistics.median(took), 1),
            "worst_ms": round(1000 * max(took), 1),
            "median_cpu_ms": round(1000 * statistics.median(worked), 1),
            "worst_cpu_ms": round(1000 * max(worked), 1),
        },
    )


BENCHMARKS: dict[str, Callable[..., Measured]] = {
    "ingest": ingest_day,
    "match": match,
    "compose": compose_edition,
    "deliver": deliver,
    "day": day,
    "backtest": backtest_profiles,
}


# --- the ground -----------------------------------------------------------------------------------


@contextlib.contextmanager
def scratch_database() -> Iterator[None]:
    """A new, migrated database on the same server, in place of the real one; dropped at the end."""
    own = connection.settings_dict
    name = f"paperboy_benchmark_{secrets.token_hex(4)}"
    connection.ensure_connection()
    parameters = {**connection.get_connection_params(), "dbname": own["NAME"]}
    connection.close()
    keep = {
        key: parameters[key] for key in ("dbname", "user", "password", "host", "port") if key in parameters
    }
    with psycopg.connect(**keep, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        real = own["NAME"]
        own["NAME"] = name
        try:
            call_command("migrate", verbosity=0)
            yield
        finally:
            connection.close()
            own["NAME"] = real
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def filter_texts(count: int) -> list[str]:
    """Distinct filters of one to three terms, from the words of the sample's titles."""
    dice = random.Random(7)
    words = sorted({word for entry in _entries() for word in entry["title"].split() if word.isalpha()})
    words = [word for word in words if len(word) > 4]
    texts: dict[str, None] = {}
    while len(texts) < count:
        first, second, third = dice.sample(words, 3)
        shape = dice.choice(("{0}", '"{0} {1}" OR {2}', "{0} OR {1} OR {2}", "{0} -{1}", "{0}* OR title:{1}"))
        texts[parse(shape.format(first, second, third)).canonical] = None
    return list(texts)


def fill(*, papers: int, subscribers: int) -> None:
    """Papers of one listing day, and readers with one to three topics each."""
    dice = random.Random(11)
    _fill_papers(papers, dice)
    catalogue = list(Topic.objects.catalogue())
    revisions = topics.revisions(filter_texts(FILTERS), now=NOW)
    own = Topic.objects.bulk_create(
        Topic(slug=f"benchmark-{number}", name=revision.canonical[:80], filter=revision)
        for number, revision in enumerate(revisions)
    )
    followed = [*catalogue, *own]
    for first in range(0, subscribers, 10_000):
        readers = Subscriber.objects.bulk_create(
            Subscriber(
                email=f"reader{number}@lab{number % 97}.example",
                address=f"reader{number}@lab{number % 97}.example",
                status=Subscriber.Status.ACTIVE,
                created_at=NOW - timedelta(days=30),
                confirmed_at=NOW - timedelta(days=30),
            )
            for number in range(first, min(first + 10_000, subscribers))
        )
        SubscribedTopic.objects.bulk_create(
            (
                SubscribedTopic(subscriber=reader, topic=topic, position=position)
                for reader in readers
                for position, topic in enumerate(dice.sample(followed, dice.randint(1, 3)))
            ),
            batch_size=10_000,
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _profiles(count: int, dice: random.Random) -> Iterator[dict[str, Any]]:
    """Filters, keywords, sentences and liked papers, alone and together, from the words of the sample."""
    texts = filter_texts(count)
    entries = _entries()
    for number, text in enumerate(texts):
        titles = [entry["title"].split() for entry in dice.sample(entries, 5)]
        keywords = [
            " ".join(words[at : at + 2]) for words in titles if (at := dice.randrange(len(words))) >= 0
        ]
        sentence = dice.choice(entries)["abstract"].split(". ")[0]
        liked = [
            {"id": f"{number}-{place}", "title": entry["title"], "abstract": entry["abstract"]}
            for place, entry in enumerate(dice.sample(entries, 3))
        ]
        yield (
            {"filter": parse(text)},
            {"interest": Interest.of(keywords)},
            {"interest": Interest.of((), sentence)},
            {"interest": Interest.of(keywords, sentence), "filter": parse(text), "min_relevance": 60},
            {"interest": Interest.of(keywords), "liked": liked},
        )[number % 5]


def _fill_papers(
    papers: int, dice: random.Random, *, days: int = 1, texts: Sequence[tuple[str, str]] | None = None
) -> None:
    """Spread over listing days up to DAY; where there are several, every second paper has no votes yet.

    `texts`: titles and abstracts; without them, the sample's sentences.
    """
    entries = _entries()
    texts = texts or [
        (
            f"{dice.choice(entries)['title']} ({number})",
            " ".join(entry["abstract"] for entry in dice.sample(entries, 2)),
        )
        for number in range(papers)
    ]
    source = Source.objects.get(slug="huggingface")
    listing_days = [DAY - timedelta(days=back) for back in range(days)]
    batches = Batch.objects.bulk_create(
        Batch(
            source=source,
            listing_day=day,
            declared=papers // days,
            parsed=papers // days,
            fetched_at=NOW,
            settled_at=NOW,
        )
        for day in listing_days
    )
    stored = Paper.objects.bulk_create(
        Paper(
            key=f"arxiv:2608.{90_000 + number}",
            arxiv_id=f"2608.{90_000 + number}",
            url=f"https://arxiv.org/abs/2608.{90_000 + number}",
            title=title,
            abstract=abstract,
            summary=dice.choice(entries)["summary"],
            authors=[
                f"Given{dice.randint(1, 500)} Author{dice.randint(1, 2_000)}"
                for _ in range(dice.randint(1, 12))
            ],
            organization=dice.choice(ORGANISATIONS),
            categories=CATEGORIES[number % len(CATEGORIES) :][:2],
            primary_category=CATEGORIES[number % len(CATEGORIES)],
            first_listed_on=listing_days[number % days],
            votes=dice.randint(0, 90) if days == 1 or number // days % 2 else None,
            comments=dice.randint(0, 9),
            counted_at=NOW,
            created_at=NOW,
            updated_at=NOW,
        )
        for number, (title, abstract) in enumerate(texts)
    )
    Sighting.objects.bulk_create(
        Sighting(
            paper=paper,
            source=source,
            batch=batches[number % days],
            listing_day=listing_days[number % days],
            seen_at=NOW,
            votes=paper.votes,
        )
        for number, paper in enumerate(stored)
    )


def _records(papers: int, dice: random.Random) -> tuple[PaperRecord, ...]:
    """A day's announcements, as long and as full of LaTeX as arXiv's are."""
    entries = _entries()

    def abstract() -> str:
        said = ""
        while len(said) < 1_300:  # the mean of 20,726 recent ones
            said += f"{dice.choice(entries)['abstract']} "
        return f"{said}{dice.choice(LATEX)}" if dice.random() < 0.2 else said

    return tuple(
        PaperRecord(
            position=number,
            listing_day=DAY,
            arxiv_id=f"2608.{10_000 + number}",
            title=f"{dice.choice(entries)['title']}: case {number} of $k$-step \\emph{{agents}}",
            abstract=abstract(),
            authors=tuple(
                f"{dice.choice('ABCDEFG')}. Author{dice.randint(1, 5_000)}"
                for _ in range(dice.randint(1, 12))
            ),
            affiliations=tuple(dict.fromkeys(dice.choices(ORGANISATIONS[:3], k=2))),
            primary_category=(own := dice.sample(CATEGORIES, dice.randint(1, 3)))[0],
            categories=tuple(own),
            announce_type=dice.choice(("new", "new", "cross")),
            version=1,
            comment=dice.choice(
                ("", "12 pages, 4 figures", "Accepted at ACL 2026. Code: https://github.com/a/b")
            ),
        )
        for number in range(papers)
    )


def _entries() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(Path(sample.__file__).with_name("sample.json").read_text())
    return entries


# --- a mail server that takes everything ------------------------------------------------------------


class _Sink(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 sink ESMTP\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                self.wfile.write(b"250 2.0.0 taken\r\n")
            elif verb == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            else:
                self.wfile.write(b"250 ok\r\n")


def _serve(port: Any) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Sink) as server:
        port.send(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port.poll(None)  # until the other end is closed


@contextlib.contextmanager
def null_sink() -> Iterator[str]:
    """EMAIL_URL of a server in a process of its own that takes every mail and keeps none."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield f"smtp://127.0.0.1:{ours.recv()}"
    finally:
        ours.close()
        process.join(5)
        process.terminate()


@contextlib.contextmanager
def mail_server(address: str | None) -> Iterator[None]:
    """Send to HOST:PORT, or to a null sink, for as long as the block runs."""
    with contextlib.ExitStack() as stack:
        url = f"smtp://{address}" if address else stack.enter_context(null_sink())
        before = settings.EMAIL_URL
        settings.EMAIL_URL = url
        try:
            yield
        finally:
            settings.EMAIL_URL = before
