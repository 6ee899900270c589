//! Every operation of the API's description, asked by nine callers on both databases: who may not is refused, changes no
//! row and learns nothing of what is there; who may sends the documented example and is served.

mod asked;
mod callers;
mod kept_rows;
mod scenes;
mod world;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use omoi_domain::access::permission::Permission;
use omoi_domain::planted_bug::{PlantedBug, plant_bug};
use omoi_domain::sandbox::SandboxRung;
use omoi_execution::DeploymentParts;
use omoi_sandbox::{ProbeConfig, SandboxFloor, probe_host};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::invariant::tell_row;
use serde_json::Value;

pub(crate) use self::asked::Asked;
use self::asked::Findings;
use self::callers::{Callers, LowerRole};
use self::kept_rows::{KeptRows, RowsOf, changed_tables};
use self::scenes::{Stage, set_scene};
pub(crate) use self::world::MatrixWorld;
use crate::openapi::{Described, described, description};
use crate::sign_in_desk::SignInDesk;

omoi_testkit::on_both_databases!(every_operation_serves_its_caller_and_refuses_every_other);

/// Names the operations to ask, by a part of their name; all of them without it.
const ONLY: &str = "OMOI_MATRIX_ONLY";
/// Operations that are asked once more with a bug planted.
const N_WITH_BUG: usize = 12;

/// A deployment with everything that operations are asked for.
struct MatrixRun {
    desk: SignInDesk,
    world: MatrixWorld,
    callers: Callers,
    api: Value,
}

async fn every_operation_serves_its_caller_and_refuses_every_other(database: TestDatabase) {
    let state = tempfile::tempdir().unwrap();
    let found = probe_host(&ProbeConfig::new(state.path())).await.unwrap();
    let floor = SandboxFloor(BTreeSet::new());
    let processes = found.select_provider(&floor, Some(SandboxRung::Process));
    let processes = processes.unwrap();
    let change = |parts: &mut DeploymentParts| parts.sandbox = Some(processes);
    let mut desk = SignInDesk::with_parts(database, change).await;
    let world = MatrixWorld::lay_out(&mut desk).await;
    let callers = Callers::of_desk(&desk, &world).await;
    let mut rows = KeptRows::copy_all(desk.test.database_url()).await;
    let run = MatrixRun {
        desk,
        world,
        callers,
        api: description(),
    };
    let operations = asked_operations(&run.api);
    let found = run.ask_all(&mut rows, &operations).await;
    println!("{}", found.line);
    let planted = plant_bug(PlantedBug::RoleCheck);
    let guarded = operations
        .iter()
        .filter(|one| Permission::parse(one.permission()).is_some());
    let guarded: Vec<&Described> = guarded.take(N_WITH_BUG).collect();
    let n_with_bug = run.ask_with_bug(&mut rows, &guarded).await;
    drop(planted);
    let database = match run.desk.test.database_url().starts_with("sqlite:") {
        true => "SQLite",
        false => "PostgreSQL",
    };
    tell_row(&format!(
        "S1: {} operations × 9 callers on {database}, leaks: {}; with `{}` off: {n_with_bug}",
        operations.len(),
        found.leaks.len(),
        PlantedBug::RoleCheck
    ));
    let leaks = &found.leaks;
    assert!(
        leaks.is_empty(),
        "{} leaks:\n{}",
        leaks.len(),
        leaks.join("\n")
    );
    assert!(n_with_bug >= guarded.len(), "the matrix shows nothing");
}

/// All operations, or those that somebody wants to look at.
#[expect(
    clippy::disallowed_methods,
    reason = "what a person looks at is no configuration"
)]
fn asked_operations(api: &Value) -> Vec<Described> {
    let only = std::env::var(ONLY).unwrap_or_default();
    let mut operations = described(api);
    operations.retain(|operation| operation.name().contains(&only));
    operations
}

impl MatrixRun {
    /// Asks all operations, and gives the table and what went wrong.
    async fn ask_all(&self, rows: &mut KeptRows, operations: &[Described]) -> Findings {
        let mut all = Findings::default();
        for operation in operations {
            let mut found = self.ask_everybody(rows, operation).await;
            let name = operation.name();
            let line = found.line.trim_end();
            let _ = writeln!(all.line, "{name:<80} {:<24}{line}", operation.permission());
            all.leaks.append(&mut found.leaks);
        }
        all
    }

    /// How many of these operations are served to, or changed by, whoever has too little, while nothing asks for more.
    async fn ask_with_bug(&self, rows: &mut KeptRows, operations: &[&Described]) -> usize {
        let mut n_leaks = 0;
        for operation in operations {
            let mut found = Findings::default();
            let asked = self.set_stage(operation).await;
            asked.by_a_lower_role(&self.callers, &mut found).await;
            n_leaks += found.leaks.len();
            rows.put_all_back().await;
        }
        n_leaks
    }

    /// Sets the scene of an operation, in which a role has all permissions but the one that it needs.
    async fn set_stage<'a>(&'a self, operation: &'a Described) -> Asked<'a> {
        // What was looked up of keys and sessions is not believed for longer.
        self.desk.test.advance_clock(6);
        let stage = Stage {
            desk: &self.desk,
            world: &self.world,
        };
        if let Some(needed) = Permission::parse(operation.permission()) {
            let LowerRole { role, .. } = self.callers.lower;
            self.world.set_role(&self.desk, role, needed).await;
        }
        let scene = set_scene(&stage, operation.id(), &operation.path_names()).await;
        Asked {
            stage,
            operation,
            scene,
            example: operation.body(&self.api),
        }
    }

    /// Asks one operation as everybody in turn, whoever it is meant for last, and takes back what that changed.
    async fn ask_everybody(&self, rows: &mut KeptRows, operation: &Described) -> Findings {
        let mut found = Findings::default();
        let asked = self.set_stage(operation).await;
        if let Some(name) = asked.unknown_parameter() {
            let name_of = operation.name();
            let says = format!("{name_of}: matrix/world.rs has no row for `{name}`");
            found.leaks.push(says);
        }
        if operation.permission() == "public" {
            found.line.push_str(" everybody");
            asked.by_the_right_caller(&self.callers, &mut found).await;
            rows.put_all_back().await;
            return found;
        }
        let before = rows.read_digests().await;
        asked.by_no_caller(&self.callers, &mut found).await;
        asked
            .by_another_organisation(&self.callers, &mut found)
            .await;
        asked.by_a_lower_role(&self.callers, &mut found).await;
        asked.by_an_agent(&self.callers, &mut found).await;
        let after = rows.read_digests().await;
        let of = match asked.is_closed_to_strangers() {
            true => RowsOf::Everybody,
            false => RowsOf::World,
        };
        for table in changed_tables(&before, &after, of) {
            let name = operation.name();
            let says = format!("{name}: somebody who was refused changed `{table}`");
            found.leaks.push(says);
        }
        if changed_tables(&before, &after, RowsOf::Everybody).is_empty() {
            asked.by_the_right_caller(&self.callers, &mut found).await;
        } else {
            // Strangers did with rows of their own what the right caller does now.
            rows.put_back(&after).await;
            let asked = self.set_stage(operation).await;
            asked.by_the_right_caller(&self.callers, &mut found).await;
        }
        rows.put_all_back().await;
        found
    }
}
