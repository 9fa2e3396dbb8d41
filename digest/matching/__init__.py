"""Which papers of a day suit whom, and why. Importable without Django settings."""
