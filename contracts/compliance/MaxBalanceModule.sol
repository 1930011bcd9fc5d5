// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModule} from "../interfaces/IModule.sol";
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
 * @dev No balance is stored here: what is stored is which wallets hold under an identity, and their
 * balances are read from the token. So nothing can drift: not by a forced transfer, a recovery, a
 * burn, a deleted or a changed identity; and an ordinary transfer writes nothing.
 *
 * After `updateIdentity` for a wallet with units call {adopt} with it: otherwise its units count
 * for its new identity only from when that wallet itself receives.
 */
contract MaxBalanceModule is HolderModule {
    /// @dev The wallets that hold under one identity; the first shares a word with their number.
    struct Wallets {
        address first;
        uint96 count;
        mapping(uint256 index => address) others;
    }

    /**
     * @dev What an identity holds, as one transfer sees it.
     * @param held Units in all of its wallets.
     * @param own Whether the sender is one of them.
     * @param full Whether there is no room for the receiver among them.
     */
    struct Tally {
        uint256 held;
        bool own;
        bool full;
    }

    /// @notice Wallets of one identity that can hold at the same time.
    uint256 public constant MAX_WALLETS = 32;

    mapping(uint256 scope => mapping(address identity => Wallets)) private _wallets;

    /// @notice The limit for each identity is `units` from now on.
    event MaxBalanceSet(address indexed compliance, uint256 units);

    /// @notice With `value` more units the identity would pass the limit.
    error MaxBalanceExceeded(address compliance, address identity, uint256 held, uint256 value, uint256 limit);

    /// @notice So many wallets of the identity hold already that `wallet` cannot be one more.
    error MaxBalanceTooManyWallets(address compliance, address identity, address wallet);

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
        if (tally.full) {
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
        Wallets storage wallets = _wallets[_scope(compliance, book)][identity];
        uint256 count = wallets.count;
        uint256 place = count;
        for (uint256 i = 0; i < count; ++i) {
            address known = _walletAt(wallets, i);
            if (known == wallet) {
                return;
            }
            // The place of a wallet that holds nothing, or not for this identity, is free.
            if (place == count && (book.token.balanceOf(known) == 0 || !_belongs(book, known, identity))) {
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
    }

    /// @dev Sums what `identity` holds; `to` counts although it may not be known yet.
    function _tally(
        Book memory book,
        uint256 scope,
        address identity,
        address from,
        address to
    ) private view returns (Tally memory tally) {
        Wallets storage wallets = _wallets[scope][identity];
        uint256 count = wallets.count;
        tally.own = from == to;
        tally.full = count == MAX_WALLETS;
        if (to != address(0)) {
            tally.held = book.token.balanceOf(to);
        }
        for (uint256 i = 0; i < count; ++i) {
            address wallet = _walletAt(wallets, i);
            if (wallet == to) {
                tally.full = false;
            } else if (_belongs(book, wallet, identity)) {
                uint256 units = book.token.balanceOf(wallet);
                tally.held += units;
                tally.own = tally.own || wallet == from;
                tally.full = tally.full && units != 0;
            } else {
                tally.full = false;
            }
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
}
