//! Each wall of the way taken away turns its rows red.

use omoi_domain::sandbox::SandboxRung;

use crate::rung::Rung;
use crate::way::{MissingWall, WayOut};

/// A wall that is gone, and the rows that it alone holds.
const WALLS: [(MissingWall, &[&str]); 4] = [
    (
        MissingWall::Token,
        &[
            "use the way with no token",
            "use the way with a made-up token",
            "use the way of another attempt with the own token",
            "use another attempt's token at the own address",
            "use the way with a planner's token",
            "use the way with the token of a check",
            "use the way with the token of an attempt that is over",
            "keep a tunnel beyond the end of its attempt",
        ],
    ),
    (
        MissingWall::List,
        &[
            "tunnel to a host that nobody listed",
            "tunnel to another port of a listed host",
            "ask a host plainly that nobody listed",
            "send a message as a name that is looked up",
        ],
    ),
    (
        MissingWall::Addresses,
        &[
            "tunnel to an address of this machine",
            "tunnel to that address in other spellings",
            "tunnel to a listed name that leads into this network",
            "ask a listed name plainly that leads into this network",
            "be redirected by a listed host to a private address",
        ],
    ),
    (
        MissingWall::Proxy,
        &[
            "reach a name server through the way",
            "reach the data of a cloud's machines",
            "speak to another host inside of a tunnel",
            "speak something else than TLS inside of a tunnel",
            "post to a listed host plainly",
            "send a body with a request for reading",
            "upload to a registry",
            "search a registry, which sends it words",
            "have a registry audit, which sends it lists",
            "send a registry a body",
            "send a registry a path of one's own",
            "ask for another host inside of a registry's tunnel",
            "fetch a package that the cache does not have",
            "ask a registry without TLS",
            "hold more connections than the cap",
            "open connections to the platform without end",
            "send more than the cap",
            "ask more often than the cap of a minute",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_wall_of_the_way_taken_away_turns_its_rows_red() {
    let mut named: Vec<&str> = Vec::new();
    for (missing, rows) in WALLS {
        // The tries touch nothing but the socket, so that no sandbox is needed.
        let rung = Rung::find(SandboxRung::Process).await;
        let way = WayOut::open(rung.dir.path(), missing).await;
        let printed = way.try_probes(&rung, rows).await;
        for name in rows {
            let row = printed.lines().find(|l| l.contains(&format!("\t{name}\t")));
            let row = row.unwrap_or_else(|| panic!("{missing:?}: no `{name}` in\n{printed}"));
            assert!(row.contains("\tESCAPED\t"), "{missing:?}: {row}");
            assert!(!row.contains("itself failed"), "{missing:?}: {row}");
        }
        named.extend(rows);
    }
    let tries = include_str!("probes.py").lines();
    let tries = tries.filter_map(|line| line.strip_prefix("@probe(\""));
    for name in tries.filter_map(|line| line.split('"').next()) {
        let is_control = name.starts_with("CONTROL");
        assert!(
            is_control || named.contains(&name),
            "nothing holds `{name}`"
        );
    }
}
