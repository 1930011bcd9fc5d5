// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModule} from "../interfaces/IModule.sol";
import {ISuiteIdentityStorage, ISuiteToken} from "../interfaces/ISuite.sol";
import {ComplianceModule} from "./ComplianceModule.sol";
import {LinkedModule} from "./LinkedModule.sol";

/**
 * @title Countries whose residents may receive
 * @notice A unit goes only to a wallet whose registered country is on the list. The list starts
 * empty, so that nobody can receive.
 * @dev Countries are ISO 3166-1 numeric (Pakistan: 586). They are kept as bits, 256 to a word: one
 * read answers. A forced transfer is not checked by the suite, and not refused here either: a court
 * or an inheritance may give units to somebody abroad. It carries a case (see `CaseAgent`).
 */
contract CountryAllowModule is LinkedModule {
    /**
     * @dev What is kept for a compliance.
     * @param home One country of the list, or zero. It stands in the word that every check reads, so
     * that the check of its residents reads no other.
     */
    struct Link {
        ISuiteIdentityStorage identities;
        bool bound;
        uint16 home;
        ISuiteToken token;
    }

    /// @notice The highest code of ISO 3166-1 numeric.
    uint16 public constant LAST_COUNTRY = 999;

    mapping(address compliance => mapping(uint256 word => uint256 bits)) private _allowed;
    mapping(address compliance => Link) private _linkOf;

    /// @notice Residents of `country` may receive from now on.
    event CountryAllowed(address indexed compliance, uint16 indexed country);

    /// @notice Residents of `country` may no longer receive.
    event CountryDisallowed(address indexed compliance, uint16 indexed country);

    /// @notice No country has this code.
    error CountryInvalid(uint16 country);

    /// @notice The country is on the list already.
    error CountryAlreadyAllowed(address compliance, uint16 country);

    /// @notice The country is not on the list, so it cannot be taken off.
    error CountryNotOnList(address compliance, uint16 country);

    /// @notice The receiver's country is not on the list; zero if the wallet is not registered.
    error CountryNotAllowed(address compliance, address to, uint16 country);

    /// @notice Puts countries on the list.
    function allowCountries(uint16[] calldata countries) external onlyBoundCompliance {
        for (uint256 i = 0; i < countries.length; ++i) {
            uint16 country = countries[i];
            if (country == 0 || country > LAST_COUNTRY) {
                revert CountryInvalid(country);
            }
            if (isCountryAllowed(msg.sender, country)) {
                revert CountryAlreadyAllowed(msg.sender, country);
            }
            _allowed[msg.sender][country >> 8] ^= 1 << (country & 0xff);
            if (_linkOf[msg.sender].home == 0) {
                _linkOf[msg.sender].home = country;
            }
            emit CountryAllowed(msg.sender, country);
        }
    }

    /// @notice Takes countries off the list; who lives there keeps what they hold.
    function disallowCountries(uint16[] calldata countries) external onlyBoundCompliance {
        for (uint256 i = 0; i < countries.length; ++i) {
            uint16 country = countries[i];
            if (!isCountryAllowed(msg.sender, country)) {
                revert CountryNotOnList(msg.sender, country);
            }
            _allowed[msg.sender][country >> 8] ^= 1 << (country & 0xff);
            if (_linkOf[msg.sender].home == country) {
                _linkOf[msg.sender].home = 0;
            }
            emit CountryDisallowed(msg.sender, country);
        }
    }

    /// @inheritdoc ComplianceModule
    function moduleTransferAction(address, address, uint256) external override {}

    /// @inheritdoc ComplianceModule
    function moduleMintAction(address, uint256) external override {}

    /// @inheritdoc ComplianceModule
    function moduleBurnAction(address, uint256) external override {}

    /// @inheritdoc IModule
    function name() external pure returns (string memory) {
        return "CountryAllowModule";
    }

    /// @inheritdoc ComplianceModule
    function refusal(
        address,
        address to,
        uint256,
        address compliance
    ) public view override returns (bytes memory reason) {
        Link storage link = _linkOf[compliance];
        uint16 home = link.home;
        uint16 country = link.identities.storedInvestorCountry(to);
        bool atHome = country == home && country != 0;
        if (!atHome && !isCountryAllowed(compliance, country)) {
            return abi.encodeWithSelector(CountryNotAllowed.selector, compliance, to, country);
        }
    }

    /// @notice Tells whether `country` is on the list of `compliance`.
    function isCountryAllowed(address compliance, uint16 country) public view returns (bool) {
        return (_allowed[compliance][country >> 8] >> (country & 0xff)) & 1 == 1;
    }

    /// @inheritdoc ComplianceModule
    function isComplianceBound(address compliance) public view override returns (bool) {
        return _linkOf[compliance].bound;
    }

    function _bind(address compliance) internal override {
        _linkOf[compliance].bound = true;
        _link(compliance, _tokenOf(compliance));
    }

    function _unbind(address compliance) internal override {
        _linkOf[compliance].bound = false;
    }

    /// @inheritdoc LinkedModule
    function _storeLinks(
        address compliance,
        ISuiteToken token,
        ISuiteIdentityStorage identities
    ) internal override {
        _linkOf[compliance].token = token;
        _linkOf[compliance].identities = identities;
    }

    /// @inheritdoc LinkedModule
    function _links(address compliance) internal view override returns (ISuiteToken, ISuiteIdentityStorage) {
        Link storage link = _linkOf[compliance];
        return (link.token, link.identities);
    }
}
