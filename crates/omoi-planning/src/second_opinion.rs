//! Asks a model that did not write the plan whether its checks could pass while their criteria are
//! violated. Whatever keeps it from answering keeps no plan from going on; the run says so.

use minijinja::{Value, context};
use tracing::info;

use omoi_domain::attempt::{AgentRole, AttemptSubject};
use omoi_domain::crash::CrashPoint;
use omoi_domain::id::AttemptId;
use omoi_domain::lifecycle::phase::{QuestionFacts, QuestionStep, question_step};
use omoi_domain::model_route::RouteName;
use omoi_domain::opinion::PlanOpinion;
use omoi_domain::phase::Phase;
use omoi_domain::principal::{CallPurpose, Principal};
use omoi_domain::work_limits::WorkLimits;
use omoi_execution::integration::phase_output;
use omoi_execution::metering::CallLedger;
use omoi_execution::platform_run::{
    PlatformRunner, PlatformWork, RunEnding, begin_run, earlier_runs, end_run,
};
use omoi_execution::{DeploymentParts, FromParts};
use omoi_llm::llm_client::LlmClient;
use omoi_llm::meter::ModelCaller;
use omoi_llm::scenario::NO_RULE;
use omoi_llm::structured::{
    MeteredCaller, StructuredError, TypedAnswer, TypedQuestion, ask_structured,
};
use omoi_llm::upstream::UpstreamError;
use omoi_plan::ids::criterion_id;
use omoi_plan::opinion::{OpinionStep, grounded_opinion, opinion_step, plan_proofs};
use omoi_plan::outputs::RequirementsOutput;
use omoi_plan::outputs::tasks::{PlannedCheck, TasksOutput};
use omoi_runtime::BoxError;
use omoi_runtime::telemetry::error_chain;
use omoi_store::opinions::{self, StoredOpinion};
use omoi_store::phases::{self, PhaseRun};
use omoi_store::specs::Spec;
use omoi_store::{Json, StoreError, Tenant, Tx, costs};

use crate::prompt::strict;

/// Most tokens of the answer.
const ANSWER_TOKENS: u32 = 8_000;
/// Characters of one file of a check that are shown.
const FILE_CHARS_MAX: usize = 20_000;

const SYSTEM: &str = include_str!("../prompts/judge.md");
const QUESTION: &str = include_str!("../prompts/judge_question.md");

/// What the second opinion on an output means for its phase.
pub(crate) enum OpinionStanding {
    /// It is not known yet.
    Open,
    /// The phase goes on.
    GoOn,
    /// The planner is told this, and gets one more attempt.
    SendBack(String),
}

/// Asks for second opinions.
#[derive(Clone)]
pub(crate) struct OpinionAsker {
    store: Tenant,
    limits: WorkLimits,
    platform: PlatformRunner,
    /// What answers; none where there is no model.
    llm: Option<LlmClient>,
    /// What answers agents, for an opinion that nobody gave.
    model_label: String,
    /// Pays for the question.
    ledger: CallLedger,
}

impl FromParts for OpinionAsker {
    fn from_parts(parts: &DeploymentParts) -> Self {
        Self {
            store: parts.store.clone(),
            limits: parts.limits,
            platform: PlatformRunner::from_parts(parts),
            llm: parts.llm.clone(),
            model_label: parts.model.label.clone(),
            ledger: CallLedger::from_parts(parts),
        }
    }
}

/// Where the second opinion on `tasks`, which passed the gate, stands; asks for it where nobody has.
pub(crate) async fn standing(
    asker: &OpinionAsker,
    spec: &Spec,
    run: &PhaseRun,
    tasks: &TasksOutput,
) -> Result<OpinionStanding, BoxError> {
    let read = asker.store.read(async |tx| {
        let known = opinions::find(tx, spec.id).await?;
        let subject = AttemptSubject::PlanOpinion;
        Ok::<_, StoreError>((known, earlier_runs(tx, spec.id, subject).await?))
    });
    let (known, runs) = read.await?;
    if let Some(known) = known.filter(|known| known.input_digest == run.input_digest) {
        let has_attempts_left = run.attempts < spec.work_limits(asker.limits).phase.attempts_max;
        let step = opinion_step(&known.opinion(), known.was_sent_back, has_attempts_left);
        return Ok(match step {
            OpinionStep::GoOn => OpinionStanding::GoOn,
            OpinionStep::SendBack(says) => OpinionStanding::SendBack(says),
        });
    }
    let facts = QuestionFacts {
        model: asker.llm.as_ref(),
        runs: &runs,
        since: run.started_at.unwrap_or(spec.created_at),
    };
    match question_step(facts) {
        QuestionStep::Await => Ok(OpinionStanding::Open),
        QuestionStep::Skip(why) => {
            info!(spec.id = %spec.id, why, "Nobody gives a second opinion on SPEC-{}", spec.number);
            let asked = AskedOpinion::of(asker, run);
            let skipped = asker.store.write(CrashPoint::AttemptEnded, async |tx| {
                keep(tx, spec, &asked, Err(why.to_owned())).await
            });
            skipped.await?;
            Ok(OpinionStanding::GoOn)
        }
        QuestionStep::Ask(llm) => {
            let question = PlanQuestion {
                asker: asker.clone(),
                spec: spec.clone(),
                run: run.clone(),
                tasks: tasks.clone(),
            };
            start(question, llm.clone()).await?;
            Ok(OpinionStanding::Open)
        }
    }
}

/// One question on its way.
struct PlanQuestion {
    asker: OpinionAsker,
    spec: Spec,
    run: PhaseRun,
    tasks: TasksOutput,
}

/// Begins the attempt that asks `question`.
async fn start(question: PlanQuestion, llm: LlmClient) -> Result<(), StoreError> {
    let PlanQuestion {
        asker, spec, run, ..
    } = &question;
    let begun = asker.store.write(CrashPoint::AttemptCreated, async |tx| {
        let work = PlatformWork {
            subject: AttemptSubject::PlanOpinion,
            round: run.attempts,
        };
        begin_run(tx, &asker.platform, spec, work).await
    });
    let attempt = begun.await?;
    let (id, name) = (
        attempt.attempt.id,
        format!("second opinion on SPEC-{}", spec.number),
    );
    attempt.spawn(name, async move {
        let said = ask(&question, &llm).await.map_err(reason);
        Ok(end(&question, id, said).await?)
    });
    Ok(())
}

/// Who is asked about what.
struct AskedOpinion {
    input_digest: Option<String>,
    model: String,
    is_same_model: bool,
}

impl AskedOpinion {
    fn of(asker: &OpinionAsker, run: &PhaseRun) -> Self {
        let routes = asker.llm.as_ref().map(|llm| &llm.routes);
        let named = |name| routes.map(|routes| routes.route_named(name).model.clone());
        let judge = named(RouteName::Judge);
        Self {
            input_digest: run.input_digest.clone(),
            is_same_model: judge == named(RouteName::Planner),
            model: judge.unwrap_or_else(|| asker.model_label.clone()),
        }
    }
}

impl AskedOpinion {
    /// Notes which of the models answered.
    fn set_model(&mut self, asker: &OpinionAsker, model: String) {
        let routes = asker.llm.as_ref().map(|llm| &llm.routes);
        let author = routes.map(|routes| routes.route_named(RouteName::Planner).model.as_str());
        self.is_same_model = author == Some(model.as_str());
        self.model = model;
    }
}

/// Why nobody answered.
#[derive(Debug, thiserror::Error)]
enum OpinionError {
    #[error("the database refused")]
    Store(#[from] StoreError),
    #[error("the question could not be written")]
    Template(#[from] minijinja::Error),
    #[error("the model gave no opinion")]
    Model(#[from] StructuredError),
}

/// What people are told of it.
fn reason(error: OpinionError) -> String {
    if let OpinionError::Model(StructuredError::Ask(asked)) = &error
        && let Some(UpstreamError::Status { kind, .. }) = asked.upstream_error()
        && kind == NO_RULE
    {
        return format!(
            "the scenario has no rule for the role `{}`",
            AgentRole::Judge
        );
    }
    error_chain(&error)
}

async fn ask(
    question: &PlanQuestion,
    llm: &LlmClient,
) -> Result<TypedAnswer<PlanOpinion>, OpinionError> {
    let PlanQuestion {
        asker,
        spec,
        run,
        tasks,
    } = question;
    let read = asker.store.read(async |tx| {
        let authors = costs::models_of_phase(tx, spec.id, run.phase).await?;
        Ok::<_, StoreError>((phases::of_spec(tx, spec.id).await?, authors))
    });
    let (runs, authors) = read.await?;
    let requirements = phase_output::<RequirementsOutput>(&runs, Phase::Requirements)?;
    let caller = ModelCaller {
        principal: Principal {
            org: spec.org_id,
            project: spec.project_id,
            spec: spec.id,
            purpose: CallPurpose::Judge,
        },
        role: AgentRole::Judge,
        program: None,
        phase: Phase::Tasks.as_str().to_owned(),
        task: None,
        task_type: None,
        title: None,
        round: run.attempts.max(1),
        n_turns: None,
    };
    let asked = TypedQuestion {
        route: RouteName::Judge,
        system: Some(SYSTEM.to_owned()),
        prompt: prompt(spec, requirements.as_ref(), tasks)?,
        max_tokens: ANSWER_TOKENS,
        temperature: Some(0.0),
        authors,
    };
    let caller = MeteredCaller {
        caller: &caller,
        meter: &asker.ledger,
    };
    let answer = ask_structured::<PlanOpinion>(llm, caller, &asked).await?;
    let TypedAnswer {
        value: opinion,
        model,
    } = answer;
    let n_doubts = opinion.doubts.len();
    info!(spec.id = %spec.id, n_doubts, "The second opinion on SPEC-{} has {n_doubts} doubts", spec.number);
    Ok(TypedAnswer {
        value: grounded_opinion(opinion, tasks),
        model,
    })
}

fn prompt(
    spec: &Spec,
    requirements: Option<&RequirementsOutput>,
    tasks: &TasksOutput,
) -> Result<String, minijinja::Error> {
    let all = requirements.map_or(&[][..], |output| &output.requirements);
    let criteria = all.iter().flat_map(|requirement| {
        let numbered = requirement.acceptance_criteria.iter().enumerate();
        numbered.map(|(n, text)| context! { id => criterion_id(&requirement.id, n + 1), text })
    });
    let title = |id: &str| {
        let task = tasks.tasks.iter().find(|task| id.starts_with(&task.id));
        task.map(|task| task.title.clone()).unwrap_or_default()
    };
    let checks = plan_proofs(tasks).map(|(id, check)| {
        context! {
            title => title(&id),
            criteria => check.criteria.join(", "),
            command => check.command.clone(),
            files => files(check),
            id,
        }
    });
    let values = context! {
        request => spec.original_request.clone(),
        criteria => criteria.collect::<Vec<Value>>(),
        checks => checks.collect::<Vec<Value>>(),
    };
    strict().render_str(QUESTION, values)
}

fn files(check: &PlannedCheck) -> Vec<Value> {
    let shown = |text: &str| text.chars().take(FILE_CHARS_MAX).collect::<String>();
    let files = check.files.iter();
    files
        .map(|(path, text)| context! { path, text => shown(text) })
        .collect()
}

/// Keeps what came of the question and ends its attempt. One that is over already, as after a lost
/// lease, writes nothing.
async fn end(
    question: &PlanQuestion,
    attempt: AttemptId,
    said: Result<TypedAnswer<PlanOpinion>, String>,
) -> Result<(), StoreError> {
    let PlanQuestion { asker, spec, .. } = question;
    let mut asked = AskedOpinion::of(asker, &question.run);
    let said = said.map(|answer| {
        asked.set_model(asker, answer.model);
        answer.value
    });
    let ended = asker.store.write(CrashPoint::AttemptEnded, async |tx| {
        if !end_run(tx, attempt, RunEnding::Done).await? {
            return Ok(());
        }
        keep(tx, spec, &asked, said).await
    });
    ended.await
}

async fn keep(
    tx: &mut Tx,
    spec: &Spec,
    asked: &AskedOpinion,
    said: Result<PlanOpinion, String>,
) -> Result<(), StoreError> {
    let (doubts, skipped) = match said {
        Ok(opinion) => (opinion.doubts, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let opinion = StoredOpinion {
        spec_id: spec.id,
        org_id: tx.org(),
        input_digest: asked.input_digest.clone(),
        model: asked.model.clone(),
        is_same_model: asked.is_same_model,
        doubts: Json(doubts),
        skipped,
        was_sent_back: false,
        created_at: tx.now(),
    };
    opinions::store(tx, spec.project_id, &opinion).await
}
