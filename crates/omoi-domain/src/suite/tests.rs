#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails where it stands"
)]
use std::collections::BTreeSet;

use super::control::{SuiteControl, root_modules, shadowed_module, suite_control, suite_part};
use super::fault::{
    MissingPart, base_refusal, is_environment_fault, missing_packages_line,
    missing_packages_reason, missing_part,
};
use super::report::{SuiteReport, TestCounts, read_suite_report};
use super::verdict::{BaseVerdict, SuiteRun, SuiteVerdict, judge_base, judge_suite};

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Runner, output, `(ran, failed, skipped)`, names of failures.
type Case = (
    &'static str,
    &'static str,
    Option<(u64, u64, u64)>,
    Option<&'static [&'static str]>,
);

const OUTPUTS: &[Case] = &[
    (
        "unittest",
        ".....\nRan 5 tests in 0.001s\n\nOK (skipped=2)\n",
        Some((3, 0, 2)),
        None,
    ),
    (
        "unittest",
        "FAIL: test_a (tests.test_x.A.test_a)\n----\nTraceback\nERROR: tests.test_y (unittest.loader._FailedTest.tests.test_y)\n\
         Ran 4 tests in 0.001s\n\nFAILED (failures=1, errors=1, skipped=1)\n",
        Some((3, 2, 1)),
        Some(&[
            "test_a (tests.test_x.A.test_a)",
            "tests.test_y (unittest.loader._FailedTest.tests.test_y)",
        ]),
    ),
    (
        "unittest",
        "Ran 900 tests in 0.1s\nOK\nRan 0 tests in 0.000s\n\nNO TESTS RAN\n",
        Some((0, 0, 0)),
        None,
    ),
    (
        "unittest",
        "..x\nRan 3 tests in 0.001s\n\nOK (skipped=1, expected failures=1)\n",
        Some((2, 0, 1)),
        None,
    ),
    ("pytest", "....\n4 passed in 0.02s\n", Some((4, 0, 0)), None),
    (
        "pytest",
        "=== short test summary info ===\nFAILED tests/test_a.py::test_x[a b] - AssertionError: no\nERROR tests/test_b.py\n\
         ==== 1 failed, 3 passed, 2 skipped, 1 warning, 1 error in 1.20s ====\n",
        Some((5, 2, 2)),
        Some(&["tests/test_a.py::test_x[a b]", "tests/test_b.py"]),
    ),
    (
        "pytest",
        "==== no tests ran in 0.01s ====\n",
        Some((0, 0, 0)),
        None,
    ),
    (
        "node --test",
        "✔ a (0.5ms)\n✖ b (1.2ms)\nℹ tests 3\nℹ suites 0\nℹ pass 1\nℹ fail 1\nℹ cancelled 0\nℹ skipped 1\nℹ todo 0\n\n\
         ✖ failing tests:\n\ntest at test/a.test.js:4:1\n✖ b (1.2ms)\n  AssertionError\n",
        Some((2, 1, 1)),
        Some(&["test/a.test.js: b"]),
    ),
    (
        "node --test",
        "TAP version 13\nok 1 - a\nnot ok 2 - b\n1..2\n# tests 2\n# suites 0\n# pass 1\n# fail 1\n# cancelled 0\n# skipped 0\n",
        Some((2, 1, 0)),
        Some(&["b"]),
    ),
    (
        "jest",
        "FAIL src/a.test.js\n  ● adds › one\n\n    expect\n\nTests:       1 failed, 1 skipped, 3 passed, 5 total\nTime: 1 s\n",
        Some((4, 1, 1)),
        Some(&["adds › one"]),
    ),
    (
        "vitest",
        " \u{1b}[31mFAIL\u{1b}[39m  src/a.test.ts > adds > one\n Test Files  1 failed | 1 passed (2)\n      Tests  1 failed | 3 passed (4)\n",
        Some((4, 1, 0)),
        Some(&["src/a.test.ts > adds > one"]),
    ),
    (
        "mocha",
        "  3 passing (10ms)\n  1 pending\n  1 failing\n\n  1) adds\n       one:\n     Error: x\n",
        Some((4, 1, 1)),
        Some(&["adds > one"]),
    ),
    (
        "cargo test",
        "running 2 tests\ntest a::one ... ok\ntest a::two ... FAILED\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
         running 1 test\ntest it ... ok\ntest result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.0s\n",
        Some((3, 1, 2)),
        Some(&["a::two"]),
    ),
    (
        "cargo nextest",
        "        FAIL [   0.004s] (1/3) crate::it one::two\n     Summary [   0.010s] 3 tests run: 2 passed, 1 failed, 4 skipped\n        FAIL [   0.004s] (1/3) crate::it one::two\n",
        Some((3, 1, 4)),
        Some(&["crate::it one::two"]),
    ),
    (
        "go test",
        "ok  \texample.com/a\t0.003s\n?   \texample.com/b\t[no test files]\n",
        None,
        None,
    ),
    (
        "go test",
        "--- FAIL: TestB (0.00s)\nFAIL\texample.com/a\t0.01s\n",
        None,
        Some(&["TestB"]),
    ),
    (
        "go test",
        "=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== RUN   TestB\n--- FAIL: TestB (0.00s)\n--- SKIP: TestC (0.00s)\nFAIL\texample.com/a\t0.01s\n",
        Some((2, 1, 1)),
        Some(&["TestB"]),
    ),
    (
        "TAP",
        "1..3\nok 1 - a\nnot ok 2 - b\nok 3 # SKIP no\n",
        Some((2, 1, 1)),
        Some(&["b"]),
    ),
];

#[test]
fn runners_counts_and_failures_are_read() {
    for (runner, output, counts, failures) in OUTPUTS {
        let counts = counts.map(|(ran, failed, skipped)| TestCounts {
            ran,
            failed,
            skipped,
        });
        let expected = SuiteReport {
            runners: vec![(*runner).to_owned()],
            counts,
            failures: failures.map(names),
        };
        assert_eq!(read_suite_report(output), expected, "{output}");
    }
    assert_eq!(read_suite_report("all good\n"), SuiteReport::default());
}

#[test]
fn names_that_cannot_all_be_read_are_not_relied_on() {
    let cut =
        "FAIL: test_a (a)\n[… 9000 bytes left out …]\nRan 9 tests in 0.1s\n\nFAILED (failures=3)\n";
    let report = read_suite_report(cut);
    assert_eq!(report.counts.unwrap().failed, 3);
    assert_eq!(report.failures, None);
    let go = "--- FAIL: TestB (0.00s)\n[… 9 bytes left out …]\nFAIL\texample.com/a\t0.01s\n";
    assert_eq!(read_suite_report(go).failures, None);
}

#[test]
fn two_runners_of_one_suite_are_added_up() {
    let both = "Ran 2 tests in 0.1s\n\nOK\n\n3 passed in 0.02s\n";
    let report = read_suite_report(both);
    assert_eq!(report.runners, ["unittest", "pytest"]);
    assert_eq!(report.counts.unwrap().ran, 5);
}

fn run(exit: i32, ran: Option<u64>, failures: &[&str]) -> SuiteRun {
    let failed = failures.len() as u64;
    SuiteRun {
        exit_code: Some(exit),
        report: SuiteReport {
            runners: Vec::new(),
            counts: ran.map(|ran| TestCounts {
                ran,
                failed,
                skipped: 0,
            }),
            failures: (!failures.is_empty()).then(|| names(failures)),
        },
    }
}

#[test]
fn a_suite_is_judged_by_its_run_on_the_base() {
    use SuiteVerdict::{FewerTests, Green, KnownRed, NewFailures, Red};
    let green = run(0, Some(5), &[]);
    let red = run(1, Some(5), &["a", "b"]);
    let nameless = run(2, None, &[]);
    let fewer = |now| FewerTests { base: 5, now };
    let cases = [
        (None, run(0, None, &[]), false, Green),
        (None, run(1, Some(5), &["a"]), false, Red),
        (Some(&green), run(0, Some(5), &[]), false, Green),
        (Some(&green), run(0, Some(7), &[]), false, Green),
        (Some(&green), run(0, Some(4), &[]), false, fewer(Some(4))),
        (Some(&green), run(0, Some(4), &[]), true, Green),
        (Some(&green), run(0, Some(0), &[]), true, fewer(Some(0))),
        (Some(&green), run(0, None, &[]), true, fewer(None)),
        (Some(&green), run(1, Some(5), &["a"]), false, Red),
        (
            Some(&red),
            run(1, Some(6), &["a", "b"]),
            false,
            KnownRed(names(&["a", "b"])),
        ),
        (
            Some(&red),
            run(1, Some(6), &["a"]),
            false,
            KnownRed(names(&["a"])),
        ),
        (
            Some(&red),
            run(1, Some(6), &["a", "c"]),
            false,
            NewFailures(names(&["c"])),
        ),
        (Some(&red), run(1, Some(3), &["a"]), false, fewer(Some(3))),
        (Some(&red), run(2, None, &[]), false, Red),
        (Some(&nameless), run(2, None, &[]), false, Red),
        (Some(&nameless), run(0, None, &[]), false, Green),
    ];
    for (base, now, may_drop, expected) in cases {
        let verdict = judge_suite(base, &now, may_drop);
        assert_eq!(verdict, expected, "{base:?} {now:?}");
        let is_known = matches!(expected, Green | KnownRed(_));
        assert_eq!(verdict.is_passing(), is_known);
        assert_eq!(
            verdict.receipt_note().is_none(),
            matches!(expected, Green | Red)
        );
    }
}

#[test]
fn a_red_base_is_accepted_by_name_only() {
    let refused = |acceptable| BaseVerdict::Refused { acceptable };
    let cases = [
        (run(0, Some(5), &[]), false, BaseVerdict::Begin),
        (run(1, Some(5), &["a"]), false, refused(true)),
        (run(1, Some(5), &["a"]), true, BaseVerdict::Begin),
        (run(1, Some(5), &[]), true, refused(false)),
        (run(127, None, &[]), true, refused(false)),
    ];
    for (base, accept, expected) in cases {
        assert_eq!(judge_base(&base, accept), expected, "{base:?}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let package = |language, name: &str| {
        let name = name.to_owned();
        Some(MissingPart::Package { language, name })
    };
    let program = |name: &str| Some(MissingPart::Program(name.to_owned()));
    let cases = [
        (
            "  File \"a.py\"\nModuleNotFoundError: No module named 'iniconfig'\n",
            package("python", "iniconfig"),
        ),
        (
            "/usr/bin/python3: No module named pytest\n",
            package("python", "pytest"),
        ),
        (
            "Error: Cannot find module 'left-pad'\n",
            package("node", "left-pad"),
        ),
        (
            "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'left-pad' imported from /w/a.js",
            package("node", "left-pad"),
        ),
        ("Error: Cannot find module './sum'\n", None),
        (
            "error: no matching package named `itoa` found\n",
            package("rust", "itoa"),
        ),
        (
            "error: failed to get `itoa` as a dependency of package `x`\n",
            package("rust", "itoa"),
        ),
        ("/bin/sh: 1: make: not found\n", program("make")),
        ("sh: line 1: cargo: command not found\n", program("cargo")),
        ("AssertionError: 1 != 2\n", None),
    ];
    for (output, expected) in cases {
        assert_eq!(missing_part(output), expected, "{output}");
    }
}

#[test]
fn the_machine_is_at_fault_for_what_is_declared_only() {
    let tracked = [
        "todo/store.py".to_owned(),
        "run.sh".to_owned(),
        "util.py".to_owned(),
    ];
    let manifests =
        "[project]\ndependencies = [\"iniconfig>=2\", \"Ruamel_Yaml\"]\n{\"left-pad\": \"1\"}";
    let python = |name: &str| MissingPart::Package {
        language: "python",
        name: name.to_owned(),
    };
    let program = |name: &str| MissingPart::Program(name.to_owned());
    let cases = [
        (python("iniconfig"), true),
        (python("iniconfig.parse"), true),
        (python("ruamel-yaml"), true),
        (python("requests"), false),
        (python("todo.missing"), false),
        (python("util"), false),
        (program("make"), true),
        (program("run.sh"), false),
        (program("./run"), false),
        (
            MissingPart::Package {
                language: "node",
                name: "left-pad".to_owned(),
            },
            true,
        ),
    ];
    for (missing, expected) in cases {
        assert_eq!(
            is_environment_fault(&missing, &tracked, manifests),
            expected,
            "{missing:?}"
        );
    }
}

#[test]
fn a_refusal_of_the_base_says_what_to_do() {
    let told = base_refusal(
        "python3 -m pytest",
        "exit 1",
        "/usr/bin/python3: No module named pytest\n",
        false,
    );
    for part in [
        "python3 -m pytest",
        "exit 1",
        "`pytest`",
        "`setup:` of `.omoi.yaml`",
        "sandbox.read_only",
        "--suite",
        "--accept-red cannot",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // A set-up that was tried is the cause, and the way to mend it.
    let why =
        "set-up `pip install -r requirements.txt` failed: it ended with code 1 (no such version)";
    let output = missing_packages_line(why) + "/usr/bin/python3: No module named pytest\n";
    assert_eq!(missing_packages_reason(&output), Some(why));
    let told = base_refusal("python3 -m pytest", "exit 1", &output, false);
    assert!(
        told.contains(why) && told.contains("`omoi setup`"),
        "{told}"
    );
    assert!(!told.contains("sandbox.read_only"), "{told}");
    // Programs are the machine's to have.
    let output = missing_packages_line(why) + "sh: 1: make: not found\n";
    let told = base_refusal("make test", "exit 127", &output, false);
    assert!(told.contains("install `make`"), "{told}");
    assert!(base_refusal("x", "exit 1", "", true).contains("--accept-red goes on"));
}

#[test]
fn files_that_decide_what_a_suite_runs() {
    use SuiteControl::{None as Nothing, Part, Whole};
    let cases = [
        ("conftest.py", Whole),
        ("pkg/conftest.py", Whole),
        ("tox.ini", Whole),
        ("pytest.ini", Whole),
        ("jest.config.mjs", Whole),
        ("app/vitest.config.ts", Whole),
        (".cargo/config.toml", Whole),
        (".config/nextest.toml", Whole),
        ("node_modules/.bin/jest", Whole),
        ("ci/test.sh", Whole),
        ("Makefile", Whole),
        (".omoi.yaml", Whole),
        ("package.json", Part),
        ("crates/a/Cargo.toml", Part),
        ("pyproject.toml", Part),
        ("setup.cfg", Part),
        ("justfile", Nothing),
        ("src/main.rs", Nothing),
        ("config.toml", Nothing),
    ];
    for (path, expected) in cases {
        assert_eq!(
            suite_control(path, Some("make all && ./ci/test.sh")),
            expected,
            "{path}"
        );
    }
    assert_eq!(suite_control("Makefile", Some("npm test")), Nothing);
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn the_part_of_a_manifest_that_tests_changes_with_tests_alone() {
    let node = r#"{"scripts":{"test":"npm run check","check":"node --test","build":"x"},"dependencies":{}}"#;
    let cargo = "[package]\nname = \"a\"\n[lib]\nname = \"a\"\n[dependencies]\n";
    let python = "[project]\nname = \"a\"\n[tool.pytest.ini_options]\naddopts = \"-q\"\n";
    let config = "[metadata]\nname = a\n[tool:pytest]\naddopts = -q\n";
    let cases = [
        (
            "package.json",
            node,
            node.replace("npm run check", "true"),
            true,
        ),
        (
            "package.json",
            node,
            node.replace("node --test", "true"),
            true,
        ),
        (
            "package.json",
            node,
            node.replace("\"build\"", "\"pretest\":\"rm -r test\",\"build\""),
            true,
        ),
        (
            "package.json",
            node,
            node.replace(
                "\"dependencies\"",
                "\"jest\":{\"testMatch\":[]},\"dependencies\"",
            ),
            true,
        ),
        ("package.json", node, node.replace("\"x\"", "\"y\""), false),
        (
            "package.json",
            node,
            node.replace("{}}", "{\"a\":\"1\"}}"),
            false,
        ),
        (
            "Cargo.toml",
            cargo,
            cargo.replace("[lib]", "[lib]\ntest = false"),
            true,
        ),
        (
            "Cargo.toml",
            cargo,
            cargo.replace("[lib]", "autotests = false\n[lib]"),
            true,
        ),
        (
            "Cargo.toml",
            cargo,
            format!("{cargo}[[test]]\nname = \"x\"\nharness = false\n"),
            true,
        ),
        (
            "Cargo.toml",
            cargo,
            format!("lib = {{ test = false }}\n{cargo}"),
            true,
        ),
        ("Cargo.toml", cargo, format!("{cargo}itoa = \"1\"\n"), false),
        (
            "pyproject.toml",
            python,
            python.replace("-q", "--ignore=tests"),
            true,
        ),
        (
            "pyproject.toml",
            python,
            python.replace("[tool", "dependencies = [\"x\"]\n[tool"),
            false,
        ),
        ("setup.cfg", config, config.replace("-q", "--co"), true),
        ("setup.cfg", config, config.replace("= a", "= b"), false),
    ];
    for (path, before, after, differs) in cases {
        let is_other = suite_part(path, before) != suite_part(path, &after);
        assert_eq!(is_other, differs, "{path}: {after}");
    }
}

#[test]
fn names_that_hide_the_standard_library_are_found() {
    let stood = root_modules(["code/a.py", "todo/b.py", "README.md"].into_iter());
    for (path, module) in [
        ("json.py", Some("json")),
        ("unittest/__init__.py", Some("unittest")),
        ("unittest/deep/x.py", Some("unittest")),
        ("sitecustomize.py", Some("sitecustomize")),
        ("pytest.py", Some("pytest")),
        ("json.cpython-311-x86_64-linux-gnu.so", Some("json")),
        ("code/b.py", None),
        ("types/a.d.ts", None),
        ("todo/json.py", None),
        ("jsonx.py", None),
        ("json.txt", None),
    ] {
        assert_eq!(shadowed_module(path, &stood), module, "{path}");
    }
}
