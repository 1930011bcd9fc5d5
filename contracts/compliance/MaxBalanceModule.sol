// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModule} from "../interfaces/IModule.sol";
import {IdentityFactory} from "../identity/IdentityFactory.sol";
import {ComplianceModule} from "./ComplianceModule.sol";
import {HolderModule} from "./HolderModule.sol";

/**
 * @title Limit on what one person holds
 * @notice No identity may receive units beyond the limit, counted over all of its wallets. Moving
 * units between wallets of one identity is always possible. Before a limit is set nobody receives.
 *
 * A forced transfer may pass the limit, since a court or an inheritance is not bound by it. Who is
 * above the limit keeps the units and receives no more.
 *
 * @dev No balance is stored here: the balances of an identity's wallets are read from the token. So
 * nothing can drift: not by a forced transfer, a recovery, a burn, a deleted or a changed identity.
 *
 * Which wallets these are, our factory tells for its identities: it lists their first wallets for
 * ever, and neither a mint nor a transfer to one of them writes anything. Every other wallet that
 * receives is stored here under its identity: of a published identity, one beyond the factory's
 * list, and one that the registry gives another identity than the factory does. What counts is the
 * two lists together, and of them the wallets that the registry does not give to somebody else.
 *
 * After `updateIdentity` for a wallet with units call {adopt} with it: otherwise its units count
 * for its new identity only from when that wallet itself receives.
 */
contract MaxBalanceModule is HolderModule {
    /// @dev The wallets stored under one identity; the first shares a word with their number.
    struct Wallets {
        address first;
        uint96 count;
        mapping(uint256 index => address) others;
    }

    /**
     * @dev What an identity holds, as one transfer sees it.
     * @param held Units in all of its wallets.
     * @param others Wallets that hold, besides the receiver.
     * @param own Whether the sender is one of them.
     * @param holds Whether the receiver holds already.
     */
    struct Tally {
        uint256 held;
        uint256 others;
        bool own;
        bool holds;
    }

    /// @notice Wallets of one identity that can hold at the same time. By force more may, of those that
    /// the factory lists.
    uint256 public constant MAX_WALLETS = 32;

    /// @notice Lists the wallets of its identities.
    IdentityFactory public immutable FACTORY;

    bytes32 private immutable _IDENTITY_CODE_HASH;

    mapping(uint256 scope => mapping(address identity => Wallets)) private _wallets;

    /// @notice The limit for each identity is `units` from now on.
    event MaxBalanceSet(address indexed compliance, uint256 units);

    /// @notice With `value` more units the identity would pass the limit.
    error MaxBalanceExceeded(address compliance, address identity, uint256 held, uint256 value, uint256 limit);

    /// @notice So many wallets of the identity hold already that `wallet` cannot be one more.
    error MaxBalanceTooManyWallets(address compliance, address identity, address wallet);

    /// @param factory Lists the wallets of its identities; those of any other are stored here.
    constructor(IdentityFactory factory) {
        FACTORY = factory;
        _IDENTITY_CODE_HASH = factory.IDENTITY_CODE_HASH();
    }

    /// @notice Sets the limit, in units; who is above it keeps what they hold.
    function setMaxBalance(uint96 units) external onlyBoundCompliance {
        _books[msg.sender].limit = units;
        emit MaxBalanceSet(msg.sender, units);
    }

    /// @inheritdoc ComplianceModule
    function moduleTransferAction(address, address to, uint256) external override {
        _know(msg.sender, _openBook(), to);
    }

    /// @inheritdoc ComplianceModule
    function moduleMintAction(address to, uint256) external override {
        _know(msg.sender, _openBook(), to);
    }

    /// @inheritdoc ComplianceModule
    function moduleBurnAction(address, uint256) external view override {
        _openBook();
    }

    /// @notice The limit for each identity, in units.
    function maxBalance(address compliance) external view returns (uint256) {
        return _books[compliance].limit;
    }

    /// @notice The units that `identity` holds in all of its known wallets.
    function heldBy(address compliance, address identity) external view returns (uint256 units) {
        Book memory book = _books[compliance];
        return _tally(book, _scope(compliance, book), identity, address(0), address(0)).held;
    }

    /// @inheritdoc IModule
    function name() external pure returns (string memory) {
        return "MaxBalanceModule";
    }

    /// @inheritdoc ComplianceModule
    function refusal(
        address from,
        address to,
        uint256 value,
        address compliance
    ) public view override returns (bytes memory reason) {
        Book memory book = _books[compliance];
        if (book.adopting) {
            return _notAdopted(compliance);
        }
        address identity = _ownerOf(book, to);
        Tally memory tally = _tally(book, _scope(compliance, book), identity, from, to);
        if (tally.others >= MAX_WALLETS && !tally.holds) {
            return abi.encodeWithSelector(MaxBalanceTooManyWallets.selector, compliance, identity, to);
        }
        if (!tally.own && (tally.held > book.limit || value > book.limit - tally.held)) {
            return
                abi.encodeWithSelector(
                    MaxBalanceExceeded.selector,
                    compliance,
                    identity,
                    tally.held,
                    value,
                    book.limit
                );
        }
    }

    /// @inheritdoc HolderModule
    function _know(address compliance, Book memory book, address wallet) internal override {
        address identity = _ownerOf(book, wallet);
        address[] memory listed = _listed(identity);
        if (_contains(listed, wallet)) {
            return;
        }
        Wallets storage wallets = _wallets[_scope(compliance, book)][identity];
        uint256 count = wallets.count;
        uint256 place = count;
        for (uint256 i = 0; i < count; ++i) {
            address known = _walletAt(wallets, i);
            if (known == wallet) {
                return;
            }
            if (place == count && _isFree(book, identity, listed, known)) {
                place = i;
            }
        }
        if (place == MAX_WALLETS) {
            revert MaxBalanceTooManyWallets(compliance, identity, wallet);
        }
        if (place == count) {
            wallets.count = uint96(count + 1);
        }
        if (place == 0) {
            wallets.first = wallet;
        } else {
            wallets.others[place] = wallet;
        }
        if (!book.storing) {
            book.storing = true;
            _books[compliance].storing = true;
        }
    }

    /// @dev Sums what `identity` holds; `to` counts although it may not be known yet.
    function _tally(
        Book memory book,
        uint256 scope,
        address identity,
        address from,
        address to
    ) private view returns (Tally memory tally) {
        tally.own = from == to;
        if (to != address(0)) {
            tally.held = book.token.balanceOf(to);
            tally.holds = tally.held != 0;
        }
        address[] memory listed = _listed(identity);
        for (uint256 i = 0; i < listed.length; ++i) {
            if (listed[i] != to) {
                _add(tally, book, identity, from, listed[i]);
            }
        }
        if (book.storing) {
            _addStored(tally, book, _wallets[scope][identity], identity, listed, from, to);
        }
    }

    /// @dev Adds the wallets that are stored here, except those that the factory lists by now.
    function _addStored(
        Tally memory tally,
        Book memory book,
        Wallets storage wallets,
        address identity,
        address[] memory listed,
        address from,
        address to
    ) private view {
        uint256 count = wallets.count;
        for (uint256 i = 0; i < count; ++i) {
            address wallet = _walletAt(wallets, i);
            if (wallet != to && !_contains(listed, wallet)) {
                _add(tally, book, identity, from, wallet);
            }
        }
    }

    /// @dev Adds one wallet other than the receiver, if it is one of `identity`.
    function _add(
        Tally memory tally,
        Book memory book,
        address identity,
        address from,
        address wallet
    ) private view {
        uint256 units = book.token.balanceOf(wallet);
        if ((units == 0 && wallet != from) || !_belongs(book, wallet, identity)) {
            return;
        }
        tally.held += units;
        tally.own = tally.own || wallet == from;
        if (units != 0) {
            ++tally.others;
        }
    }

    /// @dev The place of a wallet is free that holds nothing, or not for this identity, or that the
    /// factory lists.
    function _isFree(
        Book memory book,
        address identity,
        address[] memory listed,
        address wallet
    ) private view returns (bool) {
        return
            _contains(listed, wallet) ||
            book.token.balanceOf(wallet) == 0 ||
            !_belongs(book, wallet, identity);
    }

    /// @dev The wallets that our factory lists; none where the identity is not one of its making.
    function _listed(address identity) private view returns (address[] memory wallets) {
        // Asked of the code, as the factory's answer costs 5,000 gas that others need not pay.
        if (identity.codehash != _IDENTITY_CODE_HASH) {
            return wallets;
        }
        (address first, uint256 count) = FACTORY.listOf(identity);
        wallets = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            wallets[i] = i == 0 ? first : FACTORY.walletAt(identity, i);
        }
    }

    /// @dev A wallet whose identity was deleted stays with whom it was known under.
    function _belongs(Book memory book, address wallet, address identity) private view returns (bool) {
        address current = book.identities.storedIdentity(wallet);
        return current == identity || current == address(0);
    }

    function _walletAt(Wallets storage wallets, uint256 index) private view returns (address) {
        return index == 0 ? wallets.first : wallets.others[index];
    }

    function _contains(address[] memory wallets, address wallet) private pure returns (bool) {
        for (uint256 i = 0; i < wallets.length; ++i) {
            if (wallets[i] == wallet) {
                return true;
            }
        }
        return false;
    }
}
