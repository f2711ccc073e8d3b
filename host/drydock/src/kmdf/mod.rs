//! The framework: the executable form of `spec/kmdf-request-lifecycle.md`.
