"""The cap on the supply, and the countries whose residents may receive."""

import pytest
from brownie import ZERO_ADDRESS, reverts
from brownie.test import given, strategy
from hypothesis import settings
from suite import BRITAIN, EMIRATES, PAKISTAN, error


@pytest.fixture(scope="module")
def suite(platform, agent, supply, countries):
    return platform.suite(agent, [supply, countries])


@pytest.fixture(scope="module")
def newcomer(suite):
    return suite.person()


@pytest.fixture(scope="module")
def open_suite(platform, agent, supply, countries):
    """A token of which 600 of 1,000 units are held, by a resident of Pakistan."""
    suite = platform.suite(agent, [supply, countries])
    suite.set(supply.declareSupply, 1000)
    suite.set(countries.allowCountries, [PAKISTAN])
    suite.open()
    return suite


@pytest.fixture(scope="module")
def wallet(open_suite):
    wallet = open_suite.person()
    open_suite.mint(wallet, 600)
    return wallet


# Supply


def test_mint__nothing_declared__refused(suite, supply, countries, newcomer):
    suite.set(countries.allowCountries, [PAKISTAN])
    refused = error("SupplyCapExceeded", suite.compliance, 0, 1, 0)
    assert suite.why(supply, None, newcomer, 1) == refused
    with reverts("Compliance not followed"):
        suite.mint(newcomer, 1)


def test_declare_supply__first_time__stored_and_announced(suite, supply):
    event = suite.set(supply.declareSupply, 1000).events["SupplyDeclared"]
    assert (event["compliance"], event["units"]) == (suite.compliance, 1000)
    assert supply.declaredSupply(suite.compliance) == 1000


def test_declare_supply__again__refused_even_when_bound_anew(suite, supply):
    suite.set(supply.declareSupply, 1000)
    for units in (1, 1000, 1001):
        with reverts(error("SupplyAlreadyDeclared", suite.compliance, 1000)):
            suite.set(supply.declareSupply, units)
    suite.remove(supply)
    suite.add(supply)
    with reverts(error("SupplyAlreadyDeclared", suite.compliance, 1000)):
        suite.set(supply.declareSupply, 2000)
    assert supply.declaredSupply(suite.compliance) == 1000


def test_declare_supply__zero__refused(suite, supply):
    with reverts(error("SupplyInvalidDeclaration", suite.compliance, 0, 0)):
        suite.set(supply.declareSupply, 0)


def test_declare_supply__less_than_exist__refused(platform, agent, supply):
    suite = platform.suite(agent)
    suite.mint(suite.person(), 11)
    suite.add(supply)
    with reverts(error("SupplyInvalidDeclaration", suite.compliance, 10, 11)):
        suite.set(supply.declareSupply, 10)
    suite.set(supply.declareSupply, 11)


def test_declare_supply__by_someone_else_than_owner__refused(suite, supply, stranger):
    data = supply.declareSupply.encode_input(5)
    with reverts("Ownable: caller is not the owner"):
        suite.compliance.callModuleFunction(data, supply, {"from": stranger})


def test_mint__to_the_cap_and_one_more__the_last_refused(open_suite, supply, wallet):
    open_suite.mint(wallet, 400)
    refused = error("SupplyCapExceeded", open_suite.compliance, 1000, 1, 1000)
    assert open_suite.why(supply, None, wallet, 1) == refused
    with reverts("Compliance not followed"):
        open_suite.mint(wallet, 1)
    assert open_suite.token.totalSupply() == 1000


def test_mint__after_burn__room_again(open_suite, wallet):
    open_suite.burn(wallet, 100)
    open_suite.mint(wallet, 500)
    with reverts("Compliance not followed"):
        open_suite.mint(wallet, 1)


def test_transfer__at_the_cap__not_touched(open_suite, supply, wallet):
    other = open_suite.person()
    open_suite.mint(wallet, 400)
    assert open_suite.why(supply, wallet, other, 1) is None
    open_suite.send(wallet, other, 1000)


@settings(max_examples=60)
@given(units=strategy("uint256"))
def test_mint_check__any_value__never_reverts(open_suite, supply, wallet, units):
    allowed = open_suite.why(supply, None, wallet, units) is None
    assert allowed == (units <= 400)


# Countries


def test_receive__no_country_allowed__refused(suite, countries, newcomer):
    refused = error("CountryNotAllowed", suite.compliance, newcomer, PAKISTAN)
    assert suite.why(countries, None, newcomer, 1) == refused


def test_receive__not_registered_and_no_country_allowed__refused(suite, countries, stranger):
    """Neither the wallet has a country nor the list: that is no match."""
    refused = error("CountryNotAllowed", suite.compliance, stranger, 0)
    assert suite.why(countries, None, stranger, 1) == refused


def test_receive__each_country_taken_off_and_put_back__as_the_list_says(
    suite, countries, newcomer, owner
):
    """Whichever country is kept beside the addresses."""

    def allowed():
        answers = set()
        for country in (PAKISTAN, EMIRATES, BRITAIN):
            suite.registry.updateCountry(newcomer, country, {"from": owner})
            if suite.why(countries, None, newcomer, 1) is None:
                answers.add(country)
        return answers

    suite.set(countries.allowCountries, [PAKISTAN, EMIRATES])
    assert allowed() == {PAKISTAN, EMIRATES}
    suite.set(countries.disallowCountries, [EMIRATES])
    assert allowed() == {PAKISTAN}
    suite.set(countries.disallowCountries, [PAKISTAN])
    assert allowed() == set()
    suite.set(countries.allowCountries, [BRITAIN, PAKISTAN])
    assert allowed() == {BRITAIN, PAKISTAN}
    suite.set(countries.disallowCountries, [BRITAIN])
    assert allowed() == {PAKISTAN}
    suite.remove(countries)
    suite.add(countries)
    assert allowed() == {PAKISTAN}, "the list outlives unbinding"


def test_allow_countries__some__stored_and_announced(suite, countries):
    sent = suite.set(countries.allowCountries, [PAKISTAN, EMIRATES])
    said = [(event["compliance"], event["country"]) for event in sent.events["CountryAllowed"]]
    assert said == [(suite.compliance, PAKISTAN), (suite.compliance, EMIRATES)]
    assert countries.isCountryAllowed(suite.compliance, PAKISTAN)
    assert not countries.isCountryAllowed(suite.compliance, BRITAIN)
    assert not countries.isCountryAllowed(ZERO_ADDRESS, PAKISTAN), "each compliance has its own"


def test_disallow_countries__one__taken_off_and_announced(suite, countries):
    suite.set(countries.allowCountries, [PAKISTAN, EMIRATES])
    sent = suite.set(countries.disallowCountries, [PAKISTAN])
    assert sent.events["CountryDisallowed"]["country"] == PAKISTAN
    assert not countries.isCountryAllowed(suite.compliance, PAKISTAN)
    assert countries.isCountryAllowed(suite.compliance, EMIRATES)


@pytest.mark.parametrize("country", [0, 1000, 65535])
def test_allow_countries__no_such_country__refused(suite, countries, country):
    with reverts(error("CountryInvalid", country)):
        suite.set(countries.allowCountries, [PAKISTAN, country])
    assert not countries.isCountryAllowed(suite.compliance, PAKISTAN), "all or none"


def test_allow_countries__twice__refused(suite, countries):
    with reverts(error("CountryAlreadyAllowed", suite.compliance, PAKISTAN)):
        suite.set(countries.allowCountries, [PAKISTAN, PAKISTAN])


def test_disallow_countries__not_on_the_list__refused(suite, countries):
    with reverts(error("CountryNotOnList", suite.compliance, PAKISTAN)):
        suite.set(countries.disallowCountries, [PAKISTAN])


@settings(max_examples=20)
@given(allowed=strategy("uint16[]", min_value=1, max_value=999, max_length=12, unique=True))
def test_countries__any_set__exactly_that_one_allowed(countries, accounts, suite, allowed):
    """Asked for the neighbours of each, which share its word of bits."""
    suite.set(countries.allowCountries, allowed)
    asked = {near for each in allowed for near in (each - 1, each, each + 1, (each + 256) % 1000)}
    for country in asked:
        assert countries.isCountryAllowed(suite.compliance, country) == (country in allowed)
    suite.set(countries.disallowCountries, allowed)
    assert not any(countries.isCountryAllowed(suite.compliance, country) for country in asked)


def test_transfer__to_disallowed_country__refused(open_suite, countries, wallet):
    abroad = open_suite.person(BRITAIN)
    refused = error("CountryNotAllowed", open_suite.compliance, abroad, BRITAIN)
    assert open_suite.why(countries, wallet, abroad, 1) == refused
    with reverts("Transfer not possible"):
        open_suite.send(wallet, abroad, 1)
    open_suite.set(countries.allowCountries, [BRITAIN])
    open_suite.send(wallet, abroad, 1)


def test_transfer__receiver_moves_abroad__refused_from_then_on(
    open_suite, countries, wallet, owner
):
    other = open_suite.person()
    open_suite.send(wallet, other, 1)
    open_suite.registry.updateCountry(other, EMIRATES, {"from": owner})
    with reverts("Transfer not possible"):
        open_suite.send(wallet, other, 1)
    open_suite.send(other, wallet, 1)


def test_transfer__receiver_not_registered__no_country(open_suite, countries, wallet, stranger):
    refused = error("CountryNotAllowed", open_suite.compliance, stranger, 0)
    assert open_suite.why(countries, wallet, stranger, 1) == refused
