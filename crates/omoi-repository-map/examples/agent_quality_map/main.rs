//! How well the map finds the files that a release changed, asked by a line of its changelog.
//!
//! Takes a folder of releases with the list `releases.txt`, oldest first per package, and prints a measure per
//! line as JSON; `cargo xtask agent-quality` fetches the releases and runs this. Plain search for the words
//! of the line, as it prints its files and by their hits, is the baseline. Constants of the ranking were chosen on one half of the packages; the other
//! half is what the target is held against.

mod changelog;
mod plain_search;
mod release_tree;

use std::path::Path;

use omoi_repository_map::file_ranking::{MapQuestion, rank_files};

use changelog::release_notes;
use plain_search::search_files;
use release_tree::{ReleaseTree, UnpackedRelease, list_releases};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// Files of an order that count as found.
const FOUND_WITHIN: usize = 20;
/// Pairs of one package and of one release at most, so that no package speaks for all.
const PACKAGE_PAIRS_MAX: usize = 14;
const RELEASE_PAIRS_MAX: usize = 4;
/// A release that changed more files is no answer to one line.
const CHANGED_MAX: usize = 20;
/// Pairs wanted at least in both halves together.
const PAIRS_WANTED: usize = 200;

/// What was found over some pairs.
#[derive(Default)]
struct Recall {
    pairs: usize,
    map: f64,
    /// Of plain search, as it prints what it finds.
    search: f64,
    /// Of the same, most hits first.
    hits: f64,
}

impl Recall {
    fn mean(&self, sum: f64) -> f64 {
        sum / (self.pairs as f64).max(1.0)
    }
}

fn main() -> Fallible<()> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or("which folder of releases?")?;
    let releases = list_releases(Path::new(&folder))?;
    let mut halves = [Recall::default(), Recall::default()];
    for (n, package) in releases.chunk_by(|a, b| a.package == b.package).enumerate() {
        let half = &mut halves[n % 2];
        let before = half.pairs;
        let mut left = PACKAGE_PAIRS_MAX;
        for pair in package.windows(2) {
            let [older, newer] = pair else { continue };
            left -= compare_release(older, newer, left, half)?;
        }
        eprintln!("{}: {} pairs", package[0].package, half.pairs - before);
    }
    let [tuned, held_out] = &halves;
    let n_pairs = tuned.pairs + held_out.pairs;
    println!(
        r#"{{"measure":"map: pairs of a changelog line and a release","value":{n_pairs},"target":{PAIRS_WANTED}}}"#
    );
    for (half, recall) in [("tuned half", tuned), ("held-out half", held_out)] {
        let [map, search, hits] =
            [recall.map, recall.search, recall.hits].map(|sum| recall.mean(sum));
        eprintln!(
            "{half}: {} pairs, map {map:.3}, plain search {search:.3}, by hits {hits:.3}",
            recall.pairs
        );
    }
    let map = held_out.mean(held_out.map);
    let aimed = held_out.mean(held_out.hits) + 0.1;
    eprintln!("a tenth over search by hits would be {aimed:.3}, the map has {map:.3}");
    for (over, sum, more) in [
        ("plain search", held_out.search, 0.1),
        ("search by hits", held_out.hits, 0.0),
    ] {
        let target = held_out.mean(sum) + more;
        println!(
            r#"{{"measure":"map: recall@20 over {over}, held-out half","value":{map:.3},"target":{target:.3}}}"#
        );
    }
    Ok(())
}

/// Asks for what `newer` changed with lines of its changelog; gives how many there were.
fn compare_release(
    older: &UnpackedRelease,
    newer: &UnpackedRelease,
    most: usize,
    recall: &mut Recall,
) -> Fallible<usize> {
    let Some(notes) = release_notes(&newer.folder, &newer.version) else {
        return Ok(0);
    };
    let tree = ReleaseTree::read(&older.folder)?;
    let changed = tree.changed_files(&newer.folder);
    // Where every file is among the first twenty, no order is better than another.
    let is_fit = (1..=CHANGED_MAX).contains(&changed.len()) && tree.files.len() > 2 * FOUND_WITHIN;
    if !is_fit {
        return Ok(0);
    }
    let chosen = notes.iter().take(RELEASE_PAIRS_MAX.min(most));
    let mut n_pairs = 0;
    for line in chosen {
        let question = MapQuestion {
            text: line.clone(),
            files: Vec::new(),
        };
        let ranking = rank_files(&tree.cache, &tree.files, &question);
        let found = |order: &[usize]| {
            let first = order.iter().take(FOUND_WITHIN);
            let hits = first.filter(|file| changed.contains(*file)).count();
            hits as f64 / changed.len() as f64
        };
        recall.pairs += 1;
        recall.map += found(&ranking.order);
        let search = search_files(&tree, line);
        recall.search += found(&search.by_path);
        recall.hits += found(&search.by_hits);
        n_pairs += 1;
    }
    Ok(n_pairs)
}
