const LINK = /!?\[[^\]]*\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g;
const FENCE = /^\s*(```|~~~)/;

/** Links of a Markdown text with their line numbers; fenced code is left out. */
export function extractLinks(text) {
  const links = [];
  let fenced = false;
  text.split('\n').forEach((line, index) => {
    if (FENCE.test(line)) {
      fenced = !fenced;
      return;
    }
    if (fenced) return;
    for (const match of line.matchAll(LINK)) {
      links.push({ target: match[1], line: index + 1 });
    }
  });
  return links;
}
