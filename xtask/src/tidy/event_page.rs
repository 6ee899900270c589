//! `docs/events.md`: every event with its entity, permission and payload. Made from the registry.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::files::lines_without_tests;
use super::{Finding, Texts};

/// The generated page.
const PAGE: &str = "docs/events.md";
/// The registry of events.
const REGISTRY: &str = "crates/omoi-domain/src/event.rs";
/// What they carry.
const PAYLOADS: &str = "crates/omoi-domain/src/event/payload.rs";
/// The same by what it is about.
const PAYLOAD_FOLDER: &str = "crates/omoi-domain/src/event/payload/";
/// The names of permissions.
const PERMISSIONS: &str = "crates/omoi-domain/src/access/permission.rs";

const HEAD: &str = "\
# Events

Every event there is. One is written in the transaction of the change it tells of, and its number `seq` grows per
organisation without gaps. Generated from the code by `cargo xtask events`; `cargo xtask tidy` refuses a page that is
not current.

An event is told to whoever has its permission in its project. One whose audience is `loops` is told to nobody: it
wakes the platform's loops alone. The entity is the row it is about; it is found by the ids of related rows too.

| Event | Tells | Entity | Permission | Audience | Wakes | Payload |
| --- | --- | --- | --- | --- | --- | --- |
";

/// A line of the registry.
struct Entry<'a> {
    doc: &'a str,
    wire: &'a str,
    payload: &'a str,
    entity: &'a str,
    permission: &'a str,
    audience: &'a str,
    consumers: &'a str,
}

/// A field of a payload.
struct Field<'a> {
    doc: &'a str,
    name: &'a str,
    kind: &'a str,
    is_flat: bool,
}

/// Compares the page with the registry.
pub(super) fn check(texts: &Texts<'_>) -> Vec<Finding> {
    let page = Path::new(PAGE);
    if texts.get(page).copied() == Some(render(texts).as_str()) {
        return Vec::new();
    }
    let remedy = "write it again: cargo xtask events";
    let what = "the page is not what the registry says";
    vec![Finding::new(page, 1, what, remedy)]
}

/// Writes the page again.
#[expect(
    clippy::disallowed_methods,
    reason = "a generated file of the repository, which git restores"
)]
pub(super) fn write(root: &Path, texts: &Texts<'_>) -> Result<()> {
    std::fs::write(root.join(PAGE), render(texts)).context("could not write the page of events")
}

/// Every file of payloads, one after the other.
fn payload_texts(texts: &Texts<'_>) -> String {
    let files = texts
        .iter()
        .filter(|(file, _)| **file == Path::new(PAYLOADS) || file.starts_with(PAYLOAD_FOLDER));
    files.map(|(_, text)| *text).collect::<Vec<_>>().join("\n")
}

fn render(texts: &Texts<'_>) -> String {
    let text_of = |path| texts.get(Path::new(path)).copied().unwrap_or_default();
    let (registry, payloads) = (text_of(REGISTRY), payload_texts(texts));
    let permissions = text_of(PERMISSIONS);
    let entries = entries(registry);
    let mut page = HEAD.to_owned();
    for entry in &entries {
        let wakes = match entry.consumers {
            "" => "–".to_owned(),
            consumers => consumers.to_lowercase(),
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | `{}` | {} | {wakes} | [`{payload}`](#{anchor}) |",
            entry.wire,
            entry.doc,
            text_of_value(registry, entry.entity),
            text_of_value(permissions, entry.permission),
            text_of_value(registry, entry.audience),
            payload = entry.payload,
            anchor = entry.payload.to_lowercase(),
        );
    }
    page.push_str(
        "\n## Payloads\n\nInstants are microseconds since 1970, money is billionths of a dollar.\n",
    );
    let mut payload_names: Vec<&str> = entries.iter().map(|entry| entry.payload).collect();
    payload_names.sort_unstable();
    payload_names.dedup();
    for name in payload_names {
        let (doc, fields) = fields(&payloads, name);
        let _ = writeln!(
            page,
            "\n### {name}\n\n{doc}\n\n| Field | Type | Meaning |\n| --- | --- | --- |"
        );
        for field in fields {
            let note = if field.is_flat {
                " Its fields stand beside the others."
            } else {
                ""
            };
            let kind = type_words(field.kind);
            let _ = writeln!(page, "| `{}` | {kind} | {}{note} |", field.name, field.doc);
        }
    }
    page
}

/// The events of the registry: a doc, then `SpecCreated = "spec.created", SpecChange, Spec, SpecRead, Run, [];`.
fn entries(registry: &str) -> Vec<Entry<'_>> {
    let mut doc = "";
    let mut entries = Vec::new();
    for (_, line) in lines_without_tests(registry) {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("/// ") {
            doc = text;
            continue;
        }
        let found = (|| {
            let (_, rest) = line.split_once(" = \"")?;
            let (wire, rest) = rest.split_once("\", ")?;
            let (words, rest) = rest.split_once(", [")?;
            let (consumers, _) = rest.split_once("];")?;
            let mut words = words.split(", ");
            Some(Entry {
                doc,
                wire,
                payload: words.next()?,
                entity: words.next()?,
                permission: words.next()?,
                audience: words.next()?,
                consumers,
            })
        })();
        entries.extend(found);
    }
    entries
}

/// The text of a closed set's value, declared as `Spec = "spec",`.
fn text_of_value<'a>(source: &'a str, value: &'a str) -> &'a str {
    let found = source.lines().find_map(|line| {
        let (name, rest) = line.trim().split_once(" = \"")?;
        (name == value).then(|| rest.strip_suffix("\","))?
    });
    found.unwrap_or("?")
}

/// What the payload `name` is, and its fields.
fn fields<'a>(payloads: &'a str, name: &str) -> (String, Vec<Field<'a>>) {
    let opening = format!("pub struct {name} {{\n");
    let Some((before, after)) = payloads.split_once(opening.as_str()) else {
        return ("?".to_owned(), Vec::new());
    };
    let docs: Vec<&str> = before
        .lines()
        .rev()
        .skip_while(|line| line.starts_with("#["))
        .map_while(|line| line.strip_prefix("/// "))
        .collect();
    let doc = docs.into_iter().rev().collect::<Vec<_>>().join(" ");
    let body = after.split_once("\n}").map_or("", |(body, _)| body);
    let (mut said, mut is_flat) = ("", false);
    let mut fields = Vec::new();
    for line in body.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            said = text;
        } else if line.contains("serde(flatten)") {
            is_flat = true;
        } else if let Some((name, kind)) = line
            .strip_prefix("pub ")
            .and_then(|field| field.split_once(": "))
        {
            let kind = kind.trim_end_matches(',');
            fields.push(Field {
                doc: said,
                name,
                kind,
                is_flat,
            });
            is_flat = false;
        }
    }
    (doc, fields)
}

/// A type of a field in words.
fn type_words(kind: &str) -> String {
    let inner = |outer: &str| {
        let rest = kind.strip_prefix(outer)?.strip_prefix('<')?;
        rest.strip_suffix('>')
    };
    if let Some(kind) = inner("Option") {
        return format!("{}, or null", type_words(kind));
    }
    if let Some(kind) = inner("Vec") {
        return format!("list of {}", type_words(kind));
    }
    match kind {
        "String" => "text".to_owned(),
        "bool" => "true or false".to_owned(),
        "i64" | "u32" | "i32" | "u16" | "f64" => "number".to_owned(),
        kind if kind.ends_with("Id") => "id".to_owned(),
        kind => format!("`{kind}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &str = "closed_set! {\n    EntityType {\n        /// A spec.\n        Spec = \"spec\",\n    }\n}\n\
        closed_set! {\n    EventAudience {\n        /// All.\n        Run = \"run\",\n    }\n}\n\
        events! {\n    /// A spec was written.\n    Made = \"spec.made\", Change, Spec, SpecRead, Run, [Planner];\n}\n";
    const CHANGE: &str = "/// A spec was written\n/// or moved.\n#[derive(Debug)]\npub struct Change {\n    /// Its row.\n    \
        pub spec_id: SpecId,\n    /// Attempts.\n    #[serde(flatten)]\n    pub subject: Subject,\n    /// Why.\n    \
        pub reason: Option<Vec<String>>,\n}\n";
    const NAMES: &str = "    /// Reads.\n    SpecRead = \"spec:read\",\n";

    #[test]
    fn the_page_is_what_the_registry_says() {
        let texts = |page| {
            Texts::from([
                (Path::new(REGISTRY), EVENTS),
                (Path::new(PAYLOADS), CHANGE),
                (Path::new(PERMISSIONS), NAMES),
                (Path::new(PAGE), page),
            ])
        };
        let page = render(&texts(""));
        for row in [
            "| `spec.made` | A spec was written. | spec | `spec:read` | run | planner | [`Change`](#change) |",
            "### Change\n\nA spec was written or moved.\n",
            "| `spec_id` | id | Its row. |",
            "| `subject` | `Subject` | Attempts. Its fields stand beside the others. |",
            "| `reason` | list of text, or null | Why. |",
        ] {
            assert!(page.contains(row), "{row}\n{page}");
        }
        assert_eq!(check(&texts(&page)), []);
        assert_eq!(check(&texts("old")).len(), 1);
    }
}
