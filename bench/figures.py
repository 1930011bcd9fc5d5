"""How a figure is printed: one JSON object a line, ours beside what it is held against."""

from __future__ import annotations

import json


def print_figure(figure: str, value: float, unit: str, *, against: str, other: float) -> None:
    """Print one figure.

    Parameters
    ----------
    value
        Ours, in `unit`.
    against, other
        What it is held against, and that one's value in the same unit.
    """
    line = {
        "figure": figure,
        "value": round(value, 3),
        "unit": unit,
        "against": against,
        "ratio": round(value / other, 3),
    }
    print(json.dumps(line), flush=True)
