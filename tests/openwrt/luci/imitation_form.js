// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
// LuCI's forms: sections and options over one configuration, their widgets, the dialogue that edits a section. Where an
// option is shown, and what a widget asks validate() about, is as LuCI's documentation and its own form.js have it.

// LuCI.form.AbstractValue#modalonly: null is the table and the dialogue, false the table alone, true the dialogue alone.
const inTable = option => !option.modalonly;
const inDialogue = option => option.modalonly !== false;

class Value {
  constructor(map, section, option, title, description) {
    Object.assign(this, { map, section, option, title, description, rmempty: true, optional: false, data: {}, widgets: {} });
  }
  // Of the class, for what was set on the object.
  super(key, values) { return Object.getPrototypeOf(this)[key].apply(this, values); }
  value(key, text) {
    (this.keylist ??= []).push(String(key));
    (this.vallist ??= []).push(String(text ?? key));
  }
  load(id) { return uci.get('', id, this.option); }
  cfgvalue(id) { return this.data[id] ?? null; }
  textvalue(id) {
    const value = this.cfgvalue(id) ?? this.default;
    return value == null ? null : '%h'.format(Array.isArray(value) ? value.join(' ') : value);
  }
  formvalue(id) { return this.widgets[id]?.value ?? null; }
  validate() { return true; }

  renderWidget(id) {
    const list = 'choices-' + id + '-' + this.option;
    const input = E('input', { type: 'text', value: this.cfgvalue(id) ?? this.default ?? '', placeholder: this.placeholder,
      list: this.keylist ? list : null });
    this.widgets[id] = input;
    return E([ input, E('datalist', { id: list }, (this.keylist || []).map(key => E('option', { value: key }))) ]);
  }
  // true, or what is wrong.
  wrongWith(id, text, optional) {
    if (text === '' && !optional) return 'non-empty value';
    if (text !== '' && this.datatype && !fits(this.datatype, text)) return 'datatype ' + this.datatype;
    return this.validate(id, text);
  }
  check(id) { return this.wrongWith(id, this.formvalue(id), this.rmempty || this.optional); }
  parse(id) {
    const value = this.formvalue(id);
    if (value == null || value.length === 0) uci.unset('', id, this.option);
    else if (JSON.stringify(value) !== JSON.stringify(this.cfgvalue(id))) uci.set('', id, this.option, value);
  }
}

class ListValue extends Value {
  renderWidget(id) {
    const select = E('select', {}, this.keylist.map((key, i) => E('option', { value: key }, [ this.vallist[i] ])));
    select.value = this.cfgvalue(id) ?? this.default ?? this.keylist[0];
    this.widgets[id] = select;
    return select;
  }
}

class Flag extends Value {
  constructor(...values) {
    super(...values);
    this.default = '0';
  }
  renderWidget(id) {
    const box = E('input', { type: 'checkbox' });
    box.checked = (this.cfgvalue(id) ?? this.default) === '1';
    this.widgets[id] = box;
    return box;
  }
  textvalue(id) { return (this.cfgvalue(id) ?? this.default) === '1' ? 'Yes' : 'No'; }
  formvalue(id) { return this.widgets[id] ? (this.widgets[id].checked ? '1' : '0') : null; }
  // A box has this value whether it is ticked or not.
  check(id) { return this.wrongWith(id, '1', true); }
  parse(id) {
    if (this.formvalue(id) === this.default) uci.unset('', id, this.option);
    else uci.set('', id, this.option, this.formvalue(id));
  }
}

class DynamicList extends Value {
  renderWidget(id) {
    const area = E('textarea', { rows: 2 });
    area.value = L.toArray(this.cfgvalue(id)).join('\n');
    this.widgets[id] = area;
    return area;
  }
  formvalue(id) { return this.widgets[id] ? this.widgets[id].value.split('\n').filter(line => line !== '') : null; }
  // Of what is in the list already, nothing is asked about but the list as a whole.
  check(id) { return this.wrongWith(id, '', true); }
  checkTyped(id, text) { return this.wrongWith(id, text, true); }
}

class Section {
  constructor(map, sectiontype, title, description) {
    Object.assign(this, { map, sectiontype, title, description, children: [], tabs: [] });
  }
  tab(name, title) { this.tabs.push({ name, title }); }
  option(type, name, title, description) {
    this.children.push(new type(this.map, this, name, title, description));
    return this.children.at(-1);
  }
  taboption(tab, ...values) {
    if (!this.tabs.some(each => each.name === tab)) throw new Error('no tab ' + tab);
    return Object.assign(this.option(...values), { tab });
  }
  formvalue(id, name) { return this.children.find(option => option.option === name)?.formvalue(id) ?? null; }
  async load() {
    for (const id of this.ids())
      for (const option of this.children) option.data[id] = await option.load(id);
  }
  frame(nodes) {
    return E('div', { class: 'cbi-section', id: 'section-' + this.sectiontype }, [
      this.title ? E('h3', {}, this.title) : null,
      this.description ? E('div', { class: 'cbi-section-descr' }, this.description) : null, ...nodes ]);
  }
}

class NamedSection extends Section {
  constructor(map, id, ...values) {
    super(map, ...values);
    this.id = id;
  }
  ids() { return uci.get('', this.id) ? [ this.id ] : []; }
  row(id, option) {
    return E('div', { class: 'cbi-value', 'data-name': option.option }, [
      E('label', { class: 'cbi-value-title' }, option.title),
      E('div', { class: 'cbi-value-field' }, [ option.renderWidget(id),
        E('div', { class: 'cbi-value-description' }, option.description ?? '') ]) ]);
  }
  render() {
    if (!this.tabs.length)
      return this.frame(this.ids().flatMap(id => this.children.map(option => this.row(id, option))));
    return this.frame(this.tabs.map(({ name, title }) => E('div', { 'data-tab': name }, [ E('h4', {}, title),
      ...this.children.filter(option => option.tab === name).map(option => this.row(this.id, option)) ])));
  }
}

class GridSection extends Section {
  ids() { return uci.sections('', this.sectiontype).map(section => section['.name']); }
  render() {
    const columns = this.children.filter(inTable);
    const cell = (id, option) => E('td', { class: 'td', 'data-name': option.option }, option.textvalue(id) ?? E('em', {}, 'none'));
    const row = id => E('tr', { class: 'tr', 'data-section-id': id }, [
      E('th', { class: 'td', 'data-title': this.anonymous && !this.sectiontitle ? null : this.sectiontitle?.(id) ?? id }),
      ...columns.map(option => cell(id, option)),
      E('td', { class: 'td right' }, [ E('button', { class: 'cbi-button', click: () => this.edit(id) }, 'Edit') ]) ]);
    return this.frame([
      E('table', { class: 'table' }, [
        E('tr', { class: 'tr table-titles' }, [ E('th', {}), ...columns.map(option => E('th', { class: 'th' }, option.title)), E('th', {}) ]),
        ...this.ids().map(row) ]),
      E('button', { class: 'cbi-button' }, 'Add') ]);
  }
  // As LuCI does it: a map of its own over copies of the options.
  async edit(id) {
    const map = new Map_('wgsteer');
    const section = Object.assign(map.section(NamedSection, id, this.sectiontype), { tabs: this.tabs });
    for (const option of this.children.filter(inDialogue)) {
      const { map: _map, section: _section, widgets, data, ...own } = option;
      Object.assign(section.option(option.constructor, option.option, option.title, option.description), own);
    }
    const node = await map.render();
    dialogue.show(this.modaltitle?.(id) ?? this.map.title + ' - ' + (this.sectiontitle?.(id) ?? id), [ node ]);
    return section;
  }
}

class Map_ {
  constructor(config, title, description) { Object.assign(this, { config, title, description, children: [] }); }
  section(type, ...values) {
    this.children.push(new type(this, ...values));
    return this.children.at(-1);
  }
  async render() {
    for (const section of this.children) await section.load();
    last.map = this;
    return E('div', { class: 'cbi-map' }, [ this.title ? E('h2', {}, this.title) : null,
      this.description ? E('div', { class: 'cbi-map-descr' }, this.description) : null,
      ...this.children.map(section => section.render()) ]);
  }
}

// What was rendered last, for the tests.
const last = { map: null };

const dialogue = {
  show(title, nodes) {
    const box = document.getElementById('dialogue');
    box.replaceChildren(E('h4', {}, title), ...nodes);
    box.hidden = false;
  },
  hide() {
    document.getElementById('dialogue').replaceChildren();
    document.getElementById('dialogue').hidden = true;
  }
};

modules.form = { Map: Map_, NamedSection, GridSection, Value, ListValue, Flag, DynamicList };
