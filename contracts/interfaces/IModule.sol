// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/**
 * @title Compliance module
 * @notice What the modular compliance of an ERC-3643 suite (T-REX 4.1) asks of a module.
 * @dev Declared here from the published ABI, so that nothing of the suite's sources is compiled in.
 */
interface IModule {
    /// @notice `compliance` is bound to this module.
    event ComplianceBound(address indexed compliance);

    /// @notice `compliance` is no longer bound to this module.
    event ComplianceUnbound(address indexed compliance);

    /// @notice Called by the compliance itself when the module is added to it.
    function bindCompliance(address compliance) external;

    /// @notice Called by the compliance itself when the module is removed from it.
    function unbindCompliance(address compliance) external;

    /// @notice Called after `value` units went from `from` to `to`, freely or by force.
    function moduleTransferAction(address from, address to, uint256 value) external;

    /// @notice Called after `value` units were minted to `to`.
    function moduleMintAction(address to, uint256 value) external;

    /// @notice Called after `value` units of `from` were burned.
    function moduleBurnAction(address from, uint256 value) external;

    /// @notice Tells whether the rule lets `value` units go from `from` (zero: minted) to `to`.
    function moduleCheck(address from, address to, uint256 value, address compliance) external view returns (bool);

    /// @notice Tells whether `compliance` is bound to this module.
    function isComplianceBound(address compliance) external view returns (bool);

    /// @notice Tells whether `compliance` may be bound as it stands.
    function canComplianceBind(address compliance) external view returns (bool);

    /// @notice Tells whether any compliance may be bound without asking {canComplianceBind}.
    function isPlugAndPlay() external pure returns (bool);

    /// @notice The module's name.
    function name() external pure returns (string memory);
}
