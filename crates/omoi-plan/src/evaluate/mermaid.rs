//! A structural check of mermaid text: known header, something below it, balanced brackets, quotes
//! and blocks. Not a parser: labels and styles are not looked into.

/// Diagram kinds and how far their brackets follow one rule.
const HEADERS: &[(&str, DiagramKind)] = &[
    ("flowchart", DiagramKind::Flow),
    ("graph", DiagramKind::Flow),
    ("sequenceDiagram", DiagramKind::Sequence),
    ("classDiagram", DiagramKind::Braces),
    ("classDiagram-v2", DiagramKind::Braces),
    ("stateDiagram", DiagramKind::Braces),
    ("stateDiagram-v2", DiagramKind::Braces),
    ("erDiagram", DiagramKind::Quotes),
    ("journey", DiagramKind::Quotes),
    ("gantt", DiagramKind::Quotes),
    ("pie", DiagramKind::Quotes),
    ("quadrantChart", DiagramKind::Quotes),
    ("requirementDiagram", DiagramKind::Braces),
    ("gitGraph", DiagramKind::Quotes),
    ("mindmap", DiagramKind::Quotes),
    ("timeline", DiagramKind::Quotes),
    ("C4Context", DiagramKind::Quotes),
    ("C4Container", DiagramKind::Quotes),
    ("C4Component", DiagramKind::Quotes),
    ("C4Dynamic", DiagramKind::Quotes),
    ("C4Deployment", DiagramKind::Quotes),
    ("block-beta", DiagramKind::Quotes),
    ("architecture-beta", DiagramKind::Quotes),
    ("sankey-beta", DiagramKind::Quotes),
    ("xychart-beta", DiagramKind::Quotes),
    ("packet-beta", DiagramKind::Quotes),
    ("kanban", DiagramKind::Quotes),
];

/// Words that open a block which `end` closes, in sequence diagrams.
const SEQUENCE_BLOCKS: &[&str] = &[
    "loop", "alt", "opt", "par", "critical", "break", "rect", "box",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DiagramKind {
    /// All brackets balance; `subgraph` … `end`.
    Flow,
    /// Only blocks balance; arrows use single brackets.
    Sequence,
    /// Braces balance over the whole text.
    Braces,
    /// Only quotes are checked.
    Quotes,
}

/// Why a text is no mermaid diagram.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MermaidError {
    #[error("the diagram is empty")]
    Empty,
    #[error("`{0}` is no mermaid diagram kind; start with `flowchart TD`, for example")]
    UnknownHeader(String),
    #[error("line {line}: a quote is not closed")]
    OpenQuote { line: usize },
    #[error("line {line}: `{bracket}` does not match; quote labels that hold brackets")]
    Unbalanced { line: usize, bracket: char },
    #[error("line {line}: the block that opens here has no `end`")]
    OpenBlock { line: usize },
    #[error("line {line}: `end` closes nothing")]
    StrayEnd { line: usize },
}

/// Checks `text`.
pub(super) fn check_mermaid(text: &str) -> Result<(), MermaidError> {
    let mut lines = diagram_lines(text);
    let (first, header) = lines.next().ok_or(MermaidError::Empty)?;
    // A diagram may start on the line of its header: `graph TD; A-->B`.
    let (header, more) = header.split_once(';').unwrap_or((header, ""));
    let word = header
        .split(|c: char| c.is_whitespace() || c == ':')
        .next()
        .unwrap_or_default();
    let kind = HEADERS.iter().find(|(name, _)| *name == word);
    let Some((_, kind)) = kind else {
        return Err(MermaidError::UnknownHeader(word.to_owned()));
    };
    let more = Some((first, more)).filter(|(_, more)| !more.trim().is_empty());
    let body: Vec<(usize, &str)> = more.into_iter().chain(lines).collect();
    if body.is_empty() {
        return Err(MermaidError::Empty);
    }
    let body = without_quotes(&body)?;
    match kind {
        DiagramKind::Flow => {
            check_brackets(&body, |_| true)?;
            check_blocks(&body, &["subgraph"])
        }
        DiagramKind::Sequence => check_blocks(&body, SEQUENCE_BLOCKS),
        DiagramKind::Braces => check_brackets(&body, |c| matches!(c, '{' | '}')),
        DiagramKind::Quotes => Ok(()),
    }
}

/// Numbered lines without fences, front matter, comments, directives and blank ones.
fn diagram_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text_lines = || text.lines().map(str::trim);
    let first = text_lines().find(|l| !l.is_empty());
    let mut front_matter = if first == Some("---") { 2 } else { 0 };
    let numbered = text_lines().enumerate().map(|(n, line)| (n + 1, line));
    numbered.filter(move |(_, line)| {
        if front_matter > 0 {
            front_matter -= usize::from(*line == "---");
            return false;
        }
        !(line.is_empty() || line.starts_with("```") || line.starts_with("%%"))
    })
}

/// The statements without what is quoted. A quote may span lines.
fn without_quotes(body: &[(usize, &str)]) -> Result<Vec<(usize, String)>, MermaidError> {
    let mut opened = None;
    let mut bare = Vec::with_capacity(body.len());
    for (line, statement) in body {
        let mut kept = String::with_capacity(statement.len());
        for c in statement.chars() {
            match c {
                '"' if opened.is_some() => opened = None,
                '"' => opened = Some(*line),
                c if opened.is_none() => kept.push(c),
                _ => {}
            }
        }
        bare.push((*line, kept));
    }
    match opened {
        Some(line) => Err(MermaidError::OpenQuote { line }),
        None => Ok(bare),
    }
}

/// All brackets that `counts` match, over the whole text.
fn check_brackets(body: &[(usize, String)], counts: fn(char) -> bool) -> Result<(), MermaidError> {
    let mut open: Vec<(char, usize)> = Vec::new();
    for (line, bare) in body {
        for c in bare.chars().filter(|c| counts(*c)) {
            let opener = match c {
                '(' | '[' | '{' => {
                    open.push((c, *line));
                    continue;
                }
                ')' => '(',
                ']' => '[',
                '}' => '{',
                _ => continue,
            };
            if open.last().is_some_and(|(last, _)| *last == opener) {
                open.pop();
            } else if !(c == ']' && is_flag(bare)) {
                return Err(MermaidError::Unbalanced {
                    line: *line,
                    bracket: c,
                });
            }
        }
    }
    match open.pop() {
        Some((bracket, line)) => Err(MermaidError::Unbalanced { line, bracket }),
        None => Ok(()),
    }
}

/// Whether a line holds the flag shape `id>text]`, whose bracket has no partner.
fn is_flag(bare: &str) -> bool {
    let mut before = ' ';
    bare.chars().any(|c| {
        let opens = c == '>' && before.is_alphanumeric();
        before = c;
        opens
    })
}

/// Every block that one of `openers` opens is closed by `end`, and nothing else is.
fn check_blocks(body: &[(usize, String)], openers: &[&str]) -> Result<(), MermaidError> {
    let mut open = Vec::new();
    for (line, bare) in body {
        let first = bare.split_whitespace().next().unwrap_or_default();
        if openers.contains(&first) {
            open.push(*line);
        } else if first.trim_end_matches(';') == "end" && open.pop().is_none() {
            return Err(MermaidError::StrayEnd { line: *line });
        }
    }
    match open.pop() {
        Some(line) => Err(MermaidError::OpenBlock { line }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_diagrams() {
        for text in [
            "graph TD; A-->B",
            "flowchart TD\n  A[\"`a (text\n  of two lines`\"] --> B",
            "flowchart LR\n  A[\"parse(x)\"] --> B{ready?}\n  B -->|yes| C[(store)]\n  C --> D((done))",
            "flowchart TD\n  subgraph \"inner (x)\"\n    A --> B\n  end\n  A -.-> D>flag]",
            "```mermaid\nflowchart TD\nA --> B\n```",
            "---\ntitle: x\n---\nflowchart TD\n%% a comment with ( an open bracket\nA --> B",
            "%%{init: {}}%%\nsequenceDiagram\n  A->>B: hi\n  A-)B: (async\n  loop every 5 s\n  B-->>A: ok\n  end",
            "erDiagram\n  TODO ||--o{ TAG : has\n  TODO {\n    int id\n  }",
            "classDiagram\n  class Todo {\n    +id int\n  }\n  Todo <|-- Task",
            "stateDiagram-v2\n  [*] --> open\n  open --> [*]",
            "graph TD\n  A -->|x>y| B[z]",
            "pie\n  \"a\" : 1",
            "graph LR\n  A[/in/] --> B[[sub]] --> C{{hex}} --> D([round])",
        ] {
            assert_eq!(check_mermaid(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        use MermaidError as E;
        for (text, error) in [
            ("", E::Empty),
            ("  \n%% only a comment", E::Empty),
            ("flowchart TD", E::Empty),
            ("A --> B", E::UnknownHeader("A".to_owned())),
            ("flow TD\nA-->B", E::UnknownHeader("flow".to_owned())),
            (
                "graph TD\nA[x --> B",
                E::Unbalanced {
                    line: 2,
                    bracket: '[',
                },
            ),
            (
                "graph TD\nA(x] --> B",
                E::Unbalanced {
                    line: 2,
                    bracket: ']',
                },
            ),
            (
                "graph TD\nA --> B}",
                E::Unbalanced {
                    line: 2,
                    bracket: '}',
                },
            ),
            ("graph TD\nA[\"x] --> B", E::OpenQuote { line: 2 }),
            ("graph TD\nsubgraph one\nA-->B", E::OpenBlock { line: 2 }),
            ("graph TD\nA-->B\nend", E::StrayEnd { line: 3 }),
            (
                "sequenceDiagram\nloop x\nA->>B: y",
                E::OpenBlock { line: 2 },
            ),
            (
                "classDiagram\nclass A {\n+x",
                E::Unbalanced {
                    line: 2,
                    bracket: '{',
                },
            ),
            (
                "graph TD; A[x-->B",
                E::Unbalanced {
                    line: 1,
                    bracket: '[',
                },
            ),
        ] {
            assert_eq!(check_mermaid(text), Err(error), "{text}");
        }
    }
}
