"""The mail that the local catcher took: one folder, VAR_DIR/inbox, two files for each message.

`<id>.eml` holds the bytes exactly as they came over the wire, `<id>.json` the envelope. The id begins with
the time, so names sort by arrival. No Django here: the catcher writes from a process of its own.
"""

import itertools
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

KEPT = 2000  # newest messages; the older ones are removed
_PRUNE_EVERY = 100
_ID = re.compile(r"\d{8}T\d{12}-\d+-\d+")
_numbers = itertools.count(1)


class NoSuchMessage(LookupError):
    """There is no message of this id, or it has been removed since."""


@dataclass(frozen=True)
class Caught:
    """One message in the local inbox."""

    id: str
    sender: str  # of the envelope; empty for a bounce
    recipients: tuple[str, ...]  # of the envelope
    received_at: datetime
    path: Path

    def raw(self) -> bytes:
        """The message exactly as it was handed over. Raises NoSuchMessage if it has gone meanwhile."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError as error:
            raise NoSuchMessage(self.id) from error


def folder(var_dir: Path) -> Path:
    return var_dir / "inbox"


def store(var_dir: Path, content: bytes, *, sender: str, recipients: Sequence[str], now: datetime) -> str:
    """Keep one message; its id. Once it can be listed, it can be read whole."""
    inbox = folder(var_dir)
    inbox.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = next(_numbers)
    message_id = f"{now:%Y%m%dT%H%M%S%f}-{os.getpid()}-{number:06d}"
    envelope = {"sender": sender, "recipients": list(recipients), "received_at": now.isoformat()}
    _put(inbox / f"{message_id}.json", json.dumps(envelope, ensure_ascii=False).encode())
    _put(inbox / f"{message_id}.eml", content)  # listed from here on
    if number % _PRUNE_EVERY == 0:
        prune(var_dir)
    return message_id


def messages(var_dir: Path, *, address: str = "") -> Iterator[Caught]:
    """Newest first; with `address`, those to or from an address that contains it (in any case)."""
    wanted = address.strip().casefold()
    for path in sorted(folder(var_dir).glob("*.eml"), reverse=True):
        try:
            caught = _read(path)
        except NoSuchMessage:  # pruned between listing and reading
            continue
        if wanted in " ".join((caught.sender, *caught.recipients)).casefold():
            yield caught


def message(var_dir: Path, message_id: str) -> Caught:
    """One message by its id. Raises NoSuchMessage."""
    if not _ID.fullmatch(message_id):
        raise NoSuchMessage(message_id)
    path = folder(var_dir) / f"{message_id}.eml"
    if not path.exists():
        raise NoSuchMessage(message_id)
    return _read(path)


def prune(var_dir: Path, *, kept: int = KEPT) -> int:
    """Remove all but the newest; how many went."""
    superfluous = sorted(folder(var_dir).glob("*.eml"), reverse=True)[kept:]
    for path in superfluous:
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
    return len(superfluous)


def _read(path: Path) -> Caught:
    try:
        envelope = json.loads(path.with_suffix(".json").read_bytes())
    except FileNotFoundError as error:
        raise NoSuchMessage(path.stem) from error
    return Caught(
        id=path.stem,
        sender=envelope["sender"],
        recipients=tuple(envelope["recipients"]),
        received_at=datetime.fromisoformat(envelope["received_at"]).astimezone(UTC),
        path=path,
    )


def _put(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}")
    fresh.write_bytes(content)
    fresh.replace(path)
