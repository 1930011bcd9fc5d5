"""Who is registered at a token, with which identity, and in how many steps."""

import pytest
from brownie import ZERO_ADDRESS, RegistrationDesk, reverts
from claims import DAY, KYC_TOPIC, IssuedClaim, signed_batch, signed_claim, claim_data
from eth_utils import keccak
from one_token import PAKISTAN, OneToken
from published import deploy_published, published_at

EMIRATES = 784
ECDSA = 1


def salt_of(number):
    return keccak(text=f"person {number}")


@pytest.fixture(scope="module")
def suite(owner, issuer, desk):
    """A token whose registry only the desk may write."""
    return OneToken.deploy(owner, issuer, desk)


@pytest.fixture(scope="module")
def registry(suite):
    return suite.registry


@pytest.fixture(scope="module")
def kyc_of(factory, now):
    """Return a function that gives the claim for the identity of a salt."""
    return lambda salt: IssuedClaim(factory.identityOf(salt), now(), now() + DAY)


@pytest.fixture(scope="module")
def published_ids(owner):
    """A published ONCHAINID factory."""
    identity = deploy_published("Identity", owner, owner.address, True)
    authority = deploy_published("ImplementationAuthority", owner, identity.address)
    return deploy_published("IdFactory", owner, authority.address)


@pytest.fixture(scope="module")
def people(accounts):
    return [(salt_of(number), accounts[number], PAKISTAN) for number in (1, 2, 3)]


# Enrolling


def test_enrol__people_with_claims__verified_in_one_call(
    desk, registry, suite, factory, issuer, key, operator, people, kyc_of
):
    batch = signed_batch(issuer, key, *(kyc_of(salt) for salt, _, _ in people))
    transaction = desk.enrol(registry, people, *batch, {"from": operator})
    counts = {name: len(transaction.events[name]) for name in ("IdentityOpened", "ClaimIssued")}
    assert counts == {"IdentityOpened": 3, "ClaimIssued": 3}
    registered = [dict(event) for event in transaction.events["IdentityRegistered"]]
    assert registered == [
        {"investorAddress": wallet, "identity": factory.identityOf(salt)}
        for salt, wallet, _ in people
    ]
    for _, wallet, country in people:
        assert registry.isVerified(wallet)
        assert registry.investorCountry(wallet) == country
        suite.mint(wallet, 10)
        assert suite.balance(wallet) == 10


def test_enrol__without_claims__registered_but_not_verified(desk, registry, operator, people):
    desk.enrol(registry, people, [], b"", {"from": operator})
    for _, wallet, _ in people:
        assert registry.contains(wallet)
        assert not registry.isVerified(wallet)


def test_enrol__nowhere_yet__identities_and_claims_only(
    desk, registry, factory, issuer, key, operator, people, kyc_of
):
    claim = kyc_of(people[0][0])
    desk.enrol(ZERO_ADDRESS, people, *signed_batch(issuer, key, claim), {"from": operator})
    assert claim.is_valid(issuer)
    assert not registry.contains(people[0][1])
    desk.register(registry, [people[0][1]], [PAKISTAN], {"from": operator})
    assert registry.isVerified(people[0][1])


def test_enrol__claims_sent_first_by_somebody__goes_through(
    desk, registry, issuer, key, operator, people, kyc_of, stranger
):
    """The signature is public once it waits for its block; to send it first must not hurt."""
    batch = signed_batch(issuer, key, *(kyc_of(salt) for salt, _, _ in people))
    issuer.issue(*batch, {"from": stranger})
    desk.enrol(registry, people, *batch, {"from": operator})
    assert all(registry.isVerified(wallet) for _, wallet, _ in people)


@pytest.mark.parametrize("spoil", ["signature", "wallet", "registered", "claim"])
def test_enrol__anything_refused__nothing_happens(
    desk, registry, factory, issuer, key, new_key, operator, people, kyc_of, spoil
):
    claims = [kyc_of(salt) for salt, _, _ in people]
    by, asked = key, people
    if spoil == "signature":
        by = new_key
    elif spoil == "wallet":
        asked = [*people[:2], (people[2][0], ZERO_ADDRESS, PAKISTAN)]
    elif spoil == "claim":
        claims[2] = claims[2].but(topic=KYC_TOPIC + 1)
    else:
        desk.enrol(registry, people[2:], [], b"", {"from": operator})
    with reverts():
        desk.enrol(registry, asked, *signed_batch(issuer, by, *claims), {"from": operator})
    for salt, wallet, _ in people[:2]:
        assert factory.linkOf(wallet)[0] == ZERO_ADDRESS
        assert not registry.contains(wallet)
        assert not kyc_of(salt).is_valid(issuer)


@pytest.mark.parametrize("who", ["owner", "stranger", "key"])
def test_desk__others_than_operators__refused(desk, registry, request, people, who):
    account = request.getfixturevalue(who)
    for call in (
        lambda: desk.enrol(registry, people, [], b"", {"from": account}),
        lambda: desk.register(registry, [account], [PAKISTAN], {"from": account}),
        lambda: desk.updateCountry(registry, account, EMIRATES, {"from": account}),
    ):
        with reverts(f"OperatedUnauthorizedOperator: {account.address.lower()}"):
            call()


# Registering


def test_register__known_wallets__with_their_own_identity(
    desk, registry, factory, operator, people
):
    factory.openBatch([person[:2] for person in people], {"from": operator})
    wallets = [wallet for _, wallet, _ in people]
    desk.register(registry, wallets, [PAKISTAN, EMIRATES, PAKISTAN], {"from": operator})
    for salt, wallet, _ in people:
        assert registry.identity(wallet) == factory.identityOf(salt)
        assert desk.identityFor(registry, wallet) == factory.identityOf(salt)
    assert registry.investorCountry(wallets[1]) == EMIRATES


def test_register__second_wallet__same_identity(desk, registry, factory, operator, people):
    salt, first, _ = people[0]
    second = people[1][1]
    factory.openBatch([(salt, first), (salt, second)], {"from": operator})
    desk.register(registry, [first, second], [PAKISTAN] * 2, {"from": operator})
    assert registry.identity(first) == registry.identity(second) == factory.identityOf(salt)


def test_register__unknown_wallet__refused(desk, registry, operator, stranger):
    values = f"{registry.address.lower()}, {stranger.address.lower()}"
    with reverts(f"RegistrationDeskUnknownWallet: {values}"):
        desk.register(registry, [stranger], [PAKISTAN], {"from": operator})


def test_register__retired_wallet__refused(desk, registry, factory, operator, people):
    salt, wallet, _ = people[0]
    factory.open(salt, wallet, {"from": operator})
    factory.retire(wallet, {"from": operator})
    values = f"{wallet.address.lower()}, {factory.identityOf(salt).lower()}"
    with reverts(f"RegistrationDeskRetiredWallet: {values}"):
        desk.register(registry, [wallet], [PAKISTAN], {"from": operator})


@pytest.mark.parametrize("countries", [[], [PAKISTAN] * 2])
def test_register__lists_of_other_length__refused(desk, registry, operator, stranger, countries):
    with reverts(f"RegistrationDeskLengthMismatch: 1, {len(countries)}"):
        desk.register(registry, [stranger], countries, {"from": operator})


def test_update_country__by_operator__corrected(desk, registry, operator, people):
    desk.enrol(registry, people, [], b"", {"from": operator})
    transaction = desk.updateCountry(registry, people[0][1], EMIRATES, {"from": operator})
    assert registry.investorCountry(people[0][1]) == EMIRATES
    assert "CountryUpdated" in transaction.events


# Published identities, where a token is set to accept them


@pytest.fixture
def onchainid(published_ids, owner, stranger):
    """The stranger's published identity, which they manage themselves."""
    published_ids.createIdentity(stranger, "stranger", {"from": owner})
    return published_at("Identity", published_ids.getIdentity(stranger))


def test_set_published_factory__by_owner__accepted_and_announced(
    desk, registry, published_ids, owner
):
    transaction = desk.setPublishedFactory(registry, published_ids, {"from": owner})
    assert desk.publishedFactoryOf(registry) == published_ids
    assert dict(transaction.events["PublishedFactorySet"][0]) == {
        "registry": registry,
        "factory": published_ids,
    }


def test_set_published_factory__by_operator__refused(desk, registry, published_ids, operator):
    with reverts(f"OwnableUnauthorizedAccount: {operator.address.lower()}"):
        desk.setPublishedFactory(registry, published_ids, {"from": operator})


def test_register__published_identity__verified_by_a_signed_claim(
    desk, registry, published_ids, onchainid, issuer, key, owner, operator, stranger, now
):
    desk.setPublishedFactory(registry, published_ids, {"from": owner})
    desk.register(registry, [stranger], [PAKISTAN], {"from": operator})
    assert registry.identity(stranger) == onchainid
    assert not registry.isVerified(stranger)
    claim = signed_claim(issuer, key, onchainid.address, claim_data(now(), now() + DAY))
    added = (KYC_TOPIC, ECDSA, issuer, claim.signature, claim.data, "")
    onchainid.addClaim(*added, {"from": stranger})
    assert registry.isVerified(stranger)
    issuer.revoke(onchainid, KYC_TOPIC, {"from": key})
    assert not registry.isVerified(stranger)


def test_register__published_identity_where_not_accepted__refused(
    desk, registry, published_ids, onchainid, owner, issuer, operator, stranger
):
    other = OneToken.deploy(owner, issuer, desk)
    desk.setPublishedFactory(other.registry, published_ids, {"from": owner})
    values = f"{registry.address.lower()}, {stranger.address.lower()}"
    with reverts(f"RegistrationDeskUnknownWallet: {values}"):
        desk.register(registry, [stranger], [PAKISTAN], {"from": operator})
    desk.register(other.registry, [stranger], [PAKISTAN], {"from": operator})


def test_register__both_identities__ours_goes_before(
    desk, registry, published_ids, onchainid, factory, owner, operator, stranger
):
    desk.setPublishedFactory(registry, published_ids, {"from": owner})
    factory.open(salt_of(9), stranger, {"from": operator})
    assert desk.identityFor(registry, stranger) == factory.identityOf(salt_of(9))
    factory.retire(stranger, {"from": operator})
    with reverts():
        desk.identityFor(registry, stranger)


def test_register__published_factory_taken_back__refused(
    desk, registry, published_ids, onchainid, owner, stranger
):
    desk.setPublishedFactory(registry, published_ids, {"from": owner})
    desk.setPublishedFactory(registry, ZERO_ADDRESS, {"from": owner})
    with reverts():
        desk.identityFor(registry, stranger)


def test_constructor__factory_and_issuer__known(owner, operator, factory, issuer):
    desk = RegistrationDesk.deploy(owner, [operator], factory, issuer, {"from": owner})
    assert (desk.FACTORY(), desk.ISSUER()) == (factory, issuer)
