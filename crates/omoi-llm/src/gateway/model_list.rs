//! `GET /v1/models` and one model of it, as each vendor's clients read them.

use http::StatusCode;
use serde_json::{Value, json};

use omoi_domain::model_route::RouteName;

use super::ModelGateway;
use super::reply::GatewayReply;
use crate::meter::ModelCaller;
use crate::route::name_fit;
use crate::wire::anthropic::{ModelInfo, ModelList};
use crate::wire::dialect::Dialect;
use crate::wire::headers;

/// When models were made: nobody here knows.
const MADE_AT: &str = "1970-01-01T00:00:00Z";

impl ModelGateway {
    /// Every name that chooses: those of the routes of its work and of small questions, then those of their
    /// models.
    pub(super) fn list_models(&self, caller: &ModelCaller, dialect: Dialect) -> GatewayReply {
        let routes = &self.shared.llm.routes;
        let own = [RouteName::Agent, RouteName::Title];
        let mut ids: Vec<&str> = own.iter().map(|name| name.as_str()).collect();
        for name in [routes.work_route(caller), RouteName::Title] {
            ids.extend(
                routes
                    .choices_of(name)
                    .iter()
                    .map(|choice| choice.model.as_str()),
            );
        }
        let mut data: Vec<ModelInfo> = Vec::new();
        for id in ids {
            if data.iter().all(|known| known.id != id) {
                data.push(self.model_info(caller, id));
            }
        }
        let body = match dialect {
            Dialect::Messages => json!(ModelList {
                has_more: false,
                first_id: data.first().map(|m| m.id.clone()),
                last_id: data.last().map(|m| m.id.clone()),
                data,
            }),
            Dialect::ChatCompletions | Dialect::Responses => {
                let data: Vec<Value> = data.iter().map(openai_model).collect();
                json!({"object": "list", "data": data})
            }
        };
        GatewayReply::json_body(StatusCode::OK, &body)
    }

    /// The model that a question for `id`, as it stands in a path, would reach.
    pub(super) fn show_model(
        &self,
        caller: &ModelCaller,
        dialect: Dialect,
        id: &str,
    ) -> GatewayReply {
        let id = headers::percent_decode(id).unwrap_or_else(|| id.to_owned());
        let info = self.model_info(caller, &id);
        let body = match dialect {
            Dialect::Messages => json!(info),
            Dialect::ChatCompletions | Dialect::Responses => openai_model(&info),
        };
        GatewayReply::json_body(StatusCode::OK, &body)
    }

    fn model_info(&self, caller: &ModelCaller, id: &str) -> ModelInfo {
        let routes = &self.shared.llm.routes;
        let name = routes.route_for_caller(caller, id);
        let choices = routes.choices_of(name).iter();
        let best = choices.min_by_key(|choice| name_fit(&choice.model, id));
        let route = best.unwrap_or_else(|| routes.route_named(name));
        let note = if route.simulated { " (simulated)" } else { "" };
        ModelInfo {
            kind: "model".to_owned(),
            id: id.to_owned(),
            display_name: format!("{}{note}", route.model),
            created_at: MADE_AT.to_owned(),
        }
    }
}

fn openai_model(info: &ModelInfo) -> Value {
    json!({"id": info.id, "object": "model", "created": 0, "owned_by": info.display_name})
}
