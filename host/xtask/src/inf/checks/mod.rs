//! The rules at work, one file per part of an INF.

pub mod files;
pub mod filters;
pub mod install;
pub mod models;
pub mod references;
pub mod registry;
pub mod services;
pub mod together;
pub mod version;
pub mod wdf;
