import assert from 'node:assert/strict';
import { test } from 'node:test';
import { escapeHtml, renderRecipe } from '../js/render.js';

test('text is made safe', () => {
  assert.equal(escapeHtml('<b>&'), '&lt;b&gt;&amp;');
});

test('a recipe lists its ingredients', () => {
  const html = renderRecipe({
    title: 'Toast', minutes: 5, serves: 1,
    ingredients: [{ amount: 2, unit: '', name: 'slices of bread' }],
  });
  assert.match(html, /2 {2}slices of bread|2 slices of bread/);
});
