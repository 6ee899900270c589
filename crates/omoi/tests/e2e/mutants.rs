//! Models that cheat: whatever they claim, the run says that it did not succeed, and why.

use serde_json::Value;

use crate::world::World;

/// A variation of the demo and what must be said about it.
struct Mutant {
    scenario: &'static str,
    /// In the reason of the summary.
    reason: &'static [&'static str],
}

fn ends_with_its_reason(mutant: &Mutant) -> Value {
    let world = World::demo(&format!("mutants/{}.yaml", mutant.scenario));
    let said = world.start(world.run(&["--yes"])).wait();
    let summary = said.summary();
    println!(
        "{}: {:?} {} {}",
        mutant.scenario, said.took, summary["outcome"], summary["reason"]
    );
    let code = match summary["outcome"].as_str().unwrap() {
        "failed" => 1,
        "blocked" => 3,
        other => panic!("{} {other}: {said:?}", mutant.scenario),
    };
    assert_eq!(said.status.code(), Some(code), "{said:?}");
    let reason = summary["reason"].as_str().unwrap_or_default();
    for part in mutant.reason {
        assert!(
            reason.contains(part),
            "`{reason}` does not say `{part}`: {said:?}"
        );
    }
    // Nothing was handed over.
    assert_eq!(
        world.repo.git(&["branch", "--format=%(refname:short)"]),
        "main"
    );
    summary
}

#[test]
fn who_claims_done_with_no_change_fails() {
    ends_with_its_reason(&Mutant {
        scenario: "no_change",
        reason: &["TSK-006", "no_change"],
    });
}

#[test]
fn who_weakens_a_test_fails() {
    ends_with_its_reason(&Mutant {
        scenario: "weakened_test",
        reason: &["TSK-001", "test_weakened"],
    });
}

#[test]
fn who_drops_a_side_of_a_conflict_fails() {
    ends_with_its_reason(&Mutant {
        scenario: "dropped_side",
        reason: &["checks_failed"],
    });
}

#[test]
fn who_never_fixes_a_check_fails() {
    ends_with_its_reason(&Mutant {
        scenario: "never_fixed",
        reason: &["TSK-004", "checks_failed"],
    });
}

#[test]
fn who_writes_outside_the_workspace_fails() {
    ends_with_its_reason(&Mutant {
        scenario: "outside_workspace",
        reason: &["TSK-006", "outside_workspace"],
    });
    assert!(!std::path::Path::new("/etc/omoi-was-here").exists());
}

#[test]
fn who_relabels_a_check_fails() {
    ends_with_its_reason(&Mutant {
        scenario: "relabelled_check",
        reason: &["tasks", "criterion_unproven", "REQ-TODOTAGS-FUNC-006#1"],
    });
}

#[test]
fn who_trivialises_a_criterion_fails() {
    ends_with_its_reason(&Mutant {
        scenario: "trivial_criterion",
        reason: &[
            "requirements",
            "criterion_asks_nothing",
            "The program works as expected.",
        ],
    });
}

#[test]
fn whose_check_passes_without_the_work_is_blocked_until_a_person_accepts() {
    let world = World::demo("mutants/weak_proof.yaml");
    let run = world.simulated(world.ask_for_people(&["--yes"]));
    let said = world.start(run).wait().exited(3).stderr;
    // Lines of a page end where it does.
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "weak_proof",
        "REQ-TODOTAGS-FUNC-006#1, REQ-TODOTAGS-FUNC-006#2",
        "without TSK-006",
    ] {
        assert!(words.contains(part), "`{said}` does not say `{part}`");
    }
    let branches = || world.repo.git(&["branch", "--format=%(refname:short)"]);
    assert_eq!(branches(), "main");
    // The command that is named.
    let hint = said
        .lines()
        .find_map(|line| line.trim().strip_prefix("Accept: omoi "));
    let hint: Vec<&str> = hint.unwrap().split(' ').collect();
    let mut command = crate::binary::omoi(&world.home());
    command.args(hint).arg("--json");
    let said = world.start(command).wait().exited(0);
    let summary = said.summary();
    assert_eq!(summary["outcome"], "succeeded", "{said:?}");
    assert_eq!(summary["criteria"]["weak"], 2, "{summary:#}");
    let notes = summary["notes"].to_string();
    assert!(notes.contains("not by this work"), "{notes}");
    assert_ne!(branches(), "main");
    let trace = world.start(world.command(&["trace", "SPEC-1"])).wait();
    let trace = trace.exited(0).stdout;
    assert!(trace.contains("2 weak"), "{trace}");
    assert!(trace.contains("(accepted)"), "{trace}");
}
