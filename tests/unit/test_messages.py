"""The catalogue of messages: complete in both languages, and its codes are real."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest

from api.languages import negotiate
from registry.encumbrance.models import Effect, EncumbranceKind
from registry.investor.models import KycState
from registry.kernel.messages import Language, catalogue, find_text, has_text, text_of
from registry.ledger.models import EntryKind
from registry.offering.models import OrderState
from registry.tokenization.title_status import TitleStatus
from registry.wrapper.models import WrapperType
from tests.api.codes import documented_codes, raised_codes

pytestmark = pytest.mark.unit

BOTH = ("notices", "states", "titles", "statement", "certificate")
URDU_ONLY = ("problems", "remedies")
"""In English, these are the errors' own words, which docs/reference/errors.md lists."""
URDU = re.compile(r"[\u0600-\u06ff]")
INVESTORS_MEET = (
    "api/auth/errors.py", "api/auth/session_tokens.py", "api/auth/tokens.py",
    "api/auth/key_set.py", "api/problems.py", "api/deps.py", "api/idempotency.py",
    "api/pagination.py", "api/as_of.py", "api/live.py", "registry/idempotency/",
    "registry/offering/buying.py", "registry/offering/leaving.py", "registry/offering/waiting.py",
    "registry/offering/acceptance.py", "registry/offering/limits.py",
    "registry/investor/service.py", "registry/investor/wallets.py",
    "registry/investor/custody.py", "registry/wallet_removal/", "registry/settlement/",
    "api/routes/custody.py", "chain/trades.py", "registry/offering/secondary.py",
    "registry/kyc/papers.py", "registry/kyc/service.py",
    "registry/passkey/ceremony.py", "registry/passkey/service.py", "registry/passkey/sessions.py",
    "registry/passkey/refreshing.py", "registry/captable/service.py", "registry/captable/feed.py",
    "registry/notice/", "registry/webhook/", "registry/portfolio/", "registry/story/",
    "registry/kernel/money.py", "registry/kernel/errors.py", "chain/wallet_proof.py",
    "registry/certificate/",
)  # fmt: skip
"""Where what refuses an investor's own requests is raised."""
OF_OTHERS = frozenset(
    {
        "identity_not_ready",
        "kyc_review_recommended",
        "order_not_settling",
        "offer_exceeds_held",
        "offer_price_zero",
        "secondary_sale_open",
        "trade_not_settled",
        "offer_document_wrong",
        "offer_document_not_verified",
        "title_not_in_force",
        "certificate_revoked",
    }
)
"""Raised there too, and never to an investor."""


def test_catalogue__each_text__is_there_in_both_languages() -> None:
    for section in BOTH:
        for key, texts in catalogue()[section].items():
            assert set(texts) == set(Language), (section, key)
            assert URDU.search(texts["ur"]), (section, key)
            assert not URDU.search(texts["en"]), (section, key)


def test_catalogue__codes__are_those_of_the_program_each_with_a_remedy() -> None:
    codes = catalogue()["problems"].keys()

    assert codes == catalogue()["remedies"].keys()
    assert codes <= documented_codes().keys() | {"rules_refused"}
    for section in URDU_ONLY:
        assert all(URDU.search(texts["ur"]) for texts in catalogue()[section].values())


def test_catalogue__what_an_investor_meets__is_there_in_urdu() -> None:
    met = {
        code
        for code, places in raised_codes().items()
        if any(place.startswith(INVESTORS_MEET) for place in places)
    }

    assert len(met) > 60, "the scan lost its way"
    assert met - catalogue()["problems"].keys() - OF_OTHERS == set()


def test_catalogue__remedy__needs_no_figures_but_those_of_its_problem() -> None:
    for code, texts in catalogue()["remedies"].items():
        needed = set(re.findall(r"{(\w+)}", texts["ur"]))
        assert needed <= set(re.findall(r"{(\w+)}", catalogue()["problems"][code]["ur"])), code


def test_has_text__without_the_figures_in_it__has_none() -> None:
    """The database itself refuses what is oversold, and gives no figures."""
    assert has_text("problems", "order_exceeds_offer", {"units": 1, "left": 0})
    assert not has_text("problems", "order_exceeds_offer", {})
    assert has_text("problems", "offering_closed", {})
    assert not has_text("problems", "bbox_malformed", {})


@pytest.mark.parametrize(
    ("prefix", "states"),
    [
        ("order", OrderState),
        ("kyc", KycState),
        ("title", TitleStatus),
        ("encumbrance", EncumbranceKind),
        ("effect", Effect),
        ("wrapper", WrapperType),
    ],
)
def test_catalogue__each_state_that_is_shown__has_a_message(
    prefix: str, states: type[StrEnum]
) -> None:
    assert all(find_text("states", f"{prefix}.{state}") for state in states)


def test_catalogue__each_entry_of_the_ledger__has_a_word_on_statements() -> None:
    assert all(find_text("statement", f"entry.{kind}") for kind in EntryKind)


def test_text_of__with_values__names_them() -> None:
    said = text_of("problems", "order_exceeds_offer", Language.URDU, units=7, left=3)

    assert "7" in said
    assert "3" in said


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (None, "en"),
        ("", "en"),
        ("ur", "ur"),
        ("UR-pk", "ur"),
        ("ur-Arab-PK", "ur"),
        ("fr, ur;q=0.5, en;q=0.4", "ur"),
        ("en;q=0.3, ur;q=0.31", "ur"),
        ("ur;q=0.8, en;q=0.8", "ur"),
        ("en, ur", "en"),
        ("*", "en"),
        ("en;q=0, *", "ur"),
        ("ur;q=0", "en"),
        ("en;q=0, ur;q=0", "en"),
        ("de, fr", "en"),
        ("ur;q=2", "en"),
        ("ur;q=x, en;q=0.1", "en"),
        (";;,,ur ; q=1.0", "ur"),
        pytest.param("x" * 10_000 + ",ur", "ur", id="long"),
        ("urdu", "en"),
    ],
)
def test_negotiate__header__gives_the_language_wanted_most(
    asked: str | None, answered: str
) -> None:
    assert negotiate(asked) == answered
