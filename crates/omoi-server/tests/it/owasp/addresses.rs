//! API7, server side request forgery: the platform opens connections for sandboxes, and none of them inside.

use omoi_domain::planted_bug::PlantedBug;
use omoi_egress::listing::{ListedEntries, SharedListing};
use omoi_egress::project_hosts::ProjectHosts;
use omoi_testkit::deployment::TestDeployment;
use omoi_testkit::invariant::InvariantProof;

use crate::egress::{ListedHost, open_way, say, while_listed};

/// What a sandbox asks for: a listed name that leads inside, and ways around names.
fn targets(host: &ListedHost) -> Vec<String> {
    let name = host.name();
    let (_, port) = name.rsplit_once(':').unwrap();
    let mut targets = vec![name.clone()];
    for inside in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "169.254.169.254",
        "10.0.0.1",
    ] {
        targets.push(format!("{inside}:{port}"));
    }
    targets
}

#[tokio::test]
async fn no_sandbox_is_led_inside() {
    let test = TestDeployment::new().await;
    let task = test.add_task(1, &[]).await;
    let live = test.run_task(task.id).await;
    test.leaves_open_attempts();
    let host = ListedHost::start().await;
    // A person listed the name; where it leads is whoever's who serves the name.
    let listing = || {
        SharedListing::new(ListedEntries {
            hosts: ProjectHosts::parse(&[host.name()]).unwrap(),
            ..ListedEntries::default()
        })
    };
    let targets = targets(&host);
    let proof = InvariantProof {
        id: "API7",
        counted: "connections inside that a sandbox was given",
        n_cases: targets.len(),
        bug: PlantedBug::PublicAddress,
    };
    proof
        .check(async || {
            let mut opened = Vec::new();
            while_listed(&test, &host, listing(), async |socket| {
                for target in &targets {
                    let (mut way, head) = open_way(&socket, live.attempt.id, &live.token).await;
                    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
                    let asked = format!("CONNECT {target} HTTP/1.1\r\nhost: {target}");
                    let told = say(&mut way, &asked).await;
                    if told.starts_with("HTTP/1.1 200") {
                        opened.push(target.clone());
                    }
                }
            })
            .await;
            println!("{opened:?}");
            opened.len()
        })
        .await;
}
