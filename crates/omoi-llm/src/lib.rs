//! Model wire formats, gateway, structured output, simulated model
