"""Who may call what: one table, by the name of the route.

A route that is not named here does not exist: the application refuses to start with it. The
workflow's own roles (who may approve, who may verify) stand in the state machines.
"""

from __future__ import annotations

from collections.abc import Mapping

from registry.api_key.models import MACHINE_ROLES
from registry.kernel.actor import OVERSIGHT, Role
from registry.report.catalogue import CATALOGUE

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
PAPER_READERS = (
    REGISTRARS | APPROVERS | OVERSIGHT | frozenset({R.VALUER, R.FIELD_VERIFIER, R.REVENUE_OFFICER})
)
"""Whose own step rests on the papers of an asset, or who oversees it: they name people in full."""
MAKER = frozenset({R.REGISTRAR_MAKER})
CHECKER = frozenset({R.REGISTRAR_CHECKER})
COMPLIANCE = frozenset({R.COMPLIANCE})
TREASURY = frozenset({R.TREASURY})
ISSUER = frozenset({R.ISSUER})
INVESTOR = frozenset({R.INVESTOR})
BUYERS = frozenset({R.INVESTOR, R.ISSUER})
KEY_MAKERS = MACHINE_ROLES
"""Nobody gives a system what they do not have themselves."""

ACCESS: Mapping[str, frozenset[Role]] = {
    "healthz": PUBLIC,
    "readyz": PUBLIC,
    "metrics": PUBLIC,
    "issue_development_token": PUBLIC,
    "receive_payment_notice": PUBLIC,  # signed by the rail itself
    "list_public_keys": PUBLIC,
    # the ceremonies of who is not signed in yet: a passkey, a token or a code speaks for them
    "begin_sign_in": PUBLIC,
    "start_session": PUBLIC,
    "refresh_session": PUBLIC,
    "begin_invited_passkey": PUBLIC,
    "add_invited_passkey": PUBLIC,
    # parties
    "create_party": MAKER | COMPLIANCE,
    "list_parties": REGISTRARS | OVERSIGHT,
    "get_party": READERS,
    "amend_party": MAKER | COMPLIANCE,
    "declare_interests": MAKER | COMPLIANCE,
    "list_interests": REGISTRARS | OVERSIGHT,
    "confirm_interests": CHECKER | COMPLIANCE,
    "reject_interests": CHECKER | COMPLIANCE,
    # thresholds
    "list_policies": READERS,
    "list_policy_rows": READERS,
    "propose_policy": COMPLIANCE,
    "confirm_policy": CHECKER,
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
    "suspend_asset": COMPLIANCE,
    "get_asset_standing": READERS,
    "close_suspension_cause": COMPLIANCE,
    "reinstate_asset": COMPLIANCE | CHECKER,
    "retire_asset": CHECKER,
    "propose_asset_amendment": MAKER,
    "list_asset_amendments": READERS,
    "approve_asset_amendment": CHECKER,
    "cancel_asset_amendment": MAKER,
    "run_rules": READERS,
    "list_rule_runs": READERS,
    "list_asset_parcels": READERS,
    "list_parcels": REGISTRARS | OVERSIGHT,
    "open_import": MAKER,
    "list_imports": REGISTRARS | OVERSIGHT,
    "get_import": REGISTRARS | OVERSIGHT,
    "list_import_rows": REGISTRARS | OVERSIGHT,
    "cancel_import": MAKER,
    # documents, valuations, wrapper
    "upload_document": MAKER,
    "list_documents": READERS,
    "get_document": READERS,
    "get_document_content": PAPER_READERS,
    "verify_document": frozenset({R.DOCUMENT_VERIFIER}),
    "reject_document": frozenset({R.DOCUMENT_VERIFIER}),
    "revoke_document": frozenset({R.DOCUMENT_VERIFIER}),
    "submit_valuation": frozenset({R.VALUER}),
    "list_valuations": READERS,
    "accept_valuation": frozenset({R.VALUATION_CHECKER}),
    "reject_valuation": frozenset({R.VALUATION_CHECKER}),
    "propose_valuer": COMPLIANCE,
    "list_valuers": READERS,
    "confirm_valuer": CHECKER,
    "end_valuer": COMPLIANCE,
    "name_wrapper": MAKER,
    "get_wrapper": READERS,
    # titles and encumbrances
    "get_title": READERS,
    "list_title_versions": READERS,
    "list_title_history": READERS,
    "dispute_title": COMPLIANCE,
    "dismiss_title_dispute": CHECKER,
    "cancel_title": CHECKER,
    # mutations
    "lodge_mutation": MAKER,
    "list_mutations": READERS,
    "get_mutation": READERS,
    "complete_mutation": MAKER,
    "verify_mutation": frozenset({R.FIELD_VERIFIER}),
    "return_mutation": frozenset({R.FIELD_VERIFIER}),
    "attest_mutation": frozenset({R.REVENUE_OFFICER}),
    "reject_mutation": frozenset({R.REVENUE_OFFICER}),
    "stay_mutation": frozenset({R.REVENUE_OFFICER}),
    "resume_mutation": frozenset({R.REVENUE_OFFICER}),
    "review_mutation": frozenset({R.REVENUE_OFFICER}),
    "implement_mutation": CHECKER,
    "reverse_mutation": CHECKER,
    "withdraw_mutation": MAKER,
    "lodge_encumbrance": MAKER,
    "list_encumbrances": READERS,
    "get_encumbrance": READERS,
    "activate_encumbrance": CHECKER,
    "list_encumbrance_terms": READERS,
    "reject_encumbrance": CHECKER,
    "propose_encumbrance_variation": MAKER,
    "vary_encumbrance": CHECKER,
    "discharge_encumbrance": REGISTRARS,
    "refuse_encumbrance_discharge": CHECKER,
    "enforce_encumbrance": COMPLIANCE,
    "settle_encumbrance": CHECKER,
    "finish_encumbrance_enforcement": CHECKER,
    "lapse_encumbrance": REGISTRARS | COMPLIANCE,
    # tokenizations
    "structure_tokenization": ISSUER,
    "list_tokenizations": READERS,
    "get_tokenization": READERS,
    "approve_tokenization": COMPLIANCE | CHECKER,
    "cancel_tokenization": COMPLIANCE | ISSUER,
    "deploy_tokenization": COMPLIANCE,
    "open_tokenization": COMPLIANCE,
    "open_secondary_offering": COMPLIANCE,
    "mint_tokenization": COMPLIANCE,
    "go_live_tokenization": COMPLIANCE,
    "pause_tokenization": COMPLIANCE,
    "unpause_tokenization": COMPLIANCE | CHECKER,
    "unwind_tokenization": COMPLIANCE,
    "give_up_tokenization": COMPLIANCE | CHECKER,
    # rules of a token: questions, which change nothing
    "lint_compliance": READERS,
    "lint_tokenization": READERS,
    "dry_run_tokenization": READERS,
    "ask_what_if": READERS,
    "check_eligibility": EVERYONE,  # who oversees nobody about movements of their own
    # tokens
    "list_followed_tokens": READERS,
    "get_token": EVERYONE,
    "get_token_supply": EVERYONE,
    "get_cap_table": READERS,
    "list_holders": OVERSIGHT,
    "list_transfers": READERS,
    "get_concentration": READERS,
    "get_wallet_holding": READERS | BUYERS,  # an investor of their own wallets
    "list_wallet_history": READERS | BUYERS,  # the same
    "list_wallet_claims": READERS | BUYERS,  # the same
    "list_control_changes": READERS,
    "list_reconciliations": READERS,
    "stream_events": READERS,
    "open_export": READERS,
    "list_exports": READERS,
    "get_export": READERS,
    "get_export_content": READERS,
    # investors
    "enrol_investor": BUYERS,
    "list_investors": OVERSIGHT,
    "get_investor": OVERSIGHT | BUYERS,
    "open_kyc_review": COMPLIANCE | BUYERS,  # an investor of themselves
    "list_investor_kyc_reviews": OVERSIGHT | BUYERS,  # the same
    "list_kyc_reviews": OVERSIGHT,
    "get_kyc_review": OVERSIGHT | BUYERS,  # the same
    "replace_kyc_profile": COMPLIANCE | BUYERS,  # the same
    "upload_kyc_document": COMPLIANCE | BUYERS,  # the same
    "list_kyc_documents": OVERSIGHT | BUYERS,  # the same
    "get_kyc_document_content": COMPLIANCE | {R.REGULATOR} | BUYERS,  # the same
    "submit_kyc_review": COMPLIANCE | BUYERS,  # the same
    "withdraw_kyc_review": COMPLIANCE | BUYERS,  # the same
    "recommend_kyc_review": COMPLIANCE,
    "return_kyc_review": COMPLIANCE,
    "decide_kyc": COMPLIANCE,
    "revoke_kyc": COMPLIANCE,
    "challenge_wallet": BUYERS,
    "prove_wallet": BUYERS,
    "remove_wallet": BUYERS,
    "request_custodial_wallet": BUYERS,
    "list_custodial_wallets": BUYERS,
    "import_sanctions_list": COMPLIANCE,
    "confirm_sanctions_list": COMPLIANCE,
    "list_sanctions_lists": OVERSIGHT,
    "get_sanctions_list": OVERSIGHT,
    "list_sanctions_hits": OVERSIGHT,
    "get_sanctions_hit": OVERSIGHT,
    "recommend_sanctions_hit": COMPLIANCE,
    "return_sanctions_hit": COMPLIANCE,
    "confirm_sanctions_hit": COMPLIANCE,
    "reopen_sanctions_hit": COMPLIANCE,
    "get_me": EVERYONE,
    "get_my_portfolio": BUYERS,
    "list_my_orders": BUYERS,
    "list_my_events": BUYERS,
    "stream_my_events": BUYERS,
    "list_my_statements": BUYERS,
    "get_my_statement": BUYERS,
    "get_my_statement_csv": BUYERS,
    "get_my_statement_pdf": BUYERS,
    # webhooks, of the caller's own
    "add_webhook_endpoint": BUYERS,
    "list_webhook_endpoints": BUYERS,
    "get_webhook_endpoint": BUYERS,
    "remove_webhook_endpoint": BUYERS,
    "rotate_webhook_secret": BUYERS,
    "enable_webhook_endpoint": BUYERS,
    "test_webhook_endpoint": BUYERS,
    "list_webhook_deliveries": BUYERS,
    "retry_webhook_delivery": BUYERS,
    # offerings
    "list_offerings": EVERYONE,
    "get_offering": EVERYONE,
    "get_offering_story": EVERYONE,
    "get_asset_story": EVERYONE,
    "get_asset_picture": EVERYONE,
    "list_my_waiting_entries": BUYERS,
    "get_offering_document_content": EVERYONE,
    "stop_offering": COMPLIANCE,
    "join_waiting_list": BUYERS,
    "get_waiting_list": OVERSIGHT,
    "leave_waiting_list": BUYERS,
    "give_back_order": COMPLIANCE,
    "annul_order": COMPLIANCE,
    "refund_order": TREASURY,
    "place_order": BUYERS,
    "list_offering_orders": OVERSIGHT | TREASURY,
    "get_trade": BUYERS,  # of their own order, or of their own sale
    "list_unsigned_trades": BUYERS,  # of their own sale
    "sign_trade": BUYERS,  # the same
    "confirm_purchase": BUYERS,
    "get_order": BUYERS,
    "withdraw_order": BUYERS,
    "list_acceptances": BUYERS | OVERSIGHT,  # a buyer of their own orders
    "get_order_ledger": BUYERS | OVERSIGHT | TREASURY,  # a buyer of their own orders
    # money
    "list_payments": OVERSIGHT | TREASURY,
    "get_payment": OVERSIGHT | TREASURY,
    "assign_payment": TREASURY,
    "return_payment": TREASURY,
    "list_receivables": OVERSIGHT | TREASURY,
    "list_refunds_due": OVERSIGHT | TREASURY,
    "get_trial_balance": OVERSIGHT | TREASURY,
    "import_bank_statement": TREASURY,
    "list_bank_statements": OVERSIGHT | TREASURY,
    "get_bank_statement": OVERSIGHT | TREASURY,
    "list_bank_statement_lines": OVERSIGHT | TREASURY,
    "list_proceeds_payouts": OVERSIGHT | TREASURY,
    "propose_proceeds_payout": TREASURY,
    "confirm_proceeds_payout": TREASURY,
    "reject_proceeds_payout": TREASURY,
    "cancel_order": BUYERS,
    # goods: holder, pledgee, endorsee and shipper are relations, whatever role the token has
    "open_receipt": frozenset({R.WAREHOUSE_OPERATOR}),
    "list_receipts": EVERYONE,
    "get_receipt": EVERYONE,
    "grade_receipt": frozenset({R.ASSAYER}),
    "accept_grade": BUYERS,
    "refuse_receipt_offer": BUYERS | {R.ASSAYER},
    "reject_receipt": frozenset({R.ASSAYER}),
    "issue_receipt": frozenset({R.WAREHOUSE_OPERATOR}),
    "split_receipt": frozenset({R.WAREHOUSE_OPERATOR}),
    "transfer_receipt": BUYERS,
    "offer_pledge": BUYERS,
    "accept_pledge": BUYERS,
    "release_pledge": BUYERS,
    "invoke_pledge": BUYERS,
    "liquidate_receipt": BUYERS | {R.WAREHOUSE_OPERATOR},
    "extend_receipt": frozenset({R.WAREHOUSE_OPERATOR}),
    "record_loss": frozenset({R.WAREHOUSE_OPERATOR}),
    "deliver_goods": frozenset({R.WAREHOUSE_OPERATOR}),
    "name_receipt_keeper": COMPLIANCE | CHECKER,
    "unlock_receipt": CHECKER,
    "make_out_bill": frozenset({R.CARRIER}),
    "list_bills": EVERYONE,
    "get_bill": EVERYONE,
    "list_endorsements": EVERYONE,
    "approve_bill": BUYERS | {R.SHIPPER},
    "void_bill": frozenset({R.CARRIER}),
    "issue_bill": frozenset({R.CARRIER}),
    "offer_possession": BUYERS,
    "endorse_bill": BUYERS,
    "accept_bill_offer": BUYERS,
    "refuse_bill_offer": BUYERS,
    "surrender_for_delivery": BUYERS,
    "surrender_for_amendment": BUYERS,
    "accept_surrender": frozenset({R.CARRIER}),
    "refuse_surrender": frozenset({R.CARRIER}),
    "reissue_bill": frozenset({R.CARRIER}),
    "switch_bill_to_paper": frozenset({R.CARRIER}),
    "name_bill_keeper": COMPLIANCE | CHECKER,
    "unlock_bill": CHECKER,
    # orders of courts and of the state
    "receive_court_order": COMPLIANCE | {R.REGULATOR},
    "list_court_orders": OVERSIGHT | CHECKER,
    "get_court_order": OVERSIGHT | CHECKER,
    "authenticate_court_order": COMPLIANCE,
    "reject_court_order": COMPLIANCE,
    "apply_court_order": COMPLIANCE,
    "confirm_court_order": COMPLIANCE,
    "vary_court_order": COMPLIANCE,
    "vacate_court_order": COMPLIANCE | CHECKER,
    "lift_court_order": COMPLIANCE,
    # cases: forced acts
    "open_case": COMPLIANCE,
    "list_cases": OVERSIGHT | CHECKER,
    "get_case": OVERSIGHT | CHECKER,
    "approve_case": COMPLIANCE | CHECKER,
    "reject_case": COMPLIANCE | CHECKER,
    "withdraw_case": COMPLIANCE,
    "execute_case": COMPLIANCE | CHECKER,
    "lift_case": COMPLIANCE,
    # reconciliation
    "run_reconciliation": COMPLIANCE | {R.OPERATIONS},
    "list_breaks": OVERSIGHT | CHECKER | {R.OPERATIONS},
    "get_break": OVERSIGHT | CHECKER | {R.OPERATIONS},
    "investigate_break": frozenset({R.OPERATIONS}),
    "propose_break_fix": frozenset({R.OPERATIONS}),
    "approve_break_fix": COMPLIANCE,
    "reject_break_fix": COMPLIANCE,
    "accept_break_loss": COMPLIANCE | CHECKER,
    "file_register_statement": frozenset({R.OPERATIONS}),
    "upload_register_statement": frozenset({R.OPERATIONS}),
    "list_register_statements": OVERSIGHT | {R.OPERATIONS},
    # alerts and filings: never for whom they are about
    "list_alerts": OVERSIGHT,
    "get_alert": OVERSIGHT,
    "review_alert": COMPLIANCE,
    "return_alert": COMPLIANCE,
    "dismiss_alert": COMPLIANCE,
    "escalate_alert": COMPLIANCE,
    "prepare_ctr_filing": COMPLIANCE,
    "list_ctr_filings": OVERSIGHT,
    "get_ctr_filing": OVERSIGHT,
    "file_ctr_filing": COMPLIANCE,
    "withdraw_ctr_filing": COMPLIANCE,
    "open_str_case": COMPLIANCE,
    "list_str_cases": COMPLIANCE | {R.REGULATOR},
    "get_str_case": COMPLIANCE | {R.REGULATOR},
    "file_str_case": COMPLIANCE,
    "close_str_case": COMPLIANCE,
    # complaints and incidents
    "file_my_complaint": BUYERS,
    "list_my_complaints": BUYERS,
    "get_my_complaint": BUYERS,
    "withdraw_my_complaint": BUYERS,
    "record_complaint": COMPLIANCE | {R.OPERATIONS},
    "list_complaints": OVERSIGHT | {R.OPERATIONS},
    "get_complaint": OVERSIGHT | {R.OPERATIONS},
    "investigate_complaint": COMPLIANCE | {R.OPERATIONS},
    "resolve_complaint": COMPLIANCE | {R.OPERATIONS},
    "reject_complaint": COMPLIANCE,
    "report_incident": COMPLIANCE | {R.OPERATIONS},
    "list_incidents": OVERSIGHT | {R.OPERATIONS},
    "get_incident": OVERSIGHT | {R.OPERATIONS},
    "contain_incident": COMPLIANCE | {R.OPERATIONS},
    "close_incident": COMPLIANCE | {R.OPERATIONS},
    # what assets bring and hold
    "report_energy_reading": MAKER,
    "list_energy_readings": READERS,
    "get_energy_reading": READERS,
    "confirm_energy_reading": CHECKER,
    "reject_energy_reading": CHECKER,
    "record_stock_audit": MAKER | {R.ASSAYER},
    "list_stock_audits": READERS,
    # redemptions
    "request_redemption": ISSUER | COMPLIANCE,
    "list_redemptions": EVERYONE,
    "get_redemption": EVERYONE,
    "list_payouts": OVERSIGHT | {R.TREASURY},
    "vote_on_redemption": BUYERS,
    "close_redemption_vote": COMPLIANCE,
    "approve_redemption": COMPLIANCE | CHECKER,
    "reject_redemption": COMPLIANCE,
    "withdraw_redemption": ISSUER | COMPLIANCE,
    "freeze_redemption": COMPLIANCE,
    "burn_redeemed": COMPLIANCE,
    "fund_redemption": TREASURY,
    "pay_redemption": TREASURY,
    "record_payout": TREASURY,
    "hold_payout": TREASURY,
    "release_payout": COMPLIANCE,
    "close_payouts": TREASURY,
    "abort_redemption": COMPLIANCE,
    "end_redeemed_token": COMPLIANCE,
    "settle_redemption": COMPLIANCE,
    # API keys of registrars' systems
    "propose_api_key": KEY_MAKERS,
    "list_api_keys": KEY_MAKERS | OVERSIGHT | CHECKER,
    "get_api_key": KEY_MAKERS | OVERSIGHT | CHECKER,
    "confirm_api_key": CHECKER,
    "revoke_api_key": KEY_MAKERS | COMPLIANCE | CHECKER,
    # passkeys and sessions, of the caller's own
    "begin_passkey": INVESTOR,
    "add_passkey": INVESTOR,
    "list_passkeys": INVESTOR,
    "rename_passkey": INVESTOR,
    "remove_passkey": INVESTOR,
    "list_sessions": INVESTOR,
    "end_session": INVESTOR,
    "revoke_passkeys": COMPLIANCE,
    "invite_investor": COMPLIANCE,
    "list_invitations": COMPLIANCE | CHECKER,
    "confirm_invitation": COMPLIANCE | CHECKER,
    "revoke_invitation": COMPLIANCE | CHECKER,
    # enrolments that go to whom they are about
    "propose_handover": COMPLIANCE,
    "list_handovers": COMPLIANCE | CHECKER,
    "get_handover": COMPLIANCE | CHECKER,
    "confirm_handover": COMPLIANCE,
    "withdraw_handover": COMPLIANCE,
    # the record
    "get_operation": EVERYONE,
    "list_operations": STAFF,
    "list_journal": frozenset({R.AUDITOR, R.REGULATOR}),
    "get_journal_head": frozenset({R.AUDITOR, R.REGULATOR}),
    "prove_journal_entry": frozenset({R.AUDITOR, R.REGULATOR}),
    "list_anchors": frozenset({R.AUDITOR, R.REGULATOR}),
    # certificates: of a title by staff, of a holding by whose it is; the service tells them apart
    "issue_certificate": REGISTRARS | COMPLIANCE | BUYERS | frozenset({R.REGULATOR}),
    "list_certificates": REGISTRARS | COMPLIANCE | BUYERS | frozenset({R.REGULATOR}),
    "get_certificate": REGISTRARS | COMPLIANCE | BUYERS | frozenset({R.REGULATOR}),
    "revoke_certificate": CHECKER | COMPLIANCE,
    "verify_certificate": PUBLIC,
    "prove_journal_consistency": frozenset({R.AUDITOR, R.REGULATOR}),
    # the regulators' reports
    "list_signing_keys": PUBLIC,
    "list_reports": OVERSIGHT,
    **{report.name: report.restricted_to for report in CATALOGUE},
}

PEOPLE_ONLY = frozenset(
    {
        "propose_api_key",
        "list_api_keys",
        "get_api_key",
        "confirm_api_key",
        "revoke_api_key",
        "resolve_complaint",
    }
)
"""What no API key reaches, whatever its roles: a stolen one must not make others, and a system
decides nothing."""
