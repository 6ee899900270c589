//! A task in one file: its request and check, then the files of the repository, of the check and of a solution.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use xtask::process::command;

use crate::repo::TestRepo;

/// Begins a file.
const FILE: &str = "--- ";
/// What checks find of the machine.
const SHOWN: [&str; 4] = [
    "/usr",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/passwd",
];
const LINKS: [&str; 4] = ["bin", "sbin", "lib", "lib64"];
/// Seconds that a check takes at most.
const CHECK_SECONDS: &str = "120";

/// A request for a small repository, with a check that whoever works on it does not see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentTask {
    /// The name of its file.
    pub name: String,
    /// What is asked for.
    pub request: String,
    /// The command of the hidden check.
    check: String,
    repository: Vec<(String, String)>,
    hidden: Vec<(String, String)>,
    /// Files that a solution writes, and those without text that it removes.
    solution: Vec<(String, Option<String>)>,
}

/// The tasks in `folder`, by name.
///
/// # Errors
/// When a file cannot be read or is no task.
pub fn agent_tasks(folder: &Path) -> Result<Vec<AgentTask>> {
    let mut tasks = Vec::new();
    let listed = fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))?;
    for entry in listed {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&path)?;
        let task = AgentTask::parse(&name, &text);
        tasks.push(task.with_context(|| format!("{} is no task", path.display()))?);
    }
    tasks.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(tasks)
}

impl AgentTask {
    fn parse(name: &str, text: &str) -> Result<Self> {
        let mut task = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        let mut lines = text.split_inclusive('\n').peekable();
        while let Some(line) = lines.next_if(|line| !line.starts_with(FILE)) {
            match line.trim_end().split_once(": ") {
                Some(("request", request)) => request.clone_into(&mut task.request),
                Some(("check", check)) => check.clone_into(&mut task.check),
                _ => bail!("`{}` is neither request nor check", line.trim_end()),
            }
        }
        while let Some(head) = lines.next() {
            let mut file = String::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with(FILE)) {
                file.push_str(line);
            }
            let words: Vec<&str> = head.trim_start_matches(FILE).split_whitespace().collect();
            match *words {
                ["repo", path] => task.repository.push((path.to_owned(), file)),
                ["hidden", path] => task.hidden.push((path.to_owned(), file)),
                ["solution", path] => task.solution.push((path.to_owned(), Some(file))),
                ["solution", "removes", path] => task.solution.push((path.to_owned(), None)),
                _ => bail!("`{}` begins no file", head.trim_end()),
            }
        }
        let parts = [
            task.repository.len(),
            task.hidden.len(),
            task.solution.len(),
        ];
        if task.request.is_empty() || task.check.is_empty() || parts.contains(&0) {
            bail!("it has no request, no check or no files");
        }
        Ok(task)
    }

    /// A repository with the files that the request is about.
    pub fn make_repository(&self) -> TestRepo {
        let files = self.repository.iter();
        let files: Vec<_> = files
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        TestRepo::with_files(&files)
    }

    /// Writes the solution over the files at `place`.
    ///
    /// # Errors
    /// When a file cannot be written.
    #[expect(clippy::disallowed_methods, reason = "files that are thrown away")]
    pub fn write_solution(&self, place: &Path) -> Result<()> {
        for (path, text) in &self.solution {
            match text {
                Some(text) => fs::write(place.join(path), text)?,
                None => fs::remove_file(place.join(path))?,
            }
        }
        Ok(())
    }

    /// Whether the hidden check passes on the files at `place`, which get those of the check. They are a model's work, so
    /// it sees nothing else and reaches nothing.
    ///
    /// # Errors
    /// When bubblewrap is missing.
    #[expect(clippy::disallowed_methods, reason = "files that are thrown away")]
    pub fn passes_check(&self, place: &Path) -> Result<bool> {
        for (path, text) in &self.hidden {
            fs::write(place.join(path), text)?;
        }
        let mut bwrap = command("bwrap");
        bwrap.args(["--unshare-all", "--die-with-parent", "--new-session"]);
        for path in SHOWN {
            bwrap.args(["--ro-bind-try", path, path]);
        }
        for name in LINKS {
            bwrap.args(["--symlink", &format!("usr/{name}"), &format!("/{name}")]);
        }
        bwrap.args([
            "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind",
        ]);
        bwrap
            .arg(place)
            .args(["/work", "--chdir", "/work", "--clearenv"]);
        bwrap.args([
            "--setenv",
            "PATH",
            "/usr/bin:/bin",
            "--setenv",
            "HOME",
            "/tmp",
        ]);
        bwrap.args(["timeout", CHECK_SECONDS, "sh", "-c", &self.check]);
        let output = bwrap.output().context("could not start `bwrap`")?;
        let said = String::from_utf8_lossy(&output.stderr);
        if said.starts_with("bwrap:") {
            bail!("the check of `{}` did not run: {}", self.name, said.trim());
        }
        Ok(output.status.success())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    const TASKS: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../corpus/agent-quality/tasks"
    );

    #[test]
    fn each_hidden_check_fails_until_the_task_is_solved() {
        let tasks = agent_tasks(Path::new(TASKS)).unwrap();
        assert_eq!(tasks.len(), 30);
        let is_right = |task: &AgentTask| {
            let [before, after] = [task.make_repository(), task.make_repository()];
            task.write_solution(after.path()).unwrap();
            !task.passes_check(before.path()).unwrap() && task.passes_check(after.path()).unwrap()
        };
        let (one, other) = tasks.split_at(tasks.len() / 2);
        let wrong: Vec<&str> = std::thread::scope(|scope| {
            let halves = [one, other].map(|half| {
                scope.spawn(move || {
                    half.iter()
                        .filter(|task| !is_right(task))
                        .collect::<Vec<_>>()
                })
            });
            let wrong = halves.into_iter().flat_map(|half| half.join().unwrap());
            wrong.map(|task| task.name.as_str()).collect()
        });
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn what_is_no_task_is_refused() {
        let whole =
            "request: a\ncheck: b\n--- repo x\n1\n--- hidden y\n2\n--- solution removes x\n";
        let task = AgentTask::parse("n", whole).unwrap();
        assert_eq!(task.hidden, [("y".to_owned(), "2\n".to_owned())]);
        assert_eq!(task.solution, [("x".to_owned(), None)]);
        for (from, to) in [
            ("request: a\n", ""),
            ("--- repo", "--- rope"),
            ("check", "cheque"),
            ("--- hidden y\n2\n", ""),
        ] {
            assert!(
                AgentTask::parse("n", &whole.replace(from, to)).is_err(),
                "{from}"
            );
        }
    }
}
