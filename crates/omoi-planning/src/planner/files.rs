//! The accepted outputs of specs as files in the data folder, for people; nothing reads them back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tracing::warn;

use omoi_domain::crash::CrashPoint;
use omoi_domain::id::SpecId;
use omoi_execution::repository_folders::DataDir;
use omoi_execution::spec_files::{SpecRenderer, rendered_files};
use omoi_runtime::telemetry::error_chain;
use omoi_runtime::{BoxError, files};
use omoi_store::{StoreError, phases, specs};

/// What this process has rendered. The first refresh looks at every spec, since an earlier process
/// may have died between a phase's end and its files.
#[derive(Default)]
pub(super) struct RenderedFiles {
    looked: bool,
    /// Specs whose files may be behind.
    due: BTreeSet<SpecId>,
    /// The outputs that stand in the files of a spec.
    done: BTreeMap<SpecId, Vec<String>>,
}

impl RenderedFiles {
    /// Brings the files of `planning` and of all that are behind up to date. A spec whose files
    /// cannot be written is logged and tried again.
    pub(super) async fn refresh(
        &mut self,
        renderer: &SpecRenderer,
        data: &DataDir,
        planning: Vec<SpecId>,
    ) -> Result<(), StoreError> {
        self.due.extend(planning);
        if !self.looked {
            let all = renderer
                .store
                .read(async |tx| specs::list(tx, i64::MAX).await);
            let all = all.await?;
            self.due.extend(all.iter().map(|spec| spec.id));
            self.looked = true;
        }
        for id in self.due.clone() {
            match self.bring(renderer, data, id).await {
                Ok(()) => {
                    self.due.remove(&id);
                }
                Err(error) => {
                    let why = error_chain(error.as_ref());
                    warn!(spec.id = %id, error = %why, "Could not render the files of `{id}`");
                }
            }
        }
        Ok(())
    }

    async fn bring(
        &mut self,
        renderer: &SpecRenderer,
        data: &DataDir,
        id: SpecId,
    ) -> Result<(), BoxError> {
        let read = renderer.store.read(async |tx| {
            let spec = specs::get(tx, id).await?;
            Ok::<_, StoreError>((spec, phases::of_spec(tx, id).await?))
        });
        let (spec, runs) = read.await?;
        let outputs = runs.iter().filter(|run| run.output.is_some());
        let outputs = outputs.map(|run| format!("{} {:?}", run.phase, run.output_digest));
        let outputs: Vec<String> = outputs.collect();
        if outputs.is_empty() || self.done.get(&id) == Some(&outputs) {
            return Ok(());
        }
        let root: PathBuf = data.spec_files(spec.number, spec.project_id);
        for (path, text) in rendered_files(renderer, &spec).await? {
            let path = root.join(path);
            if std::fs::read(&path).is_ok_and(|stands| stands == text.as_bytes()) {
                continue;
            }
            if let Some(dir) = path.parent() {
                std::fs::create_dir_all(dir)?;
            }
            files::replace_file(CrashPoint::FileReplaced, &path, text.as_bytes(), 0o644)?;
        }
        self.done.insert(id, outputs);
        Ok(())
    }
}
