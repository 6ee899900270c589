//! Agents as a person chooses and declares them.

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::task::TaskType;
use omoi_programs::declared_agents::DeclaredAgents;
use omoi_programs::options::{ProgramOptions, agent_rules};

use super::providers::{load_file, shown_files};
use super::*;

#[test]
fn the_page_of_agents_shows_what_works() {
    let files = shown_files(include_str!("../../../../../docs/agents.md"));
    let [rules, declared] = files.as_slice() else {
        panic!("{files:?}");
    };
    assert_eq!(agent_rules(&load_file(rules, &[], &[]).unwrap()).len(), 4);

    let config = load_file(declared, &[], &[]).unwrap();
    let options = ProgramOptions::from_config(&config);
    let agents = DeclaredAgents::new(&options.declared).unwrap();
    let [goose, kit] = agents.declared_rows() else {
        panic!("{agents:?}");
    };
    assert_eq!(goose.program, "bin/goose");
    let model = ("GOOSE_MODEL".to_owned(), "{model}".to_owned());
    assert!(goose.variables.contains(&model), "{goose:?}");
    assert!(kit.folder.is_absolute() && kit.folder.ends_with("kit"));
    assert_eq!(kit.arguments[0], "{folder}/dist/index.js");
    let rules = agent_rules(&config);
    let purpose = omoi_domain::agent_rule::AgentPurpose::of_task("todo", TaskType::FixBug);
    let chosen = omoi_domain::agent_rule::choose_agents(&rules, purpose);
    assert_eq!(chosen, [goose.agent_program(), AgentProgram::Native]);
}

#[test]
fn an_agent_that_cannot_be_declared_so_is_named() {
    let file = "agents:\n  acp:\n    - {name: qwen, folder: /q, command: q, version: 1, dialect: messages}\n";
    let error = load_file(file, &[], &[]).unwrap_err();
    let said = error_chain(&error);
    assert!(
        said.contains("agents.acp") && said.contains("built in"),
        "{said}"
    );
}
