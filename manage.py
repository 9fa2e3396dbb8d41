#!/usr/bin/env python
"""Paperboy's command line. Each command finds the bundled services running and the tables in place."""

import contextlib
import os
import sys
from collections.abc import Iterator

# These touch no database, broker or mail server.
WITHOUT_SERVICES = {
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "evaluate_matching",
    "findstatic",
    "help",
    "makemessages",
    "startapp",
    "startproject",
    "up",  # holds them itself, for as long as it runs
    "version",
}
# These look at the tables or make them, so they must meet them as they are.
WITHOUT_MIGRATING = {
    "createcachetable",
    "dbshell",
    "doctor",
    "inspectdb",
    "makemigrations",
    "migrate",
    "optimizemigration",
    "showmigrations",
    "sqlmigrate",
    "squashmigrations",
}


@contextlib.contextmanager
def ground(arguments: list[str]) -> Iterator[None]:
    """Hold the bundled services that this command needs, with its tables in place."""
    command = arguments[1] if len(arguments) > 1 else "help"
    asks_for_help = command.startswith("-") or {"-h", "--help", "--version"} & set(arguments)
    if asks_for_help or command in WITHOUT_SERVICES:
        yield
        return

    # Here and not above: `manage.py help` needs none of it, and settings may be what is broken.
    import django
    from django.conf import settings

    from digest import embedded
    from digest.operations import schema

    try:
        with embedded.hold(settings.VAR_DIR, settings.BUNDLED, say=_say):
            django.setup()
            if command not in WITHOUT_MIGRATING:
                schema.ensure(say=_say)
            yield
    except (embedded.ServiceFailed, schema.BehindTheCode) as error:
        sys.exit(str(error))


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digest.settings")
    from django.core.management import execute_from_command_line

    with ground(sys.argv):
        execute_from_command_line(sys.argv)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
