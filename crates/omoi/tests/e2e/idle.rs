//! A process that has nothing to do.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use omoi_testkit::postgres;

use crate::binary::Running;
use crate::processes::address;
use crate::story;
use crate::world::World;

/// The loops of a process, each of which must have looked around before rows are compared.
const LOOPS: [&str; 7] = [
    "planner",
    "dispatcher",
    "validator",
    "merger",
    "finisher",
    "reaper",
    "janitor",
];
/// Looks around every 300 s: that it writes nothing then is a test of its own, by a clock that is moved.
const SELDOM: &str = "blockers";
/// Looks of each loop at rows that nobody changes.
const IDLE_TICKS: u64 = 3;
/// Time between two looks at the counters.
const LOOK: Duration = Duration::from_millis(100);

/// How often each loop of the process at `address` has looked around.
fn ticks(world: &World, address: &str) -> BTreeMap<String, u64> {
    let token = fs::read_to_string(world.data().join("token")).unwrap();
    let host = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
        token.trim()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let counter = |line: &str| {
        let rest = line.strip_prefix("omoi_reconciler_ticks_total{name=\"")?;
        let (name, count) = rest.split_once("\"} ")?;
        Some((name.to_owned(), count.trim().parse().unwrap()))
    };
    answer.lines().filter_map(counter).collect()
}

/// Waits until every loop has looked around a few times more.
fn looks_around(world: &World, up: &mut Running, address: &str) {
    let before = ticks(world, address);
    for name in LOOPS {
        assert!(before.contains_key(name), "no loop `{name}`: {before:?}");
    }
    let is_done = |now: &BTreeMap<String, u64>| {
        let mut often = before.iter().filter(|(name, _)| *name != SELDOM);
        often.all(|(name, ticks)| now[name] >= ticks + IDLE_TICKS)
    };
    while !is_done(&ticks(world, address)) {
        assert!(!up.ends_within(LOOK), "it ended: {}", up.stderr());
    }
}

/// Starts a process beside a plan that waits for a person, and compares `contents` over time.
fn writes_nothing(world: &World, contents: impl Fn() -> String) {
    world.start(world.run(&[])).wait().exited(3);
    let up = world.simulated(world.command(&["up", "--port", "0", "--json"]));
    let mut up = world.start(up);
    let address = address(&mut up).expect("no address");
    // Start-up writes: who owns the folder, and what a first look takes up.
    looks_around(world, &mut up, &address);
    let before = contents();
    looks_around(world, &mut up, &address);
    assert!(contents() == before, "something was written");
    // Had anything been written it would show.
    let cancel = world.command(&["spec", "cancel", "SPEC-1"]);
    world.start(cancel).wait().exited(0);
    assert!(contents() != before, "a write does not show");
}

#[test]
fn an_idle_process_writes_nothing_to_sqlite() {
    let world = World::two_tasks("scenario.yaml");
    writes_nothing(&world, || {
        let read = |name| fs::read(world.data().join(name)).unwrap();
        let bytes = [read("omoios.db"), read("omoios.db-wal")].concat();
        format!("{bytes:?}")
    });
}

/// Every row with the transaction that wrote it: one that is written again with equal values differs.
#[test]
fn an_idle_process_writes_nothing_to_postgres() {
    let world = World::two_tasks("scenario.yaml");
    world.move_to(postgres::database());
    let url = world.database();
    let tables = "select string_agg(tablename::text, ' ' order by tablename) from pg_tables \
                  where schemaname = 'public'";
    writes_nothing(&world, || {
        let tables = story::one(&url, tables).unwrap();
        let rows = |table: &str| {
            let rows = format!(
                "select coalesce(string_agg(t.xmin::text || t.ctid::text || t::text, ' ' \
                 order by t.ctid), '') from {table} t"
            );
            story::one(&url, &rows).unwrap()
        };
        tables.split(' ').map(rows).collect()
    });
}
