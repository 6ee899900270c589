//! The cost ledger: what every model call took.

mod listing;

use omoi_domain::attempt::AgentRole;
use omoi_domain::event::{CostDone, Event};
use omoi_domain::id::{AttemptId, CostId, OrgId, ProjectId, SpecId, TaskId};
use omoi_domain::model_fallback::{FallbackClass, PassedModels, WorkModels};
use omoi_domain::model_route::RouteName;
use omoi_domain::money::NanoUsd;
use omoi_domain::phase::Phase;
use omoi_domain::principal::PurposeKind;
use omoi_domain::time::Timestamp;

use crate::args;
use crate::column::Column;
use crate::dialect::DatabaseRow;
use crate::error::StoreError;
use crate::row::row;
use crate::tx::Tx;

pub use listing::{CostFilter, ModelCost, list_page, sum_by_model, tokens_of_tasks};

row! {
    /// One metered model call.
    CostEntry in "cost_entries" as "cost entry" {
        /// Its id.
        id: CostId,
        /// Its organisation.
        org_id: OrgId,
        /// The spec.
        spec_id: SpecId,
        /// What it was for.
        purpose: PurposeKind,
        /// The attempt that asked, if one did.
        attempt_id: Option<AttemptId>,
        /// The asker's role.
        role: AgentRole,
        /// The route.
        route: RouteName,
        /// The model that answered.
        model: String,
        /// Whether the simulated model answered.
        simulated: bool,
        /// Tokens in.
        input_tokens: i64,
        /// Tokens out.
        output_tokens: i64,
        /// Tokens read from a cache.
        cache_read_tokens: i64,
        /// Tokens written to a cache that keeps them for five minutes.
        cache_write_tokens: i64,
        /// Tokens written to a cache that keeps them for an hour.
        cache_write_1h_tokens: i64,
        /// Price in billionths of a dollar.
        cost_nanousd: NanoUsd,
        /// Milliseconds from asking to the last byte.
        latency_ms: i64,
        /// Calls made, retries included.
        calls: i64,
        /// Some of its tokens are an estimate, because the provider did not tell them.
        estimated: bool,
        /// Nobody recorded the call, and this is what it may have cost.
        unrecorded: bool,
        /// Why it read less from the prompt cache than it could have, where it did.
        cache_miss: Option<String>,
        /// When it ended.
        created_at: Timestamp,
    }
}

/// What a spec, a phase or a task has used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpentCost {
    /// Price in billionths of a dollar.
    pub cost_nanousd: NanoUsd,
    /// Tokens read and written, those of the prompt cache included.
    pub tokens: i64,
    /// Milliseconds models took.
    pub model_ms: i64,
}

/// What a spec has used for one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurposeSpend {
    /// The purpose.
    pub purpose: PurposeKind,
    /// Calls made, retries included.
    pub calls: i64,
    /// What they used.
    pub spend: SpentCost,
    /// How much of their price is an estimate.
    pub estimated_nanousd: NanoUsd,
}

/// What an attempt has used of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSpend {
    /// The model.
    pub model: String,
    /// Calls made, retries included.
    pub calls: i64,
    /// Tokens read beside the prompt cache.
    pub input_tokens: i64,
    /// Tokens answered.
    pub output_tokens: i64,
    /// Tokens read from the prompt cache.
    pub cache_read_tokens: i64,
    /// Tokens written to it, for whatever time.
    pub cache_write_tokens: i64,
    /// Price in billionths of a dollar.
    pub cost_nanousd: NanoUsd,
    /// Calls whose tokens are an estimate.
    pub estimated_calls: i64,
    /// Why calls missed the prompt cache, and how often.
    pub cache_misses: Vec<(String, i64)>,
}

impl CostEntry {
    /// Tokens read and written, those of the prompt cache included.
    pub fn n_tokens(&self) -> i64 {
        let parts = [
            self.input_tokens,
            self.output_tokens,
            self.cache_read_tokens,
            self.cache_write_tokens,
            self.cache_write_1h_tokens,
        ];
        parts.into_iter().fold(0, i64::saturating_add)
    }
}

/// Stores an entry.
///
/// # Errors
/// When the database cannot be written.
pub async fn insert(tx: &mut Tx, project: ProjectId, entry: &CostEntry) -> Result<(), StoreError> {
    tx.insert(entry).await?;
    let event = Event::CostRecorded(CostDone {
        purpose: entry.purpose,
        attempt_id: entry.attempt_id,
        role: entry.role,
        model: entry.model.clone(),
        tokens: entry.n_tokens(),
        cost_nanousd: entry.cost_nanousd,
        latency_ms: entry.latency_ms,
        estimated: entry.estimated,
        unrecorded: entry.unrecorded,
    });
    tx.emit(Some(project), Some(entry.spec_id), event);
    Ok(())
}

/// The entry with that id.
///
/// # Errors
/// [`StoreError::NotFound`].
pub async fn get(tx: &mut Tx, id: CostId) -> Result<CostEntry, StoreError> {
    tx.get(id, "id = $2", args![id]).await
}

/// What a spec has used, whatever for.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_spec(tx: &mut Tx, spec: SpecId) -> Result<SpentCost, StoreError> {
    const SQL: &str = "
        select cast(coalesce(sum(cost_nanousd), 0) as bigint) as cost,
            cast(coalesce(sum(input_tokens + output_tokens + cache_read_tokens
                + cache_write_tokens + cache_write_1h_tokens), 0) as bigint) as tokens,
            cast(coalesce(sum(latency_ms), 0) as bigint) as ms
        from cost_entries where org_id = $1 and spec_id = $2";
    let rows = tx.rows(SQL, args![spec]).await?;
    spend(&rows)
}

/// What a spec has used, by purpose.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_purpose(tx: &mut Tx, spec: SpecId) -> Result<Vec<PurposeSpend>, StoreError> {
    let rows = tx
        .rows(
            "select purpose, cast(sum(calls) as bigint) as calls,
                 cast(sum(case when estimated then cost_nanousd else 0 end) as bigint)
                     as estimated,
                 cast(sum(cost_nanousd) as bigint) as cost,
                 cast(sum(input_tokens + output_tokens + cache_read_tokens
                     + cache_write_tokens + cache_write_1h_tokens) as bigint) as tokens,
                 cast(sum(latency_ms) as bigint) as ms
             from cost_entries where org_id = $1 and spec_id = $2
             group by purpose order by purpose",
            args![spec],
        )
        .await?;
    let of_purpose = |row: &DatabaseRow| {
        Ok(PurposeSpend {
            purpose: PurposeKind::read(row, "purpose")?,
            calls: i64::read(row, "calls")?,
            spend: spend(std::slice::from_ref(row))?,
            estimated_nanousd: NanoUsd::read(row, "estimated")?,
        })
    };
    rows.iter().map(of_purpose).collect()
}

/// What an attempt has used, by model.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_model(tx: &mut Tx, attempt: AttemptId) -> Result<Vec<ModelSpend>, StoreError> {
    let rows = tx
        .rows(
            "select model, cast(sum(calls) as bigint) as calls,
                 cast(sum(input_tokens) as bigint) as input,
                 cast(sum(output_tokens) as bigint) as output,
                 cast(sum(cache_read_tokens) as bigint) as read,
                 cast(sum(cache_write_tokens + cache_write_1h_tokens) as bigint) as written,
                 cast(sum(cost_nanousd) as bigint) as cost,
                 cast(sum(case when estimated then calls else 0 end) as bigint)
                     as estimated_calls
             from cost_entries where org_id = $1 and attempt_id = $2
             group by model order by model",
            args![attempt],
        )
        .await?;
    let missed = tx
        .rows(
            "select model, cache_miss, count(*) as n from cost_entries
             where org_id = $1 and attempt_id = $2 and cache_miss is not null
             group by model, cache_miss order by model, cache_miss",
            args![attempt],
        )
        .await?;
    let mut spends = Vec::new();
    for row in &rows {
        spends.push(ModelSpend {
            model: String::read(row, "model")?,
            calls: i64::read(row, "calls")?,
            input_tokens: i64::read(row, "input")?,
            output_tokens: i64::read(row, "output")?,
            cache_read_tokens: i64::read(row, "read")?,
            cache_write_tokens: i64::read(row, "written")?,
            cost_nanousd: NanoUsd::read(row, "cost")?,
            estimated_calls: i64::read(row, "estimated_calls")?,
            cache_misses: Vec::new(),
        });
    }
    for row in &missed {
        let model = String::read(row, "model")?;
        if let Some(spend) = spends.iter_mut().find(|spend| spend.model == model) {
            let reason = String::read(row, "cache_miss")?;
            spend.cache_misses.push((reason, i64::read(row, "n")?));
        }
    }
    Ok(spends)
}

/// The newest entry of an attempt for one model by one route; none before the first.
///
/// # Errors
/// When the database cannot be read.
pub async fn newest_of_model(
    tx: &mut Tx,
    attempt: AttemptId,
    route: RouteName,
    model: &str,
) -> Result<Option<CostEntry>, StoreError> {
    tx.find(
        "attempt_id = $2 and route = $3 and model = $4 and output_tokens > 0
         order by created_at desc, id desc limit 1",
        args![attempt, route, model.to_owned()],
    )
    .await
}

/// SQL that holds for attempts `a` at the task `$2` whose work is part of the commit `$3`: the one that
/// handed it in, those that did before, and those that were saved on the way. Of a commit that no attempt
/// handed in, as a merge, all are.
macro_rules! is_part_of_head {
    () => {
        "a.task_id = $2 and a.subject = 'task'
         and (a.head_sha is not null or a.stop_reason = 'provider_wait')
         and a.attempt_no <= coalesce((select max(h.attempt_no) from attempts h
             where h.org_id = $1 and h.task_id = $2 and h.subject = 'task' and h.head_sha = $3), 2147483647)"
    };
}

/// The models whose turns the commit `head` of a task is made of, and those that were passed over for them.
///
/// # Errors
/// When the database cannot be read.
pub async fn models_of_head(
    tx: &mut Tx,
    task: TaskId,
    head: &str,
) -> Result<WorkModels, StoreError> {
    let sql = concat!(
        "select c.model as model, c.route as route,
             cast(sum(case when c.estimated then 1 else 0 end) as bigint) as estimated
         from cost_entries c join attempts a on a.id = c.attempt_id
         where c.org_id = $1 and c.output_tokens > 0 and ",
        is_part_of_head!(),
        " group by c.model, c.route order by 1"
    );
    let mut work = WorkModels::default();
    for row in &tx.rows(sql, args![task, head.to_owned()]).await? {
        let model = String::read(row, "model")?;
        if !RouteName::read(row, "route")?.is_of_work() {
            continue;
        }
        if i64::read(row, "estimated")? > 0 && !work.estimated.contains(&model) {
            work.estimated.push(model.clone());
        }
        if !work.models.contains(&model) {
            work.models.push(model);
        }
    }
    let sql = concat!(
        "select f.route as route, f.from_model as from_model, f.to_model as to_model, f.class as class,
         f.n as n from model_fallbacks f join attempts a on a.id = f.attempt_id
         where f.org_id = $1 and ",
        is_part_of_head!(),
        " order by f.first_at, f.from_model, f.to_model, f.class"
    );
    for row in &tx.rows(sql, args![task, head.to_owned()]).await? {
        let passed = PassedModels {
            from_model: String::read(row, "from_model")?,
            to_model: String::read(row, "to_model")?,
            class: FallbackClass::read(row, "class")?,
            n: i64::read(row, "n")?,
        };
        let is_same = |known: &&mut PassedModels| {
            (&known.from_model, &known.to_model, known.class)
                == (&passed.from_model, &passed.to_model, passed.class)
        };
        match work.fallbacks.iter_mut().find(is_same) {
            _ if !RouteName::read(row, "route")?.is_of_work() => {}
            Some(known) => known.n += passed.n,
            None => work.fallbacks.push(passed),
        }
    }
    Ok(work)
}

/// The models that answered the attempts of agents at a phase of a spec.
///
/// # Errors
/// When the database cannot be read.
pub async fn models_of_phase(
    tx: &mut Tx,
    spec: SpecId,
    phase: Phase,
) -> Result<Vec<String>, StoreError> {
    let rows = tx
        .rows(
            "select distinct c.model as model from cost_entries c
             join attempts a on a.id = c.attempt_id
             where c.org_id = $1 and a.spec_id = $2 and a.subject = 'spec_phase' and a.phase = $3
                 and c.output_tokens > 0
             order by 1",
            args![spec, phase],
        )
        .await?;
    rows.iter().map(|row| String::read(row, "model")).collect()
}

fn spend(rows: &[DatabaseRow]) -> Result<SpentCost, StoreError> {
    let Some(row) = rows.first() else {
        return Ok(SpentCost::default());
    };
    Ok(SpentCost {
        cost_nanousd: NanoUsd::read(row, "cost")?,
        tokens: i64::read(row, "tokens")?,
        model_ms: i64::read(row, "ms")?,
    })
}
