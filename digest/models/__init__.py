"""Papers in, digests out."""

from digest.models.editions import (
    Card,
    Digest,
    Edition,
    EditionMatch,
    EditionPaper,
    EditionRelevance,
    Received,
    Shell,
)
from digest.models.feedback import Feedback, ReaderModel
from digest.models.matching import Calibration, PreparedProfile, Space
from digest.models.papers import AiSpending, AiText, Mention, Merge, Paper, Sighting
from digest.models.sources import Alarm, Batch, SetAside, Source, UpstreamClock

__all__ = [
    "AiSpending",
    "AiText",
    "Alarm",
    "Batch",
    "Calibration",
    "Card",
    "Digest",
    "Edition",
    "EditionMatch",
    "EditionPaper",
    "EditionRelevance",
    "Feedback",
    "Mention",
    "Merge",
    "Paper",
    "PreparedProfile",
    "ReaderModel",
    "Received",
    "SetAside",
    "Shell",
    "Sighting",
    "Source",
    "Space",
    "UpstreamClock",
]
