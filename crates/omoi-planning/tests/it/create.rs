//! Specs that are written down.

use std::collections::BTreeMap;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::prompt_family::PromptFamily;
use omoi_execution::{AgentModelFacts, AgentModels};
use omoi_git::toolchain::HostEnvironment;
use omoi_planning::commands::{AskedSpec, CreateError, create_spec};
use omoi_planning::options::{SPEC_KEYS, VALIDATION_KEYS};
use omoi_planning::repository_reader::RepositoryReader;
use omoi_protocol::api::LaunchSpec;
use omoi_runtime::config::{ConfigSources, KeyTable, load_config};
use omoi_runtime::options::DATA_KEYS;
use omoi_store::specs;
use omoi_testkit::deployment::{TestDeployment, WatchedDeployment};
use omoi_testkit::repo::TestRepo;

static TABLE: KeyTable = KeyTable {
    sections: &[DATA_KEYS, SPEC_KEYS, VALIDATION_KEYS],
    rules: &[],
};

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_is_written_down_while_git_is_not_running() {
    let guarded = WatchedDeployment::new().await;
    let repo = TestRepo::with_files(&[("a.py", "x = 1\n")]);
    guarded.watch_git();
    let ask = |idea: &str| LaunchSpec {
        idea: idea.to_owned(),
        repo_path: repo.path().to_string_lossy().into_owned(),
        auto_start: true,
        spec_files: false,
        suite: None,
        accept_red: false,
        agent: None,
        require_approval_gates: false,
    };
    let host = HostEnvironment::default();
    let sources = ConfigSources::default().with_flag("data.dir", "/nowhere");
    let own = load_config(&TABLE, &sources).unwrap();
    let reader = RepositoryReader {
        access: &guarded.it.build_part(),
        host: &host,
        config: &own,
    };
    let tenant = &guarded.it.deployment.store;
    let mut branches = Vec::new();
    for _ in 0..2 {
        let spec = create_spec(
            &guarded.it.build_part(),
            reader,
            tenant,
            AskedSpec::begun_now(ask("Add tags")),
        )
        .await;
        branches.push(spec.unwrap().integration_branch);
    }
    assert_eq!(branches, ["omoi/add-tags", "omoi/add-tags-2"]);
    assert!(guarded.finish_watch() > 10);
}

#[tokio::test]
async fn a_spec_whose_agent_may_ask_no_model_is_refused() {
    let it = TestDeployment::with_parts(|parts| {
        let subscribed = AgentModelFacts {
            window_tokens: None,
            takes_images: false,
            answer_tokens: 1_000,
            prompts: PromptFamily::Open,
            only_program: Some(AgentProgram::ClaudeCode),
        };
        parts.agent_models = AgentModels::new(subscribed, BTreeMap::new());
    })
    .await;
    let repo = TestRepo::with_files(&[("a.py", "x = 1\n")]);
    let host = HostEnvironment::default();
    let sources = ConfigSources::default().with_flag("data.dir", "/nowhere");
    let own = load_config(&TABLE, &sources).unwrap();
    let reader = RepositoryReader {
        access: &it.build_part(),
        host: &host,
        config: &own,
    };
    let asked = LaunchSpec {
        idea: "Add tags".to_owned(),
        repo_path: repo.path().to_string_lossy().into_owned(),
        auto_start: true,
        spec_files: false,
        suite: None,
        accept_red: false,
        agent: None,
        require_approval_gates: false,
    };
    let tenant = &it.deployment.store;
    let branches = async || specs::branches(&mut it.read_tx().await).await.unwrap();
    let before = branches().await;
    let refused = create_spec(
        &it.build_part(),
        reader,
        tenant,
        AskedSpec::begun_now(asked),
    )
    .await;
    let Err(CreateError::Agent(refused)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        refused.to_string().contains("--agent claude-code"),
        "{refused}"
    );
    assert_eq!(branches().await, before, "nothing is written");
}
