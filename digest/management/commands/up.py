"""Run the whole of Paperboy in one terminal."""

import contextlib
import http.client
import logging
import os
import secrets
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, CommandError, call_command
from django.db import connection
from django.utils import timezone

from digest import embedded, processes
from digest.operations import schema, supervisor
from digest.operations.supervisor import Program, Supervisor
from digest.papers import fetch

DEFAULT_PORT = 8000
WEB_ANSWERS_WITHIN = 60.0  # seconds


class Command(BaseCommand):
    help = "Run Paperboy here until Ctrl-C: bundled services, web, worker and beat."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, help=f"web port on 127.0.0.1 (PORT, else {DEFAULT_PORT})")
        parser.add_argument(
            "--no-worker", action="store_true", help="only the web server: nothing is fetched or sent"
        )
        parser.add_argument(
            "--end-with-parent",
            action="store_true",
            help="stop when the process that started this one has ended",
        )

    def handle(self, *, port: int | None, no_worker: bool, end_with_parent: bool, **options: Any) -> None:
        port = port or int(os.environ.get("PORT") or DEFAULT_PORT)
        with contextlib.suppress(supervisor.Stopped), supervisor.stopping_on_signals():
            if end_with_parent:
                processes.end_with_parent(signal.SIGTERM)
            try:
                self._run(port, worker=not no_worker)
            except (supervisor.CannotStart, embedded.ServiceFailed) as error:
                raise CommandError(str(error)) from error

    def _run(self, port: int, *, worker: bool) -> None:
        begun = time.monotonic()
        var_dir = settings.VAR_DIR
        address = f"http://127.0.0.1:{port}"
        with supervisor.only_one(var_dir):
            supervisor.require_free_port(port)
            with self._step("Services"), contextlib.ExitStack() as opened:
                hold = opened.enter_context(embedded.hold(var_dir, settings.BUNDLED, say=self._say))
                services = opened.pop_all()
            with services:
                with self._step("Database"):
                    schema.migrate(say=self._say)  # a given one too: who runs this wants it to work
                if settings.ENVIRONMENT == "production":
                    call_command("collectstatic", interactive=False, verbosity=0)
                login = self._login()
                with self._step("Papers"):
                    sample = self._first_papers()
                connection.close()  # this process needs it no more; the children have their own
                web, *others = _programs(port, worker=worker)
                programs = Supervisor(
                    var_dir=var_dir,
                    environment=os.environ | {"PORT": str(port), "PYTHONUNBUFFERED": "1"},
                    folder=settings.BASE_DIR,
                    hold=hold,
                    say=self._say,
                    record={"address": address, "port": port},
                )
                try:
                    with self._step("Web"):
                        programs.start(web)
                        self._await_web(programs, port)
                    programs.start(*others)  # after it: on two cores each would wait for the others
                    self._welcome(
                        address, login=login, sample=sample, worker=worker, seconds=time.monotonic() - begun
                    )
                    programs.watch()
                finally:
                    self._say("Stopping")
                    programs.stop()
        # Not reached: watch() ends by Stopped.

    def _login(self) -> str:
        """The development superuser, made at the first start; what to print for it."""
        if settings.ENVIRONMENT != "development":
            return ""
        kept = settings.VAR_DIR / "admin-password"
        users = get_user_model()._default_manager
        if not users.filter(username="admin").exists():
            password = kept.read_text().strip() if kept.exists() else secrets.token_urlsafe(9)
            with open(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(password + "\n")
            users.create_superuser(username="admin", email="", password=password)
        if kept.exists():
            return f"admin / {kept.read_text().strip()}"
        return "admin (for a new password: manage.py changepassword admin)"

    def _first_papers(self) -> bool:
        """Have papers to show, from the source or from the bundled sample; whether it is the sample."""
        logging.getLogger("digest.papers").setLevel(logging.ERROR)  # we say it ourselves, once
        filled = fetch.first_fill(now=timezone.now())
        if filled.problem:
            self._say(filled.problem)
        return filled.is_sample

    def _await_web(self, programs: Supervisor, port: int) -> None:
        deadline = time.monotonic() + WEB_ANSWERS_WITHIN
        while not _answers(port):
            programs.step()
            if time.monotonic() > deadline:
                log = settings.VAR_DIR / "log" / "web.log"
                raise supervisor.CannotStart(
                    f"The web server did not answer within {WEB_ANSWERS_WITHIN:.0f} s. Its log is {log}"
                )
            time.sleep(0.1)

    def _welcome(self, address: str, *, login: str, sample: bool, worker: bool, seconds: float) -> None:
        lines = [
            ("Sign up", "/", ""),
            ("Papers", "/papers/", "sample data: no source answered" if sample else ""),
        ]
        if embedded.CATCHER in settings.BUNDLED:
            lines.append(("Inbox", "/inbox/", "every mail that Paperboy sends stays here"))
        lines.append(("Admin", "/admin/", login))
        self.stdout.write(f"\nPaperboy runs ({seconds:.0f} s).\n\n")
        for name, path, note in lines:
            self.stdout.write(f"  {name:<9}{address + path:<36}{note}".rstrip())
        if embedded.CATCHER in settings.BUNDLED and worker:
            self.stdout.write(
                "\nNext: sign up with any address, open the inbox, confirm. "
                "Your first digest comes within a minute."
            )
        if not worker:
            self.stdout.write("\nNo worker runs: nothing is fetched or sent until one does.")
        self.stdout.write(f"Logs: {settings.VAR_DIR / 'log'}    Stop: Ctrl-C\n")
        self.stdout.flush()

    @contextlib.contextmanager
    def _step(self, name: str) -> Iterator[None]:
        """Name a part of the start and, when done, its time."""
        begun = time.monotonic()
        yield
        self._say(f"{name:<10}{time.monotonic() - begun:5.1f} s")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _programs(port: int, *, worker: bool) -> list[Program]:
    """The web server first."""
    run = settings.VAR_DIR / "run"
    web = Program(
        "web",
        [
            *(sys.executable, "-m", "gunicorn", "digest.wsgi:application", "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "gthread", "--workers", "1", "--threads", "8", "--graceful-timeout", "3"),
            "--no-control-socket",
        ],
    )
    if not worker:
        return [web]
    celery = (sys.executable, "-m", "celery", "--app", "digest.celery:app")
    alone = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")
    is_enriching = settings.LLM_URL or settings.SEMANTIC_SCHOLAR_URL or settings.SEMANTIC_MODEL != "off"
    enrichment = Program(  # a language model may take a minute to answer; no send waits for that
        "enrichment",
        [
            *(*celery, "worker", "--hostname", "enrichment@%h", "--queues", "enrichment"),
            *("--pool", "solo", *alone),
        ],
    )
    return [
        web,
        Program(
            "worker",
            [
                *(*celery, "worker", "--hostname", "worker@%h", "--queues", "celery,notices"),
                *("--concurrency", "2", *alone),
            ],
        ),
        *([enrichment] if is_enriching else []),
        Program(  # a slow mail server may hold the other; who confirms does not wait for that
            "notices",
            [
                *(*celery, "worker", "--hostname", "notices@%h", "--queues", "notices"),
                *("--pool", "solo", *alone),
            ],
        ),
        Program(
            "beat",
            [*celery, "beat", "--loglevel", "WARNING", "--schedule", run / "beat-schedule", "--pidfile", ""],
        ),
    ]


def _answers(port: int) -> bool:
    """Whether the web server answers a request, with whatever status."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        client.request("GET", "/healthz")
        client.getresponse()
    except OSError:
        return False
    finally:
        client.close()
    return True
