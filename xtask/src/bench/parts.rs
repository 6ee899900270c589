//! The parts that an example program of their crate measures, because it takes the crate's own functions.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use xtask::host;
use xtask::process::{self, command};

use super::row::{Amount, Limit, Row, Target, Unit, ratio};
use super::{Bench, repository};

/// Files of a repository, and how often it is opened and removed.
const WORKSPACES: [(usize, usize); 2] = [(2_000, 9), (50_000, 3)];
/// Any user but root, and none of those that sandboxes get.
const USER: &str = "63321";
const SURVEY_FILES: usize = 50_000;
const MAP_FILES: usize = 50_000;
const MAP_CHANGED: usize = 10;

/// Sandboxes around programs that do nothing, and the end of one around many processes.
pub(super) fn sandbox_start(_: &Bench, example: &Path) -> Result<Vec<Row>> {
    let figures = Figures::of(example, None)?;
    let mut rows = vec![start_row(
        &figures,
        figures.times()?,
        [
            "bubblewrap",
            "`bwrap --unshare-all --ro-bind / / /bin/true`",
        ],
    )?];
    for rung in ["landlock", "container"] {
        // The example leaves out what the host does not have.
        let ours = figures.get(&format!("{rung}_ms"));
        let baseline = figures.get(&format!("{rung}_baseline_ms"));
        if let (Ok(ours), Ok(baseline)) = (ours, baseline) {
            rows.push(start_row(
                &figures,
                (ours, baseline),
                [rung, "`/bin/true`"],
            )?);
        }
    }
    let ended = Amount(figures.get("tree_end_ms")?, Unit::Milliseconds);
    rows.push(Row {
        figure: "end of a tree of 200 processes".to_owned(),
        ours: ended,
        baseline: None,
        compared: String::new(),
        target: Some(Target {
            limit: Limit::Most(300.0),
            reached: ended,
            of: "",
        }),
        runs: "5".to_owned(),
        baseline_is: "none".to_owned(),
        measured: "provider `bubblewrap`, from the kill until the sandbox is cleared up".to_owned(),
    });
    let memory = Amount(figures.get("live_kib")? * 1.024 / 1_000.0, Unit::Megabytes);
    rows.push(Row {
        figure: "memory of a live sandbox".to_owned(),
        ours: memory,
        baseline: None,
        compared: String::new(),
        target: Some(Target {
            limit: Limit::Most(25.0),
            reached: memory,
            of: "",
        }),
        runs: "8 at once".to_owned(),
        baseline_is: "none".to_owned(),
        measured: "provider `bubblewrap` around `sleep`: growth of the platform and the share of its processes"
            .to_owned(),
    });
    Ok(rows)
}

fn start_row(
    figures: &Figures,
    (ours, baseline): (f64, f64),
    [rung, baseline_is]: [&str; 2],
) -> Result<Row> {
    let added = Amount(ours - baseline, Unit::Milliseconds);
    Ok(Row {
        figure: format!("sandbox start, {rung}"),
        ours: Amount(ours, Unit::Milliseconds),
        baseline: Some(Amount(baseline, Unit::Milliseconds)),
        compared: format!("+{added}"),
        target: Some(Target {
            limit: Limit::Most(20.0),
            reached: added,
            of: "added",
        }),
        runs: figures.runs()?,
        baseline_is: baseline_is.to_owned(),
        measured: format!(
            "provider `{rung}`, launch of /bin/true to its end, cleared up; the workspace was there before"
        ),
    })
}

/// The workspaces of attempts and checks, and their removal.
pub(super) fn workspace(bench: &Bench, example: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (files, rounds) in WORKSPACES {
        let repository = repository::generate(&bench.folder(&format!("work-{files}.git")), files)?;
        let output = process::output(command(example).arg(&repository).arg(rounds.to_string()))?;
        let figures = Figures(String::from_utf8_lossy(&output.stdout).into_owned());
        let first = Amount(figures.get("first_ms")?, Unit::Milliseconds);
        rows.push(tenth_row(
            &figures,
            ["ours_ms", "baseline_ms"],
            format!("workspace of {files} files"),
            "`git clone --quiet --shared` of the same repository",
            format!("laid over the prepared checkout, handed over; the checkout itself took {first} once"),
        )?);
        rows.push(tenth_row(
            &figures,
            ["removal_ms", "removal_baseline_ms"],
            format!("removal of a workspace of {files} files"),
            "`rm -rf` of that clone",
            "the mount and what changed below it".to_owned(),
        )?);
    }
    if host::is_root() {
        rows.extend(workspace_of_user(example)?);
    }
    Ok(rows)
}

/// The smaller of them for an ordinary user, who gets no overlay: the target is not reached there.
fn workspace_of_user(example: &Path) -> Result<Vec<Row>> {
    let (files, rounds) = WORKSPACES[0];
    // The build folder and what root makes may be closed to others.
    let folder = host::temporary_folder().join(format!("omoios-bench-user-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let measured = (|| {
        let program = folder.join("example");
        fs::copy(example, &program)?;
        let repository = repository::generate(&folder.join("work.git"), files)?;
        let owner = format!("{USER}:{USER}");
        process::run(command("chown").args(["-R", &owner]).arg(&folder))?;
        let mut as_user = command("setpriv");
        as_user
            .args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"])
            .arg(&program)
            .arg(&repository)
            .arg(rounds.to_string())
            .env("HOME", &folder)
            .env("TMPDIR", &folder)
            .current_dir(&folder);
        let output = process::output(&mut as_user)?;
        anyhow::Ok(Figures(
            String::from_utf8_lossy(&output.stdout).into_owned(),
        ))
    })();
    fs::remove_dir_all(&folder)?;
    let figures = measured?;
    let clone = "`git clone --quiet --shared` of the same repository";
    Ok(vec![
        tenth_row(
            &figures,
            ["ours_ms", "baseline_ms"],
            format!("workspace of {files} files, a user"),
            clone,
            "a checkout of its own, handed over: an ordinary user has no overlay".to_owned(),
        )?,
        tenth_row(
            &figures,
            ["removal_ms", "removal_baseline_ms"],
            format!("removal of a workspace of {files} files, a user"),
            "`rm -rf` of that clone",
            "all of the checkout".to_owned(),
        )?,
    ])
}

/// A row whose figure should be a tenth of its baseline.
fn tenth_row(
    figures: &Figures,
    [ours, baseline]: [&str; 2],
    figure: String,
    baseline_is: &str,
    measured: String,
) -> Result<Row> {
    let (ours, baseline) = (figures.get(ours)?, figures.get(baseline)?);
    Ok(Row {
        figure,
        ours: Amount(ours, Unit::Milliseconds),
        baseline: Some(Amount(baseline, Unit::Milliseconds)),
        compared: ratio(ours, baseline),
        target: Some(Target {
            limit: Limit::Most(0.1),
            reached: Amount(ours / baseline, Unit::Times),
            of: "",
        }),
        runs: figures.runs()?,
        baseline_is: baseline_is.to_owned(),
        measured,
    })
}

/// What is found in a large repository.
pub(super) fn survey(bench: &Bench, example: &Path) -> Result<Vec<Row>> {
    let repository = repository::generate(&bench.folder("survey.git"), SURVEY_FILES)?;
    let figures = Figures::of(example, Some(&repository))?;
    let (ours, baseline) = figures.times()?;
    let (files, languages) = (figures.get("files")?, figures.get("languages")?);
    if files as usize != SURVEY_FILES {
        bail!("the survey saw {files} of {SURVEY_FILES} files");
    }
    Ok(vec![Row {
        figure: format!("survey of {SURVEY_FILES} files"),
        ours: Amount(ours, Unit::Milliseconds),
        baseline: Some(Amount(baseline, Unit::Milliseconds)),
        compared: ratio(ours, baseline),
        target: None,
        runs: figures.runs()?,
        baseline_is: "`git ls-tree -r -l -z HEAD` in the same repository".to_owned(),
        measured: format!("`survey_commit` on the mirror, {languages} languages, manifests read"),
    }])
}

/// The map of a large repository, and of the same with a few files changed.
pub(super) fn repository_map(bench: &Bench, example: &Path) -> Result<Vec<Row>> {
    let repository = repository::generate(&bench.folder("map.git"), MAP_FILES)?;
    repository::change_files(&repository, MAP_CHANGED)?;
    let figures = Figures::of(example, Some(&repository))?;
    let (again, first) = figures.times()?;
    let (files, read) = (figures.get("files")?, figures.get("read")?);
    if read as usize != MAP_CHANGED {
        bail!("{read} files were read again, and {MAP_CHANGED} had changed");
    }
    let first_row = Row {
        figure: format!("repository map of {MAP_FILES} files"),
        ours: Amount(first, Unit::Milliseconds),
        baseline: None,
        compared: "–".to_owned(),
        target: None,
        runs: figures.runs()?,
        baseline_is: "none".to_owned(),
        measured: format!(
            "`map_of_commit` on the mirror until each of {files} source files was read, ranked and drawn"
        ),
    };
    let again_row = Row {
        figure: format!("repository map after {MAP_CHANGED} changed"),
        ours: Amount(again, Unit::Milliseconds),
        baseline: Some(Amount(first, Unit::Milliseconds)),
        compared: ratio(again, first),
        target: Some(Target {
            limit: Limit::Most(0.05),
            reached: Amount(again / first, Unit::Times),
            of: "",
        }),
        runs: figures.runs()?,
        baseline_is: "the first map of the same repository".to_owned(),
        measured: "`map_of_commit` of the next commit, tags of all other files kept".to_owned(),
    };
    Ok(vec![first_row, again_row])
}

/// Five hot statements of the store on either database.
pub(super) fn statements(_: &Bench, example: &Path) -> Result<Vec<Row>> {
    const STATEMENTS: [(&str, &str); 5] = [
        (
            "claim_scan",
            "`tasks::eligible`, 16 found among 200 tasks, every second one blocked",
        ),
        ("of_spec", "`tasks::of_spec`, 200 whole rows"),
        ("touch", "`attempts::touch`, a sign of life with work"),
        ("insert", "`costs::insert`, without the event it emits"),
        (
            "events",
            "`events::append`: a transaction with 20 events, by event, commit included",
        ),
    ];
    let figures = Figures::of(example, None)?;
    let mut rows = Vec::new();
    for database in ["sqlite", "postgres"] {
        let baseline = figures.get(&format!("{database}_empty_us"))?;
        for (statement, measured) in STATEMENTS {
            let ours = figures.get(&format!("{database}_{statement}_us"))?;
            rows.push(Row {
                figure: format!("{statement} on {database}"),
                ours: Amount(ours, Unit::Microseconds),
                baseline: Some(Amount(baseline, Unit::Microseconds)),
                compared: ratio(ours, baseline),
                target: None,
                runs: figures.runs()?,
                baseline_is: "an empty transaction on the same connection".to_owned(),
                measured: measured.to_owned(),
            });
        }
    }
    Ok(rows)
}

/// A streamed answer through the gateway, alone and twenty at once.
pub(super) fn gateway_stream(_: &Bench, example: &Path) -> Result<Vec<Row>> {
    const BASELINE: &str = "the same upstream, asked by the same client without the gateway";
    let figures = Figures::of(example, None)?;
    let at_once = figures.get("at_once")?;
    let mut rows = Vec::new();
    for (name, asked) in [("one", "1".to_owned()), ("many", format!("{at_once}"))] {
        let of = |what: &str| figures.get(&format!("{name}_{what}_us"));
        let (first, bare_first) = (of("gateway_first")? / 1e3, of("bare_first")? / 1e3);
        let added = Amount(first - bare_first, Unit::Milliseconds);
        rows.push(Row {
            figure: format!("gateway, first byte, {asked} at once"),
            ours: Amount(first, Unit::Milliseconds),
            baseline: Some(Amount(bare_first, Unit::Milliseconds)),
            compared: format!("+{added}"),
            target: Some(Target {
                limit: Limit::Most(5.0),
                reached: added,
                of: "added",
            }),
            runs: figures.runs()?,
            baseline_is: BASELINE.to_owned(),
            measured: "over the worker socket, the call reserved and recorded on SQLite; one dialect on both sides, a question of 100 KiB, until the first bytes of its answer"
                .to_owned(),
        });
        let (token, bare_token) = (of("gateway_token")?, of("bare_token")?);
        rows.push(Row {
            figure: format!("gateway, a streamed token, {asked} at once"),
            ours: Amount(token, Unit::Microseconds),
            baseline: Some(Amount(bare_token, Unit::Microseconds)),
            compared: ratio(token, bare_token),
            target: Some(Target {
                limit: Limit::Most(1.1),
                reached: Amount(token / bare_token, Unit::Times),
                of: "",
            }),
            runs: figures.runs()?,
            baseline_is: BASELINE.to_owned(),
            measured: "2,000 tokens, one an event, from an upstream that waits for nothing: a model takes thousands of times as long"
                .to_owned(),
        });
    }
    Ok(rows)
}

/// Installations with everything in the proxy's cache.
pub(super) fn installs(_: &Bench, example: &Path) -> Result<Vec<Row>> {
    let figures = Figures::of(example, None)?;
    let packages = figures.get("packages")?;
    let row = |(client, command): (&str, &str)| {
        let ours = figures.get(&format!("{client}_ms"))?;
        let baseline = figures.get(&format!("{client}_baseline_ms"))?;
        Ok(Row {
            figure: format!("`{command}`, warm"),
            ours: Amount(ours, Unit::Milliseconds),
            baseline: Some(Amount(baseline, Unit::Milliseconds)),
            compared: ratio(ours, baseline),
            target: Some(Target {
                limit: Limit::Most(1.3),
                reached: Amount(ours / baseline, Unit::Times),
                of: "",
            }),
            runs: figures.runs()?,
            baseline_is:
                "the same client and registries on loopback, through a tunnel that copies bytes"
                    .to_owned(),
            measured: format!(
                "{packages} packages of a registry through the egress proxy, all in its cache, none in the client's"
            ),
        })
    };
    [
        ("npm", "npm ci"),
        ("cargo", "cargo fetch"),
        ("pip", "pip install"),
    ]
    .into_iter()
    .map(row)
    .collect()
}

/// What an example printed: `key=value`, separated by blanks.
pub(super) struct Figures(String);

impl Figures {
    pub(super) fn of(example: &Path, repository: Option<&Path>) -> Result<Self> {
        let output = process::output(command(example).args(repository))?;
        Ok(Self(String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    pub(super) fn get(&self, key: &str) -> Result<f64> {
        let values = self
            .0
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='));
        values
            .filter(|(name, _)| *name == key)
            .find_map(|(_, value)| value.parse().ok())
            .with_context(|| format!("no `{key}` in `{}`", self.0.trim_end()))
    }

    fn times(&self) -> Result<(f64, f64)> {
        Ok((self.get("ours_ms")?, self.get("baseline_ms")?))
    }

    pub(super) fn runs(&self) -> Result<String> {
        Ok(format!(
            "{} after {}",
            self.get("runs")?,
            self.get("warm_up")?
        ))
    }
}
