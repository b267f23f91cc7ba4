// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
// What LuCI gives a view, at the interface that its documentation describes (openwrt.github.io/luci/jsapi): no more than
// our views use of it, and as careless with HTML as it is, so that a test finds where we rely on it.

const units = [ '', 'K', 'M', 'G', 'T' ];

function duration(seconds) {
  const parts = [ [ 86400, 'd' ], [ 3600, 'h' ], [ 60, 'm' ], [ 1, 's' ] ].slice(seconds >= 86400 ? 0 : 1);
  return parts.map(([ size, unit ], i) => Math.floor((i ? seconds % parts[i - 1][0] : seconds) / size) + unit).join(' ');
}

function metric(value, base) {
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    ++unit;
  }
  return (unit ? value.toFixed(1) + ' ' + units[unit] + 'i' : value + ' ');
}

function escaped(text) {
  return String(text).replace(/[&<>"']/g, letter => '&#' + letter.charCodeAt(0) + ';');
}

String.prototype.format = function(...values) {
  return this.replace(/%(?:(%)|([sdhtf])|(\d+)\.1m)/g, (whole, percent, kind, base) => {
    if (percent) return '%';
    if (!values.length) throw new Error('too few values for ' + this);
    const value = values.shift();
    if (base) return metric(value, +base);
    return kind === 'h' ? escaped(value) : kind === 't' ? duration(value) : kind === 'd' ? String(Math.trunc(value)) : String(value);
  });
};

const dom = {
  elem: each => each instanceof Node,
  append(node, children) {
    if (Array.isArray(children))
      children.filter(each => each != null).forEach(each => node.appendChild(dom.elem(each) ? each : document.createTextNode(each)));
    else if (dom.elem(children))
      node.appendChild(children);
    else if (children != null)
      node.innerHTML = String(children);
    return node;
  },
  content(node, children) {
    node.replaceChildren();
    return dom.append(node, children);
  }
};

function E(tag, attributes, children) {
  if (Array.isArray(tag)) return dom.append(document.createDocumentFragment(), tag);
  const plain = attributes && !dom.elem(attributes) && !Array.isArray(attributes) && typeof attributes === 'object';
  const node = document.createElement(tag);
  for (const [ name, value ] of Object.entries(plain ? attributes : {})) {
    if (typeof value === 'function') node.addEventListener(name, value);
    else if (value != null) node.setAttribute(name, value);
  }
  return dom.append(node, plain || attributes == null ? children : attributes);
}

const L = {
  resolveDefault: (promise, value) => Promise.resolve(promise).catch(() => value),
  toArray: value => value == null ? [] : Array.isArray(value) ? value : String(value).trim().split(/\s+/)
};

const translated = new Set();
const _ = text => (translated.add(text), text);
const N_ = (count, one, many) => (translated.add(one), translated.add(many), count === 1 ? one : many);

// The reply of each "object.method": what a function returns, or the number of ubus's error.
const ubus = {};

const rpc = {
  declare: ({ object, method, expect, reject }) => async () => {
    const name = object + '.' + method;
    let reply = name in ubus ? await ubus[name]() : 4;
    if (reject && typeof reply === 'number') throw new Error('ubus code ' + reply);
    for (const [ key, standard ] of Object.entries(expect || {})) {
      if (reply != null && key !== '') reply = reply[key];
      const type = Object.prototype.toString;
      if (reply == null || type.call(reply) !== type.call(standard)) reply = standard;
    }
    return reply;
  }
};

const poll = {
  all: [],
  add(callback) { poll.all.push(callback); },
  tick: () => Promise.all(poll.all.map(callback => callback()))
};

// One configuration, as sections in order; what is changed in it is in `changes`.
const uci = {
  stored: [],
  changes: [],
  load: () => Promise.resolve(),
  sections: (config, type) => uci.stored.filter(section => type == null || section['.type'] === type),
  get(config, id, option) {
    const found = uci.stored.find(section => section['.name'] === id);
    return option == null ? found ?? null : found?.[option] ?? null;
  },
  set(config, id, option, value) {
    uci.changes.push([ 'set', id, option, value ]);
    uci.get(config, id)[option] = value;
  },
  unset(config, id, option) {
    if (uci.get(config, id, option) == null) return;
    uci.changes.push([ 'unset', id, option ]);
    delete uci.get(config, id)[option];
  },
  add(config, type, name) {
    const id = name || 'new' + uci.stored.length;
    uci.changes.push([ 'add', type, id ]);
    uci.stored.push({ '.type': type, '.name': id, '.anonymous': !name });
    return id;
  },
  remove(config, id) {
    uci.changes.push([ 'remove', id ]);
    uci.stored = uci.stored.filter(section => section['.name'] !== id);
  }
};

function groupsOf(text) {
  const groups = text === '' ? [] : text.split(':');
  return groups.every(group => /^[0-9a-fA-F]{1,4}$/.test(group)) ? groups.map(group => parseInt(group, 16)) : null;
}

const validation = {
  parseIPv4(text) {
    const parts = text.match(/^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/)?.slice(1).map(Number);
    return parts?.every(part => part < 256) ? parts : null;
  },
  parseIPv6(text) {
    const embedded = text.match(/^(.*:)(\d+\.\d+\.\d+\.\d+)$/);
    if (embedded) {
      const last = validation.parseIPv4(embedded[2]);
      if (!last) return null;
      text = embedded[1] + (last[0] * 256 + last[1]).toString(16) + ':' + (last[2] * 256 + last[3]).toString(16);
    }
    const sides = text.split('::').map(groupsOf);
    if (sides.length > 2 || sides.some(side => side == null)) return null;
    const known = sides.flat().length;
    if (sides.length === 1) return known === 8 ? sides[0] : null;
    return known < 8 ? [ ...sides[0], ...Array(8 - known).fill(0), ...sides[1] ] : null;
  }
};

const datatypes = {
  integer: text => /^-?\d+$/.test(text),
  ufloat: text => /^\d+(\.\d+)?$/.test(text),
  range: (text, low, high) => /^-?\d+(\.\d+)?$/.test(text) && +text >= low && +text <= high
};

// "and(integer,range(1,10))" and its parts; whatever else a view may use is a mistake of the view or missing here.
function fits(datatype, text) {
  const both = datatype.match(/^and\((.*)\)$/);
  return (both ? both[1].match(/\w+(\([^)]*\))?/g) : [ datatype ]).every(each => {
    const [ , name, values ] = each.match(/^(\w+)(?:\((.*)\))?$/);
    if (!datatypes[name]) throw new Error('unknown datatype ' + each);
    return datatypes[name](text, ...(values || '').split(',').map(Number));
  });
}

const baseclass = { extend: members => ({ ...members }) };
const view = baseclass;

// A module by its name, with what its lines of "require" ask for.
const modules = { baseclass, dom, poll, rpc, uci, validation, view };

function require(name) {
  if (!(name in modules)) {
    const wanted = [ ...sources[name].matchAll(/'require ([\w.]+)(?: as (\w+))?';/g) ].map(([ , from, as ]) => [ as || from, from ]);
    // What it does not ask for it has not got, though it is here.
    const hidden = Object.fromEntries(Object.keys(modules).filter(each => !each.includes('.')).map(each => [ each, undefined ]));
    const names = { ...hidden, E, L, _, N_, ...Object.fromEntries(wanted.map(([ as, from ]) => [ as, require(from) ])) };
    modules[name] = new Function(...Object.keys(names), sources[name])(...Object.values(names));
  }
  return modules[name];
}
