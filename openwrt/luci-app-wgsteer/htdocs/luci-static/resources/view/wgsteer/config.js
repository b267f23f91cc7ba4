// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require dom';
'require form';
'require poll';
'require rpc';
'require uci';
'require view';
'require view.wgsteer.checks as checks';
'require view.wgsteer.messages as messages';

const callStatus = rpc.declare({
	object: 'wgsteer',
	method: 'status',
	expect: { '': {} }
});

const callInterfaces = rpc.declare({
	object: 'network.interface',
	method: 'dump',
	expect: { 'interface': [] }
});

// The name of a section: that of its option or, without one, that of the section itself.
function nameOf(section_id, option) {
	const section = uci.get('wgsteer', section_id);
	return section?.[option] || (section?.['.anonymous'] ? '' : section_id);
}

function namesOf(type, option) {
	return uci.sections('wgsteer', type).map(section => nameOf(section['.name'], option)).filter(name => name);
}

// LuCI knows three places for an option of a grid, by `modalonly`: null is the table and the dialogue, true only the
// dialogue, false only the table, where nothing can be edited. Everything can be edited here, so false is not used.
const kInTable = { 'modalonly': null };

function add(section, tab, type, name, title, description, properties) {
	const args = [ type, name, title, description ];
	const option = tab ? section.taboption(tab, ...args) : section.option(...args);
	// In a table: an option that is not set is not "none".
	const textvalue = function(section_id) {
		return '%h'.format(L.toArray(this.cfgvalue(section_id)).join(', ') || '–');
	};
	return Object.assign(option, { 'modalonly': true }, type === form.Flag ? {} : { 'textvalue': textvalue }, properties);
}

// Suggestions are computed when the field is shown, so they include what was added meanwhile.
function suggest(option, names) {
	option.load = function(section_id) {
		this.keylist = [];
		this.vallist = [];
		names().forEach(name => this.value(name));
		return this.super('load', [ section_id ]);
	};
	return option;
}

// Unset options stay unset: the daemon's default may change with its version.
function choose(option, values, standard) {
	option.value('', _('default (%s)').format(standard));
	values.forEach(([ value, title ]) => option.value(value, title));
	return option;
}

function flag(section, tab, name, title, description, standard, properties) {
	const option = add(section, tab, form.Flag, name, title, description, { 'default': standard ? '1' : '0', ...properties });
	// The daemon accepts more spellings than the widget.
	option.load = function(section_id) {
		const value = this.super('load', [ section_id ]);
		return checks.kTrue.includes(value) ? '1' : checks.kFalse.includes(value) ? '0' : value;
	};
	return option;
}

function number(section, tab, name, title, description, low, high, standard, properties) {
	return add(section, tab, form.Value, name, title, description,
		{ 'datatype': 'and(integer,range(%d,%d))'.format(low, high), 'placeholder': standard, ...properties });
}

function seconds(section, tab, name, title, description, high, standard) {
	return add(section, tab, form.Value, name, title, description,
		{ 'datatype': 'and(ufloat,range(0.1,%d))'.format(high), 'placeholder': standard });
}

// The option that names a section, for sections without a name or with one that UCI does not allow.
function naming(option) {
	option.placeholder = _('as the section');
	option.textvalue = function(section_id) {
		return '%h'.format(nameOf(section_id, this.option));
	};
	return option;
}

function titled(section, option) {
	section.addremove = true;
	section.nodescriptions = true;
	section.sectiontitle = section_id => nameOf(section_id, option);
	// Shown as HTML.
	section.modaltitle = section_id => '%h'.format(nameOf(section_id, option));
}

function globalsSection(map) {
	// There is at most one, whatever its name.
	const s = map.section(form.NamedSection, uci.sections('wgsteer', 'globals')[0]['.name'], 'globals', _('General'));
	s.addremove = false;

	choose(add(s, null, form.ListValue, 'on_exit', _('When the service ends'),
		_('Keep: the kernel keeps steering. Stopping the service with its init script always removes everything.')),
		[ [ 'keep', _('keep') ], [ 'flush', _('remove') ] ], 'keep');
	choose(add(s, null, form.ListValue, 'log_level', _('Log level')),
		[ [ 'error', _('error') ], [ 'warn', _('warning') ], [ 'info', _('information') ], [ 'debug', _('debug') ] ], 'info');
	flag(s, null, 'sysctl', _('Allow sysctls'),
		_('Turn on ignore_routes_with_linkdown and src_valid_mark for WAN devices where needed.'), true);
	flag(s, null, 'forward', _('Forwarded tunnels'),
		_('Also steer WireGuard packets of hosts behind this router, if they go to an endpoint that is known here.'), false);
	add(s, null, form.Value, 'mark_mask', _('Mark mask'),
		_('Bits of the firewall mark that belong to wgsteer: each value serves one WAN or one policy of several WANs. 2 to 16 contiguous bits. Default: 0xf0000000, with rules 0xff000000.'),
		{ 'placeholder': _('automatic'), 'validate': checks.markMask });
	add(s, null, form.DynamicList, 'inside_tables', _('Inside tables'),
		_('Numbers of routing tables whose destinations are inside, as those of main are: rules never send traffic for them over a WAN.'),
		{ 'validate': checks.each(checks.insideTable) });
	add(s, null, form.DynamicList, 'inside_prefixes', _('Inside prefixes'),
		_('IPv6 prefixes of hosts behind this router that no WAN has delegated: translated by policies that translate.'),
		{ 'validate': checks.each(checks.prefix6) });
	number(s, null, 'rule_priority', _('Rule priority'), _('First of the 40 ip rule priorities that belong to wgsteer.'),
		1, 32104, '60');
	flag(s, null, 'force', _('Ignore conflicts'), _('Start even though another program\'s rule uses bits of the mark.'), false);
}

function wanSection(map, interfaces, status) {
	const s = map.section(form.GridSection, 'wan', _('WANs'),
		_('Once a WAN is listed here, only listed WANs are used. Without any: the interfaces that mwan3 has enabled or, without mwan3, every device that has a default route and is not a tunnel.'));
	titled(s, 'name');
	s.sortable = true;
	s.tab('general', _('General'));
	s.tab('health', _('Health'));
	s.tab('quality', _('Quality'));

	naming(add(s, 'general', form.Value, 'name', _('Name'), _('Needed only for a name with characters that a section name cannot have.'),
		{ 'validate': checks.sectionName('wan') }));
	suggest(add(s, 'general', form.Value, 'interface', _('Interface'), _('Its name under Network, Interfaces.'),
		{ ...kInTable, 'validate': checks.wanInterface }), () => interfaces);
	suggest(add(s, 'general', form.Value, 'device', _('Device'), _('Instead of an interface.'),
		{ ...kInTable, 'validate': checks.wanDevice }), () => status.wans?.map(wan => wan.device) || []);
	add(s, 'general', form.DynamicList, 'gateway', _('Gateway'), _('Its router, where several WANs are on one device, behind a router each. It need not have a default route.'),
		{ 'validate': checks.each(checks.gateway) });
	number(s, 'general', 'metric', _('Metric'), _('The lowest is preferred. Default: the position in this list.'), 1, 4294967039, '', kInTable);
	number(s, 'general', 'weight', _('Weight'), _('Share among WANs of equal metric.'), 1, 256, '1', kInTable);
	add(s, 'general', form.DynamicList, 'dns', _('Name servers'), _('Queried through this WAN when the router\'s own resolver does not answer. Default: those that netifd has for it.'),
		{ 'validate': checks.each(checks.address) });
	flag(s, 'general', 'metered', _('Metered'), _('Connections of rules move off this WAN as soon as a better one is usable again.'), false);
	add(s, 'general', form.DynamicList, 'prefixes', _('IPv6 prefixes'), _('What its provider has delegated, besides what netifd knows.'),
		{ 'validate': checks.each(checks.prefix6) });
	flag(s, 'general', 'source_routing', _('Source routing'),
		_('Packets from its IPv6 prefixes leave by this WAN while it is usable, unless a rule refuses them or its policy lacks this WAN.'), false);
	flag(s, 'general', 'deprecate', _('Deprecate prefixes'),
		_('While this WAN cannot be used in IPv6 and another one can, router advertisements make hosts send from their other address.'), false);

	choose(add(s, 'health', form.ListValue, 'track_method', _('Method'), _('Default: ping if there are addresses, else link and routes only.'),
		{ 'validate': checks.trackMethod }),
		[ [ 'none', _('link and routes') ], [ 'icmp', _('ping') ], [ 'dns', _('DNS') ], [ 'tcp', _('TCP') ], [ 'mwan3', _('verdict of mwan3') ] ],
		_('automatic'));
	add(s, 'health', form.DynamicList, 'track_ip', _('Addresses'), _('Probed to find out whether the WAN works. With TCP and DNS also address:port.'),
		{ 'validate': checks.each(checks.trackIp) });
	number(s, 'health', 'reliability', _('Reliability'), _('How many addresses must answer for a good round.'), 1, 100, '1').validate = checks.reliability;
	number(s, 'health', 'count', _('Count'), _('Probes to each address in a round.'), 1, 100, '1');
	seconds(s, 'health', 'interval', _('Interval'), _('Seconds between rounds.'), 86400, '10');
	seconds(s, 'health', 'timeout', _('Timeout'), _('Seconds to wait for an answer.'), 3600, '4');
	number(s, 'health', 'down', _('Down after'), _('Bad rounds in a row.'), 1, 1000, '5');
	number(s, 'health', 'up', _('Up after'), _('Good rounds in a row.'), 1, 1000, '5');
	seconds(s, 'health', 'failure_interval', _('Failure interval'), _('Seconds between rounds while the WAN is going down.'), 86400, _('interval'));
	flag(s, 'health', 'keep_failure_interval', _('Keep failure interval'), _('Also while the WAN is down.'), false);
	seconds(s, 'health', 'recovery_interval', _('Recovery interval'), _('Seconds between rounds while the WAN is coming up.'), 86400, _('interval'));
	number(s, 'health', 'size', _('Size'), _('Payload of a ping in bytes.'), 16, 65507, '56');
	number(s, 'health', 'max_ttl', _('TTL'), _('Time to live of probes.'), 1, 255, '60');

	flag(s, 'quality', 'check_quality', _('Check quality'),
		_('Latency and loss count too: an address that reaches a failure threshold counts as silent until both values are within the recovery thresholds.'), false);
	number(s, 'quality', 'failure_latency', _('Failure latency'), _('Milliseconds, averaged over some rounds.'), 1, 60000, '1000');
	number(s, 'quality', 'recovery_latency', _('Recovery latency'), _('Milliseconds.'), 1, 60000, '500').validate = checks.below('failure_latency', 500, 1000);
	number(s, 'quality', 'failure_loss', _('Failure loss'), _('Percent, averaged over some rounds.'), 1, 100, '40');
	number(s, 'quality', 'recovery_loss', _('Recovery loss'), _('Percent.'), 0, 100, '10').validate = checks.below('failure_loss', 10, 40);
}

function useWan(s, description) {
	return suggest(add(s, null, form.DynamicList, 'use_wan', _('WANs'), description,
		{ ...kInTable, 'validate': checks.each(checks.member(() => namesOf('wan', 'name'))) }), () => namesOf('wan', 'name'));
}

function usePolicy(s) {
	return suggest(add(s, null, form.Value, 'use_policy', _('Policy'), _('Either this or WANs. Default: all WANs by their own metrics.'),
		{ ...kInTable, 'validate': checks.usePolicy(() => namesOf('policy', 'name')) }), () => [ 'default', ...namesOf('policy', 'name') ]);
}

function policySection(map) {
	const s = map.section(form.GridSection, 'policy', _('Policies'), _('Named orders of WANs.'));
	titled(s, 'name');
	naming(add(s, null, form.Value, 'name', _('Name'), _('Needed only for a name with characters that a section name cannot have.'),
		{ 'validate': checks.sectionName('policy', [ 'default', 'main', 'unreachable', 'blackhole' ]) }));
	useWan(s, _('WAN, WAN:METRIC or WAN:METRIC:WEIGHT. The default metric is the position in this list. Default: all WANs by their own metrics.'));
	choose(add(s, null, form.ListValue, 'last_resort', _('Last resort'), _('While none of its WANs is usable.')),
		[ [ 'unreachable', _('unreachable') ], [ 'main', _('main table') ] ], 'unreachable');
	choose(add(s, null, form.ListValue, 'failback', _('Failback'),
		_('For rules: whether connections on another WAN return when a better one is usable again. Drain: each moves once it has been idle for a while.')),
		[ [ 'keep', _('keep') ], [ 'drain', _('drain') ], [ 'move', _('move') ] ], 'keep');
	number(s, null, 'drain_after', _('Drain after'), _('Seconds without a packet after which a connection moves, with failback drain.'), 5, 86400, '60');
	flag(s, null, 'reset', _('Reset'),
		_('For rules: while one of its WANs is dead, packets of unknown TCP connections from hosts behind this router are answered with a reset.'), false);
	choose(add(s, null, form.ListValue, 'balance', _('Balance'),
		_('For rules: what selects the WAN when connections are shared among WANs of equal metric.')),
		[ [ 'connection', _('each connection by itself') ], [ 'pair', _('the same two addresses') ], [ 'source', _('the same source address') ] ],
		_('each connection by itself'));
	choose(add(s, null, form.ListValue, 'ipv6', _('IPv6 sources'),
		_('For rules: how IPv6 packets are treated whose source is not of the WAN they leave by.')),
		[ [ 'none', _('left as they are') ], [ 'reject', _('reject') ], [ 'masquerade', _('masquerade') ], [ 'translate', _('translate the prefix') ] ],
		_('left as they are'));
}

function tunnelSection(map, tunnels) {
	const s = map.section(form.GridSection, 'tunnel', _('Tunnels'), _('WireGuard interfaces that should not use all WANs by their metrics.'));
	titled(s, 'interface');
	s.anonymous = true;
	suggest(naming(add(s, null, form.Value, 'interface', _('Interface'), null,
		{ 'validate': checks.tunnelName })), () => tunnels);
	usePolicy(s);
	useWan(s, _('Either this or a policy.'));
	choose(add(s, null, form.ListValue, 'role', _('Role'), _('A client starts handshakes. A server is contacted by its peers, and its replies leave by the WAN on which they came in.')),
		[ [ 'auto', _('automatic') ], [ 'client', _('client') ], [ 'server', _('server') ] ], 'auto');
	number(s, null, 'stall', _('Stalled after'), _('Seconds without an answer to data after which a peer is moved: to its next address, then to the next WAN.'), 0, 86400, '20');
	number(s, null, 'hold', _('Hold'), _('Seconds on another WAN before the preferred one is tried again.'), 1, 86400, '60');
	flag(s, null, 'enabled', _('Enabled'), _('If off, this interface is left alone.'), true, kInTable);
	flag(s, null, 'update_endpoint', _('Update endpoint'), _('Give a peer with a host name a new endpoint when the name changes its addresses.'), true);
	flag(s, null, 'balance', _('Balance'), _('Distribute the peers over WANs of equal metric. Not for servers.'), false).validate = checks.balance;
}

function peerSection(map, tunnels, status) {
	const s = map.section(form.GridSection, 'peer', _('Peers'), _('Peers with WANs of their own.'));
	titled(s, 'tunnel');
	s.anonymous = true;
	suggest(add(s, null, form.Value, 'tunnel', _('Tunnel'), null,
		{ 'rmempty': false, 'validate': checks.peerTunnel }), () => tunnels);
	suggest(add(s, null, form.Value, 'public_key', _('Public key'), null,
		{ ...kInTable, 'rmempty': false, 'validate': checks.publicKey }),
		() => status.tunnels?.flatMap(tunnel => tunnel.peers.map(peer => peer.public_key)) || []);
	add(s, null, form.Value, 'endpoint', _('Endpoint'), _('host:port; a host name is resolved again as often as DNS says. Default: the endpoint in the kernel.'),
		{ 'placeholder': 'vpn.example.com:51820', 'validate': checks.endpoint });
	usePolicy(s);
	useWan(s, _('Either this or a policy.'));
}

return view.extend({
	load: function() {
		return Promise.all([
			L.resolveDefault(callStatus(), {}),
			L.resolveDefault(callInterfaces(), []),
			uci.load('wgsteer')
		]);
	},

	render: function([ status, interfaces ]) {
		// The daemon reads a saved configuration with a short delay.
		const refused = E('div', { 'id': 'wgsteer-refused' }, messages.refused(status));
		poll.add(() => L.resolveDefault(callStatus(), {}).then(current => dom.content(refused, messages.refused(current))));
		// The user may have removed the packaged section; a form needs a section to show.
		if (!uci.sections('wgsteer', 'globals').length)
			uci.add('wgsteer', 'globals', 'globals');
		const known = interfaces.filter(each => each.interface !== 'loopback' && each.proto !== 'wireguard').map(each => each.interface);
		const tunnels = status.tunnels?.map(tunnel => tunnel.interface) || [];
		const map = new form.Map('wgsteer', _('WireGuard steering'),
			_('No configuration is needed: every WireGuard interface is kept on the physical WANs. This page refines that. A configuration with errors never replaces the running one; the errors are shown here and in the system log.'));
		globalsSection(map);
		wanSection(map, known, status);
		policySection(map);
		tunnelSection(map, tunnels);
		peerSection(map, tunnels, status);
		return map.render().then(node => E('div', {}, [ refused, node ]));
	}
});
