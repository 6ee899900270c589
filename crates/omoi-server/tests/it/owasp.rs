//! The OWASP API Security Top 10 of 2023: one module for each item, with attacks over HTTP on the real routes. Each runs
//! twice: as it is, where nothing gets through, and with a bug planted in what holds it, where something must.

mod addresses;
mod authentication;
mod business_flows;
mod configuration;
mod consumption;
mod functions;
mod inventory;
mod objects;
mod properties;
mod providers;
