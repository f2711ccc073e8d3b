//! Etw: event tracing. Providers register, events are counted; nobody listens.

use super::exports;
use crate::nt::abi::{read_in, write_out};
use crate::nt::pnp::Guid;
use crate::nt::status::NtStatus;
use crate::sched::Lock;
use crate::verify::{self, Leak};
use std::collections::BTreeMap;
use std::sync::Once;

#[derive(Default)]
struct Providers {
    registered: BTreeMap<u64, Guid>,
    last: u64,
    events: u64,
}

static PROVIDERS: Lock<Option<Providers>> = Lock::new(None);

fn with_providers<R>(f: impl FnOnce(&mut Providers) -> R) -> R {
    f(PROVIDERS.lock().get_or_insert_default())
}

/// A provider that is still registered when its driver is gone would be called back in freed memory.
fn leaks() -> Vec<Leak> {
    with_providers(|providers| {
        let guids: Vec<Guid> = providers.registered.values().copied().collect();
        guids
            .into_iter()
            .map(|guid| Leak {
                tag: format!("provider {guid}"),
                bytes: 0,
                created: Vec::new(),
            })
            .collect()
    })
}

fn write(handle: u64) -> NtStatus {
    with_providers(|providers| {
        providers.events += 1;
        if providers.registered.contains_key(&handle) {
            NtStatus::SUCCESS
        } else {
            NtStatus::INVALID_HANDLE
        }
    })
}

exports! {
    PASSIVE fn EtwRegister(provider: *const [u8; 16], _callback: usize, _context: *mut u8, out: *mut u64) -> NtStatus {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| verify::register_leaks("tracing", leaks));
        let guid = Guid(read_in(provider));
        let handle = with_providers(|providers| {
            providers.last += 1;
            let handle = providers.last;
            providers.registered.insert(handle, guid);
            handle
        });
        write_out(out, handle);
        NtStatus::SUCCESS
    }
    PASSIVE fn EtwUnregister(handle: u64) -> NtStatus {
        match with_providers(|providers| providers.registered.remove(&handle)) {
            Some(_) => NtStatus::SUCCESS,
            None => NtStatus::INVALID_HANDLE,
        }
    }
    PASSIVE fn EtwSetInformation(_handle: u64, _class: u32, _information: *mut u8, _length: u32) -> NtStatus {
        NtStatus::SUCCESS
    }
    ANY fn EtwWrite(handle: u64, _event: *const u8, _activity: *const u8, _count: u32, _data: *mut u8) -> NtStatus {
        write(handle)
    }
    ANY fn EtwWriteTransfer(handle: u64, _event: *const u8, _activity: *const u8, _related: *const u8, _count: u32, _data: *mut u8) -> NtStatus {
        write(handle)
    }
    ANY fn EtwWriteEx(handle: u64, _event: *const u8, _filter: u64, _flags: u32, _activity: *const u8, _related: *const u8, _count: u32, _data: *mut u8) -> NtStatus {
        write(handle)
    }
    ANY fn EtwWriteString(handle: u64, _level: u8, _keyword: u64, _activity: *const u8, _text: *const u16) -> NtStatus {
        write(handle)
    }
    ANY fn EtwEventEnabled(_handle: u64, _event: *const u8) -> u8 {
        0
    }
    ANY fn EtwProviderEnabled(_handle: u64, _level: u8, _keyword: u64) -> u8 {
        0
    }
    ANY fn EtwActivityIdControl(_code: u32, _activity: *mut u8) -> NtStatus {
        NtStatus::SUCCESS
    }
}
