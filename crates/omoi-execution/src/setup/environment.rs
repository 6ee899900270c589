//! Variables that have package managers install into the workspace, and programs find what is installed there.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use omoi_git::layer::PACKAGES_FOLDER;

/// Folders with programs of packages, by the name of the folder that holds them.
const PROGRAMS: [(&str, &str); 2] = [(".venv", "bin"), ("node_modules", ".bin")];

/// Adds the variables of a set-up in the workspace `work`, as seen inside, to `env`.
pub(super) fn add_setup_environment(env: &mut Vec<(OsString, OsString)>, work: &Path) {
    let packages = work.join(PACKAGES_FOLDER);
    let places = [("CARGO_HOME", "cargo"), ("GOMODCACHE", "go")];
    for (name, place) in places {
        set_variable(env, name, packages.join(place).as_os_str());
    }
    for (name, value) in [
        // Written for everybody, so that they can be removed.
        ("GOFLAGS", "-modcacherw"),
        ("PIP_NO_CACHE_DIR", "1"),
        ("PIP_NO_COMPILE", "1"),
        ("PIP_NO_INPUT", "1"),
        ("PIP_RETRIES", "1"),
        ("POETRY_VIRTUALENVS_IN_PROJECT", "true"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        // Links into a cache would lead nowhere afterwards.
        ("UV_LINK_MODE", "copy"),
        ("npm_config_fund", "false"),
        ("npm_config_fetch_retries", "1"),
    ] {
        set_variable(env, name, OsStr::new(value));
    }
}

/// Adds what programs in the workspace `work`, as seen inside, need to find the packages below `roots`.
pub fn add_package_environment(env: &mut Vec<(OsString, OsString)>, work: &Path, roots: &[String]) {
    let mut path = Vec::new();
    for root in roots.iter().map(Path::new) {
        let name = root.file_name().unwrap_or_default();
        if let Some((_, programs)) = PROGRAMS.iter().find(|(holder, _)| name == *holder) {
            path.push(work.join(root).join(programs));
        }
        if root == Path::new(PACKAGES_FOLDER) {
            set_variable(env, "CARGO_HOME", work.join(root).join("cargo").as_os_str());
            set_variable(env, "GOMODCACHE", work.join(root).join("go").as_os_str());
        }
    }
    let before = env.iter().find(|(name, _)| name == "PATH");
    path.extend(
        before
            .iter()
            .flat_map(|(_, value)| std::env::split_paths(value)),
    );
    if let Ok(joined) = std::env::join_paths(path) {
        set_variable(env, "PATH", &joined);
    }
}

fn set_variable(env: &mut Vec<(OsString, OsString)>, name: &str, value: &OsStr) {
    env.retain(|(known, _)| known != name);
    env.push((name.into(), value.into()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_packages_come_before_those_of_the_machine() {
        let mut env = vec![
            ("PATH".into(), "/usr/bin:/bin".into()),
            ("CARGO_HOME".into(), "/tmp/cargo".into()),
        ];
        let roots = ["web/node_modules", ".venv", ".omoi-packages", "a.egg-info"];
        add_package_environment(&mut env, Path::new("/w"), &roots.map(str::to_owned));
        let value = |name: &str| {
            let found: Vec<_> = env.iter().filter(|(known, _)| known == name).collect();
            assert_eq!(found.len(), 1, "{name}");
            found[0].1.to_string_lossy().into_owned()
        };
        assert_eq!(
            value("PATH"),
            "/w/web/node_modules/.bin:/w/.venv/bin:/usr/bin:/bin"
        );
        assert_eq!(value("CARGO_HOME"), "/w/.omoi-packages/cargo");
    }

    #[test]
    fn what_holds_no_programs_changes_no_path() {
        let mut env = vec![("PATH".into(), "/bin".into())];
        add_package_environment(&mut env, Path::new("/w"), &["dist".to_owned()]);
        assert_eq!(env, [("PATH".into(), OsString::from("/bin"))]);
    }
}
