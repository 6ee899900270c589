//! What exploring left open: people are asked, planning goes on, and reads what they answer.

use omoi_domain::approval::{ApprovalDecision, ApprovalKind, ApprovalState};
use omoi_domain::lifecycle::approval::ApprovalRefusal;
use omoi_domain::phase::Phase;
use omoi_domain::spec::SpecStatus;
use omoi_execution::commands::{self, TicketCommandError};
use omoi_execution::specs::move_spec;
use omoi_store::approvals::{self, Approval};
use omoi_store::specs;
use omoi_testkit::database::TestDatabase;

use crate::desk::Desk;

omoi_testkit::on_both_databases!(an_answer_has_the_product_requirements_written_again);

async fn questions_of(desk: &Desk) -> Vec<Approval> {
    let asked = approvals::of_spec(&mut desk.it.read_tx().await, desk.spec.id).await;
    let mut asked = asked.unwrap();
    asked.retain(|asked| asked.kind == ApprovalKind::Question);
    asked
}

async fn answer(
    desk: &Desk,
    asked: &Approval,
    words: &str,
) -> Result<Approval, TicketCommandError> {
    let answer = ApprovalDecision::Answer;
    commands::answer_approval(&desk.it.deployment.store, asked.id, answer, Some(words)).await
}

async fn an_answer_has_the_product_requirements_written_again(database: TestDatabase) {
    let mut desk = Desk::on(database, false, |_| {}).await;
    desk.it
        .commit(async |tx| {
            let mut spec = specs::get(tx, desk.spec.id).await?;
            spec.options.0.require_approval_gates = true;
            specs::save(tx, &mut spec).await
        })
        .await
        .unwrap();
    desk.work_through(Phase::Explore).await;
    desk.tick().await;
    let (first, told) = desk.agent(Phase::Prd).await;
    assert!(
        !told.prompt.contains("a person answered"),
        "{}",
        told.prompt
    );
    let asked = questions_of(&desk).await;
    let [asked] = asked.as_slice() else {
        panic!("{asked:?}")
    };
    assert_eq!(asked.state, ApprovalState::Pending, "nothing waits for it");
    let question = asked.question.as_deref().unwrap_or_default();
    assert!(question.starts_with("1. "), "{question}");
    answer(&desk, asked, "1. Whoever keeps two lists.")
        .await
        .unwrap();
    for _ in 0..2 {
        desk.tick().await;
    }
    let (second, told) = desk.agent(Phase::Prd).await;
    assert_ne!(second.id, first.id);
    assert!(!desk.it.attempt_now(&first).await.state.is_live());
    let reads = "> 1. Whoever keeps two lists.";
    assert!(told.prompt.contains(reads), "{}", told.prompt);
    // The same output asks nothing more.
    assert_eq!(questions_of(&desk).await.len(), 1);
    desk.tick().await;
    assert_eq!(desk.attempts(Phase::Prd).await.len(), 2);
}

#[tokio::test]
async fn nobody_is_asked_about_a_plan_that_is_made_or_that_nobody_looks_at() {
    let mut desk = Desk::new().await;
    desk.work_through(Phase::Explore).await;
    desk.tick().await;
    assert_eq!(questions_of(&desk).await, []);
    let asked = desk
        .it
        .commit(async |tx| {
            let mut spec = specs::get(tx, desk.spec.id).await?;
            let question = "1. Who?".to_owned();
            let asked = approvals::ask_for_spec(tx, &spec, "digest".to_owned(), question).await?;
            let why = Some("it cannot be planned".to_owned());
            move_spec(tx, &mut spec, SpecStatus::Failed, why).await?;
            Ok(asked)
        })
        .await
        .unwrap();
    let late = answer(&desk, &asked, "1. Me.").await;
    let Err(TicketCommandError::Approval(ApprovalRefusal::Closed(state))) = late else {
        panic!("{late:?}")
    };
    assert_eq!(state, ApprovalState::Withdrawn);
}
