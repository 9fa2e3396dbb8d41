"""The bundled PostgreSQL and Redis, and the local mail catcher: services that belong to one VAR_DIR.

Importable without Django settings, because settings ask it for addresses.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from urllib.parse import quote

LONGEST_SOCKET_PATH = 100  # bytes; the kernel stops at 107, PostgreSQL adds a lock file beside it
DATABASE = USER = "paperboy"


def postgres_socket_dir(var_dir: Path | str) -> Path:
    """Where the bundled PostgreSQL of this VAR_DIR puts its socket, running or not."""
    return _socket_dir(var_dir) / "postgres"


def redis_socket(var_dir: Path | str) -> Path:
    """The socket of the bundled Redis of this VAR_DIR, running or not."""
    return _socket_dir(var_dir) / "redis.sock"


def database_url(var_dir: Path | str) -> str:
    """The bundled database as a URL for django-environ.

    The folder stands in the path, not in the host: a URL's host is folded to lower case when read.
    """
    return f"postgres://{USER}@/{quote(str(postgres_socket_dir(var_dir)))}/{DATABASE}"


def redis_url(var_dir: Path | str, *, db: int = 0) -> str:
    """The bundled Redis as a URL for redis-py and Django's cache."""
    return f"unix://{quote(str(redis_socket(var_dir)))}?db={db}"


def broker_url(var_dir: Path | str, *, db: int = 0) -> str:
    """The bundled Redis as a URL for Celery."""
    return f"redis+socket://{quote(str(redis_socket(var_dir)))}?virtual_host={db}"


def _socket_dir(var_dir: Path | str) -> Path:
    run = Path(var_dir).resolve() / "run"
    longest = run / "postgres" / ".s.PGSQL.5432.lock"
    if len(os.fsencode(longest)) < LONGEST_SOCKET_PATH:
        return run
    # A deep VAR_DIR: a short private folder of the same name every time, so that nothing has to be looked up.
    name = hashlib.sha256(os.fsencode(run)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"paperboy-{os.getuid()}-{name}"
