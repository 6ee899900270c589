//! Edits between successive releases of real packages, spoiled as models spoil them: are they placed?
//!
//! Takes a folder of releases with the list `releases.txt`, oldest first per package, and prints a measure per
//! line as JSON; `cargo xtask agent-quality` fetches the releases and runs this. The share that is applied is that of
//! the half of the packages that the rules of placing were not tried on; what is applied wrongly counts in both.

mod edit_case;
mod edit_form;
mod spoiler;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use edit_case::{EditCase, cases_between};
use edit_form::AskedForm;
use spoiler::{Spoiling, is_recoverable, split_end, spoil_case};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// Edits wanted in both halves together.
const EDITS_WANTED: usize = 2_000;
/// Edits of one package at most, and of one pair of releases.
const PACKAGE_EDITS_MAX: usize = 160;
const PAIR_EDITS_MAX: usize = 24;

/// What became of the edits of one half.
#[derive(Default)]
struct EditTally {
    edits: usize,
    recoverable: usize,
    applied: usize,
    wrong: usize,
    /// Recoverable and placed, by how they were spoiled.
    by_spoiling: BTreeMap<Spoiling, (usize, usize)>,
}

fn main() -> Fallible<()> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or("which folder of releases?")?;
    let is_verbose = std::env::args().nth(2).is_some();
    let releases = list_releases(Path::new(&folder))?;
    let mut packages = Vec::new();
    for package in releases.chunk_by(|a, b| a.0 == b.0) {
        let mut cases = Vec::new();
        for pair in package.windows(2) {
            let left = PACKAGE_EDITS_MAX.saturating_sub(cases.len());
            let found = cases_between(&pair[0].1, &pair[1].1, left.min(PAIR_EDITS_MAX))?;
            cases.extend(found);
        }
        packages.push(cases);
    }
    for form in AskedForm::ALL {
        let mut halves = [EditTally::default(), EditTally::default()];
        for (n, cases) in packages.iter().enumerate() {
            for (m, case) in cases.iter().enumerate() {
                try_case(form, case, n + m, &mut halves[n % 2], is_verbose);
            }
        }
        print_measures(form, &halves);
    }
    Ok(())
}

/// The measures of one form: of both halves for a person, of the held-out one for the table.
fn print_measures(form: AskedForm, [tuned, held_out]: &[EditTally; 2]) {
    let name = form.measure_name();
    for (half, outcome) in [("tuned half", tuned), ("held-out half", held_out)] {
        eprintln!(
            "{name}, {half}: {} spoiled, {} recoverable, {} of them applied, {} wrong",
            outcome.edits, outcome.recoverable, outcome.applied, outcome.wrong
        );
        for (spoiling, (recoverable, applied)) in &outcome.by_spoiling {
            eprintln!("  {spoiling:?}: {applied} of {recoverable}");
        }
    }
    // A patch can_show fewer of the ways to spoil an edit, so there are fewer of them.
    if form == AskedForm::Replacement {
        let edits = tuned.edits + held_out.edits;
        println!(
            r#"{{"measure":"{name}: spoiled edits of releases","value":{edits},"target":{EDITS_WANTED}}}"#
        );
    }
    let share = held_out.applied as f64 / (held_out.recoverable as f64).max(1.0);
    // A wrong place is one too many wherever it happens.
    let wrong = tuned.wrong + held_out.wrong;
    println!(
        r#"{{"measure":"{name}: recoverable ones applied, held-out half","value":{share:.3},"target":0.95}}"#
    );
    println!(r#"{{"measure":"{name}: applied wrongly, both halves","value":{wrong},"target":0}}"#);
}

/// Package and folder of each release.
fn list_releases(folder: &Path) -> Fallible<Vec<(String, PathBuf)>> {
    let list = std::fs::read_to_string(folder.join("releases.txt"))?;
    let releases = list.lines().filter_map(|line| {
        let [registry, package, version, _] = line.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        let at = folder.join(registry).join(format!("{package}-{version}"));
        Some((package.to_owned(), at))
    });
    Ok(releases.collect())
}

fn try_case(
    form: AskedForm,
    case: &EditCase,
    seed: usize,
    outcome: &mut EditTally,
    is_verbose: bool,
) {
    let Some(spoiled) =
        spoil_case(case, seed).filter(|spoiled| form.can_show(case, spoiled.spoiling))
    else {
        return;
    };
    outcome.edits += 1;
    let is_recoverable = is_recoverable(case, &spoiled);
    let (recoverable, placed) = outcome.by_spoiling.entry(spoiled.spoiling).or_default();
    outcome.recoverable += usize::from(is_recoverable);
    *recoverable += usize::from(is_recoverable);
    let (old, new) = (&spoiled.old, &spoiled.new);
    match form.apply(case, &spoiled) {
        Ok(text) if is_wanted(&text, case, spoiled.spoiling) => {
            outcome.applied += usize::from(is_recoverable);
            *placed += usize::from(is_recoverable);
        }
        Ok(text) => {
            outcome.wrong += 1;
            if is_verbose {
                let got = differing_lines(&text, &case.wanted);
                let (path, spoiling) = (&case.path, spoiled.spoiling);
                eprintln!("WRONG {path} {spoiling:?}\n{old}---\n{new}---\n{got}");
            }
        }
        Err(why) => {
            if is_verbose && is_recoverable {
                let (path, spoiling) = (&case.path, spoiled.spoiling);
                eprintln!("REFUSED {path} {spoiling:?} {why}\n{old}---\n{new}---");
            }
        }
    }
}

/// Whether `text` is what `case` wants, byte for byte. Only where blanks at line ends are what was spoiled, the
/// edited lines may differ by them: nobody can know which were meant.
fn is_wanted(text: &str, case: &EditCase, spoiling: Spoiling) -> bool {
    if text == case.wanted {
        return true;
    }
    let (lines, wanted): (Vec<&str>, Vec<&str>) = (
        text.split_inclusive('\n').collect(),
        case.wanted.split_inclusive('\n').collect(),
    );
    let edited = case.first..case.first + case.new.len();
    let is_line_wanted = |n: usize| {
        let [(body, end), (wanted_body, wanted_end)] = [lines[n], wanted[n]].map(split_end);
        let is_same_trimmed = body.trim_end() == wanted_body.trim_end() && end == wanted_end;
        lines[n] == wanted[n] || edited.contains(&n) && is_same_trimmed
    };
    spoiling == Spoiling::TrailingBlanks
        && lines.len() == wanted.len()
        && (0..lines.len()).all(is_line_wanted)
}

fn differing_lines(text: &str, wanted: &str) -> String {
    let pairs = text.split_inclusive('\n').zip(wanted.split_inclusive('\n'));
    let differing = pairs.enumerate().filter(|(_, (got, want))| got != want);
    let shown = differing.take(3);
    shown
        .map(|(n, (got, want))| format!("{}: got  {got:?}\n{}: want {want:?}\n", n + 1, n + 1))
        .collect()
}
