//! What a path below `node_modules` belongs to, by its text alone.

/// What a path below `node_modules` belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum NodePart<'p> {
    /// A package: its folder, and the path from there; empty for the folder itself, where it is a link.
    Package { folder: &'p str, rest: &'p str },
    /// A program: the `node_modules` that it is offered in.
    Program { modules: &'p str },
    /// Something else: the outermost `node_modules`, and the path from there.
    Other { rest: &'p str },
}

impl<'p> NodePart<'p> {
    /// None for a path that is not below `node_modules`.
    pub(in super::super) fn of_path(path: &'p str) -> Option<Self> {
        let outermost = modules_end(path)?;
        let other = Self::Other {
            rest: path.get(outermost + 1..).unwrap_or_default(),
        };
        let (mut modules, mut found) = (outermost, None);
        loop {
            let rest = path.get(modules + 1..).unwrap_or_default();
            let mut names = rest.split('/');
            let first = names.next().unwrap_or_default();
            let length = match (first, names.next()) {
                (".bin", Some(_)) if names.next().is_none() => {
                    let modules = &path[..modules];
                    return Some(Self::Program { modules });
                }
                // Where pnpm offers what the project did not ask for itself to packages that do not say what they need.
                (".pnpm", Some("node_modules")) => {
                    modules += 1 + first.len() + 1 + "node_modules".len();
                    continue;
                }
                // The store of pnpm: a folder of its own around each package and what it needs.
                (".pnpm", Some(own)) if names.next() == Some("node_modules") => {
                    modules += 1 + first.len() + 1 + own.len() + 1 + "node_modules".len();
                    continue;
                }
                (scope, Some(name)) if scope.starts_with('@') => scope.len() + 1 + name.len(),
                (name, _) if !name.is_empty() && !name.starts_with(['.', '@']) => name.len(),
                _ => return Some(found.unwrap_or(other)),
            };
            let end = modules + 1 + length;
            let (folder, rest) = (&path[..end], path.get(end + 1..).unwrap_or_default());
            found = Some(Self::Package { folder, rest });
            match rest.strip_prefix("node_modules/") {
                Some(_) => modules = end + 1 + "node_modules".len(),
                None => return found,
            }
        }
    }
}

/// Whether a folder is that of a package, and not one inside.
pub(in super::super) fn is_package_folder(folder: &str) -> bool {
    matches!(
        NodePart::of_path(folder),
        Some(NodePart::Package { rest: "", .. })
    )
}

/// Where the outermost `node_modules` of `path` ends.
pub(super) fn modules_end(path: &str) -> Option<usize> {
    let mut end = 0;
    for part in path.split('/') {
        end += part.len();
        if part == "node_modules" {
            return Some(end);
        }
        end += 1;
    }
    None
}

/// Where a link at `path` leads, by its text alone; none when it leads out.
pub(super) fn resolve_link(path: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" if target.starts_with('/') => return None,
            "" | "." => {}
            ".." => parts.pop().map(drop)?,
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Whether programs of the package in `folder` may be offered in `modules`: it lies there, or where the package that
/// `modules` belongs to finds what it needs.
pub(super) fn is_offered_in(modules: &str, folder: &str) -> bool {
    let parent = parent_of(folder);
    let around = owner_of(modules).map_or("", parent_of);
    parent == modules || parent == around || around.starts_with(&format!("{parent}/"))
}

/// The package whose own folder `modules` lies in.
pub(super) fn owner_of(modules: &str) -> Option<&str> {
    let owner = modules.strip_suffix("/node_modules")?;
    is_package_folder(owner).then_some(owner)
}

/// The `node_modules` that a package folder lies in.
pub(super) fn parent_of(folder: &str) -> &str {
    folder
        .rfind("node_modules/")
        .map_or("", |at| &folder[..at + "node_modules".len()])
}

/// The name that a package folder gives its package.
pub(super) fn leaf_of(folder: &str) -> &str {
    folder
        .rsplit_once("node_modules/")
        .map_or(folder, |(_, leaf)| leaf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_the_innermost_package_that_can_be_required() {
        let package = |folder, rest| Some(NodePart::Package { folder, rest });
        let program = |modules| Some(NodePart::Program { modules });
        for (path, expected) in [
            ("src/a.js", None),
            ("node_modules", Some(NodePart::Other { rest: "" })),
            ("node_modules/a", package("node_modules/a", "")),
            (
                "w/node_modules/@s/a/x/y",
                package("w/node_modules/@s/a", "x/y"),
            ),
            (
                "node_modules/a/node_modules/b/x",
                package("node_modules/a/node_modules/b", "x"),
            ),
            // A folder of that name inside of a package is the package's.
            (
                "node_modules/a/test/node_modules/b/x",
                package("node_modules/a", "test/node_modules/b/x"),
            ),
            ("node_modules/.bin/a", program("node_modules")),
            (
                "node_modules/a/node_modules/.bin/b",
                program("node_modules/a/node_modules"),
            ),
            (
                "node_modules/.pnpm/a@1/node_modules/a/x",
                package("node_modules/.pnpm/a@1/node_modules/a", "x"),
            ),
            (
                "node_modules/.pnpm/node_modules/@s/a/x",
                package("node_modules/.pnpm/node_modules/@s/a", "x"),
            ),
            (
                "node_modules/.pnpm/node_modules",
                Some(NodePart::Other {
                    rest: ".pnpm/node_modules",
                }),
            ),
            (
                "node_modules/.cache/x",
                Some(NodePart::Other { rest: ".cache/x" }),
            ),
        ] {
            assert_eq!(NodePart::of_path(path), expected, "{path}");
        }
        assert!(is_package_folder("node_modules/@s/a") && !is_package_folder("node_modules/a/b"));
    }

    #[test]
    fn a_link_is_followed_by_its_text() {
        for (path, target, expected) in [
            (
                "node_modules/.bin/a",
                "../a/cli.js",
                Some("node_modules/a/cli.js"),
            ),
            ("node_modules/@s/own", "../../tools/own", Some("tools/own")),
            ("node_modules/.bin/a", "/usr/bin/a", None),
            ("a", "../../b", None),
        ] {
            assert_eq!(resolve_link(path, target).as_deref(), expected);
        }
    }
}
