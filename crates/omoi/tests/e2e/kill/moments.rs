//! Kills at moments that nobody chose.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::story;
use crate::world::World;

/// Kills of one run.
const KILLS: u32 = 10;
/// Shortest life before a kill.
const SHORTEST_MS: u64 = 500;
/// Longest life; each is tried where a run was over before its last kill with the one before it.
const LONGEST_MS: [u64; 3] = [3_200, 1_600, 800];
/// Names the seed of an earlier run that is to be repeated.
const SEED: &str = "OMOI_KILL_SEED";

/// Numbers that a seed repeats (xorshift).
struct Moments(u64);

impl Moments {
    fn next(&mut self, longest_ms: u64) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(SHORTEST_MS + self.0 % (longest_ms - SHORTEST_MS))
    }
}

/// What goes on with the demo; nothing once the branch is there.
fn next(world: &World) -> Option<Command> {
    match story::status(&world.database()).as_deref() {
        None => Some(world.run(&["--yes"])),
        Some("executing" | "working") => Some(world.go_on("resume")),
        Some("delivered") => None,
        Some(other) => panic!("the spec is {other}"),
    }
}

/// A demo after all its kills; none when it was over before.
fn killed(seed: u64, longest_ms: u64) -> Option<World> {
    let mut moments = Moments(seed);
    let world = World::demo("scenario.yaml");
    for _ in 0..KILLS {
        let command = next(&world)?;
        let life = moments.next(longest_ms);
        let mut running = world.start(command);
        if running.ends_within(life) {
            running.wait().exited(0);
            println!("was over before {life:.1?}");
            return None;
        }
        let said = running.kill();
        let seen = said.stdout.lines().count();
        println!("killed after {life:.1?} with {seen} events seen");
    }
    Some(world)
}

#[test]
fn the_demo_survives_ten_kills() {
    let started = Instant::now();
    let seed = std::env::var(SEED)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_260_201);
    println!("{SEED}={seed}");
    let mut lives = LONGEST_MS.into_iter();
    let world = lives.find_map(|longest_ms| killed(seed, longest_ms));
    let world = world.expect("the run was always over before");
    let mut summary = None;
    while let Some(command) = next(&world) {
        summary = Some(world.start(command).wait().exited(0).summary());
    }
    let summary = summary.expect("delivered within the last life");
    assert_eq!(summary["outcome"], "succeeded", "{summary:#}");
    assert_eq!(
        summary["criteria"]["proven"], summary["criteria"]["total"],
        "{summary:#}"
    );
    let told = story::read(&world.database());
    assert_eq!((told.repeated(), &told.left), (vec![], &vec![]));
    assert_eq!(
        told.proven.len() as i64,
        summary["criteria"]["total"].as_i64().unwrap()
    );
    crate::checkout::tests_pass(world.repo.path(), summary["branch"].as_str().unwrap());
    println!("{:.0?} in all", started.elapsed());
}
