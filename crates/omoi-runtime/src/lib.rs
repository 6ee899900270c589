//! Config, clock, process lifecycle, reconciler driver, event bus, telemetry
