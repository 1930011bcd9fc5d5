"""Gathering what the rules look at."""

from __future__ import annotations

from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.classes import check_details
from registry.asset.law import dossier_findings, law_of
from registry.asset.models import Asset
from registry.bill_of_lading import chain as bills
from registry.document import service as documents
from registry.encumbrance import service as encumbrances
from registry.kernel.clock import today
from registry.mutation import service as mutations
from registry.mutation.instruments import proof_of
from registry.onboarding.papers import paper_findings
from registry.parcel import service as parcels
from registry.parcel import shares
from registry.receipt import service as receipts
from registry.rulebook.facts import Facts, LiveEncumbrance
from registry.title import service as titles
from registry.valuation import service as valuations
from registry.wrapper import service as wrappers


def gather_facts(session: Session, asset: Asset) -> Facts:
    """Read everything that the rules need to know of `asset`, as of now."""
    law = law_of(asset)
    details = check_details(law.spec, asset.details)
    keys = assets.list_keys(session, asset.id)
    title = titles.title_of_asset(session, asset.id)
    version = titles.current_version(session, title.id)
    ownership = titles.ownership_of(session, version)
    papers = documents.list_documents(session, asset.id)
    proof = proof_of(session, version, papers, law.regime.title_proof)
    valuation = valuations.standing_valuation(session, asset.id)
    wrapper = wrappers.find_wrapper(session, asset.id)
    return Facts(
        today=today(),
        rival_keys=tuple(assets.rival_claims(session, asset.id)),
        kul_hissay=ownership.kul_hissay,
        hissa=tuple(share.hissa for share in ownership.shares),
        title_proof=proof.accepted,
        verified_kinds=proof.verified,
        wrapper_fraction=ownership.fraction_of(wrapper.party_id) if wrapper else None,
        encumbrances=tuple(
            LiveEncumbrance(item.kind, effect, item.amount_paisa or 0)
            for item, effect in encumbrances.list_binding(session, title.id)
        ),
        value_paisa=valuation.amount_paisa if valuation else None,
        valued_on=valuation.basis_date if valuation else None,
        valuation_max_age_days=law.valuation_max_age_days,
        price_max_age_days=law.price_max_age_days,
        max_secured_fraction=law.jurisdiction.policy.max_secured_fraction,
        insured_paisa=details.insured_paisa(),
        expires_on=receipts.expires_on(session, asset.id) or details.expires_on(),
        right_ends_on=details.right_ends_on(),
        findings={
            **receipts.findings(session, asset),
            **bills.findings(session, asset),
            **mutations.findings(session, title.id),
            **dossier_findings(law, details, keys, asset.location),
            **parcels.findings(session, asset.id, law.jurisdiction.policy),
            **shares.findings(session, asset.id),
            **paper_findings(law, papers, version.basis, today()),
        },
    )
