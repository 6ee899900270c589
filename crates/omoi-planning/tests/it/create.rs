//! Specs that are written down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::Mutex;

use omoi_domain::agent_program::AgentProgram;
use omoi_domain::agent_rule::AgentRule;
use omoi_domain::config::Config;
use omoi_domain::prompt_family::PromptFamily;
use omoi_domain::spec::SpecStatus;
use omoi_domain::time::Timestamp;
use omoi_execution::agent_programs::{FindProgram, ProgramLaunch, ProgramUnusable};
use omoi_execution::integration::base_ref;
use omoi_execution::janitor::Janitor;
use omoi_execution::repository_folders::RepositoryFolders;
use omoi_execution::{AgentModelFacts, AgentModels, FromParts as _};
use omoi_git::object::ObjectId;
use omoi_git::toolchain::HostEnvironment;
use omoi_planning::commands::{AskedSpec, CreateError, create_spec};
use omoi_planning::options::{SPEC_KEYS, VALIDATION_KEYS};
use omoi_planning::repository_reader::{RepositoryAccess, RepositoryReader};
use omoi_protocol::api::LaunchSpec;
use omoi_runtime::config::{ConfigSources, KeyTable, load_config};
use omoi_runtime::options::DATA_KEYS;
use omoi_runtime::reconcile::{Entities, Reconciler as _};
use omoi_store::specs;
use omoi_testkit::deployment::{TestDeployment, WatchedDeployment};
use omoi_testkit::repo::TestRepo;

static TABLE: KeyTable = KeyTable {
    sections: &[DATA_KEYS, SPEC_KEYS, VALIDATION_KEYS],
    rules: &[],
};

/// The configuration of a process that says nothing of repositories.
pub(crate) fn own_config() -> Config {
    let sources = ConfigSources::default().with_flag("data.dir", "/nowhere");
    load_config(&TABLE, &sources).unwrap()
}

/// Asks for tags in `repo`.
fn launch(repo: &TestRepo) -> LaunchSpec {
    LaunchSpec {
        idea: "Add tags".to_owned(),
        repo_path: repo.path().to_string_lossy().into_owned(),
        auto_start: true,
        spec_files: false,
        suite: None,
        accept_red: false,
        agent: None,
        require_approval_gates: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_is_written_down_while_git_is_not_running() {
    let guarded = WatchedDeployment::new().await;
    let repo = TestRepo::with_files(&[("a.py", "x = 1\n")]);
    guarded.watch_git();
    let host = HostEnvironment::default();
    let own = own_config();
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
            AskedSpec::begun_now(launch(&repo)),
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
    let own = own_config();
    let reader = RepositoryReader {
        access: &it.build_part(),
        host: &host,
        config: &own,
    };
    let tenant = &it.deployment.store;
    let branches = async || specs::branches(&mut it.read_tx().await).await.unwrap();
    let before = branches().await;
    let refused = create_spec(
        &it.build_part(),
        reader,
        tenant,
        AskedSpec::begun_now(launch(&repo)),
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

/// Refs are old to a janitor that looks at this instant.
const LATE: Timestamp = Timestamp::from_micros(4_000_000_000_000_000);

/// A machine without agent programs; while it is asked for one, mirrors are cleaned up.
struct CleanedMachine {
    rules: Vec<AgentRule>,
    cleaner: Arc<Mutex<Cleaner>>,
}

struct Cleaner {
    janitor: Janitor,
    entities: Entities,
    now: Timestamp,
}

impl FindProgram for CleanedMachine {
    fn agent_rules(&self) -> &[AgentRule] {
        &self.rules
    }

    fn find_program(
        &self,
        agent: AgentProgram,
    ) -> BoxFuture<'_, Result<ProgramLaunch, ProgramUnusable>> {
        async move {
            let mut cleaner = self.cleaner.lock().await;
            let cleaner = &mut *cleaner;
            cleaner.now = cleaner.now + Duration::from_hours(24);
            let tick = cleaner.janitor.tick(cleaner.now, &mut cleaner.entities);
            tick.await.unwrap();
            let reason = "it is not installed".to_owned();
            Err(ProgramUnusable { agent, reason })
        }
        .boxed()
    }
}

#[tokio::test]
async fn nothing_removes_the_base_of_a_spec_that_is_being_begun() {
    let mut cleaner = None;
    let it = TestDeployment::with_parts(|parts| {
        let store = parts.store.store().clone();
        let janitor = Janitor::new(store).with_mirrors(RepositoryFolders::from_parts(parts));
        let cleans = Cleaner {
            entities: Entities::new("janitor", parts.rng.fork()),
            janitor,
            now: LATE,
        };
        let cleans = cleaner.insert(Arc::new(Mutex::new(cleans)));
        parts.programs = Arc::new(CleanedMachine {
            rules: vec!["use=claude-code native".parse().unwrap()],
            cleaner: Arc::clone(cleans),
        });
    })
    .await;
    let repo = TestRepo::with_files(&[("a.py", "x = 1\n")]);
    let host = HostEnvironment::default();
    let own = own_config();
    let access: RepositoryAccess = it.build_part();
    let begin = async || {
        let reader = RepositoryReader {
            access: &access,
            host: &host,
            config: &own,
        };
        let asked = AskedSpec::begun_now(launch(&repo));
        let tenant = &it.deployment.store;
        let begun = create_spec(&it.build_part(), reader, tenant, asked).await;
        begun.unwrap()
    };
    let first = begin().await;
    it.commit(async |tx| {
        let mut first = specs::get(tx, first.id).await?;
        specs::transition(tx, &mut first, SpecStatus::Cancelled, None).await
    })
    .await
    .unwrap();
    it.advance_clock(1);
    repo.write("b.py", "y = 1\n").commit("More");
    assert_ne!(begin().await.base_sha, first.base_sha);
    // Nothing needs the first commit but the spec that is begun there now.
    repo.git(&["reset", "--quiet", "--hard", &first.base_sha]);
    let begun = begin().await;
    assert_eq!(begun.base_sha, first.base_sha);
    let folders: RepositoryFolders = it.build_part();
    let mirror = folders.project_mirror(begun.project_id).await.unwrap();
    let base = ObjectId::parse(&begun.base_sha).unwrap();
    let held = mirror.read_ref(&base_ref(&base).unwrap()).await.unwrap();
    assert_eq!(held, Some(base));
    let cleaned_at = cleaner.unwrap().lock().await.now;
    let days = Duration::from_hours(3 * 24);
    assert_eq!(cleaned_at, LATE + days, "once for each spec");
}
