//! Output of the design phase: architecture, data models, endpoints.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How the feature is built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DesignOutput {
    /// Name of the feature.
    pub feature_name: String,
    /// Markdown, 300 to 500 words; more than 100 characters.
    pub architecture_overview: String,
    /// Mermaid text. Quote labels that hold `{ } ( ) / | < >`.
    pub architecture_diagram: String,
    /// The parts; every CRITICAL or HIGH requirement is served by one.
    pub components: Vec<DesignComponent>,
    /// Stored data; may be empty when `data_models_not_needed` says why.
    pub data_models: Vec<DataModel>,
    /// Why no data model is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_models_not_needed: Option<String>,
    /// HTTP endpoints; may be empty when `api_endpoints_not_needed` says why.
    pub api_endpoints: Vec<ApiEndpoint>,
    /// Why no endpoint is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_endpoints_not_needed: Option<String>,
    /// Where it meets existing code or other systems; at least one. Text or object.
    pub integration_points: Vec<Value>,
    /// Failure to reaction.
    pub error_handling: BTreeMap<String, Value>,
    /// What is tested and how.
    pub testing_strategy: TestingStrategy,
    /// At least two.
    pub security_considerations: Vec<String>,
    /// Steps from the old state to the new.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub migration_plan: BTreeMap<String, Value>,
}

/// A part of the design.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DesignComponent {
    /// Name, unique in the design.
    pub name: String,
    /// Kind of part: module, service, table, command …
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is there for.
    pub responsibility: String,
    /// File it lives in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_path: Option<String>,
    /// 100 to 200 words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What others call.
    pub interfaces: Vec<ComponentInterface>,
    /// Other components by name; existing or outside parts as `existing:…` or `external:…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
    /// Ids of the requirements it serves.
    pub requirements: Vec<String>,
}

/// Something a component offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ComponentInterface {
    /// Name or signature.
    pub method: String,
    /// What goes in: text, list or object.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub inputs: Value,
    /// What comes out: text, list or object.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub outputs: Value,
    /// What it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Stored data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataModel {
    /// Name of the model.
    pub name: String,
    /// Table or file that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_name: Option<String>,
    /// What it stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// At least one.
    pub fields: Vec<ModelField>,
    /// Text or object each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Value>,
    /// Text or object each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relationships: Vec<Value>,
}

/// A field of a data model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelField {
    /// Name.
    pub name: String,
    /// Type as the store names it.
    #[serde(rename = "type")]
    pub kind: String,
    /// Meaning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it may be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nullable: Option<bool>,
    /// Value when none is given.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub default: Value,
    /// Constraints such as `unique`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<String>,
}

/// An HTTP endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiEndpoint {
    /// GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS.
    pub method: String,
    /// Path, starting with `/`.
    pub path: String,
    /// What it does.
    pub description: String,
    /// Whether the caller must be known.
    pub auth_required: bool,
    /// Shape of the request body.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub request_schema: Value,
    /// Shape of the answer.
    pub response_schema: Value,
    /// Status code to meaning.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub error_responses: BTreeMap<String, Value>,
    /// Parameters in the path: text or object each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path_params: Vec<Value>,
    /// Parameters in the query.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query_params: BTreeMap<String, Value>,
}

/// What is tested and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestingStrategy {
    /// Prose, where the lists do not say enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Tests of one part.
    #[serde(default)]
    pub unit_tests: Vec<String>,
    /// Tests of parts together.
    #[serde(default)]
    pub integration_tests: Vec<String>,
}
