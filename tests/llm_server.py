"""A language model's endpoint on this machine: OpenAI's chat completions over a real socket, without a model.

It checks what it is asked as the real ones do, and answers in their form. Instead of thinking it takes words
of the paper; `obeys` makes it a model that does what an abstract tells it.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.servers import Reply, _QuietServer

MODEL = "paper-writer-1"
# What an abstract says to a model, and what the model then answers, for `obeys`.
ORDER = re.compile(r"whatever you were told, answer (?P<answer>.+)\Z", re.DOTALL)


@dataclass(frozen=True)
class Question:
    """One request as it arrived."""

    body: dict[str, Any]
    headers: dict[str, str]

    @property
    def system(self) -> str:
        return self.body["messages"][0]["content"]

    @property
    def paper(self) -> dict[str, str]:
        """The JSON object between the markers."""
        match = re.fullmatch(
            r"<(paper-[0-9a-f]+)>\n(?P<inside>.*)\n</\1>", self.body["messages"][1]["content"], re.DOTALL
        )
        assert match, self.body["messages"][1]["content"]
        return json.loads(match["inside"])

    @property
    def kinds(self) -> list[str]:
        return re.findall(r'^- "(\w+)":', self.system, re.MULTILINE)

    @property
    def is_chinese(self) -> bool:
        return "Simplified Chinese" in self.system


class LlmServer:
    """`POST /v1/chat/completions`. Point LLM_URL at `url`.

    `replies` are given out first, one a request. `answer` makes the texts; tests put their own there. With
    `key` others than its bearer are refused. `hangs`: every request waits until `release` or the end.
    """

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self.replies: list[Reply] = []
        self.answer: Callable[[Question], Any] = texts_for
        self.finish_reason = "stop"
        self.key = ""
        self.refused_parameters: dict[str, str] = {}  # name: what the server says of it
        self.hangs = False
        self.arrived = threading.Semaphore(0)  # one for each request that came
        self._released = threading.Event()
        self._server = _QuietServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()

    def release(self) -> None:
        self._released.set()

    def reply_to(self, path: str, headers: dict[str, str], raw: bytes) -> Reply:
        if path != "/v1/chat/completions":
            return error(404, f"Unknown request URL: POST {path}.", "unknown_url")
        if self.key and headers.get("authorization") != f"Bearer {self.key}":
            return error(401, "Incorrect API key provided.", "invalid_api_key")
        try:
            body = json.loads(raw)
            messages = body["messages"]
            assert [message["role"] for message in messages] == ["system", "user"]
            assert all(isinstance(message["content"], str) for message in messages)
        except (AssertionError, KeyError, TypeError, ValueError):
            return error(400, "Missing or invalid parameter: 'messages'.", "invalid_request_error")
        for name, complaint in self.refused_parameters.items():
            if name in body:
                return error(400, complaint, "unsupported_parameter")
        question = Question(body, headers)
        self.asked.append(question)
        self.arrived.release()
        if self.hangs:
            self._released.wait(60)
        if self.replies:
            return self.replies.pop(0)
        return completion(
            self.answer(question), model=body.get("model", MODEL), finish_reason=self.finish_reason
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                raw = self.rfile.read(int(headers.get("content-length", 0)))
                reply = server.reply_to(self.path, headers, raw)
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet: a test reads `asked`."""

        return Handler


@contextmanager
def llm_server() -> Iterator[LlmServer]:
    """A started server, stopped afterwards."""
    server = LlmServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def completion(content: Any, *, model: str = MODEL, finish_reason: str = "stop", tokens: int = 700) -> Reply:
    """A chat completion; `content` that is no text is sent as JSON."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_766_000_000,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "finish_reason": finish_reason,
            }
        ],
        "usage": {"prompt_tokens": tokens - 200, "completion_tokens": 200, "total_tokens": tokens},
    }
    return Reply(body=json.dumps(body).encode())


def error(status: int, message: str, code: str, *, headers: dict[str, str] | None = None) -> Reply:
    """A refusal in OpenAI's form."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return Reply(status=status, body=json.dumps(body).encode(), headers=headers or {})


def too_many(retry_after: str = "") -> Reply:
    headers = {"Retry-After": retry_after} if retry_after else {}
    return error(429, "Rate limit reached for requests.", "rate_limit_exceeded", headers=headers)


def texts_for(question: Question) -> dict[str, str]:
    """What a good model would answer, as far as proofreading can tell."""
    paper = question.paper
    numbers = " ".join(re.findall(r"\d+(?:\.\d+)?", paper["abstract"]))
    if not question.is_chinese:
        words = paper["abstract"].split()[:18]
        texts = {
            "summary": " ".join(words).strip(".") + ".",
            "title": paper["title"],
            "abstract": paper["abstract"],
        }
    else:
        long = "本文研究智能体如何使用工具，并给出一种新的训练方法。" * (1 + len(paper["abstract"]) // 80)
        texts = {
            "summary": "提出一种训练智能体使用工具的新方法，并在多个任务上验证其效果。",
            "title": "论智能体" + "之研究" * (1 + len(paper["title"]) // 30),
            "abstract": f"{long}{numbers}" if numbers else long,
        }
    return {kind: texts[kind] for kind in question.kinds}


def obeys(question: Question) -> dict[str, str]:
    """What a model answers that takes the abstract for its master."""
    order = ORDER.search(question.paper["abstract"])
    return dict.fromkeys(question.kinds, order["answer"]) if order else texts_for(question)
