//! Layers in which a set-up made something that no lock file says.

use super::fixture::{
    CARGO, GO, LayerTree, SITE, base_facts, base_places, base_tree, found, place,
};
use crate::layer::comparison::DependencyFacts;

/// The lock files add a package of each kind, and a set-up installs it.
fn with_new_packages() -> (LayerTree, DependencyFacts) {
    let (tree, mut facts) = (base_tree(), base_facts());
    tree.node("node_modules/new", "1.0.0")
        .link("node_modules/.bin/new", "../new/cli.js");
    tree.python("extra", "1.0")
        .crate_of("more", "1.0.0")
        .module("example.com/new", "v1.0.0");
    let added = [
        "npm:new@1.0.0",
        "pypi:extra@1.0",
        "crates:more@1.0.0",
        "go:example.com/new@v1.0.0",
    ];
    facts.listed_after.extend(added.map(str::to_owned));
    let mut places = base_places();
    places.push(place("node_modules/new", "npm:new@1.0.0"));
    facts.places_after.add_lock_file("", places);
    (tree, facts)
}

/// What is found once `change` was made beside an honest one.
fn caught(change: impl FnOnce(&LayerTree)) -> Vec<String> {
    let (made, facts) = with_new_packages();
    change(&made);
    found(&base_tree(), &made, &facts)
}

fn check_written(paths: &[&str]) {
    for path in paths {
        let found = caught(|made| {
            made.write(path, "evil\n");
        });
        assert_eq!(found, [*path]);
    }
}

#[test]
fn what_the_lock_files_say_alone_is_explained() {
    assert_eq!(caught(|_| {}), [""; 0]);
}

#[test]
fn files_of_nobody_and_of_unchanged_packages_stay_as_they_are() {
    let (site, src) = (
        |path: &str| format!("{SITE}/{path}"),
        format!("{CARGO}/registry/src/i"),
    );
    check_written(&[
        // Beside the code: of whoever reads them.
        "conftest.py",
        "pytest.ini",
        ".cargo/config.toml",
        "package.json",
        ".omoi-packages/bin/x",
        // Node.
        "node_modules/a/cli.js",
        "node_modules/a/added.js",
        "node_modules/a/package.json",
        "node_modules/@s/c/cli.js",
        "node_modules/b/node_modules/a/cli.js",
        "node_modules/unlisted/index.js",
        "node_modules/new/node_modules/a/index.js",
        "node_modules/.bin/b",
        "node_modules/.bin/node",
        "node_modules/.bin/new",
        "node_modules/.cache/x",
        // Python.
        ".venv/pyvenv.cfg",
        ".venv/bin/activate",
        ".venv/bin/python",
        ".venv/bin/words",
        ".venv/bin/pytest",
        &site("evil.pth"),
        &site("sitecustomize.py"),
        &site("words/__init__.py"),
        &site("words/added.py"),
        &site("extra/unlisted.py"),
        &site("pip/__init__.py"),
        &site("words-1.0.dist-info/METADATA"),
        &site("words-1.0.dist-info/entry_points.txt"),
        // Cargo and Go.
        &format!("{CARGO}/config.toml"),
        &format!("{CARGO}/bin/cargo-x"),
        &format!("{CARGO}/registry/index/i/config.json"),
        &format!("{CARGO}/registry/index/i/.cache/num"),
        &format!("{CARGO}/registry/cache/i/num-1.0.0.crate"),
        &format!("{src}/num-1.0.0/src/lib.rs"),
        &format!("{src}/num-1.0.0/build.rs"),
        &format!("{src}/unlisted-1.0.0/src/lib.rs"),
        &format!("{GO}/example.com/!big@v1.0.0/a.go"),
        &format!("{GO}/example.com/!big@v1.0.0/added.go"),
        &format!("{GO}/example.com/unlisted@v1.0.0/a.go"),
        &format!("{GO}/cache/download/example.com/!big/@v/v1.0.0.zip"),
    ]);
}

/// A list of paths that holds code is explained by an entry of a lock file alone.
#[test]
fn code_that_runs_at_every_start_comes_with_a_listed_package() {
    let list = format!("{SITE}/start.pth");
    let bring = |package: &str, facts: &mut dyn FnMut(&mut DependencyFacts), text: &str| {
        let (made, mut of_commit) = with_new_packages();
        facts(&mut of_commit);
        made.python_with(package, "1.0", &["start.pth"])
            .write(&list, text);
        found(&base_tree(), &made, &of_commit)
    };
    let (code, paths) = ("import start\n", "/work/src\n");
    assert_eq!(bring("extra", &mut |_| {}, code), [""; 0]);
    // Came from a registry because another package needs it.
    let mut unlisted = |facts: &mut DependencyFacts| {
        facts.listed_after.remove("pypi:extra@1.0");
        facts.arrived.insert("pypi:extra@1.0".to_owned());
    };
    assert_eq!(bring("extra", &mut unlisted, paths), [""; 0]);
    assert_eq!(bring("extra", &mut unlisted, code), [list.as_str()]);
    // The project itself, whatever a lock file says of its name.
    let mut own = |facts: &mut DependencyFacts| {
        facts.own_after.insert("mine".to_owned());
        facts.listed_after.insert("pypi:mine@1.0".to_owned());
    };
    assert_eq!(bring("mine", &mut own, paths), [""; 0]);
    assert_eq!(bring("mine", &mut own, code), [list.as_str()]);
}

#[test]
fn nothing_that_stays_may_be_missing() {
    for path in [
        "node_modules/a/cli.js",
        "node_modules/a",
        "node_modules/b/node_modules/a",
        "node_modules/.bin/a",
        ".venv/bin/words",
        ".venv/bin/python",
    ] {
        let found = caught(|made| {
            made.remove(path);
        });
        // What leads into a package that is gone is gone with it or found too.
        assert!(found.contains(&path.to_owned()), "{path}: {found:?}");
    }
    let gone = caught(|made| {
        made.remove(&format!("{SITE}/words-1.0.dist-info"));
    });
    assert!(
        gone.contains(&format!("{SITE}/words-1.0.dist-info/RECORD")),
        "{gone:?}"
    );
    let gone = caught(|made| {
        made.remove(&format!("{CARGO}/registry/src/i/num-1.0.0"));
    });
    assert_eq!(
        gone,
        [format!("{CARGO}/registry/src/i/num-1.0.0/src/lib.rs")]
    );
}

#[test]
fn a_copy_at_the_place_of_another_is_found() {
    let swapped = caught(|made| {
        made.rename("node_modules/a", "aside");
        made.rename("node_modules/b/node_modules/a", "node_modules/a");
        made.rename("aside", "node_modules/b/node_modules/a");
    });
    let expected = ["cli.js", "package.json"];
    let paths = |folder: &str| expected.map(|file| format!("{folder}/{file}"));
    let both = [
        paths("node_modules/a"),
        paths("node_modules/b/node_modules/a"),
    ]
    .concat();
    assert_eq!(swapped, both);
    // So is one whose new place the lock file says for another.
    let taken = caught(|made| {
        made.remove("node_modules/new");
        made.node("node_modules/new", "1.0.0")
            .rename("node_modules/@s/c", "node_modules/d");
    });
    assert!(taken.contains(&"node_modules/@s/c".to_owned()), "{taken:?}");
    assert!(
        taken.contains(&"node_modules/d/cli.js".to_owned()),
        "{taken:?}"
    );
}

#[test]
fn modes_links_and_folders_count_as_bytes_do() {
    type TreeChange = fn(&LayerTree) -> &LayerTree;
    let changes: [(&str, TreeChange); 10] = [
        ("node_modules/a/cli.js", |made| {
            made.make_runnable("node_modules/a/cli.js")
        }),
        ("node_modules/.bin/a", |made| {
            made.link("node_modules/.bin/a", "../@s/c/cli.js")
        }),
        ("node_modules/.bin/a", |made| {
            made.link("node_modules/.bin/a", "../new/cli.js")
        }),
        ("node_modules/.bin/x", |made| {
            made.link("node_modules/.bin/x", "../../../usr/bin/true")
        }),
        ("node_modules/.bin/x", |made| {
            made.link("node_modules/.bin/x", "../a/cli.js")
        }),
        (".venv/bin/python3", |made| {
            made.link(".venv/bin/python3", "/usr/bin/true")
        }),
        (".venv/lib64", |made| made.link(".venv/lib64", "../lib")),
        ("node_modules/a/cli.js", |made| {
            made.link("node_modules/a/cli.js", "/x")
        }),
        ("node_modules/.package-lock.json", |made| {
            made.link("node_modules/.package-lock.json", "/x")
        }),
        ("node_modules/d", |made| made.link("node_modules/d", "../x")),
    ];
    for (path, change) in changes {
        let found = caught(|made| {
            change(made);
        });
        assert_eq!(found, [path]);
    }
    let linked = caught(|made| {
        made.rename("node_modules/a", "elsewhere");
        made.link("node_modules/a", "../elsewhere");
    });
    let expected = [
        "elsewhere/cli.js",
        "elsewhere/package.json",
        "node_modules/a",
    ];
    assert_eq!(linked, expected);
}

#[test]
fn a_changed_package_does_not_reach_outside_of_its_place() {
    let extra = |more: &[&str], path: &str| {
        caught(|made| {
            made.python_with("extra", "1.0", more).write(path, "evil\n");
        })
    };
    for (listed, path) in [
        // Listed, and of an unchanged package, of the environment or of none.
        ("words/__init__.py", format!("{SITE}/words/__init__.py")),
        ("../../../bin/activate", ".venv/bin/activate".to_owned()),
        ("../../../pyvenv.cfg", ".venv/pyvenv.cfg".to_owned()),
        ("../../../../conftest.py", "conftest.py".to_owned()),
        ("sitecustomize.py", format!("{SITE}/sitecustomize.py")),
    ] {
        assert_eq!(extra(&[listed], &path), [path]);
    }
    // A description in a folder that is no environment of the base explains nothing.
    let planted = caught(|made| {
        made.write("extra-1.0.dist-info/RECORD", "conftest.py,,\n")
            .write("conftest.py", "evil\n");
    });
    assert_eq!(planted, ["conftest.py", "extra-1.0.dist-info/RECORD"]);
    // An unchanged one does not take more for its own.
    let record = format!("{SITE}/words-1.0.dist-info/RECORD");
    let claimed = caught(|made| {
        made.python_with("words", "1.0", &["evil.pth"]);
        made.write(&format!("{SITE}/evil.pth"), "import evil\n");
    });
    assert_eq!(claimed, [format!("{SITE}/evil.pth"), record]);
}

#[test]
fn a_project_does_not_take_the_name_of_an_installed_package() {
    let (made, mut facts) = with_new_packages();
    facts.own_after.insert("Words".to_owned());
    made.write(&format!("{SITE}/words/__init__.py"), "evil\n");
    assert_eq!(
        found(&base_tree(), &made, &facts),
        [format!("{SITE}/words/__init__.py")]
    );
}

#[test]
fn no_version_comes_in_that_the_lock_files_do_not_list() {
    let (made, mut facts) = with_new_packages();
    // Its package is listed in another version, whatever was fetched.
    facts
        .arrived
        .extend(["pypi:words@9.0".to_owned(), "crates:num@9.0.0".to_owned()]);
    made.python("words", "9.0").crate_of("num", "9.0.0");
    let unexplained = found(&base_tree(), &made, &facts);
    assert!(
        unexplained.contains(&format!("{SITE}/words-9.0.dist-info/METADATA")),
        "{unexplained:?}"
    );
    assert!(
        unexplained.contains(&format!("{CARGO}/registry/cache/i/num-9.0.0.crate")),
        "{unexplained:?}"
    );
}
