//! What a clean checkout of a commit costs over git's own shared clone.
//!
//! Takes a repository and prints one line of `key=value`; `cargo xtask bench` makes the repository, runs
//! this and sets the figures beside their target.

mod bench;

use std::time::Instant;

use omoi_git::clone::{CloneSite, clean_checkout};

use bench::{Fallible, fetch, in_turns, plain_git};

#[tokio::main]
async fn main() -> Fallible<()> {
    let it = fetch().await?;
    let folder = tempfile::tempdir()?;
    let dest = folder.path().join("checkout");
    let clone = || {
        let [clone, quiet, shared] = ["clone", "--quiet", "--shared"].map(AsRef::as_ref);
        let from = it.repository.as_os_str();
        let took = plain_git(
            folder.path(),
            &[clone, quiet, shared, from, dest.as_os_str()],
        )?;
        std::fs::remove_dir_all(&dest)?;
        Ok(took)
    };
    let check_out = async || {
        let began = Instant::now();
        let base = it.mirror.base_store(&it.head).await?;
        clean_checkout(CloneSite::empty(&base, &dest), &it.head).await?;
        let took = began.elapsed();
        std::fs::remove_dir_all(&dest)?;
        Ok(took)
    };
    println!("{}", in_turns(clone, check_out).await?);
    Ok(())
}
