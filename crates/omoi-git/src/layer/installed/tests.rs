#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails where it stands"
)]
use super::*;
use std::fs;

const SITE: &str = ".venv/lib/python3.11/site-packages";

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// One package of each kind and one below another; scripts name `work`.
fn install(root: &Path, work: &str) {
    let node = |name: &str| format!("{{\"name\": \"{name}\", \"version\": \"1.0.0\"}}");
    write(root, "web/node_modules/a/package.json", &node("a"));
    write(root, "web/node_modules/a/index.js", "a\n");
    write(root, "web/node_modules/@s/b/package.json", &node("@s/b"));
    let nested = "web/node_modules/a/node_modules/c";
    write(root, &format!("{nested}/package.json"), &node("c"));
    let info = format!("{SITE}/word_list-1.0.dist-info");
    write(root, &format!("{SITE}/words.py"), "words\n");
    write(
        root,
        ".venv/bin/words",
        &format!("#!{work}/.venv/bin/python\nrun\n"),
    );
    let record = "words.py,sha256=x,6\n../../../bin/words,,\nword_list-1.0.dist-info/RECORD,,\n\
        word_list-1.0.dist-info/REQUESTED,,\n";
    write(root, &format!("{info}/RECORD"), record);
    let cargo = ".omoi-packages/cargo/registry";
    write(
        root,
        &format!("{cargo}/src/index-1/Num-1.0.0-rc.1/lib.rs"),
        "one\n",
    );
    write(
        root,
        &format!("{cargo}/cache/index-1/Num-1.0.0-rc.1.crate"),
        "archive\n",
    );
    write(
        root,
        ".omoi-packages/go/example.com/!big@v1.0.0/big.go",
        "big\n",
    );
    let download = ".omoi-packages/go/cache/download/example.com/!big/@v";
    write(root, &format!("{download}/v1.0.0.zip"), "zip\n");
    write(root, &format!("{download}/v1.0.0.lock"), "");
}

fn all() -> BTreeSet<String> {
    let names = [
        "npm:a@1.0.0",
        "npm:@s/b@1.0.0",
        "npm:c@1.0.0",
        "pypi:word-list@1.0",
        "crates:num@1.0.0-rc.1",
        "go:example.com/Big@v1.0.0",
        "npm:never-installed@1.0.0",
    ];
    names.map(str::to_owned).into()
}

fn altered_by(change: impl FnOnce(&Path)) -> Vec<String> {
    let (base, made) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    install(base.path(), "/work");
    install(made.path(), "/data/work/setup-1");
    change(made.path());
    let tree = |files, work| InstalledTree { files, work };
    altered_packages(
        tree(base.path(), "/work"),
        tree(made.path(), "/data/work/setup-1"),
        &all(),
    )
    .unwrap()
}

#[test]
fn packages_that_stayed_are_none_altered() {
    assert_eq!(altered_by(|_| {}), [""; 0]);
    // What is new, what is bytecode and what the installer says of itself is no part of them.
    let added = altered_by(|root| {
        write(root, "web/node_modules/new/package.json", "{}");
        write(root, "web/node_modules/a/node_modules/d/package.json", "{}");
        write(root, "web/node_modules/a/__pycache__/x.pyc", "x");
        write(
            root,
            &format!("{SITE}/word_list-1.0.dist-info/REQUESTED"),
            "x",
        );
        write(
            root,
            ".omoi-packages/go/cache/download/example.com/!big/@v/v1.0.0.lock",
            "x",
        );
    });
    assert_eq!(added, [""; 0]);
}

#[test]
fn each_change_names_its_package() {
    let cargo = ".omoi-packages/cargo/registry";
    for (path, name) in [
        ("web/node_modules/a/index.js", "npm:a@1.0.0"),
        ("web/node_modules/a/package.json", "npm:a@1.0.0"),
        ("web/node_modules/a/added.js", "npm:a@1.0.0"),
        ("web/node_modules/@s/b/index.js", "npm:@s/b@1.0.0"),
        ("web/node_modules/a/node_modules/c/x", "npm:c@1.0.0"),
        (&format!("{SITE}/words.py"), "pypi:word-list@1.0"),
        (".venv/bin/words", "pypi:word-list@1.0"),
        (
            &format!("{SITE}/word_list-1.0.dist-info/RECORD"),
            "pypi:word-list@1.0",
        ),
        (
            &format!("{cargo}/src/index-1/Num-1.0.0-rc.1/lib.rs"),
            "crates:num@1.0.0-rc.1",
        ),
        (
            &format!("{cargo}/cache/index-1/Num-1.0.0-rc.1.crate"),
            "crates:num@1.0.0-rc.1",
        ),
        (
            ".omoi-packages/go/example.com/!big@v1.0.0/big.go",
            "go:example.com/Big@v1.0.0",
        ),
        (
            ".omoi-packages/go/cache/download/example.com/!big/@v/v1.0.0.zip",
            "go:example.com/Big@v1.0.0",
        ),
    ] {
        assert_eq!(
            altered_by(|root| write(root, path, "evil\n")),
            [name],
            "{path}"
        );
    }
    let gone = altered_by(|root| fs::remove_dir_all(root.join("web/node_modules/a")).unwrap());
    assert_eq!(gone, ["npm:a@1.0.0", "npm:c@1.0.0"]);
    let link = altered_by(|root| {
        fs::remove_file(root.join("web/node_modules/a/index.js")).unwrap();
        std::os::unix::fs::symlink("/x", root.join("web/node_modules/a/index.js")).unwrap();
    });
    assert_eq!(link, ["npm:a@1.0.0"]);
}

#[test]
fn a_listed_file_behind_a_link_is_altered_and_not_read() {
    // It holds the same bytes.
    let outside = tempfile::tempdir().unwrap();
    let script = "#!/data/work/setup-1/.venv/bin/python\nrun\n";
    write(outside.path(), "words", script);
    let linked = altered_by(|root| {
        fs::remove_dir_all(root.join(".venv/bin")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join(".venv/bin")).unwrap();
    });
    assert_eq!(linked, ["pypi:word-list@1.0"]);
    // Who opens it for reading alone waits for a writer.
    let piped = altered_by(|root| {
        let pipe = root.join(SITE).join("words.py");
        fs::remove_file(&pipe).unwrap();
        rustix::fs::mkfifoat(CWD, &pipe, Mode::RUSR).unwrap();
    });
    assert_eq!(piped, ["pypi:word-list@1.0"]);
}

#[test]
fn a_file_that_is_listed_often_is_read_once() {
    let (tree, names) = (tempfile::tempdir().unwrap(), all());
    install(tree.path(), "/work");
    let record = |lines: &str| {
        let path = format!("{SITE}/word_list-1.0.dist-info/RECORD");
        write(tree.path(), &path, lines);
        let tree = InstalledTree {
            files: tree.path(),
            work: "/work",
        };
        let finder = PackageFinder::new(tree, &names).unwrap();
        finder.sum_packages().unwrap()["pypi:word-list@1.0"].clone()
    };
    assert_eq!(record("words.py,,\n"), record("words.py,,\nwords.py,,\n"));
    let mut twice = Sha256::new();
    twice.update("./words.py");
    twice.update("words\n");
    twice.update([0]);
    twice.update("words.py");
    let twice: FileDigest = twice.finalize().into();
    assert!(record("words.py,,\n./words.py,,\n").contains(&twice));
}

#[test]
fn a_list_that_leads_out_reads_nothing_there() {
    assert_eq!(fold_path(Path::new("a/../b/./c")), Some("b/c".into()));
    assert_eq!(fold_path(Path::new("a/../../etc/passwd")), None);
    assert_eq!(fold_path(Path::new("/etc/passwd")), None);
    assert_eq!(first_field("\"a,\"\"b\",x,1"), Some("a,\"b".into()));
    assert_eq!(first_field(""), None);
}
