// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ISuiteIdentityRegistry, ISuiteToken} from "../interfaces/ISuite.sol";
import {ComplianceModule} from "./ComplianceModule.sol";

/**
 * @title Base of the modules that know a token's holders by identity
 * @notice Such a module must have seen every wallet that holds units. From a token without units it
 * does by itself. Bound to one with units, it refuses every movement until {adopt} was given all
 * wallets that hold: their balances and identities are read from the chain, and they are complete
 * when they sum up to the supply. Anybody may call it, since nobody's figures are believed.
 *
 * @dev What was known before an unbinding is void, as units move unseen: `generation` rises with
 * each binding, and what a module stores is keyed by compliance and generation together.
 */
abstract contract HolderModule is ComplianceModule {
    /**
     * @notice What is read in every transfer; one storage word.
     * @param bound Whether the compliance is bound to this module.
     * @param generation How often it was bound.
     * @param limit The limit of the module: units or holders.
     * @param missing Units of wallets that are still to be adopted.
     * @param holders Identities that hold; counted by `HolderCapModule` alone.
     */
    struct Book {
        bool bound;
        uint24 generation;
        uint96 limit;
        uint96 missing;
        uint32 holders;
    }

    mapping(address compliance => Book) internal _books;
    mapping(uint256 scope => mapping(address wallet => bool)) private _adopted;

    /// @notice `wallet` and its `units` are known from now on.
    event WalletAdopted(address indexed compliance, address indexed wallet, uint256 units);

    /// @notice A compliance without a token cannot be bound.
    error HoldersTokenMissing(address compliance);

    /// @notice Wallets with so many units were not adopted yet.
    error HoldersNotAdopted(address compliance, uint256 missing);

    /**
     * @notice Makes wallets known, or notes that the registry gives them another identity now.
     * @param compliance A bound compliance.
     * @param wallets Wallets that hold; those that do not are passed over.
     */
    function adopt(address compliance, address[] calldata wallets) external {
        _requireBound(compliance);
        ISuiteToken token = _tokenOf(compliance);
        ISuiteIdentityRegistry registry = token.identityRegistry();
        uint256 scope = _scope(compliance, _books[compliance]);
        uint256 missing = _books[compliance].missing;
        for (uint256 i = 0; i < wallets.length; ++i) {
            address wallet = wallets[i];
            uint256 units = token.balanceOf(wallet);
            if (units == 0) {
                continue;
            }
            _know(compliance, scope, token, registry, wallet);
            if (missing != 0 && !_adopted[scope][wallet]) {
                _adopted[scope][wallet] = true;
                missing -= units;
                emit WalletAdopted(compliance, wallet, units);
            }
        }
        _books[compliance].missing = uint96(missing);
    }

    /// @notice Units of wallets that are still to be adopted: nothing moves before it is zero.
    function missingUnits(address compliance) external view returns (uint256) {
        return _books[compliance].missing;
    }

    /// @inheritdoc ComplianceModule
    function canComplianceBind(address compliance) external view override returns (bool) {
        return address(_tokenOf(compliance)) != address(0);
    }

    /// @inheritdoc ComplianceModule
    function isComplianceBound(address compliance) public view override returns (bool) {
        return _books[compliance].bound;
    }

    function _bind(address compliance) internal override {
        ISuiteToken token = _tokenOf(compliance);
        if (address(token) == address(0)) {
            revert HoldersTokenMissing(compliance);
        }
        _books[compliance] = Book({
            bound: true,
            generation: _books[compliance].generation + 1,
            limit: 0,
            missing: SafeCast.toUint96(token.totalSupply()),
            holders: 0
        });
    }

    function _unbind(address compliance) internal override {
        _books[compliance].bound = false;
    }

    /// @dev Stores under which identity `wallet` holds; called with wallets that hold.
    function _know(
        address compliance,
        uint256 scope,
        ISuiteToken token,
        ISuiteIdentityRegistry registry,
        address wallet
    ) internal virtual;

    /// @dev Returns the caller's book, if it may be written.
    function _openBook() internal view returns (Book memory book) {
        book = _books[msg.sender];
        if (!book.bound) {
            revert ModuleComplianceNotBound(msg.sender);
        }
        if (book.missing != 0) {
            revert HoldersNotAdopted(msg.sender, book.missing);
        }
    }

    /// @dev A wallet whose identity was deleted counts as a holder of its own.
    function _ownerOf(ISuiteIdentityRegistry registry, address wallet) internal view returns (address identity) {
        identity = registry.identity(wallet);
        if (identity == address(0)) {
            identity = wallet;
        }
    }

    function _scope(address compliance, Book memory book) internal pure returns (uint256) {
        return (uint256(book.generation) << 160) | uint160(compliance);
    }
}
