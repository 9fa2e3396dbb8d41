"""What to ask a source for one list. Apart from the registry, so that a parser's file can say it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

LARGEST_LIST = 5_000_000  # bytes, unpacked


@dataclass(frozen=True, kw_only=True)
class Request:
    """`largest` bounds the answer, in bytes, unpacked."""

    url: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    accept: str = "*/*"
    largest: int = LARGEST_LIST
