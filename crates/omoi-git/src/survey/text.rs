//! Small readers for the few facts taken from manifests.

use super::VersionHint;
use super::view::{SurveyView, join_path};

/// The value of `key` in `[section]` of a TOML or INI text, quotes taken off. The empty section is
/// what stands before the first header.
pub(super) fn read_setting<'a>(text: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let mut inside = section.is_empty();
    for line in text.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            inside = header.split(']').next().map(str::trim) == Some(section);
            continue;
        }
        let Some((name, value)) = line.split_once('=').filter(|_| inside) else {
            continue;
        };
        if name.trim().trim_matches('"') == key {
            let value = value.trim();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            return Some(match quote {
                Some(quote) => value[1..].split(quote).next().unwrap_or(""),
                None => value.split('#').next().unwrap_or("").trim(),
            });
        }
    }
    None
}

/// Whether a TOML or INI text has a section whose name begins with `prefix`.
pub(super) fn has_section(text: &str, prefix: &str) -> bool {
    text.lines().any(|line| {
        let header = line.trim().trim_start_matches('[');
        line.trim_start().starts_with('[') && header.trim_start().starts_with(prefix)
    })
}

/// The names of the rules of a makefile, or the recipes of a justfile.
pub(super) fn target_names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let (names, rest) = line.split_once(':')?;
        let plain = !line.starts_with(['\t', ' ', '#', '.']) && !rest.starts_with('=');
        let name = names.split_whitespace().next()?.trim_start_matches('@');
        (plain && !name.contains(['$', '%', '='])).then_some(name)
    })
}

/// The whole trimmed first line of `name` in `dir`, as a version.
pub(super) fn version_file(view: &SurveyView<'_>, dir: &str, name: &str) -> Option<VersionHint> {
    let path = join_path(dir, name);
    let value = view.file_text(&path)?.lines().next()?.trim();
    version_hint(value, &path)
}

/// The version `.tool-versions` gives for `tool`.
pub(super) fn tool_version(view: &SurveyView<'_>, dir: &str, tool: &str) -> Option<VersionHint> {
    let path = join_path(dir, ".tool-versions");
    let line = view.file_text(&path)?.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(tool)).then(|| words.next())?
    });
    version_hint(line?, &path)
}

/// `value` from `path`, unless it is empty or absurdly long.
pub(super) fn version_hint(value: &str, path: &str) -> Option<VersionHint> {
    let value = value.trim();
    (!value.is_empty() && value.len() <= 80).then(|| VersionHint {
        value: value.to_owned(),
        found_in: path.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        let text = "top = 1\n[package]\nname = \"x\" # c\nrust-version = '1.70'\n[ tool.pytest.ini_options ]\na=b # c\n";
        assert_eq!(read_setting(text, "", "top"), Some("1"));
        assert_eq!(read_setting(text, "package", "name"), Some("x"));
        assert_eq!(read_setting(text, "package", "rust-version"), Some("1.70"));
        assert_eq!(read_setting(text, "package", "a"), None);
        assert_eq!(
            read_setting(text, "tool.pytest.ini_options", "a"),
            Some("b")
        );
        assert!(has_section(text, "tool.pytest"));
        assert!(!has_section(text, "tool.ruff"));
    }

    #[test]
    fn makefile_targets() {
        let text = "CC := gcc\nall: x\n\techo a: b\n.PHONY: test\ntest check: all\n%.o: %.c\n$(X): y\n# c: d\n";
        assert_eq!(target_names(text).collect::<Vec<_>>(), ["all", "test"]);
    }
}
