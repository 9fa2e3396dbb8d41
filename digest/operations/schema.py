"""Whether the database has the tables this code expects, and giving them to it."""

from collections.abc import Callable

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from digest import embedded

_LOCK = 0x7061706572626F79  # of this database's migrations, for pg_advisory_lock


class BehindTheCode(RuntimeError):
    """The database lacks migrations. The message says how to apply them."""


def ensure(*, say: Callable[[str], None]) -> None:
    """Have the tables in place: migrate the bundled database; raise BehindTheCode for one that is not ours.

    A server named by DATABASE_URL may be in use by another version, so nothing is changed there unasked.
    """
    missing = missing_migrations()
    if not missing:
        return
    if embedded.POSTGRES not in settings.BUNDLED:
        raise BehindTheCode(
            f"The database {connection.settings_dict['NAME']} of DATABASE_URL lacks {missing} migrations of "
            "this version. Apply them with: manage.py migrate"
        )
    migrate(say=say)


def migrate(*, say: Callable[[str], None]) -> None:
    """Apply what is missing; of several processes one does so and the others wait."""
    if not missing_migrations():
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            missing = missing_migrations()  # none, if we waited here for another
            if missing:
                say(f"Preparing the database: {missing} migrations")
                call_command("migrate", interactive=False, verbosity=0)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def missing_migrations() -> int:
    """How many migrations of this code the database has not seen."""
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
