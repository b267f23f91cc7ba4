// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';

const copy = value => JSON.parse(JSON.stringify(value));
const text = selector => [ ...document.querySelectorAll(selector) ].map(node => node.innerText.trim());
const cells = (table, row) => text(`#${table} tr:nth-child(${row + 2}) td`);
const rows = table => document.querySelectorAll(`#${table} tr:not(.table-titles):not(.placeholder)`).length;

async function statusPage(status) {
  ubus['wgsteer.status'] = () => status;
  await show('view.wgsteer.status');
}

async function becomes(status) {
  ubus['wgsteer.status'] = () => status;
  await poll.tick();
}

test('status: all is well', async () => {
  await statusPage(given.up);
  equal(text('.alert-message'), [], 'no messages');
  equal(rows('wgsteer-wans'), 2, 'rows');
  const [ name, state, ipv4, ipv6 ] = cells('wgsteer-wans', 0);
  equal(name, 'fiber\nwan0', 'name and device');
  equal(state.toLowerCase(), 'up', 'state, of which nothing else is known');
  equal(ipv4.toLowerCase(), 'usable\nvia gateway 192.0.2.1\nfrom 192.0.2.10', 'IPv4');
  equal(ipv6.toLowerCase(), 'usable\nvia gateway 2001:db8:10::1\nfrom 2001:db8:10::10', 'IPv6');
  equal(cells('wgsteer-wans', 1)[0], 'lte\nwan1', 'the other WAN');
});

test('status: a peer', async () => {
  await statusPage(given.up);
  equal(rows('wgsteer-tunnels'), 1, 'rows');
  const [ tunnel, peer, endpoint, policy, inUse, path, handshake ] = cells('wgsteer-tunnels', 0);
  equal(tunnel, 'wg0\nclient', 'tunnel');
  equal(peer, 'kOdgrXjuYP…', 'peer');
  equal(document.querySelector('#wgsteer-tunnels [title]').title, 'kOdgrXjuYPpA/VHw75xi/ViDGPrkIrWTUnOj0KOtRRo=', 'whole key');
  equal(endpoint, '[2001:db8:cafe::55]:51820', 'endpoint');
  equal(policy, 'fiber+lte', 'policy');
  equal(inUse, 'fiber', 'WAN in use');
  equal(path.toLowerCase(), 'on its wan\nby wan0\nfrom 2001:db8:10::10', 'path');
  equal(handshake, '0h 0m 2s ago\n11.9 Ki' + 'B received, 12.2 KiB sent', 'handshake');
});

test('status: a WAN goes down and comes back', async () => {
  await statusPage(given.up);
  await becomes(given.down);
  const [ , state, ipv4, ipv6 ] = cells('wgsteer-wans', 0);
  equal(state.toLowerCase(), 'down', 'state');
  equal(ipv4.split('\n').slice(0, 2), [ 'NOT USABLE', '1 of 1 target unanswered for 2 rounds' ], 'IPv4');
  equal(ipv6.split('\n').slice(0, 2), [ 'NOT USABLE', '1 of 1 target unanswered for 2 rounds' ], 'IPv6');
  equal(cells('wgsteer-wans', 1)[1], 'UP', 'the other');
  equal(cells('wgsteer-tunnels', 0)[4], 'lte', 'WAN in use');
  await becomes(given.up);
  equal(cells('wgsteer-wans', 0)[1], 'UP', 'state afterwards');
  equal(cells('wgsteer-tunnels', 0)[4], 'fiber', 'WAN in use afterwards');
});

test('status: one family only', async () => {
  const status = copy(given.up);
  status.wans[0].ipv6 = { usable: false, why: 'no default route', gateway: null, source: null, metric: 1 };
  await statusPage(status);
  equal(cells('wgsteer-wans', 0)[1], 'UP', 'state');
  equal(cells('wgsteer-wans', 0)[3], 'NOT USABLE\nno default route', 'IPv6');
});

test('status: probes that are blocked', async () => {
  const status = copy(given.up);
  const fix = 'iptables -I OUTPUT -m mark --mark 0x10000000/0xf0000000 -j ACCEPT';
  Object.assign(status.wans[0].ipv4, { cannot_be_probed: true, fix });
  await statusPage(status);
  equal(cells('wgsteer-wans', 0)[1], 'UP', 'state');
  equal(cells('wgsteer-wans', 0)[2].split('\n')[1],
    'cannot be probed: this router blocks the probes. To allow them: ' + fix, 'IPv4');
  equal(cells('wgsteer-wans', 0)[3].includes('cannot be probed'), false, 'IPv6');
});

test('status: nobody answers', async () => {
  const silence = [ 'No answer from wgsteer. Is it installed, and is its service running?' ];
  await statusPage(4);
  equal(text('.alert-message.danger'), silence, 'no such object');
  equal(document.querySelectorAll('table').length, 0, 'tables');
  await becomes(given.up);
  equal(text('.alert-message'), [], 'afterwards');
  equal(rows('wgsteer-wans'), 2, 'rows afterwards');
  ubus['wgsteer.status'] = () => Promise.reject(new Error('the network is down'));
  await poll.tick();
  equal(text('.alert-message.danger'), silence, 'no connection');
  await becomes({ error: 'wgsteer status: wgsteer:3: use_wan: no WAN\nwgsteer:7: role: neither' });
  equal(text('.alert-message.danger'), [ 'wgsteer status: wgsteer:3: use_wan: no WAN\nwgsteer:7: role: neither' ], 'the plugin\'s error');
});

test('status: messages', async () => {
  await statusPage({ ...given.up, daemon: null, pending: 3, problems: [ 'no mark is left for WAN eth7' ] });
  const [ service, pending, problem ] = text('.alert-message');
  equal(service.startsWith('The service is not running'), true, service);
  equal(pending, '3 changes are not in the kernel yet.', 'pending');
  equal(problem, 'no mark is left for WAN eth7', 'problem');
  await becomes({ ...given.up, pending: 1 });
  equal(text('.alert-message'), [ '1 change is not in the kernel yet.' ], 'one');
  await becomes({ ...given.up, tunnel_troubles: { wg1: 'wg show wg1: its process does not answer' } });
  equal(text('.alert-message'), [ 'wg show wg1: its process does not answer' ], 'trouble');
});

test('status: what probes measured', async () => {
  const status = copy(given.up);
  Object.assign(status.wans[0], { since: 1795420273, latency_ms: 12.4, loss_percent: 0,
    targets: [ { address: '9.9.9.9', latency_ms: 12, loss_percent: 0 }, { address: '2620:fe::fe' } ] });
  await statusPage(status);
  equal(cells('wgsteer-wans', 0)[1].split('\n'), [ 'UP', 'since ' + new Date(1795420273000).toLocaleString(), '12 ms, 0 % lost',
    '9.9.9.9: 12 ms, 0 % lost', '2620:fe::fe' ], 'state');
});

test('status: nothing there', async () => {
  await statusPage({ ...given.up, wans: [], tunnels: [] });
  equal(text('.placeholder').map(each => each.slice(0, 11)), [ 'No WAN: onl', 'No WireGuar' ], 'placeholders');
});

test('status: a tunnel without peers, and peers of whom little is known', async () => {
  const status = copy(given.up);
  const key = status.tunnels[0].peers[0].public_key;
  status.tunnels.push({ ...status.tunnels[0], interface: 'wg1', role: 'server', policy: 'default', peers: [] });
  status.tunnels.push({ ...status.tunnels[0], interface: 'wg2',
    peers: [ { public_key: key, policy: 'default', endpoint: null, host: 'vpn.example.com', handshake_age: null, received: 0, sent: 0 } ] });
  await statusPage(status);
  equal(cells('wgsteer-tunnels', 1), [ 'wg1', 'no peers', '', 'default', '', '', '' ], 'no peers');
  const row = cells('wgsteer-tunnels', 2);
  equal([ row[1], row[2], row[4], row[5], row[6] ], [ 'vpn.example.com\nkOdgrXjuYP…', 'unknown', '', '', 'never\n0 B received, 0 B sent' ], 'little known');
});

test('status: paths', async () => {
  const status = copy(given.up);
  const peer = status.tunnels[0].peers[0];
  for (const [ path, shown ] of [ [ 'ok', 'ON ITS WAN' ], [ 'loop', 'LOOPS INTO A TUNNEL' ], [ 'dropped', 'WOULD ENTER A TUNNEL, DROPPED' ], [ 'unreachable', 'UNREACHABLE' ], [ 'no route', 'NO ROUTE' ],
    [ 'local', 'TO THIS ROUTER' ], [ 'of a later version', 'OF A LATER VERSION' ] ]) {
    Object.assign(peer, { path });
    await statusPage(status);
    equal(cells('wgsteer-tunnels', 0)[5].split('\n')[0], shown, path);
  }
});

test('status: no path is right that the kernel has not got, or that is not wanted', async () => {
  const status = copy(given.up);
  const peer = status.tunnels[0].peers[0];
  const shown = async changes => {
    await statusPage({ ...status, tunnels: [ { ...status.tunnels[0], peers: [ { ...peer, ...changes } ] } ] });
    equal(document.querySelectorAll('#wgsteer-tunnels .success').length, 0, 'right');
    return cells('wgsteer-tunnels', 0).slice(4, 6);
  };
  // After a flush: what is planned is fine, and not there.
  equal(await shown({ path: 'loop', device: 'wg0', wan: null, source: null, planned: { path: 'ok', device: 'wan0', wan: 'fiber' } }),
    [ 'NONE', 'LOOPS INTO A TUNNEL\nby wg0\nplanned, not in the kernel yet: on its WAN\nplanned by wan0' ], 'loop');
  // A way out, but not the one that is wanted.
  equal(await shown({ device: 'wan1', wan: 'lte', source: null, planned: { path: 'ok', device: 'wan0', wan: 'fiber' } }),
    [ 'lte', 'DIFFERS FROM THE PLAN\nby wan1\nplanned, not in the kernel yet: on its WAN\nplanned by wan0' ], 'another WAN');
  equal(await shown({ device: 'br-lan', wan: null, source: null }), [ 'NONE', 'NO WAN\nby br-lan' ], 'no WAN');
  equal(await shown({ device: 'br-lan', wan: null, source: null, left_alone: 'its endpoint is on the LAN' }),
    [ 'NONE', 'LEFT ALONE\nits endpoint is on the LAN\nby br-lan' ], 'left alone');
});

test('status: peers that do not answer by their usual way', async () => {
  const status = copy(given.up);
  const peer = status.tunnels[0].peers[0];
  const since = new Date(1795420273000).toLocaleString();
  Object.assign(peer, { wan: 'lte', device: 'wan1', stalled: { wan: 'lte', why: 'nothing received for 20 s', since: 1795420273 } });
  await statusPage(status);
  equal(cells('wgsteer-tunnels', 0)[4], 'lte\nDIVERTED\nnothing received for 20 s\nsince ' + since, 'diverted');
  equal(document.querySelectorAll('#wgsteer-tunnels .label.warning').length, 1, 'a warning');
  Object.assign(peer, { wan: 'fiber', device: 'wan0' });
  await becomes(status);
  equal(cells('wgsteer-tunnels', 0)[4], 'fiber\nDIVERTED\nnothing received for 20 s\nshould use lte\nsince ' + since, 'not yet');
  peer.stalled.wan = null;
  await becomes(status);
  equal(cells('wgsteer-tunnels', 0)[4], 'fiber\nSTALLED\nnothing received for 20 s\nsince ' + since, 'stalled');
  Object.assign(peer, { stalled: null, balanced: true });
  await becomes(status);
  equal(cells('wgsteer-tunnels', 0)[4], 'fiber\nbalanced: one of several equal WANs', 'balanced');
});

test('status: a configuration that was refused', async () => {
  const status = copy(given.up);
  status.daemon.last_reload = { time: 1795420273, error: null };
  await statusPage(status);
  equal(text('.alert-message'), [], 'taken');
  status.daemon.last_reload.error = 'wgsteer:3: use_wan: <b>\nwgsteer:7: role: neither';
  await becomes(status);
  equal(text('.alert-message.danger'), [ `The configuration read on ${new Date(1795420273000).toLocaleString()} was rejected; ` +
    'the previous one stays in use:\nwgsteer:3: use_wan: <b>\nwgsteer:7: role: neither' ], 'refused');
});

// Every text of the status is somebody else's.
test('status: hostile texts', async () => {
  const hostile = '<img src=x onerror="window.hacked = 1">';
  const spoil = value => typeof value === 'string' ? hostile + value : Array.isArray(value) ? value.map(spoil) :
    value && typeof value === 'object' ? Object.fromEntries(Object.entries(value).map(([ key, each ]) => [ key, spoil(each) ])) : value;
  const status = spoil({ ...given.down, problems: [ 'problem' ] });
  status.wans[0].targets = [ { address: hostile } ];
  status.daemon = { last_reload: { time: 0, error: hostile } };
  Object.assign(status.tunnels[0].peers[0], { stalled: { why: hostile, wan: hostile }, left_alone: hostile, planned: { path: hostile, device: hostile } });
  await statusPage(status);
  equal(document.querySelectorAll('#view img').length, 0, 'elements');
  equal(window.hacked, undefined, 'executed');
  equal(cells('wgsteer-wans', 0)[0], hostile + 'fiber\n' + hostile + 'wan0', 'name');
  equal(cells('wgsteer-wans', 0)[2].includes(hostile + '1 of 1 target unanswered'), true, 'reason');
  equal(cells('wgsteer-tunnels', 0)[2].includes(hostile), true, 'endpoint');
  await becomes({ error: hostile });
  equal(document.querySelectorAll('#view img').length, 0, 'elements of an error');
  equal(text('.alert-message'), [ hostile ], 'error');
});
