"""How sure the matcher is, as readers see it."""

LOWEST_SHOWN = 0.5
STEP = 5
HIGHEST_SHOWN = 95
ALMOST_SURELY, PROBABLY = 85, 70


def shown_percent(probability: float | None) -> int | None:
    """0.83 → 85: steps of 5, at most 95. None where it is under one half, or unknown: no figure is shown."""
    if probability is None or not probability >= LOWEST_SHOWN:
        return None
    return min(round(100 * probability / STEP) * STEP, HIGHEST_SHOWN)


def band(percent: int | None) -> str:
    """ "almost surely", "probably", "perhaps"; empty where nothing is shown. In a band, votes decide."""
    if percent is None:
        return ""
    if percent >= ALMOST_SURELY:
        return "almost surely"
    return "probably" if percent >= PROBABLY else "perhaps"
