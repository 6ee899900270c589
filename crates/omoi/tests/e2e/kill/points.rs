//! Every registered crash point, before and after its write.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Instant;

use omoi_domain::crash::CrashPoint;

use super::bench::{Bench, Death, Half, Passes, Survived};

/// Names the deaths to die, by a part of their name; all of them without it.
const ONLY: &str = "OMOI_KILL_ONLY";

/// Both sides of every point passed, at its first pass and its last.
fn deaths(passes: &Passes) -> impl Iterator<Item = Death> {
    passes.iter().flat_map(|((point, side), times)| {
        let (point, side) = (*point, *side);
        BTreeSet::from([1, *times])
            .into_iter()
            .map(move |nth| Death { point, side, nth })
    })
}

/// One line of the table.
struct Case {
    half: Half,
    deaths: Vec<Death>,
    /// In which world: with detours, or the plain one.
    detours: bool,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut names: Vec<_> = self.deaths.iter().map(ToString::to_string).collect();
        names.dedup();
        let times = match self.deaths.len() / names.len() {
            1 => String::new(),
            times => format!(" ×{times}"),
        };
        write!(f, "{:?} {:<32}", self.half, names.join(", ") + &times)
    }
}

fn told(found: &Result<Survived, String>) -> String {
    match found {
        Ok(it) => {
            let (died, went_on) = (it.died_after, it.went_on_for);
            let instead = it.instead.as_ref();
            let instead = instead.map_or_else(String::new, |death| format!(", at {death}"));
            format!("died after {died:>5.1?}, went on for {went_on:>5.1?}{instead}")
        }
        Err(wrong) => format!("WRONG\n    {wrong}"),
    }
}

#[test]
fn every_durable_write_survives_a_kill() {
    let started = Instant::now();
    let (plain, planning) = Bench::planned("scenario.yaml", false);
    let (undisturbed, work) = plain.undisturbed();
    assert_eq!(
        (undisturbed.story.repeated(), &undisturbed.story.left),
        (vec![], &vec![])
    );
    assert_eq!(undisturbed.story.proven.len(), 4);
    let (detours, _) = Bench::planned("detours.yaml", true);
    let (detoured, detour) = detours.undisturbed();
    assert_eq!(
        (detoured.story.repeated(), &detoured.story.left),
        (vec![], &vec![])
    );
    assert_eq!(detoured.story.proven.len(), 4);

    let known = |(point, _): &(CrashPoint, &str)| {
        work.keys().chain(planning.keys()).any(|(p, _)| p == point)
    };
    let only_there: Passes = detour.into_iter().filter(|(key, _)| !known(key)).collect();
    let case = |half, detours| {
        move |death| Case {
            half,
            deaths: vec![death],
            detours,
        }
    };
    let mut cases: Vec<Case> = deaths(&planning).map(case(Half::Plan, false)).collect();
    cases.extend(deaths(&work).map(case(Half::Work, false)));
    cases.extend(deaths(&only_there).map(case(Half::Work, true)));
    // Between any two items: every start gets one further.
    let items = planning[&(CrashPoint::ItemAccepted, "after")];
    let next_item = Death {
        point: CrashPoint::ItemAccepted,
        side: "after",
        nth: 1,
    };
    cases.push(Case {
        half: Half::Plan,
        deaths: vec![next_item; items],
        detours: false,
    });
    // Nobody moves a task but a person, or a start that finds its checks cut short.
    for side in ["before", "after"] {
        let first = Death {
            point: CrashPoint::ValidationStarted,
            side: "after",
            nth: 1,
        };
        let then = Death {
            point: CrashPoint::TaskMoved,
            side,
            nth: 1,
        };
        cases.push(Case {
            half: Half::Work,
            deaths: vec![first, then],
            detours: false,
        });
    }
    let reached: BTreeSet<_> = cases
        .iter()
        .flat_map(|c| c.deaths.iter().map(|d| d.point))
        .collect();
    let missed: Vec<_> = CrashPoint::ALL
        .iter()
        .filter(|point| !reached.contains(point))
        .collect();
    assert!(missed.is_empty(), "never passed: {missed:?}");
    if let Ok(only) = std::env::var(ONLY) {
        cases.retain(|case| case.to_string().contains(&only));
    }
    println!(
        "{} deaths at {} points, prepared in {:.0?}",
        cases.len(),
        reached.len(),
        started.elapsed()
    );

    let again = Bench::planned("scenario.yaml", false).0;
    let again_detours = Bench::planned("detours.yaml", true).0;
    let (open, failed) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    let expected = [&undisturbed, &detoured];
    std::thread::scope(|scope| {
        for worlds in [[&plain, &detours], [&again, &again_detours]] {
            let (open, failed) = (&open, &failed);
            scope.spawn(move || {
                while let Some(case) = { open.lock().unwrap().next() } {
                    let which = usize::from(case.detours);
                    let found = worlds[which].survive(case.half, &case.deaths, expected[which]);
                    println!("{case} {}", told(&found));
                    if found.is_err() {
                        failed.lock().unwrap().push(case.to_string());
                    }
                }
            });
        }
    });
    println!("{:.0?} in all", started.elapsed());
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} of {}: {failed:#?}",
        failed.len(),
        cases.len()
    );
}
