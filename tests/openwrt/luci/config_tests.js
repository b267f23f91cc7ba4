// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';

async function configPage(stored, status = given.up) {
  ubus['wgsteer.status'] = () => status;
  ubus['network.interface.dump'] = () => ({ interface: [ { interface: 'loopback', proto: 'static' }, { interface: 'wan', proto: 'dhcp' },
    { interface: 'wg0', proto: 'wireguard' }, { interface: 'wwan', proto: 'qmi' } ] });
  uci.stored = copy(stored);
  uci.changes = [];
  await show('view.wgsteer.config');
  return last.map;
}

const sectionOf = (map, type) => map.children.find(section => section.sectiontype === type);
const optionOf = (section, name) => section.children.find(option => option.option === name);

// The dialogue over a section, or the section itself if it has none.
async function editorOf(map, type, id) {
  const section = sectionOf(map, type);
  return section instanceof GridSection ? section.edit(id) : section;
}

const wrongIn = (section, id) => section.children.map(option => [ option.option, option.check(id) ]).filter(([ , result ]) => result !== true);

test('configuration: sections and options are those of the daemon', async () => {
  const map = await configPage(given.base);
  equal(map.children.map(section => section.sectiontype), Object.keys(given.schema), 'sections');
  for (const section of map.children)
    equal(section.children.map(option => option.option).sort(), Object.keys(given.schema[section.sectiontype]).sort(), section.sectiontype);
});

// By name: an option that is nowhere to be edited is nowhere to be missed.
const kEdited = {
  wan: [ 'name', 'interface', 'device', 'gateway', 'metric', 'weight', 'dns', 'track_method', 'track_ip', 'reliability', 'count',
    'interval', 'timeout', 'down', 'up', 'failure_interval', 'keep_failure_interval', 'recovery_interval', 'size', 'max_ttl', 'check_quality',
    'failure_latency', 'recovery_latency', 'failure_loss', 'recovery_loss', 'metered', 'prefixes', 'source_routing',
    'deprecate' ],
  policy: [ 'name', 'use_wan', 'last_resort', 'failback', 'drain_after', 'reset', 'balance', 'ipv6' ],
  tunnel: [ 'interface', 'use_policy', 'use_wan', 'role', 'stall', 'hold', 'enabled', 'update_endpoint', 'balance' ],
  peer: [ 'tunnel', 'public_key', 'endpoint', 'use_policy', 'use_wan' ]
};
const kColumns = {
  wan: [ 'interface', 'device', 'metric', 'weight' ],
  policy: [ 'use_wan' ],
  tunnel: [ 'use_policy', 'use_wan', 'enabled' ],
  peer: [ 'public_key', 'use_policy', 'use_wan' ]
};

test('configuration: every option is in the dialogue', async () => {
  const map = await configPage(given.base);
  equal([ ...Object.keys(kEdited), 'globals' ].sort(), Object.keys(given.schema).sort(), 'sections with a dialogue, and the one without');
  for (const [ type, names ] of Object.entries(kEdited)) {
    equal([ ...names ].sort(), Object.keys(given.schema[type]).sort(), type + ' as the daemon has it');
    const section = sectionOf(map, type);
    equal(section instanceof GridSection, true, type + ' has a dialogue');
    for (const name of names) {
      const { modalonly } = optionOf(section, name);
      // false would be the table alone.
      equal([ null, true ].includes(modalonly), true, `${type}.${name} with modalonly ${modalonly}`);
      equal(modalonly === null, kColumns[type].includes(name), `${type}.${name} in the table`);
    }
    await section.edit(given.base.find(each => each['.type'] === type)['.name']);
    const shown = [ ...document.querySelectorAll('#dialogue [data-name]') ].map(node => node.dataset.name);
    equal([ ...shown ].sort(), [ ...names ].sort(), 'dialogue of ' + type);
    equal([ ...new Set([ ...document.querySelectorAll(`#section-${type} td[data-name]`) ].map(node => node.dataset.name)) ], kColumns[type],
      'table of ' + type);
  }
});

test('configuration: widgets fit what the daemon takes', async () => {
  const map = await configPage(given.base);
  for (const section of map.children)
    for (const option of section.children) {
      const { list, boolean, choices } = given.schema[section.sectiontype][option.option];
      const where = section.sectiontype + '.' + option.option;
      equal(option instanceof DynamicList, list, where + ' is a list');
      equal(option instanceof Flag, boolean, where + ' is a flag');
      equal(option instanceof ListValue, choices != null, where + ' is a choice');
      if (choices) equal(option.keylist, [ '', ...choices ], where);
      equal(!!option.title, true, where + ' has a title');
    }
});

test('configuration: what the daemon refuses is refused, what it takes is taken', async () => {
  const wrong = [];
  for (const { type, id, stored, accepted, why } of given.verdicts) {
    const map = await configPage(stored);
    const found = wrongIn(await editorOf(map, type, id), id);
    if ((found.length === 0) !== accepted)
      wrong.push(`${type} ${JSON.stringify(stored.find(section => section['.name'] === id))}: daemon: ${why || 'right'}, page: ${JSON.stringify(found)}`);
  }
  equal(wrong, [], 'verdicts');
  equal(given.verdicts.length > 200, true, 'so many cases');
});

test('configuration: a list is asked about as a whole, and about what is being typed', async () => {
  const map = await configPage([ ...given.base, { '.type': 'policy', '.name': 'both', use_wan: [ 'fiber', 'lte:2' ] } ]);
  const section = await editorOf(map, 'policy', 'both');
  const option = optionOf(section, 'use_wan');
  equal(option.check('both'), true, 'as it is');
  equal(option.checkTyped('both', 'lte:3'), 'This WAN is listed twice', 'once more');
  equal(option.checkTyped('both', 'lte:2'), true, 'what is in the list');
  equal(option.checkTyped('both', 'nix'), 'No WAN has this name', 'typed');
  option.widgets.both.value = 'fiber\nnix';
  equal(option.check('both'), 'No WAN has this name', 'there before');
  option.widgets.both.value = '';
  equal(option.check('both'), true, 'empty');
});

test('configuration: a server need not be balanced', async () => {
  const map = await configPage([ { '.type': 'globals', '.name': 'globals' }, { '.type': 'tunnel', '.name': 'wg0', role: 'server' } ]);
  const section = await editorOf(map, 'tunnel', 'wg0');
  equal(optionOf(section, 'balance').check('wg0'), true, 'not ticked');
  optionOf(section, 'balance').widgets.wg0.checked = true;
  equal(optionOf(section, 'balance').check('wg0'), 'Replies of a server leave by the WAN on which the peer came in', 'ticked');
});

test('configuration: saving changes nothing that nobody changed', async () => {
  const map = await configPage(given.rich);
  for (const { '.type': type, '.name': id } of given.rich) {
    const section = await editorOf(map, type, id);
    equal(wrongIn(section, id), [], type + ' ' + id);
    section.children.forEach(option => option.parse(id));
  }
  const [ flags, others ] = [ true, false ].map(flag => uci.changes.filter(([ , , option ]) => given.flags.includes(option) === flag));
  equal(others, [], 'changes');
  const meaning = value => value == null ? null : [ '1', 'true', 'yes', 'on', 'enabled' ].includes(value);
  for (const [ kind, id, option, value ] of flags) {
    const before = meaning(given.rich.find(section => section['.name'] === id)[option]);
    const standard = [ 'sysctl', 'enabled', 'update_endpoint' ].includes(option);
    equal(kind === 'set' ? meaning(value) : standard, before ?? standard, id + '.' + option);
  }
});

test('configuration: what is typed is saved', async () => {
  const map = await configPage(given.base);
  const section = await editorOf(map, 'wan', 'lte');
  optionOf(section, 'metric').widgets.lte.value = '7';
  optionOf(section, 'track_ip').widgets.lte.value = '9.9.9.9\n2620:fe::fe';
  optionOf(section, 'check_quality').widgets.lte.checked = true;
  equal(wrongIn(section, 'lte'), [], 'valid');
  section.children.forEach(option => option.parse('lte'));
  equal(uci.changes, [ [ 'set', 'lte', 'metric', '7' ], [ 'set', 'lte', 'track_ip', [ '9.9.9.9', '2620:fe::fe' ] ],
    [ 'set', 'lte', 'check_quality', '1' ] ], 'changes');
});

test('configuration: suggestions', async () => {
  const map = await configPage(given.base);
  const suggested = async (type, id, option) => optionOf(await editorOf(map, type, id), option).keylist;
  equal(await suggested('wan', 'lte', 'interface'), [ 'wan', 'wwan' ], 'interfaces that may be WANs');
  equal(await suggested('wan', 'lte', 'device'), [ 'wan0', 'wan1' ], 'devices');
  equal(await suggested('tunnel', 'cfg05', 'interface'), [ 'wg0' ], 'tunnels');
  equal(await suggested('peer', 'cfg06', 'public_key'), [ 'kOdgrXjuYPpA/VHw75xi/ViDGPrkIrWTUnOj0KOtRRo=' ], 'keys');
  equal(await suggested('tunnel', 'cfg05', 'use_wan'), [ 'fiber', 'lte' ], 'WANs');
  equal(await suggested('tunnel', 'cfg05', 'use_policy'), [ 'default', 'video' ], 'policies');
  uci.add('wgsteer', 'wan', 'dsl');
  equal(await suggested('tunnel', 'cfg05', 'use_wan'), [ 'fiber', 'lte', 'dsl' ], 'a WAN that was just added');
});

test('configuration: without a daemon, without rights, without sections', async () => {
  const map = await configPage([], 4);
  equal(uci.sections('', 'globals').length, 1, 'there is something to show');
  equal(sectionOf(map, 'globals').ids().length, 1, 'and it is shown');
  equal(document.querySelectorAll('#section-globals .cbi-value').length > 0, true, 'with its options');
});

test('configuration: one that was refused is told, also when that is a moment later', async () => {
  await configPage(given.base);
  equal(text('.alert-message'), [], 'nothing');
  await becomes({ ...given.up, daemon: { last_reload: { time: 1795420273, error: 'wgsteer:3: <b>' } } });
  equal(text('#wgsteer-refused .alert-message.danger').map(each => each.split('\n')[1]), [ 'wgsteer:3: <b>' ], 'refused');
  equal(document.querySelectorAll('#section-wan').length, 1, 'beside the form');
  await becomes({ error: 'wgsteer status: wgsteer:3: no WAN' });
  equal(text('#wgsteer-refused .alert-message.danger'), [ 'wgsteer status: wgsteer:3: no WAN' ], 'without a daemon');
  await becomes(given.up);
  equal(text('.alert-message'), [], 'corrected');
});

test('configuration: there is one section of globals, whatever it is called', async () => {
  const map = await configPage([ { '.type': 'globals', '.name': 'cfg01', '.anonymous': true, log_level: 'debug' } ]);
  equal(uci.changes, [], 'none is added');
  equal(optionOf(sectionOf(map, 'globals'), 'log_level').formvalue('cfg01'), 'debug', 'log level');
});

test('configuration: hostile texts', async () => {
  const hostile = '<img src=x onerror="window.hacked = 1">';
  const stored = given.base.map(section => ({ ...section, ...Object.fromEntries(Object.keys(given.schema[section['.type']])
    .map(option => [ option, given.schema[section['.type']][option].list ? [ hostile ] : hostile ])) }));
  const status = { wans: [ { device: hostile } ], tunnels: [ { interface: hostile, peers: [ { public_key: hostile } ] } ] };
  const map = await configPage(stored, status);
  equal(document.querySelector('#section-wan [data-title]').dataset.title, hostile, 'title of a row');
  for (const { '.type': type, '.name': id } of stored) {
    await editorOf(map, type, id);
    equal(document.querySelectorAll('#view img, #dialogue img').length, 0, type);
    if (type !== 'globals') equal(text('#dialogue h4')[0], hostile, 'title of the dialogue of ' + type);
  }
  equal(window.hacked, undefined, 'executed');
});
