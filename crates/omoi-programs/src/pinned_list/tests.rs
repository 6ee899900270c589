#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::collections::BTreeSet;

use omoi_domain::agent_program::AgentProgram;

use super::*;

fn list() -> PinnedList {
    PinnedList::load_embedded().unwrap()
}

#[test]
fn everything_on_the_list_is_pinned_and_stays_in_its_folder() {
    let list = list();
    for program in &list.programs {
        for build in &program.builds {
            let chosen = ChosenBuild { program, build };
            let name = format!("{} on {}", program.name, build.platform);
            assert!(chosen.all_packages().count() > 0, "{name}");
            assert!(build.download_bytes > 1_000_000, "{name}");
            assert!(build.unpacked_bytes > build.download_bytes, "{name}");
            assert!(stays_below(Path::new(&build.program)), "{name}");
            let folders: BTreeSet<&str> =
                chosen.all_packages().map(|p| p.folder.as_str()).collect();
            assert_eq!(folders.len(), chosen.all_packages().count(), "{name}");
            for package in chosen.all_packages() {
                assert!(stays_below(Path::new(&package.folder)), "{name}");
                assert!(!package.version.contains(['^', '~', '*', ' ']), "{name}");
                // Nobody has found a file with this digest.
                let is_filled = package.integrity.to_string().contains("AAAAAAAAAAAA");
                assert!(!is_filled, "{name}: {}", package.name);
            }
        }
    }
    for wheel in &list.node.wheels {
        assert_eq!(wheel.sha256.len(), 64, "{}", wheel.file);
        assert!(wheel.download_bytes > 1_000_000, "{}", wheel.file);
        assert!(wheel.file.contains(&list.node.version), "{}", wheel.file);
    }
    // Every agent that is no part of the worker can be installed.
    let agents: BTreeSet<&str> = list.programs.iter().map(|p| p.agent.as_str()).collect();
    let driven = AgentProgram::BUILT_IN
        .iter()
        .filter(|agent| !agent.is_native());
    assert_eq!(agents, driven.map(AgentProgram::as_str).collect());
}

#[test]
fn programs_are_found_by_name_and_by_agent() {
    let list = list();
    let name_of = |asked: &str| list.find_program(asked).map(|found| found.name.clone());
    assert_eq!(name_of("opencode").unwrap(), "opencode");
    assert_eq!(name_of("acp:opencode").unwrap(), "opencode");
    let refused = name_of("clyde").unwrap_err();
    assert_eq!(refused.to_string(), "there is no agent program `clyde`");
    let next = refused.next_step().unwrap();
    assert!(next.contains("claude-code, codex, opencode"), "{next}");
}

#[test]
fn a_machine_without_a_build_is_told_which_there_are() {
    let list = list();
    let program = list.find_program("codex").unwrap();
    let refused = program.build_for(None).unwrap_err();
    assert!(refused.to_string().contains("`codex` is not built for"));
    assert_eq!(
        refused.next_step().unwrap(),
        "it is built for linux-x64, linux-arm64"
    );
    let opencode = list.find_program("opencode").unwrap();
    assert!(
        opencode
            .build_for(Some(MachinePlatform::LinuxArm64))
            .is_err()
    );
}

#[test]
fn the_digest_names_content_and_place_of_every_package() {
    let list = list();
    let program = list.find_program("claude-agent-acp").unwrap().clone();
    let digest = |program: &PinnedProgram| {
        let build = program.build_for(Some(MachinePlatform::LinuxX64)).unwrap();
        build.content_digest()
    };
    let before = digest(&program);
    assert_eq!(before.len(), DIGEST_LENGTH);
    let mut turned = program.clone();
    turned.packages.reverse();
    turned.about.clear();
    assert_eq!(digest(&turned), before, "the order says nothing");
    let mut moved = program.clone();
    moved.packages[0].folder.push('x');
    assert_ne!(digest(&moved), before);
    let mut other = program.clone();
    other.packages[0].integrity = other.packages[1].integrity.clone();
    assert_ne!(digest(&other), before);
    let mut fewer = program;
    fewer.builds[0].packages.clear();
    assert_ne!(digest(&fewer), before);
}
