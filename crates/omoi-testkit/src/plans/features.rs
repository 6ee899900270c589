//! Four features an honest author could have planned: a command line tool, a web service, an app
//! that works offline, and a new project on empty ground.

mod link_shortener;
mod offline_notes;
mod todo_tags;
mod webhook_signing;

use super::build::PlanFeature;

pub(crate) const ALL: &[PlanFeature] = &[
    todo_tags::FEATURE,
    webhook_signing::FEATURE,
    offline_notes::FEATURE,
    link_shortener::FEATURE,
];
