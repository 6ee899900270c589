//! The escape table: a hostile program tries, one by one, what must not be possible.

mod bait;
mod expected;
mod layer;
mod table;

use omoi_domain::sandbox::SandboxRung;
use omoi_sandbox::{PropertyStatus, SandboxFloor, SandboxLimits};

pub(crate) use self::bait::{bait_platform, probes_launch};
use self::expected::HostFeatures;
use self::table::{ProbeRow, check_page};
use crate::support::{Platform, UserCopy};
use crate::walls::rows::{UNLIMITED, UNWALLED, UNWALLED_AS_ROOT, UNWALLED_LAST};

fn started_as() -> &'static str {
    match rustix::process::geteuid().is_root() {
        true => "root",
        false => "a user",
    }
}

/// Runs all tries on `rung`; none that attacks a property it holds may get anywhere.
async fn run_probes(rung: SandboxRung) -> Vec<ProbeRow> {
    let platform = Platform::with_rung(rung, &SandboxFloor::none()).await;
    let bait = bait_platform(&platform);
    let exit = platform.run(probes_launch(&platform, &bait, &[])).await;
    let table = bait.layer.judge_table(&exit.stdout.to_text());
    println!(
        "{}, started as {}",
        platform.provider.rung_version(),
        started_as()
    );
    for (property, held) in platform.provider.held_properties() {
        let word = if held.is_yes() { "held" } else { "missing" };
        println!(
            "  {property}: {word} {}",
            held.holder_remark().unwrap_or_default()
        );
    }
    let unlike = HostFeatures::find().unlike_properties(rung, platform.provider.held_properties());
    assert!(unlike.is_empty(), "{rung} as {}: {unlike:#?}", started_as());
    let complaint = exit.stderr.to_text();
    assert!(
        exit.has_succeeded(),
        "{:?}: {complaint}\n{table}",
        exit.ended
    );
    let mut escaped = Vec::new();
    let mut rows = Vec::new();
    for line in table.lines() {
        let [attacks, verdict, name, detail] = *line.split('\t').collect::<Vec<_>>() else {
            panic!("{line}");
        };
        let is_promised = attacks == "control"
            || attacks
                .split(" or ")
                .any(|property| is_held(&platform, property));
        let verdict = match (verdict, is_promised) {
            ("watched", _) => "watched",
            ("held", true) => "held",
            (_, true) => {
                escaped.push(format!("{name}: {detail}"));
                "ESCAPED"
            }
            (_, false) => "not promised",
        };
        rows.push(ProbeRow {
            rung: format!("{rung}, {}", started_as()),
            name: name.to_owned(),
            property: attacks.to_owned(),
            verdict: verdict.to_owned(),
        });
    }
    assert!(
        escaped.is_empty(),
        "{rung} as {}: {escaped:#?}",
        started_as()
    );
    assert!(rows.len() >= 100, "only {} probes ran", rows.len());
    rows
}

fn is_held(platform: &Platform, property: &str) -> bool {
    let mut all = platform.provider.held_properties().iter();
    let found = all.find(|(one, _)| one.as_str() == property);
    let (_, held) = found.unwrap_or_else(|| panic!("no property is called `{property}`"));
    matches!(held, PropertyStatus::Yes | PropertyStatus::YesBy(_))
}

/// Every try on every rung, started as root and as an ordinary user; the table is kept for readers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn escape_table() {
    let mut rows = Vec::new();
    for rung in [
        SandboxRung::Bubblewrap,
        SandboxRung::Container,
        SandboxRung::Landlock,
    ] {
        rows.extend(run_probes(rung).await);
    }
    for row in &rows {
        println!("{}", row.to_line());
    }
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let copy = UserCopy::new();
    let output = copy
        .command(&["--exact", "escape::escape_table", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "as an ordinary user:\n{text}\n{complaint}"
    );
    rows.extend(text.lines().filter_map(ProbeRow::from_line));
    check_page(&rows, &HostFeatures::find());
}

/// The same tries must succeed where nothing holds them back, or the table proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_can_turn_red() {
    let mut unwalled = UNWALLED.to_vec();
    if rustix::process::geteuid().is_root() {
        unwalled.extend(UNWALLED_AS_ROOT);
    }
    let platform = Platform::with_rung(SandboxRung::Process, &SandboxFloor::none()).await;
    let bait = bait_platform(&platform);
    for names in [&unwalled[..], UNWALLED_LAST, UNLIMITED] {
        let mut launch = probes_launch(&platform, &bait, names);
        if names == UNLIMITED {
            // What the program was told stays as it is.
            launch.limits = SandboxLimits::default();
        }
        let exit = platform.run(launch).await;
        let table = bait.layer.judge_table(&exit.stdout.to_text());
        let red = |name: &&&str| table.contains(&format!("\tESCAPED\t{name}\t"));
        let held: Vec<_> = names.iter().filter(|name| !red(name)).collect();
        assert!(held.is_empty(), "expected {held:#?} to escape in\n{table}");
        assert_eq!(table.lines().count(), names.len(), "{table}");
        assert!(!table.contains("itself failed"), "{table}");
    }
}
