//! What the gates of planning catch and what they refuse wrongly, measured with the corpus.
//!
//! Takes the phases to measure, all when none is named, `--json`, and `--corpus FOLDER` for cases kept
//! elsewhere. Ends with 1 when a gate misses its target; `cargo xtask gates` runs it.

use std::process::ExitCode;

use serde_json::json;

use omoi_domain::phase::Phase;
use omoi_testkit::planning_corpus::{Fallible, PhaseMeasure, PlanningCorpus, WRITTEN};

fn main() -> Fallible<ExitCode> {
    let (mut phases, mut as_json) = (Vec::new(), false);
    let mut corpus = PlanningCorpus::of_clone();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match Phase::parse(&argument).filter(|phase| WRITTEN.contains(phase)) {
            Some(phase) => phases.push(phase),
            None if argument == "--json" => as_json = true,
            None if argument == "--corpus" => {
                let folder = arguments.next().ok_or("`--corpus` needs a folder")?;
                corpus = PlanningCorpus::in_folder(folder.into());
            }
            None => {
                let known = WRITTEN.map(Phase::as_str).join(", ");
                eprintln!(
                    "error: `{argument}` is no phase that a model writes; these are: {known}"
                );
                return Ok(ExitCode::from(2));
            }
        }
    }
    if phases.is_empty() {
        phases = WRITTEN.to_vec();
    }
    let measured = phases.into_iter().map(|phase| corpus.measure(phase));
    let measured = measured.collect::<Fallible<Vec<_>>>()?;
    if as_json {
        println!("{}", serde_json::to_string_pretty(&as_objects(&measured))?);
    } else {
        print!("{}", table(&measured));
    }
    Ok(if measured.iter().all(PhaseMeasure::meets_target) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn as_objects(measured: &[PhaseMeasure]) -> serde_json::Value {
    let objects = measured.iter().map(|m| {
        json!({
            "phase": m.phase,
            "caught_share": m.caught_share(),
            "wrongly_refused_share": m.refused_share(),
            "meets_target": m.meets_target(),
            "honest": m.honest,
            "gamed": m.gamed,
        })
    });
    objects.collect()
}

/// One line per phase; below it each honest output that was refused and each gamed one that passed.
fn table(measured: &[PhaseMeasure]) -> String {
    let mut lines = vec![format!(
        "{:<14}{:>8}{:>18}{:>8}{:>16}",
        "phase", "honest", "wrongly refused", "gamed", "caught"
    )];
    for m in measured {
        let (honest, gamed) = (m.honest.len(), m.gamed.len());
        let (refused, missed) = (m.refused().count(), m.missed().count());
        lines.push(format!(
            "{:<14}{honest:>8}{refused:>11} ({:.2}){gamed:>9}{:>9} ({:.2}){}",
            m.phase.as_str(),
            m.refused_share(),
            gamed - missed,
            m.caught_share(),
            if m.meets_target() { "" } else { "   missed" },
        ));
    }
    for m in measured {
        for verdict in m.refused() {
            let first = verdict.reasons.first().map_or("", String::as_str);
            lines.push(format!(
                "\nwrongly refused: {} ({:.2})\n  {first}",
                verdict.file, verdict.score
            ));
        }
        for verdict in m.missed() {
            let trick = verdict
                .trick
                .map_or_else(String::new, |t| format!(", {t:?}").to_lowercase());
            lines.push(format!(
                "\nnot caught: {} ({:.2}{trick})",
                verdict.file, verdict.score
            ));
        }
    }
    lines.join("\n") + "\n"
}
