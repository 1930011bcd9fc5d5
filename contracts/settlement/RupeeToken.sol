// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Pausable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Pausable.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

import {Operated} from "../Operated.sol";

/**
 * @title Rupees on chain, in paisa
 * @notice The money side of a settlement where no bank issues a token: each unit is one paisa that
 * the issuer owes. Operators are the issuer's keys: they mint what was paid in, burn what they
 * were sent for payment out, and pause. They cannot touch anybody else's balance.
 * @dev A stolen operator key can mint; the owner removes it, and any other operator pauses.
 * Sources: ERC-20, ERC-2612, ISO 4217 (PKR: two decimals).
 */
contract RupeeToken is ERC20, ERC20Permit, ERC20Pausable, Operated {
    /**
     * @param initialOwner Names the operators.
     * @param operators Mint, burn and pause from the start.
     */
    constructor(
        address initialOwner,
        address[] memory operators
    ) ERC20("Pakistani rupee", "PKR") ERC20Permit("Pakistani rupee") Operated(initialOwner, operators) {}

    /// @notice Creates `paisa` for `to`.
    function mint(address to, uint256 paisa) external onlyOperator {
        _mint(to, paisa);
    }

    /// @notice Destroys `paisa` of the caller's own.
    function burn(uint256 paisa) external onlyOperator {
        _burn(msg.sender, paisa);
    }

    /// @notice Stops every transfer, mint and burn.
    function pause() external onlyOperator {
        _pause();
    }

    /// @notice Lets everything go on.
    function unpause() external onlyOperator {
        _unpause();
    }

    /// @notice Two: 100 paisa are a rupee.
    function decimals() public pure override returns (uint8) {
        return 2;
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Pausable) {
        super._update(from, to, value);
    }
}
