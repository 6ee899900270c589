//! Keeping that a question went on to the next model, and telling people.

use omoi_domain::crash::CrashPoint;
use omoi_domain::event::{Event, ModelFallback};
use omoi_llm::meter::{FallbackNote, ModelCaller};
use omoi_store::model_fallbacks::{self, FallbackCount};
use omoi_store::{StoreError, Tenant, attempts};

/// Counts a fallback of the attempt that asks; the first of its kind is told. The platform's own questions
/// have the log alone.
pub(super) async fn tell_fallback(
    store: &Tenant,
    caller: &ModelCaller,
    note: &FallbackNote,
) -> Result<(), StoreError> {
    let Some(id) = caller.principal.purpose.attempt() else {
        return Ok(());
    };
    store
        .write(CrashPoint::EventsStored, async |tx| {
            let attempt = attempts::get(tx, id).await?;
            let counted = FallbackCount {
                attempt_id: id,
                org_id: tx.org(),
                route: note.route,
                from_model: note.from_model.clone(),
                to_model: note.to_model.clone(),
                class: note.class,
                message: note.words.clone(),
                n: 1,
                first_at: tx.now(),
            };
            if model_fallbacks::count(tx, &counted).await? > 1 {
                return Ok(());
            }
            let event = Event::ModelFellBack(ModelFallback {
                attempt_id: id,
                subject: attempt.subject,
                role: attempt.role,
                route: note.route,
                from_model: note.from_model.clone(),
                to_model: note.to_model.clone(),
                class: note.class,
                message: note.words.clone(),
            });
            tx.emit(Some(attempt.project_id), Some(attempt.spec_id), event);
            Ok(())
        })
        .await
}
