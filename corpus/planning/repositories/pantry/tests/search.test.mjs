import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fold, search } from '../js/search.js';

const recipes = JSON.parse(readFileSync(new URL('../data/recipes.json', import.meta.url)));

test('accents and case do not matter', () => {
  assert.equal(fold('Crème'), 'creme');
  assert.deepEqual(search(recipes, 'BRULEE').map((r) => r.id), ['creme-brulee']);
});

test('every word must be found', () => {
  assert.deepEqual(search(recipes, 'leek potatoes').map((r) => r.id), ['leek-soup']);
  assert.deepEqual(search(recipes, 'leek cream'), []);
});
