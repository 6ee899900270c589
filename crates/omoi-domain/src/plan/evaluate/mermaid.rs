//! A structural check of mermaid text: known header, something below it, balanced brackets, quotes
//! and blocks. Not a parser: labels and styles are not looked into.

/// Diagram kinds and how far their brackets follow one rule.
const HEADERS: &[(&str, Kind)] = &[
    ("flowchart", Kind::Flow),
    ("graph", Kind::Flow),
    ("sequenceDiagram", Kind::Sequence),
    ("classDiagram", Kind::Braces),
    ("classDiagram-v2", Kind::Braces),
    ("stateDiagram", Kind::Braces),
    ("stateDiagram-v2", Kind::Braces),
    ("erDiagram", Kind::Quotes),
    ("journey", Kind::Quotes),
    ("gantt", Kind::Quotes),
    ("pie", Kind::Quotes),
    ("quadrantChart", Kind::Quotes),
    ("requirementDiagram", Kind::Braces),
    ("gitGraph", Kind::Quotes),
    ("mindmap", Kind::Quotes),
    ("timeline", Kind::Quotes),
    ("C4Context", Kind::Quotes),
    ("C4Container", Kind::Quotes),
    ("C4Component", Kind::Quotes),
    ("C4Dynamic", Kind::Quotes),
    ("C4Deployment", Kind::Quotes),
    ("block-beta", Kind::Quotes),
    ("architecture-beta", Kind::Quotes),
    ("sankey-beta", Kind::Quotes),
    ("xychart-beta", Kind::Quotes),
    ("packet-beta", Kind::Quotes),
    ("kanban", Kind::Quotes),
];

/// Words that open a block which `end` closes, in sequence diagrams.
const SEQUENCE_BLOCKS: &[&str] = &[
    "loop", "alt", "opt", "par", "critical", "break", "rect", "box",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// All brackets balance on each line; `subgraph` … `end`.
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
    #[error("a block that must be closed by `{0}` is not")]
    OpenBlock(&'static str),
    #[error("line {line}: `end` closes nothing")]
    StrayEnd { line: usize },
}

/// Checks `text`.
pub(super) fn check(text: &str) -> Result<(), MermaidError> {
    let mut lines = statements(text);
    let (_, header) = lines.next().ok_or(MermaidError::Empty)?;
    let word = header
        .split(|c: char| c.is_whitespace() || matches!(c, ':' | ';'))
        .next()
        .unwrap_or_default();
    let kind = HEADERS.iter().find(|(name, _)| *name == word);
    let Some((_, kind)) = kind else {
        return Err(MermaidError::UnknownHeader(word.to_owned()));
    };
    let body: Vec<(usize, &str)> = lines.collect();
    // A flowchart may hold everything on its first line: `graph TD; A-->B`.
    if body.is_empty() && !header.contains(';') {
        return Err(MermaidError::Empty);
    }
    let mut braces = Vec::new();
    let mut depth = 0_usize;
    for (line, statement) in body {
        let bare = without_quotes(statement, line)?;
        match kind {
            Kind::Flow => {
                let mut open = Vec::new();
                brackets(&bare, line, &mut open)?;
                if let Some(bracket) = open.pop() {
                    return Err(MermaidError::Unbalanced { line, bracket });
                }
                block(&bare, line, &["subgraph"], &mut depth)?;
            }
            Kind::Sequence => block(&bare, line, SEQUENCE_BLOCKS, &mut depth)?,
            Kind::Braces => {
                let only: String = bare.chars().filter(|c| matches!(c, '{' | '}')).collect();
                brackets(&only, line, &mut braces)?;
            }
            Kind::Quotes => {}
        }
    }
    if depth > 0 {
        return Err(MermaidError::OpenBlock("end"));
    }
    if braces.is_empty() {
        Ok(())
    } else {
        Err(MermaidError::OpenBlock("}"))
    }
}

/// Numbered lines without fences, front matter, comments, directives and blank ones.
fn statements(text: &str) -> impl Iterator<Item = (usize, &str)> {
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

fn without_quotes(statement: &str, line: usize) -> Result<String, MermaidError> {
    let mut bare = String::with_capacity(statement.len());
    let mut quoted = false;
    for c in statement.chars() {
        match c {
            '"' => quoted = !quoted,
            c if !quoted => bare.push(c),
            _ => {}
        }
    }
    if quoted {
        Err(MermaidError::OpenQuote { line })
    } else {
        Ok(bare)
    }
}

/// Follows the brackets of `bare`; what is left open stays in `open`.
fn brackets(bare: &str, line: usize, open: &mut Vec<char>) -> Result<(), MermaidError> {
    let mut before = ' ';
    for c in bare.chars() {
        match c {
            '(' | '[' | '{' => open.push(c),
            // The flag shape `id>text]` opens with `>` right after a name.
            '>' if before.is_alphanumeric() && bare.contains(']') => open.push('>'),
            ')' | ']' | '}' => {
                let fits = match open.pop() {
                    Some('(') => c == ')',
                    Some('[' | '>') => c == ']',
                    Some('{') => c == '}',
                    _ => false,
                };
                if !fits {
                    return Err(MermaidError::Unbalanced { line, bracket: c });
                }
            }
            _ => {}
        }
        before = c;
    }
    Ok(())
}

fn block(bare: &str, line: usize, openers: &[&str], depth: &mut usize) -> Result<(), MermaidError> {
    let first = bare.split_whitespace().next().unwrap_or_default();
    if openers.contains(&first) {
        *depth += 1;
    } else if first.trim_end_matches(';') == "end" {
        *depth = depth
            .checked_sub(1)
            .ok_or(MermaidError::StrayEnd { line })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_diagrams() {
        for text in [
            "graph TD; A-->B",
            "flowchart LR\n  A[\"parse(x)\"] --> B{ready?}\n  B -->|yes| C[(store)]\n  C --> D((done))",
            "flowchart TD\n  subgraph \"inner (x)\"\n    A --> B\n  end\n  A -.-> D>flag]",
            "```mermaid\nflowchart TD\nA --> B\n```",
            "---\ntitle: x\n---\nflowchart TD\n%% a comment with ( an open bracket\nA --> B",
            "%%{init: {}}%%\nsequenceDiagram\n  A->>B: hi\n  A-)B: (async\n  loop every 5 s\n  B-->>A: ok\n  end",
            "erDiagram\n  TODO ||--o{ TAG : has\n  TODO {\n    int id\n  }",
            "classDiagram\n  class Todo {\n    +id int\n  }\n  Todo <|-- Task",
            "stateDiagram-v2\n  [*] --> open\n  open --> [*]",
            "pie\n  \"a\" : 1",
            "graph LR\n  A[/in/] --> B[[sub]] --> C{{hex}} --> D([round])",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
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
            ("graph TD\nsubgraph one\nA-->B", E::OpenBlock("end")),
            ("graph TD\nA-->B\nend", E::StrayEnd { line: 3 }),
            ("sequenceDiagram\nloop x\nA->>B: y", E::OpenBlock("end")),
            ("classDiagram\nclass A {\n+x", E::OpenBlock("}")),
        ] {
            assert_eq!(check(text), Err(error), "{text}");
        }
    }
}
