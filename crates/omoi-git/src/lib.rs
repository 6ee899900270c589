//! Mirrors, clones, bundles, merge forecasts and merges
