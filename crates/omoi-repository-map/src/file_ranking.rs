//! The files of a tree, best first, for what a task says.

use std::collections::HashMap;

use crate::name_words::{comment_words, name_stems};
use crate::reference_graph::ReferenceGraph;
use crate::tag_cache::{BlobId, CachedTags, NameId, TagCache};

/// Most different words of a question that are looked for.
const TERMS_MAX: usize = 200;
/// How much a word in a name weighs, by where the name stands.
const PATH_WEIGHT: f64 = 4.0;
const DEFINITION_WEIGHT: f64 = 2.0;
const REFERENCE_WEIGHT: f64 = 1.0;
const COMMENT_WEIGHT: f64 = 0.7;
/// How soon more of the same word says nothing more.
const SATURATION: f64 = 1.5;
/// Weight of a name that the question writes out whole, beside one that shares a word with it.
const WHOLE_NAME_WEIGHT: f64 = 3.0;
/// Share of the start that every file has, and of the rest that files the task names have.
const EVEN_SHARE: f64 = 0.5;
const NAMED_SHARE: f64 = 0.6;
/// What the rank by references, and what the length of a file adds to the score by words: work falls on files that others
/// stand on, and on long ones.
const GRAPH_WEIGHT: f64 = 0.4;
const LENGTH_WEIGHT: f64 = 0.5;

/// A source file of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeFile {
    /// Its path from the root.
    pub path: String,
    /// The object name of its content.
    pub blob: BlobId,
}

/// What a map is made for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapQuestion {
    /// What is to be done, in words.
    pub text: String,
    /// Files that are expected to change.
    pub files: Vec<String>,
}

/// The files of a tree in order, and what their order comes of.
pub struct FileRanking {
    /// Indices of files, best first.
    pub order: Vec<usize>,
    /// How much each name has to do with the question.
    name_scores: Vec<f32>,
    /// How often each name is used in files that do not define it.
    name_uses: Vec<u32>,
}

impl FileRanking {
    /// How much a reader may want to know of a name.
    pub(crate) fn name_score(&self, name: NameId) -> f32 {
        let index = name as usize;
        let uses = self.name_uses.get(index).copied().unwrap_or(0) as f32;
        let score = self.name_scores.get(index).copied().unwrap_or(0.0);
        4.0 * score + (1.0 + uses).ln()
    }
}

/// The words of a question, with how often each name of a cache has them.
struct QuestionTerms {
    /// Terms of each name, where it has any.
    of_name: Vec<Option<Box<[u16]>>>,
    whole_names: Vec<bool>,
    numbers: HashMap<String, u16>,
}

impl QuestionTerms {
    fn new(cache: &TagCache, question: &MapQuestion) -> Self {
        let mut numbers: HashMap<String, u16> = HashMap::new();
        comment_words(&question.text, |stem| {
            let next = numbers.len();
            if next < TERMS_MAX {
                numbers.entry(stem.to_owned()).or_insert(next as u16);
            }
        });
        let whole: std::collections::HashSet<&str> = question
            .text
            .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
            .filter(|word| is_program_name(word))
            .collect();
        let n_names = cache.n_names();
        let mut of_name = Vec::with_capacity(n_names);
        let mut whole_names = Vec::with_capacity(n_names);
        for name in 0..n_names as NameId {
            let name = cache.name_of(name);
            whole_names.push(whole.contains(name));
            of_name.push(terms_in(&numbers, name));
        }
        Self {
            of_name,
            whole_names,
            numbers,
        }
    }

    fn of(&self, name: NameId) -> &[u16] {
        let terms = self.of_name.get(name as usize);
        terms.and_then(Option::as_deref).unwrap_or_default()
    }

    fn weight_of(&self, name: NameId) -> f64 {
        match self.whole_names.get(name as usize) {
            Some(true) => WHOLE_NAME_WEIGHT,
            _ => 1.0,
        }
    }
}

/// Whether a word is written as programs write names and prose does not.
fn is_program_name(word: &str) -> bool {
    let inner = word.get(1..).unwrap_or_default();
    word.len() >= 3 && (word.contains('_') || inner.contains(char::is_uppercase))
}

fn terms_in(numbers: &HashMap<String, u16>, name: &str) -> Option<Box<[u16]>> {
    let mut terms = Vec::new();
    name_stems(name, |stem| terms.extend(numbers.get(stem)));
    // A word of a comment is a stem already; its own stem may be shorter.
    terms.extend(numbers.get(name));
    terms.sort_unstable();
    terms.dedup();
    (!terms.is_empty()).then(|| terms.into_boxed_slice())
}

/// Ranks `files` for `question` by the tags that `cache` has of them.
pub fn rank_files(cache: &TagCache, files: &[TreeFile], question: &MapQuestion) -> FileRanking {
    let tags: Vec<Option<&CachedTags>> = files
        .iter()
        .map(|file| cache.cached_tags(&file.blob))
        .collect();
    let terms = QuestionTerms::new(cache, question);
    let counted: Vec<TermCounts> = files
        .iter()
        .zip(&tags)
        .map(|(file, tags)| TermCounts::of_file(&terms, &file.path, *tags))
        .collect();
    let word_scores = score_words(&counted, terms.numbers.len());
    let graph = ReferenceGraph::new(&tags, cache.n_names());
    let start = start_ranks(files, &word_scores, &question.files);
    let ranks = graph.rank_from(&start);
    let best = |scores: &[f64]| scores.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let lengths: Vec<f64> = counted.iter().map(|file| file.length.ln_1p()).collect();
    let (best_word, best_rank, longest) = (best(&word_scores), best(&ranks), best(&lengths));
    let scores: Vec<f64> = (0..files.len())
        .map(|file| {
            let by_graph = GRAPH_WEIGHT * ranks[file] / best_rank;
            let by_length = LENGTH_WEIGHT * lengths[file] / longest;
            word_scores[file] / best_word + by_graph + by_length
        })
        .collect();
    let named: Vec<bool> = files
        .iter()
        .map(|file| question.files.contains(&file.path))
        .collect();
    let mut order: Vec<usize> = (0..files.len()).collect();
    order.sort_by(|a, b| {
        let by_name = named[*b].cmp(&named[*a]);
        let by_score = scores[*b].total_cmp(&scores[*a]);
        by_name
            .then(by_score)
            .then_with(|| files[*a].path.cmp(&files[*b].path))
    });
    let name_scores = (0..cache.n_names() as NameId).map(|name| {
        let shared = terms.of(name).len() as f64;
        (shared * terms.weight_of(name)) as f32
    });
    FileRanking {
        order,
        name_scores: name_scores.collect(),
        name_uses: graph.uses,
    }
}

/// How often the terms of a question stand in a file, weighed by where.
struct TermCounts {
    counts: Vec<(u16, f64)>,
    length: f64,
}

impl TermCounts {
    fn of_file(terms: &QuestionTerms, path: &str, tags: Option<&CachedTags>) -> Self {
        let mut sums: HashMap<u16, f64> = HashMap::new();
        let mut length = 0.0;
        let mut add = |found: &[u16], weight: f64| {
            for term in found {
                *sums.entry(*term).or_default() += weight;
            }
        };
        let in_path = terms_in(&terms.numbers, path);
        add(in_path.as_deref().unwrap_or_default(), PATH_WEIGHT);
        for definition in tags.iter().flat_map(|tags| &tags.definitions) {
            let weight = DEFINITION_WEIGHT * terms.weight_of(definition.name);
            add(terms.of(definition.name), weight);
            length += 1.0;
        }
        for (counts, weight) in tags.iter().flat_map(|tags| {
            [
                (&tags.references, REFERENCE_WEIGHT),
                (&tags.words, COMMENT_WEIGHT),
            ]
        }) {
            for counted in counts {
                let often = 1.0 + f64::from(counted.count).ln();
                let weight = weight * often * terms.weight_of(counted.name);
                add(terms.of(counted.name), weight);
                length += often;
            }
        }
        let mut counts: Vec<(u16, f64)> = sums.into_iter().collect();
        counts.sort_unstable_by_key(|(term, _)| *term);
        Self { counts, length }
    }
}

/// The score of each file by words: rare words count more, and more of one word less and less.
fn score_words(files: &[TermCounts], n_terms: usize) -> Vec<f64> {
    let mut n_files_with = vec![0.0; n_terms];
    for (term, _) in files.iter().flat_map(|file| &file.counts) {
        n_files_with[usize::from(*term)] += 1.0;
    }
    let n_files = files.len() as f64;
    let rarity = |term: u16| {
        let with = n_files_with[usize::from(term)];
        (1.0 + (n_files - with + 0.5) / (with + 0.5)).ln()
    };
    files
        .iter()
        .map(|file| {
            let scores = file.counts.iter();
            scores
                .map(|(term, count)| rarity(*term) * count / (count + SATURATION))
                .sum()
        })
        .collect()
}

/// Where readers begin: at files that the task names, and at others by their words.
fn start_ranks(files: &[TreeFile], word_scores: &[f64], named: &[String]) -> Vec<f64> {
    let is_named: Vec<bool> = files
        .iter()
        .map(|file| named.contains(&file.path))
        .collect();
    let n_named = is_named.iter().filter(|named| **named).count() as f64;
    let squares: f64 = word_scores.iter().map(|score| score * score).sum();
    let (named_share, word_share) = match (n_named > 0.0, squares > 0.0) {
        (true, true) => (NAMED_SHARE, 1.0 - NAMED_SHARE),
        (true, false) => (1.0, 0.0),
        (false, true) => (0.0, 1.0),
        (false, false) => (0.0, 0.0),
    };
    let pointed_share = (named_share + word_share) * (1.0 - EVEN_SHARE);
    let even = (1.0 - pointed_share) / (files.len() as f64).max(1.0);
    is_named
        .iter()
        .zip(word_scores)
        .map(|(named, score)| {
            let by_name = if *named { named_share / n_named } else { 0.0 };
            let by_words = word_share * score * score / squares.max(f64::MIN_POSITIVE);
            even + pointed_share * (by_name + by_words)
        })
        .collect()
}
