import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { extractLinks } from './extract.js';

const EXTERNAL = /^(?:[a-z][a-z0-9+.-]*:|\/\/|#)/i;

/** Whether a link points outside the files at hand. */
export function isExternal(target) {
  return EXTERNAL.test(target);
}

/** Dead relative links of one file. */
export function checkFile(path) {
  const problems = [];
  for (const { target, line } of extractLinks(readFileSync(path, 'utf8'))) {
    if (isExternal(target)) continue;
    const file = decodeURIComponent(target.split('#')[0]);
    if (!existsSync(join(dirname(path), file))) {
      problems.push({ path, line, target });
    }
  }
  return problems;
}

/** Dead relative links of all files, in the order given. */
export function checkFiles(paths) {
  return paths.flatMap(checkFile);
}
