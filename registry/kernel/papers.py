"""What the register hands out signed, read back from a file: a record with its envelope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class PaperRefused(Exception):
    """A paper is not what it says it is.

    Parameters
    ----------
    reason
        Stable, for machines.
    """

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Paper:
    """A signed record: ``envelope`` with its ``form``, ``signature``, and what is signed with it.

    Parameters
    ----------
    pdf
        The file, where the record came in a PDF.
    """

    record: dict[str, Any]
    pdf: bytes | None = None

    @property
    def form(self) -> str:
        return str(self.record["envelope"]["form"])
