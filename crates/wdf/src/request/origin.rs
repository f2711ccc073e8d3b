//! Where a request comes from.

use wdk_sys::{PIRP, call_unsafe_wdf_function_binding};

use super::{FileKey, Kind, Request};

unsafe extern "system" {
    // In no header `wdk-sys` generates bindings from.
    fn IoGetRequestorProcessId(irp: PIRP) -> u32;
}

impl<K: Kind> Request<'_, K> {
    /// The process whose thread issued the request; 0 is unknown, which is legal. Stands for `IoGetRequestorProcessId`.
    /// IRQL <= `DISPATCH_LEVEL`. Ownership stays.
    #[must_use]
    pub fn process(&self) -> u32 {
        // SAFETY: owned, so it has an IRP (R-REQ-49).
        let irp = unsafe { call_unsafe_wdf_function_binding!(WdfRequestWdmGetIrp, self.handle()) };
        // SAFETY: the IRP of an owned request is valid.
        unsafe { IoGetRequestorProcessId(irp) }
    }
}

impl FileKey {
    /// A number that tells open instances apart and says nothing of where they lie: the key scrambled with `secret`.
    #[must_use]
    pub const fn scrambled(self, secret: u64) -> u64 {
        // One round of a multiply-xor mix is enough to hide an address from who does not know the secret.
        let mixed = ((self.0.get() as u64) ^ secret).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^ (mixed >> 29) ^ secret.rotate_left(17)
    }
}
