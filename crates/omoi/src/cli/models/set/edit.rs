//! One list of a YAML file, changed without touching anything else in it.

/// `text` with the key `name` of `section` set to `items`; comments and all other keys stay as they are.
///
/// # Errors
/// Says what is written in a way that only a person should change.
pub(super) fn set_list(
    text: &str,
    section: &str,
    name: &str,
    items: &[String],
) -> Result<String, &'static str> {
    let items: Vec<String> = items.iter().map(|item| quoted_item(item)).collect();
    let list = format!("[{}]", items.join(", "));
    let mut lines: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    let Some(head) = lines.iter().position(|line| is_key(line, section)) else {
        if lines.last().is_some_and(|line| !line.trim().is_empty()) {
            lines.push(String::new());
        }
        lines.push(format!("{section}:"));
        lines.push(format!("  {name}: {list}"));
        return Ok(joined(&lines));
    };
    let behind = key_value(&lines[head], section).unwrap_or_default();
    if !behind.is_empty() && !behind.starts_with('#') {
        return Err("the section is written on one line");
    }
    let rest = lines.get(head + 1..).unwrap_or_default();
    let end = rest.iter().position(|line| is_top_level(line));
    let end = end.map_or(lines.len(), |n| head + 1 + n);
    let found = (head + 1..end).find(|n| is_key(lines[*n].trim_start(), name));
    let Some(at) = found else {
        let keys = &lines[head + 1..end];
        let first = keys.iter().find(|line| is_content(line));
        let indent = first.map_or(2, |line| indent_of(line));
        lines.insert(head + 1, format!("{}{name}: {list}", " ".repeat(indent)));
        return Ok(joined(&lines));
    };
    let indent = indent_of(&lines[at]);
    let old = key_value(lines[at].trim_start(), name)
        .unwrap_or_default()
        .to_owned();
    if old.starts_with(['&', '*', '|', '>', '!']) {
        return Err("the key uses an anchor, a tag or a block of text");
    }
    // Items of the old list: deeper, or dashes as deep as the key itself.
    let mut last = at + 1;
    while last < end && is_continued(&lines[last], indent) {
        last += 1;
    }
    let kept: Vec<String> = lines[at + 1..last]
        .iter()
        .filter(|line| !is_content(line))
        .cloned()
        .collect();
    let comment = old.find(" #").map_or("", |n| &old[n..]);
    let comment = match old.starts_with('#') {
        true => format!(" {old}"),
        false => comment.to_owned(),
    };
    let line = format!("{}{name}: {list}{comment}", " ".repeat(indent));
    lines.splice(at..last, std::iter::once(line).chain(kept));
    Ok(joined(&lines))
}

/// A name as an item of a list on one line.
fn quoted_item(item: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    let starts_plain = item.starts_with(|c: char| c.is_ascii_alphabetic());
    match starts_plain && item.chars().all(is_plain) {
        true => item.to_owned(),
        false => format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\"")),
    }
}

fn joined(lines: &[String]) -> String {
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

/// What stands behind `name:` on a line that begins with it.
fn key_value<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(name)?.trim_start();
    let value = rest.strip_prefix(':')?;
    let is_value = value.is_empty() || value.starts_with([' ', '\t']);
    is_value.then(|| value.trim())
}

fn is_key(line: &str, name: &str) -> bool {
    key_value(line, name).is_some()
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Neither blank nor a comment.
fn is_content(line: &str) -> bool {
    let text = line.trim_start();
    !text.is_empty() && !text.starts_with('#')
}

fn is_top_level(line: &str) -> bool {
    is_content(line) && indent_of(line) == 0
}

/// Whether `line` still belongs to the value of a key at `indent`.
fn is_continued(line: &str, indent: usize) -> bool {
    let text = line.trim_start();
    let is_dash = text == "-" || text.starts_with("- ");
    is_content(line) && (indent_of(line) > indent || indent_of(line) == indent && is_dash)
        || text.starts_with('#') && indent_of(line) > indent
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> String {
        let names = ["rack/qwen3".to_owned(), "qwen2.5:32b".to_owned()];
        set_list(text, "models", "agent", &names).unwrap()
    }

    #[test]
    fn only_the_one_list_changes_and_comments_stay() {
        const NEW: &str = "agent: [rack/qwen3, \"qwen2.5:32b\"]";
        for (text, expected) in [
            (String::new(), format!("models:\n  {NEW}\n")),
            (
                "# mine\nllm:\n  model: x # why\n".to_owned(),
                format!("# mine\nllm:\n  model: x # why\n\nmodels:\n  {NEW}\n"),
            ),
            (
                "models: # all of them\n    # cheap\n    title: [a]\nllm:\n  model: x".to_owned(),
                format!(
                    "models: # all of them\n    {NEW}\n    # cheap\n    title: [a]\nllm:\n  model: x\n"
                ),
            ),
            (
                "models:\n  agent: [a, b] # best first\n  judge: [c]\n".to_owned(),
                format!("models:\n  {NEW} # best first\n  judge: [c]\n"),
            ),
            (
                "models:\n  agent:\n    # strong\n    - a\n    - b\n\n  # reads\n  judge: [c]\n"
                    .to_owned(),
                format!("models:\n  {NEW}\n    # strong\n\n  # reads\n  judge: [c]\n"),
            ),
            (
                "models:\n  agent:\n  - a\n  - b\nspec:\n  x: 1\n".to_owned(),
                format!("models:\n  {NEW}\nspec:\n  x: 1\n"),
            ),
            (
                "models:\n  agent: [a,\n    b]\n  title: [t]\n".to_owned(),
                format!("models:\n  {NEW}\n  title: [t]\n"),
            ),
        ] {
            assert_eq!(set(&text), expected, "{text}");
            assert_eq!(set(&set(&text)), expected, "twice is once: {text}");
        }
    }

    #[test]
    fn what_only_a_person_should_change_is_left_alone() {
        let names = ["x".to_owned()];
        for text in ["models: {agent: [a]}\n", "models:\n  agent: &best [a]\n"] {
            assert!(set_list(text, "models", "agent", &names).is_err(), "{text}");
        }
    }
}
