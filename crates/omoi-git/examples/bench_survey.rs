//! What the survey of a commit costs over listing its files with git.
//!
//! Takes a repository and prints one line of `key=value`; `cargo xtask bench` makes the repository, runs
//! this and prints the ratio.

mod bench;

use std::time::Instant;

use omoi_git::survey::survey_commit;

use bench::{Fallible, fetch, in_turns, plain_git};

#[tokio::main]
async fn main() -> Fallible<()> {
    let it = fetch().await?;
    let (mut files, mut languages) = (0, 0);
    let list = || {
        let listing = ["ls-tree", "-r", "-l", "-z", "HEAD"].map(AsRef::as_ref);
        plain_git(&it.repository, &listing)
    };
    let survey = async || {
        let began = Instant::now();
        let survey = survey_commit(&it.mirror, &it.head).await?;
        let took = began.elapsed();
        (files, languages) = (survey.files, survey.languages.len());
        Ok(took)
    };
    let times = in_turns(list, survey).await?;
    println!("{times} files={files} languages={languages}");
    Ok(())
}
