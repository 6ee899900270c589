//! The sections of each phase output, and the types that check and describe them.

mod misfits;
mod schema;
mod section;
mod table;

pub(crate) use misfits::type_misfits;
pub use schema::{item_schema, section_schema, submit_item_schema};
pub use section::{OutputSection, SectionKind};
pub(crate) use section::{item_path, key_hint};
pub use table::{find_section, phase_sections};
