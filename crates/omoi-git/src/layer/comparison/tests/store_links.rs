//! Packages as pnpm lays them out, and what may change in them.

use super::fixture::{LayerTree, found};
use crate::layer::comparison::DependencyFacts;

/// A package in a version, and those that it needs.
type StoredPackage<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

fn store(name: &str, version: &str) -> String {
    format!("node_modules/.pnpm/{name}@{version}/node_modules/{name}")
}

/// The script by which a program is offered, which runs the package in `own` over `place`.
fn write_script<'t>(tree: &'t LayerTree, path: &str, (own, place): (&str, &str)) -> &'t LayerTree {
    let (around, _) = own.rsplit_once('/').unwrap();
    let searched =
        format!("/work/{own}/node_modules:/work/{around}:/work/node_modules/.pnpm/node_modules");
    let text = format!(
        "#!/bin/sh\nexport NODE_PATH=\"{searched}:$NODE_PATH\"\nexec node  \"$basedir/{place}/cli.js\" \"$@\"\n"
    );
    tree.write(path, &text).make_runnable(path)
}

/// What pnpm installs: `asked` by the project, `hoisted` for everybody, and the `packages`.
fn tree_of(
    asked: &[(&str, &str)],
    hoisted: &[(&str, &str)],
    packages: &[StoredPackage<'_>],
) -> LayerTree {
    let tree = LayerTree::empty();
    for (name, version, needs) in packages {
        let own = store(name, version);
        tree.node(&own, version);
        for (other, version) in *needs {
            let target = format!("../../{other}@{version}/node_modules/{other}");
            let (around, _) = own.rsplit_once('/').unwrap();
            tree.link(&format!("{around}/{other}"), &target);
            let script = format!("{own}/node_modules/.bin/{other}");
            let place = format!("../../../../../{other}@{version}/node_modules/{other}");
            write_script(&tree, &script, (&store(other, version), &place));
        }
    }
    for (modules, up, offered) in [
        ("node_modules", ".pnpm", asked),
        ("node_modules/.pnpm/node_modules", "..", hoisted),
    ] {
        for (name, version) in offered {
            let target = format!("{up}/{name}@{version}/node_modules/{name}");
            tree.link(&format!("{modules}/{name}"), &target);
            let script = format!("{modules}/.bin/{name}");
            write_script(
                &tree,
                &script,
                (&store(name, version), &format!("../{name}")),
            );
        }
    }
    let versions = format!("{packages:?}");
    tree.write("node_modules/.modules.yaml", &versions);
    tree.write("node_modules/.pnpm/lock.yaml", &versions);
    tree.write("node_modules/.pnpm-workspace-state-v1.json", &versions);
    tree
}

const B1: StoredPackage<'_> = ("b", "1.0.0", &[("a", "1.0.0")]);
const B2: StoredPackage<'_> = ("b", "2.0.0", &[("a", "2.0.0"), ("f", "1.0.0")]);

fn base() -> LayerTree {
    tree_of(
        &[("b", "1.0.0"), ("e", "1.0.0"), ("k", "1.0.0")],
        &[("a", "1.0.0"), ("f", "1.0.0")],
        &[
            ("a", "1.0.0", &[]),
            B1,
            ("e", "1.0.0", &[("f", "1.0.0")]),
            ("f", "1.0.0", &[]),
            ("k", "1.0.0", &[("e", "1.0.0")]),
        ],
    )
}

/// `b` is raised with what it needs, `f` is asked for by the project as well, `e` is for `k` and is raised, `d` is new.
fn changed() -> LayerTree {
    tree_of(
        &[
            ("b", "2.0.0"),
            ("d", "1.0.0"),
            ("e", "2.0.0"),
            ("f", "1.0.0"),
            ("k", "1.0.0"),
        ],
        &[("a", "2.0.0"), ("h", "1.0.0")],
        &[
            ("a", "2.0.0", &[]),
            B2,
            ("d", "1.0.0", &[("f", "1.0.0"), ("h", "1.0.0")]),
            ("e", "1.0.0", &[("f", "1.0.0")]),
            ("e", "2.0.0", &[]),
            ("f", "1.0.0", &[]),
            ("h", "1.0.0", &[]),
            ("k", "1.0.0", &[("e", "1.0.0")]),
        ],
    )
}

fn facts() -> DependencyFacts {
    let listed = |versions: &str| {
        versions
            .split(' ')
            .map(|one| format!("npm:{one}"))
            .collect()
    };
    DependencyFacts {
        listed_before: listed("a@1.0.0 b@1.0.0 e@1.0.0 f@1.0.0 k@1.0.0"),
        listed_after: listed("a@2.0.0 b@2.0.0 d@1.0.0 e@1.0.0 e@2.0.0 f@1.0.0 h@1.0.0 k@1.0.0"),
        ..DependencyFacts::default()
    }
}

#[test]
fn packages_may_be_raised_added_and_offered_otherwise() {
    assert_eq!(found(&base(), &changed(), &facts()), [""; 0]);
}

#[test]
fn packages_may_go_with_their_links_and_scripts() {
    let made = tree_of(
        &[("b", "1.0.0"), ("e", "1.0.0")],
        &[("a", "1.0.0"), ("f", "1.0.0")],
        &[
            ("a", "1.0.0", &[]),
            B1,
            ("e", "1.0.0", &[("f", "1.0.0")]),
            ("f", "1.0.0", &[]),
        ],
    );
    let mut facts = facts();
    facts.listed_after = facts.listed_before.clone();
    facts.listed_after.remove("npm:k@1.0.0");
    assert_eq!(found(&base(), &made, &facts), [""; 0]);
    // What `b` alone needs goes with it; `e` is there for `k` alone, and hoisted.
    let made = tree_of(
        &[("k", "1.0.0")],
        &[("e", "1.0.0"), ("f", "1.0.0")],
        &[
            ("e", "1.0.0", &[("f", "1.0.0")]),
            ("f", "1.0.0", &[]),
            ("k", "1.0.0", &[("e", "1.0.0")]),
        ],
    );
    facts.listed_after = ["npm:e@1.0.0", "npm:f@1.0.0", "npm:k@1.0.0"]
        .map(str::to_owned)
        .into();
    assert_eq!(found(&base(), &made, &facts), [""; 0]);
}

#[test]
fn links_and_scripts_lead_where_they_are_named_for() {
    type TreeChange = for<'a> fn(&'a LayerTree, &str) -> &'a LayerTree;
    let changes: [(&str, TreeChange); 13] = [
        ("node_modules/k", |made, path| {
            made.link(path, ".pnpm/b@2.0.0/node_modules/b")
        }),
        ("node_modules/k", |made, path| made.remove(path)),
        // A package that stays takes what it needs from where it did.
        ("node_modules/.pnpm/k@1.0.0/node_modules/e", |made, path| {
            made.link(path, "../../e@2.0.0/node_modules/e")
        }),
        ("node_modules/.pnpm/k@1.0.0/node_modules/a", |made, path| {
            made.link(path, "../../e@2.0.0/node_modules/e")
        }),
        ("node_modules/.pnpm/k@1.0.0/node_modules/e", |made, path| {
            made.remove(path)
        }),
        ("node_modules/.pnpm/node_modules/h", |made, path| {
            made.link(path, "../d@1.0.0/node_modules/d")
        }),
        ("node_modules/.pnpm/node_modules", |made, path| {
            made.remove("node_modules/.pnpm/node_modules")
                .link(path, "../elsewhere")
        }),
        ("node_modules/.bin/k", |made, path| {
            made.write(path, "evil\n")
        }),
        ("node_modules/.bin/d", |made, path| {
            made.write(path, "evil\n")
        }),
        ("node_modules/.bin/d", |made, path| {
            write_script(made, path, (&store("d", "1.0.0"), "../d/../../tools"))
        }),
        ("node_modules/.bin/k", |made, path| {
            write_script(made, path, (&store("d", "1.0.0"), "../d"))
        }),
        ("node_modules/.bin/tsc", |made, path| {
            write_script(
                made,
                path,
                (&store("h", "1.0.0"), "../.pnpm/h@1.0.0/node_modules/h"),
            )
        }),
        ("node_modules/.bin/d", |made, path| {
            write_script(made, path, ("tools/node_modules/d", "../d"))
        }),
    ];
    for (path, change) in changes {
        let made = changed();
        change(&made, path);
        let found = found(&base(), &made, &facts());
        assert!(found.contains(&path.to_owned()), "{path}: {found:?}");
    }
}

#[test]
fn a_script_is_known_by_those_of_the_base() {
    let base = tree_of(&[], &[], &[]);
    let made = tree_of(&[("d", "1.0.0")], &[], &[("d", "1.0.0", &[])]);
    let found = found(&base, &made, &facts());
    assert_eq!(found, ["node_modules/.bin/d"]);
}
