#!/usr/bin/env node
import { checkFiles } from '../src/check.js';
import { formatText } from '../src/format.js';
import { markdownFiles } from '../src/walk.js';

const paths = process.argv.slice(2);
if (paths.length === 0 || paths.some((path) => path.startsWith('-'))) {
  console.error('usage: mdlinks PATH…');
  process.exit(2);
}
const problems = checkFiles(markdownFiles(paths));
process.stdout.write(formatText(problems));
process.exitCode = problems.length === 0 ? 0 : 1;
