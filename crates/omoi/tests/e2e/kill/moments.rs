//! Kills at moments that nobody chose.

use std::time::{Duration, Instant};

use crate::story;
use crate::world::World;

/// Kills of one run.
const KILLS: u32 = 10;
/// Longest and shortest life before a kill. The shortest leaves time to start and to do something.
const LIFE_MS: std::ops::Range<u64> = 700..4_000;
/// Names the seed of an earlier run that is to be repeated.
const SEED: &str = "OMOI_KILL_SEED";

/// Numbers that a seed repeats (xorshift).
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_millis(LIFE_MS.start + self.0 % (LIFE_MS.end - LIFE_MS.start))
    }
}

#[test]
fn the_demo_survives_ten_kills() {
    let started = Instant::now();
    let seed = std::env::var(SEED)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(20_260_201);
    println!("{SEED}={seed}");
    let mut moments = Moments(seed);
    let world = World::demo("scenario.yaml");
    let next = || match story::status(&world.database()).as_deref() {
        None => Some(world.run(&["--yes"])),
        Some("executing" | "working") => Some(world.go_on("resume")),
        Some("delivered") => None,
        Some(other) => panic!("the spec is {other}"),
    };
    let mut kills = 0;
    while kills < KILLS {
        let Some(command) = next() else { break };
        let life = moments.next();
        let mut running = world.start(command);
        if running.ends_within(life) {
            running.wait().exited(0);
            break;
        }
        let said = running.kill();
        kills += 1;
        println!(
            "killed after {life:.1?} with {} events seen",
            said.stdout.lines().count()
        );
    }
    assert_eq!(kills, KILLS, "the run was over before");
    let mut summary = None;
    while let Some(command) = next() {
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
