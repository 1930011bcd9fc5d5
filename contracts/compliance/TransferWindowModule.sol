// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModule} from "../interfaces/IModule.sol";
import {ComplianceModule} from "./ComplianceModule.sol";

/**
 * @title Dates and hours of trading
 * @notice Holders may transfer between two dates, on some days of the week, between two times of
 * day. What is not set does not restrict. Mints, burns and forced transfers are always possible.
 * @dev Time is the chain's clock, `block.timestamp`. The local clock is a fixed offset from UTC
 * (Pakistan: +18,000 s), since Pakistan keeps no summer time.
 */
contract TransferWindowModule is ComplianceModule {
    /**
     * @notice When transfers are possible; one storage word.
     * @param bound Whether the compliance is bound to this module.
     * @param opensAt First second, since the epoch.
     * @param closesAt First second that is too late, since the epoch; zero: open-ended.
     * @param dayStart First second, since local midnight.
     * @param dayEnd First second that is too late, since local midnight.
     * @param weekdays One bit for each day, the lowest for Monday; zero: no hours are set.
     * @param utcOffset Seconds that the local clock is ahead of UTC.
     */
    struct Window {
        bool bound;
        uint64 opensAt;
        uint64 closesAt;
        uint24 dayStart;
        uint24 dayEnd;
        uint8 weekdays;
        int24 utcOffset;
    }

    uint24 private constant _DAY = 1 days;
    int24 private constant _LARGEST_OFFSET = 14 hours;
    uint8 private constant _EVERY_DAY = 0x7f;

    mapping(address compliance => Window) private _windows;

    /// @notice Transfers are possible from `opensAt` until before `closesAt` (zero: open-ended).
    event TransferDatesSet(address indexed compliance, uint64 opensAt, uint64 closesAt);

    /// @notice Transfers are possible on `weekdays` between two times of the local day.
    event TransferHoursSet(
        address indexed compliance,
        uint24 dayStart,
        uint24 dayEnd,
        uint8 weekdays,
        int24 utcOffset
    );

    /// @notice The second date must be after the first.
    error TransferDatesInvalid(uint64 opensAt, uint64 closesAt);

    /// @notice These hours, days or offset from UTC do not exist.
    error TransferHoursInvalid(uint24 dayStart, uint24 dayEnd, uint8 weekdays, int24 utcOffset);

    /// @notice Transfers are not possible at this time, in seconds since the epoch.
    error TransferWindowClosed(address compliance, uint256 timestamp);

    /// @notice Sets the dates; (0, 0) lifts them.
    function setDates(uint64 opensAt, uint64 closesAt) external onlyBoundCompliance {
        if (closesAt != 0 && closesAt <= opensAt) {
            revert TransferDatesInvalid(opensAt, closesAt);
        }
        Window storage window = _windows[msg.sender];
        window.opensAt = opensAt;
        window.closesAt = closesAt;
        emit TransferDatesSet(msg.sender, opensAt, closesAt);
    }

    /// @notice Sets hours and days of the week; (0, 0, 0, 0) lifts them.
    function setHours(
        uint24 dayStart,
        uint24 dayEnd,
        uint8 weekdays,
        int24 utcOffset
    ) external onlyBoundCompliance {
        bool lifted = dayStart == 0 && dayEnd == 0 && weekdays == 0 && utcOffset == 0;
        bool exists = dayStart < dayEnd &&
            dayEnd <= _DAY &&
            weekdays != 0 &&
            weekdays <= _EVERY_DAY &&
            utcOffset >= -_LARGEST_OFFSET &&
            utcOffset <= _LARGEST_OFFSET;
        if (!lifted && !exists) {
            revert TransferHoursInvalid(dayStart, dayEnd, weekdays, utcOffset);
        }
        Window storage window = _windows[msg.sender];
        window.dayStart = dayStart;
        window.dayEnd = dayEnd;
        window.weekdays = weekdays;
        window.utcOffset = utcOffset;
        emit TransferHoursSet(msg.sender, dayStart, dayEnd, weekdays, utcOffset);
    }

    /// @inheritdoc ComplianceModule
    function moduleTransferAction(address, address, uint256) external override {}

    /// @inheritdoc ComplianceModule
    function moduleMintAction(address, uint256) external override {}

    /// @inheritdoc ComplianceModule
    function moduleBurnAction(address, uint256) external override {}

    /// @notice The dates and hours of `compliance`.
    function windowOf(address compliance) external view returns (Window memory) {
        return _windows[compliance];
    }

    /// @inheritdoc IModule
    function name() external pure returns (string memory) {
        return "TransferWindowModule";
    }

    /// @inheritdoc ComplianceModule
    function refusal(
        address from,
        address,
        uint256,
        address compliance
    ) public view override returns (bytes memory reason) {
        if (from != address(0) && !isOpenAt(compliance, block.timestamp)) {
            return abi.encodeWithSelector(TransferWindowClosed.selector, compliance, block.timestamp);
        }
    }

    /// @notice Tells whether transfers are possible at `timestamp`, in seconds since the epoch.
    function isOpenAt(address compliance, uint256 timestamp) public view returns (bool) {
        Window memory window = _windows[compliance];
        if (timestamp < window.opensAt || (window.closesAt != 0 && timestamp >= window.closesAt)) {
            return false;
        }
        if (window.weekdays == 0) {
            return true;
        }
        // A day is added, so that the first hours of 1970 west of Greenwich do not wrap around.
        uint256 localTime = uint256(int256(timestamp + _DAY) + window.utcOffset);
        uint256 second = localTime % _DAY;
        // The epoch began on a Thursday (3 from Monday); the added day makes it a 2.
        uint256 weekday = (localTime / _DAY + 2) % 7;
        return (window.weekdays >> weekday) & 1 == 1 && second >= window.dayStart && second < window.dayEnd;
    }

    /// @inheritdoc ComplianceModule
    function isComplianceBound(address compliance) public view override returns (bool) {
        return _windows[compliance].bound;
    }

    function _bind(address compliance) internal override {
        _windows[compliance].bound = true;
    }

    function _unbind(address compliance) internal override {
        _windows[compliance].bound = false;
    }
}
