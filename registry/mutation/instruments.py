"""What proves the right in force: the deed, decree or letter by which it came to its owner.

A paper that proved the seller's right proves nothing of the buyer's (TTL-05). Whoever buys for
the holders of a token needs the instrument itself, or a proof of title that was filed since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.law import law_of
from registry.document import service as documents
from registry.document.models import Document
from registry.encumbrance.rules import SALE_CERTIFICATES
from registry.kernel.errors import Conflict
from registry.mutation import repository, rules
from registry.mutation.models import Initiation, Mutation, Part
from registry.title import service as titles
from registry.title.models import TitleVersion
from registry.wrapper import service as wrappers

BY_ORDER = frozenset({"COURT_DECREE"}) | SALE_CERTIFICATES
"""Papers by which a court, or a sale that it ordered, makes somebody owner under every regime."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What of the asset's papers proves the right in force.

    Parameters
    ----------
    accepted
        Kinds of papers that prove it.
    verified
        Kinds of the papers that are verified, have not run out, and can speak of it.
    """

    accepted: frozenset[str]
    verified: frozenset[str]


def proof_of(
    session: Session, version: TitleVersion, papers: Sequence[Document], usual: frozenset[str]
) -> Proof:
    """Return what proves the right of `version`, of the asset's `papers`.

    Every transfer by which one of the owners took must be proven: what is returned is that of
    the first one that is not, or of the last one.

    Parameters
    ----------
    usual
        Kinds that prove title under the asset's regime.
    """
    good = [paper for paper in papers if documents.counts(paper)]
    transfers = _transfers_behind(session, version)
    sources = {mutation.source_document_id for mutation in transfers}
    proof = Proof(usual, frozenset(paper.kind for paper in good))
    for mutation in transfers:
        since = mutation.recorded_at
        speaking = [
            paper
            for paper in good
            if paper.id == mutation.source_document_id
            or (paper.recorded_at >= since and paper.id not in sources)
        ]
        kinds = frozenset(paper.kind for paper in speaking)
        proof = Proof(_accepted(usual, mutation), kinds)
        if proof.accepted.isdisjoint(proof.verified):
            break
    return proof


def _accepted(usual: frozenset[str], mutation: Mutation) -> frozenset[str]:
    by_order = mutation.initiation == Initiation.COURT or mutation.kind in rules.FORCED
    return usual | BY_ORDER if by_order else usual


def _transfers_behind(session: Session, version: TitleVersion) -> list[Mutation]:
    """Return the mutations by which the owners of `version` took what they have, oldest first.

    None if they are those of the dossier, which has its own papers: so has what came out of a
    division. What only records a burden, or rewrites the whole, leaves them as they were; a
    reversal brings back those before what it undoes.
    """
    owners = {share.party_id for share in titles.ownership_of(session, version).shares}
    found = []
    while version.mutation_id is not None:
        mutation = repository.get_mutation(session, version.mutation_id)
        if mutation.kind in rules.DIVISIONS:
            break
        if mutation.reverses_id is not None:
            mutation = repository.get_mutation(session, mutation.reverses_id)
        elif mutation.kind in rules.TRANSFERS:
            buyers = repository.parties_of(session, mutation.id, Part.BUYER)
            if not owners.isdisjoint(row.party_id for row in buyers):
                found.append(mutation)
        version = session.get_one(TitleVersion, mutation.version_id)
    return found[::-1]


def require_instrument(session: Session, mutation: Mutation, source: Document) -> None:
    """Let a share pass to the wrapper of a token by an instrument only.

    By word of mouth nothing is written that could be one: there the gate asks for the record of
    rights that was issued since.

    Raises
    ------
    Conflict
        ``instrument_required`` (TTL-05).
    """
    if mutation.kind not in rules.TRANSFERS or mutation.initiation == Initiation.ORAL:
        return
    title = titles.get_title(session, mutation.title_id)
    wrapper = wrappers.find_wrapper(session, title.asset_id)
    buyers = {row.party_id for row in repository.parties_of(session, mutation.id, Part.BUYER)}
    if wrapper is None or wrapper.party_id not in buyers:
        return
    asset = assets.get_asset(session, title.asset_id)
    accepted = _accepted(law_of(asset).regime.title_proof, mutation)
    if source.kind not in accepted:
        raise Conflict(
            "instrument_required",
            f"A {source.kind} makes the wrapper no owner under {asset.title_regime}.",
            remedy=f"Complete it with one of {', '.join(sorted(accepted))}.",
            rule="TTL-05",
        )
