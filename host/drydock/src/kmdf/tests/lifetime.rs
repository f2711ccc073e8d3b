//! References, deletion and default parents: R-OBJ-01, R-OBJ-10 to R-OBJ-37.

use rusty_fork::rusty_fork_test;

use super::super::guest;
use super::bench::{call_it, client, memory, note, recorded, start, taken};
use super::device::control_device;
use crate::nt;
use crate::nt::abi::DriverObject;

extern "win64" fn cleanup_dereferences(object: u64) {
    note("cleanup gives the reference back");
    client().call("WdfObjectDereferenceActual", &[object, 0, 0, 0]);
}

rusty_fork_test! {
    /// R-OBJ-01: no two objects have the same handle, and nothing is to be read through one.
    #[test]
    fn handles_are_distinct_words_that_are_no_addresses() {
        let t = start();
        let handles = [t.driver, t.object(0, "a"), t.object(0, "b")];
        for (place, handle) in handles.iter().enumerate() {
            assert_ne!(*handle, 0);
            assert_eq!(handle & 7, 0, "the low bits carry flags");
            assert!(!handles[..place].contains(handle));
            let canonical = (*handle as i64) << 16 >> 16;
            assert_ne!(canonical as u64, *handle);
        }
    }

    /// R-OBJ-10: what the driver takes and gives back leaves the framework's own reference, which only deletion drops.
    #[test]
    fn a_new_object_has_one_reference_that_deletion_drops() {
        let t = start();
        let object = t.object(0, "object");
        for _ in 0..3 {
            t.call("WdfObjectReferenceActual", &[object, 0, 0, 0]);
            t.call("WdfObjectDereferenceActual", &[object, 0, 0, 0]);
        }
        assert!(taken().is_empty());
        t.call("WdfObjectDelete", &[object]);
        assert_eq!(taken(), ["cleanup object irql=0", "destroy object"]);
    }

    /// R-OBJ-15, R-OBJ-33: neither a second deletion nor that of the former parent calls cleanup again.
    #[test]
    fn cleanup_is_called_once_however_often_deletion_is_asked_for() {
        let t = start();
        let parent = t.object(0, "parent");
        let child = t.object(parent, "child");
        t.call("WdfObjectReferenceActual", &[child, 0, 0, 0]);
        t.call("WdfObjectDelete", &[child]);
        t.call("WdfObjectDelete", &[child]);
        t.call("WdfObjectDelete", &[parent]);
        assert_eq!(taken(), ["cleanup child irql=0", "cleanup parent irql=0", "destroy parent"]);
        t.call("WdfObjectDereferenceActual", &[child, 0, 0, 0]);
        assert_eq!(taken(), ["destroy child"]);
    }

    /// R-OBJ-35: the last reference may go in the cleanup callback; destroy follows within the deletion.
    #[test]
    fn a_reference_given_back_in_cleanup_lets_the_object_end() {
        let t = start();
        let at = recorded(0);
        guest::write(at + 8, cleanup_dereferences as *const () as u64);
        let object = t.create("WdfObjectCreate", &[at]).unwrap();
        call_it(object, "object");
        t.call("WdfObjectReferenceActual", &[object, 0, 0, 0]);
        t.call("WdfObjectDelete", &[object]);
        assert_eq!(taken(), ["cleanup gives the reference back", "destroy object"]);
    }

    /// R-OBJ-36, R-OBJ-37: what has the driver as parent by default lives until the driver is unloaded.
    #[test]
    fn objects_without_a_parent_live_until_unload() {
        let t = start();
        let request = t.create("WdfRequestCreate", &[recorded(0), 0]).unwrap();
        call_it(request, "request");
        let out = memory(8);
        assert!(t.status("WdfMemoryCreate", &[recorded(0), 0, 0, 8, out, 0]).is_success());
        call_it(guest::read(out), "memory");
        for (function, name) in [
            ("WdfSpinLockCreate", "spin lock"),
            ("WdfWaitLockCreate", "wait lock"),
            ("WdfCollectionCreate", "collection"),
        ] {
            call_it(t.create(function, &[recorded(0)]).unwrap(), name);
        }
        nt::workitem::wait_idle();
        assert!(taken().is_empty());
        nt::driver::unload(t.driver_object as *mut DriverObject).unwrap();
        let log = taken();
        assert_eq!(log[0], "unload");
        for name in ["request", "memory", "spin lock", "wait lock", "collection"] {
            assert!(log.contains(&format!("cleanup {name} irql=0")), "{name}: {log:?}");
            assert!(log.contains(&format!("destroy {name}")), "{name}: {log:?}");
        }
    }

    /// R-OBJ-36: an I/O target without a named parent goes with its device.
    #[test]
    fn a_target_without_a_parent_belongs_to_the_device() {
        let t = start();
        let device = control_device(&t);
        call_it(t.create("WdfIoTargetCreate", &[device, recorded(0)]).unwrap(), "target");
        t.call("WdfObjectDelete", &[device]);
        assert_eq!(taken(), [
            "cleanup target irql=0", "cleanup control irql=0", "destroy target", "destroy control",
        ]);
    }
}
