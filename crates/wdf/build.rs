//! Tells the crate which KMDF version it is compiled for: `cfg(kmdf_at_least = "1.N")` for every version up to that one.
//!
//! What a newer version brought is absent then, because the function table of the older one has no such entry.

use wdk_build::{Config, ConfigError, DriverConfig};

/// The versions there are from the oldest this crate supports, minor numbers.
const MINORS: [u8; 10] = [15, 17, 19, 21, 23, 25, 27, 29, 31, 33];

fn main() -> Result<(), ConfigError> {
    let values = MINORS.map(|minor| format!("\"1.{minor}\"")).join(",");
    println!("cargo::rustc-check-cfg=cfg(kmdf_at_least, values({values}))");
    if let DriverConfig::Kmdf(kmdf) = Config::from_env_auto()?.driver_config {
        for minor in MINORS {
            if minor <= kmdf.target_kmdf_version_minor {
                println!("cargo::rustc-cfg=kmdf_at_least=\"1.{minor}\"");
            }
        }
    }
    Ok(())
}
