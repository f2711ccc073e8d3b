//! WDFSTRING, and text in the pool that drivers may look at.

use super::attributes::{Attributes, Rules};
use super::bind::Binding;
use super::block;
use super::ddi::{Call, PASSIVE, export};
use super::guest;
use super::handle::{self, Ref, Typed};
use super::kind::Kind;
use super::object::{self, Body};
use super::parent_or_driver;
use crate::nt::status::NtStatus;
use crate::sched::Lock;

export! {
    "WdfStringCreate" => create[source: u64, attributes: u64, out: u64] -> NtStatus, PASSIVE;
    "WdfStringGetUnicodeString" => get_unicode_string[string: u64, out: u64], PASSIVE;
}

/// Bytes of the UNICODE_STRING in front of the characters.
const HEADER: u64 = 16;

/// Zero-terminated UTF-16 text in the pool, with a UNICODE_STRING in front that describes it.
pub struct PoolText {
    block: u64,
    units: u16,
}

impl PoolText {
    /// Puts `text` into the pool; `None` if there is no room.
    pub fn new(text: &str, tag: u32) -> Option<Self> {
        Self::from_units(&text.encode_utf16().collect::<Vec<_>>(), tag)
    }

    /// Puts UTF-16 units into the pool; `None` if there is no room or they are too many for a UNICODE_STRING.
    pub fn from_units(units: &[u16], tag: u32) -> Option<Self> {
        let bytes = u16::try_from(2 * units.len() + 2).ok()?;
        let block = block::allocate(HEADER as usize + usize::from(bytes), tag)?;
        guest::write(block, bytes - 2);
        guest::write(block + 2, bytes);
        guest::write(block + 8, block + HEADER);
        for (i, unit) in units.iter().enumerate() {
            guest::write(block + HEADER + 2 * i as u64, *unit);
        }
        Some(Self {
            block,
            units: bytes / 2 - 1,
        })
    }

    /// Address of the first character.
    pub fn address(&self) -> u64 {
        self.block + HEADER
    }

    /// Address of the UNICODE_STRING.
    pub fn unicode_string(&self) -> u64 {
        self.block
    }

    /// The text.
    pub fn text(&self) -> String {
        guest::utf16(self.address(), usize::from(self.units))
    }
}

impl Drop for PoolText {
    fn drop(&mut self) {
        block::free(self.block);
    }
}

/// The body of a WDFSTRING.
pub struct Text(Lock<Option<PoolText>>);

impl Text {
    /// The text; empty if none was assigned.
    pub fn text(&self) -> String {
        self.0
            .lock()
            .as_ref()
            .map_or_else(String::new, PoolText::text)
    }
}

impl Body for Text {
    fn kind(&self) -> Kind {
        Kind::String
    }

    fn destroyed(&self, _me: &object::Object) {
        drop(self.0.lock().take());
    }
}

impl Typed for Text {
    const KIND: Kind = Kind::String;
}

/// Makes `text` the content of a string object.
pub(super) fn assign(string: &Ref<Text>, binding: &Binding, text: &str) -> NtStatus {
    match PoolText::new(text, binding.tag()) {
        Some(text) => {
            let old = string.0.lock().replace(text);
            drop(old);
            NtStatus::SUCCESS
        }
        None => NtStatus::INSUFFICIENT_RESOURCES,
    }
}

/// A string object with this text, below `parent`.
pub(super) fn make(
    binding: &'static Binding,
    attributes: &Attributes,
    parent: &object::ObjRef,
    text: &str,
) -> Result<Ref<Text>, NtStatus> {
    let text = PoolText::new(text, binding.tag()).ok_or(NtStatus::INSUFFICIENT_RESOURCES)?;
    object::create(
        binding,
        attributes,
        Some(parent),
        Text(Lock::new(Some(text))),
    )
}

/// `WdfStringCreate`: a string object, with a copy of `source` unless that is null. PASSIVE_LEVEL.
fn create(call: &Call, source: u64, attributes: u64, out: u64) -> NtStatus {
    call.require(out, "String");
    guest::write(out, 0_u64);
    let attributes = match Attributes::read(attributes, Rules::PLAIN) {
        Ok(attributes) => attributes,
        Err(status) => return status,
    };
    let text = if source == 0 {
        None
    } else {
        let text = guest::unicode_string(source);
        match PoolText::new(&text, call.binding.tag()) {
            Some(text) => Some(text),
            None => return NtStatus::INSUFFICIENT_RESOURCES,
        }
    };
    let parent = parent_or_driver(call, &attributes);
    match object::create(
        call.binding,
        &attributes,
        parent.as_ref(),
        Text(Lock::new(text)),
    ) {
        Ok(string) => {
            guest::write(out, string.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfStringGetUnicodeString`: fills a UNICODE_STRING that points at the string's characters. PASSIVE_LEVEL.
fn get_unicode_string(call: &Call, string: u64, out: u64) {
    call.require(out, "UnicodeString");
    let string = handle::resolve::<Text>(string);
    let content = string.0.lock();
    match &*content {
        Some(text) => guest::copy(text.unicode_string(), out, HEADER as usize),
        None => guest::fill(out, 0, HEADER as usize),
    }
}
