// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModule} from "../interfaces/IModule.sol";
import {ISuiteCompliance, ISuiteToken} from "../interfaces/ISuite.sol";
import {ComplianceModule} from "./ComplianceModule.sol";

/**
 * @title Cap on the supply
 * @notice No more units exist than were declared, and the declaration is made once. Before it is
 * made, nothing can be minted.
 * @dev The supply is read from the token and never counted here, so it cannot drift. Burned units
 * may be minted again, as when a lost holding is issued anew. The declaration outlives unbinding.
 * A mint cannot pass the check by: the token asks for it before each one.
 */
contract SupplyCapModule is ComplianceModule {
    /// @notice The declared units; zero before they are declared.
    mapping(address compliance => uint256 units) public declaredSupply;

    mapping(address compliance => bool) private _bound;

    /// @notice `units` were declared for `compliance`, for good.
    event SupplyDeclared(address indexed compliance, uint256 units);

    /// @notice The units were declared already.
    error SupplyAlreadyDeclared(address compliance, uint256 declared);

    /// @notice This number of units cannot be declared with `supply` in existence.
    error SupplyInvalidDeclaration(address compliance, uint256 units, uint256 supply);

    /// @notice With `value` more units the supply would pass what was declared.
    error SupplyCapExceeded(address compliance, uint256 supply, uint256 value, uint256 declared);

    /// @notice Declares the units that may exist, once.
    function declareSupply(uint256 units) external onlyBoundCompliance {
        uint256 declared = declaredSupply[msg.sender];
        if (declared != 0) {
            revert SupplyAlreadyDeclared(msg.sender, declared);
        }
        uint256 supply = _supplyOf(msg.sender);
        if (units == 0 || units < supply) {
            revert SupplyInvalidDeclaration(msg.sender, units, supply);
        }
        declaredSupply[msg.sender] = units;
        emit SupplyDeclared(msg.sender, units);
    }

    /// @inheritdoc ComplianceModule
    function moduleTransferAction(address, address, uint256) external override {}

    /// @inheritdoc ComplianceModule
    function moduleMintAction(address, uint256) external override {}

    /// @inheritdoc ComplianceModule
    function moduleBurnAction(address, uint256) external override {}

    /// @inheritdoc IModule
    function name() external pure returns (string memory) {
        return "SupplyCapModule";
    }

    /// @inheritdoc ComplianceModule
    function refusal(
        address from,
        address,
        uint256 value,
        address compliance
    ) public view override returns (bytes memory reason) {
        if (from != address(0)) {
            return reason;
        }
        uint256 declared = declaredSupply[compliance];
        uint256 supply = _supplyOf(compliance);
        if (supply > declared || value > declared - supply) {
            return abi.encodeWithSelector(SupplyCapExceeded.selector, compliance, supply, value, declared);
        }
    }

    /// @inheritdoc ComplianceModule
    function isComplianceBound(address compliance) public view override returns (bool) {
        return _bound[compliance];
    }

    function _bind(address compliance) internal override {
        _bound[compliance] = true;
    }

    function _unbind(address compliance) internal override {
        _bound[compliance] = false;
    }

    /// @dev Of the token that is bound now: only a mint costs this.
    function _supplyOf(address compliance) private view returns (uint256) {
        address token = ISuiteCompliance(compliance).getTokenBound();
        return token == address(0) ? 0 : ISuiteToken(token).totalSupply();
    }
}
