//! Drives the phases of specs: start, judge, repair, pass or fail, until sync has written the plan.

mod decide;
mod step;

use std::path::PathBuf;

use futures::future::BoxFuture;
use omoi_domain::crash::CrashPoint;
use omoi_domain::event::Consumer;
use omoi_domain::spec::SpecStatus;
use omoi_domain::time::Timestamp;
use omoi_execution::Platform;
use omoi_execution::consume::Consume;
use omoi_execution::integration::rendered;
use omoi_runtime::BoxError;
use omoi_runtime::files;
use omoi_runtime::reconcile::Next;
use omoi_store::specs::{self, Spec};

/// The planner of one process.
pub struct Planner {
    platform: Platform,
}

impl Planner {
    /// A planner on `platform`.
    pub fn new(platform: Platform) -> Self {
        Self { platform }
    }

    async fn pass(&self) -> Result<Next, BoxError> {
        let executing = {
            let mut tx = self.platform.store.read().await?;
            specs::with_status(&mut tx, SpecStatus::Executing).await?
        };
        let mut next = Next::Idle;
        for spec in executing {
            next = sooner(next, step::step(&self.platform, spec).await?);
        }
        Ok(next)
    }
}

fn sooner(a: Next, b: Next) -> Next {
    match (a, b) {
        (Next::Now, _) | (_, Next::Now) => Next::Now,
        (Next::At(a), Next::At(b)) => Next::At(a.min(b)),
        (Next::At(at), Next::Idle) | (Next::Idle, Next::At(at)) => Next::At(at),
        (Next::Idle, Next::Idle) => Next::Idle,
    }
}

/// Renders the accepted outputs into the data folder, for people; nothing reads them back.
async fn render_files(platform: &Platform, spec: &Spec) -> Result<(), BoxError> {
    let root: PathBuf = platform.data.spec_files(spec.number, spec.project_id);
    for (path, text) in rendered(platform, spec).await? {
        let path = root.join(path);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        files::replace(CrashPoint::FileReplaced, &path, text.as_bytes(), 0o644)?;
    }
    Ok(())
}

impl Consume for Planner {
    fn consumer(&self) -> Consumer {
        Consumer::Planner
    }

    fn tick(&mut self, _now: Timestamp) -> BoxFuture<'_, Result<Next, BoxError>> {
        Box::pin(self.pass())
    }
}
