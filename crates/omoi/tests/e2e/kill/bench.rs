//! A world in which a run dies again and again, always from the same start.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use omoi_domain::crash::CrashPoint;
use omoi_runtime::crash::{CRASH_AT, CRASH_TRACE};
use omoi_testkit::database::TestDatabase;
use omoi_testkit::postgres;

use crate::binary::Said;
use crate::story::{self, Story};
use crate::world::World;

/// Starts after a kill that a run may need; more mean that it does not get ahead.
const STARTS_MAX: usize = 5;
/// Time between two looks at what a run is doing.
const LOOK: Duration = Duration::from_millis(50);

/// Where the rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backend {
    Sqlite,
    Postgres,
}

/// Which start of the program dies first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Half {
    /// From nothing to a plan that waits for a person.
    Plan,
    /// From the person's word to the branch.
    Work,
}

/// One way to die.
#[derive(Clone, Debug)]
pub(super) struct Death {
    pub(super) point: CrashPoint,
    pub(super) side: &'static str,
    pub(super) nth: usize,
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.point.as_str(), self.side, self.nth)
    }
}

/// How a run that died went on.
pub(super) struct Survived {
    /// Where it died, when it was over before the planned pass.
    pub(super) instead: Option<Death>,
    /// Time until the first death.
    pub(super) died_after: Duration,
    /// Time from the last death to the end.
    pub(super) went_on_for: Duration,
}

/// How often each side of each point is passed.
pub(super) type Passes = BTreeMap<(CrashPoint, &'static str), usize>;

/// What a run came to.
pub(super) struct Outcome {
    pub(super) story: Story,
    /// The files of the branch, the plan's excepted.
    tree: String,
    branches: String,
}

/// A world that can be put back to either start.
pub(super) struct Bench {
    world: World,
    /// The database of the plan that stands, where it is not in the data folder.
    planned: Option<TestDatabase>,
    /// Whether a person has something to say to the agent of the first task.
    talks: bool,
    /// Whether the person was heard since the last start from nothing or from the plan.
    was_heard: AtomicBool,
}

impl Bench {
    /// A world with two tasks whose plan stands, and the passes of planning.
    pub(super) fn planned(backend: Backend, scenario: &str, talks: bool) -> (Self, Passes) {
        let mut bench = Self {
            world: World::two_tasks(scenario),
            planned: None,
            talks,
            was_heard: AtomicBool::new(false),
        };
        if backend == Backend::Postgres {
            bench.world.move_to(postgres::database());
        }
        let passes = bench.traced(bench.world.run(&[]), 3);
        copy(&bench.world.data(), &bench.world.beside("planned"));
        if backend == Backend::Postgres {
            bench.planned = bench.world.move_to(postgres::database());
            bench.reset(Half::Work);
        }
        (bench, passes)
    }

    /// Goes on to the end without being disturbed.
    pub(super) fn undisturbed(&self) -> (Outcome, Passes) {
        let passes = self.traced(self.world.go_on("approve"), 0);
        (self.outcome(), passes)
    }

    /// Dies as told, one start after the other, goes on, and compares with `undisturbed`.
    pub(super) fn survive(
        &self,
        half: Half,
        deaths: &[Death],
        undisturbed: &Outcome,
    ) -> Result<Survived, String> {
        self.reset(half);
        let mut started = Instant::now();
        let (mut died_after, mut instead) = (None, None);
        for death in deaths {
            let mut said = self.die(death)?;
            let mut earlier = death.clone();
            // How often a point is passed depends on timing: this run was over before.
            while !said.was_killed() && deaths.len() == 1 && earlier.nth > 1 {
                earlier.nth /= 2;
                self.reset(half);
                started = Instant::now();
                said = self.die(&earlier)?;
                instead = Some(earlier.clone());
            }
            if !said.was_killed() && death.point == CrashPoint::LeaseMoved && said.status.success()
            {
                // Leases are renewed by the clock, and this run was over before.
                break;
            }
            if !said.was_killed() {
                return Err(format!("was not killed: {said:?}"));
            }
            died_after = died_after.or(Some(started.elapsed()));
        }
        let started = Instant::now();
        self.go_on()?;
        let went_on_for = started.elapsed();
        let wrong = self.wrong(undisturbed);
        if !wrong.is_empty() {
            return Err(wrong.join("\n    "));
        }
        Ok(Survived {
            instead,
            died_after: died_after.unwrap_or_default(),
            went_on_for,
        })
    }

    /// What is otherwise than after a run that was left in peace.
    fn wrong(&self, undisturbed: &Outcome) -> Vec<String> {
        let found = self.outcome();
        let mut wrong = found.story.difference(&undisturbed.story, self.talks);
        if found.tree != undisturbed.tree {
            wrong.push(format!("another tree:\n{}", found.tree));
        }
        let leftovers = fs::read_dir(self.world.data().join("work")).unwrap();
        wrong.extend(
            leftovers.map(|left| format!("left behind: {}", left.unwrap().path().display())),
        );
        if found.branches != undisturbed.branches {
            wrong.push(format!("other branches: {}", found.branches));
        }
        wrong
    }

    fn die(&self, death: &Death) -> Result<Said, String> {
        let mut command = self.next()?.ok_or("is over")?;
        command.env(CRASH_AT, death.to_string());
        Ok(self.watch(command))
    }

    fn reset(&self, half: Half) {
        self.was_heard.store(false, Ordering::Relaxed);
        let data = self.world.data();
        fs::remove_dir_all(&data).unwrap();
        if half == Half::Work {
            copy(&self.world.beside("planned"), &data);
        }
        if let Some(planned) = &self.planned {
            self.world.move_to(match half {
                Half::Plan => postgres::database(),
                Half::Work => postgres::copy_of(planned),
            });
        }
        for branch in self.branches().lines().filter(|name| *name != "main") {
            self.world.repo.git(&["branch", "--quiet", "-D", branch]);
        }
    }

    /// What a person would type now; nothing once the branch is there.
    fn next(&self) -> Result<Option<Command>, String> {
        let mut command = match story::status(&self.world.database()).as_deref() {
            None => self.world.run(&[]),
            Some("executing" | "working") => self.world.go_on("resume"),
            Some("completed") => self.world.go_on("approve"),
            Some("delivered") => return Ok(None),
            Some(other) => return Err(format!("the spec is {other}")),
        };
        if self.talks {
            command.env("AGENT_HEARTBEAT_INTERVAL", "1");
        }
        Ok(Some(command))
    }

    fn go_on(&self) -> Result<(), String> {
        for _ in 0..STARTS_MAX {
            let Some(command) = self.next()? else {
                return Ok(());
            };
            let said = self.watch(command);
            // 3: the plan stands and waits.
            if !matches!(said.status.code(), Some(0 | 3)) {
                return Err(format!("{said:?}"));
            }
        }
        Err("the branch is not there after many starts".to_owned())
    }

    /// Runs `command` to its end; meanwhile somebody may have something to say.
    fn watch(&self, command: Command) -> Said {
        let mut running = self.world.start(command);
        let is_silent = || !self.talks || self.was_heard.load(Ordering::Relaxed);
        while !is_silent() && !running.ends_within(LOOK) {
            // Refused before the task runs, and unheard when the program dies meanwhile.
            let steer = self.world.command(&["steer", "TSK-001", "Be brief."]);
            let working = story::task_status(&self.world.database(), "TSK-001");
            if working.as_deref() == Some("running") {
                let heard = self.world.start(steer).wait().status.success();
                self.was_heard.store(heard, Ordering::Relaxed);
            }
        }
        running.wait()
    }

    fn traced(&self, mut command: Command, code: i32) -> Passes {
        let trace = self.world.beside("trace");
        command.env(CRASH_TRACE, &trace);
        if self.talks {
            command.env("AGENT_HEARTBEAT_INTERVAL", "1");
        }
        self.watch(command).exited(code);
        let mut passes = Passes::new();
        for line in fs::read_to_string(&trace).unwrap().lines() {
            let (point, side) = line.split_once(' ').unwrap();
            let side = if side == "before" { "before" } else { "after" };
            *passes
                .entry((CrashPoint::parse(point).unwrap(), side))
                .or_default() += 1;
        }
        fs::remove_file(trace).unwrap();
        passes
    }

    fn outcome(&self) -> Outcome {
        let branches = self.branches();
        let branch = branches
            .lines()
            .find(|name| *name != "main")
            .unwrap_or("main");
        let tree = self.world.tree(branch);
        Outcome {
            story: story::read(&self.world.database()),
            tree,
            branches,
        }
    }

    fn branches(&self) -> String {
        self.world
            .repo
            .git(&["branch", "--format=%(refname:short)"])
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status();
    assert!(copied.unwrap().success());
}
