//! `cargo xtask test -p CRATE [NAME…]`: the tests of one crate. Compiles nothing but the crate and what
//! it depends on, and starts only the servers that its tests name.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use xtask::process;

use crate::test_servers::{NeededServers, TestServers};
use crate::tidy::files;
use crate::{root, setup};

use super::{Options, cargo_command};

/// A crate of the workspace, by its folder.
pub(super) struct OneCrate {
    name: String,
    needed: NeededServers,
}

impl OneCrate {
    /// Finds the crate and reads which servers its tests name.
    pub(super) fn locate(name: &str) -> Result<Self> {
        let top = root();
        let folder = match name {
            "xtask" => top.join("xtask"),
            name => top.join("crates").join(name),
        };
        if !folder.join("Cargo.toml").is_file() {
            bail!(
                "there is no crate `{name}`\nhint: a crate is named like its folder below crates/"
            );
        }
        Ok(Self {
            name: name.to_owned(),
            needed: needed_servers(&folder)?,
        })
    }

    /// Installs what these tests need and this machine lacks.
    pub(super) fn set_up(&self) -> Result<()> {
        setup::tests_with(self.needed)
    }

    /// Runs the tests whose name contains one of the filters.
    pub(super) fn run(&self, options: &Options) -> Result<()> {
        let servers = TestServers::start(self.needed)?;
        let arguments = format!(
            "nextest run --locked --all-features --package {}",
            self.name
        );
        let mut nextest = cargo_command(&arguments);
        nextest.args(&options.filters).env("INSTA_UPDATE", "no");
        process::run(servers.announce_to(&mut nextest))
    }
}

/// Goes by the words in the crate's tests. A test that reaches a server some other way starts its own,
/// which costs a second and nothing else.
fn needed_servers(folder: &Path) -> Result<NeededServers> {
    let mut needed = NeededServers::NONE;
    for file in files::all(folder)? {
        if file.extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        let text = fs::read_to_string(folder.join(&file))
            .with_context(|| format!("could not read {}", file.display()))?;
        let tests = match files::is_test(&file) {
            true => text.as_str(),
            false => files::tests_of(&text),
        };
        needed.postgres |= tests.contains("postgres");
        needed.redis |= tests.contains("redis");
        needed.mail |= tests.contains("mail_sink");
        needed.openid |= tests.contains("openid_provider");
        needed.web |= tests.contains("web_client");
        needed.browser |= tests.contains("browser::");
        needed.agents |= tests.contains("agent_programs") || tests.contains("package_clients");
    }
    Ok(needed)
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::disallowed_methods,
        reason = "a folder that is thrown away"
    )]

    use super::*;

    #[test]
    fn servers_are_needed_by_tests_only() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("src/lib.rs", "mod redis;\nmod postgres;\n");
        let needed = needed_servers(folder.path()).unwrap();
        assert!(!needed.postgres && !needed.redis);
        write(
            "src/bus.rs",
            "use a;\n#[cfg(test)]\nmod tests {\n    redis::url();\n}\n",
        );
        write("tests/it/main.rs", "postgres::database();\n");
        let needed = needed_servers(folder.path()).unwrap();
        assert!(needed.postgres && needed.redis);
    }

    #[test]
    fn a_crate_is_named_like_its_folder() {
        assert!(OneCrate::locate("omoi-domain").is_ok());
        assert!(OneCrate::locate("omoi-nowhere").is_err());
    }
}
