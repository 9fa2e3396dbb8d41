"""The local mail catcher: a real SMTP server on 127.0.0.1 that keeps what it gets and sends nothing on.

    python -m digest.operations.catcher VAR_DIR

Started by digest.embedded where EMAIL_URL is unset. The port stands in VAR_DIR/run/catcher.json and stays the
same from start to start while it is free. Messages: digest.operations.mailbox.
"""

import asyncio
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from digest.operations import mailbox
from digest.processes import Process, read_json, write_json
from subscriptions.mail.catcher_address import port_file

LARGEST_MESSAGE = 32 * 1024 * 1024  # bytes


class Keeper:
    """What aiosmtpd calls for each message."""

    def __init__(self, var_dir: Path) -> None:
        self.var_dir = var_dir

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the message, then say so."""
        content = envelope.original_content or b""
        message_id = mailbox.store(
            self.var_dir,
            content,
            sender=envelope.mail_from or "",
            recipients=envelope.rcpt_tos,
            now=datetime.now(UTC),
        )
        return f"250 2.0.0 Kept as {message_id}"


async def serve(var_dir: Path) -> None:
    """Take mail until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    mailbox.prune(var_dir)
    keeper = Keeper(var_dir)
    server = await _listen(
        lambda: SMTP(
            keeper,
            data_size_limit=LARGEST_MESSAGE,
            enable_SMTPUTF8=True,
            hostname="paperboy.localhost",
            ident="Paperboy mail catcher",
        ),
        preferred=_last_port(var_dir),
    )
    port = server.sockets[0].getsockname()[1]
    write_json(port_file(var_dir), Process.current().as_record() | {"port": port})
    await stop.wait()
    server.close()


async def _listen(protocol: Callable[[], SMTP], *, preferred: int) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(protocol, "127.0.0.1", preferred)
    except OSError:  # somebody else has that port by now
        return await loop.create_server(protocol, "127.0.0.1", 0)


def _last_port(var_dir: Path) -> int:
    match read_json(port_file(var_dir)):
        case {"port": int(port)}:
            return port
    return 0


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]).resolve()))
