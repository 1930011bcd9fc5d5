// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// The least token that moves real balances: what `make bench-sync` indexes.
/// A T-REX token would take forty times the gas for the same logs.
contract TransferEmitter {
    event Transfer(address indexed from, address indexed to, uint256 value);

    mapping(address => uint256) public balanceOf;
    uint256 public totalSupply;

    function holder(uint256 number) public pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode(number)))));
    }

    function getFrozenTokens(address) external pure returns (uint256) {
        return 0;
    }

    /// Whatever else a proof asks: nobody is frozen or registered.
    fallback() external {
        assembly ("memory-safe") {
            mstore(0, 0)
            return(0, 32)
        }
    }

    function mint(uint256 first, uint256 count, uint256 units) external {
        for (uint256 i = first; i < first + count; i++) {
            address to = holder(i);
            balanceOf[to] += units;
            emit Transfer(address(0), to, units);
        }
        totalSupply += count * units;
    }

    /// Move a part of one holder's balance to another, or to the same one.
    function move(uint256 seed, uint256 count, uint256 holders) external {
        for (uint256 i = 0; i < count; i++) {
            uint256 drawn = uint256(keccak256(abi.encode(seed, i)));
            address from = holder(uint64(drawn) % holders);
            address to = holder(uint64(drawn >> 64) % holders);
            uint256 units = balanceOf[from] / (1 + uint64(drawn >> 128) % 1000);
            balanceOf[from] -= units;
            balanceOf[to] += units;
            emit Transfer(from, to, units);
        }
    }
}
