#![doc = include_str!("../README.md")]

mod access_log;
mod address_seats;
mod answer_headers;
pub mod api;
mod browser_cookies;
mod connection_seats;
mod cost_texts;
pub mod egress;
mod error;
mod live;
pub mod network_listener;
pub mod options;
mod pages;
pub mod probes;
mod report_body;
mod reported;
mod request_limits;
mod request_token;
mod sandbox_limits;
pub mod setup_egress;
pub mod site;
mod site_checks;
pub mod stored_provider_keys;
pub mod worker;
pub mod worker_socket;

pub use access_log::{ApiDoor, RequestIds};
pub use report_body::ReportRooms;
pub use request_limits::RequestLimits;
