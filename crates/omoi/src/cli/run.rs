//! `omoi run`: one idea, from words to a proven branch.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use omoi_git::process::Git;
use omoi_git::repo::inspect_repository;
use omoi_protocol::control::{CreateSpec, SpecView};
use omoi_runtime::config::keys;

use super::access::{Purpose, reach};
use super::context::{Context, Overrides, check_scenario};
use super::fail::Usage;
use super::follow::{Subject, follow, tell};
use super::{ModelArgs, SuiteArgs, trust};
use crate::Hint;
use crate::client::{Client, ClientError};
use crate::view::opening::{self, Scene};
use crate::view::state::RunView;

/// Bytes of an idea that are read; the platform refuses long ideas with its own words.
const IDEA_BYTES_MAX: u64 = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  omoi run \"give every todo tags and a due date\" --repo ~/src/todo
  omoi run - --yes < idea.md             the idea from a file, no question asked
  omoi run --idea-file idea.md --json    one event per line, a summary last
  omoi run \"…\" --model simulated --scenario scenario.yaml

The plan is shown before anything is built: on a terminal you are asked, elsewhere --yes is needed.
The result is a branch in your repository; your checkout is never touched.";

/// What to build, and where.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What you want, in your words; `-` reads it from standard input
    #[arg(value_name = "IDEA", required_unless_present = "idea_file")]
    pub(super) idea: Option<String>,
    /// Read the idea from a file
    #[arg(long, value_name = "FILE", conflicts_with = "idea")]
    pub(super) idea_file: Option<PathBuf>,
    /// The git repository to work on
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub(super) repo: PathBuf,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) suite: SuiteArgs,
    /// Build as soon as the plan stands
    #[arg(long)]
    pub(super) yes: bool,
    /// Leave the plan's files out of the branch
    #[arg(long)]
    pub(super) no_spec_files: bool,
}

/// Plans, builds, checks, merges and proves one idea.
pub(crate) async fn run(context: &Context, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let idea = idea(&arguments)?;
    // Everything that can be refused is refused before anything is made.
    let repo = std::path::absolute(&arguments.repo).context("could not name the repository")?;
    let git = Git::find_on_path(&context.variable("PATH").unwrap_or_default()).await?;
    let found = inspect_repository(&git, &repo).await?;
    let overrides = Overrides {
        model: arguments.model.clone(),
        port: None,
    };
    let settings = context.settings(&overrides)?;
    context.log(&settings.config, true);
    if arguments.model.scenario.is_some() {
        check_scenario(&settings.config)?;
    }
    let config = settings.config.clone();
    let access = reach(context, settings, Purpose::Work).await?;
    access.check_model(&arguments.model, &config)?;
    let home = context.home();
    let data = config.get(&keys::DATA_DIR);
    let scene = Scene {
        status: &access.status,
        data: &data,
        home: home.as_deref(),
    };
    let page = context.stderr_page();
    tell(context, &opening::header(&scene, page));
    tell(context, &[String::new()]);
    let request = CreateSpec {
        idea: idea.clone(),
        repo: text(&found.toplevel)?,
        auto_start: arguments.yes,
        spec_files: !arguments.no_spec_files,
        suite: arguments.suite.suite,
        accept_red: arguments.suite.accept_red,
    };
    let created = created(context, &access.client, &request).await;
    let spec = match created {
        Ok(spec) => spec,
        Err(error) => {
            access.close(futures::stream::pending()).await?;
            return Err(error);
        }
    };
    tell(
        context,
        &opening::subject(&spec, &idea, home.as_deref(), page),
    );
    tell(context, &[String::new()]);
    let subject = Subject {
        spec,
        view: RunView::default(),
        after: 0,
        disk_wait: config.get(&keys::DATA_DISK_WAIT),
    };
    follow(context, access, subject).await
}

/// Creates the spec; what its repository asks for beyond the work is first put to a person.
async fn created(
    context: &Context,
    client: &Client,
    request: &CreateSpec,
) -> anyhow::Result<SpecView> {
    match client.create_spec(request).await {
        Err(ClientError::Refused { code, .. })
            if code == "repository_not_trusted" && !context.json() && trust::can_ask() =>
        {
            trust::ask_in_run(client, &request.repo).await?;
            Ok(client.create_spec(request).await?)
        }
        other => Ok(other?),
    }
}

fn idea(arguments: &Arguments) -> anyhow::Result<String> {
    let mut text = String::new();
    match (&arguments.idea, &arguments.idea_file) {
        (Some(dash), _) if dash == "-" => {
            let mut input = std::io::stdin().lock().take(IDEA_BYTES_MAX);
            input
                .read_to_string(&mut text)
                .context("could not read the idea")?;
        }
        (Some(idea), _) => text.push_str(idea),
        (None, Some(file)) => {
            let open = std::fs::File::open(file);
            let read = open.and_then(|file| file.take(IDEA_BYTES_MAX).read_to_string(&mut text));
            if let Err(error) = read {
                let what = Usage(format!(
                    "could not read the idea in `{}`: {error}",
                    file.display()
                ));
                return Err(what.into());
            }
        }
        (None, None) => {}
    }
    if text.trim().is_empty() {
        let what = Usage("the idea is empty".to_owned());
        let hint = Hint("say what you want built: omoi run \"…\"".to_owned());
        return Err(anyhow::Error::new(what).context(hint));
    }
    Ok(text)
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().map(ToOwned::to_owned);
    text.ok_or_else(|| Usage(format!("`{}` is not UTF-8", path.display())).into())
}
