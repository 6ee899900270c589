#![doc = include_str!("../README.md")]

pub mod file_ranking;
pub mod language;
pub mod map_text;
mod name_words;
mod reference_graph;
pub mod source_tags;
pub mod tag_cache;
