"""What passes between the ledger, the assembler and the mail server."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Recipient:
    """One row in state `handing`: who gets the email, read in the statement that set that state."""

    delivery_id: int
    mailing_id: int
    subscriber_id: int
    email: str
    language: str
    unsubscribe_key: str
    dated_at: datetime  # the Date header; the same at every try
    domain: str  # right side of the Message-ID
    label: str  # the mailing's, for Feedback-ID and logs
    attempt: int = 1  # this is the nth time that it is handed over


@dataclass(frozen=True, slots=True)
class Letter:
    """One email ready for the wire: CRLF lines, no dot-stuffing."""

    delivery_id: int
    envelope_from: str
    to: str
    content: bytes


# Gives a letter for every recipient, in order; raising fails the whole group, which is then due again.
Assemble = Callable[[Sequence[Recipient]], Sequence[Letter]]
