//! Which crate of the workspace may depend on which.

use std::path::Path;

use super::Finding;

/// Crates with the crates they may depend on. `*` is every crate.
///
/// Arrows point down only, and crates of one layer do not see each other: the parts that talk to the
/// outside (store, runtime, llm, git, sandbox) meet only in `omoi-execution` and above, and what
/// runs inside a sandbox cannot reach the database because nothing gives it the store. The rules of
/// planning are used by planning and the binary alone.
const EDGES: &[(&str, &[&str])] = &[
    ("omoi-domain", &[]),
    ("omoi-plan", &["omoi-domain"]),
    ("omoi-protocol", &["omoi-domain"]),
    ("omoi-store", &["omoi-domain"]),
    ("omoi-runtime", &["omoi-domain"]),
    ("omoi-git", &["omoi-domain"]),
    ("omoi-sandbox", &["omoi-domain"]),
    ("omoi-llm", &["omoi-domain", "omoi-protocol"]),
    ("omoi-integrations", &["omoi-domain"]),
    ("omoi-programs", &["omoi-domain"]),
    ("omoi-repository-map", &[]),
    // Deadlines and the age of versions need the clock.
    ("omoi-egress", &["omoi-domain", "omoi-runtime"]),
    (
        "omoi-accounts",
        &[
            "omoi-domain",
            "omoi-store",
            "omoi-runtime",
            "omoi-integrations",
        ],
    ),
    (
        "omoi-execution",
        &[
            "omoi-domain",
            "omoi-protocol",
            "omoi-store",
            "omoi-runtime",
            "omoi-git",
            "omoi-sandbox",
            "omoi-llm",
            // Lock files, as the proxy reads them.
            "omoi-egress",
            "omoi-repository-map",
        ],
    ),
    (
        "omoi-planning",
        &[
            "omoi-domain",
            "omoi-plan",
            "omoi-protocol",
            "omoi-store",
            "omoi-runtime",
            "omoi-git",
            "omoi-sandbox",
            "omoi-llm",
            "omoi-execution",
        ],
    ),
    (
        "omoi-delivery",
        &[
            "omoi-domain",
            "omoi-protocol",
            "omoi-store",
            "omoi-runtime",
            "omoi-git",
            "omoi-sandbox",
            "omoi-llm",
            "omoi-execution",
        ],
    ),
    (
        "omoi-agent",
        &[
            "omoi-domain",
            "omoi-protocol",
            "omoi-llm",
            "omoi-git",
            "omoi-runtime",
            "omoi-repository-map",
        ],
    ),
    (
        "omoi-server",
        &[
            "omoi-domain",
            "omoi-protocol",
            "omoi-store",
            "omoi-runtime",
            "omoi-git",
            "omoi-sandbox",
            "omoi-llm",
            // The proxy behind the socket of sandboxes.
            "omoi-egress",
            "omoi-execution",
            "omoi-planning",
            "omoi-delivery",
            // Who calls, and by whom they sign in.
            "omoi-accounts",
            "omoi-integrations",
        ],
    ),
    ("omoi", &["*"]),
    (TESTKIT, &["*"]),
    ("xtask", &[]),
];

/// Support for tests: every crate may use it in its tests and none may ship it.
const TESTKIT: &str = "omoi-testkit";

/// Checks one file; anything but a crate's manifest has no edges.
pub(crate) fn check(file: &Path, text: &str) -> Vec<Finding> {
    let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
    let name = match parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>()[..] {
        ["crates", name, "Cargo.toml"] => name.to_owned(),
        ["xtask", "Cargo.toml"] => "xtask".to_owned(),
        _ => return Vec::new(),
    };
    let Some((_, allowed)) = EDGES.iter().find(|(of, _)| *of == name) else {
        let remedy = "give it a row in xtask/src/tidy/edges.rs and a line in ARCHITECTURE.md";
        return vec![Finding::new(
            file,
            1,
            format!("`{name}` is a new crate"),
            remedy,
        )];
    };
    edges(text)
        .filter(|edge| !is_allowed(&name, allowed, edge))
        .map(|edge| {
            let what = format!("`{name}` may not depend on `{}`", edge.to);
            let remedy = "move the code to where both can see it, or send news upwards as an event \
                          (the allowed edges are in xtask/src/tidy/edges.rs)";
            Finding::new(file, edge.line, what, remedy)
        })
        .collect()
}

struct Edge {
    line: usize,
    to: String,
    in_tests: bool,
}

fn is_allowed(name: &str, allowed: &[&str], edge: &Edge) -> bool {
    match edge.to.as_str() {
        TESTKIT => edge.in_tests,
        // Tests ask the automation where servers are; only the testkit needs to.
        "xtask" => name == TESTKIT,
        to => to == name || allowed.contains(&to) || allowed == ["*"],
    }
}

/// The dependencies of a manifest on crates of the workspace.
fn edges(manifest: &str) -> impl Iterator<Item = Edge> {
    let mut section = String::new();
    (1..).zip(manifest.lines()).filter_map(move |(line, text)| {
        let text = text.trim();
        let entry = if let Some(header) = text.strip_prefix('[') {
            section = header.trim_end_matches(']').into();
            // `[dependencies.name]` is a header and an entry at once.
            let (_, entry) = section.split_once("dependencies.")?;
            entry.to_owned()
        } else if section.ends_with("dependencies") {
            renamed(text)
                .or_else(|| text.split(['.', ' ', '=']).next())?
                .to_owned()
        } else {
            renamed(text)
                .filter(|_| section.contains("dependencies."))?
                .to_owned()
        };
        let to = entry.trim_matches('"').to_owned();
        let is_ours = to == "omoi" || to.starts_with("omoi-") || to == "xtask";
        is_ours.then(|| Edge {
            line,
            to,
            in_tests: section.contains("dev-dependencies"),
        })
    })
}

/// The crate behind another name: `package = "…"`.
fn renamed(text: &str) -> Option<&str> {
    let (_, value) = text.split_once("package")?;
    value
        .trim_start()
        .strip_prefix('=')?
        .trim_start()
        .strip_prefix('"')?
        .split('"')
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_manifest(name: &str, manifest: &str, lines: &[usize]) {
        let file = format!("crates/{name}/Cargo.toml");
        let found: Vec<_> = check(Path::new(&file), manifest)
            .iter()
            .map(|finding| finding.line)
            .collect();
        assert_eq!(found, lines, "{name}: {manifest}");
    }

    #[test]
    fn edges_point_down_only() {
        check_manifest(
            "omoi-git",
            "[dependencies]\nomoi-domain.workspace = true\nanyhow = \"1\"\n",
            &[],
        );
        check_manifest(
            "omoi-git",
            "[dependencies]\nomoi-store.workspace = true\n",
            &[2],
        );
        check_manifest(
            "omoi-planning",
            "[dependencies]\nomoi-delivery = { path = \"../omoi-delivery\" }\n",
            &[2],
        );
        check_manifest(
            "omoi-agent",
            "[dependencies]\nomoi-llm.workspace = true\nomoi-store.workspace = true\n",
            &[3],
        );
        check_manifest(
            "omoi",
            "[dependencies]\nomoi-server.workspace = true\n",
            &[],
        );
        check_manifest(
            "omoi-domain",
            "[dev-dependencies]\nomoi-protocol.workspace = true\n",
            &[2],
        );
        for outsider in ["omoi-execution", "omoi-delivery", "omoi-server"] {
            check_manifest(
                outsider,
                "[dependencies]\nomoi-plan.workspace = true\n",
                &[2],
            );
        }
    }

    #[test]
    fn every_way_to_write_an_edge_is_seen() {
        check_manifest(
            "omoi-git",
            "[dependencies.omoi-store]\nworkspace = true\n",
            &[1],
        );
        check_manifest(
            "omoi-git",
            "[target.'cfg(unix)'.dependencies]\n\"omoi-store\" = { path = \"x\" }\n",
            &[2],
        );
        check_manifest(
            "omoi-git",
            "[dependencies]\nrows = { package = \"omoi-store\", path = \"x\" }\n",
            &[2],
        );
        check_manifest(
            "omoi-git",
            "[dependencies.rows]\npackage = \"omoi-store\"\n",
            &[2],
        );
        check_manifest(
            "omoi-git",
            "[build-dependencies]\nomoi-store.workspace = true\n",
            &[2],
        );
    }

    #[test]
    fn the_testkit_is_for_tests_and_new_crates_need_a_row() {
        check_manifest(
            "omoi-git",
            "[dev-dependencies]\nomoi-testkit.workspace = true\n",
            &[],
        );
        check_manifest(
            "omoi",
            "[dependencies]\nomoi-testkit.workspace = true\n",
            &[2],
        );
        check_manifest("omoi", "[dependencies]\nxtask = { path = \"x\" }\n", &[2]);
        check_manifest(
            "omoi-testkit",
            "[dependencies]\nxtask = { path = \"x\" }\n",
            &[],
        );
        check_manifest("omoi-helpers", "", &[1]);
    }
}
