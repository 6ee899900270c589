//! Markdown below the frontmatter: building it, and finding the criteria in it.

/// A checkbox line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChecklistItem {
    /// The ticket, task or requirement it belongs to.
    pub owner: String,
    /// What must hold.
    pub text: String,
    /// Whether it is ticked.
    pub done: bool,
}

/// Heads the criteria of a ticket or task; always the last section.
pub(super) const CRITERIA_HEADING: &str = "Acceptance criteria";
const CONTINUED: &str = "      ";

/// Markdown under construction; blocks are parted by empty lines.
#[derive(Default)]
pub(super) struct MarkdownBody(String);

impl MarkdownBody {
    /// The finished text.
    pub(super) fn finish(self) -> String {
        self.0
    }

    /// A heading; `text` is brought onto one line.
    pub(super) fn add_heading(&mut self, level: usize, text: &str) {
        self.add_block(&format!("{} {}", "#".repeat(level), one_line(text)));
    }

    /// Text as it is; nothing when blank.
    pub(super) fn add_text(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.add_block(text.trim_end());
        }
    }

    /// A heading with text below it, left out when blank.
    pub(super) fn add_section(&mut self, level: usize, heading: &str, text: &str) {
        if !text.trim().is_empty() {
            self.add_heading(level, heading);
            self.add_text(text);
        }
    }

    /// A bullet list; `- None.` where there are no items.
    pub(super) fn add_list<T: AsRef<str>>(&mut self, items: impl IntoIterator<Item = T>) {
        let bullet = |item: T| match one_line(item.as_ref()) {
            // A bullet that only looks like a checkbox must not be read as one.
            text if parse_checkbox(&format!("- {text}")).is_some() => format!("- \\{text}"),
            text => format!("- {text}"),
        };
        let lines: Vec<String> = items.into_iter().map(bullet).collect();
        if lines.is_empty() {
            self.add_block("- None.");
        }
        self.add_lines(&lines);
    }

    /// A heading with a bullet list below it.
    pub(super) fn add_listed<T: AsRef<str>>(
        &mut self,
        level: usize,
        heading: &str,
        items: impl IntoIterator<Item = T>,
    ) {
        self.add_heading(level, heading);
        self.add_list(items);
    }

    /// A code block whose fence is longer than any run of backticks inside.
    pub(super) fn add_code(&mut self, language: &str, text: &str) {
        let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat((longest + 1).max(3));
        self.add_block(&format!("{fence}{language}\n{}\n{fence}", text.trim_end()));
    }

    /// A table.
    pub(super) fn add_table<const N: usize>(&mut self, head: [&str; N], rows: Vec<[String; N]>) {
        let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
        let mut lines = vec![line(head.map(str::to_owned).to_vec())];
        lines.push(line(vec!["---".to_owned(); N]));
        let cell = |text: String| one_line(&text).replace('|', "\\|");
        lines.extend(rows.into_iter().map(|row| line(row.map(cell).to_vec())));
        self.add_lines(&lines);
    }

    /// Checkbox lines; the further lines of a criterion are indented.
    pub(super) fn add_criteria<'a>(&mut self, texts: impl IntoIterator<Item = &'a String>) {
        let tick =
            |text: &String| format!("- [ ] {}", text.replace('\n', &format!("\n{CONTINUED}")));
        let lines: Vec<String> = texts.into_iter().map(tick).collect();
        if lines.is_empty() {
            self.add_block("- None.");
        }
        self.add_lines(&lines);
    }

    fn add_lines(&mut self, lines: &[String]) {
        if !lines.is_empty() {
            self.add_block(&lines.join("\n"));
        }
    }

    fn add_block(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(text);
        self.0.push('\n');
    }
}

/// `text` on one line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The criteria of `body`: its checkbox lines. Where a section of that name exists, only the last
/// one counts, so a description may hold checkboxes of its own. A criterion belongs to the id that
/// opens the nearest second-level heading above it, else to `owner`.
pub(super) fn criteria_in(body: &str, owner: &str) -> Vec<ChecklistItem> {
    let lines: Vec<&str> = body.split('\n').collect();
    let heading = format!("## {CRITERIA_HEADING}");
    let section = lines.iter().rposition(|line| line.trim_end() == heading);
    let mut found: Vec<ChecklistItem> = Vec::new();
    let mut owner = owner.to_owned();
    let mut is_open = false;
    for line in &lines[section.map_or(0, |n| n + 1)..] {
        if let Some((done, text)) = parse_checkbox(line) {
            found.push(ChecklistItem {
                owner: owner.clone(),
                text: text.to_owned(),
                done,
            });
            is_open = true;
        } else if let (true, Some(more)) = (is_open, line.strip_prefix(CONTINUED)) {
            if let Some(last) = found.last_mut() {
                last.text.push('\n');
                last.text.push_str(more);
            }
        } else {
            is_open = false;
            let id = line
                .strip_prefix("## ")
                .and_then(|title| title.split_once(':'));
            if let Some((id, _)) = id {
                id.clone_into(&mut owner);
            }
        }
    }
    found
}

fn parse_checkbox(line: &str) -> Option<(bool, &str)> {
    let (done, rest) = if let Some(rest) = line.strip_prefix("- [ ]") {
        (false, rest)
    } else {
        (
            true,
            line.strip_prefix("- [x]").or(line.strip_prefix("- [X]"))?,
        )
    };
    Some((done, rest.strip_prefix(' ').unwrap_or(rest)))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails where it stands"
    )]

    use super::*;

    #[test]
    fn criteria_survive_whatever_they_hold() {
        let texts = [
            "plain",
            "",
            " led by a blank",
            "two\nlines",
            "ends with a break\n",
            "- [x] nested\n## Acceptance criteria",
            "---",
            "a\n\n\nb",
        ]
        .map(str::to_owned);
        let mut body = MarkdownBody::default();
        body.add_text("- [ ] not one\n\n## Acceptance criteria\n\n- [ ] nor this");
        body.add_heading(2, CRITERIA_HEADING);
        body.add_criteria(&texts);
        let found = criteria_in(&body.finish(), "TSK-001");
        assert_eq!(
            found.iter().map(|c| &c.text).collect::<Vec<_>>(),
            texts.iter().collect::<Vec<_>>()
        );
        assert!(found.iter().all(|c| !c.done && c.owner == "TSK-001"));
    }

    #[test]
    fn without_a_section_every_checkbox_counts_for_its_heading() {
        let body = "- [x] first\n\n## REQ-A-FUNC-001: Title\n\ntext\n- [ ] second\n      more\n- [X] third\n";
        let found: Vec<_> = criteria_in(body, "DOC")
            .into_iter()
            .map(|c| (c.owner, c.text, c.done))
            .collect();
        let row = |o: &str, t: &str, d| (o.to_owned(), t.to_owned(), d);
        assert_eq!(
            found,
            [
                row("DOC", "first", true),
                row("REQ-A-FUNC-001", "second\nmore", false),
                row("REQ-A-FUNC-001", "third", true)
            ]
        );
    }

    #[test]
    fn fences_outgrow_their_content_and_tables_keep_their_shape() {
        let mut body = MarkdownBody::default();
        body.add_code("sh", "echo ```` x");
        body.add_table(["A", "B"], vec![["a|b".to_owned(), "c\nd".to_owned()]]);
        body.add_list(["[x] no criterion"]);
        body.add_list(Vec::<String>::new());
        assert_eq!(
            body.finish(),
            "`````sh\necho ```` x\n`````\n\n| A | B |\n| --- | --- |\n| a\\|b | c d |\n\n- \\[x] no criterion\n\n- None.\n"
        );
    }
}
