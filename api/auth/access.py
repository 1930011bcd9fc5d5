"""Who may call what: one table, by the name of the route.

A route that is not named here does not exist: the application refuses to start with it. The
workflow's own roles (who may approve, who may verify) stand in the state machines.
"""

from __future__ import annotations

from collections.abc import Mapping

from registry.kernel.actor import Role

R = Role
PUBLIC: frozenset[Role] = frozenset()
"""No token is asked for."""

EVERYONE = frozenset(Role)
STAFF = EVERYONE - {R.INVESTOR, R.ISSUER}
READERS = STAFF | {R.ISSUER}
REGISTRARS = frozenset({R.REGISTRAR_MAKER, R.REGISTRAR_CHECKER})
APPROVERS = frozenset(
    {
        R.DOCUMENT_VERIFIER,
        R.LEGAL_COUNSEL,
        R.VALUATION_CHECKER,
        R.ASSAYER,
        R.COMPLIANCE,
        R.REGISTRAR_CHECKER,
    }
)
OVERSIGHT = frozenset({R.REGULATOR, R.AUDITOR, R.COMPLIANCE})
MAKER = frozenset({R.REGISTRAR_MAKER})
CHECKER = frozenset({R.REGISTRAR_CHECKER})
COMPLIANCE = frozenset({R.COMPLIANCE})
ISSUER = frozenset({R.ISSUER})
BUYERS = frozenset({R.INVESTOR, R.ISSUER})

ACCESS: Mapping[str, frozenset[Role]] = {
    "healthz": PUBLIC,
    "readyz": PUBLIC,
    "metrics": PUBLIC,
    "issue_development_token": PUBLIC,
    "receive_payment_notice": PUBLIC,  # signed by the rail itself
    # parties
    "create_party": MAKER | COMPLIANCE,
    "list_parties": REGISTRARS | OVERSIGHT,
    "get_party": READERS,
    # assets
    "create_asset": MAKER,
    "list_assets": READERS,
    "get_asset": READERS,
    "amend_asset": MAKER,
    "submit_asset": MAKER,
    "approve_asset": APPROVERS,
    "list_asset_approvals": READERS,
    "requisition_asset": CHECKER,
    "reject_asset": CHECKER,
    "withdraw_asset": MAKER,
    "run_rules": READERS,
    "list_rule_runs": READERS,
    # documents, valuations, wrapper
    "upload_document": MAKER,
    "list_documents": READERS,
    "get_document": READERS,
    "get_document_content": STAFF,
    "verify_document": frozenset({R.DOCUMENT_VERIFIER}),
    "reject_document": frozenset({R.DOCUMENT_VERIFIER}),
    "submit_valuation": frozenset({R.VALUER}),
    "list_valuations": READERS,
    "accept_valuation": frozenset({R.VALUATION_CHECKER}),
    "name_wrapper": MAKER,
    "get_wrapper": READERS,
    # titles and encumbrances
    "get_title": READERS,
    "list_title_versions": READERS,
    "lodge_encumbrance": MAKER,
    "list_encumbrances": READERS,
    "get_encumbrance": READERS,
    "activate_encumbrance": CHECKER,
    "discharge_encumbrance": REGISTRARS,
    # tokenizations
    "structure_tokenization": ISSUER,
    "list_tokenizations": READERS,
    "get_tokenization": READERS,
    "approve_tokenization": COMPLIANCE | CHECKER,
    "deploy_tokenization": COMPLIANCE,
    "open_tokenization": COMPLIANCE,
    "mint_tokenization": COMPLIANCE,
    "go_live_tokenization": COMPLIANCE,
    "pause_tokenization": COMPLIANCE,
    # tokens
    "get_token": EVERYONE,
    "get_token_supply": EVERYONE,
    "get_cap_table": READERS,
    "list_holders": OVERSIGHT,
    "list_transfers": READERS,
    "list_reconciliations": READERS,
    # investors
    "enrol_investor": BUYERS,
    "list_investors": OVERSIGHT,
    "get_investor": OVERSIGHT | BUYERS,
    "decide_kyc": COMPLIANCE,
    "challenge_wallet": BUYERS,
    "prove_wallet": BUYERS,
    "get_me": EVERYONE,
    "get_my_portfolio": BUYERS,
    "list_my_orders": BUYERS,
    # offerings
    "list_offerings": EVERYONE,
    "get_offering": EVERYONE,
    "place_order": BUYERS,
    "get_order": BUYERS,
    "cancel_order": BUYERS,
    # the record
    "get_operation": EVERYONE,
    "list_operations": STAFF,
    "list_journal": frozenset({R.AUDITOR, R.REGULATOR}),
}
