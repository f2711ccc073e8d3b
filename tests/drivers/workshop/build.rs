//! Configures the link of workshop.sys as windows-drivers-rs does for every driver.

fn main() -> Result<(), wdk_build::ConfigError> {
    wdk_build::configure_wdk_binary_build()
}
