// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";

/**
 * @title A contract with an owner who names its operators
 * @notice Operators are the keys of daily work; the owner is a cold key that adds and removes them.
 * The owner is no operator by itself, so that daily work never needs the cold key. A stolen operator
 * key is removed by the owner at once, and can neither add others nor take the contract.
 */
abstract contract Operated is Ownable2Step {
    /// @notice Tells whether this address may do the daily work of this contract.
    mapping(address account => bool active) public isOperator;

    /// @notice `operator` may do the daily work from now on.
    event OperatorAdded(address indexed operator);

    /// @notice `operator` may do nothing here from now on.
    event OperatorRemoved(address indexed operator);

    /// @notice The address cannot be an operator.
    error OperatedInvalidOperator(address operator);

    /// @notice The operator to add is one already.
    error OperatedOperatorAlreadyActive(address operator);

    /// @notice The operator to remove is none.
    error OperatedOperatorNotActive(address operator);

    /// @notice The caller is not an operator.
    error OperatedUnauthorizedOperator(address account);

    /// @notice Without an owner no operator could ever be rotated, so `owner` stays.
    error OperatedOwnershipNotRenounceable(address owner);

    modifier onlyOperator() {
        if (!isOperator[msg.sender]) {
            revert OperatedUnauthorizedOperator(msg.sender);
        }
        _;
    }

    /**
     * @param initialOwner Adds and removes operators.
     * @param operators Operators from the start; may be empty.
     */
    constructor(address initialOwner, address[] memory operators) Ownable(initialOwner) {
        for (uint256 i = 0; i < operators.length; ++i) {
            _addOperator(operators[i]);
        }
    }

    /// @notice Lets `operator` do the daily work.
    function addOperator(address operator) external onlyOwner {
        _addOperator(operator);
    }

    /// @notice Lets `operator` do nothing any more.
    function removeOperator(address operator) external onlyOwner {
        if (!isOperator[operator]) {
            revert OperatedOperatorNotActive(operator);
        }
        isOperator[operator] = false;
        emit OperatorRemoved(operator);
    }

    /// @notice Always refused: see {OperatedOwnershipNotRenounceable}.
    function renounceOwnership() public view override onlyOwner {
        revert OperatedOwnershipNotRenounceable(owner());
    }

    function _addOperator(address operator) private {
        if (operator == address(0)) {
            revert OperatedInvalidOperator(operator);
        }
        if (isOperator[operator]) {
            revert OperatedOperatorAlreadyActive(operator);
        }
        isOperator[operator] = true;
        emit OperatorAdded(operator);
    }
}
