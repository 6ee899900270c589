//! What can be configured of the queue, of agents, of discoveries and of the watch over work: one
//! module for each section.

pub mod agent;
pub mod approval;
pub mod discovery;
pub mod monitoring;
pub mod queue;

pub use monitoring::MonitoringOptions;
pub use queue::QueueOptions;
