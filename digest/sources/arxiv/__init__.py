"""arXiv by its three doors: announcement feed, OAI-PMH and API."""
