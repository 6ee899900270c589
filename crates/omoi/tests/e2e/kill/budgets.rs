//! A budget of a month is made or not, wherever the program dies.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use omoi_domain::crash::CrashPoint;
use omoi_runtime::crash::CRASH_AT;
use omoi_testkit::postgres;
use serde_json::{Value, json};

use crate::processes::address;
use crate::world::World;

/// What the server at `address` answers to whoever has the token of its data folder; none where it dies of that.
fn ask(world: &World, address: &str, method: &str, body: &str) -> Option<Value> {
    let token = std::fs::read_to_string(world.data().join("token")).unwrap();
    let host = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!(
        "{method} /api/v1/costs/budgets HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nauthorization: Bearer {}\r\n\r\n{body}",
        body.len(),
        token.trim()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut told = String::new();
    // A line that breaks off told nothing.
    let _ = stream.read_to_string(&mut told);
    serde_json::from_str(told.split_once("\r\n\r\n")?.1).ok()
}

#[test]
fn a_death_leaves_a_budget_or_none() {
    let world = World::demo("scenario.yaml");
    let database = postgres::database();
    let start = |death: Option<&str>| {
        let mut serve = world.command(&["serve", "--roles", "api", "--json", "--port", "0"]);
        serve.args(["--database", database.url()]);
        if let Some(side) = death {
            let point = CrashPoint::BudgetChanged.as_str();
            serve.env(CRASH_AT, format!("{point}:{side}:1"));
        }
        let mut server = world.start(serve);
        let address = address(&mut server).expect("no address");
        (server, address)
    };
    let budget = json!({ "scope_type": "organization", "limit": "20" }).to_string();
    for side in ["before", "after"] {
        let (server, address) = start(Some(side));
        assert_eq!(ask(&world, &address, "POST", &budget), None);
        assert!(server.wait().was_killed());
        let (server, address) = start(None);
        let told = ask(&world, &address, "GET", "").unwrap();
        let limits: Vec<&Value> = told["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one["limit"])
            .collect();
        let expected = json!("20.000000000");
        let expected: &[&Value] = if side == "after" { &[&expected] } else { &[] };
        assert_eq!(limits, expected, "{side}: {told}");
        server.kill();
    }
}
