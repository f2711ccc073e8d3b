//! The test bed: binds a driver, calls the framework by name, records what callbacks did.

use std::sync::Mutex;

use super::super::callback;
use super::super::guest;
use super::super::{bind, table};
use crate::nt;
use crate::nt::abi::{DriverObject, UnicodeString};
use crate::nt::status::NtStatus;
use crate::verify;

/// What callbacks recorded, in order.
static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// Driver object and registry path the entry got; table and globals of the bound driver.
static BOUND: Mutex<Option<Client>> = Mutex::new(None);

/// A bound driver.
#[derive(Clone, Copy)]
pub struct Client {
    table: u64,
    globals: u64,
    pub driver_object: u64,
    pub driver: u64,
}

/// Attributes of the driver object; 0: none.
static DRIVER_ATTRIBUTES: Mutex<u64> = Mutex::new(0);

/// Adds a line to the record.
pub fn note(line: impl Into<String>) {
    LOG.lock().unwrap().push(line.into());
}

/// Takes the record.
pub fn taken() -> Vec<String> {
    std::mem::take(&mut *LOG.lock().unwrap())
}

/// The bound driver, for callbacks.
pub fn client() -> Client {
    BOUND.lock().unwrap().unwrap()
}

/// Zeroed memory that lives on, for structures passed to the framework.
pub fn memory(bytes: usize) -> u64 {
    Box::leak(vec![0_u64; bytes.div_ceil(8)].into_boxed_slice()).as_mut_ptr() as u64
}

/// A UNICODE_STRING.
pub fn text(text: &str) -> u64 {
    let units: Vec<u16> = text.encode_utf16().collect();
    let at = memory(16 + 2 * units.len());
    guest::write(at, 2 * units.len() as u16);
    guest::write(at + 2, 2 * units.len() as u16);
    guest::write(at + 8, at + 16);
    for (i, unit) in units.iter().enumerate() {
        guest::write(at + 16 + 2 * i as u64, *unit);
    }
    at
}

/// WDF_OBJECT_ATTRIBUTES as its initialiser leaves it.
pub fn attributes() -> u64 {
    let at = memory(56);
    guest::write(at, 56_u32);
    guest::write(at + 24, 1_u32);
    guest::write(at + 28, 1_u32);
    at
}

/// Attributes with recording cleanup and destroy callbacks and this parent.
pub fn recorded(parent: u64) -> u64 {
    let at = attributes();
    guest::write(at + 8, cleanup as *const () as u64);
    guest::write(at + 16, destroy as *const () as u64);
    guest::write(at + 32, parent);
    at
}

extern "win64" fn cleanup(object: u64) {
    note(format!(
        "cleanup {} irql={}",
        name(object),
        nt::thread::irql()
    ));
}

extern "win64" fn destroy(object: u64) {
    note(format!("destroy {}", name(object)));
}

/// A context type record of this size.
pub fn context_type(size: u64) -> u64 {
    let at = memory(40);
    guest::write(at, 40_u32);
    guest::write(at + 8, c"Context".as_ptr() as u64);
    guest::write(at + 16, size);
    guest::write(at + 24, at);
    at
}

static NAMES: Mutex<Vec<(u64, String)>> = Mutex::new(Vec::new());

/// Gives a handle a name for the record.
pub fn call_it(handle: u64, name: &str) {
    NAMES.lock().unwrap().push((handle, name.to_owned()));
}

/// The name given to a handle.
pub fn name(handle: u64) -> String {
    let names = NAMES.lock().unwrap();
    let found = names.iter().rev().find(|(known, _)| *known == handle);
    found.map_or_else(|| "?".to_owned(), |(_, name)| name.clone())
}

extern "win64" fn unload(_driver: u64) {
    note("unload");
}

extern "win64" fn entry(driver: *mut DriverObject, path: *mut UnicodeString) -> NtStatus {
    let info = memory(48);
    let slot = memory(8);
    guest::write(info, 48_u32);
    guest::write(info + 16, 1_u32);
    guest::write(info + 20, 15_u32);
    guest::write(info + 28, 444_u32);
    guest::write(info + 32, slot);
    let globals = memory(8);
    let bind = bind::lookup("WDFLDR.SYS", "WdfVersionBind").unwrap() as u64;
    let raw = callback::call(bind, &[driver as u64, path as u64, info, globals]);
    assert_eq!(raw as u32, 0, "WdfVersionBind");
    let mut client = Client {
        table: guest::read(slot),
        globals: guest::read(globals),
        driver_object: driver as u64,
        driver: 0,
    };
    let config = memory(32);
    guest::write(config, 32_u32);
    guest::write(config + 8, super::device::evt_add as *const () as u64);
    guest::write(config + 16, unload as *const () as u64);
    let out = memory(8);
    let attributes = *DRIVER_ATTRIBUTES.lock().unwrap();
    let status = client.status(
        "WdfDriverCreate",
        &[driver as u64, path as u64, attributes, config, out],
    );
    client.driver = guest::read(out);
    *BOUND.lock().unwrap() = Some(client);
    status
}

/// Creates the driver under test.
pub fn start() -> Client {
    nt::driver::create("\\Driver\\Bench", entry).unwrap();
    client()
}

/// Loads the driver under test, which gives its driver object these attributes.
pub fn load_with(attributes: u64) -> Result<Client, NtStatus> {
    *DRIVER_ATTRIBUTES.lock().unwrap() = attributes;
    nt::driver::create("\\Driver\\Bench", entry)?;
    Ok(client())
}

/// As [`start`], with the framework verifier on and BREAKs counted only.
pub fn start_verified() -> Client {
    let mut settings = verify::settings().clone();
    settings.verifier_on = true;
    settings.break_is_fatal = false;
    verify::configure(settings);
    start()
}

/// As [`start`], with BREAKs counted only.
pub fn start_lenient() -> Client {
    let mut settings = verify::settings().clone();
    settings.break_is_fatal = false;
    verify::configure(settings);
    start()
}

impl Client {
    /// Calls a framework function.
    pub fn call(&self, name: &str, arguments: &[u64]) -> u64 {
        let index = table::functions().iter().position(|f| f.name == name);
        let index = index.unwrap_or_else(|| panic!("{name} is no framework function"));
        let address = guest::read::<u64>(self.table + 8 * index as u64);
        let mut all = vec![self.globals];
        all.extend_from_slice(arguments);
        callback::call(address, &all)
    }

    /// Calls a framework function that returns a status.
    pub fn status(&self, name: &str, arguments: &[u64]) -> NtStatus {
        NtStatus(self.call(name, arguments) as u32 as i32)
    }

    /// Calls a framework function that returns a BOOLEAN.
    pub fn boolean(&self, name: &str, arguments: &[u64]) -> bool {
        self.call(name, arguments) as u8 != 0
    }

    /// Calls a creating function whose last argument takes the handle.
    pub fn create(&self, name: &str, arguments: &[u64]) -> Result<u64, NtStatus> {
        let out = memory(8);
        let mut all = arguments.to_vec();
        all.push(out);
        self.status(name, &all).ok()?;
        Ok(guest::read(out))
    }

    /// A named object with recording callbacks.
    pub fn object(&self, parent: u64, name: &str) -> u64 {
        let object = self.create("WdfObjectCreate", &[recorded(parent)]).unwrap();
        call_it(object, name);
        object
    }
}

/// Expects the run to end here by breaking `statement`, or by a framework bug check whose text names it.
pub fn expect_end(statement: &'static str, f: impl FnOnce()) {
    verify::on_end(move |report| {
        let named = report.statement == Some(statement) || report.text.contains(statement);
        if named { 0 } else { 99 }
    });
    f();
    panic!("{statement} did not end the run");
}
