//! Buffers a driver gives to a format method or a synchronous send (R-TGT-35 to R-TGT-37, R-TGT-102).

use super::super::guest;
use super::super::memory::{self, MemoryView};
use crate::nt;
use crate::nt::abi::Mdl;
use crate::nt::status::NtStatus;

/// A buffer to send.
#[derive(Default)]
pub(super) struct Buffer {
    /// First byte.
    pub address: u64,
    /// Bytes.
    pub length: u32,
    /// The WDFMEMORY it belongs to, for the completion parameters; 0 if none.
    pub handle: u64,
    /// Where in that memory it begins.
    pub offset: u64,
    /// Referenced as long as the buffer is in use.
    memory: Option<MemoryView>,
}

impl Buffer {
    /// The memory of `handle` (null: no buffer, R-TGT-37), as the `WDFMEMORY_OFFSET` at `offsets` says (R-TGT-36). Takes
    /// a reference (R-TGT-35): the driver may delete its handle meanwhile (R-DEV-93).
    pub(super) fn of_memory(handle: u64, offsets: u64) -> Result<Self, NtStatus> {
        if handle == 0 {
            return Ok(Self::default());
        }
        let memory = memory::resolve(handle);
        let (offset, length) = if offsets == 0 {
            (0, 0)
        } else {
            (guest::read(offsets), guest::read(offsets + 8))
        };
        let (offset, length) = extent(memory.size as u64, offset, length)?;
        memory.reference();
        Ok(Self {
            address: memory.address + offset,
            length,
            handle,
            offset,
            memory: Some(memory),
        })
    }

    /// What the `WDF_MEMORY_DESCRIPTOR` at `address` describes; null: no buffer (R-TGT-102).
    pub(super) fn of_descriptor(address: u64) -> Result<Self, NtStatus> {
        if address == 0 {
            return Ok(Self::default());
        }
        let pointer = guest::read::<u64>(address + 8);
        let plain = |start: u64, length: u32| Self {
            address: start,
            length,
            ..Self::default()
        };
        match guest::read::<u32>(address) {
            1..=3 if pointer == 0 => Err(NtStatus::INVALID_PARAMETER),
            1 => Ok(plain(pointer, guest::read(address + 16))),
            2 => {
                let mapped = nt::mdl::system_address(pointer as *mut Mdl);
                if mapped.is_null() {
                    return Err(NtStatus::INSUFFICIENT_RESOURCES);
                }
                Ok(plain(mapped as u64, guest::read(address + 16)))
            }
            3 => Self::of_memory(pointer, guest::read(address + 16)),
            _ => Err(NtStatus::INVALID_PARAMETER),
        }
    }

    /// Gives the reference back.
    pub(super) fn release(self) {
        if let Some(memory) = self.memory {
            memory.dereference();
        }
    }
}

/// R-TGT-36
fn extent(size: u64, offset: u64, length: u64) -> Result<(u64, u32), NtStatus> {
    let length = if length == 0 {
        size.checked_sub(offset).ok_or(NtStatus::INTEGER_OVERFLOW)?
    } else {
        length
    };
    let fits = offset.checked_add(length).is_some_and(|end| end <= size);
    if !fits {
        return Err(NtStatus::INTEGER_OVERFLOW);
    }
    let length = u32::try_from(length).map_err(|_| NtStatus::INTEGER_OVERFLOW)?;
    Ok((offset, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-TGT-36
    #[test]
    fn offsets_select_the_whole_the_rest_or_exactly_what_they_say() {
        assert_eq!(extent(16, 0, 0), Ok((0, 16)));
        assert_eq!(extent(16, 6, 0), Ok((6, 10)));
        assert_eq!(extent(16, 4, 8), Ok((4, 8)));
        assert_eq!(extent(16, 16, 0), Ok((16, 0)));
        for (offset, length) in [(10, 7), (17, 0), (u64::MAX, 2), (0, 17)] {
            assert_eq!(extent(16, offset, length), Err(NtStatus::INTEGER_OVERFLOW));
        }
    }
}
