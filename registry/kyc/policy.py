"""The house's rules on KYC, as data: how long it is good, when it is renewed, on which papers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

from registry.kyc.models import Risk
from registry.party.models import PartyKind


@dataclass(frozen=True, slots=True)
class KycPolicy:
    """How long a KYC is good by risk, how early it is renewed, which papers it needs."""

    validity: dict[Risk, timedelta]
    renewal_window: timedelta
    papers: dict[PartyKind, tuple[str, ...]]


@cache
def kyc_policy() -> KycPolicy:
    """Return the policy that stands in `policy.json`."""
    table = json.loads((Path(__file__).parent / "policy.json").read_text("utf-8"))
    return KycPolicy(
        validity={Risk(risk): timedelta(days) for risk, days in table["validity_days"].items()},
        renewal_window=timedelta(table["renewal_window_days"]),
        papers={PartyKind(kind): tuple(names) for kind, names in table["papers"].items()},
    )
