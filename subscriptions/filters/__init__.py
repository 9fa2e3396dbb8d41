"""The filter language: text to tree, errors with positions, and what a filter finds.

Pure Python, no Django, no settings. `parse` reads a filter; `Filter.canonical` is its one written form;
`matches` says slowly and plainly whether it finds a Document (digest.matching does the same fast).
"""

from subscriptions.filters.document import Document
from subscriptions.filters.errors import FilterError
from subscriptions.filters.evaluate import matches
from subscriptions.filters.grammar import parse
from subscriptions.filters.tree import Filter

__all__ = ["Document", "Filter", "FilterError", "matches", "parse"]
