//! Who may do what: permissions, roles, grants, and the decision whether a caller reaches a row; and how people sign in.
//!
//! Pure rules over facts that others read. A permission is a name of a fixed set; a role is a set of them with a
//! rank; a membership gives a user one role in one organisation, and a key never reaches further than its owner.

pub mod api_key;
pub mod common_passwords;
pub mod cost_sight;
pub mod decision;
pub mod device_login;
pub mod grant;
pub mod mail_address;
pub mod mail_intent;
pub mod password_rules;
pub mod pattern;
pub mod permission;
pub mod permission_set;
pub mod profile;
pub mod provider_identity;
pub mod rate_limit;
pub mod refresh;
pub mod registration;
pub mod role;
pub mod role_chain;
pub mod sign_in_limit;
pub mod token_purpose;
