//! Why a request has no counterpart in another dialect.

use thiserror::Error;

/// Why a request cannot be put into another dialect.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConversationError {
    /// The request is not what its dialect says.
    #[error("the request is not in the format of {dialect}: {problem}")]
    Unreadable {
        /// The dialect for people to read.
        dialect: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A piece of the conversation has no counterpart.
    #[error("`{kind}` at `{at}` cannot be sent to a model that speaks another API")]
    Part {
        /// Kind of the piece, such as `input_audio`.
        kind: String,
        /// Where it stands.
        at: String,
    },
    /// This model takes no documents.
    #[error("`{at}` holds a document of type `{media_type}`, which this model does not take")]
    Document {
        /// Media type of the document.
        media_type: String,
        /// Where it stands.
        at: String,
    },
    /// The tool that must be called is run by the vendor and exists only there.
    #[error("tool `{name}`, which the request demands, is run by the vendor of another API")]
    VendorTool {
        /// Name of the tool.
        name: String,
    },
    /// The conversation continues one that another vendor keeps.
    #[error("`{field}` names what another vendor keeps; send the whole conversation")]
    KeptElsewhere {
        /// Field of the request.
        field: &'static str,
    },
    /// The request asks for something that the model's API has no word for, and counts on it.
    #[error("`{field}` cannot be asked of a model that speaks another API; leave it out")]
    Unsayable {
        /// Field of the request, as its dialect or the model's names it.
        field: &'static str,
    },
}
