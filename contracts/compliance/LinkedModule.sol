// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {
    ISuiteCompliance,
    ISuiteIdentityRegistry,
    ISuiteIdentityStorage,
    ISuiteToken
} from "../interfaces/ISuite.sol";
import {ComplianceModule} from "./ComplianceModule.sol";

/**
 * @title Base of the modules that read the token or its identities
 * @notice Keeps the addresses of the token and of the identity storage, as they were at the binding.
 * When the token is given another registry, or the registry another storage, {relink} has to be
 * called, by anybody; {isLinked} tells whether it has to. A compliance that is given another token
 * needs the module removed and added again.
 * @dev Each of the four calls that lead from the compliance to an identity goes through a proxy
 * that asks a third contract for its implementation, at some 3,000 gas. Kept addresses save three of
 * them in each check and each action.
 */
abstract contract LinkedModule is ComplianceModule {
    /// @notice The module reads `token` and `identityStorage` for `compliance`.
    event SuiteLinked(address indexed compliance, address token, address identityStorage);

    /// @notice A compliance without a token cannot be bound.
    error SuiteTokenMissing(address compliance);

    /// @notice Under another token what is stored is void: remove the module and add it again.
    error SuiteTokenChanged(address compliance, address linked, address current);

    /// @notice Reads the address of the identity storage anew.
    function relink(address compliance) external {
        _requireBound(compliance);
        (ISuiteToken linked, ) = _links(compliance);
        ISuiteToken token = _tokenOf(compliance);
        if (token != linked) {
            revert SuiteTokenChanged(compliance, address(linked), address(token));
        }
        _link(compliance, token);
    }

    /// @notice Tells whether the kept addresses are those that the suite uses now.
    function isLinked(address compliance) external view returns (bool) {
        (ISuiteToken token, ISuiteIdentityStorage identities) = _links(compliance);
        return
            address(token) != address(0) &&
            token == _tokenOf(compliance) &&
            address(identities) == token.identityRegistry().identityStorage();
    }

    /// @inheritdoc ComplianceModule
    function canComplianceBind(address compliance) external view override returns (bool) {
        return address(_tokenOf(compliance)) != address(0);
    }

    /// @dev Reads the addresses from the suite and keeps them.
    function _link(address compliance, ISuiteToken token) internal {
        if (address(token) == address(0)) {
            revert SuiteTokenMissing(compliance);
        }
        ISuiteIdentityRegistry registry = token.identityRegistry();
        ISuiteIdentityStorage identities = ISuiteIdentityStorage(registry.identityStorage());
        _storeLinks(compliance, token, identities);
        emit SuiteLinked(compliance, address(token), address(identities));
    }

    function _storeLinks(address compliance, ISuiteToken token, ISuiteIdentityStorage identities) internal virtual;

    /// @dev The kept addresses; zeros before the first binding.
    function _links(address compliance) internal view virtual returns (ISuiteToken, ISuiteIdentityStorage);

    function _tokenOf(address compliance) internal view returns (ISuiteToken) {
        return ISuiteToken(ISuiteCompliance(compliance).getTokenBound());
    }
}
