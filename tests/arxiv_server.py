"""arXiv's three services on this machine: announcement feed, OAI-PMH and API, from papers or from recordings.

    with arxiv_server() as server:
        server.announce(date(2026, 8, 20), [paper("2608.00001", "cs.CL", "cs.AI"), …])
        server.shows = date(2026, 8, 20)

`shows` is the feed's day. `replies["rss"]`, `["oai"]` and `["api"]` are given out first, one per request.
`arrivals` says when requests came, `most_at_once` how many there were at the same time.
"""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape, quoteattr

import pytest
from django.db import connections

from digest.models import UpstreamClock
from digest.sources import clock
from digest.sources.arxiv import calendar, ids, taxonomy
from tests.servers import Asked, Reply

NAMESPACES = (
    'xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:atom="http://www.w3.org/2005/Atom"'
)


@dataclass(kw_only=True)
class Paper:
    """What arXiv knows of a paper. `announced` overrides the type that follows from its categories."""

    arxiv_id: str
    categories: tuple[str, ...]
    title: str
    abstract: str
    authors: str
    versions: tuple[datetime, ...]
    announced: str = ""
    comment: str = ""
    doi: str = ""
    journal_ref: str = ""
    is_deleted: bool = False
    datestamp: date | None = None  # else the listing day


def paper(
    arxiv_id: str,
    *categories: str,
    versions: Iterable[datetime] = (datetime(2026, 8, 19, 12, tzinfo=UTC),),
    **fields: Any,
) -> Paper:
    """An invented paper."""
    given: dict[str, Any] = {
        "title": f"Invented paper {arxiv_id}",
        "abstract": f"An invented abstract, number {arxiv_id}.",
        "authors": "Ada Lovelace, Charles Babbage",
        **fields,
    }
    return Paper(arxiv_id=arxiv_id, categories=categories or ("cs.CL",), versions=tuple(versions), **given)


@dataclass(kw_only=True)
class _Sequence:
    """A harvest under way: what is left of it."""

    left: list[tuple[date, Paper]]
    uses: int = 0


@dataclass(kw_only=True)
class ArxivServer:
    days: dict[date, list[Paper]] = field(default_factory=dict)
    shows: date = date(2026, 8, 20)
    replies: dict[str, list[Reply]] = field(default_factory=lambda: {"rss": [], "oai": [], "api": []})
    asked: list[Asked] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    most_at_once: int = 0
    cut: int = 2_000  # entries of a feed
    page_size: int = 2_500  # records of a page of OAI-PMH
    dead_tokens: int = 0  # so many tokens die when they are used
    holes: int = 0  # so many further pages, or answers of the API, come without anything
    delay_seconds: float = 0.0
    files: dict[tuple[str, tuple[tuple[str, str], ...]], Reply] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._sequences: dict[str, _Sequence] = {}
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def settings(self) -> dict[str, str]:
        """What a process is told so that it asks here."""
        return {
            "ARXIV_RSS_URL": self.url,
            "ARXIV_OAI_URL": f"{self.url}/oai",
            "ARXIV_API_URL": f"{self.url}/api/query",
        }

    def announce(self, day: date, papers: Iterable[Paper]) -> None:
        self.days.setdefault(day, []).extend(papers)

    def paths(self, door: str = "") -> list[str]:
        """What was asked for so far, of one door or of all."""
        return [one.path for one in self.asked if not door or _door(one.path) == door]

    def serve_manifest(self, folder: Path, *, only: str = "") -> list[dict[str, Any]]:
        """Answer the requests of a manifest with its files; its entries. Of two that answer one, the last."""
        entries = [
            entry
            for entry in json.loads((folder / "manifest.json").read_text())
            if only in entry["file"] and entry["request_url"].startswith("http")
        ]
        for entry in entries:
            parts = urlsplit(entry["request_url"].partition(" ")[0])
            self.files[_key(parts.path, parts.query)] = Reply(
                status=entry["http_status"],
                body=(folder / entry["file"]).read_bytes(),
                headers={"Content-Type": entry["content_type_for_tests"].partition(" ")[0]},
            )
        return entries

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    # --- answers ---

    def answer(self, asked: Asked, query: str) -> Reply:
        door = _door(asked.path)
        if self.replies.get(door):
            return self.replies[door].pop(0)
        if recorded := self.files.get(_key(asked.path, query)):
            return replace(recorded)
        match door:
            case "rss":
                return self._feed(unquote(asked.path.rpartition("/")[2]).split("+"))
            case "oai":
                return self._oai(asked.params)
            case "api":
                return self._api(asked.params)
        return Reply(status=404, body=b"nothing here", headers={"Content-Type": "text/plain"})

    def _feed(self, codes: list[str]) -> Reply:
        headers = {"Content-Type": "application/rss+xml", "ETag": "0" * 64}
        unknown = next((code for code in codes if not _is_known(code)), None)
        if unknown is not None:
            said = f"Bad subject class '{unknown}'. Valid subject classes for the archive are others."
            title = f"Feed error for query: {self.url}/rss/{'+'.join(codes)}"
            return Reply(status=400, body=feed([], day=self.shows, title=title, said=said), headers=headers)
        papers = [one for one in self.days.get(self.shows, []) if _is_in(one, codes)]
        order = ("new", "cross", "replace", "replace-cross")
        papers.sort(key=lambda one: (order.index(_type(one, codes)), one.arxiv_id))
        # The cut falls on the new ones first.
        items = [item(one, day=self.shows, announced=_type(one, codes)) for one in papers][-self.cut :]
        return Reply(
            body=feed(items, day=self.shows, title=f"{', '.join(codes)} updates on arXiv.org"),
            headers=headers,
        )

    def _oai(self, params: dict[str, str]) -> Reply:
        if params.get("verb") != "ListRecords":
            return oai_error("badVerb", "Invalid verb provided")
        if token := params.get("resumptionToken"):
            sequence = self._sequences.get(unquote(token))
            if sequence is None or set(params) != {"verb", "resumptionToken"}:
                return oai_error("badResumptionToken", "Token decoding failed or format is invalid.")
            if self.dead_tokens:
                self.dead_tokens -= 1
                del self._sequences[unquote(token)]
                return oai_error("badResumptionToken", "The token has expired.")
            if self.holes:
                self.holes -= 1
                return oai_page([])
            return self._page(sequence)
        wanted = params.get("set", "")
        if wanted and not any(taxonomy.oai_set(code) == wanted for code in taxonomy.CATEGORIES):
            return oai_error("badArgument", "Set does not exist")
        first = date.fromisoformat(params.get("from", "2005-09-16"))
        last = date.fromisoformat(params.get("until", "2100-01-01"))
        found = [
            (stamp, one)
            for day, papers in sorted(self.days.items())
            for one in papers
            if first <= (stamp := one.datestamp or day) <= last
            and (not wanted or wanted in {taxonomy.oai_set(code) for code in one.categories})
        ]
        return self._page(_Sequence(left=found)) if found else oai_error("noRecordsMatch", "An empty list.")

    def _page(self, sequence: _Sequence) -> Reply:
        now, left = sequence.left[: self.page_size], sequence.left[self.page_size :]
        records = [record(one, stamp=stamp) for stamp, one in now]
        if not left and not sequence.uses:
            return oai_page(records)
        if not left:
            return oai_page(records, token="")
        token = f"verb=ListRecords&skip={len(left)}&n={len(self._sequences)}"
        self._sequences[token] = _Sequence(left=left, uses=sequence.uses + 1)
        return oai_page(records, token=quote(token, safe=""))

    def _api(self, params: dict[str, str]) -> Reply:
        asked = [one for one in params.get("id_list", "").split(",") if one]
        for one in asked:
            try:
                ids.split(one)
            except ids.NotAnId:
                return Reply(status=400, body=api_error(f"incorrect id format for {one}"), headers=_ATOM)
        known = {one.arxiv_id: one for papers in self.days.values() for one in papers}
        found = [known[arxiv_id] for one in asked if (arxiv_id := ids.split(one)[0]) in known]
        start, most = int(params.get("start", 0)), int(params.get("max_results", 10))
        shown = found[start : start + most]
        if self.holes:
            self.holes -= 1
            shown = []
        body = api_page([entry(one) for one in shown], total=len(found), start=start, per_page=most)
        return Reply(body=body, headers=_ATOM)

    # --- the socket ---

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                arrived = time.monotonic()
                parts = urlsplit(self.path)
                asked = Asked(
                    path=parts.path,
                    params=dict(parse_qsl(parts.query, keep_blank_values=True)),
                    headers={name.lower(): value for name, value in self.headers.items()},
                )
                with server._lock:
                    server.arrivals.append(arrived)
                    server.asked.append(asked)
                    server._running += 1
                    server.most_at_once = max(server.most_at_once, server._running)
                    reply = server.answer(asked, parts.query)
                try:
                    time.sleep(reply.delay_seconds or server.delay_seconds)
                    self._send(reply)
                finally:
                    with server._lock:
                        server._running -= 1

            def _send(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if reply.cut_at is not None:
                    self.close_connection = True
                self.wfile.write(reply.body[: reply.cut_at])

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet: a test reads `asked`."""

        return Handler


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is part of the tests."""


@contextmanager
def arxiv_server() -> Iterator[ArxivServer]:
    """A started server, stopped afterwards. Point the settings of `settings()` at it."""
    server = ArxivServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def free_clock(monkeypatch: pytest.MonkeyPatch, *, seconds: float = 0.0) -> None:
    """No distance between requests, and no clock closed: its rows are committed and outlive a test."""
    monkeypatch.setattr(clock, "SECONDS", seconds)
    with closing(connections["default"].copy()) as own, own.cursor() as cursor:
        cursor.execute(f"DELETE FROM {UpstreamClock._meta.db_table}")


# Ways to fail.
RATE_EXCEEDED = Reply(status=429, body=b"Rate exceeded.", headers={"Content-Type": "text/plain"})
FORBIDDEN = Reply(status=403, body=b"Access denied.", headers={"Content-Type": "text/plain"})
UNAVAILABLE = Reply(status=503, body=b"", headers={"Content-Type": "text/plain"})
ERROR_PAGE = Reply(
    body=b"<!DOCTYPE html><html><body>Sorry</body></html>", headers={"Content-Type": "text/html"}
)

_ATOM = {"Content-Type": "application/atom+xml"}


def _door(path: str) -> str:
    if path.startswith(("/rss/", "/atom/")):
        return "rss"
    return {"/oai": "oai", "/api/query": "api"}.get(path, "")


def _key(path: str, query: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return unquote(path), tuple(sorted(parse_qsl(query)))


def _is_known(code: str) -> bool:
    return code in taxonomy.CATEGORIES or taxonomy.is_archive(code)


def _is_in(one: Paper, codes: Iterable[str]) -> bool:
    return any(code in codes or code.partition(".")[0] in codes for code in one.categories)


def _type(one: Paper, codes: list[str]) -> str:
    is_home = _is_in(replace(one, categories=one.categories[:1]), codes)
    if one.announced:
        return one.announced
    return (
        ("new" if is_home else "cross")
        if len(one.versions) == 1
        else ("replace" if is_home else "replace-cross")
    )


# --- as the services write it -------------------------------------------------------------------------------


def feed(
    items: Iterable[str], *, day: date, title: str = "cs.CL updates on arXiv.org", said: str = ""
) -> bytes:
    """An RSS channel of this day, as arxiv-feed's code makes it."""
    midnight = format_datetime(calendar.turns_over_at(day).astimezone(calendar.NEW_YORK))
    built = format_datetime(calendar.turns_over_at(day) + timedelta(seconds=3))
    return (
        f"<?xml version='1.0' encoding='UTF-8'?>\n<rss {NAMESPACES} version=\"2.0\">\n<channel>"
        f"<title>{escape(title)}</title><link>http://rss.arxiv.org/rss/x</link>"
        f"<description>{escape(said or title)}</description>"
        f'<atom:link href="http://rss.arxiv.org/rss/x" rel="self" type="application/rss+xml"/>'
        f"<language>en-us</language><lastBuildDate>{built}</lastBuildDate>"
        f"<managingEditor>rss-help@arxiv.org</managingEditor><pubDate>{midnight}</pubDate>"
        f"<skipDays><day>Sunday</day><day>Saturday</day></skipDays>{''.join(items)}</channel></rss>"
    ).encode()


def item(one: Paper, *, day: date, announced: str) -> str:
    midnight = format_datetime(calendar.turns_over_at(day).astimezone(calendar.NEW_YORK))
    full = f"{one.arxiv_id}v{len(one.versions)}"
    text = f"arXiv:{full} Announce Type: {announced} \nAbstract: {one.abstract}"
    categories = "".join(f"<category>{escape(code)}</category>" for code in one.categories)
    extra = f"<arxiv:DOI>{escape(one.doi)}</arxiv:DOI>" if one.doi else ""
    extra += (
        f"<arxiv:journal_reference>{escape(one.journal_ref)}</arxiv:journal_reference>"
        if one.journal_ref
        else ""
    )
    return (
        f"<item><title>{escape(one.title)}</title><link>https://arxiv.org/abs/{one.arxiv_id}</link>"
        f"<description>{escape(text)}</description>"
        f'<guid isPermaLink="false">oai:arXiv.org:{full}</guid>{categories}<pubDate>{midnight}</pubDate>'
        f"<arxiv:announce_type>{announced}</arxiv:announce_type>{extra}"
        f"<dc:creator>{escape(one.authors)}</dc:creator></item>\n"
    )


def record(one: Paper, *, stamp: date) -> str:
    sets = "".join(f"<setSpec>{taxonomy.oai_set(code)}</setSpec>" for code in one.categories)
    status = ' status="deleted"' if one.is_deleted else ""
    header = (
        f"<header{status}><identifier>oai:arXiv.org:{one.arxiv_id}</identifier>"
        f"<datestamp>{stamp}</datestamp>{sets}</header>"
    )
    if one.is_deleted:
        return f"<record>{header}</record>"
    versions = "".join(
        f'<version version="v{number}"><date>{format_datetime(at.astimezone(UTC), usegmt=True)}</date>'
        "<size>12kb</size></version>"
        for number, at in enumerate(one.versions, start=1)
    )
    extra = "".join(
        f"<{name}>{escape(value)}</{name}>"
        for name, value in (("comments", one.comment), ("journal-ref", one.journal_ref), ("doi", one.doi))
        if value
    )
    return (
        f'<record>{header}<metadata><arXivRaw xmlns="http://arxiv.org/OAI/arXivRaw/"><id>{one.arxiv_id}</id>'
        f"<submitter>Ada Lovelace</submitter>{versions}<title>{escape(one.title)}</title>"
        f"<authors>{escape(one.authors)}</authors><categories>{' '.join(one.categories)}</categories>{extra}"
        f"<abstract>  {escape(one.abstract)}</abstract></arXivRaw></metadata></record>\n"
    )


def oai_page(records: Iterable[str], *, token: str | None = None) -> Reply:
    """A page; `token` None: the only one, empty: the last one."""
    element = "" if token is None else "<resumptionToken/>"
    if token:
        element = f"<resumptionToken expirationDate='2026-08-22T00:00:00Z'>{escape(token)}</resumptionToken>"
    return _oai(f"<ListRecords>{''.join(records)}{element}</ListRecords>")


def oai_error(code: str, message: str) -> Reply:
    return _oai(f"<error code={quoteattr(code)}>{escape(message)}</error>")


def _oai(inside: str) -> Reply:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
        "<responseDate>2026-08-21T02:40:11Z</responseDate><request>http://oaipmh.arxiv.org/oai</request>"
        f"{inside}</OAI-PMH>"
    )
    return Reply(body=body.encode(), headers={"Content-Type": "text/xml"})


def entry(one: Paper) -> str:
    full = f"{one.arxiv_id}v{len(one.versions)}"
    people = "".join(f"<author><name>{escape(name)}</name></author>" for name in one.authors.split(", "))
    categories = "".join(f"<category term={quoteattr(code)}/>" for code in one.categories)
    return (
        f"<entry><id>http://arxiv.org/abs/{full}</id><title>{escape(one.title)}</title>"
        f"<updated>{one.versions[-1]:%Y-%m-%dT%H:%M:%SZ}</updated>"
        f'<link href="https://arxiv.org/abs/{full}" rel="alternate" type="text/html"/>'
        f"<summary>{escape(one.abstract)}</summary>{categories}"
        f"<published>{one.versions[0]:%Y-%m-%dT%H:%M:%SZ}</published>"
        f"<arxiv:primary_category term={quoteattr(one.categories[0])}/>{people}</entry>\n"
    )


def api_page(entries: Iterable[str], *, total: int, start: int = 0, per_page: int = 10) -> bytes:
    return (
        "<?xml version='1.0' encoding='UTF-8'?>\n"
        '<feed xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" '
        'xmlns:arxiv="http://arxiv.org/schemas/atom" xmlns="http://www.w3.org/2005/Atom">'
        "<id>https://arxiv.org/api/x</id><title>arXiv Query: x</title><updated>2026-08-20T05:00:00Z</updated>"
        f"<opensearch:itemsPerPage>{per_page}</opensearch:itemsPerPage>"
        f"<opensearch:totalResults>{total}</opensearch:totalResults>"
        f"<opensearch:startIndex>{start}</opensearch:startIndex>{''.join(entries)}</feed>"
    ).encode()


def api_error(message: str) -> bytes:
    error = (
        f"<entry><id>https://arxiv.org/api/errors#{quote(message)}</id><title>Error</title>"
        f"<updated>2026-08-20T05:00:00Z</updated><summary>{escape(message)}</summary>"
        "<author><name>arXiv api core</name></author></entry>"
    )
    return api_page([error], total=1, per_page=1)
