//! Object contexts: driver memory attached to an object (R-OBJ-60 to R-OBJ-68).
//!
//! A context lies in the driver's pool, behind a small header that leads back to the object
//! (`WdfObjectContextGetObject`). The list only grows, so a lookup takes no lock (R-OBJ-62).

use std::sync::OnceLock;

use super::attributes::Attributes;
use super::bind::Binding;
use super::block;
use super::callback;
use super::guest;
use super::handle::Handle;
use crate::nt::status::NtStatus;

const MAGIC: u64 = 0x7478_6574_6E6F_4357;
/// Bytes before a context: magic and handle.
const HEADER: u64 = 16;

/// One context with the callbacks that came with it.
struct Context {
    type_info: u64,
    /// Address of the driver's part; 0 if there is none and only callbacks are kept.
    address: u64,
    cleanup: u64,
    destroy: u64,
    next: OnceLock<Box<Context>>,
}

/// The contexts of one object, in the order they were added; none ever moves (R-OBJ-64).
pub(super) struct Contexts {
    first: Context,
}

impl Context {
    fn new(binding: &Binding, handle: Handle, attributes: &Attributes) -> Result<Self, NtStatus> {
        let address = if attributes.type_info == 0 {
            0
        } else {
            let size = attributes.context_size as u64 + HEADER;
            let at = block::allocate(size as usize, binding.tag())
                .ok_or(NtStatus::INSUFFICIENT_RESOURCES)?;
            guest::write(at, MAGIC);
            guest::write(at + 8, handle.0);
            at + HEADER
        };
        Ok(Self {
            type_info: attributes.type_info,
            address,
            cleanup: attributes.cleanup,
            destroy: attributes.destroy,
            next: OnceLock::new(),
        })
    }
}

impl Contexts {
    pub(super) fn new(
        binding: &Binding,
        handle: Handle,
        attributes: &Attributes,
    ) -> Result<Self, NtStatus> {
        Ok(Self {
            first: Context::new(binding, handle, attributes)?,
        })
    }

    fn iter(&self) -> impl Iterator<Item = &Context> {
        std::iter::successors(Some(&self.first), |context| {
            context.next.get().map(|next| &**next)
        })
    }

    /// Address of the context of type `type_info`, if the object carries one (R-OBJ-60, R-OBJ-61).
    pub(super) fn find(&self, type_info: u64) -> Option<u64> {
        self.iter()
            .find(|context| context.address != 0 && context.type_info == type_info)
            .map(|context| context.address)
    }

    /// Adds a context; `Err` with the existing address if the type is already there (R-OBJ-65).
    pub(super) fn add(
        &self,
        binding: &Binding,
        handle: Handle,
        attributes: &Attributes,
    ) -> Result<Result<u64, u64>, NtStatus> {
        let mut new = Box::new(Context::new(binding, handle, attributes)?);
        let address = new.address;
        let mut at = &self.first;
        loop {
            if at.address != 0 && at.type_info == attributes.type_info {
                block::free(address - HEADER);
                return Ok(Err(at.address));
            }
            match at.next.set(new) {
                Ok(()) => return Ok(Ok(address)),
                Err(refused) => new = refused,
            }
            match at.next.get() {
                Some(next) => at = next,
                None => unreachable!("set refused because there is a next context"),
            }
        }
    }

    /// Calls EvtCleanupCallback of every context (R-OBJ-67).
    pub(super) fn call_cleanup(&self, handle: Handle) {
        for context in self.iter().filter(|context| context.cleanup != 0) {
            callback::call(context.cleanup, &[handle.0]);
        }
    }

    /// Calls EvtDestroyCallback of every context (R-OBJ-67).
    pub(super) fn call_destroy(&self, handle: Handle) {
        for context in self.iter().filter(|context| context.destroy != 0) {
            callback::call(context.destroy, &[handle.0]);
        }
    }

    /// Gives the memory back.
    pub(super) fn free(&self) {
        for context in self.iter().filter(|context| context.address != 0) {
            block::free(context.address - HEADER);
        }
    }
}

/// The handle of the object a context belongs to, if `address` is a context.
pub(super) fn owner(address: u64) -> Option<u64> {
    (guest::read::<u64>(address - HEADER) == MAGIC).then(|| guest::read(address - 8))
}
