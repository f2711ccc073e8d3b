//! The bed of the scenarios: `ferry.sys` over `pier.sys` on drydock, and programs that open them.
//!
//! Every scenario runs in a process of its own, because a violation ends the machine and the process with it. A scenario
//! ends with [`Bed::end`]: the device is removed, both drivers are unloaded, and nothing is left.

mod controller;
mod program;

pub use controller::events;
pub use program::{Pending, Program, Session};

use std::path::{Path, PathBuf};

use drydock::nt::pnp::Guid;
use drydock::stack::Stack;
use drydock::verify;

/// Instance path of the device.
const INSTANCE: &str = r"ROOT\FERRYPIER\0000";

/// Path of a built image.
///
/// # Panics
/// If it has not been built.
pub fn image(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/images")
        .join(name);
    assert!(
        path.exists(),
        "{} is not built: run `cargo xtask build`, `cargo xtask c-drivers` and `cargo xtask rust-drivers` at the top of the repository",
        path.display()
    );
    path
}

/// A started device: pier alone, or ferry over it.
pub struct Bed {
    /// The device and its drivers.
    pub stack: Stack,
}

impl Bed {
    /// pier the function driver, ferry the upper filter, started by PnP.
    #[must_use]
    pub fn ferry_over_pier() -> Self {
        Self::of(&["pier.sys", "ferry.sys"])
    }

    /// As [`Bed::ferry_over_pier`] with another version of the framework.
    #[must_use]
    pub fn on_kmdf(minor: u32) -> Self {
        let mut settings = verify::settings().clone();
        settings.kmdf_minor = minor;
        verify::configure(settings);
        Self::ferry_over_pier()
    }

    /// Images from the function driver up.
    ///
    /// # Panics
    /// If the stack does not start.
    #[must_use]
    pub fn of(images: &[&str]) -> Self {
        let mut settings = verify::settings().clone();
        settings.verifier_on = true;
        verify::configure(settings);
        let paths: Vec<PathBuf> = images.iter().map(|name| image(name)).collect();
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        match Stack::build(INSTANCE, &paths) {
            Ok(stack) => Self { stack },
            Err(reason) => panic!("{reason}"),
        }
    }

    /// The path under which programs open the device.
    ///
    /// # Panics
    /// If pier's interface is not enabled.
    #[must_use]
    pub fn device_path() -> String {
        let guid = zerocopy::IntoBytes::as_bytes(&ferry_abi::guid::PIER_INTERFACE);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(guid);
        match drydock::nt::pnp::interfaces(Guid(bytes)).as_slice() {
            [path] => path.clone(),
            other => panic!("one interface of pier expected, found {other:?}"),
        }
    }

    /// Removes the device, unloads the drivers, and finds that nothing is left.
    ///
    /// # Panics
    /// If anything is left.
    pub fn end(self) {
        if let Err(reason) = self.stack.remove() {
            panic!("{reason}");
        }
        Self::nothing_left();
    }

    /// As [`Bed::end`], for a device that is gone already.
    ///
    /// # Panics
    /// If anything is left.
    pub fn end_after_removal(self) {
        if let Err(reason) = self.stack.unload() {
            panic!("{reason}");
        }
        Self::nothing_left();
    }

    fn nothing_left() {
        let leaks = verify::leak_report();
        assert!(leaks.is_empty(), "{leaks}");
    }
}
