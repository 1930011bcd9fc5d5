"""What people write into fields: a pattern alone seldom makes a CNIC, a near day or a price."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from random import Random
from typing import Any

from registry.kernel.clock import now, today

NEAR_DAYS = 40


def _cnic(random: Random) -> str:
    return f"35202-{random.randrange(10**7):07}-{random.randrange(10)}"


def _code(random: Random) -> str:
    return f"LHR-APT-{random.randrange(10**4):04}"


def _day(random: Random) -> str:
    return (today() + timedelta(days=random.randint(-NEAR_DAYS, NEAR_DAYS))).isoformat()


def _moment(random: Random) -> str:
    return (now() + timedelta(hours=random.randint(-NEAR_DAYS, NEAR_DAYS))).isoformat()


def _amount(random: Random) -> str:
    return random.choice(["1.00", "4200.00", "42000.00", "42000000.00"])


def _units(random: Random) -> str:
    return random.choice(["1", "2", "10", "500", "1000"])


def _symbol(random: Random) -> str:
    return f"FZ{random.randrange(10**6)}"


_BY_NAME: Mapping[str, Callable[[Random], Any]] = {
    "cnic": _cnic,
    "code": _code,
    "symbol": _symbol,
    "amount": _amount,
    "url": lambda random: f"https://hooks.example.com/{random.randrange(100)}",
    "kul_hissay": lambda random: random.choice([1, 2, 12]),
}
_BY_END: Mapping[str, Callable[[Random], Any]] = {
    "units": _units,
    "fractions": _units,
    "kg": lambda random: random.choice(["1", "1000"]),
    "on": _day,
    "date": _day,
    "until": _day,
    "at": _moment,
    "deadline": _moment,
    "reason": lambda _: "Asked for by a test of everything",
}


def likely(random: Random, name: str) -> Any:
    """Give a value that a field of this name likely has; None where nothing is known of it."""
    make = _BY_NAME.get(name) or _BY_END.get(name.rsplit("_", 1)[-1])
    return None if make is None else make(random)
