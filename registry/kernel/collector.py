"""Python's collector of cycles, in processes that run for long."""

from __future__ import annotations

import gc

_OBJECTS = 50_000
"""Made and not given up, before it looks; rows of a page, or of a batch, are fewer."""


def look_seldom() -> None:
    """Have it leave alone what was loaded, and look at the rest after many objects only.

    What was loaded stays for good: a full collection would walk it all each time, for 0.1 s. Rows
    are many small objects that live as long as their request: looked at after every 700 of them,
    as Python does by itself, they cost a quarter of the time in which ten thousand are planned.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS, 20, 20)
