// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModule} from "../interfaces/IModule.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ISuiteCompliance, ISuiteToken} from "../interfaces/ISuite.sol";
import {ComplianceModule} from "./ComplianceModule.sol";

/**
 * @title Lock-up after each mint
 * @notice Minted units can be transferred by their holder only when the lock period that was in
 * force at their mint has passed by the chain's clock. Each mint is a lot of its own.
 *
 * Where a forced transfer, a recovery or a burn takes more than the units that are free, it takes
 * locked ones, first in first out, and a transfer takes their release times along: a lock cannot be
 * shaken off by losing a wallet.
 *
 * @dev Only locked lots are stored; whatever else the wallet holds is free. A wallet without lots
 * costs one read. Lots stand in order of release. What was locked before an unbinding is free.
 */
contract LockupModule is ComplianceModule {
    /// @notice What is set for a compliance; `generation` is how often it was bound.
    struct Period {
        bool bound;
        uint32 generation;
        uint64 lockSeconds;
    }

    /// @notice Units that are free from `releaseAt` on, in seconds since the epoch.
    struct Lot {
        uint128 units;
        uint64 releaseAt;
    }

    /// @notice The lots of one wallet, from `head` until before `tail`, by time of release; void if
    /// they are of another generation than the compliance.
    struct Queue {
        uint32 generation;
        uint64 head;
        uint64 tail;
        mapping(uint256 index => Lot) lots;
    }

    /// @notice The longest lock period, against a slip of the pen: ten years.
    uint64 public constant MAX_LOCK_SECONDS = 3650 days;

    /// @notice Locked lots that one wallet can have.
    uint256 public constant MAX_LOTS = 64;

    mapping(address compliance => Period) private _periods;
    mapping(address compliance => mapping(address wallet => Queue)) private _queues;

    /// @notice Units minted from now on are locked for `lockSeconds`.
    event LockPeriodSet(address indexed compliance, uint64 lockSeconds);

    /// @notice `units` in `wallet` are locked until `releaseAt`, in seconds since the epoch.
    event UnitsLocked(address indexed compliance, address indexed wallet, uint256 units, uint64 releaseAt);

    /// @notice The lock period is longer than can be meant.
    error LockPeriodTooLong(uint64 lockSeconds, uint64 longest);

    /// @notice Of `balance` units in `wallet`, `locked` are locked, so `value` cannot be sent.
    error LockupUnitsLocked(address compliance, address wallet, uint256 balance, uint256 locked, uint256 value);

    /// @notice `wallet` has as many locked lots as it can have.
    error LockupTooManyLots(address compliance, address wallet, uint256 lots);

    /// @notice Sets the period, in seconds, for which units minted from now on are locked.
    function setLockPeriod(uint64 lockSeconds) external onlyBoundCompliance {
        if (lockSeconds > MAX_LOCK_SECONDS) {
            revert LockPeriodTooLong(lockSeconds, MAX_LOCK_SECONDS);
        }
        _periods[msg.sender].lockSeconds = lockSeconds;
        emit LockPeriodSet(msg.sender, lockSeconds);
    }

    /// @inheritdoc ComplianceModule
    /// @dev Open to all, since a caller moves lots of its own tokens only: saves a read.
    function moduleTransferAction(address from, address to, uint256) external override {
        uint256 excess = _lockedBeyondBalance(from);
        if (excess != 0) {
            _take(from, to, excess);
        }
    }

    /// @inheritdoc ComplianceModule
    function moduleMintAction(address to, uint256 value) external override onlyBoundCompliance {
        uint64 lockSeconds = _periods[msg.sender].lockSeconds;
        if (lockSeconds != 0) {
            _insert(to, SafeCast.toUint128(value), uint64(block.timestamp) + lockSeconds);
        }
    }

    /// @inheritdoc ComplianceModule
    function moduleBurnAction(address from, uint256) external override {
        uint256 excess = _lockedBeyondBalance(from);
        if (excess != 0) {
            _take(from, address(0), excess);
        }
    }

    /// @notice The period for which minted units are locked, in seconds.
    function lockPeriod(address compliance) external view returns (uint64) {
        return _periods[compliance].lockSeconds;
    }

    /// @notice The units of `wallet` that are locked now.
    function lockedUnits(address compliance, address wallet) external view returns (uint256) {
        return _locked(compliance, wallet);
    }

    /// @notice The lots of `wallet` that are locked now, by time of release.
    function lotsOf(address compliance, address wallet) external view returns (Lot[] memory lots) {
        Queue storage queue = _queues[compliance][wallet];
        (uint256 head, uint256 tail) = _range(compliance, queue);
        lots = new Lot[](tail - head);
        for (uint256 i = 0; i < lots.length; ++i) {
            lots[i] = queue.lots[head + i];
        }
    }

    /// @inheritdoc IModule
    function name() external pure returns (string memory) {
        return "LockupModule";
    }

    /// @inheritdoc ComplianceModule
    function refusal(
        address from,
        address to,
        uint256 value,
        address compliance
    ) public view override returns (bytes memory reason) {
        if (from == address(0)) {
            (uint256 head, uint256 tail) = _range(compliance, _queues[compliance][to]);
            if (tail - head >= MAX_LOTS && _periods[compliance].lockSeconds != 0) {
                return abi.encodeWithSelector(LockupTooManyLots.selector, compliance, to, MAX_LOTS);
            }
            return reason;
        }
        uint256 locked = _locked(compliance, from);
        if (locked == 0) {
            return reason;
        }
        uint256 balance = _balanceOf(compliance, from);
        if (locked > balance || value > balance - locked) {
            return
                abi.encodeWithSelector(LockupUnitsLocked.selector, compliance, from, balance, locked, value);
        }
    }

    /// @inheritdoc ComplianceModule
    function isComplianceBound(address compliance) public view override returns (bool) {
        return _periods[compliance].bound;
    }

    function _bind(address compliance) internal override {
        _periods[compliance] = Period({
            bound: true,
            generation: _periods[compliance].generation + 1,
            lockSeconds: 0
        });
    }

    function _unbind(address compliance) internal override {
        _periods[compliance].bound = false;
    }

    /// @dev Takes `units` locked ones from the front of one queue, to another or to nowhere.
    function _take(address from, address to, uint256 units) private {
        Queue storage queue = _queues[msg.sender][from];
        (uint256 index, ) = _range(msg.sender, queue);
        while (units != 0) {
            Lot memory lot = queue.lots[index];
            uint256 taken = units < lot.units ? units : lot.units;
            if (taken == lot.units) {
                delete queue.lots[index];
                ++index;
            } else {
                queue.lots[index].units = lot.units - uint128(taken);
            }
            if (to != address(0)) {
                _insert(to, uint128(taken), lot.releaseAt);
            }
            units -= taken;
        }
        queue.head = uint64(index);
    }

    /// @dev Puts a lot in its place by time of release, or joins it to one of the same time.
    function _insert(address wallet, uint128 units, uint64 releaseAt) private {
        Queue storage queue = _queues[msg.sender][wallet];
        emit UnitsLocked(msg.sender, wallet, units, releaseAt);
        (uint256 head, uint256 tail) = _range(msg.sender, queue);
        uint256 place = tail;
        while (place > head && queue.lots[place - 1].releaseAt > releaseAt) {
            --place;
        }
        if (place > head && queue.lots[place - 1].releaseAt == releaseAt) {
            queue.lots[place - 1].units += units;
            return;
        }
        if (tail - head >= MAX_LOTS) {
            // Only a forced transfer comes here. It must go through, so its lot joins a later one,
            // or the last one, which is then released with it: no unit is released early.
            if (place == tail) {
                queue.lots[tail - 1].releaseAt = releaseAt;
                place = tail - 1;
            }
            queue.lots[place].units += units;
            return;
        }
        for (uint256 i = tail; i > place; --i) {
            queue.lots[i] = queue.lots[i - 1];
        }
        queue.lots[place] = Lot({units: units, releaseAt: releaseAt});
        queue.generation = _periods[msg.sender].generation;
        queue.head = uint64(head);
        queue.tail = uint64(tail + 1);
    }

    /// @dev Called after units left `wallet`: how many of them must have been locked ones.
    function _lockedBeyondBalance(address wallet) private view returns (uint256) {
        uint256 locked = _locked(msg.sender, wallet);
        if (locked == 0) {
            return 0;
        }
        uint256 balance = _balanceOf(msg.sender, wallet);
        return locked > balance ? locked - balance : 0;
    }

    /// @dev Read from the token that is bound now: only a wallet with lots costs this.
    function _balanceOf(address compliance, address wallet) private view returns (uint256) {
        return ISuiteToken(ISuiteCompliance(compliance).getTokenBound()).balanceOf(wallet);
    }

    function _locked(address compliance, address wallet) private view returns (uint256 units) {
        Queue storage queue = _queues[compliance][wallet];
        (uint256 head, uint256 tail) = _range(compliance, queue);
        for (uint256 i = head; i < tail; ++i) {
            units += queue.lots[i].units;
        }
    }

    /**
     * @dev Where the locked lots stand. They are in order of release, so those that are released
     * stand in front. The generation is read only where there are lots.
     */
    function _range(address compliance, Queue storage queue) private view returns (uint256 head, uint256 tail) {
        (head, tail) = (queue.head, queue.tail);
        if (head == tail) {
            return (head, tail);
        }
        if (queue.generation != _periods[compliance].generation) {
            return (tail, tail);
        }
        while (head < tail && queue.lots[head].releaseAt <= block.timestamp) {
            ++head;
        }
    }
}
