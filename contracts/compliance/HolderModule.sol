// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ISuiteIdentityStorage, ISuiteToken} from "../interfaces/ISuite.sol";
import {ComplianceModule} from "./ComplianceModule.sol";
import {LinkedModule} from "./LinkedModule.sol";

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
abstract contract HolderModule is LinkedModule {
    /**
     * @notice What is read in every transfer; two storage words.
     * @param token The token.
     * @param limit The limit of the module: units or holders.
     * @param identities Whose wallet is whose.
     * @param bound Whether the compliance is bound to this module.
     * @param adopting Whether units are missing.
     * @param storing Whether a list of wallets is stored; used by `MaxBalanceModule` alone.
     * @param generation How often it was bound.
     * @param holders Identities that hold; counted by `HolderCapModule` alone.
     */
    struct Book {
        ISuiteToken token;
        uint96 limit;
        ISuiteIdentityStorage identities;
        bool bound;
        bool adopting;
        bool storing;
        uint32 generation;
        uint32 holders;
    }

    mapping(address compliance => Book) internal _books;
    mapping(address compliance => uint256 units) private _missing;
    mapping(uint256 scope => mapping(address wallet => bool)) private _adopted;

    /// @notice `wallet` and its `units` are known from now on.
    event WalletAdopted(address indexed compliance, address indexed wallet, uint256 units);

    /// @notice Wallets with so many units were not adopted yet.
    error HoldersNotAdopted(address compliance, uint256 missing);

    /**
     * @notice Makes wallets known, or notes that the registry gives them another identity now.
     * @param compliance A bound compliance.
     * @param wallets Wallets that hold; those that do not are passed over.
     */
    function adopt(address compliance, address[] calldata wallets) external {
        _requireBound(compliance);
        Book memory book = _books[compliance];
        uint256 scope = _scope(compliance, book);
        uint256 missing = _missing[compliance];
        for (uint256 i = 0; i < wallets.length; ++i) {
            address wallet = wallets[i];
            uint256 units = book.token.balanceOf(wallet);
            if (units == 0) {
                continue;
            }
            _know(compliance, book, wallet);
            if (book.adopting && !_adopted[scope][wallet]) {
                _adopted[scope][wallet] = true;
                missing -= units;
                emit WalletAdopted(compliance, wallet, units);
            }
        }
        if (book.adopting) {
            _missing[compliance] = missing;
            _books[compliance].adopting = missing != 0;
        }
    }

    /// @notice Units of wallets that are still to be adopted: nothing moves before it is zero.
    function missingUnits(address compliance) external view returns (uint256) {
        return _missing[compliance];
    }

    /// @inheritdoc ComplianceModule
    function isComplianceBound(address compliance) public view override returns (bool) {
        return _books[compliance].bound;
    }

    function _bind(address compliance) internal override {
        ISuiteToken token = _tokenOf(compliance);
        Book storage book = _books[compliance];
        _link(compliance, token);
        uint256 supply = token.totalSupply();
        _missing[compliance] = supply;
        book.limit = 0;
        book.bound = true;
        book.adopting = supply != 0;
        book.storing = false;
        ++book.generation;
        book.holders = 0;
    }

    function _unbind(address compliance) internal override {
        _books[compliance].bound = false;
    }

    /// @inheritdoc LinkedModule
    function _storeLinks(
        address compliance,
        ISuiteToken token,
        ISuiteIdentityStorage identities
    ) internal override {
        _books[compliance].token = token;
        _books[compliance].identities = identities;
    }

    /// @dev Stores under which identity `wallet` holds; called with wallets that hold.
    function _know(address compliance, Book memory book, address wallet) internal virtual;

    /// @inheritdoc LinkedModule
    function _links(address compliance) internal view override returns (ISuiteToken, ISuiteIdentityStorage) {
        return (_books[compliance].token, _books[compliance].identities);
    }

    /// @dev Returns the caller's book, if it may be written.
    function _openBook() internal view returns (Book memory book) {
        book = _books[msg.sender];
        if (!book.bound) {
            revert ModuleComplianceNotBound(msg.sender);
        }
        if (book.adopting) {
            revert HoldersNotAdopted(msg.sender, _missing[msg.sender]);
        }
    }

    /// @dev The error of a token some of whose holders are not known yet.
    function _notAdopted(address compliance) internal view returns (bytes memory) {
        return abi.encodeWithSelector(HoldersNotAdopted.selector, compliance, _missing[compliance]);
    }

    /// @dev A wallet whose identity was deleted counts as a holder of its own.
    function _ownerOf(Book memory book, address wallet) internal view returns (address identity) {
        identity = book.identities.storedIdentity(wallet);
        if (identity == address(0)) {
            identity = wallet;
        }
    }

    function _scope(address compliance, Book memory book) internal pure returns (uint256) {
        return (uint256(book.generation) << 160) | uint160(compliance);
    }
}
