// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
'require dom';
'require poll';
'require rpc';
'require view';
'require view.wgsteer.messages as messages';

const callStatus = rpc.declare({
	object: 'wgsteer',
	method: 'status',
	expect: { '': {} }
});

// Without the service, the plugin or permission there is no answer; the page says so, and keeps asking.
function getStatus() {
	return L.resolveDefault(callStatus(), {});
}

// Children always come as arrays: E() would treat a lone string as HTML, and names and reasons are not ours.
function badge(kind, text) {
	return E('span', { 'class': 'label ' + kind }, [ text ]);
}

function lines(parts) {
	return parts.filter(part => part != null).map(part => E('div', {}, Array.isArray(part) ? part : [ part ]));
}

function table(id, titles, rows, placeholder) {
	const cells = row => row.map((cell, i) => E('td', { 'class': 'td', 'data-title': titles[i] }, cell));
	return E('table', { 'class': 'table', 'id': id }, [
		E('tr', { 'class': 'tr table-titles' }, titles.map(title => E('th', { 'class': 'th' }, [ title ]))),
		...rows.map(row => E('tr', { 'class': 'tr' }, cells(row))),
		...(rows.length ? [] : [
			E('tr', { 'class': 'tr placeholder' }, [ E('td', { 'class': 'td', 'colspan': titles.length }, [ placeholder ]) ])
		])
	]);
}

function section(title, content) {
	return E('div', { 'class': 'cbi-section' }, [ E('h3', {}, [ title ]), content ]);
}

// The result of probing a WAN, or one address through it.
function quality(measured) {
	const parts = [];
	if (measured.latency_ms != null)
		parts.push(_('%d ms').format(measured.latency_ms));
	if (measured.loss_percent != null)
		parts.push(_('%d %% lost').format(measured.loss_percent));
	return parts.length ? parts.join(', ') : null;
}

function target(each) {
	const measured = quality(each);
	return measured ? '%s: %s'.format(each.address, measured) : each.address;
}

function family(state) {
	return lines([
		[ state.usable ? badge('success', _('usable')) : badge('', _('not usable')) ],
		state.usable ? null : state.why,
		state.cannot_be_probed ? _('cannot be probed: this router blocks the probes. To allow them: %s').format(state.fix) : null,
		state.gateway ? _('via gateway %s').format(state.gateway) : null,
		state.source ? _('from %s').format(state.source) : null
	]);
}

function wanRow(wan) {
	// By the router's clock: an age computed with the browser's clock might be wrong.
	const since = wan.since ? _('since %s').format(new Date(wan.since * 1000).toLocaleString()) : null;
	const usable = wan.ipv4.usable || wan.ipv6.usable;
	return [
		lines([ [ E('strong', {}, [ wan.name ]) ], wan.device !== wan.name ? wan.device : null ]),
		lines([ [ usable ? badge('success', _('up')) : badge('warning', _('down')) ], since, quality(wan),
			...(wan.targets || []).map(target) ]),
		family(wan.ipv4),
		family(wan.ipv6)
	];
}

function wanTable(status) {
	return table('wgsteer-wans', [ _('WAN'), _('State'), _('IPv4'), _('IPv6') ], status.wans.map(wanRow),
		_('No WAN: only tunnels have a default route.'));
}

// The WAN by which packets to the peer leave: what the kernel does, whatever the policy says.
function wanInUse(peer) {
	if (!peer.path)
		return [];
	const wan = peer.wan ? E('strong', {}, [ peer.wan ]) : badge('warning', _('none'));
	return lines([ [ wan ], peer.balanced ? _('balanced: one of several equal WANs') : null, ...stalled(peer) ]);
}

// Why a peer uses another path than its policy says.
function stalled(peer) {
	if (!peer.stalled)
		return [];
	return [
		[ badge('warning', peer.stalled.wan ? _('diverted') : _('stalled')) ],
		peer.stalled.why,
		peer.stalled.wan && peer.stalled.wan !== peer.wan ? _('should use %s').format(peer.stalled.wan) : null,
		peer.stalled.since ? _('since %s').format(new Date(peer.stalled.since * 1000).toLocaleString()) : null
	];
}

const kPaths = {
	'ok': [ 'success', () => _('on its WAN') ],
	'loop': [ 'warning', () => _('loops into a tunnel') ],
	'dropped': [ 'warning', () => _('would enter a tunnel, dropped') ],
	'unreachable': [ 'warning', () => _('unreachable') ],
	'no route': [ 'warning', () => _('no route') ],
	'local': [ 'warning', () => _('to this router') ]
};

function path(peer) {
	if (!peer.path)
		return [];
	return lines([ [ verdict(peer) ], peer.left_alone, peer.device ? _('by %s').format(peer.device) : null,
		peer.source ? _('from %s').format(peer.source) : null,
		peer.planned ? _('planned, not in the kernel yet: %s').format(kPaths[peer.planned.path]?.[1]() || peer.planned.path) : null,
		peer.planned?.device ? _('planned by %s').format(peer.planned.device) : null ]);
}

// A path is right only if the kernel uses it and the daemon plans no change.
function verdict(peer) {
	if (peer.left_alone)
		return badge('', _('left alone'));
	if (peer.planned)
		return badge('warning', peer.path === 'ok' ? _('differs from the plan') : kPaths[peer.path]?.[1]() || peer.path);
	if (peer.path === 'ok' && !peer.wan)
		return badge('warning', _('no WAN'));
	const [ kind, text ] = kPaths[peer.path] || [ 'warning', () => peer.path ];
	return badge(kind, text());
}

function handshake(peer) {
	return peer.handshake_age == null ? _('never') : _('%t ago').format(peer.handshake_age);
}

function peerRow(tunnel, peer) {
	return [
		lines([ [ E('strong', {}, [ tunnel.interface ]) ],
			tunnel.role === 'server' ? _('server') : _('client') ]),
		lines([ peer.host, [ E('span', { 'title': peer.public_key }, [ peer.public_key.substring(0, 10) + '…' ]) ] ]),
		[ peer.endpoint || _('unknown') ],
		[ peer.policy ],
		wanInUse(peer),
		path(peer),
		lines([ handshake(peer), _('%1024.1mB received, %1024.1mB sent').format(peer.received, peer.sent) ])
	];
}

function tunnelRows(tunnel) {
	if (tunnel.peers.length)
		return tunnel.peers.map(peer => peerRow(tunnel, peer));
	return [ [ [ E('strong', {}, [ tunnel.interface ]) ], [ _('no peers') ], [], [ tunnel.policy ], [], [], [] ] ];
}

function tunnelTable(status) {
	return table('wgsteer-tunnels',
		[ _('Tunnel'), _('Peer'), _('Endpoint'), _('Policy'), _('WAN in use'), _('Path'), _('Last handshake') ],
		status.tunnels.flatMap(tunnelRows), _('No WireGuard interface.'));
}

function notices(status) {
	const all = messages.refused(status);
	if (status.daemon == null)
		all.push(messages.message('warning', _('The service is not running, so changes are not followed. Paths are those in the kernel; the state of WANs comes from their links and routes alone.')));
	if (status.pending > 0)
		all.push(messages.message('notice', N_(status.pending, '%d change is not in the kernel yet.',
			'%d changes are not in the kernel yet.').format(status.pending)));
	all.push(...Object.values(status.tunnel_troubles || {}).map(why => messages.message('warning', why)));
	return all.concat((status.problems || []).map(problem => messages.message('warning', problem)));
}

function content(status) {
	if (status.error)
		return messages.refused(status);
	if (!Array.isArray(status.wans))
		return [ messages.message('danger', _('No answer from wgsteer. Is it installed, and is its service running?')) ];
	return [
		...notices(status),
		section(_('WANs'), wanTable(status)),
		section(_('Tunnels'), tunnelTable(status))
	];
}

return view.extend({
	load: getStatus,

	render: function(status) {
		const root = E('div', { 'id': 'wgsteer-status' }, content(status));
		poll.add(() => getStatus().then(current => dom.content(root, content(current))));
		return E('div', { 'class': 'cbi-map' }, [ E('h2', {}, [ _('WireGuard steering') ]), root ]);
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});
