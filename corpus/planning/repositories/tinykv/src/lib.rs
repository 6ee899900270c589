//! An embedded key-value store in one append-only file.

mod record;
mod store;

pub use record::{ParseRecordError, Record};
pub use store::{Store, StoreError};
