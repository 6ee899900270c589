//! Model routes: what a model is asked for, which decides the model.

crate::closed_set! {
    /// What a question to a model is for. The agents of a run use [`RouteName::Agent`].
    RouteName {
        /// Hard thinking: planning and conflict resolution outside an agent.
        Reasoning = "reasoning",
        /// Typed answers.
        Structured = "structured",
        /// Short names for things.
        Title = "title",
        /// Verdicts on work.
        Judge = "judge",
        /// Agents at work.
        Agent = "agent",
    }
}
