//! Every act that changes an account. One transaction each, but where a password is hashed in between.

pub mod account_end;
mod asked_mail;
pub mod browser_session;
pub mod denied_key;
pub mod device_login;
pub mod grant;
pub mod invitation;
pub mod key;
mod limits;
pub mod linked_identity;
pub mod live_ticket;
pub mod local_link;
mod mail_plan;
pub mod member;
mod one_time;
pub mod operator;
pub mod organisation;
pub mod organisation_changes;
pub mod password;
pub mod profile;
pub mod provider_key;
pub mod provider_sign_in;
pub mod refresh;
pub mod register;
pub mod role;
pub mod sign_in;
pub mod sign_out;
pub mod staff;
pub mod transfer;
pub mod unlock;
pub mod verify;
pub mod waitlist;

pub(crate) use one_time::make_token as make_account_token;
