//! The command line: what can be typed, and which file answers it.

mod admin;
mod agent;
mod agents;
mod approvals;
mod board;
mod command_context;
mod completions;
mod config;
mod db;
mod demo;
mod doctor;
#[cfg(test)]
mod documented_commands;
mod egress;
mod error_report;
mod follow;
mod key;
mod login;
mod logs;
mod models;
mod named_repository;
mod open;
mod org;
mod owner_access;
mod owner_question;
mod person_sign_in;
#[cfg(test)]
mod printed_commands;
mod profile;
mod project;
mod remote_repository;
mod run;
mod sandbox;
mod scenario;
mod serve;
mod server_choice;
mod setup;
mod spec;
mod steer;
mod task;
mod terminal;
mod thread;
mod ticket;
mod trace;
mod trust;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::styling::Styles;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use omoi_domain::agent_program::AgentProgram;

pub(crate) use self::command_context::CommandContext;
pub(crate) use self::error_report::UsageError;
use crate::closed_memory;

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
    global: GlobalArgs,
    #[command(subcommand)]
    command: CliCommand,
}

/// Flags of every command.
#[derive(Args, Debug)]
pub(crate) struct GlobalArgs {
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
    color: ColourMode,
    /// Ask the server of this profile, or `local`: the data folder of this machine
    #[arg(long, value_name = "NAME", global = true, help_heading = "Everywhere")]
    profile: Option<String>,
    /// Act in this organisation, of several that you belong to
    #[arg(long, value_name = "NAME", global = true, help_heading = "Everywhere")]
    org: Option<String>,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ColourMode {
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

/// What works on the tasks of a run.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct AgentChoice {
    /// Agent that plans and works: native, or an installed program such as claude-code
    #[arg(long, value_name = "AGENT", value_parser = parse_agent)]
    agent: Option<AgentProgram>,
}

fn parse_agent(text: &str) -> Result<AgentProgram, String> {
    AgentProgram::parse(text).ok_or_else(|| {
        let names = AgentProgram::BUILT_IN.iter().map(AgentProgram::as_str);
        let names: Vec<_> = names.collect();
        format!(
            "the agents are {}, and acp:NAME of agents.acp",
            names.join(", ")
        )
    })
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
enum CliCommand {
    /// Plan, build, check and merge one idea
    Run(run::RunArgs),
    /// Watch a small bundled example, start to end, without a key
    Demo(demo::DemoArgs),
    /// Own the data folder and work until stopped
    Up(up::UpArgs),
    /// Print a link that signs in a browser to this machine's `omoi up`
    #[command(after_help = "Examples:\n  omoi open")]
    Open,
    /// Play single roles against a shared database
    Serve(serve::ServeArgs),
    /// Specs: an idea with its plan and its tasks
    #[command(subcommand)]
    Spec(spec::SpecCommand),
    /// Tickets: what is wanted, and the groups of tasks of a plan
    #[command(subcommand)]
    Ticket(ticket::TicketCommand),
    /// Show the tickets of a project, column by column
    #[command(after_help = "Examples:\n  omoi board")]
    Board,
    /// Show what waits for a person's yes, and give it
    #[command(
        after_help = "Examples:\n  omoi approvals\n  omoi approvals approve 01930000-0000-7000-8000-00000000000a\n  omoi approvals answer 01930000-0000-7000-8000-00000000000a \"Port 4317.\""
    )]
    Approvals(approvals::ApprovalsArgs),
    /// Projects: what tickets and specs belong to
    #[command(subcommand)]
    Project(project::ProjectCommand),
    /// Tasks: the unit one agent works on
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Show what the agent of a task did, or what the process logged
    Logs(logs::LogsArgs),
    /// Tell the agent of a task something
    Steer(steer::SteerArgs),
    /// Threads: what agents and people say to each other
    #[command(subcommand)]
    Thread(thread::ThreadCommand),
    /// Show what proves each criterion
    Trace(trace::TraceArgs),
    /// Install the packages of a repository before a run needs them
    Setup(setup::SetupArgs),
    /// Show what a repository asks for beyond the work, and allow it
    Trust(trust::TrustArgs),
    /// Check what this machine offers and what a run would need
    Doctor(doctor::DoctorArgs),
    /// Models: what they cost, what they can do
    #[command(subcommand)]
    Models(models::ModelsCommand),
    /// Agent programs: what can be installed, and what is
    #[command(subcommand)]
    Agents(agents::AgentsCommand),
    /// Sandboxes: what they hold here, and a shell in one
    #[command(subcommand)]
    Sandbox(sandbox::SandboxCommand),
    /// The way out of sandboxes: what came in, what was refused, and how to allow it
    #[command(subcommand)]
    Egress(egress::EgressCommand),
    /// Scripts of the simulated model
    #[command(subcommand)]
    Scenario(scenario::ScenarioCommand),
    /// The database's schema
    #[command(subcommand)]
    Db(db::DbCommand),
    /// Sign in to a server, and ask it from now on
    Login(login::LoginArgs),
    /// Sign out of a server
    Logout(login::LogoutArgs),
    /// Show who commands act as, and where
    #[command(after_help = login::WHOAMI_EXAMPLES)]
    Whoami,
    /// Servers that you signed in to, and which one commands ask
    #[command(subcommand)]
    Profile(profile::ProfileCommand),
    /// Organisations: their members, and in which of them commands act
    #[command(subcommand)]
    Org(org::OrgCommand),
    /// Keys: what programs use in place of a password
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Accounts, from the machine that holds the database
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// The configuration in force
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Work on one attempt inside a sandbox
    #[command(hide = true)]
    Agent(agent::AgentArgs),
}

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let as_json = std::env::args_os().any(|word| word == "--json");
            return error_report::report_usage(&error, as_json);
        }
    };
    // A worker is watched from outside, by the same user, and holds nothing that its own tools may not have.
    if !matches!(cli.command, CliCommand::Agent(_))
        && let Err(error) = closed_memory::close_memory()
    {
        return report_no_start(&cli.global, error);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return report_no_start(&cli.global, error),
    };
    let context = CommandContext::new(cli.global);
    let done = runtime.block_on(run_command(&context, cli.command));
    // Somebody may still be asked a question on a terminal; nobody waits for the answer.
    runtime.shutdown_background();
    done.unwrap_or_else(|error| {
        let style = error_report::ReportStyle {
            as_json: context.is_json(),
            colour: context.colour_on_stderr(),
            data_flags: &context.data_flags(),
        };
        error_report::report_error(&error, style)
    })
}

fn report_no_start(global: &GlobalArgs, error: std::io::Error) -> ExitCode {
    let error = anyhow::Error::new(error).context("could not start");
    let style = error_report::ReportStyle {
        as_json: global.json,
        colour: false,
        data_flags: "",
    };
    error_report::report_error(&error, style)
}

async fn run_command(context: &CommandContext, command: CliCommand) -> anyhow::Result<ExitCode> {
    match command {
        CliCommand::Run(arguments) => run::run_idea(context, arguments).await,
        CliCommand::Demo(arguments) => demo::run_demo(context, arguments).await,
        CliCommand::Up(arguments) => up::run_up(context, arguments).await,
        CliCommand::Open => open::print_link(context).await,
        CliCommand::Serve(arguments) => serve::serve_roles(context, arguments).await,
        CliCommand::Spec(command) => spec::run_spec_command(context, command).await,
        CliCommand::Ticket(command) => ticket::run_ticket_command(context, command).await,
        CliCommand::Approvals(arguments) => approvals::run_approvals(context, arguments).await,
        CliCommand::Board => board::print_board(context).await,
        CliCommand::Project(command) => project::run_project_command(context, command).await,
        CliCommand::Task(command) => task::run_task_command(context, command).await,
        CliCommand::Logs(arguments) => logs::run_logs(context, arguments).await,
        CliCommand::Steer(arguments) => steer::run_steer(context, arguments).await,
        CliCommand::Thread(command) => thread::run_thread_command(context, command).await,
        CliCommand::Trace(arguments) => trace::print_trace(context, arguments).await,
        CliCommand::Setup(arguments) => setup::run_setup(context, arguments).await,
        CliCommand::Trust(arguments) => trust::run_trust(context, arguments).await,
        CliCommand::Doctor(arguments) => doctor::run_doctor(context, arguments).await,
        CliCommand::Models(command) => models::run_models_command(context, command).await,
        CliCommand::Agents(command) => agents::run_agents_command(context, command).await,
        CliCommand::Sandbox(command) => sandbox::run_sandbox_command(context, command).await,
        CliCommand::Egress(command) => egress::run_egress_command(context, command).await,
        CliCommand::Scenario(command) => scenario::run_scenario_command(context, command),
        CliCommand::Db(command) => db::run_db_command(context, command).await,
        CliCommand::Login(arguments) => login::sign_in(context, arguments).await,
        CliCommand::Logout(arguments) => login::sign_out(context, arguments).await,
        CliCommand::Whoami => login::print_account(context).await,
        CliCommand::Profile(command) => profile::run_profile_command(context, command),
        CliCommand::Org(command) => org::run_org_command(context, command).await,
        CliCommand::Key(command) => key::run_key_command(context, command).await,
        CliCommand::Admin(command) => admin::run_admin_command(context, command).await,
        CliCommand::Config(command) => config::run_config_command(context, &command),
        CliCommand::Completions(arguments) => {
            completions::print_completions(&arguments, &mut Cli::command())
        }
        CliCommand::Agent(arguments) => agent::run_agent(context, &arguments).await,
    }
}
