//! API4, unrestricted resource consumption: connections, heads and bodies beyond what anybody needs.

use std::net::Ipv4Addr;

use omoi_domain::planted_bug::PlantedBug;
use omoi_testkit::invariant::InvariantProof;
use tokio::net::TcpStream;

use crate::network_listener::{ASKED, OpenDoor, answer_to, limits};

/// Connections of one address.
const ADDRESS_MAX: usize = 4;
/// Connections that somebody opens.
const OPENED: usize = 12;

#[tokio::test]
async fn no_address_takes_all_connections() {
    let proof = InvariantProof {
        id: "API4",
        counted: "connections of one address beyond its limit",
        n_cases: OPENED,
        bug: PlantedBug::ConnectionLimit,
    };
    proof
        .check(async || {
            let door = OpenDoor::open(limits(64, ADDRESS_MAX)).await;
            let mut held: Vec<TcpStream> = Vec::new();
            for _ in 0..OPENED {
                let mut stream = door.connect(Ipv4Addr::LOCALHOST).await;
                let told = answer_to(&mut stream, ASKED).await;
                if told.starts_with("HTTP/1.1 404 ") {
                    held.push(stream);
                }
            }
            // Others find it open.
            let mut other = door.connect(Ipv4Addr::new(127, 0, 0, 2)).await;
            let told = answer_to(&mut other, ASKED).await;
            assert!(told.starts_with("HTTP/1.1 404 "), "{told}");
            held.len() - ADDRESS_MAX
        })
        .await;
}
