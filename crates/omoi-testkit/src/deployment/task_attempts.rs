//! Attempts of a test deployment, brought as far as a test wants them.

use crate::sample_rows::sandbox;
use omoi_domain::agent_program::AgentProgram;
use omoi_domain::attempt::{AgentRole, AttemptState, AttemptSubject};
use omoi_domain::id::TaskId;
use omoi_domain::sandbox::SandboxState;
use omoi_domain::task::TaskStatus;
use omoi_execution::attempt::{CreatedAttempt, NewAttempt, insert_attempt};
use omoi_execution::intake;
use omoi_git::object::ObjectId;
use omoi_store::attempts::{self, Attempt};
use omoi_store::{StoreError, sandboxes, tasks};

use super::TestDeployment;
use super::reports::native_start;

impl TestDeployment {
    /// A first attempt of `role` at `subject` of the spec, which no agent takes turns in.
    pub fn new_attempt(&self, subject: AttemptSubject, role: AgentRole) -> NewAttempt {
        NewAttempt {
            project_id: self.spec.project_id,
            spec_id: self.spec.id,
            subject,
            round: 0,
            role,
            agent: None,
            fence: 1,
            base_sha: None,
        }
    }

    /// What the dispatcher writes when it claims a task. How the attempt ends is the test's own affair.
    pub async fn claim_task(&self, id: TaskId) -> Result<CreatedAttempt, StoreError> {
        let claimed = self.commit(async |tx| {
            let mut task = tasks::get(tx, id).await?;
            task.fence += 1;
            task.base_sha = task
                .base_sha
                .or_else(|| Some(self.base.as_str().to_owned()));
            let new = NewAttempt {
                project_id: task.project_id,
                spec_id: task.spec_id,
                subject: AttemptSubject::Task { task_id: task.id },
                round: task.round,
                role: AgentRole::Implementer,
                agent: Some(AgentProgram::Native),
                fence: task.fence,
                base_sha: task.base_sha.clone(),
            };
            let created = insert_attempt(tx, &self.build_part(), new).await?;
            task.attempt_id = Some(created.attempt.id);
            tasks::transition(tx, &mut task, TaskStatus::Claiming, None).await?;
            Ok(created)
        });
        let created = claimed.await?;
        self.leftovers.allow_claimed(created.attempt.id);
        Ok(created)
    }

    /// What a launch writes before it asks for a sandbox.
    pub async fn bind_sandbox(&self, attempt: &Attempt) -> Result<(), StoreError> {
        self.commit(async |tx| {
            let mut attempt = attempts::get(tx, attempt.id).await?;
            attempts::transition(tx, &mut attempt, AttemptState::Starting).await?;
            let mut sandbox = sandbox(tx, &attempt);
            sandboxes::insert(tx, &sandbox).await?;
            let scope = (attempt.project_id, attempt.spec_id);
            sandboxes::transition(tx, scope, &mut sandbox, SandboxState::Creating).await?;
            if let Some(id) = attempt.subject.task_id() {
                let mut task = tasks::get(tx, id).await?;
                tasks::transition(tx, &mut task, TaskStatus::Assigned, None).await?;
            }
            Ok(())
        })
        .await
    }

    /// Claims a task and brings its worker up.
    pub async fn run_task(&self, id: TaskId) -> CreatedAttempt {
        let created = self.claim_task(id).await.unwrap();
        self.bind_sandbox(&created.attempt).await.unwrap();
        intake::report_started(&self.deployment.store, created.attempt.id, native_start())
            .await
            .unwrap();
        created
    }

    /// As [`run_task`](Self::run_task), with a clone cut from `commit`.
    pub async fn run_from(&self, id: TaskId, commit: &ObjectId) -> CreatedAttempt {
        let mut created = self.run_task(id).await;
        self.commit(async |tx| {
            let mut attempt = attempts::get(tx, created.attempt.id).await?;
            attempt.base_sha = Some(commit.as_str().to_owned());
            attempts::save(tx, &mut attempt).await?;
            created.attempt = attempt;
            Ok(())
        })
        .await
        .unwrap();
        created
    }
}
