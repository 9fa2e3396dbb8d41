"""Servers that answer like the real ones, on this machine, over real sockets."""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO
from urllib.parse import parse_qs, urlsplit

DEFAULT_LIMIT = 50


@dataclass(kw_only=True)
class Reply:
    """What to answer one request with, instead of the list."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    cut_at: int | None = None  # bytes; then the connection is closed
    raw: Callable[[BinaryIO], None] | None = None  # writes everything itself, the status line included


@dataclass(kw_only=True)
class Asked:
    """One request as it arrived."""

    path: str
    params: dict[str, str]
    headers: dict[str, str]
    method: str = "GET"
    body: bytes = b""


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is part of the tests."""


class WebServer:
    """Any site: `pages` maps a path to what it answers, or to a function of the request; else 404.

    With `etags`, a page that has not changed answers 304. Nothing is packed unless a page says so itself.
    """

    def __init__(self) -> None:
        self.pages: dict[str, Reply | bytes | Callable[[Asked], Reply]] = {}
        self.asked: list[Asked] = []
        self.etags = False
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def host(self) -> str:
        """Host and port, as TRUSTED_FEED_HOSTS takes them."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def answer(self, asked: Asked) -> Reply:
        page = self.pages.get(asked.path, Reply(status=404, body=b"Nothing here"))
        reply = page(asked) if callable(page) else Reply(body=page) if isinstance(page, bytes) else page
        if self.etags and reply.status == 200:
            etag = f'"{hash(reply.body):x}"'
            if asked.headers.get("if-none-match") == etag:
                return Reply(status=304, headers={"ETag": etag})
            return replace(reply, headers={**reply.headers, "ETag": etag})
        return reply

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                asked = Asked(
                    path=parts.path,
                    params={name: values[-1] for name, values in parse_qs(parts.query).items()},
                    headers={name.lower(): value for name, value in self.headers.items()},
                    method=self.command,
                    body=self.rfile.read(int(self.headers.get("Content-Length", 0))),
                )
                server.asked.append(asked)
                reply = server.answer(asked)
                if reply.delay_seconds:
                    time.sleep(reply.delay_seconds)
                if reply.raw is not None:
                    self.close_connection = True
                    reply.raw(self.wfile)
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if reply.cut_at is not None:
                    self.close_connection = True
                self.wfile.write(reply.body[: reply.cut_at])

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet: a test reads `asked`."""

        return Handler


@contextmanager
def web_server() -> Iterator[WebServer]:
    """A started server, stopped afterwards."""
    server = WebServer()
    # A short poll, so that stopping does not cost every test half a second.
    threading.Thread(target=server._server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server._server.shutdown()
        server._server.server_close()


class HuggingFaceServer:
    """`GET /api/daily_papers?date=…&limit=…&p=…` as recorded: a bare list, 50 by default, pages from 0.

    `days` maps listing day to entries; a day that is missing answers an empty list. `replies` are given out
    first, one per request. With `etags`, unchanged lists answer 304. `honours_limit` and `honours_page`
    switch those parameters off, as old versions of the API had it.
    """

    def __init__(self) -> None:
        self.days: dict[date, list[Any]] = {}
        self.replies: list[Reply] = []
        self.asked: list[Asked] = []
        self.etags = False
        self.honours_limit = True
        self.honours_page = True
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        # A short poll, so that stopping does not cost every test half a second.
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked: Asked) -> Reply:
        if self.replies:
            return self.replies.pop(0)
        entries = self.days.get(date.fromisoformat(asked.params["date"]), [])
        limit = int(asked.params.get("limit", DEFAULT_LIMIT)) if self.honours_limit else DEFAULT_LIMIT
        page = int(asked.params.get("p", 0)) if self.honours_page else 0
        body = json.dumps(entries[page * limit : (page + 1) * limit]).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        if self.etags:
            headers["ETag"] = f'W/"{hash(body):x}"'
            if asked.headers.get("if-none-match") == headers["ETag"]:
                return Reply(status=304, headers=headers)
        return Reply(body=body, headers=headers)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                asked = Asked(
                    path=parts.path,
                    params={name: values[-1] for name, values in parse_qs(parts.query).items()},
                    headers={name.lower(): value for name, value in self.headers.items()},
                )
                server.asked.append(asked)
                is_known = parts.path == "/api/daily_papers" or server.replies
                reply = server.answer(asked) if is_known else Reply(status=404, body=b'{"error":"Not found"}')
                body = reply.body
                headers = dict(reply.headers)
                if reply.delay_seconds:
                    time.sleep(reply.delay_seconds)
                if (
                    body
                    and "Content-Encoding" not in headers
                    and "gzip" in asked.headers.get("accept-encoding", "")
                ):
                    body = gzip.compress(body, 1)
                    headers["Content-Encoding"] = "gzip"
                self.send_response(reply.status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if reply.cut_at is not None:
                    self.wfile.write(body[: reply.cut_at])
                    self.close_connection = True
                    return
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet: a test reads `asked`."""

        return Handler


@contextmanager
def huggingface_server() -> Iterator[HuggingFaceServer]:
    """A started server, stopped afterwards. Point HUGGINGFACE_URL at its `url`."""
    server = HuggingFaceServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def entry(
    arxiv_id: str, *, day: date, votes: int = 3, edit: Callable[[dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """One entry in today's format, its content invented. `edit` changes it in place."""
    midnight = f"{day.isoformat()}T00:00:00.000Z"
    result: dict[str, Any] = {
        "paper": {
            "id": arxiv_id,
            "authors": [
                {"_id": "a1", "name": "Ada Lovelace", "hidden": False},
                {"_id": "a2", "name": "Charles Babbage", "hidden": False},
            ],
            "publishedAt": midnight,
            "submittedOnDailyAt": midnight,
            "title": f"Invented paper {arxiv_id}",
            "submittedOnDailyBy": {"_id": "u1", "user": "ada", "name": "ada", "type": "user"},
            "summary": f"An invented abstract, number {arxiv_id}.",
            "upvotes": votes,
            "discussionId": "d1",
        },
        "publishedAt": f"{day.isoformat()}T20:00:00.000Z",
        "title": f"Invented paper {arxiv_id}",
        "summary": f"An invented abstract, number {arxiv_id}.",
        "thumbnail": f"https://cdn-thumbnails.huggingface.co/social-thumbnails/papers/{arxiv_id}.png",
        "numComments": 1,
        "submittedBy": {"_id": "u1", "name": "ada", "type": "user"},
        "isAuthorParticipating": False,
    }
    if edit is not None:
        edit(result)
    return result
