//! Model routes: what a model is asked for, which decides the model.

crate::closed_set! {
    /// What a question to a model is for. The agents of a run use [`RouteName::Agent`].
    RouteName {
        /// Hard thinking: planning and conflict resolution outside an agent.
        Reasoning = "reasoning",
        /// Answers that must fit a JSON schema.
        Structured = "structured",
        /// Short names for things.
        Title = "title",
        /// Verdicts on the work of another model.
        Judge = "judge",
        /// Turns of agents at work.
        Agent = "agent",
    }
}
