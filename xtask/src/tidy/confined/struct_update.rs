//! Rows that are copied with another status: `Task { status, ..task }` moves one without saying so.

/// Fields among `code` that a struct update sets, of those whose assignment is among `words`: `.status = `
/// stands for `status`. Goes by the lines that `rustfmt` makes.
pub(super) fn changed_fields(code: &[(usize, &str)], words: &[&str]) -> Vec<(usize, String)> {
    let fields = words.iter().filter_map(|word| word.strip_prefix('.'));
    let fields: Vec<_> = fields.filter_map(|word| word.strip_suffix(" = ")).collect();
    let mut found = Vec::new();
    for (index, (_, line)) in code.iter().enumerate() {
        let Some((before, rest)) = line.split_once("..") else {
            continue;
        };
        // A pattern ends behind its dots.
        if rest.is_empty() || rest.starts_with([' ', '}', '.', '=', ')', ']']) {
            continue;
        }
        let set = match before.trim().is_empty() {
            true => literal_lines(&code[..index], indent(line)),
            false => {
                let fields = before.rsplit_once('{').map(|(_, fields)| fields);
                fields
                    .map(|text| (code[index].0, text))
                    .into_iter()
                    .collect()
            }
        };
        for (number, text) in set {
            let field = fields.iter().find(|field| is_set(text, field));
            found.extend(field.map(|field| {
                let says = format!("a copy with another `{field}` has no place in this crate");
                (number, says)
            }));
        }
    }
    found
}

/// Whether `text`, a part of a literal, gives `field` a value.
fn is_set(text: &str, field: &str) -> bool {
    let mut rests = text
        .split(',')
        .filter_map(|part| part.trim().strip_prefix(field));
    rests.any(|rest| rest.is_empty() || rest.starts_with(": "))
}

/// The lines of a literal before its update, which is `depth` deep.
fn literal_lines<'a>(before: &[(usize, &'a str)], depth: usize) -> Vec<(usize, &'a str)> {
    let lines = before.iter().rev().copied();
    let inside = lines.take_while(|(_, line)| indent(line) >= depth);
    inside.filter(|(_, line)| indent(line) == depth).collect()
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_not_copied_with_another_status() {
        for (text, expected) in [
            ("let done = Task { status, ..task };", &[1][..]),
            ("let done = Task { status: Done, ..task.clone() };", &[1]),
            ("Task {\n    title,\n    status: Done,\n    ..task\n}", &[3]),
            (
                "Task {\n    status,\n    files: list([\n        a,\n    ]),\n    ..task\n}",
                &[2],
            ),
            ("Task { title, ..task }", &[]),
            ("let Task { status, .. } = task;", &[]),
            ("Facts {\n    status: task.status,\n    round,\n}", &[]),
            (
                "Outer {\n    inner: Facts {\n        status,\n    },\n    ..outer\n}",
                &[],
            ),
            ("for n in 0..count {\n    status,", &[]),
            ("Task {\n    status_text,\n    ..task\n}", &[]),
        ] {
            let code: Vec<_> = (1..).zip(text.lines()).collect();
            let found = changed_fields(&code, &[".status = ", "tasks::claim("]);
            let lines: Vec<_> = found.iter().map(|(number, _)| *number).collect();
            assert_eq!(lines, expected, "{text}");
        }
    }
}
