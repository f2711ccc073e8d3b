//! The atomic protocols of `wdf`, compiled from its own sources and explored under loom. Everything is in `tests/`.
