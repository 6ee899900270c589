//! Every registered crash point, before or after its write.
//!
//! A point is passed many times in a run. By default each is died at once: half of them before their write and half after
//! it, half at the first pass and half at the last. Every death costs three starts of the program, and both passes of both
//! sides take ten minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Instant;

use omoi_domain::crash::CrashPoint;

use super::bench::{Backend, Bench, Death, Half, Outcome, Passes, Survived};

/// Names the deaths to die, by a part of their name; all of them without it.
const ONLY: &str = "OMOI_KILL_ONLY";
/// How often each asked death is died, for one that goes wrong seldom; once without it.
const TIMES: &str = "OMOI_KILL_TIMES";
/// Set to `sides`, every point is died at on both sides of its write; set to `all`, at the first pass of each side and at
/// the last; without it once, on one of its sides.
const PASSES: &str = "OMOI_KILL_PASSES";
/// Set to `all`, every death is died on PostgreSQL too; a few of each half of a run without it.
const ON_POSTGRES: &str = "OMOI_KILL_POSTGRES";
/// Those few: a commit of every kind of row that the two dialects could write differently.
const FEW: [(Half, CrashPoint, &str); 12] = [
    (Half::Plan, CrashPoint::DeploymentTaken, "before"),
    (Half::Plan, CrashPoint::SpecCreated, "after"),
    (Half::Plan, CrashPoint::ItemAccepted, "before"),
    (Half::Plan, CrashPoint::PlanSynced, "after"),
    (Half::Work, CrashPoint::TaskClaimed, "after"),
    (Half::Work, CrashPoint::CallOpened, "after"),
    (Half::Work, CrashPoint::CostRecorded, "before"),
    (Half::Work, CrashPoint::TurnCommitted, "before"),
    (Half::Work, CrashPoint::ReceiptStored, "after"),
    (Half::Work, CrashPoint::ValidationEnded, "before"),
    (Half::Work, CrashPoint::MergeEnded, "after"),
    (Half::Work, CrashPoint::HandOverConfirmed, "before"),
];

/// Whether the variable of this name asks for everything.
fn asks_for_all(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|asked| asked == "all")
}

/// How often each point is died at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KillDepth {
    /// On one side of its write.
    OnePass,
    /// On both sides, each at one pass.
    BothSides,
    /// On both sides, each at its first pass and at its last.
    EveryPass,
}

impl KillDepth {
    fn of_variable() -> Self {
        match std::env::var(PASSES).as_deref() {
            Ok("all") => Self::EveryPass,
            Ok("sides") => Self::BothSides,
            Ok(other) => panic!("{PASSES} is `sides`, `all` or not there, and not `{other}`"),
            Err(_) => Self::OnePass,
        }
    }

    /// The passes to die at on `side` of the point that stands at `place`: sides and passes take turns.
    fn passes_of(self, place: usize, side: &str, last: usize) -> BTreeSet<usize> {
        let is_after = side == "after";
        let one = |turn: bool| BTreeSet::from([if turn { last } else { 1 }]);
        match self {
            Self::OnePass if (place % 2 == 0) == is_after => one(place / 2 % 2 == 1),
            Self::OnePass => BTreeSet::new(),
            Self::BothSides => one((place % 2 == 1) == is_after),
            Self::EveryPass => BTreeSet::from([1, last]),
        }
    }
}

/// The deaths at the points that were passed.
fn deaths(passes: &Passes) -> impl Iterator<Item = Death> {
    let depth = KillDepth::of_variable();
    let points: BTreeSet<CrashPoint> = passes.keys().map(|(point, _)| *point).collect();
    let places: BTreeMap<CrashPoint, usize> = points.into_iter().zip(0..).collect();
    passes.iter().flat_map(move |((point, side), last)| {
        let (point, side) = (*point, *side);
        let died_at = depth.passes_of(places[&point], side, *last);
        let died_at = died_at.into_iter();
        died_at.map(move |nth| Death { point, side, nth })
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

/// Two worlds that are put back again and again, and what they came to undisturbed.
struct Worlds {
    plain: (Bench, Outcome),
    detours: (Bench, Outcome),
}

/// What is passed on the way.
struct Reached {
    planning: Passes,
    work: Passes,
    detour: Passes,
}

impl Worlds {
    fn new(backend: Backend) -> (Self, Reached) {
        let (plain, planning) = Bench::planned(backend, "scenario.yaml", false);
        let (undisturbed, work) = plain.undisturbed();
        let (detours, _) = Bench::planned(backend, "detours.yaml", true);
        let (detoured, detour) = detours.undisturbed();
        for outcome in [&undisturbed, &detoured] {
            let story = &outcome.story;
            assert_eq!((story.repeated(), &story.left), (vec![], &vec![]));
            assert_eq!(story.proven.len(), 4);
        }
        let worlds = Self {
            plain: (plain, undisturbed),
            detours: (detours, detoured),
        };
        let reached = Reached {
            planning,
            work,
            detour,
        };
        (worlds, reached)
    }
}

/// One death of every side of every point, and those that take several.
fn every_case(reached: &Reached) -> Vec<Case> {
    let Reached {
        planning,
        work,
        detour,
    } = reached;
    let known = |(point, _): &(CrashPoint, &str)| {
        work.keys().chain(planning.keys()).any(|(p, _)| p == point)
    };
    let only_there: Passes = detour
        .iter()
        .filter(|(key, _)| !known(key))
        .map(|(key, times)| (*key, *times))
        .collect();
    let case = |half, detours| {
        move |death| Case {
            half,
            deaths: vec![death],
            detours,
        }
    };
    let mut cases: Vec<Case> = deaths(planning).map(case(Half::Plan, false)).collect();
    cases.extend(deaths(work).map(case(Half::Work, false)));
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
    // Leases are renewed by the clock: a fast run is over before. Accounts, set-ups and what people do with tickets die in
    // tests of their own.
    let elsewhere = [
        CrashPoint::LeaseMoved,
        CrashPoint::AccountChanged,
        CrashPoint::BudgetChanged,
        CrashPoint::OperationMoved,
        CrashPoint::TicketChanged,
    ];
    let missed: Vec<_> = CrashPoint::ALL
        .iter()
        .filter(|point| !elsewhere.contains(point) && !reached.contains(point))
        .collect();
    assert!(missed.is_empty(), "never passed: {missed:?}");
    cases
}

/// Dies all deaths that are asked for, in two worlds at a time.
fn die(cases: &[Case], pairs: [[(&Bench, &Outcome); 2]; 2]) {
    let started = Instant::now();
    let only = std::env::var(ONLY).unwrap_or_default();
    let asked: Vec<&Case> = cases
        .iter()
        .filter(|case| case.to_string().contains(&only))
        .collect();
    let times = std::env::var(TIMES).map_or(1, |times| times.parse().unwrap());
    let asked: Vec<&Case> = asked.repeat(times);
    let (open, failed) = (Mutex::new(asked.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for worlds in pairs {
            let (open, failed) = (&open, &failed);
            scope.spawn(move || {
                while let Some(case) = { open.lock().unwrap().next() } {
                    let (bench, expected) = worlds[usize::from(case.detours)];
                    let found = bench.survive(case.half, &case.deaths, expected);
                    println!("{case} {}", told(&found));
                    if found.is_err() {
                        failed.lock().unwrap().push(case.to_string());
                    }
                }
            });
        }
    });
    println!("{} deaths in {:.0?}", asked.len(), started.elapsed());
    let failed = failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} of {}: {failed:#?}",
        failed.len(),
        asked.len()
    );
}

/// Says how much of all that could be died at is in `cases`.
fn tell_coverage(cases: &[Case]) {
    let deaths = || cases.iter().flat_map(|case| &case.deaths);
    let points: BTreeSet<_> = deaths().map(|death| death.point).collect();
    let sides: BTreeSet<_> = deaths().map(|death| (death.point, death.side)).collect();
    let depth = KillDepth::of_variable();
    println!(
        "{depth:?}: {} cases at {} of {} points, {} of their {} sides; `{PASSES}=sides` and `{PASSES}=all` try more",
        cases.len(),
        points.len(),
        CrashPoint::ALL.len(),
        sides.len(),
        2 * points.len()
    );
}

fn every_point_on(backend: Backend) {
    let started = Instant::now();
    let (worlds, reached) = Worlds::new(backend);
    let cases = every_case(&reached);
    let again = Bench::planned(backend, "scenario.yaml", false).0;
    let again_detours = Bench::planned(backend, "detours.yaml", true).0;
    println!("prepared in {:.0?}", started.elapsed());
    tell_coverage(&cases);
    let ((plain, undisturbed), (detours, detoured)) = (&worlds.plain, &worlds.detours);
    die(
        &cases,
        [
            [(plain, undisturbed), (detours, detoured)],
            [(&again, undisturbed), (&again_detours, detoured)],
        ],
    );
}

#[test]
fn every_durable_write_survives_a_kill() {
    every_point_on(Backend::Sqlite);
}

#[test]
fn durable_writes_survive_a_kill_on_postgres() {
    if asks_for_all(ON_POSTGRES) {
        return every_point_on(Backend::Postgres);
    }
    let (bench, _) = Bench::planned(Backend::Postgres, "scenario.yaml", false);
    let (undisturbed, _) = bench.undisturbed();
    let story = &undisturbed.story;
    assert_eq!((story.repeated(), &story.left), (vec![], &vec![]));
    assert_eq!(story.proven.len(), 4);
    let again = Bench::planned(Backend::Postgres, "scenario.yaml", false).0;
    let cases = FEW.map(|(half, point, side)| Case {
        half,
        deaths: vec![Death {
            point,
            side,
            nth: 1,
        }],
        detours: false,
    });
    die(
        &cases,
        [&bench, &again].map(|bench| [(bench, &undisturbed); 2]),
    );
}
