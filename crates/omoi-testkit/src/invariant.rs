//! Proofs of invariants: each is held, counted, and turns red with a bug planted in its mechanism.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::time::Instant;

use omoi_domain::planted_bug::{PlantedBug, plant_bug};
use xtask::host::variable;
use xtask::invariants::ROWS_VARIABLE;

/// Prints a `row` of a proof, which begins with its id, and adds it to those of the run.
///
/// # Panics
/// Where the file of the run cannot be written. Tests that run again as another user may not, and told the row before.
pub fn tell_row(row: &str) {
    println!("{row}");
    let Some(file) = variable(ROWS_VARIABLE) else {
        return;
    };
    let opened = File::options().create(true).append(true).open(file);
    match opened.and_then(|mut file| file.write_all(format!("{row}\n").as_bytes())) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
        Err(error) => panic!("could not add a row to those of the run: {error}"),
        Ok(()) => {}
    }
}

/// A proof that counts what should not have happened.
pub struct InvariantProof {
    /// Its id in the specification, such as `S8`.
    pub id: &'static str,
    /// What is counted, such as `connections to addresses inside`.
    pub counted: &'static str,
    /// How many cases one run of the proof tries.
    pub n_cases: usize,
    /// The mechanism without which it turns red.
    pub bug: PlantedBug,
}

impl InvariantProof {
    /// Runs `count_faults` twice, without the bug and with it, and prints the row.
    ///
    /// # Panics
    /// Where something is counted as it is, or nothing with the bug.
    pub async fn check(&self, count_faults: impl AsyncFn() -> usize) {
        let started = Instant::now();
        let n_faults = count_faults().await;
        let seconds = started.elapsed().as_secs_f64();
        let planted = plant_bug(self.bug);
        let n_with_bug = count_faults().await;
        drop(planted);
        let Self {
            id,
            counted,
            n_cases,
            bug,
        } = self;
        tell_row(&format!(
            "{id}: {n_cases} cases in {seconds:.1} s, {counted}: {n_faults}; with `{bug}` off: {n_with_bug}"
        ));
        assert_eq!(n_faults, 0, "{id}: {counted}");
        assert!(
            n_with_bug > 0,
            "{id} holds without `{bug}`: it shows nothing"
        );
    }
}
