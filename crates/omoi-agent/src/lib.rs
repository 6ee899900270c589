//! What runs inside a sandbox: the native loop, its tools and its reporter
