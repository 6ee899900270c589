//! `omoi models`: which models there are, what they cost, and whether one does what it says.

mod list;
mod probe;
mod set;

use std::process::ExitCode;

use super::CommandContext;

pub(super) use self::set::write_user_list;

const LIST_EXAMPLES: &str = "\
Examples:
  omoi models list                       models of the providers that a key is here for
  omoi models list --provider openai
  omoi models list --json

Prices are US dollars for a million tokens, as the list says that is part of this program; `llm.prices` sets your own.";

const TRY_EXAMPLES: &str = "\
Examples:
  omoi models try claude-sonnet-5-5
  omoi models try simulated              the same questions to the scripted model, no key, no cost
  omoi models try qwen3-coder --json

Asks three small questions (words, a tool call, an answer in pieces) and checks the figures that come with them. Exits 0 only if all holds.";

const SET_EXAMPLES: &str = "\
Examples:
  omoi models set agent claude-opus-5-5 openrouter/qwen/qwen3-coder
  omoi models set title claude-haiku-5-5
  omoi models set planner --effort high --thinking adaptive --cache 1h

Writes `models.ROLE` and `models.settings` of your configuration file; comments and all other keys stay as they are.";

/// What to do with models.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum ModelsCommand {
    /// Show models with their dialects, windows, prices and features
    #[command(after_help = LIST_EXAMPLES)]
    List(list::ListArgs),
    /// Ask a model three small questions, and say what it cannot do
    #[command(after_help = TRY_EXAMPLES)]
    Try(probe::TryArgs),
    /// Write into your configuration file which models answer a kind of question, and how
    #[command(after_help = SET_EXAMPLES)]
    Set(set::SetArgs),
}

/// Shows or tries models.
pub(crate) async fn run_models_command(
    context: &CommandContext,
    command: ModelsCommand,
) -> anyhow::Result<ExitCode> {
    match command {
        ModelsCommand::List(arguments) => list::list_models(context, &arguments),
        ModelsCommand::Try(arguments) => probe::try_model(context, arguments).await,
        ModelsCommand::Set(arguments) => set::set_models(context, &arguments),
    }
}
