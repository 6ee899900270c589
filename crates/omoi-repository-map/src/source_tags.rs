//! The definitions, references and words of one source text.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;

use tree_sitter::{Node, ParseOptions, ParseState, Parser, Tree, TreeCursor};

use crate::language::{
    COMMENT_NODES, DefinitionKind, FUNCTION_VALUES, NAME_NODES, NamePlace, SourceLanguage,
};
use crate::name_words::comment_words;

/// Longest text that is read; longer ones are data or made by a program.
pub const SOURCE_BYTES_MAX: usize = 1 << 20;
/// Mean length of a line above which a text was made for machines.
const MEAN_LINE_BYTES_MAX: usize = 400;
/// Steps of a parse between two looks at how far it is are counted by the parser; this many looks end it.
const PARSE_LOOKS_MAX: u32 = 20_000;
const NAME_BYTES_MAX: usize = 100;
const DEFINITIONS_MAX: usize = 2_000;
const NAMES_MAX: usize = 4_000;
const WORDS_MAX: usize = 600;
/// How deep the declarator of a definition is looked for.
const DECLARATORS_MAX: usize = 12;

/// A name that a file defines.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Definition {
    /// What is defined.
    pub name: String,
    /// The kind of thing it is.
    pub kind: DefinitionKind,
    /// Its line, counted from 1.
    pub line: u32,
}

/// What one file defines and mentions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileTags {
    /// Its definitions, in order.
    pub definitions: Vec<Definition>,
    /// Names it uses, with how often.
    pub references: BTreeMap<String, u32>,
    /// Stems of the words of its comments and texts, with how often.
    pub words: BTreeMap<String, u32>,
}

/// A place where a name stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolPlace {
    /// Its line, counted from 1.
    pub line: u32,
    /// What is defined there; none where the name is used.
    pub defines: Option<DefinitionKind>,
}

/// One tag of a text, as it is come across.
enum SourceTag<'t> {
    Definition(&'t str, DefinitionKind, u32),
    Reference(&'t str, u32),
    Prose(&'t str),
}

/// Reads source texts; keeps the parser of each language that it has met.
#[derive(Default)]
pub struct TagReader {
    grammars: BTreeMap<SourceLanguage, GrammarReader>,
}

impl TagReader {
    /// The tags of `source`; fewer where it is not what its language says, none where it is no source.
    pub fn read_tags(&mut self, language: SourceLanguage, source: &[u8]) -> FileTags {
        let mut tags = FileTags::default();
        self.visit_tags(language, source, |tag| match tag {
            SourceTag::Definition(name, kind, line) => {
                if tags.definitions.len() < DEFINITIONS_MAX {
                    let name = name.to_owned();
                    tags.definitions.push(Definition { name, kind, line });
                }
            }
            SourceTag::Reference(name, _) => count_word(&mut tags.references, name, NAMES_MAX),
            SourceTag::Prose(text) => comment_words(text, |stem| {
                count_word(&mut tags.words, stem, WORDS_MAX);
            }),
        });
        tags
    }

    /// Where `name` stands in `source` as a name of the program, in order.
    pub fn find_symbol(
        &mut self,
        language: SourceLanguage,
        source: &[u8],
        name: &str,
    ) -> Vec<SymbolPlace> {
        let mut places = Vec::new();
        self.visit_tags(language, source, |tag| {
            let (found, line, defines) = match tag {
                SourceTag::Definition(found, kind, line) => (found, line, Some(kind)),
                SourceTag::Reference(found, line) => (found, line, None),
                SourceTag::Prose(_) => return,
            };
            if found == name {
                places.push(SymbolPlace { line, defines });
            }
        });
        places.sort_by_key(|place| (place.line, place.defines.is_none()));
        places.dedup_by_key(|place| place.line);
        places
    }

    fn visit_tags<'s>(
        &mut self,
        language: SourceLanguage,
        source: &'s [u8],
        take: impl FnMut(SourceTag<'s>),
    ) {
        let Some(text) = readable_text(source) else {
            return;
        };
        let reader = match self.grammars.entry(language) {
            std::collections::btree_map::Entry::Occupied(met) => met.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => match GrammarReader::new(language) {
                Some(reader) => new.insert(reader),
                None => return,
            },
        };
        if let Some(tree) = reader.parse_text(text) {
            reader.walk_tree(&tree, text, take);
        }
    }
}

/// A text that is short enough and has lines as people write them.
fn readable_text(source: &[u8]) -> Option<&str> {
    if source.len() > SOURCE_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(source).ok()?;
    let mean = text.len() / text.lines().count().max(1);
    (mean <= MEAN_LINE_BYTES_MAX).then_some(text)
}

fn count_word(counts: &mut BTreeMap<String, u32>, word: &str, distinct_max: usize) {
    if let Some(count) = counts.get_mut(word) {
        *count += 1;
    } else if counts.len() < distinct_max {
        counts.insert(word.to_owned(), 1);
    }
}

/// What a kind of node is to us.
#[derive(Clone, Copy)]
enum NodeRole {
    Other,
    Name,
    Prose,
    Definition(DefinitionKind, NamePlace),
}

/// The parser of a language, and what its nodes are.
struct GrammarReader {
    parser: Parser,
    roles: Vec<NodeRole>,
    function_values: Vec<u16>,
    fields: FieldIds,
}

/// Ids of the fields that names stand in; 0 where a grammar has no such field.
struct FieldIds {
    name: u16,
    body: u16,
    value: u16,
    declarator: u16,
    left: u16,
    right: u16,
    property: u16,
    key: u16,
}

impl GrammarReader {
    fn new(language: SourceLanguage) -> Option<Self> {
        let grammar = language.tree_grammar();
        let mut parser = Parser::new();
        parser.set_language(&grammar).ok()?;
        let mut roles = vec![NodeRole::Other; grammar.node_kind_count()];
        let mut set_role = |node: &str, role| {
            // A name may have several ids; those that are made by renaming a rule come as its own.
            for (id, known) in (0_u16..).zip(roles.iter_mut()) {
                let is_node =
                    grammar.node_kind_is_named(id) && grammar.node_kind_for_id(id) == Some(node);
                if is_node {
                    *known = role;
                }
            }
        };
        for node in NAME_NODES {
            set_role(node, NodeRole::Name);
        }
        for node in COMMENT_NODES {
            set_role(node, NodeRole::Prose);
        }
        for definition in language.definition_nodes() {
            set_role(
                definition.node,
                NodeRole::Definition(definition.kind, definition.place),
            );
        }
        let field = |name: &str| grammar.field_id_for_name(name).map_or(0, u16::from);
        let fields = FieldIds {
            name: field("name"),
            body: field("body"),
            value: field("value"),
            declarator: field("declarator"),
            left: field("left"),
            right: field("right"),
            property: field("property"),
            key: field("key"),
        };
        let function_values = FUNCTION_VALUES
            .iter()
            .map(|node| grammar.id_for_node_kind(node, true))
            .filter(|id| *id != 0)
            .collect();
        Some(Self {
            parser,
            roles,
            function_values,
            fields,
        })
    }

    /// The tree of `text`; none when reading it takes too many steps.
    fn parse_text(&mut self, text: &str) -> Option<Tree> {
        let bytes = text.as_bytes();
        let mut looks = 0;
        // Counted, not timed: equal texts have equal tags on every machine.
        let mut look = |_: &ParseState| {
            looks += 1;
            match looks > PARSE_LOOKS_MAX {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        };
        let options = ParseOptions::new().progress_callback(&mut look);
        let mut read = |at: usize, _| bytes.get(at..).unwrap_or_default();
        let tree = self
            .parser
            .parse_with_options(&mut read, None, Some(options));
        if tree.is_none() {
            self.parser.reset();
        }
        tree
    }

    fn walk_tree<'t>(&self, tree: &Tree, text: &'t str, mut take: impl FnMut(SourceTag<'t>)) {
        let mut cursor = tree.walk();
        let mut defined = HashSet::new();
        loop {
            let node = cursor.node();
            let line = u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX);
            match self.role_of(node) {
                NodeRole::Definition(kind, place) => {
                    let named = self.name_node(node, place);
                    if let Some(name_node) = named
                        && let Some(name) = name_text(name_node, text)
                        && defined.insert(name_node.start_byte())
                    {
                        let kind = self.kind_by_value(node, kind);
                        take(SourceTag::Definition(name, kind, line));
                    }
                }
                NodeRole::Name => {
                    if let Some(name) = name_text(node, text)
                        && !defined.contains(&node.start_byte())
                    {
                        take(SourceTag::Reference(name, line));
                    }
                }
                NodeRole::Prose => {
                    if let Some(prose) = text.get(node.byte_range()) {
                        take(SourceTag::Prose(prose));
                    }
                }
                NodeRole::Other => {}
            }
            if !go_on(&mut cursor) {
                return;
            }
        }
    }

    fn role_of(&self, node: Node<'_>) -> NodeRole {
        let known = self.roles.get(usize::from(node.kind_id()));
        known.copied().unwrap_or(NodeRole::Other)
    }

    /// A constant that holds a function is one.
    fn kind_by_value(&self, node: Node<'_>, kind: DefinitionKind) -> DefinitionKind {
        let is_function =
            kind == DefinitionKind::Constant && self.is_function(node, self.fields.value);
        match is_function {
            true => DefinitionKind::Function,
            false => kind,
        }
    }

    fn is_function(&self, node: Node<'_>, field: u16) -> bool {
        let value = child_in(node, field);
        value.is_some_and(|value| self.function_values.contains(&value.kind_id()))
    }

    fn name_node<'n>(&self, node: Node<'n>, place: NamePlace) -> Option<Node<'n>> {
        let fields = &self.fields;
        match place {
            NamePlace::Name => child_in(node, fields.name),
            NamePlace::NameWithBody => {
                child_in(node, fields.body).and_then(|_| child_in(node, fields.name))
            }
            NamePlace::NameOfValue => {
                let stands_out = self.is_function(node, fields.value) || depth_is_below(node, 4);
                child_in(node, fields.name).filter(|_| stands_out)
            }
            NamePlace::Declarator => {
                let mut at = child_in(node, fields.declarator)?;
                for _ in 0..DECLARATORS_MAX {
                    let below =
                        child_in(at, fields.declarator).or_else(|| child_in(at, fields.name));
                    match below {
                        Some(below) => at = below,
                        None => break,
                    }
                }
                Some(at)
            }
            NamePlace::ModuleAssignment => {
                child_in(node, fields.left).filter(|_| depth_is_below(node, 3))
            }
            NamePlace::PropertyAssignment => {
                let target = child_in(node, fields.left)?;
                let property = child_in(target, fields.property);
                property.filter(|_| self.is_function(node, fields.right))
            }
            NamePlace::KeyOfFunction => {
                child_in(node, fields.key).filter(|_| self.is_function(node, fields.value))
            }
        }
    }
}

fn child_in(node: Node<'_>, field: u16) -> Option<Node<'_>> {
    match field {
        0 => None,
        field => node.child_by_field_id(field),
    }
}

/// Whether fewer than `most` nodes stand above `node`.
fn depth_is_below(node: Node<'_>, most: usize) -> bool {
    std::iter::successors(node.parent(), Node::parent)
        .take(most)
        .count()
        < most
}

/// The text of a leaf that is one name.
fn name_text<'t>(node: Node<'_>, text: &'t str) -> Option<&'t str> {
    let name = text.get(node.byte_range())?;
    let is_name = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name
            .contains(|c: char| c.is_whitespace() || c.is_control() || "(){}[],;\"'".contains(c));
    is_name.then_some(name)
}

/// Moves to the next node in order; false behind the last.
fn go_on(cursor: &mut TreeCursor<'_>) -> bool {
    if cursor.goto_first_child() {
        return true;
    }
    loop {
        if cursor.goto_next_sibling() {
            return true;
        }
        if !cursor.goto_parent() {
            return false;
        }
    }
}

#[cfg(test)]
mod tests;
