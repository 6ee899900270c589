//! Secrets that are used: a provider that says back which key it was asked with, and a registry that is sent its
//! credential. Neither leaves by a command, a log, a file, a row of the database or a program that is started.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use omoi_domain::planted_bug::PlantedBug;
use omoi_testkit::invariant::tell_row;
use omoi_testkit::postgres;
use omoi_testkit::raw_connection::RawConnection;

use crate::binary::{Running, Said};
use crate::canary::{Planted, write_private};
use crate::egress::Registry;
use crate::listener::Listener;
use crate::packages::prepare;
use crate::world::{World, asset, files_below};

const REGISTRY: &str = "registry.npmjs.org";
/// Time between two looks at what the program has started.
const LOOK: Duration = Duration::from_millis(20);
/// Has a registry write down what comes as `authorization`.
const LISTENING: &str = "
import http.server
parse = http.server.BaseHTTPRequestHandler.parse_request
def heard(self):
    is_request = parse(self)
    if is_request:
        open(HEARD, 'a').write(self.headers.get('authorization', '-') + '\\n')
    return is_request
http.server.BaseHTTPRequestHandler.parse_request = heard
";

/// A scan with what it has counted.
struct CanaryScan {
    planted: Planted,
    n_places: usize,
    n_found: usize,
}

impl CanaryScan {
    fn look_at(&mut self, what: &str, bytes: &[u8]) {
        self.n_places += 1;
        self.n_found += self.planted.count_in(what, bytes);
    }

    /// What `running` says, and how it starts programs until it has ended.
    fn look_until_end(&mut self, mut running: Running) -> Said {
        let pid = running.process_id().to_string();
        while !running.ends_within(LOOK) {
            for (what, bytes) in started_by(&pid) {
                self.look_at(&what, &bytes);
            }
        }
        let said = running.wait();
        self.look_at("standard output", said.stdout.as_bytes());
        self.look_at("standard error", said.stderr.as_bytes());
        said
    }
}

/// Arguments and environment of every process below `pid`.
fn started_by(pid: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let parents: Vec<(String, String)> = entries
        .filter_map(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?;
            Some((entry.file_name().into_string().ok()?, parent.to_owned()))
        })
        .collect();
    let mut found = vec![pid.to_owned()];
    let mut next = 0;
    while let Some(parent) = found.get(next).cloned() {
        let children = parents.iter().filter(|(_, of)| *of == parent);
        found.extend(children.map(|(child, _)| child.clone()));
        next += 1;
    }
    let below = found.iter().skip(1);
    let files =
        below.flat_map(|pid| ["cmdline", "environ"].map(|file| format!("/proc/{pid}/{file}")));
    files
        .filter_map(|path| Some((path.clone(), fs::read(&path).ok()?)))
        .collect()
}

/// Every row of every table.
fn database_dump(url: &str) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let mut database = RawConnection::open(url).await.unwrap();
        database.dump_rows().await.unwrap()
    })
}

fn configuration(provider: &Listener, registry: &Registry, root: &Path) -> String {
    format!(
        "providers:\n  - name: rack\n    preset: vllm\n    address: {}/v1\n    key: RACK_API_KEY\n\
         models:\n  agent: [rack/qwen3]\n  planner: [rack/qwen3]\nllm:\n  prices: ['qwen3=0/0']\n\
         egress:\n  registries:\n    - 'host={REGISTRY}; site=npm; address={}; certificate={}; credential=NPM_KEY'\n",
        provider.url,
        registry.address(),
        root.display(),
    )
}

#[test]
fn s4_no_canary_leaves_its_place_by_being_used() {
    let world = World::with_packages("node");
    drop(world.move_to(postgres::database()));
    let planted = Planted::plant(&world);
    let folder = tempfile::tempdir().unwrap();
    let heard = folder.path().join("heard");
    let script = fs::read_to_string(asset("tests/assets/packages/registries.py")).unwrap();
    let listening = LISTENING.replace("HEARD", &format!("{heard:?}"));
    let registry =
        Registry::start_script(folder.path(), &[REGISTRY], &format!("{listening}{script}"));
    let provider = Listener::start();
    let text = configuration(&provider, &registry, &folder.path().join("root.pem"));
    write_private(&world.beside("config.yaml"), &text);
    let started = Instant::now();
    let mut scan = CanaryScan {
        planted,
        n_places: 0,
        n_found: 0,
    };
    let start = |mut command: Command| {
        prepare(&world, &mut command);
        world.start(command)
    };

    let mut setup = world.command(&["setup", "--json", "--repo"]);
    setup.arg(world.repo.path());
    scan.look_until_end(start(setup)).exited(0);
    let sent = fs::read_to_string(&heard).unwrap();
    assert!(scan.planted.count_in("its registry", sent.as_bytes()) > 0);
    let ask = || start(world.command(&["models", "try", "rack/qwen3"]));
    scan.look_until_end(ask());
    scan.look_until_end(start(world.ask(&["--yes"])));
    // The planner asked, and was told the key.
    provider.asked();
    for command in [
        &["spec", "show", "SPEC-1", "--json"][..],
        &["logs", "--system"],
        &["config", "show"],
    ] {
        scan.look_until_end(start(world.command(command)));
    }
    for file in files_below(&world.data()) {
        let bytes = fs::read(&file).unwrap_or_default();
        scan.look_at(&file.display().to_string(), &bytes);
    }
    let dump = database_dump(&world.database());
    // What the provider said is kept, without the key.
    assert!(dump.contains("there is no account of the key"), "{dump}");
    scan.look_at("a dump of the database", dump.as_bytes());
    tell_row(&format!(
        "S4: {} places in {:.1?}, canaries found: {}",
        scan.n_places,
        started.elapsed(),
        scan.n_found
    ));
    assert_eq!(scan.n_found, 0);

    // Without the mask the provider's words come through.
    let mut unmasked = world.command(&["models", "try", "rack/qwen3"]);
    unmasked.env("OMOI_PLANTED_BUG", PlantedBug::SecretMask.as_str());
    let said = start(unmasked).wait();
    let n_with_bug = scan
        .planted
        .count_in("what is said without a mask", said.stderr.as_bytes())
        + scan
            .planted
            .count_in("what is said without a mask", said.stdout.as_bytes());
    assert!(n_with_bug > 0, "{said:?}");
}
