//! The files under `.omoi_os/` from what is stored of a spec.

use omoi_domain::phase::Phase;
use omoi_execution::integration::phase_output;
use omoi_execution::spec_files::SpecFiles;
use omoi_plan::artifacts::{DocumentSources, SpecFileMeta, render_files};
use omoi_plan::outputs::{DesignOutput, PrdOutput, RequirementsOutput, SyncOutput, TasksOutput};
use omoi_runtime::BoxError;
use omoi_store::phases::PhaseRun;
use omoi_store::specs::Spec;

/// The markdown of the accepted outputs among `runs`, by path from the repository's root.
///
/// # Errors
/// When an output is not of its phase, or an id cannot name a file.
pub fn render_spec_files(spec: &Spec, runs: &[PhaseRun]) -> Result<SpecFiles, BoxError> {
    let prd = phase_output::<PrdOutput>(runs, Phase::Prd)?;
    let requirements = phase_output::<RequirementsOutput>(runs, Phase::Requirements)?;
    let design = phase_output::<DesignOutput>(runs, Phase::Design)?;
    let tasks = phase_output::<TasksOutput>(runs, Phase::Tasks)?;
    let sync = phase_output::<SyncOutput>(runs, Phase::Sync)?;
    let meta = SpecFileMeta {
        spec_id: spec.id,
        number: spec.number,
        feature: spec.slug.clone(),
        created_at: spec.created_at,
        updated_at: runs
            .iter()
            .filter_map(|run| run.ended_at)
            .max()
            .unwrap_or(spec.created_at),
    };
    let sources = DocumentSources {
        prd: prd.as_ref(),
        requirements: requirements.as_ref(),
        design: design.as_ref(),
        tasks: tasks.as_ref(),
        sync: sync.as_ref(),
    };
    Ok(render_files(&meta, sources)?)
}
