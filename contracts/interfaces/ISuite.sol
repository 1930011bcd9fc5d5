// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

// Of each contract of an ERC-3643 suite (T-REX 4.1) and of ONCHAINID, the functions that we call.
// Declared here from the published ABIs, so that nothing of their sources is compiled in.

/// @title The modular compliance of a token
interface ISuiteCompliance {
    /// @notice The token that asks this compliance; zero before one is bound.
    function getTokenBound() external view returns (address);
}

/// @title An ERC-3643 token, as its holders and modules read it
interface ISuiteToken {
    /// @notice Units held by `wallet`.
    function balanceOf(address wallet) external view returns (uint256);

    /// @notice Units in existence.
    function totalSupply() external view returns (uint256);

    /// @notice The registry that tells whose a wallet is.
    function identityRegistry() external view returns (ISuiteIdentityRegistry);

    /// @notice Tells whether free transfers are stopped.
    function paused() external view returns (bool);

    /// @notice Tells whether the whole wallet is frozen.
    function isFrozen(address wallet) external view returns (bool);

    /// @notice Units of `wallet` that are frozen.
    function getFrozenTokens(address wallet) external view returns (uint256);
}

/// @title An ERC-3643 token, as its agent drives it
interface ISuiteAgentToken is ISuiteToken {
    /// @notice Creates `amount` units in `to`.
    function mint(address to, uint256 amount) external;

    /// @notice Creates units in each of the wallets, all or none.
    function batchMint(address[] calldata receivers, uint256[] calldata amounts) external;

    /// @notice Destroys `amount` units of `wallet`, frozen ones too where the free do not suffice.
    function burn(address wallet, uint256 amount) external;

    /// @notice Moves units whatever the modules' checks, pause and freezes say.
    function forcedTransfer(address from, address to, uint256 amount) external returns (bool);

    /// @notice Freezes the whole wallet, or ends that.
    function setAddressFrozen(address wallet, bool freeze) external;

    /// @notice Freezes `amount` more units of `wallet`.
    function freezePartialTokens(address wallet, uint256 amount) external;

    /// @notice Frees `amount` frozen units of `wallet`.
    function unfreezePartialTokens(address wallet, uint256 amount) external;

    /// @notice Freezes whole wallets, or ends that, each as it is said.
    function batchSetAddressFrozen(address[] calldata wallets, bool[] calldata freezes) external;

    /// @notice Freezes more units of each of the wallets.
    function batchFreezePartialTokens(address[] calldata wallets, uint256[] calldata amounts) external;

    /// @notice Frees frozen units of each of the wallets.
    function batchUnfreezePartialTokens(address[] calldata wallets, uint256[] calldata amounts) external;

    /// @notice Moves everything of a lost wallet to a new one of the same identity.
    function recoveryAddress(address lostWallet, address newWallet, address identity) external returns (bool);

    /// @notice Stops free transfers.
    function pause() external;

    /// @notice Lets free transfers go on.
    function unpause() external;
}

/// @title The identity registry of a token
interface ISuiteIdentityRegistry {
    /// @notice The ONCHAINID of `wallet`; zero where it is not registered.
    function identity(address wallet) external view returns (address);

    /// @notice The storage behind the registry, which several registries may share.
    function identityStorage() external view returns (address);
}

/// @title The storage behind one or several identity registries
interface ISuiteIdentityStorage {
    /// @notice The ONCHAINID of `wallet`; zero where it is not registered.
    function storedIdentity(address wallet) external view returns (address);

    /// @notice The country of `wallet` as ISO 3166-1 numeric; zero where it is not registered.
    function storedInvestorCountry(address wallet) external view returns (uint16);
}

/// @title The keys of an ONCHAINID (ERC-734)
interface IIdentityKeys {
    /// @notice Tells whether `key`, the hash of an address, has `purpose` (1: management).
    function keyHasPurpose(bytes32 key, uint256 purpose) external view returns (bool);
}
