//! Configures the link of ferry.sys as windows-drivers-rs does for every driver, and tells the driver its KMDF version.

use wdk_build::{Config, ConfigError, DriverConfig};

fn main() -> Result<(), ConfigError> {
    if let DriverConfig::Kmdf(kmdf) = Config::from_env_auto()?.driver_config {
        println!(
            "cargo::rustc-env=FERRY_KMDF_MINOR={}",
            kmdf.target_kmdf_version_minor
        );
    }
    wdk_build::configure_wdk_binary_build()
}
