//! The command line: what can be typed, and which file answers it.

mod access;
mod agent;
mod completions;
mod config;
mod context;
mod db;
mod demo;
mod doctor;
mod fail;
mod follow;
#[cfg(test)]
mod hints;
mod logs;
mod run;
mod scenario;
mod serve;
mod spec;
mod steer;
mod task;
mod trace;
mod trust;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::styling::Styles;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

pub(crate) use self::context::Context;

const EXAMPLES: &str = "\
Examples:
  omoi doctor                            what this machine can do, and what is missing
  omoi run \"add tags to todos\" --repo .  plan, build, check, merge, prove
  omoi trace SPEC-1                      requirement → task → commit → receipt

Exit codes: 0 succeeded, 1 failed, 2 bad usage or configuration, 3 blocked or waiting for a person.";

/// From a feature idea to proven, merged code.
#[derive(Debug, Parser)]
#[command(
    name = "omoi",
    version,
    about,
    after_help = EXAMPLES,
    styles = Styles::plain(),
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command.
#[derive(Args, Debug)]
pub(crate) struct Global {
    /// Folder for the database, mirrors and workspaces
    #[arg(long, value_name = "DIR", global = true, help_heading = "Everywhere")]
    data_dir: Option<PathBuf>,
    /// Database address: sqlite://… or postgres://…
    #[arg(long, value_name = "URL", global = true, help_heading = "Everywhere")]
    database: Option<String>,
    /// Server that carries hints between processes
    #[arg(long, value_name = "URL", global = true, help_heading = "Everywhere")]
    redis: Option<String>,
    /// Your configuration file, in place of the usual one
    #[arg(long, value_name = "FILE", global = true, help_heading = "Everywhere")]
    config: Option<PathBuf>,
    /// Print JSON: one object per line for events, one object for everything else
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
    /// When to use colour; NO_COLOR is honoured
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        global = true,
        help_heading = "Everywhere"
    )]
    color: Colour,
    /// Ask the `api` process at this address instead of the data folder's owner
    #[arg(long, value_name = "URL", global = true, help_heading = "Everywhere")]
    api: Option<String>,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Colour {
    // On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

/// Who answers the agents of this process.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ModelArgs {
    /// Model to ask, or `simulated` for scripted answers
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Script of the simulated model
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
}

/// The project's own suite.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SuiteArgs {
    /// Command that runs the project's own tests, or `none`
    #[arg(long, value_name = "CMD")]
    suite: Option<String>,
    /// Begin although the suite fails already, and count new failures only
    #[arg(long)]
    accept_red: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plan, build, check and merge one idea
    Run(run::Arguments),
    /// Watch a small bundled example, start to end, without a key
    Demo(demo::Arguments),
    /// Own the data folder and work until stopped
    Up(up::Arguments),
    /// Play single roles against a shared database
    Serve(serve::Arguments),
    /// Specs: an idea with its plan and its tasks
    #[command(subcommand)]
    Spec(spec::Command),
    /// Tasks: the unit one agent works on
    #[command(subcommand)]
    Task(task::Command),
    /// Show what the agent of a task did
    Logs(logs::Arguments),
    /// Tell the agent of a task something
    Steer(steer::Arguments),
    /// Show what proves each criterion
    Trace(trace::Arguments),
    /// Show what a repository asks for beyond the work, and allow it
    Trust(trust::Arguments),
    /// Check what this machine offers and what a run would need
    Doctor(doctor::Arguments),
    /// Scripts of the simulated model
    #[command(subcommand)]
    Scenario(scenario::Command),
    /// The database's schema
    #[command(subcommand)]
    Db(db::Command),
    /// The configuration in force
    #[command(subcommand)]
    Config(config::Command),
    /// Print completions for a shell
    Completions(completions::Arguments),
    /// Work on one attempt inside a sandbox
    #[command(hide = true)]
    Agent(agent::Arguments),
}

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let as_json = std::env::args_os().any(|word| word == "--json");
            return fail::report_usage(&error, as_json);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = anyhow::Error::new(error).context("could not start");
            let told = fail::Told {
                as_json: cli.global.json,
                colour: false,
            };
            return fail::report(&error, told);
        }
    };
    let context = Context::new(cli.global);
    let done = runtime.block_on(dispatch(&context, cli.command));
    // Somebody may still be asked a question on a terminal; nobody waits for the answer.
    runtime.shutdown_background();
    done.unwrap_or_else(|error| {
        let told = fail::Told {
            as_json: context.json(),
            colour: context.colour_on_stderr(),
        };
        fail::report(&error, told)
    })
}

async fn dispatch(context: &Context, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(arguments) => run::run(context, arguments).await,
        Command::Demo(arguments) => demo::run(context, arguments).await,
        Command::Up(arguments) => up::run(context, arguments).await,
        Command::Serve(arguments) => serve::run(context, arguments).await,
        Command::Spec(command) => spec::run(context, command).await,
        Command::Task(command) => task::run(context, command).await,
        Command::Logs(arguments) => logs::run(context, arguments).await,
        Command::Steer(arguments) => steer::run(context, arguments).await,
        Command::Trace(arguments) => trace::run(context, arguments).await,
        Command::Trust(arguments) => trust::run(context, arguments).await,
        Command::Doctor(arguments) => doctor::run(context, arguments).await,
        Command::Scenario(command) => scenario::run(context, command),
        Command::Db(command) => db::run(context, command).await,
        Command::Config(command) => config::run(context, &command),
        Command::Completions(arguments) => completions::run(&arguments, &mut Cli::command()),
        Command::Agent(arguments) => agent::run(context, &arguments).await,
    }
}
