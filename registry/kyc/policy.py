"""The house's rules on KYC, as data: how long it is good, when it is renewed, on which papers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

from registry.kernel.errors import Conflict
from registry.kyc.models import Risk
from registry.party.models import PartyKind


@dataclass(frozen=True, slots=True)
class KycPolicy:
    """How long a KYC is good by risk, how early it is renewed, which papers it needs."""

    validity: dict[Risk, timedelta]
    renewal_window: timedelta
    papers: dict[PartyKind, tuple[str, ...]]


def papers_for(kind: PartyKind) -> tuple[str, ...]:
    """Return the kinds of papers that a party of this kind files.

    Raises
    ------
    Conflict
        ``party_cannot_enrol``: it is nobody whom a KYC is about.
    """
    papers = kyc_policy().papers.get(kind)
    if papers is None:
        raise Conflict(
            "party_cannot_enrol",
            f"A party of the kind {kind} has no KYC: it is no person and no company.",
            remedy="Enrol the persons or the company behind it.",
        )
    return papers


@cache
def kyc_policy() -> KycPolicy:
    """Return the policy that stands in `policy.json`."""
    table = json.loads((Path(__file__).parent / "policy.json").read_text("utf-8"))
    return KycPolicy(
        validity={Risk(risk): timedelta(days) for risk, days in table["validity_days"].items()},
        renewal_window=timedelta(table["renewal_window_days"]),
        papers={PartyKind(kind): tuple(names) for kind, names in table["papers"].items()},
    )
