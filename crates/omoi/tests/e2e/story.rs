//! What the rows of a run tell, in lines that do not depend on ids, instants or commits.

use std::collections::{BTreeMap, BTreeSet};

use omoi_testkit::raw_connection::RawConnection;
use serde_json::Value;

/// What a run did and what it left open.
#[derive(Debug, PartialEq)]
pub(crate) struct Story {
    /// Everything that was done, sorted; what was done twice is in it twice.
    pub(crate) done: Vec<String>,
    /// What a finished run must not leave behind.
    pub(crate) left: Vec<String>,
    /// Criteria with a passing receipt at the last head.
    pub(crate) proven: BTreeSet<String>,
}

const ITEMS: &str = "select 'item ' || phase || ' ' || section || ' ' || item_key || ' of attempt '
    || attempt_no from phase_items";
const PHASES: &str = "select 'phase ' || phase || ' ' || state from spec_phase_runs";
const TASKS: &str =
    "select 'task ' || local_id || ' ' || status || ' ' || integration_state from tasks";
const MERGES: &str = "select 'merge of ' || t.local_id || ' ' || m.state
    from merges m join tasks t on t.id = m.task_id";
const RECEIPTS: &str =
    "select 'receipt ' || r.stage || ' ' || coalesce(t.local_id, '-') || ' ' || c.command
    || case when r.passed then ' passed' else ' failed' end
    from receipts r join checks c on c.id = r.check_id left join tasks t on t.id = r.task_id";
const ABLATIONS: &str = "select 'ablation ' || k.local_id || ' ' || a.verdict
    from ablations a join criteria k on k.id = a.criterion_id";
const HAND_OVERS: &str = "select 'hand-over ' || state || ' ' || branch from hand_overs";
const LEFT: &[&str] = &[
    "select 'attempt ' || subject || ' ' || state from attempts where state in ('pending', 'starting', 'running')",
    "select 'sandbox ' || state from sandboxes where state in ('pending', 'creating', 'running', 'completing')",
    "select 'open call of ' || role from open_calls",
    "select 'gap in the events' from events group by org_id having count(*) <> max(seq)",
];
const PROVEN: &str = "select distinct k.local_id from criteria k
    join check_criteria x on x.criterion_id = k.id join receipts r on r.check_id = x.check_id
    join hand_overs h on h.spec_id = k.spec_id
    where r.stage = 'head' and r.passed and r.commit_sha = h.head_sha";

/// Reads the story of the only spec in the database at `url`.
pub(crate) fn read(url: &str) -> Story {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut db = RawConnection::open(url).await.unwrap();
        let mut done = Vec::new();
        for query in [
            ITEMS, PHASES, TASKS, MERGES, RECEIPTS, ABLATIONS, HAND_OVERS,
        ] {
            done.extend(texts(&mut db, query).await);
        }
        done.extend(told(&mut db).await);
        done.sort();
        let mut left = Vec::new();
        for query in LEFT {
            left.extend(texts(&mut db, query).await);
        }
        let proven = texts(&mut db, PROVEN).await.into_iter().collect();
        db.close().await.unwrap();
        Story { done, left, proven }
    })
}

/// What the tools answered the agents of a phase.
pub(crate) fn tool_results(url: &str, phase: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut db = RawConnection::open(url).await.unwrap();
        let query = format!(
            "select t.tool_results from turns t join attempts a on a.id = t.attempt_id
             where a.subject = 'spec_phase' and a.phase = '{phase}' order by t.n"
        );
        let found = texts(&mut db, &query).await.join("\n");
        db.close().await.unwrap();
        found
    })
}

/// The status of the only spec, once there is one.
#[cfg(feature = "crash-points")]
pub(crate) fn status(url: &str) -> Option<String> {
    one(url, "select status from specs")
}

/// The status of the task that the plan calls `name`, once there is one.
pub(crate) fn task_status(url: &str, name: &str) -> Option<String> {
    one(
        url,
        &format!("select status from tasks where local_id = '{name}'"),
    )
}

/// How the attempts at a task ended, and whether a snapshot of their work is kept.
pub(crate) fn attempts(url: &str, name: &str) -> Vec<String> {
    let query = format!(
        "select a.state || ' ' || coalesce(a.stop_reason, '-')
             || case when a.wip_sha is null then ' lost' else ' saved' end as line
         from attempts a join tasks t on t.id = a.task_id
         where t.local_id = '{name}' and a.subject = 'task' order by a.attempt_no"
    );
    let all = "select coalesce(group_concat(line, '\n'), '') from";
    let lines = one(url, &format!("{all} ({query})"));
    lines
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// The first value of the first row.
pub(crate) fn one(url: &str, query: &str) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // There may be no file and no table yet.
        let mut db = RawConnection::open(url).await.ok()?;
        let found = db.texts(query).await;
        db.close().await.unwrap();
        found.ok()?.into_iter().next()
    })
}

async fn texts(db: &mut RawConnection, query: &str) -> Vec<String> {
    db.texts(query).await.unwrap()
}

/// What the events say was finished.
async fn told(db: &mut RawConnection) -> Vec<String> {
    let names = db.rows("select id, local_id from tasks").await.unwrap();
    let names = names.into_iter().map(|row| row.into_iter().flatten());
    let names: BTreeMap<String, String> = names
        .filter_map(|mut row| row.next().zip(row.next()))
        .collect();
    let mut told = Vec::new();
    for body in texts(db, "select body from events order by seq").await {
        let event: Value = serde_json::from_str(&body).unwrap();
        let payload = &event["payload"];
        let text = |key: &str| payload[key].as_str().unwrap_or_default();
        let name = |key: &str| names.get(text(key)).map_or(text(key), String::as_str);
        let kind = event["event_type"].as_str().unwrap();
        told.push(match kind {
            "spec.created"
            | "spec.plan_judged"
            | "spec.sync_completed"
            | "agent.completed"
            | "spec.delivered"
            | "hand_over.completed" => kind.to_owned(),
            "requirement.ablated" => format!("{kind} {}", text("requirement")),
            "spec.phase_completed" => format!("{kind} {}", text("phase")),
            "task.completed" => format!("{kind} {} in round {}", name("task_id"), payload["round"]),
            "merge.completed" => format!("{kind} {}", name("task_id")),
            _ => continue,
        });
    }
    told
}

impl Story {
    /// What was done more than once though it must not be. A check may run at several commits.
    pub(crate) fn repeated(&self) -> Vec<&str> {
        let again = self.done.windows(2).filter(|pair| pair[0] == pair[1]);
        let again = again.map(|pair| pair[0].as_str());
        again.filter(|line| !line.starts_with("receipt ")).collect()
    }

    /// What differs from `other`, as a patch would show it. In `any_order` of merges, which of them
    /// make a tree that was not checked before is left open.
    #[cfg(feature = "crash-points")]
    pub(crate) fn difference(&self, other: &Self, any_order: bool) -> Vec<String> {
        let count = |lines: &[String]| {
            let mut counts = BTreeMap::<String, i32>::new();
            let is_open = |line: &&String| any_order && line.starts_with("receipt merge ");
            for line in lines.iter().filter(|line| !is_open(line)) {
                *counts.entry(line.clone()).or_default() += 1;
            }
            counts
        };
        let (mine, theirs) = (count(&self.done), count(&other.done));
        let mut found = self.left.clone();
        for line in mine.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
            let by = mine.get(line).unwrap_or(&0) - theirs.get(line).unwrap_or(&0);
            if by != 0 {
                found.push(format!("{by:+} {line}"));
            }
        }
        if self.proven != other.proven {
            found.push(format!("proven {:?}", self.proven));
        }
        found
    }
}
