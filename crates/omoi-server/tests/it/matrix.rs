//! Every operation of the API's description, asked by nine callers on both databases: who may not is refused, changes no
//! row and learns nothing of what is there; who may sends the documented example and is served.

mod asked;
mod callers;
mod kept_rows;
mod named_request;
mod scenes;
mod told_acts;
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
pub(crate) use self::kept_rows::{KeptRows, RowsOf, changed_tables};
use self::scenes::{Stage, set_scene};
use self::told_acts::unexpected_acts;
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
    let mut found = run.ask_all(&mut rows, &operations).await;
    println!("{}", found.line);
    if operations.len() == described(&run.api).len() {
        found.leaks.extend(unexpected_acts(&found.acts));
    }
    let n_with_bug = run.tell_leaks(&mut rows, &operations, &found).await;
    let n_done_twice = run.tell_repeats(&mut rows, &operations, &found).await;
    let leaks = &found.leaks;
    assert!(
        leaks.is_empty(),
        "{} leaks:\n{}",
        leaks.len(),
        leaks.join("\n")
    );
    let repeats = found.repeats.join("\n");
    assert!(repeats.is_empty(), "{repeats}");
    assert!(
        n_with_bug > 0 && n_done_twice > 0,
        "the matrix shows nothing: {n_with_bug}, {n_done_twice}"
    );
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
    fn database(&self) -> &'static str {
        match self.desk.test.database_url().starts_with("sqlite:") {
            true => "SQLite",
            false => "PostgreSQL",
        }
    }

    /// Tells what was found of tenants and roles; gives how many operations leak while no role is asked for.
    async fn tell_leaks(
        &self,
        rows: &mut KeptRows,
        operations: &[Described],
        found: &Findings,
    ) -> usize {
        let bug = PlantedBug::RoleCheck;
        let planted = plant_bug(bug);
        let guarded = operations
            .iter()
            .filter(|one| Permission::parse(one.permission()).is_some());
        let guarded: Vec<&Described> = guarded.take(N_WITH_BUG).collect();
        let n_with_bug = self.ask_with_bug(rows, &guarded).await;
        drop(planted);
        tell_row(&format!(
            "S1: {} operations × 9 callers on {}, leaks: {}; with `{bug}` off: {n_with_bug}",
            operations.len(),
            self.database(),
            found.leaks.len(),
        ));
        assert!(n_with_bug >= guarded.len(), "the matrix shows nothing");
        n_with_bug
    }

    /// Tells what was found of requests that came again; gives how many are done twice while keys mean nothing.
    async fn tell_repeats(
        &self,
        rows: &mut KeptRows,
        operations: &[Described],
        found: &Findings,
    ) -> usize {
        let bug = PlantedBug::RequestKey;
        let planted = plant_bug(bug);
        let keyed = operations.iter().filter(|operation| operation.takes_keys());
        let keyed: Vec<&Described> = keyed.take(N_WITH_BUG).collect();
        let n_with_bug = self.repeat_with_bug(rows, &keyed).await;
        drop(planted);
        tell_row(&format!(
            "R7: {} operations with a key sent again on {}, done or answered otherwise: {}; with `{bug}` off: {n_with_bug}",
            found.n_repeated,
            self.database(),
            found.repeats.len(),
        ));
        n_with_bug
    }

    /// Asks all operations, and gives the table and what went wrong.
    async fn ask_all(&self, rows: &mut KeptRows, operations: &[Described]) -> Findings {
        let mut all = Findings::default();
        for operation in operations {
            let mut found = self.ask_everybody(rows, operation).await;
            let name = operation.name();
            let line = found.line.trim_end();
            let _ = writeln!(all.line, "{name:<80} {:<24}{line}", operation.permission());
            all.leaks.append(&mut found.leaks);
            all.acts.append(&mut found.acts);
            all.n_repeated += found.n_repeated;
            all.repeats.append(&mut found.repeats);
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

    /// Sends the right caller's request again, where it had a key, and notes what that changed.
    async fn repeat_named(&self, rows: &mut KeptRows, asked: &Asked<'_>, found: &mut Findings) {
        let Some(named) = found.named.take() else {
            return;
        };
        let before = rows.read_digests().await;
        found.repeats.extend(asked.repeat_named(&named).await);
        let after = rows.read_digests().await;
        for table in changed_tables(&before, &after, RowsOf::Everybody) {
            let says = format!("{}: again changed `{table}`", asked.operation.name());
            found.repeats.push(says);
        }
        found.n_repeated += 1;
    }

    /// How many of these operations are done a second time, while keys mean nothing.
    async fn repeat_with_bug(&self, rows: &mut KeptRows, operations: &[&Described]) -> usize {
        let mut n_repeated = 0;
        for operation in operations {
            let mut found = Findings::default();
            let asked = self.set_stage(operation).await;
            asked.by_the_right_caller(&self.callers, &mut found).await;
            self.repeat_named(rows, &asked, &mut found).await;
            n_repeated += usize::from(!found.repeats.is_empty());
            rows.put_all_back().await;
        }
        n_repeated
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
            self.repeat_named(rows, &asked, &mut found).await;
        } else {
            // Strangers did with rows of their own what the right caller does now.
            rows.put_back(&after).await;
            let asked = self.set_stage(operation).await;
            asked.by_the_right_caller(&self.callers, &mut found).await;
            self.repeat_named(rows, &asked, &mut found).await;
        }
        rows.put_all_back().await;
        found
    }
}
