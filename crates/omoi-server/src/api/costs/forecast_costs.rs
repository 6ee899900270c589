//! Estimates what tasks will cost.

use axum::Json;
use axum::extract::State;

use omoi_domain::cost_forecast::{
    FORECAST_TASKS_MAX, FORECAST_TOKENS_MAX, buffer_multiplier, forecast_cost, typical_tokens,
};
use omoi_domain::model_kind::ModelKind;
use omoi_domain::model_price::{PriceTier, ServiceLevel};
use omoi_llm::catalogue::ModelCatalogue;
use omoi_llm::pricing::ModelPrice;
use omoi_protocol::api::{CostForecastView, ForecastCosts};
use omoi_store::costs;

use crate::api::body::ApiBody;
use crate::api::caller::Allowed;
use crate::api::policy::needs;
use crate::api::{Answer, ApiSurface, Surface};
use crate::error::ApiError;

/// Estimates what a number of tasks will cost: half of their tokens read and half answered, at the usual price of the model,
/// with a reserve.
#[utoipa::path(
    post, path = "/costs/forecast", tag = "costs", request_body = ForecastCosts,
    responses((status = 200, description = "The estimate.", body = CostForecastView))
)]
pub(super) async fn forecast_costs(
    caller: Allowed<needs::CostRead>,
    State(s): Surface,
    ApiBody(body): ApiBody<ForecastCosts>,
) -> Answer<CostForecastView> {
    expect_within(
        "/task_count",
        u64::from(body.task_count),
        u64::from(FORECAST_TASKS_MAX),
    )?;
    if let Some(tokens) = body.avg_tokens_per_task {
        expect_within("/avg_tokens_per_task", tokens, FORECAST_TOKENS_MAX)?;
    }
    let (model, price) = s.priced_model(body.model)?;
    let tokens = match body.avg_tokens_per_task {
        Some(tokens) => tokens,
        None => {
            let before = caller
                .own_rows()
                .read(async |tx| costs::tokens_of_tasks(tx, &model, body.task_type).await);
            typical_tokens(before.await?)
        }
    };
    let forecast = forecast_cost(body.task_count, tokens, usual_tier(&price));
    Ok(Json(CostForecastView {
        task_count: body.task_count,
        model,
        is_price_assumed: price.is_assumed,
        estimated_cost: forecast.cost.into(),
        estimated_tokens: forecast.tokens,
        avg_tokens_per_task: tokens,
        buffer_multiplier: buffer_multiplier(),
    }))
}

fn expect_within(field: &str, value: u64, most: u64) -> Result<(), ApiError> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    let says = format!("`{}` is 1 to {most}", field.trim_start_matches('/'));
    Err(ApiError::invalid_value(says).with_field(field))
}

/// The price of short calls that are served as everybody's are; nothing of a model that is free.
fn usual_tier(price: &ModelPrice) -> PriceTier {
    let mut tiers = price.tiers.iter();
    let usual = tiers.find(|tier| tier.service == ServiceLevel::Standard);
    usual.copied().unwrap_or_default()
}

impl ApiSurface {
    /// The model that is asked for, or the one of this process, with its price.
    fn priced_model(&self, asked: Option<String>) -> Result<(String, ModelPrice), ApiError> {
        let model = match (asked, self.status.model_kind) {
            (Some(model), _) => model,
            (None, ModelKind::Simulated) => {
                return Ok((self.status.model.clone(), ModelPrice::FREE));
            }
            (None, ModelKind::Missing) => {
                let says = "this process has no model of its own";
                return Err(ApiError::invalid_value(says)
                    .with_field("/model")
                    .hint("say which model works on the tasks"));
            }
            (None, ModelKind::Live) => self.status.model.clone(),
        };
        let list = ModelCatalogue::load_embedded();
        let list = list.map_err(|error| ApiError::internal_failure(&error))?;
        let list = list.with_own_prices(self.own_prices.clone());
        // A model that nobody knows is taken to cost as much as the dearest of these.
        let price = list.price_of(None, "anthropic", &model);
        Ok((model, price))
    }
}
