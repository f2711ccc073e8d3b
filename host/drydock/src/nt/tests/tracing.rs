//! Event tracing and priority hints.

use super::*;
use crate::loader::call;
use crate::nt::abi::write_bytes;
use crate::nt::exports::lookup;
use crate::nt::pnp::Guid;
use crate::nt::pool;
use crate::nt::tracing::{self, Part, Session};
use rusty_fork::rusty_fork_test;

const PROVIDER: [u8; 16] = [7; 16];

#[expect(unsafe_code, reason = "an export is known by address only")]
fn export(name: &str, a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> u64 {
    let address = lookup("ntoskrnl.exe", name).unwrap();
    // SAFETY: no export called here takes more than six arguments.
    unsafe { call::call6(address, a, b, c, d, e, f) }
}

extern "win64" fn enabled(
    _source: u64,
    control: u64,
    level: u64,
    any: u64,
    _all: u64,
    _filter: u64,
    context: u64,
) -> u64 {
    log(format!(
        "control={control} level={} any={any:x} context={context}",
        level as u8
    ));
    0
}

fn register() -> u64 {
    let mut handle = 0_u64;
    let status = export(
        "EtwRegister",
        PROVIDER.as_ptr() as u64,
        enabled as *const () as u64,
        5,
        &raw mut handle as u64,
        0,
        0,
    );
    assert_eq!(status as u32, 0);
    handle
}

/// EVENT_DATA_DESCRIPTOR.
#[repr(C)]
struct Data(u64, u32, u32);

fn block(bytes: &[u8]) -> u64 {
    let block = pool::allocate_internal(bytes.len(), pool::Tag::new(b"Test"));
    write_bytes(block, bytes);
    block as u64
}

/// Level 4, keyword 2.
const EVENT: [u8; 16] = [1, 0, 2, 11, 4, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];

rusty_fork_test! {
    #[test]
    fn a_provider_is_told_of_the_session_it_finds_and_of_its_end() {
        tracing::listen(Some(Session { level: 4, keywords: 2 }));
        let handle = register();
        tracing::listen(None);
        tracing::listen(Some(Session::ALL));
        assert_eq!(taken(), [
            "control=1 level=4 any=2 context=5",
            "control=0 level=0 any=0 context=5",
            "control=1 level=0 any=ffffffffffffffff context=5",
        ]);
        assert_eq!(export("EtwUnregister", handle, 0, 0, 0, 0, 0) as u32, 0);
        tracing::listen(None);
        assert!(taken().is_empty(), "nobody is there to be told");
        assert!(verify::leak_report().is_empty(), "{}", verify::leak_report());
    }

    #[test]
    fn a_session_hears_what_is_as_important_as_it_asks_for() {
        let handle = register();
        let enabled = |level: u64, keyword: u64| {
            export("EtwProviderEnabled", handle, level, keyword, 0, 0, 0) as u8 != 0
        };
        assert!(!enabled(1, 0), "nobody listens");
        tracing::listen(Some(Session { level: 3, keywords: 6 }));
        assert!(enabled(3, 2) && enabled(1, 0));
        assert!(!enabled(4, 2), "too unimportant");
        assert!(!enabled(3, 1), "another keyword");
        assert_eq!(export("EtwEventEnabled", handle, EVENT.as_ptr() as u64, 0, 0, 0, 0) as u8, 0);
    }

    #[test]
    fn an_event_is_kept_with_its_name_and_its_fields() {
        let handle = register();
        // Size, no tags, the name, no fields.
        let metadata = block(b"\x08\x00\x00Hello\x00");
        let (first, second) = (block(&[1, 2]), block(&[3]));
        let data = [Data(metadata, 9, 1), Data(first, 2, 0), Data(second, 1, 0)];
        let activity = [9_u8; 16];
        let arguments = [EVENT.as_ptr() as u64, activity.as_ptr() as u64, 0, 3, data.as_ptr() as u64];
        let [a, b, c, d, e] = arguments;
        assert_eq!(export("EtwWriteTransfer", handle, a, b, c, d, e) as u32, 0);
        assert_eq!(tracing::written(), 1);
        let events = tracing::take_events();
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(event.name().as_deref(), Some("Hello"));
        assert_eq!(event.payload(), [1, 2, 3]);
        assert_eq!(event.provider, Guid(PROVIDER));
        assert_eq!((event.descriptor.level, event.descriptor.keyword, event.descriptor.id), (4, 2, 1));
        assert_eq!((event.activity, event.related), (Some(Guid(activity)), None));
        assert_eq!(event.data[0].0, Part::EventMetadata);
        export("EtwUnregister", handle, 0, 0, 0, 0, 0);
        let status = export("EtwWriteTransfer", handle, a, b, c, d, e) as u32;
        assert_eq!(status as i32, NtStatus::INVALID_HANDLE.0);
        assert!(tracing::take_events().is_empty());
    }

    #[test]
    fn a_provider_left_behind_is_a_leak() {
        register();
        let report = verify::leak_report().to_string();
        assert!(report.contains("provider {07070707-"), "{report}");
    }

    #[test]
    fn a_priority_hint_stays_with_the_irp() {
        let request = irp::allocate(1);
        let get = || export("IoGetIoPriorityHint", request as u64, 0, 0, 0, 0, 0) as u32;
        let set = |hint| export("IoSetIoPriorityHint", request as u64, hint, 0, 0, 0, 0) as u32 as i32;
        assert_eq!(get(), 2, "IoPriorityNormal");
        for hint in 0..5 {
            assert_eq!(set(hint), 0);
            assert_eq!(get(), hint as u32);
        }
        assert_eq!(set(5), NtStatus::INVALID_PARAMETER.0);
        assert_eq!(get(), 4, "as it was");
        irp::free(request);
    }
}
