//! Contexts of objects: R-OBJ-51, R-OBJ-60 to R-OBJ-67.

use rusty_fork::rusty_fork_test;

use super::super::guest;
use super::bench::{
    Client, attributes, client, context_type, memory, note, recorded, start, taken,
};
use crate::nt;
use crate::nt::status::NtStatus;

/// The type record the destroy callback looks up.
static TYPE: std::sync::OnceLock<u64> = std::sync::OnceLock::new();

fn lookup(t: &Client, object: u64, type_info: u64) -> u64 {
    t.call("WdfObjectGetTypedContextWorker", &[object, type_info])
}

extern "win64" fn destroy_reads_context(object: u64) {
    let context = lookup(&client(), object, *TYPE.get().unwrap());
    note(format!("destroy sees {}", guest::read::<u64>(context)));
}

extern "win64" fn first_cleanup(_object: u64) {
    note("first cleanup");
}
extern "win64" fn first_destroy(_object: u64) {
    note("first destroy");
}
extern "win64" fn second_cleanup(_object: u64) {
    note("second cleanup");
}
extern "win64" fn second_destroy(_object: u64) {
    note("second destroy");
}

/// Attributes with a context of `size` bytes; gives them and the type record.
fn typed(size: u64) -> (u64, u64) {
    let (at, record) = (attributes(), context_type(size));
    guest::write(at + 48, record);
    (at, record)
}

fn added(size: u64, cleanup: extern "win64" fn(u64), destroy: extern "win64" fn(u64)) -> u64 {
    let (at, _) = typed(size);
    guest::write(at + 8, cleanup as *const () as u64);
    guest::write(at + 16, destroy as *const () as u64);
    at
}

rusty_fork_test! {
    /// R-OBJ-51: the type record of KMDF 1.0 ends earlier; other sizes are nobody's.
    #[test]
    fn a_type_record_of_another_size_is_refused() {
        let t = start();
        let created = |size: u32| {
            let (at, record) = typed(8);
            guest::write(record, size);
            t.create("WdfObjectCreate", &[at]).err()
        };
        assert_eq!(created(40), None);
        assert_eq!(created(32), None);
        assert_eq!(created(24), Some(NtStatus::INFO_LENGTH_MISMATCH));
        assert_eq!(created(0), Some(NtStatus::INFO_LENGTH_MISMATCH));
    }

    /// R-OBJ-62, R-OBJ-34, R-OBJ-35: the context is there until destroy has returned, at any level.
    #[test]
    fn a_context_is_found_above_dispatch_level_and_while_the_object_is_destroyed() {
        let t = start();
        let (at, record) = typed(8);
        guest::write(at + 16, destroy_reads_context as *const () as u64);
        TYPE.set(record).unwrap();
        let object = t.create("WdfObjectCreate", &[at]).unwrap();
        let context = nt::thread::current().at_least(3, || lookup(&t, object, record));
        guest::write(context, 4711_u64);
        t.call("WdfObjectDelete", &[object]);
        assert_eq!(taken(), ["destroy sees 4711"]);
    }

    /// R-OBJ-64, R-OBJ-16: further contexts, references and deletion do not move it.
    #[test]
    fn a_context_keeps_its_address_as_long_as_the_object_lives() {
        let t = start();
        let (at, record) = typed(8);
        let object = t.create("WdfObjectCreate", &[at]).unwrap();
        let context = lookup(&t, object, record);
        let out = memory(8);
        for size in [8, 4096, 100_000] {
            assert_eq!(t.status("WdfObjectAllocateContext", &[object, typed(size).0, out]), NtStatus::SUCCESS);
        }
        t.call("WdfObjectReferenceActual", &[object, 0, 0, 0]);
        t.call("WdfObjectDelete", &[object]);
        assert_eq!(lookup(&t, object, record), context);
    }

    /// R-OBJ-66.
    #[test]
    fn an_object_being_deleted_takes_no_further_context() {
        let t = start();
        let object = t.create("WdfObjectCreate", &[attributes()]).unwrap();
        t.call("WdfObjectReferenceActual", &[object, 0, 0, 0]);
        t.call("WdfObjectDelete", &[object]);
        let out = memory(8);
        assert_eq!(t.status("WdfObjectAllocateContext", &[object, typed(8).0, out]), NtStatus::DELETE_PENDING);
    }

    /// R-OBJ-67, R-OBJ-33: every context has its own callbacks, each called once, in the order the contexts came.
    #[test]
    fn every_context_has_its_own_cleanup_and_destroy() {
        let t = start();
        let object = t.create("WdfObjectCreate", &[recorded(0)]).unwrap();
        super::bench::call_it(object, "object");
        let out = memory(8);
        for at in [added(8, first_cleanup, first_destroy), added(16, second_cleanup, second_destroy)] {
            assert_eq!(t.status("WdfObjectAllocateContext", &[object, at, out]), NtStatus::SUCCESS);
        }
        t.call("WdfObjectDelete", &[object]);
        assert_eq!(taken(), [
            "cleanup object irql=0", "first cleanup", "second cleanup",
            "destroy object", "first destroy", "second destroy",
        ]);
    }
}
