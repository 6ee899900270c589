import assert from 'node:assert/strict';
import { test } from 'node:test';
import { extractLinks } from '../src/extract.js';

test('finds links and images with their lines', () => {
  const text = 'see [a](a.md)\n\n![b](img/b.png "title")\n';
  assert.deepEqual(extractLinks(text), [
    { target: 'a.md', line: 1 },
    { target: 'img/b.png', line: 3 },
  ]);
});

test('leaves fenced code out', () => {
  assert.deepEqual(extractLinks('```\n[a](a.md)\n```\n'), []);
});
