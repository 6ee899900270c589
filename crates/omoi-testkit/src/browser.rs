//! A browser without a window, for tests of pages.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use xtask::{browser, host, process};

/// Flags that keep it to the page: no window, no sandbox for root, no name resolved but that of this machine.
const FLAGS: [&str; 7] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    "--virtual-time-budget=10000",
];

/// The document at `url` after its scripts ran, as HTML. The network is off but for this machine.
///
/// # Panics
/// When there is no browser, with the package to install, and when it cannot show the page.
#[expect(
    clippy::panic,
    reason = "a test that needs the browser fails without it"
)]
pub fn rendered_page(url: &str) -> String {
    dump_page(url).unwrap_or_else(|error| panic!("{error:#}"))
}

fn dump_page(url: &str) -> Result<String> {
    let program: PathBuf = host::find_program("chromium").with_context(|| {
        let package = browser::PACKAGE;
        format!("a browser is missing: install the package {package}, `cargo xtask setup` does")
    })?;
    let profile = TempDir::new()?;
    let mut chromium = process::command(program);
    chromium.args(FLAGS);
    chromium.arg(format!("--user-data-dir={}", profile.path().display()));
    let output = process::output(chromium.arg("--dump-dom").arg(url))?;
    Ok(String::from_utf8(output.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_of_a_page_run() {
        let page = "data:text/html,<p id=a>before</p><script>a.textContent='a'+'fter'</script>";
        assert!(rendered_page(page).contains("<p id=\"a\">after</p>"));
    }
}
