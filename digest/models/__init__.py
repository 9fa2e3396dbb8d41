"""Papers in, digests out."""

from digest.models.editions import Card, Digest, Edition, EditionMatch, EditionPaper, Received, Shell
from digest.models.papers import AiSpending, AiText, Mention, Merge, Paper, Sighting
from digest.models.sources import Alarm, Batch, SetAside, Source, UpstreamClock

__all__ = [
    "AiSpending",
    "AiText",
    "Alarm",
    "Batch",
    "Card",
    "Digest",
    "Edition",
    "EditionMatch",
    "EditionPaper",
    "Mention",
    "Merge",
    "Paper",
    "Received",
    "SetAside",
    "Shell",
    "Sighting",
    "Source",
    "UpstreamClock",
]
