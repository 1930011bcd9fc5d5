"""What each constraint of the database means, for the second of two who were equally quick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint by what people meant it to say.

    Parameters
    ----------
    rule
        Id of the rule that it keeps, where it keeps one.
    """

    code: str
    detail: str
    rule: str | None = None


CONSTRAINTS: Mapping[str, Constraint] = {
    "shr_01": Constraint(
        "shares_do_not_sum", "The shares do not sum to the whole (rule SHR-01).", "SHR-01"
    ),
    "ex_title_version_overlap": Constraint(
        "title_changed", "The title has just got another version (rule VER-01).", "VER-01"
    ),
    "uq_underlying_key_live": Constraint(
        "key_taken", "Another dossier has just claimed this thing (rule KEY-01).", "KEY-01"
    ),
    "uq_tokenization_alive": Constraint(
        "tokenization_exists", "The asset is being tokenized already (rule TOK-01).", "TOK-01"
    ),
    "uq_tokenization_symbol": Constraint("symbol_taken", "The symbol names another token."),
    "ck_tokenization_economic_share": Constraint(
        "token_terms_invalid",
        "Tokens cannot carry more than the whole of the asset's economics (rule TOK-05).",
        "TOK-05",
    ),
    "ck_encumbrance_rank": Constraint(
        "rank_not_applicable", "Only a secured debt has a rank (rule ENC-03).", "ENC-03"
    ),
    "uq_amendment_open": Constraint(
        "transition_refused", "An amendment of this asset waits already."
    ),
    "ck_amendment_four_eyes": Constraint(
        "checker_is_maker", "Whoever made this cannot approve it (rule APR-01).", "APR-01"
    ),
    "uq_encumbrance_rank": Constraint(
        "rank_taken", "This rank on the title is taken (rule ENC-03).", "ENC-03"
    ),
    "uq_document_sha256": Constraint(
        "document_known", "These bytes are already filed (rule DOC-01).", "DOC-01"
    ),
    "uq_approval_person": Constraint(
        "already_approved", "You have approved this already (rule APR-01).", "APR-01"
    ),
    "ck_approval_four_eyes": Constraint(
        "checker_is_maker", "Whoever made this cannot approve it (rule APR-01).", "APR-01"
    ),
    "aud_01": Constraint(
        "journal_is_append_only", "The journal is append-only (rule AUD-01).", "AUD-01"
    ),
    "ck_offering_not_oversold": Constraint(
        "order_exceeds_offer", "Fewer fractions are left than that."
    ),
    "par_04": Constraint(
        "undivided_shares_exceed_whole",
        "The units' shares in the parcel below them pass the whole (rule PAR-04).",
        "PAR-04",
    ),
    "ttl_01": Constraint(
        "primary_right_missing", "A title has no right in force (rule TTL-01).", "TTL-01"
    ),
    "uq_mutation_title_open": Constraint(
        "mutation_open", "Another mutation of the title has just been entered.", "MUT-01"
    ),
    "mut_03": Constraint(
        "mutation_immutable", "An implemented mutation never changes (rule MUT-03).", "MUT-03"
    ),
    "uq_mutation_number": Constraint(
        "mutation_number_taken", "The number names another mutation of this title."
    ),
    "uq_mutation_reverses": Constraint(
        "reversal_entered", "Another mutation that reverses this one is entered already."
    ),
    "ck_mutation_four_people": Constraint(
        "checker_is_maker", "A mutation is the work of four people (rule APR-01).", "APR-01"
    ),
    "ck_warehouse_receipt_covered": Constraint(
        "quantity_not_free", "More is taken than the receipt holds (rule EWR-01).", "EWR-01"
    ),
    "uq_warehouse_receipt_key": Constraint(
        "receipt_exists", "The receipt of this number is open already."
    ),
    "uq_bill_of_lading_reference": Constraint(
        "bill_exists", "The carrier has made out a bill of this reference."
    ),
    "ck_bill_of_lading_one_holder": Constraint(
        "holder_missing", "A bill that is out has exactly one holder (rule EBL-01).", "EBL-01"
    ),
    "uq_bill_equipment_live": Constraint(
        "equipment_under_other_bill",
        "A container is under another live bill on this voyage (rule EBL-01).",
        "EBL-01",
    ),
    "ck_bill_endorsement_issue_first": Constraint(
        "bill_issued_twice", "A bill is issued once, and first (rule EBL-01).", "EBL-01"
    ),
    "uq_bill_endorsement_seq": Constraint(
        "endorsement_chain_broken", "The chain has just grown (rule EBL-01).", "EBL-01"
    ),
    "ebl_01": Constraint(
        "endorsement_chain_broken",
        "An endorsement chain only grows, and begins with its issue (rule EBL-01).",
        "EBL-01",
    ),
    "uq_redemption_alive": Constraint(
        "redemption_exists", "A redemption of this token is under way."
    ),
    "uq_party_passport": Constraint("party_exists", "Somebody has just been recorded under it."),
    "party_cnic_fingerprint_key": Constraint(
        "party_exists", "Somebody has just been recorded under it."
    ),
    "party_lei_key": Constraint("party_exists", "Somebody has just been recorded under it."),
    "party_cuin_key": Constraint("party_exists", "Somebody has just been recorded under it."),
    "uq_redemption_vote": Constraint("already_voted", "Your party has voted."),
}
