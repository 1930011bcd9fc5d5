"""Gathering what the rules look at."""

from __future__ import annotations

from sqlmodel import Session

from registry.asset import service as assets
from registry.asset.classes import check_details, class_of
from registry.asset.models import Asset
from registry.document import service as documents
from registry.encumbrance import service as encumbrances
from registry.kernel.clock import today
from registry.rulebook.facts import Facts, LiveEncumbrance
from registry.title import service as titles
from registry.valuation import service as valuations
from registry.wrapper import service as wrappers


def gather_facts(session: Session, asset: Asset) -> Facts:
    """Read everything that the rules need to know of `asset`, as of now."""
    spec = class_of(asset.asset_class)
    details = check_details(spec, asset.details)
    title = titles.title_of_asset(session, asset.id)
    ownership = titles.ownership_of(session, titles.current_version(session, title.id))
    valuation = valuations.accepted_valuation(session, asset.id)
    wrapper = wrappers.find_wrapper(session, asset.id)
    return Facts(
        today=today(),
        rival_keys=tuple(assets.rival_claims(session, asset.id)),
        kul_hissay=ownership.kul_hissay,
        hissa=tuple(share.hissa for share in ownership.shares),
        title_proof=spec.regimes[asset.title_regime].title_proof,
        verified_kinds=documents.verified_kinds(session, asset.id),
        wrapper_fraction=ownership.fraction_of(wrapper.party_id) if wrapper else None,
        encumbrances=tuple(
            LiveEncumbrance(item.kind, item.effect, item.amount_paisa or 0)
            for item in encumbrances.in_force(session, title.id)
        ),
        value_paisa=valuation.amount_paisa if valuation else None,
        valued_on=valuation.basis_date if valuation else None,
        valuation_max_age_days=spec.valuation_max_age_days,
        insured_paisa=details.insured_paisa(),
        expires_on=details.expires_on(),
        findings={**details.findings()},
    )
