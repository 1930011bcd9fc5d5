"""Countries as reports write them: by two letters."""

from __future__ import annotations

import pycountry


def letters_of(numeric: int | None) -> str | None:
    """Write a country of the token's registry, ISO 3166-1 numeric there, by its two letters."""
    if numeric is None:
        return None
    found = pycountry.countries.get(numeric=f"{numeric:03}")
    return found.alpha_2 if found else str(numeric)
