//! The wire formats that models and their callers speak.

pub use omoi_domain::dialect::Dialect;
