// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModule} from "../interfaces/IModule.sol";
import {ComplianceModule} from "./ComplianceModule.sol";
import {HolderModule} from "./HolderModule.sol";

/**
 * @title Limit on the number of holders
 * @notice No more identities may hold than the cap says, however many wallets they hold with. Where
 * the cap is reached, a new holder comes in only when another gives everything to them. Before a cap
 * is set nobody can become a holder.
 *
 * A forced transfer may pass the cap, since a court or an inheritance is not bound by it; it is
 * counted, and no new holder comes in until the number is below the cap again.
 *
 * @dev For each wallet that holds, the identity under which it was counted is stored, so that it is
 * counted out under the same one, although that may have been deleted or changed. Transfers between
 * holders write nothing.
 */
contract HolderCapModule is HolderModule {
    mapping(uint256 scope => mapping(address wallet => address identity)) private _countedAs;
    mapping(uint256 scope => mapping(address identity => uint256 wallets)) private _holdingWallets;

    /// @notice At most `cap` identities may hold from now on.
    event HolderCapSet(address indexed compliance, uint32 cap);

    /// @notice `identity` would be a holder more than the cap lets in.
    error HolderCapReached(address compliance, address identity, uint256 holders, uint256 cap);

    /// @notice Sets the cap; who holds keeps what they hold.
    function setHolderCap(uint32 cap) external onlyBoundCompliance {
        _books[msg.sender].limit = cap;
        emit HolderCapSet(msg.sender, cap);
    }

    /// @inheritdoc ComplianceModule
    function moduleTransferAction(address from, address to, uint256) external override {
        Book memory book = _openBook();
        _enter(msg.sender, book, to);
        if (book.token.balanceOf(from) == 0) {
            _leave(msg.sender, _scope(msg.sender, book), from);
        }
    }

    /// @inheritdoc ComplianceModule
    function moduleMintAction(address to, uint256) external override {
        _enter(msg.sender, _openBook(), to);
    }

    /// @inheritdoc ComplianceModule
    function moduleBurnAction(address from, uint256) external override {
        Book memory book = _openBook();
        if (book.token.balanceOf(from) == 0) {
            _leave(msg.sender, _scope(msg.sender, book), from);
        }
    }

    /// @notice The number of identities that may hold.
    function holderCap(address compliance) external view returns (uint256) {
        return _books[compliance].limit;
    }

    /// @notice The number of identities that hold.
    function holderCount(address compliance) external view returns (uint256) {
        return _books[compliance].holders;
    }

    /// @notice The identity under which `wallet` is counted; zero if it does not hold.
    function countedAs(address compliance, address wallet) external view returns (address) {
        return _countedAs[_scope(compliance, _books[compliance])][wallet];
    }

    /// @inheritdoc IModule
    function name() external pure returns (string memory) {
        return "HolderCapModule";
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
        uint256 scope = _scope(compliance, book);
        if (_countedAs[scope][to] != address(0) || book.holders < book.limit) {
            return reason;
        }
        address identity = _ownerOf(book, to);
        if (_holdingWallets[scope][identity] != 0) {
            return reason;
        }
        bool oneLeaves = book.holders == book.limit &&
            _holdingWallets[scope][_countedAs[scope][from]] == 1 &&
            book.token.balanceOf(from) == value;
        if (!oneLeaves) {
            return
                abi.encodeWithSelector(
                    HolderCapReached.selector,
                    compliance,
                    identity,
                    book.holders,
                    book.limit
                );
        }
    }

    /// @inheritdoc HolderModule
    function _know(address compliance, Book memory book, address wallet) internal override {
        uint256 scope = _scope(compliance, book);
        address counted = _countedAs[scope][wallet];
        address identity = book.identities.storedIdentity(wallet);
        if (counted == address(0)) {
            _count(compliance, scope, wallet, identity == address(0) ? wallet : identity);
        } else if (identity != address(0) && identity != counted) {
            _leave(compliance, scope, wallet);
            _count(compliance, scope, wallet, identity);
        }
    }

    function _enter(address compliance, Book memory book, address wallet) private {
        uint256 scope = _scope(compliance, book);
        if (_countedAs[scope][wallet] == address(0)) {
            _count(compliance, scope, wallet, _ownerOf(book, wallet));
        }
    }

    function _count(address compliance, uint256 scope, address wallet, address identity) private {
        _countedAs[scope][wallet] = identity;
        uint256 wallets = _holdingWallets[scope][identity];
        _holdingWallets[scope][identity] = wallets + 1;
        if (wallets == 0) {
            ++_books[compliance].holders;
        }
    }

    function _leave(address compliance, uint256 scope, address wallet) private {
        address identity = _countedAs[scope][wallet];
        if (identity == address(0)) {
            return;
        }
        delete _countedAs[scope][wallet];
        uint256 wallets = _holdingWallets[scope][identity] - 1;
        _holdingWallets[scope][identity] = wallets;
        if (wallets == 0) {
            --_books[compliance].holders;
        }
    }
}
