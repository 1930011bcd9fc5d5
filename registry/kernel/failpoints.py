"""Points of the program at which a chaos test kills it: `FAILPOINT=after_sign_commit:kill`.

A crash can come anywhere, but only a few places matter: on both sides of a COMMIT and of a send.
Each has a name, and ends its own process there, as by kill -9, once the setting FAILPOINT asks for
it; otherwise it is one look at an empty variable. Production refuses the setting.
"""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass

FORM = r"^[a-z_]+:kill(:[1-9][0-9]{0,5})?$"
"""`name:kill`, or `name:kill:3` for the third time that the point is reached."""


@dataclass(slots=True)
class _Armed:
    name: str
    times_left: int


_armed: _Armed | None = None


def arm(setting: str | None) -> None:
    """Kill this process at a point; None disarms.

    Raises
    ------
    ValueError
        It has another form than `FORM`.
    """
    global _armed  # noqa: PLW0603 (of the process, like the kill)
    if setting is None:
        _armed = None
        return
    if re.match(FORM, setting) is None:
        raise ValueError(f"FAILPOINT {setting!r} is not of the form name:kill or name:kill:3")
    name, _, nth = setting.partition(":kill")
    _armed = _Armed(name, int(nth.removeprefix(":") or "1"))


def reach(name: str) -> None:
    """Tell that the program has come to a point."""
    if _armed is not None and _armed.name == name:
        _armed.times_left -= 1
        if _armed.times_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
