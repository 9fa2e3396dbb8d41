"""Papers in, digests out."""

from digest.models.editions import Card, Digest, Edition, EditionMatch, EditionPaper, Received, Shell
from digest.models.papers import Paper, Sighting
from digest.models.sources import Batch, SetAside, Source

__all__ = [
    "Batch",
    "Card",
    "Digest",
    "Edition",
    "EditionMatch",
    "EditionPaper",
    "Paper",
    "Received",
    "SetAside",
    "Shell",
    "Sighting",
    "Source",
]
