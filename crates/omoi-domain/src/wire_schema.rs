//! The OpenAPI schemas of ids and closed sets: these types lie here, so no other crate may give them one.

use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema};
pub use utoipa::{PartialSchema, ToSchema};

use crate::agent_program::AgentProgram;
use crate::closed_set::ClosedSet;

/// What a schema function answers.
pub type WireSchema = RefOr<Schema>;

/// The schema of a set of texts: a string that is one of them.
pub fn text_set_schema<S: ClosedSet>() -> WireSchema {
    let texts = S::ALL.iter().map(|value| value.as_str());
    let object = ObjectBuilder::new().schema_type(Type::String);
    RefOr::T(object.enum_values(Some(texts)).into())
}

/// The schema of a row id.
pub fn uuid_schema() -> WireSchema {
    let format = SchemaFormat::KnownFormat(KnownFormat::Uuid);
    let object = ObjectBuilder::new().schema_type(Type::String);
    RefOr::T(object.format(Some(format)).into())
}

impl PartialSchema for AgentProgram {
    fn schema() -> WireSchema {
        let object = ObjectBuilder::new().schema_type(Type::String);
        let says = "`native`, `claude-code`, or `acp:` and the name of a configured program.";
        RefOr::T(object.description(Some(says)).into())
    }
}

impl ToSchema for AgentProgram {}
