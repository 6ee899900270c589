/** One line per problem, as `file:line: target`. */
export function formatText(problems) {
  return problems.map(({ path, line, target }) => `${path}:${line}: ${target}\n`).join('');
}
