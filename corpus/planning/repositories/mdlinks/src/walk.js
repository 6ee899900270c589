import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const SKIPPED = new Set(['node_modules', '.git']);

/** All Markdown files at or below the given paths, sorted. */
export function markdownFiles(paths) {
  const found = [];
  for (const path of paths) {
    if (statSync(path).isDirectory()) {
      const names = readdirSync(path).filter((name) => !SKIPPED.has(name));
      found.push(...markdownFiles(names.map((name) => join(path, name))));
    } else if (path.endsWith('.md')) {
      found.push(path);
    }
  }
  return found.sort();
}
