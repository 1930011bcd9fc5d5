"""What must hold before a title changes its state, as far as mutations and burdens say."""

from __future__ import annotations

from registry.asset.models import Asset
from registry.kernel.errors import Conflict
from registry.lifecycle.service import Attempt, guard
from registry.mutation import repository
from registry.mutation.entry import require_no_open
from registry.mutation.guards import require_no_burden
from registry.mutation.models import Mutation, MutationState, TitlePart
from registry.title import service as titles
from registry.title.models import Title, TitleState
from registry.title.owners import require_holds_no_land


@guard("title", "lodge_mutation")
def no_other_mutation(attempt: Attempt[Title]) -> None:
    require_no_open(attempt.session, attempt.record, but=attempt.given.get("mutation"))


@guard("title", "mutation_rejected")
def mutation_has_ended(attempt: Attempt[Title]) -> None:
    open_one = repository.find_open(attempt.session, attempt.record.id)
    if open_one is not None:
        raise Conflict(
            "mutation_open", f"Mutation {open_one.number} is {open_one.state}.", rule="MUT-01"
        )


@guard("title", "mutation_splits")
def new_titles_are_active(attempt: Attempt[Title]) -> None:
    mutation: Mutation = attempt.given["mutation"]
    results = repository.titles_of(attempt.session, mutation.id, TitlePart.RESULT)
    waiting = [str(title.id) for title in results if title.state != TitleState.ACTIVE]
    if waiting or not results:
        raise Conflict(
            "division_result_not_active",
            f"Not active: {', '.join(waiting) or 'no title comes out of it'}.",
        )


@guard("title", "dispute")
def open_mutation_is_stayed(attempt: Attempt[Title]) -> None:
    open_one = repository.find_open(attempt.session, attempt.record.id)
    if open_one is not None and open_one.state != MutationState.STAYED:
        raise Conflict(
            "mutation_not_stayed",
            f"Mutation {open_one.number} of the title is {open_one.state}.",
            remedy="Have the revenue officer stay it, or have it withdrawn, first.",
        )


@guard("title", "dispute_dismissed", "cancel")
def no_mutation_waits(attempt: Attempt[Title]) -> None:
    require_no_open(attempt.session, attempt.record)


@guard("title", "dispute_dismissed_mutation_open")
def a_mutation_waits(attempt: Attempt[Title]) -> None:
    open_one = repository.find_open(attempt.session, attempt.record.id)
    if open_one is None or open_one.state != MutationState.STAYED:
        raise Conflict("mutation_not_stayed", "No stayed mutation of the title can be resumed.")


@guard("title", "cancel")
def nothing_rests_on_it(attempt: Attempt[Title]) -> None:
    """Ask that every right on the title is closed; a decree in a dispute is above them."""
    if attempt.record.state != TitleState.DISPUTED:
        require_no_burden(attempt.session, attempt.record)
    require_holds_no_land(attempt.session, attempt.record.asset_id)


@guard("asset_onboarding", "withdraw", "reject", "lapse")
def title_is_only_claimed(attempt: Attempt[Asset]) -> None:
    """Keep the dossier of a title that came out of a partition: the right is there already."""
    title = titles.title_of_asset(attempt.session, attempt.record.id)
    division = repository.find_division(attempt.session, title.id)
    if division is not None:
        raise Conflict(
            "mutation_open",
            f"This asset comes out of mutation {division.number}, which is {division.state}.",
            remedy="Have the mutation implemented, rejected or withdrawn first.",
            rule="MUT-01",
        )
    if title.state in (TitleState.ACTIVE, TitleState.MUTATION_PENDING, TitleState.DISPUTED):
        raise Conflict(
            "title_in_force",
            f"The title of this asset is {title.state} by a mutation.",
            remedy="Correct the dossier; the title ends by a mutation or a decree only.",
        )
