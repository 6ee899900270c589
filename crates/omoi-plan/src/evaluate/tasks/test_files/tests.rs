use std::sync::Arc;

use super::*;
use crate::repository::RepositoryFacts;

fn fault(path: &str, text: &str) -> Option<TestFileFault> {
    let facts = EvaluationFacts {
        repo: Arc::new(RepositoryFacts::of_paths([
            "ledger/cli.py",
            "src/store.rs",
            "js/search.js",
            "internal/probe/board.go",
            "inip.c",
            "inip.h",
            "lib/shopping_cart.ex",
            "src/Shop/Cart.cs",
            "tests/test_cli.py",
        ])),
        ..EvaluationFacts::default()
    };
    let names = ProjectNames::new(&facts, ["js/scale.js"]);
    test_file_fault(&BTreeMap::from([(path, text)]), &[], &names, &facts)
}

#[test]
fn tests_that_use_the_project_and_assert_stand() {
    for (path, text) in [
        (
            "tests/proof.py",
            "from ledger.cli import main\nassert main([]) == 0\n",
        ),
        (
            "tests/proof.py",
            "import subprocess\nassert subprocess.run(['python3', '-m', 'ledger']).returncode == 0\n",
        ),
        (
            "tests/proof.rs",
            "use kv::Store;\n#[test]\nfn a() { let s = Store::new(); assert!(s.iter().skip(1).next().is_none()); }\n",
        ),
        (
            "tests/proof.rs",
            "#[test]\nfn a() { assert_eq!(greet::bye(\"Ann\"), \"Goodbye, Ann.\"); }\n",
        ),
        (
            "tests/proof.rs",
            "fn t() { let p = env!(\"CARGO_BIN_EXE_kv\"); assert_eq!(p, \"\"); }\n",
        ),
        (
            "tests/proof.test.js",
            "import { scale } from '../js/scale.js';\nassert.equal(scale(1), 2);\n",
        ),
        (
            "internal/probe/proof_test.go",
            "package probe\nfunc TestA(t *testing.T) { if NewBoard() == nil { t.Fatal() } }\n",
        ),
        (
            "proof/a.c",
            "#include \"inip.h\"\n#include <assert.h>\nint main(void) { assert(inip_get() == 0); }\n",
        ),
        (
            "test/proof_test.exs",
            "defmodule ProofTest do\n  use ExUnit.Case\n  test \"a\", do: assert ShoppingCart.total([]) == 0\nend\n",
        ),
        (
            "tests/ProofTests.cs",
            "using Xunit;\npublic void A() => Assert.Equal(0, new Cart().Total());\n",
        ),
        (
            "e2e/proof.spec.ts",
            "await page.goto('/notes');\nexpect(await page.title()).toBe('Notes');\n",
        ),
        ("proof/a.sh", "true\n"),
        ("tests/data.json", "{}"),
    ] {
        assert_eq!(fault(path, text), None, "{path}: {text}");
    }
}

#[test]
fn tests_that_show_nothing_are_told_apart() {
    use TestFileFault::{AssertsNothing, BringsWork, Skips, TouchesNothing};
    for (path, text, expected) in [
        (
            "tests/proof.py",
            "from ledger.cli import main\nmain([])\n",
            AssertsNothing,
        ),
        (
            "tests/proof.py",
            "from ledger.cli import main\nassert callable(main)\nassert True\n",
            AssertsNothing,
        ),
        (
            "tests/proof.js",
            "import { x } from '../js/search.js';\nx();\nexpect(true).toBe(true);\n",
            AssertsNothing,
        ),
        (
            "tests/proof.py",
            "import os\nassert os.path.exists('ledger/cli.py')\n",
            TouchesNothing,
        ),
        (
            "tests/proof.py",
            "assert 'def undo' in open('ledger/cli.py').read()\n",
            TouchesNothing,
        ),
        (
            "tests/proof.py",
            "def add(a, b):\n    return a + b\nassert add(1, 2) == 3\n",
            TouchesNothing,
        ),
        (
            "tests/proof.rs",
            "use kv::Store;\n#[test]\nfn a() { let _ = Store::new(); }\n",
            AssertsNothing,
        ),
        (
            "tests/proof.js",
            "import { x } from '../js/search.js';\ntest('a', { skip: x }, () => assert(x));\n",
            Skips("skip:".to_owned()),
        ),
        (
            "js/scale.js",
            "export const scale = 1;\n",
            BringsWork("js/scale.js".to_owned()),
        ),
        (
            "inip.c",
            "int main(void) { return 0; }\n",
            BringsWork("inip.c".to_owned()),
        ),
    ] {
        assert_eq!(fault(path, text), Some(expected), "{path}: {text}");
    }
}

#[test]
fn program_code_that_a_laid_test_takes_in_is_the_work() {
    let repo = RepositoryFacts::of_paths(["src/store.rs", "src/lib.rs"]);
    let facts = EvaluationFacts {
        repo: Arc::new(repo),
        ..EvaluationFacts::default()
    };
    let names = ProjectNames::new(&facts, []);
    let test = "#[path = \"../src/compact.rs\"] mod compact;\nassert!(compact::is_done());\n";
    let mut laid = BTreeMap::from([("src/compact.rs", "pub fn is_done() {}")]);
    let alone = test_file_fault(&laid, &[], &names, &facts);
    assert_ne!(
        alone,
        Some(TestFileFault::BringsWork("src/compact.rs".to_owned()))
    );
    laid.insert("tests/proof.rs", test);
    let fault = test_file_fault(&laid, &[], &names, &facts);
    assert_eq!(
        fault,
        Some(TestFileFault::BringsWork("src/compact.rs".to_owned()))
    );
}
