//! Changes of lock files and what managers make of them.

use super::fixture::{
    CARGO, GO, LayerTree, SITE, base_facts, base_places, base_tree, found, place,
};
use crate::layer::comparison::{DependencyFacts, NodePlace, NodePlaces};

fn check(made: &LayerTree, facts: &DependencyFacts) {
    assert_eq!(found(&base_tree(), made, facts), [""; 0]);
}

/// The facts when the lock files of the commit list `added` and no more `removed`.
fn facts_with(added: &[&str], removed: &[&str]) -> DependencyFacts {
    let mut facts = base_facts();
    facts
        .listed_after
        .extend(added.iter().map(|one| (*one).to_owned()));
    facts
        .listed_after
        .retain(|one| !removed.contains(&one.as_str()));
    facts
}

#[test]
fn npm_moves_what_its_lock_file_moves() {
    // `a` is needed in version 2 alone now, and lies further up.
    let mut facts = facts_with(&[], &["npm:a@1.0.0"]);
    let mut places = base_places();
    places.retain(|(folder, _)| folder == "node_modules/b" || folder == "node_modules/@s/c");
    places.push(place("node_modules/a", "npm:a@2.0.0"));
    facts.places_after.add_lock_file("", places);
    let made = base_tree();
    made.remove("node_modules/a")
        .rename("node_modules/b/node_modules/a", "node_modules/a");
    made.write("node_modules/.package-lock.json", "{\"other\": 1}");
    check(&made, &facts);
    // Its bytes are compared at the new place.
    made.write("node_modules/a/cli.js", "evil\n");
    assert_eq!(
        found(&base_tree(), &made, &facts),
        ["node_modules/a/cli.js"]
    );
}

#[test]
fn npm_takes_another_version_with_what_it_brings() {
    let mut facts = facts_with(
        &["npm:b@2.0.0", "npm:d@1.0.0"],
        &["npm:b@1.0.0", "npm:a@2.0.0"],
    );
    let mut places = base_places();
    places.retain(|(folder, _)| !folder.starts_with("node_modules/b"));
    places.push(place("node_modules/b", "npm:b@2.0.0"));
    places.push(place("node_modules/b/node_modules/d", "npm:d@1.0.0"));
    let own = NodePlace {
        package: "npm:own@ tools/own".to_owned(),
        link: Some("tools/own".to_owned()),
        is_optional: false,
    };
    places.push(("node_modules/own".to_owned(), own));
    let missing = NodePlace {
        is_optional: true,
        ..place("", "npm:other-machine@1.0.0").1
    };
    places.push(("node_modules/other-machine".to_owned(), missing));
    facts.places_after.add_lock_file("", places);
    let made = base_tree();
    made.remove("node_modules/b");
    made.node("node_modules/b", "2.0.0")
        .node("node_modules/b/node_modules/d", "1.0.0");
    made.link("node_modules/b/node_modules/.bin/d", "../d/cli.js");
    made.link("node_modules/.bin/b", "../b/bin/other.js");
    made.write("node_modules/b/test/node_modules/x/index.js", "x\n");
    made.link("node_modules/own", "../tools/own");
    check(&made, &facts);
}

#[test]
fn without_a_lock_file_of_npm_packages_name_themselves() {
    let mut facts = facts_with(&[], &[]);
    facts.places_before = NodePlaces::default();
    for list in [&mut facts.listed_before, &mut facts.listed_after] {
        list.retain(|one| !one.starts_with("npm:"));
    }
    facts
        .arrived
        .extend(["npm:b@2.0.0".to_owned(), "npm:d@1.0.0".to_owned()]);
    let made = base_tree();
    made.remove("node_modules/b")
        .node("node_modules/b", "2.0.0")
        .node("node_modules/d", "1.0.0");
    made.link("node_modules/.bin/d", "../d/cli.js");
    check(&made, &facts);
    // Yarn offers a package the programs of those that it needs.
    made.link("node_modules/b/node_modules/.bin/d", "../../../d/cli.js");
    check(&made, &facts);
    made.node("node_modules/never-fetched", "1.0.0");
    let planted =
        ["cli.js", "package.json"].map(|file| format!("node_modules/never-fetched/{file}"));
    assert_eq!(found(&base_tree(), &made, &facts), planted);
}

#[test]
fn pip_replaces_packages_and_brings_what_they_need() {
    let mut facts = facts_with(&["pypi:words@2.0"], &["pypi:words@1.0"]);
    facts
        .arrived
        .extend(["pypi:words@2.0".to_owned(), "pypi:needed@3.1".to_owned()]);
    let made = base_tree();
    made.remove(&format!("{SITE}/words-1.0.dist-info"));
    made.python_with("words", "2.0", &["words.pth"])
        .python("needed", "3.1");
    made.write(&format!("{SITE}/words.pth"), "import words\n");
    made.write(&format!("{SITE}/words-2.0.dist-info/REQUESTED"), "");
    check(&made, &facts);
    // What an installer notes of a package that stayed.
    let info = format!("{SITE}/pip-23.0.dist-info");
    made.write(&format!("{info}/REQUESTED"), "")
        .write(&format!("{info}/INSTALLER"), "uv\n");
    check(&made, &facts);
}

#[test]
fn the_projects_own_package_is_described_anew() {
    let info = |version: &str| format!("{SITE}/own_code-{version}.dist-info");
    let tree = |version: &str, sources: &str| {
        let tree = base_tree();
        let hook = format!("__editable__.own_code-{version}.pth");
        tree.python_with("own_code", version, &[&hook]);
        tree.write(&format!("{SITE}/{hook}"), "/work/src\n");
        tree.write(&format!("{}/METADATA", info(version)), sources);
        tree.write("src/own_code.egg-info/SOURCES.txt", sources);
        tree
    };
    let mut facts = facts_with(&[], &[]);
    facts.places_after.add_lock_file("", base_places());
    for own in [&mut facts.own_before, &mut facts.own_after] {
        own.insert("own-code".to_owned());
    }
    let base = tree("0.1.0", "a.py\n");
    for made in [tree("0.1.0", "a.py\nb.py\n"), tree("0.2.0", "a.py\n")] {
        assert_eq!(found(&base, &made, &facts), [""; 0]);
        made.write("src/own_code.egg-info/conftest.py", "evil\n");
        let planted = ["src/own_code.egg-info/conftest.py"];
        assert_eq!(found(&base, &made, &facts), planted);
    }
}

#[test]
fn an_environment_that_the_base_has_none_of_is_what_it_is_without_packages() {
    let mut facts = DependencyFacts::default();
    facts.listed_after.insert("pypi:words@1.0".to_owned());
    let (frame, made) = (LayerTree::empty(), LayerTree::empty());
    frame.environment().python("pip", "23.0");
    made.environment()
        .python("pip", "23.0")
        .python("words", "1.0");
    assert_eq!(found(&frame, &made, &facts), [""; 0]);
    made.write(".venv/bin/activate", "exit 0\n");
    assert_eq!(found(&frame, &made, &facts), [".venv/bin/activate"]);
    // Without anything to compare with it is nobody's.
    let nothing = found(&LayerTree::empty(), &made, &facts);
    assert!(
        nothing.contains(&".venv/bin/python3".to_owned()),
        "{nothing:?}"
    );
}

#[test]
fn cargo_and_go_keep_versions_apart() {
    let added = [
        "crates:num@2.0.0",
        "go:example.com/Big@v2.0.0",
        "go:example.com/mod@v1.0.0",
    ];
    let mut facts = facts_with(&added, &["crates:num@1.0.0"]);
    facts.places_after.add_lock_file("", base_places());
    let made = base_tree();
    let registry = format!("{CARGO}/registry");
    made.remove(&format!("{registry}/src/i/num-1.0.0"));
    made.remove(&format!("{registry}/cache/i/num-1.0.0.crate"));
    made.crate_of("num", "2.0.0");
    let lines = "1.0.0\0{\"vers\":\"1.0.0\",\"yanked\":true}\x002.0.0\0{\"vers\":\"2.0.0\"}\0";
    made.write(&format!("{registry}/index/i/.cache/num"), lines);
    made.write(&format!("{CARGO}/.global-cache"), "used\n");
    made.module("example.com/!big", "v2.0.0");
    // The first is not needed any more, though `go.sum` still lists it.
    let download = format!("{GO}/cache/download/example.com");
    made.remove(&format!("{GO}/example.com/!big@v1.0.0"));
    for kind in ["zip", "ziphash"] {
        made.remove(&format!("{download}/!big/@v/v1.0.0.{kind}"));
    }
    made.write(&format!("{download}/mod/@v/v1.0.0.mod"), "m");
    made.write(
        &format!("{GO}/cache/download/sumdb/sum.golang.org/tile/8/0/x"),
        "t",
    );
    check(&made, &facts);
}
