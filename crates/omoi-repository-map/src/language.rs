//! The languages that are read, and which nodes of their trees are tags.

use tree_sitter::Language;

/// A language whose definitions are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceLanguage {
    /// Rust.
    Rust,
    /// Python.
    Python,
    /// TypeScript without markup.
    TypeScript,
    /// JavaScript, and TypeScript with markup: one grammar reads both.
    JavaScript,
    /// Go.
    Go,
    /// Java.
    Java,
    /// C and C++: one grammar reads both.
    Cpp,
}

/// What a definition defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DefinitionKind {
    /// A function or method.
    Function,
    /// A class, struct, enum or other type.
    Type,
    /// A trait or interface.
    Interface,
    /// A module or namespace.
    Module,
    /// A constant or variable of a module.
    Constant,
    /// A macro.
    Macro,
}

impl DefinitionKind {
    /// Every kind, in the order of [`DefinitionKind::as_code`].
    pub const ALL: [Self; 6] = [
        Self::Function,
        Self::Type,
        Self::Interface,
        Self::Module,
        Self::Constant,
        Self::Macro,
    ];

    /// The word for it on the map.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Function => "fn",
            Self::Type => "type",
            Self::Interface => "interface",
            Self::Module => "module",
            Self::Constant => "const",
            Self::Macro => "macro",
        }
    }

    /// The number for it in a cache.
    pub const fn as_code(self) -> u32 {
        self as u32
    }

    /// The kind behind a number of a cache.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }
}

/// Where the name of a definition stands below its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamePlace {
    /// In the field `name`.
    Name,
    /// In the field `name`, when the definition has a body.
    NameWithBody,
    /// In the field `name`, when the field `value` is a function or the node stands at the top.
    NameOfValue,
    /// At the end of a chain of fields `declarator`.
    Declarator,
    /// In the field `left`, when that is a plain name at the top of a module.
    ModuleAssignment,
    /// The property that a function is assigned to.
    PropertyAssignment,
    /// In the field `key`, when the field `value` is a function.
    KeyOfFunction,
}

/// A kind of node that defines something.
pub(crate) struct DefinitionNode {
    pub(crate) node: &'static str,
    pub(crate) kind: DefinitionKind,
    pub(crate) place: NamePlace,
}

const fn named(node: &'static str, kind: DefinitionKind) -> DefinitionNode {
    DefinitionNode {
        node,
        kind,
        place: NamePlace::Name,
    }
}

const fn placed(node: &'static str, kind: DefinitionKind, place: NamePlace) -> DefinitionNode {
    DefinitionNode { node, kind, place }
}

/// Leaves that are names, in any of the languages.
pub(crate) const NAME_NODES: [&str; 10] = [
    "identifier",
    "type_identifier",
    "field_identifier",
    "property_identifier",
    "private_property_identifier",
    "shorthand_property_identifier",
    "shorthand_field_identifier",
    "package_identifier",
    "namespace_identifier",
    "statement_identifier",
];

/// Nodes whose text is prose for people.
pub(crate) const COMMENT_NODES: [&str; 4] =
    ["comment", "line_comment", "block_comment", "string_content"];

/// Nodes that are functions when they are values.
pub(crate) const FUNCTION_VALUES: [&str; 6] = [
    "arrow_function",
    "function_expression",
    "function",
    "generator_function",
    "class",
    "call_expression",
];

const RUST: &[DefinitionNode] = &[
    named("function_item", DefinitionKind::Function),
    named("function_signature_item", DefinitionKind::Function),
    named("struct_item", DefinitionKind::Type),
    named("enum_item", DefinitionKind::Type),
    named("union_item", DefinitionKind::Type),
    named("type_item", DefinitionKind::Type),
    named("trait_item", DefinitionKind::Interface),
    named("mod_item", DefinitionKind::Module),
    named("const_item", DefinitionKind::Constant),
    named("static_item", DefinitionKind::Constant),
    named("macro_definition", DefinitionKind::Macro),
];

const PYTHON: &[DefinitionNode] = &[
    named("function_definition", DefinitionKind::Function),
    named("class_definition", DefinitionKind::Type),
    placed(
        "assignment",
        DefinitionKind::Constant,
        NamePlace::ModuleAssignment,
    ),
];

const SCRIPT: &[DefinitionNode] = &[
    named("function_declaration", DefinitionKind::Function),
    named("generator_function_declaration", DefinitionKind::Function),
    named("function_signature", DefinitionKind::Function),
    named("method_definition", DefinitionKind::Function),
    named("method_signature", DefinitionKind::Function),
    named("class_declaration", DefinitionKind::Type),
    named("abstract_class_declaration", DefinitionKind::Type),
    named("enum_declaration", DefinitionKind::Type),
    named("type_alias_declaration", DefinitionKind::Type),
    named("interface_declaration", DefinitionKind::Interface),
    named("internal_module", DefinitionKind::Module),
    placed(
        "variable_declarator",
        DefinitionKind::Constant,
        NamePlace::NameOfValue,
    ),
    placed(
        "assignment_expression",
        DefinitionKind::Function,
        NamePlace::PropertyAssignment,
    ),
    placed("pair", DefinitionKind::Function, NamePlace::KeyOfFunction),
];

const GO: &[DefinitionNode] = &[
    named("function_declaration", DefinitionKind::Function),
    named("method_declaration", DefinitionKind::Function),
    named("type_spec", DefinitionKind::Type),
    named("type_alias", DefinitionKind::Type),
    named("const_spec", DefinitionKind::Constant),
    placed("var_spec", DefinitionKind::Constant, NamePlace::NameOfValue),
];

const JAVA: &[DefinitionNode] = &[
    named("method_declaration", DefinitionKind::Function),
    named("constructor_declaration", DefinitionKind::Function),
    named("class_declaration", DefinitionKind::Type),
    named("record_declaration", DefinitionKind::Type),
    named("enum_declaration", DefinitionKind::Type),
    named("interface_declaration", DefinitionKind::Interface),
    named("annotation_type_declaration", DefinitionKind::Interface),
];

const CPP: &[DefinitionNode] = &[
    placed(
        "function_definition",
        DefinitionKind::Function,
        NamePlace::Declarator,
    ),
    placed(
        "type_definition",
        DefinitionKind::Type,
        NamePlace::Declarator,
    ),
    placed(
        "class_specifier",
        DefinitionKind::Type,
        NamePlace::NameWithBody,
    ),
    placed(
        "struct_specifier",
        DefinitionKind::Type,
        NamePlace::NameWithBody,
    ),
    placed(
        "union_specifier",
        DefinitionKind::Type,
        NamePlace::NameWithBody,
    ),
    placed(
        "enum_specifier",
        DefinitionKind::Type,
        NamePlace::NameWithBody,
    ),
    named("alias_declaration", DefinitionKind::Type),
    named("concept_definition", DefinitionKind::Interface),
    named("namespace_definition", DefinitionKind::Module),
    named("preproc_def", DefinitionKind::Macro),
    named("preproc_function_def", DefinitionKind::Macro),
];

impl SourceLanguage {
    /// Every language.
    pub const ALL: [Self; 7] = [
        Self::Rust,
        Self::Python,
        Self::TypeScript,
        Self::JavaScript,
        Self::Go,
        Self::Java,
        Self::Cpp,
    ];

    /// The language of a file by the ending of its name.
    pub fn of_path(path: &str) -> Option<Self> {
        let (_, ending) = path.rsplit_once('.')?;
        Some(match ending {
            "rs" => Self::Rust,
            "py" | "pyi" => Self::Python,
            "ts" | "mts" | "cts" => Self::TypeScript,
            "js" | "mjs" | "cjs" | "jsx" | "tsx" => Self::JavaScript,
            "go" => Self::Go,
            "java" => Self::Java,
            "c" | "h" | "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" => Self::Cpp,
            _ => return None,
        })
    }

    pub(crate) fn tree_grammar(self) -> Language {
        match self {
            Self::Rust => tree_sitter_rust::LANGUAGE.into(),
            Self::Python => tree_sitter_python::LANGUAGE.into(),
            Self::TypeScript => tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(),
            Self::JavaScript => tree_sitter_typescript::LANGUAGE_TSX.into(),
            Self::Go => tree_sitter_go::LANGUAGE.into(),
            Self::Java => tree_sitter_java::LANGUAGE.into(),
            Self::Cpp => tree_sitter_cpp::LANGUAGE.into(),
        }
    }

    pub(crate) const fn definition_nodes(self) -> &'static [DefinitionNode] {
        match self {
            Self::Rust => RUST,
            Self::Python => PYTHON,
            Self::TypeScript | Self::JavaScript => SCRIPT,
            Self::Go => GO,
            Self::Java => JAVA,
            Self::Cpp => CPP,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_of_the_tables_exists_in_its_grammar() {
        for language in SourceLanguage::ALL {
            let grammar = language.tree_grammar();
            for definition in language.definition_nodes() {
                let id = grammar.id_for_node_kind(definition.node, true);
                assert_ne!(id, 0, "{language:?} has no `{}`", definition.node);
            }
        }
    }

    #[test]
    fn kinds_come_back_from_their_codes() {
        for kind in DefinitionKind::ALL {
            assert_eq!(DefinitionKind::from_code(kind.as_code()), Some(kind));
        }
        assert_eq!(DefinitionKind::from_code(6), None);
    }
}
