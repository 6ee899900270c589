//! An attempt that runs, and who asks models for it.

use omoi_execution::metering::model_caller;
use omoi_llm::meter::ModelCaller;
use omoi_store::attempts::Attempt;
use omoi_store::tasks::Task;
use omoi_testkit::database::TestDatabase;
use omoi_testkit::deployment::TestDeployment;

/// A task whose attempt runs when its test ends.
pub(crate) async fn open_attempt(database: TestDatabase) -> (TestDeployment, Task, Attempt) {
    let it = TestDeployment::on_database(database, |_| {}).await;
    it.leaves_open_attempts();
    let task = it.add_task(1, &[]).await;
    let attempt = it.run_task(task.id).await.attempt;
    (it, task, attempt)
}

/// Who asks models for `attempt`.
pub(crate) async fn caller_of(it: &TestDeployment, attempt: &Attempt) -> ModelCaller {
    let caller = model_caller(&mut it.read_tx().await, attempt).await;
    caller.unwrap()
}
