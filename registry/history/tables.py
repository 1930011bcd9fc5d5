"""Which tables hold legal facts, and therefore keep the history of every row; and which are sealed.

A new table of the registry stands in `LEGAL_TABLES`, in `SEALED_TABLES` or in `NOT_LEGAL`; a test
holds them against the metadata.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LegalTable:
    """A table whose rows are legal facts.

    Parameters
    ----------
    parent
        The column by which lists ask for rows: all encumbrances of one title.
    key
        The primary key, where it is not `id`.
    private
        Columns that may name a person: free text of people and papers. They are kept, but never
        leave with the journal.
    keeping
        Columns that say how a row is kept, not what it says: sealed anew when keys rotate, they
        are no part of the past, which reads them from the row of today.
    """

    name: str
    parent: str | None = None
    key: tuple[str, ...] = ("id",)
    private: tuple[str, ...] = ()
    keeping: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table whose rows keep no history, and are yet found where somebody changes one (ADR 0071).

    Each statement that writes to it leaves the hashes of the rows that it wrote, in one image of
    `legal_history` however many they are. A row is known by its `id`.

    Parameters
    ----------
    aside
        Columns that are no part of the hash, for their change is nobody's act: how a row is kept,
        what is counted from other rows, when something was seen last.
    """

    name: str
    aside: tuple[str, ...] = ()


LEGAL_TABLES: tuple[LegalTable, ...] = (
    LegalTable("asset"),
    LegalTable("underlying_key", parent="asset_id"),
    LegalTable("parcel", parent="asset_id"),
    LegalTable("undivided_share", parent="asset_id"),
    LegalTable("title", parent="asset_id"),
    LegalTable("title_version", parent="title_id"),
    LegalTable("title_share", parent="version_id", key=("version_id", "party_id")),
    LegalTable(
        "encumbrance", parent="title_id", private=("authority", "case_no", "confirmation")
    ),
    LegalTable(
        "document",
        parent="asset_id",
        private=("issuer", "issuer_ref", "source_registry", "source_reference", "reason"),
        keeping=("stored_as", "sealed", "sealed_with"),
    ),
    LegalTable("valuation", parent="asset_id", private=("reason",)),
    LegalTable("wrapper", parent="asset_id"),
    LegalTable("approval", parent="subject_id"),
    LegalTable("tokenization", parent="asset_id"),
    LegalTable(
        "alert", parent="party_id", private=("reason", "decision_reason")
    ),
    LegalTable("amendment", parent="asset_id", private=("reason",)),
    LegalTable("bill_endorsement", parent="bill_id", private=("reference", "reason")),
    LegalTable("bill_equipment", parent="bill_id"),
    LegalTable("bill_of_lading", parent="asset_id"),
    LegalTable("legal_case", parent="investor_id", private=("legal_basis", "reason", "heirs")),
    LegalTable("case_act", parent="case_id"),
    LegalTable("case_lift", parent="case_id", private=("legal_basis", "reason")),
    LegalTable("certificate", parent="title_id", keeping=("sealed", "sealed_with")),
    LegalTable("complaint", parent="party_id", private=("said", "answer")),
    LegalTable("court_order", parent="asset_id", private=("authority", "case_no")),
    LegalTable("ctr_filing", parent="party_id", private=("reason",)),
    LegalTable("energy_reading", parent="asset_id", private=("reason",)),
    LegalTable("incident", private=("title", "description", "cause")),
    LegalTable("encumbrance_terms", parent="encumbrance_id"),
    LegalTable(
        "mutation", parent="title_id", private=("court", "misl_no", "order_text", "reason")
    ),
    LegalTable("mutation_party", parent="mutation_id", private=("died_on", "relation")),
    LegalTable("mutation_title", parent="title_id", key=("mutation_id", "title_id")),
    LegalTable("panel_valuer", private=("licence_no",)),
    LegalTable("redemption", parent="tokenization_id"),
    LegalTable("stock_audit", parent="receipt_id", private=("auditor",)),
    LegalTable("str_case", parent="party_id", private=("indicators", "narrative", "reason")),
    LegalTable("suspension_cause", parent="asset_id", private=("reference", "reason", "closing")),
    LegalTable("warehouse_receipt", parent="asset_id"),
    LegalTable("interest_declaration", parent="party_id", private=("reason",)),
    LegalTable("declared_interest", parent="declaration_id"),
    LegalTable("policy_row"),
)  # fmt: skip

SEALED_TABLES: tuple[SealedTable, ...] = (
    # Whose an address is.
    SealedTable("wallet"),
    SealedTable("investor"),
    # Who somebody is, and who holds for whom: a group's members and their parts, the asset of an
    # asset as a party. `registry.party.audit` opens what is sealed of them.
    SealedTable("party", aside=("sealed_with", "version")),
    # Who was paid, and by whose votes.
    SealedTable("redemption_payout"),
    SealedTable("redemption_vote"),
    SealedTable("proceeds_payout"),
    SealedTable("refund"),
    SealedTable("payment"),
    SealedTable("payment_reversal"),
    SealedTable("ledger_entry"),
    SealedTable("ledger_posting"),
    SealedTable("bank_statement"),
    SealedTable("bank_statement_line"),
    # Who bought what, on which terms and papers. `registry.offering.audit` counts the orders.
    SealedTable("purchase_order"),
    SealedTable("offering", aside=("reserved_units", "last_sold_at")),
    SealedTable("offering_document"),
    SealedTable("document_acceptance"),
    SealedTable("waiting_entry"),
    # On what decisions rest. `registry.kyc.audit` holds the profile against the approved hash.
    SealedTable("rule_run"),
    SealedTable("register_statement"),
    SealedTable("register_statement_row"),
    SealedTable("reconciliation"),
    SealedTable("reconciliation_break", aside=("last_seen_at",)),
    SealedTable("kyc_review", aside=("sealed", "sealed_with")),
    SealedTable("sanctions_hit"),
    SealedTable("sanctions_list"),
    SealedTable("sanctions_entry"),
)  # fmt: skip
"""Tables in which a quiet UPDATE changes who owns what, who was paid, or why something was decided.

A column that a migration adds is sealed with what is written from then on. One that drops or
renames a column of these, or writes to it, has to seal the rows anew. A table joins these, or the
legal ones, with a migration: only in its run are rows taken as they stand.
"""

KEPT_TABLES: tuple[LegalTable | SealedTable, ...] = (*LEGAL_TABLES, *SEALED_TABLES)
"""Tables of which the audit names each row that was changed."""

NOT_LEGAL: dict[str, str] = {
    "kyc_paper": "belongs to its review for good",
    "sanctions_screening": "who was screened, which registry.sanctions.audit does again",
    "custodial_key": "where a key lies, which no right hangs on",
    "bulk_import": "work in progress; what it records stands in tables of its own",
    "bulk_import_row": "what became of a row of a file",
    "asset_code_series": "counting of codes",
    "api_key": "who may call; each act on a key is an entry of the journal",
    "passkey": "who may sign in; adding and removing one is an entry of the journal",
    "wallet_challenge": "what an address is asked to sign within minutes",
    "passkey_challenge": "what an authenticator is asked to sign within minutes",
    "passkey_invitation": "who may sign in; each act on one is an entry of the journal",
    "enrolment_handover": "who may sign in; each act on one is an entry of the journal",
    "user_session": "who is signed in; beginning and end are entries of the journal",
    "refresh_token": "how far the tokens of a session have gone",
    "rate_limit_bucket": "how much was asked of us in the last minute",
    "stored_answer": "answers kept for repeated requests",
    "notice": "what was told of it, only ever added; its place is given later",
    "notice_cursor": "how far the chain has been told of",
    "webhook_endpoint": "where notices go; each act on one is an entry of the journal",
    "webhook_delivery": "how far a notice has gone",
    "operation": "what it is, told by the act of its planning, see registry.operation.planned",
    "operation_attempt": "signed transactions that say whose they are, see chain.proving.carried",
    "claim_signature": "when the claim key signed, only ever added",
    "operation_dependency": "what is being done on chain",
    "nonce_stream": "counting of the sender",
    "signer_watch": "what keys hold at the moment",
    "node_watch": "how the chain's nodes stand at the moment",
    "platform_contract": "where our contracts stand",
    "token": "projected from the chain, whose past is told by block",
    "former_token": "only ever added: under which number a token was known",
    "token_reading": "only ever added, but for the moment when it ends",
    "token_event": "projected from the chain, whose past is told by block",
    "holder": "projected from the chain, whose past is told by block",
    "balance": "projected from the chain, whose past is told by block",
    "balance_at": "projected from the chain, whose past is told by block",
    "registered_wallet": "projected from the chain, whose past is told by block",
    "chain_block": "projected from the chain, whose past is told by block",
    "orphan_block": "sealed by the act of the reorg, see registry.captable.lost_seal",
    "contract_event": "projected from the chain, whose past is told by block",
    "followed_contract": "how far our contracts are read",
    "cap_table_export": "a copy of what is projected, with its block",
    "alert_cursor": "how far the rules of alerts have looked, see registry.alert.audit",
    "sync_cursor": "how far the chain is read",
    "proof_round": "how far a proof of the projection has gone",
    "journal_anchor": "which roots go on chain, whose own events tell the rest",
    "journal_entry": "the journal itself",
    "journal_leaf": "the journal itself",
    "journal_node": "the journal itself",
    "journal_pending": "the journal itself",
    "journal_seal": "the journal itself",
    "recording": "the history itself",
    "legal_history": "the history itself",
}
"""The others, each with the reason."""
