// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require baseclass';
'require uci';
'require validation';

// What the daemon refuses, refused before it is saved; the daemon's own check is in src/config/. Functions are called as
// validate() of an option is: with the option as `this`, the section and the value. The value is what the widget's field
// has: '1' for a checkbox, ticked or not; of a list what is being typed, and '' when LuCI asks about the list.

const kTrue = [ '1', 'true', 'yes', 'on', 'enabled' ];
const kFalse = [ '0', 'false', 'no', 'off', 'disabled' ];

function isName(text) {
	return (/^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,31}$/).test(text);
}

function isInterfaceName(text) {
	const bytes = new TextEncoder().encode(text);
	return bytes.length >= 1 && bytes.length <= 15 && text !== '.' && text !== '..' &&
		!(/[\/:]/).test(text) && !bytes.some(byte => byte <= 0x20 || byte === 0x7f || byte === 0xa0);
}

function isInteger(text, low, high) {
	return (/^\d+$/).test(text) && +text >= low && +text <= high;
}

// LuCI accepts 010.0.0.1, which some programs take for octal and the daemon rejects.
function isIPv4(text) {
	return !(/(^|\.)0\d/).test(text) && validation.parseIPv4(text) != null;
}

function isAddress(text) {
	return isIPv4(text) || (text.includes(':') && validation.parseIPv6(text) != null);
}

function isRouterAddress(text) {
	const numbers = isIPv4(text) ? validation.parseIPv4(text) : text.includes(':') && validation.parseIPv6(text);
	if (!numbers || numbers.every(number => number === 0))
		return false;
	if (numbers.length === 4)
		return numbers[0] !== 127 && !(numbers[0] >= 224 && numbers[0] < 240) && text !== '255.255.255.255';
	return numbers[0] >> 8 !== 0xff && !(numbers[7] === 1 && numbers.slice(0, 7).every(number => number === 0));
}

function isHostName(text) {
	const labels = text.replace(/\.$/, '').split('.');
	// No top-level domain is a number: this is a mistyped address.
	return text.replace(/\.$/, '').length <= 253 && !(/^\d+$/).test(labels[labels.length - 1]) &&
		labels.every(label => (/^[A-Za-z0-9_-]{1,63}$/).test(label) && !(/^-|-$/).test(label));
}

function split(text) {
	const at = text.lastIndexOf(':');
	return at < 0 ? [ text, '' ] : [ text.substring(0, at), text.substring(at + 1) ];
}

function isAddressPort(text) {
	const [ host, port ] = split(text);
	const bracketed = host.match(/^\[(.*:.*)\]$/);
	return isInteger(port, 1, 65535) && (bracketed ? validation.parseIPv6(bracketed[1]) != null : isIPv4(host));
}

function isEndpoint(text) {
	const [ host, port ] = split(text);
	return isAddressPort(text) || (isHostName(host) && isInteger(port, 1, 65535));
}

function isMarkMask(text) {
	if (!/^(0[xX][0-9a-fA-F]+|\d+)$/.test(text) || Number(text) > 0xffffffff)
		return false;
	const bits = Number(text).toString(2).replace(/0+$/, '');
	return (/^1{2,16}$/).test(bits);
}

// The kernel's own tables have no inside routes, or count anyway; ours are those of WANs and policies.
function isInsideTable(text) {
	return isInteger(text, 1, 0xffffffff) && !(+text >= 253 && +text <= 255) && !(+text >= 0x57470000 && +text < 0x57470400);
}

// One that hosts can have: not all, loopback, link-local or multicast.
function isPrefix6(text) {
	const [ address, length, rest ] = text.split('/');
	const numbers = address.includes(':') ? validation.parseIPv6(address) : null;
	if (!numbers || rest != null || !(length == null || isInteger(length, 1, 128)))
		return false;
	const bits = length == null ? 128 : +length;
	const first = numbers.map((number, i) => {
		const kept = Math.min(Math.max(bits - 16 * i, 0), 16);
		return number & (0xffff << (16 - kept)) & 0xffff;
	});
	return first[0] >> 8 !== 0xff && first[0] >> 6 !== 0xfe80 >> 6 && !first.slice(0, 7).every(number => number === 0) ||
		(first[7] > 1 && first.slice(0, 7).every(number => number === 0));
}

// Without the final "=", 43 letters of six bits each, of which the last two are unused.
function isPublicKey(text) {
	return (/^[A-Za-z0-9+\/]{42}[AEIMQUYcgkosw048]=$/).test(text);
}

function isAnonymous(section_id) {
	return uci.get('wgsteer', section_id)?.['.anonymous'];
}

function listOf(option, section_id, name) {
	return L.toArray(option.section.formvalue(section_id, name)).filter(value => value !== '');
}

// Whether another section has this name, by its option or as a section.
function isTaken(type, option, section_id, value) {
	return uci.sections('wgsteer', type).some(section => section['.name'] !== section_id &&
		(section[option] || (section['.anonymous'] ? '' : section['.name'])) === value);
}

function expecting(what) {
	return _('Expecting: %s').format(what);
}

// An optional value, which is valid if `test` says so.
function optional(test, what) {
	return (section_id, value) => value === '' || test(value) || expecting(what());
}

function interfaceName() {
	return _('a device name of at most 15 characters, without spaces, "/" and ":"');
}

function anotherWanHas(option, section_id, value) {
	return uci.sections('wgsteer', 'wan').some(wan => wan['.name'] !== section_id && wan[option] === value);
}

function isIPv6Text(text) {
	return text.includes(':');
}

// Whether something tells two WANs on one device apart: a gateway that only one of them has.
function canShareDevice(one, other) {
	const pairs = [ false, true ].map(v6 => [ one, other ].map(each => each.find(gateway => isIPv6Text(gateway) === v6)));
	return pairs.every(([ left, right ]) => !left || left !== right) && pairs.some(([ left, right ]) => left !== right);
}

function eitherPolicyOrWans(option, section_id) {
	return listOf(option, section_id, 'use_policy').length === 0 || listOf(option, section_id, 'use_wan').length === 0 ||
		_('Either a policy or WANs, not both');
}

return baseclass.extend({
	kTrue: kTrue,
	kFalse: kFalse,

	endpoint: optional(isEndpoint, () => _('host:port or [IPv6]:port')),
	markMask: optional(isMarkMask, () => _('2 to 16 contiguous bits, like 0xf0000000')),

	insideTable: function(section_id, value) {
		if (value === '')
			return true;
		if (!isInsideTable(value))
			return expecting(_('the number of a table other than main, local and default'));
		return listOf(this, section_id, 'inside_tables').filter(one => +one === +value).length < 2 || _('This table is listed twice');
	},

	sectionName: (type, reserved) => function(section_id, value) {
		if (value === '')
			return !isAnonymous(section_id) || _('This section has no name of its own');
		if (!isName(value))
			return expecting(_('letters, digits, "_", "-" and ".", at most 32, no "-" first'));
		return !(isTaken(type, 'name', section_id, value) || reserved?.includes(value)) || _('This name is taken');
	},

	tunnelName: function(section_id, value) {
		if (value === '')
			return !isAnonymous(section_id) || _('This section has no name of its own');
		if (!isInterfaceName(value))
			return expecting(interfaceName());
		if (anotherWanHas('device', null, value))
			return _('This is the device of a WAN');
		return !isTaken('tunnel', 'interface', section_id, value) || _('There is a section for this interface already');
	},

	peerTunnel: function(section_id, value) {
		if (!isInterfaceName(value))
			return expecting(interfaceName());
		return !anotherWanHas('device', null, value) || _('This is the device of a WAN');
	},

	wanInterface: function(section_id, value) {
		const device = this.section.formvalue(section_id, 'device');
		if (!value === !device)
			return device ? _('Either an interface or a device, not both') : _('Either an interface or a device is needed');
		if (value && !isName(value))
			return expecting(_('letters, digits, "_", "-" and ".", at most 32, no "-" first'));
		return !value || !anotherWanHas('interface', section_id, value) || _('Another WAN uses it');
	},

	wanDevice: function(section_id, value) {
		if (value && !isInterfaceName(value))
			return expecting(interfaceName());
		const own = listOf(this, section_id, 'gateway');
		const others = uci.sections('wgsteer', 'wan').filter(wan => value && wan['.name'] !== section_id && wan.device === value);
		return others.every(wan => canShareDevice(L.toArray(wan.gateway), own)) ||
			_('Another WAN uses it; each needs its own gateway');
	},

	gateway: function(section_id, value) {
		if (value !== '' && !isRouterAddress(value))
			return expecting(_('the IPv4 or IPv6 address of a router'));
		const all = new Set([ ...listOf(this, section_id, 'gateway'), value ]);
		return [ ...all ].filter(one => one !== '' && isIPv6Text(one) === isIPv6Text(value)).length < 2 ||
			_('One address of each family; another router is another WAN');
	},

	trackMethod: function(section_id, value) {
		return ![ 'icmp', 'dns', 'tcp' ].includes(value) || listOf(this, section_id, 'track_ip').length > 0 ||
			_('This method needs at least one address');
	},

	// A list is valid if each of its values is, including those that were there before.
	each: test => function(section_id, value) {
		const asked = value === '' ? listOf(this, section_id, this.option) : [ value ];
		return asked.map(one => test.call(this, section_id, one)).find(verdict => verdict !== true) ?? true;
	},

	prefix6: function(section_id, value) {
		return value === '' || isPrefix6(value) || expecting(_('an IPv6 prefix like 2001:db8:1::/56'));
	},

	address: function(section_id, value) {
		return value === '' || isAddress(value) || expecting(_('an IPv4 or IPv6 address'));
	},

	trackIp: function(section_id, value) {
		const method = this.section.formvalue(section_id, 'track_method');
		if (value === '' || isAddress(value))
			return true;
		if (!isAddressPort(value))
			return expecting(_('an IPv4 or IPv6 address; with DNS and TCP also address:port'));
		return method === 'dns' || method === 'tcp' || _('Only DNS and TCP use ports');
	},

	reliability: function(section_id, value) {
		const addresses = listOf(this, section_id, 'track_ip').length;
		return value === '' || addresses === 0 || +value <= addresses || _('There are fewer addresses than that');
	},

	// The values at which a WAN recovers must differ from those at which it fails.
	below: (failure, recoveryDefault, failureDefault) => function(section_id, value) {
		const limit = this.section.formvalue(section_id, failure) || failureDefault;
		return +(value || recoveryDefault) < +limit || _('Must be less than the failure threshold, which is %d').format(limit);
	},

	usePolicy: names => function(section_id, value) {
		if (value !== '' && value !== 'default' && !names().includes(value))
			return _('No policy has this name');
		return eitherPolicyOrWans(this, section_id);
	},

	member: names => function(section_id, value) {
		const [ wan, metric, weight, ...more ] = value.split(':');
		if (value === '')
			return true;
		if (more.length || (metric != null && !isInteger(metric, 1, 4294967039)) || (weight != null && !isInteger(weight, 1, 256)))
			return expecting(_('WAN, WAN:METRIC or WAN:METRIC:WEIGHT'));
		if (!names().includes(wan))
			return _('No WAN has this name');
		// The value being typed may or may not be in the list yet.
		const all = new Set([ ...listOf(this, section_id, 'use_wan'), value ]);
		return [ ...all ].filter(each => each.split(':')[0] === wan).length < 2 || _('This WAN is listed twice');
	},

	balance: function(section_id) {
		return this.formvalue(section_id) !== '1' || this.section.formvalue(section_id, 'role') !== 'server' || _('Replies of a server leave by the WAN on which the peer came in');
	},

	publicKey: function(section_id, value) {
		if (!isPublicKey(value))
			return expecting(_('44 characters of base64, as wg shows them'));
		const tunnel = this.section.formvalue(section_id, 'tunnel');
		return !uci.sections('wgsteer', 'peer').some(peer => peer['.name'] !== section_id && peer.tunnel === tunnel &&
			peer.public_key === value) || _('There is a section for this peer already');
	}
});
