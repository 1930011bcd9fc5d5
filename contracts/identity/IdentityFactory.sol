// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

import {Operated} from "../Operated.sol";
import {ClaimStore} from "./ClaimStore.sol";
import {HolderIdentity, IKeyLinks} from "./HolderIdentity.sol";

/**
 * @title Who is who: identities and their wallets
 * @notice Makes the identities, and says which wallet belongs to which. A person has one identity
 * and any number of wallets; a wallet belongs to one identity for ever. A wallet that is lost or
 * stolen is retired: it stays the wallet of that person and can never become another's.
 *
 * The address of an identity follows from its salt alone, so it is known before it is made, and
 * claims for it can be signed in the same breath.
 *
 * Of each identity the first {MAX_LISTED} wallets are listed, and none ever leaves the list: not
 * when it is retired, nor when a token's registry forgets it. So a rule about a person can read
 * their wallets here, instead of storing them for each token. Later wallets are linked like any
 * other and not listed; were they refused, whoever fills the list would shut the person out.
 *
 * @dev A stolen operator key can make identities and link wallets, also a wallet of the thief to
 * somebody's identity. It cannot write claims, register at a token or move anything. The owner
 * removes the key, and retires such wallets, which {WalletLinked} names.
 */
contract IdentityFactory is IKeyLinks, Operated {
    /**
     * @notice One wallet of one person.
     * @param salt Stands for the person; the same salt gives the same identity.
     */
    struct Opening {
        bytes32 salt;
        address wallet;
    }

    struct Link {
        address identity;
        bool retired;
    }

    /// @dev The listed wallets of one identity; the first shares a word with their number.
    struct Wallets {
        address first;
        uint96 count;
        mapping(uint256 index => address) others;
    }

    /// @notice Wallets of one identity that are listed.
    uint256 public constant MAX_LISTED = 8;

    /// @notice The code behind every identity.
    address public immutable IMPLEMENTATION;

    /// @notice The hash of each identity's own code, the ERC-1167 clone: tells ours from others.
    bytes32 public immutable IDENTITY_CODE_HASH;

    mapping(bytes32 key => Link) private _links;
    mapping(address identity => Wallets) private _wallets;

    /// @notice The identity of `salt` was made.
    event IdentityOpened(address indexed identity, bytes32 indexed salt);

    /// @notice `wallet` belongs to `identity`.
    event WalletLinked(address indexed wallet, address indexed identity);

    /// @notice `wallet` must not be used any more.
    event WalletRetired(address indexed wallet, address indexed identity);

    /// @notice `wallet` may be used again.
    event WalletRestored(address indexed wallet, address indexed identity);

    /// @notice Nobody has this wallet.
    error IdentityFactoryInvalidWallet(address wallet);

    /// @notice The wallet belongs to another identity.
    error IdentityFactoryWalletTaken(address wallet, address identity);

    /// @notice The wallet is retired.
    error IdentityFactoryWalletRetired(address wallet, address identity);

    /// @notice The wallet belongs to no identity.
    error IdentityFactoryWalletUnknown(address wallet);

    /// @notice The wallet is in use.
    error IdentityFactoryWalletNotRetired(address wallet, address identity);

    /**
     * @param initialOwner Names the operators, and restores wallets.
     * @param operators Open identities and retire wallets from the start.
     * @param store Where the claims about the identities stand.
     */
    constructor(
        address initialOwner,
        address[] memory operators,
        ClaimStore store
    ) Operated(initialOwner, operators) {
        IMPLEMENTATION = address(new HolderIdentity(this, store));
        IDENTITY_CODE_HASH = keccak256(
            abi.encodePacked(hex"363d3d373d3d3d363d73", IMPLEMENTATION, hex"5af43d82803e903d91602b57fd5bf3")
        );
    }

    /**
     * @notice Makes the identity of `salt` unless it stands, and links `wallet` to it unless it is.
     * @dev Doing it again changes nothing, so that whoever lost the answer may ask again.
     */
    function open(bytes32 salt, address wallet) external onlyOperator returns (address identity) {
        return _open(salt, wallet);
    }

    /// @notice Does the same for many; the same salt several times links several wallets.
    function openBatch(Opening[] calldata openings) external onlyOperator returns (address[] memory identities) {
        identities = new address[](openings.length);
        for (uint256 i = 0; i < openings.length; ++i) {
            identities[i] = _open(openings[i].salt, openings[i].wallet);
        }
    }

    /// @notice Takes a lost or stolen wallet out of use, for ever unless the owner restores it.
    function retire(address wallet) external {
        if (!isOperator[msg.sender] && msg.sender != owner()) {
            revert OperatedUnauthorizedOperator(msg.sender);
        }
        Link storage link = _link(wallet);
        if (link.retired) {
            revert IdentityFactoryWalletRetired(wallet, link.identity);
        }
        link.retired = true;
        emit WalletRetired(wallet, link.identity);
    }

    /// @notice Takes a retired wallet back into use, for the identity that had it.
    function restore(address wallet) external onlyOwner {
        Link storage link = _link(wallet);
        if (!link.retired) {
            revert IdentityFactoryWalletNotRetired(wallet, link.identity);
        }
        link.retired = false;
        emit WalletRestored(wallet, link.identity);
    }

    /// @inheritdoc IKeyLinks
    function identityOfKey(bytes32 key) external view returns (address identity) {
        Link memory link = _links[key];
        return link.retired ? address(0) : link.identity;
    }

    /// @notice The identity that `wallet` belongs to, zero if none, and whether it is retired.
    function linkOf(address wallet) external view returns (address identity, bool retired) {
        Link memory link = _links[keyOf(wallet)];
        return (link.identity, link.retired);
    }

    /// @notice The first wallet of `identity`, and how many are listed; zeros if it is none of ours.
    function listOf(address identity) external view returns (address first, uint256 count) {
        Wallets storage wallets = _wallets[identity];
        return (wallets.first, wallets.count);
    }

    /// @notice A listed wallet of `identity`, retired or not; zero if there are not so many.
    function walletAt(address identity, uint256 index) external view returns (address wallet) {
        Wallets storage wallets = _wallets[identity];
        return index == 0 ? wallets.first : wallets.others[index];
    }

    /// @notice Where the identity of `salt` stands, or will stand.
    function identityOf(bytes32 salt) public view returns (address identity) {
        return Clones.predictDeterministicAddress(IMPLEMENTATION, salt);
    }

    /// @notice The ERC-734 key of a wallet.
    function keyOf(address wallet) public pure returns (bytes32 key) {
        return keccak256(abi.encode(wallet));
    }

    function _open(bytes32 salt, address wallet) private returns (address identity) {
        if (wallet == address(0)) {
            revert IdentityFactoryInvalidWallet(wallet);
        }
        identity = identityOf(salt);
        Wallets storage wallets = _wallets[identity];
        uint256 count = wallets.count;
        // It is made with its first wallet; asking for its code would cost 2,600 gas.
        if (count == 0) {
            Clones.cloneDeterministic(IMPLEMENTATION, salt);
            emit IdentityOpened(identity, salt);
        }
        Link storage link = _links[keyOf(wallet)];
        Link memory standing = link;
        if (standing.identity == address(0)) {
            link.identity = identity;
            _list(wallets, count, wallet);
            emit WalletLinked(wallet, identity);
            return identity;
        }
        if (standing.identity != identity) {
            revert IdentityFactoryWalletTaken(wallet, standing.identity);
        }
        if (standing.retired) {
            revert IdentityFactoryWalletRetired(wallet, identity);
        }
    }

    function _list(Wallets storage wallets, uint256 count, address wallet) private {
        if (count == MAX_LISTED) {
            return;
        }
        if (count == 0) {
            wallets.first = wallet;
        } else {
            wallets.others[count] = wallet;
        }
        wallets.count = uint96(count + 1);
    }

    function _link(address wallet) private view returns (Link storage link) {
        link = _links[keyOf(wallet)];
        if (link.identity == address(0)) {
            revert IdentityFactoryWalletUnknown(wallet);
        }
    }
}
