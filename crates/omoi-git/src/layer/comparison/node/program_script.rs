//! Programs of packages that pnpm offers as scripts.
//!
//! Each version of pnpm writes another text. So a script is taken for one of a manager's if its text, but for the paths in
//! it, is that of a script that the base's layer has; where the paths lead is judged apart.

use sha2::{Digest as _, Sha256};

use super::super::listing::FileDigest;
use super::{NodePart, resolve_link};

/// The last of the characters that stand for places; a text that holds any is no script.
const PLACE_MARK_LAST: char = '\u{3}';

/// What a script says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct ProgramScript {
    /// A digest of its text without the paths.
    pub(super) text: FileDigest,
    /// The file that it runs.
    pub(super) target: String,
    /// Where what that file requires is looked for as well.
    pub(super) searched: Vec<String>,
}

impl ProgramScript {
    /// Reads the script at `path` in a workspace that its set-up called `work`. None if it runs no file of a package, or
    /// mentions two.
    pub(in super::super) fn parse(path: &str, text: &str, work: &str) -> Option<Self> {
        let is_program = matches!(NodePart::of_path(path), Some(NodePart::Program { .. }));
        if !is_program || text.contains(|c| c <= PLACE_MARK_LAST) {
            return None;
        }
        let (mut plain, mut rest) = (Sha256::new(), text);
        let (mut target, mut searched) = (None, Vec::new());
        while let Some(start) = rest.find(is_of_path) {
            let (before, found) = rest.split_at(start);
            let end = found.find(|c| !is_of_path(c)).unwrap_or(found.len());
            let (word, after) = found.split_at(end);
            plain.update(before);
            rest = after;
            let below = word.strip_prefix("basedir/").unwrap_or(word);
            if !names_place(below) {
                plain.update(word);
                continue;
            }
            // What leads there stays in the text, and whether it is from the script's own folder or from the root.
            plain.update(word.strip_suffix(below)?);
            let inside = below
                .strip_prefix(work)
                .and_then(|rest| rest.strip_prefix('/'));
            let leads_to = match inside {
                Some(inside) => resolve_link("work", inside)?,
                None => resolve_link(path, below)?,
            };
            let is_searched = leads_to.ends_with("/node_modules") || leads_to == "node_modules";
            plain.update([u8::from(inside.is_some()) + 2 * u8::from(is_searched)]);
            if is_searched {
                searched.push(leads_to);
            } else if target.get_or_insert(leads_to.clone()) != &leads_to {
                return None;
            }
        }
        plain.update(rest);
        Some(Self {
            text: plain.finalize().into(),
            target: target?,
            searched,
        })
    }

    /// Whether what a program of the package in `own` requires is looked for in and around the package, where Node looks
    /// anyway, or among all packages below `root`, and nowhere else.
    pub(super) fn searches_beside(&self, own: &str, root: &str) -> bool {
        let own = format!("{own}/");
        self.searched.iter().all(|modules| {
            let around = modules.strip_suffix("node_modules").unwrap_or_default();
            let is_near = own.starts_with(around) || around.starts_with(&own);
            is_near || *modules == format!("{root}/.pnpm/node_modules")
        })
    }
}

/// Whether a path may hold the character. Every other one ends it, so what it is cannot be hidden.
const fn is_of_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '@' | '+' | '~' | '(' | ')')
}

/// Whether a word of a script says where something lies: one of the words around them may be just `/node_modules/`.
fn names_place(word: &str) -> bool {
    let mut parts = word.split('/').filter(|part| !part.is_empty());
    let is_place = parts.clone().any(|part| part == "node_modules") || word.starts_with("../");
    is_place && parts.any(|part| part != "node_modules")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "node_modules/.bin/b";

    fn parse(text: &str) -> Option<ProgramScript> {
        ProgramScript::parse(AT, text, "/w")
    }

    fn of_old(version: &str, program: &str) -> String {
        let store = format!("/w/node_modules/.pnpm/{program}@{version}/node_modules");
        let searched =
            format!("{store}/{program}/node_modules:{store}:/w/node_modules/.pnpm/node_modules");
        format!(
            "#!/bin/sh\nexport NODE_PATH=\"{searched}:$NODE_PATH\"\nif [ -x \"$basedir/node\" ]; then\n  \
             exec \"$basedir/node\"  \"$basedir/../{program}/cli.js\" \"$@\"\nelse\n  \
             exec node  \"$basedir/../{program}/cli.js\" \"$@\"\nfi\n"
        )
    }

    fn of_new(program: &str) -> String {
        let store = format!("../.pnpm/{program}@1.0.0/node_modules");
        format!(
            "# relative entries of node_modules dropped\n*/node_modules/*|*/node_modules) ;;\n\
             NODE_PATH=\"$basedir_abs\"/'{store}/{program}/node_modules':\"$basedir_abs\"/'../.pnpm/node_modules'\n\
             exec node  \"$basedir_abs\"/'{store}/{program}/cli.js' \"$@\"\n# cmd-shim-target={store}/{program}/cli.js\n"
        )
    }

    #[test]
    fn scripts_differ_by_their_paths_alone() {
        for (one, other) in [
            (of_old("1.0.0", "b"), of_old("1.0.0", "long-name")),
            (of_new("b"), of_new("long-name")),
        ] {
            let (one, other) = (parse(&one).unwrap(), parse(&other).unwrap());
            assert_eq!(one.text, other.text);
            assert_ne!(one.target, other.target);
            let own = |name: &str| format!("node_modules/.pnpm/{name}@1.0.0/node_modules/{name}");
            assert!(one.searches_beside(&own("b"), "node_modules"));
            assert!(!one.searches_beside(&own("c"), "node_modules"));
        }
        assert_eq!(
            parse(&of_old("1.0.0", "b")).unwrap().target,
            "node_modules/b/cli.js"
        );
        assert_eq!(
            parse(&of_new("b")).unwrap().target,
            "node_modules/.pnpm/b@1.0.0/node_modules/b/cli.js"
        );
    }

    #[test]
    fn whatever_else_a_script_does_is_seen() {
        let honest = of_old("1.0.0", "b");
        let text = parse(&honest).unwrap().text;
        for (old, new) in [
            ("exec node", "exec evil"),
            ("\"$@\"", "\"$@\" ; evil"),
            ("#!/bin/sh", "#!/w/evil"),
            ("../b/cli.js", "../b/node_modules"),
            ("../b/cli.js", "\u{0}"),
            ("$basedir/node\"", "$basedir/evil\""),
            (":$NODE_PATH", ":evil:$NODE_PATH"),
            // From where a check runs, and not from where the script lies.
            ("$basedir/../b/", "../b/"),
            ("/w/node_modules/", "../node_modules/"),
        ] {
            let evil = honest.replacen(old, new, 1);
            assert_ne!(evil, honest);
            assert!(
                parse(&evil).is_none_or(|script| script.text != text),
                "{evil}"
            );
        }
        // Another file, twice, or outside.
        let twice = honest.replacen("../b/cli.js", "../b/evil.js", 1);
        assert_eq!(parse(&twice), None);
        assert_eq!(
            parse(&honest.replace("../b/cli.js", "../../../evil/node_modules/x.js")),
            None
        );
        let elsewhere =
            honest.replace("/w/node_modules/.pnpm/node_modules", "/w/evil/node_modules");
        let own = "node_modules/.pnpm/b@1.0.0/node_modules/b";
        assert!(
            !parse(&elsewhere)
                .unwrap()
                .searches_beside(own, "node_modules")
        );
    }
}
