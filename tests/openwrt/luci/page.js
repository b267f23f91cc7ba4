// SPDX-License-Identifier: GPL-2.0-or-later
'use strict';
// Runs the tests one after the other and leaves what they found in the page, as JSON.

const tests = [];
const test = (name, body) => tests.push({ name, body });

function equal(seen, expected, what) {
  const [ a, b ] = [ seen, expected ].map(value => JSON.stringify(value));
  if (a !== b) throw new Error(`${what}: expected ${b}, seen ${a}`);
}

async function show(name) {
  poll.all = [];
  dialogue.hide();
  delete modules[name];
  const shown = require(name);
  const loaded = await shown.load();
  document.getElementById('view').replaceChildren(await shown.render(loaded));
}

async function run() {
  const results = [];
  for (const { name, body } of tests) {
    let error = null;
    try {
      await body();
    } catch (problem) {
      error = problem.stack || String(problem);
    }
    results.push({ name, error });
  }
  // In an attribute: nothing in it is taken for HTML.
  document.body.dataset.results = JSON.stringify({ results, translated: [ ...translated ] });
}
