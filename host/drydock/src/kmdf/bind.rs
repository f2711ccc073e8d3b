//! Binding of a client driver to the framework: what `WDFLDR.SYS` exports, and the globals a client gets.

use std::sync::OnceLock;

use super::block;
use super::driver::Driver;
use super::guest;
use super::handle::Ref;
use super::lifetime;
use super::table;
use crate::nt;
use crate::nt::status::NtStatus;
use crate::sched::{self, Lock};
use crate::verify;

/// Highest minor version this framework knows.
const NEWEST_MINOR: u32 = 33;

/// The minor version this framework presents itself as.
pub(super) fn newest_minor() -> u32 {
    NEWEST_MINOR.min(verify::settings().kmdf_minor)
}

/// Counts up to this one mean that the client has room for a copy of the table (`spec/abi-facts.md`).
const COPIED_TABLE: u32 = 438;

/// `WDF_DRIVER_GLOBALS` as clients see it.
const GLOBALS_SIZE: u64 = 56;
pub(super) const MAGIC_OFFSET: u64 = GLOBALS_SIZE;
pub(super) const BINDING_OFFSET: u64 = GLOBALS_SIZE + 8;
pub(super) const MAGIC: u64 = 0x6C61_626F_6C67_6657;
const BLOCK_SIZE: usize = GLOBALS_SIZE as usize + 16;

/// A client driver bound to the framework. Lives until the process ends, so that references to it are plain.
pub struct Binding {
    name: String,
    tag: u32,
    minor: u32,
    verifier: bool,
    down_level: bool,
    globals: u64,
    driver_object: u64,
    registry_path: String,
    driver: Lock<Option<Ref<Driver>>>,
}

impl Binding {
    /// Makes the binding and the globals block that leads to it; `None` if there is no memory for it.
    fn create(driver_object: u64, registry_path: String, minor: u32) -> Option<&'static Self> {
        let name = registry_path
            .rsplit('\\')
            .next()
            .unwrap_or_default()
            .to_owned();
        let tag = tag_of(&name);
        let globals = block::allocate(BLOCK_SIZE, tag)?;
        let binding: &'static Self = Box::leak(Box::new(Self {
            tag,
            minor,
            verifier: verify::settings().verifier_on || in_registry(&registry_path, "VerifierOn"),
            down_level: verify::settings().down_level
                || in_registry(&registry_path, "VerifyDownLevel"),
            globals,
            driver_object,
            registry_path,
            driver: Lock::new(None),
            name,
        }));
        guest::write(globals + 12, tag);
        let short: Vec<u8> = binding.name.bytes().take(31).collect();
        guest::put_bytes(globals + 16, &short);
        guest::write(globals + MAGIC_OFFSET, MAGIC);
        guest::write(globals + BINDING_OFFSET, std::ptr::from_ref(binding) as u64);
        Some(binding)
    }

    /// Service name of the driver.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Pool tag of memory the framework allocates for the driver.
    pub fn tag(&self) -> u32 {
        self.tag
    }

    /// Minor version of KMDF the driver was built for.
    pub fn minor(&self) -> u32 {
        self.minor
    }

    /// The framework verifier is on for this driver (R-CHK-01).
    pub fn verifier(&self) -> bool {
        self.verifier
    }

    /// Version-gated checks of KMDF 1.`minor` apply: the driver is built for it, or checks extend to older drivers
    /// (R-CHK-01, VerifyDownLevel).
    pub fn checks_of(&self, minor: u32) -> bool {
        self.minor >= minor || self.down_level
    }

    /// Address of the DRIVER_OBJECT.
    pub fn driver_object(&self) -> u64 {
        self.driver_object
    }

    /// Path of the driver's service key.
    pub fn registry_path(&self) -> &str {
        &self.registry_path
    }

    /// Address of the client's WDF_DRIVER_GLOBALS.
    pub fn globals(&self) -> u64 {
        self.globals
    }

    /// The driver object, between `WdfDriverCreate` and unload.
    pub fn driver(&self) -> Option<Ref<Driver>> {
        self.driver.lock().clone()
    }

    pub(super) fn set_driver(&self, driver: Option<Ref<Driver>>) {
        guest::write(self.globals, driver.as_ref().map_or(0, Ref::handle));
        *self.driver.lock() = driver;
    }

    /// Sets `DisplaceDriverUnload` (`spec/abi-facts.md`).
    pub(super) fn set_displace_unload(&self, displace: bool) {
        guest::write(self.globals + 48, u8::from(displace));
    }
}

/// Whether a switch below the service's `Parameters\\Wdf` key is on (R-CHK-01).
fn in_registry(service: &str, switch: &str) -> bool {
    let key = format!("{service}\\Parameters\\Wdf");
    nt::registry::query(&key, switch).is_ok_and(|value| value.data.iter().any(|byte| *byte != 0))
}

fn tag_of(name: &str) -> u32 {
    let mut tag = *b"Fxxx";
    for (place, byte) in tag.iter_mut().zip(name.bytes()) {
        *place = byte;
    }
    u32::from_le_bytes(tag)
}

/// `WdfVersionBind`: checks what the client asks for and gives it its function table and globals.
extern "win64" fn version_bind(
    driver_object: u64,
    registry_path: u64,
    info: u64,
    globals_out: u64,
) -> i32 {
    sched::point();
    super::ddi::guard("WdfVersionBind", || {
        bind(driver_object, registry_path, info, globals_out).0
    })
}

fn bind(driver_object: u64, registry_path: u64, info: u64, globals_out: u64) -> NtStatus {
    if driver_object == 0 || registry_path == 0 || info == 0 || globals_out == 0 {
        return NtStatus::INVALID_PARAMETER;
    }
    let major = guest::read::<u32>(info + 16);
    let minor = guest::read::<u32>(info + 20);
    let count = guest::read::<u32>(info + 28);
    let table_out = guest::read::<u64>(info + 32);
    if major != 1 || minor > newest_minor() {
        verify::print(&format!(
            "WdfVersionBind: the driver is built for KMDF {major}.{minor}, this machine has 1.{}\n",
            newest_minor()
        ));
        return NtStatus::OBJECT_TYPE_MISMATCH;
    }
    if !table::RELEASED_COUNTS.contains(&count) || table_out == 0 {
        return NtStatus::INVALID_PARAMETER;
    }
    let path = guest::unicode_string(registry_path);
    let Some(binding) = Binding::create(driver_object, path, minor) else {
        return NtStatus::INSUFFICIENT_RESOURCES;
    };
    register_report_sources();
    let addresses = table::addresses(count as usize);
    if count > COPIED_TABLE {
        guest::write(table_out, addresses.as_ptr() as u64);
    } else {
        for (i, address) in addresses.iter().enumerate() {
            guest::write(table_out + 8 * i as u64, *address as u64);
        }
    }
    guest::write(globals_out, binding.globals);
    NtStatus::SUCCESS
}

/// `WdfVersionUnbind`: ends a binding; a driver object left over by a failed DriverEntry is deleted.
extern "win64" fn version_unbind(_registry_path: u64, _info: u64, globals: u64) {
    sched::point();
    super::ddi::guard("WdfVersionUnbind", || {
        if globals == 0 {
            return;
        }
        let binding = super::ddi::binding_of("WdfVersionUnbind", globals);
        if let Some(driver) = binding.driver() {
            lifetime::delete(driver.object());
        }
        // A late call with these globals is then recognised.
        guest::write(globals + MAGIC_OFFSET, 0_u64);
        block::free(globals);
    });
}

extern "win64" fn bind_class() -> i32 {
    verify::unimplemented("WDFLDR.SYS!WdfVersionBindClass")
}

extern "win64" fn unbind_class() {
    verify::unimplemented("WDFLDR.SYS!WdfVersionUnbindClass")
}

/// Address of what `WDFLDR.SYS` exports as `symbol`.
pub fn lookup(module: &str, symbol: &str) -> Option<usize> {
    if !module.eq_ignore_ascii_case("WDFLDR.SYS") {
        return None;
    }
    match symbol {
        "WdfVersionBind" => Some(version_bind as *const () as usize),
        "WdfVersionUnbind" => Some(version_unbind as *const () as usize),
        "WdfVersionBindClass" => Some(bind_class as *const () as usize),
        "WdfVersionUnbindClass" => Some(unbind_class as *const () as usize),
        _ => None,
    }
}

/// Tells the report and the leak report where framework objects are found.
fn register_report_sources() {
    static ONCE: OnceLock<()> = OnceLock::new();
    // Requests that nobody completed are among them (R-CHK-66).
    ONCE.get_or_init(|| verify::register_leaks("framework objects", super::leaks::objects));
}
