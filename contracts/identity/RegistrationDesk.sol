// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ClaimIssuer} from "../ClaimIssuer.sol";
import {Operated} from "../Operated.sol";
import {IdentityFactory} from "./IdentityFactory.sol";

/// @notice The part of an ERC-3643 identity registry that its agents call to register.
interface IAgentOfIdentityRegistry {
    function batchRegisterIdentity(
        address[] calldata wallets,
        address[] calldata identities,
        uint16[] calldata countries
    ) external;

    function updateCountry(address wallet, uint16 country) external;
}

/// @notice The part of the published ONCHAINID factory that tells whose identity is whose.
interface IOnchainIdFactory {
    function getIdentity(address wallet) external view returns (address identity);
}

/**
 * @title The only hand that registers holders
 * @notice An ERC-3643 identity registry believes any contract that an agent registers, and asks the
 * issuer which that contract names: a forged identity that names itself is verified without any
 * claim. So no person is an agent of a registry. This contract is; it registers a wallet only with
 * the identity that the factory knows it by, and the caller cannot choose another.
 *
 * A registry may be set to accept identities of a published ONCHAINID factory too. Then a wallet
 * that our factory does not know is registered with the identity that that factory knows it by.
 *
 * @dev A stolen operator key can register only people whom the factory knows, with their own
 * identity. It passes `isVerified` with claims that their issuers signed, or not at all.
 */
contract RegistrationDesk is Operated {
    /**
     * @notice A person from nothing to registered.
     * @param salt Stands for the person at the factory.
     * @param country ISO 3166-1 numeric code.
     */
    struct Enrolment {
        bytes32 salt;
        address wallet;
        uint16 country;
    }

    /// @notice Makes the identities.
    IdentityFactory public immutable FACTORY;

    /// @notice Issues the claims.
    ClaimIssuer public immutable ISSUER;

    /// @notice The published factory whose identities the registry accepts too; zero if none.
    mapping(address registry => address factory) public publishedFactoryOf;

    /// @notice `registry` accepts identities of `factory` from now on; zero: only ours.
    event PublishedFactorySet(address indexed registry, address indexed factory);

    /// @notice No factory in question knows the wallet.
    error RegistrationDeskUnknownWallet(address registry, address wallet);

    /// @notice The wallet was lost or stolen.
    error RegistrationDeskRetiredWallet(address wallet, address identity);

    /// @notice The lists are not equally long.
    error RegistrationDeskLengthMismatch(uint256 wallets, uint256 countries);

    /**
     * @param initialOwner Names the operators, and which registry accepts published identities.
     * @param operators Enrol and register people from the start.
     */
    constructor(
        address initialOwner,
        address[] memory operators,
        IdentityFactory factory,
        ClaimIssuer issuer
    ) Operated(initialOwner, operators) {
        FACTORY = factory;
        ISSUER = issuer;
    }

    /// @notice Lets `registry` accept identities that the published `factory` knows; zero: only ours.
    function setPublishedFactory(address registry, address factory) external onlyOwner {
        publishedFactoryOf[registry] = factory;
        emit PublishedFactorySet(registry, factory);
    }

    /**
     * @notice Takes people from nothing to verified: opens their identities, issues the claims that
     * a signing key of the issuer signed, and registers the wallets, all or nothing.
     * @param registry Where to register; zero: nowhere yet.
     * @param claims May be empty; then nothing is signed.
     * @param signature Of all the claims together: see {ClaimIssuer-issue}.
     */
    function enrol(
        address registry,
        Enrolment[] calldata people,
        ClaimIssuer.IssuedClaim[] calldata claims,
        bytes calldata signature
    ) external onlyOperator {
        address[] memory wallets = new address[](people.length);
        address[] memory identities = new address[](people.length);
        uint16[] memory countries = new uint16[](people.length);
        for (uint256 i = 0; i < people.length; ++i) {
            wallets[i] = people[i].wallet;
            countries[i] = people[i].country;
            identities[i] = FACTORY.open(people[i].salt, people[i].wallet);
        }
        if (claims.length != 0) {
            ISSUER.issue(claims, signature);
        }
        if (registry != address(0)) {
            IAgentOfIdentityRegistry(registry).batchRegisterIdentity(wallets, identities, countries);
        }
    }

    /// @notice Registers wallets, each with the identity that it is known by.
    function register(
        address registry,
        address[] calldata wallets,
        uint16[] calldata countries
    ) external onlyOperator {
        if (wallets.length != countries.length) {
            revert RegistrationDeskLengthMismatch(wallets.length, countries.length);
        }
        address[] memory identities = new address[](wallets.length);
        for (uint256 i = 0; i < wallets.length; ++i) {
            identities[i] = identityFor(registry, wallets[i]);
        }
        IAgentOfIdentityRegistry(registry).batchRegisterIdentity(wallets, identities, countries);
    }

    /// @notice Corrects the country of a registered wallet.
    function updateCountry(address registry, address wallet, uint16 country) external onlyOperator {
        IAgentOfIdentityRegistry(registry).updateCountry(wallet, country);
    }

    /// @notice The identity that `registry` gets for `wallet`; reverts if there is none.
    function identityFor(address registry, address wallet) public view returns (address identity) {
        bool retired;
        (identity, retired) = FACTORY.linkOf(wallet);
        if (retired) {
            revert RegistrationDeskRetiredWallet(wallet, identity);
        }
        if (identity == address(0)) {
            address published = publishedFactoryOf[registry];
            if (published != address(0)) {
                identity = IOnchainIdFactory(published).getIdentity(wallet);
            }
        }
        if (identity == address(0)) {
            revert RegistrationDeskUnknownWallet(registry, wallet);
        }
    }
}
