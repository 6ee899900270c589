import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkFile, isExternal } from '../src/check.js';

test('reports what is not there', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mdlinks-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'a.md');
  writeFileSync(path, '[self](a.md) [gone](b.md)\n');
  assert.deepEqual(checkFile(path), [{ path, line: 1, target: 'b.md' }]);
});

test('tells external links apart', () => {
  assert.equal(isExternal('https://example.org'), true);
  assert.equal(isExternal('#top'), true);
  assert.equal(isExternal('guide/start.md'), false);
});
