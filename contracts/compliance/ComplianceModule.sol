// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModule} from "../interfaces/IModule.sol";

/**
 * @title Base of our compliance modules
 * @notice One rule, for every compliance that binds the module; state is keyed by compliance.
 * Settings are made by the compliance, that is by its owner through `callModuleFunction`.
 *
 * A rule says *why* it refuses: {refusal} gives the custom error with the offending values, and
 * {moduleCheck} is whether there is one. So the answer of `canTransfer` and its explanation cannot
 * differ.
 *
 * @dev Not behind a proxy: a call through one costs some 5,000 gas in each transfer. A new version
 * is a new module, added by the compliance's owner. Where the flag `bound` is stored is left to the
 * module, which packs it with what it reads anyway.
 */
abstract contract ComplianceModule is IModule {
    /// @notice Only the compliance itself binds and unbinds.
    error ModuleCallerNotCompliance(address caller, address compliance);

    /// @notice The compliance is bound already.
    error ModuleComplianceAlreadyBound(address compliance);

    /// @notice The compliance is not bound to this module.
    error ModuleComplianceNotBound(address compliance);

    /// @dev For what only a bound compliance may do; the state touched is that of the caller.
    modifier onlyBoundCompliance() {
        _requireBound(msg.sender);
        _;
    }

    /// @inheritdoc IModule
    function bindCompliance(address compliance) external {
        if (msg.sender != compliance) {
            revert ModuleCallerNotCompliance(msg.sender, compliance);
        }
        if (isComplianceBound(compliance)) {
            revert ModuleComplianceAlreadyBound(compliance);
        }
        _bind(compliance);
        emit ComplianceBound(compliance);
    }

    /// @inheritdoc IModule
    function unbindCompliance(address compliance) external {
        if (msg.sender != compliance) {
            revert ModuleCallerNotCompliance(msg.sender, compliance);
        }
        _requireBound(compliance);
        _unbind(compliance);
        emit ComplianceUnbound(compliance);
    }

    /// @inheritdoc IModule
    function moduleTransferAction(address from, address to, uint256 value) external virtual;

    /// @inheritdoc IModule
    function moduleMintAction(address to, uint256 value) external virtual;

    /// @inheritdoc IModule
    function moduleBurnAction(address from, uint256 value) external virtual;

    /// @inheritdoc IModule
    function moduleCheck(address from, address to, uint256 value, address compliance) external view returns (bool) {
        return refusal(from, to, value, compliance).length == 0;
    }

    /// @inheritdoc IModule
    function canComplianceBind(address) external view virtual returns (bool) {
        return true;
    }

    /// @inheritdoc IModule
    function isPlugAndPlay() external pure virtual returns (bool) {
        return true;
    }

    /**
     * @notice Why the rule would refuse this transfer or mint.
     * @param from The sender; zero for a mint.
     * @param to The receiver.
     * @param value Units.
     * @param compliance The compliance whose settings count.
     * @return reason The ABI-encoded custom error; empty if the rule lets it pass.
     */
    function refusal(
        address from,
        address to,
        uint256 value,
        address compliance
    ) public view virtual returns (bytes memory reason);

    /// @inheritdoc IModule
    function isComplianceBound(address compliance) public view virtual returns (bool);

    /// @dev Stores that `compliance` is bound.
    function _bind(address compliance) internal virtual;

    /// @dev Stores that `compliance` is not bound.
    function _unbind(address compliance) internal virtual;

    function _requireBound(address compliance) internal view {
        if (!isComplianceBound(compliance)) {
            revert ModuleComplianceNotBound(compliance);
        }
    }
}
