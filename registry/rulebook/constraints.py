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
}
