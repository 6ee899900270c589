//! How a program is started that a person has declared. No more is known of it than the protocol and its declaration.

use omoi_domain::dialect::Dialect;
use omoi_protocol::worker::{AttemptContext, DeclaredProgram};

use super::start::{AcpManners, AcpStart, SessionStart, system_prompt};
use crate::program::ProgramHost;
use crate::program::driver_steps::program_failed;
use crate::program::first_message::{FirstMessage, first_message};
use crate::runtime::RuntimeError;

/// Plans the start for `context`.
///
/// Where its sessions lie is not known, so each start is a new session, in what the workspace holds; the system prompt
/// goes before its first message.
pub(super) fn plan_declared(
    context: &AttemptContext,
    host: &ProgramHost,
) -> Result<AcpStart, RuntimeError> {
    let Some(declared) = &host.installed.declared else {
        let name = context.agent.program.as_str();
        return Err(program_failed(name, "nothing is declared of it"));
    };
    let marks = ModelMarks {
        address: model_address(declared, &host.forwarder.base_url()),
        token: &context.token,
        model: &context.model,
    };
    let arguments = declared.arguments.iter();
    let arguments = arguments.map(|word| marks.fill(word).into()).collect();
    let mut environment = host.program_environment();
    let variables = declared.variables.iter();
    environment.extend(variables.map(|(name, value)| (name.into(), marks.fill(value).into())));
    let first = match first_message(context, false)? {
        FirstMessage::Text(text) => {
            FirstMessage::Text(format!("{}\n\n{text}", system_prompt(context)))
        }
        goes_on @ FirstMessage::GoesOn(_) => goes_on,
    };
    Ok(AcpStart {
        preparing: None,
        command: host.program_command(arguments, environment),
        session: SessionStart::default(),
        first,
        files: Vec::new(),
        links: Vec::new(),
        manners: AcpManners {
            acts_unasked: true,
            ..AcpManners::default()
        },
    })
}

/// What stands for the marks of a declaration.
struct ModelMarks<'a> {
    address: String,
    token: &'a str,
    model: &'a str,
}

impl ModelMarks<'_> {
    fn fill(&self, text: &str) -> String {
        text.replace("{address}", &self.address)
            .replace("{token}", self.token)
            .replace("{model}", self.model)
    }
}

/// The gateway's address as programs of the dialect are told it.
fn model_address(declared: &DeclaredProgram, base_url: &str) -> String {
    match declared.dialect {
        Dialect::Messages => base_url.to_owned(),
        Dialect::ChatCompletions | Dialect::Responses => format!("{base_url}/v1"),
    }
}
