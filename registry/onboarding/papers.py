"""What is wrong with a title's papers and its basis, under the law of the place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from registry.asset.interface import found
from registry.asset.law import Law
from registry.document.models import Document, DocumentState
from registry.rulebook.facts import Finding

_GONE = frozenset({DocumentState.REJECTED, DocumentState.SUPERSEDED, DocumentState.REVOKED})


def paper_findings(
    law: Law, papers: Sequence[Document], basis: str, today: date
) -> dict[str, Finding]:
    """Find required papers that ran out (DOC-02), and a basis that is no instrument (TTL-06)."""
    filed = [paper for paper in papers if paper.state not in _GONE]
    kinds = sorted(law.papers | law.regime.paper_max_age_days.keys())
    return found(
        DOC_02=(_fault_of(law, kind, filed, today) for kind in kinds),
        TTL_06=[None if law.regime.accepts_basis(basis) else f"The title rests on {basis}."],
    )


def _fault_of(law: Law, kind: str, filed: Sequence[Document], today: date) -> str | None:
    """Say that the newest paper of a kind ran out; one that is missing is not asked for here."""
    ends = [last_good_day(law, paper) for paper in filed if paper.kind == kind]
    if not ends or any(end is None or end >= today for end in ends):
        return None
    return f"{kind} ran out on {max(end for end in ends if end is not None)}."


def last_good_day(law: Law, paper: Document) -> date | None:
    """Return the last day of a paper: as it says itself, or as old as the law lets it become."""
    max_age = law.regime.paper_max_age_days.get(paper.kind)
    ends = [paper.valid_until] if paper.valid_until else []
    if max_age is not None and paper.issued_on is not None:
        ends.append(paper.issued_on + timedelta(days=max_age))
    return min(ends, default=None)
