//! Objects: group A of the specification.

use rusty_fork::rusty_fork_test;

use super::super::guest;
use super::bench::{
    attributes, call_it, context_type, expect_end, memory, recorded, start, start_lenient, taken,
};
use crate::nt::status::NtStatus;
use crate::{nt, verify};

rusty_fork_test! {
    /// R-OBJ-30, R-OBJ-31, R-OBJ-32.
    #[test]
    fn a_tree_is_cleaned_up_bottom_up_and_a_referenced_child_outlives_its_parent() {
        let t = start();
        let parent = t.object(0, "parent");
        let a = t.object(parent, "child-a");
        let b = t.object(parent, "child-b");
        t.object(a, "grandchild");
        t.call("WdfObjectReferenceActual", &[b, 0, 0, 0]);
        t.call("WdfObjectDelete", &[parent]);
        assert_eq!(taken(), [
            "cleanup grandchild irql=0", "cleanup child-a irql=0", "cleanup child-b irql=0", "cleanup parent irql=0",
            "destroy grandchild", "destroy child-a", "destroy parent",
        ]);
        t.call("WdfObjectDereferenceActual", &[b, 0, 0, 0]);
        assert_eq!(taken(), ["destroy child-b"]);
    }

    /// R-OBJ-11, R-OBJ-12, R-OBJ-16.
    #[test]
    fn destroy_waits_for_the_last_reference() {
        let t = start();
        let object = t.object(0, "object");
        t.call("WdfObjectReferenceActual", &[object, 0, 0, 0]);
        t.call("WdfObjectDelete", &[object]);
        assert_eq!(taken(), ["cleanup object irql=0"]);
        t.call("WdfObjectDereferenceActual", &[object, 0, 0, 0]);
        assert_eq!(taken(), ["destroy object"]);
    }

    /// R-OBJ-05.
    #[test]
    fn use_of_a_freed_handle_ends_the_run() {
        let t = start();
        let object = t.object(0, "object");
        t.call("WdfObjectDelete", &[object]);
        expect_end("R-OBJ-05", || { t.call("WdfObjectDelete", &[object]); });
    }

    /// R-OBJ-03.
    #[test]
    fn a_null_handle_is_a_bug_check() {
        let t = start();
        expect_end("R-OBJ-03", || { t.call("WdfSpinLockAcquire", &[0]); });
    }

    /// R-OBJ-04.
    #[test]
    fn a_handle_of_another_type_is_a_bug_check() {
        let t = start();
        let object = t.object(0, "object");
        expect_end("R-OBJ-04", || { t.call("WdfSpinLockAcquire", &[object]); });
    }

    /// R-OBJ-06.
    #[test]
    fn a_null_object_is_a_bug_check() {
        let t = start();
        expect_end("R-OBJ-06", || { t.call("WdfObjectReferenceActual", &[0, 0, 0, 0]); });
    }

    /// R-OBJ-13.
    #[test]
    fn dropping_the_last_reference_without_deleting_is_a_bug_check() {
        let t = start();
        let object = t.object(0, "object");
        expect_end("R-OBJ-13", || { t.call("WdfObjectDereferenceActual", &[object, 0, 0, 0]); });
    }

    /// R-OBJ-20.
    #[test]
    fn deleting_the_driver_is_refused() {
        let t = start_lenient();
        t.call("WdfObjectDelete", &[t.driver]);
        assert_eq!(verify::breaks(), 1);
        assert_eq!(t.call("WdfDriverWdmGetDriverObject", &[t.driver]), t.driver_object);
    }

    /// R-OBJ-38.
    #[test]
    fn nothing_is_created_below_a_parent_that_is_being_deleted() {
        let t = start();
        let parent = t.object(0, "parent");
        t.call("WdfObjectReferenceActual", &[parent, 0, 0, 0]);
        t.call("WdfObjectDelete", &[parent]);
        assert_eq!(t.create("WdfObjectCreate", &[recorded(parent)]), Err(NtStatus::DELETE_PENDING));
    }

    /// R-OBJ-50, R-OBJ-52, R-OBJ-53, R-OBJ-54.
    #[test]
    fn attributes_are_judged() {
        let t = start();
        let judged = |change: &dyn Fn(u64)| {
            let at = attributes();
            change(at);
            t.create("WdfObjectCreate", &[at]).err()
        };
        assert_eq!(judged(&|at| guest::write(at, 48_u32)), Some(NtStatus::INFO_LENGTH_MISMATCH));
        assert_eq!(judged(&|at| guest::write(at + 40, 16_u64)), Some(NtStatus::WDF_OBJECT_ATTRIBUTES_INVALID));
        assert_eq!(judged(&|at| guest::write(at + 24, 0_u32)), Some(NtStatus::WDF_OBJECT_ATTRIBUTES_INVALID));
        assert_eq!(judged(&|at| guest::write(at + 28, 0_u32)), Some(NtStatus::WDF_OBJECT_ATTRIBUTES_INVALID));
        assert_eq!(judged(&|at| guest::write(at + 28, 9_u32)), Some(NtStatus::WDF_OBJECT_ATTRIBUTES_INVALID));
        assert_eq!(judged(&|at| guest::write(at + 28, 2_u32)), Some(NtStatus::WDF_SYNCHRONIZATION_SCOPE_INVALID));
        assert_eq!(judged(&|_| ()), None);
    }

    /// R-OBJ-60, R-OBJ-61, R-OBJ-63, R-OBJ-65.
    #[test]
    fn contexts_are_found_by_their_type_record_and_zeroed() {
        let t = start();
        let (first, second, other) = (context_type(24), context_type(8), context_type(8));
        let at = attributes();
        guest::write(at + 48, first);
        let object = t.create("WdfObjectCreate", &[at]).unwrap();
        let context = t.call("WdfObjectGetTypedContextWorker", &[object, first]);
        assert_eq!(guest::bytes(context, 24), [0; 24]);
        assert_eq!(t.call("WdfObjectContextGetObject", &[context]), object);
        assert_eq!(t.call("WdfObjectGetTypedContextWorker", &[object, other]), 0);
        let more = attributes();
        guest::write(more + 48, second);
        let out = memory(8);
        assert_eq!(t.status("WdfObjectAllocateContext", &[object, more, out]), NtStatus::SUCCESS);
        let added = guest::read::<u64>(out);
        assert_eq!(t.status("WdfObjectAllocateContext", &[object, more, out]), NtStatus::OBJECT_NAME_EXISTS);
        assert_eq!(guest::read::<u64>(out), added);
        assert_eq!(t.status("WdfObjectAllocateContext", &[object, attributes(), out]), NtStatus::OBJECT_NAME_INVALID);
    }

    /// R-OBJ-18, R-OBJ-19.
    #[test]
    fn an_object_of_level_passive_is_disposed_by_a_work_item_when_deleted_above() {
        let t = start();
        let at = recorded(0);
        guest::write(at + 24, 2_u32);
        let object = t.create("WdfObjectCreate", &[at]).unwrap();
        call_it(object, "passive");
        nt::thread::current().at_least(2, || t.call("WdfObjectDelete", &[object]));
        nt::workitem::wait_idle();
        assert_eq!(taken(), ["cleanup passive irql=0", "destroy passive"]);
    }

    /// R-DEV-90, R-CHK-38.
    #[test]
    fn a_collection_keeps_its_members_alive() {
        let t = start_lenient();
        let collection = t.create("WdfCollectionCreate", &[0]).unwrap();
        let (a, b) = (t.object(0, "a"), t.object(0, "b"));
        for member in [a, b, a] {
            assert_eq!(t.status("WdfCollectionAdd", &[collection, member]), NtStatus::SUCCESS);
        }
        assert_eq!(t.call("WdfCollectionGetCount", &[collection]) as u32, 3);
        assert_eq!(t.call("WdfCollectionGetItem", &[collection, 1]), b);
        assert_eq!(t.call("WdfCollectionGetLastItem", &[collection]), a);
        assert_eq!(t.call("WdfCollectionGetItem", &[collection, 9]), 0);
        t.call("WdfObjectDelete", &[a]);
        assert_eq!(taken(), ["cleanup a irql=0"]);
        t.call("WdfCollectionRemove", &[collection, a]);
        t.call("WdfCollectionRemoveItem", &[collection, 9]);
        assert_eq!(verify::breaks(), 1);
        let stranger = t.object(0, "stranger");
        t.call("WdfCollectionRemove", &[collection, stranger]);
        assert_eq!(verify::breaks(), 2);
        assert_eq!(t.call("WdfCollectionGetCount", &[collection]) as u32, 2);
        t.call("WdfObjectDelete", &[collection]);
        assert_eq!(taken(), ["destroy a"]);
    }

    /// R-DEV-92.
    #[test]
    fn memory_objects_check_what_is_copied() {
        let t = start();
        let (memory_out, buffer_out) = (memory(8), memory(8));
        let create = |size: u64| t.status("WdfMemoryCreate", &[0, 0, 0, size, memory_out, buffer_out]);
        assert_eq!(create(0), NtStatus::INVALID_PARAMETER);
        assert_eq!(create(16), NtStatus::SUCCESS);
        let object = guest::read::<u64>(memory_out);
        let size = memory(8);
        assert_eq!(t.call("WdfMemoryGetBuffer", &[object, size]), guest::read::<u64>(buffer_out));
        assert_eq!(guest::read::<u64>(size), 16);
        let data = memory(32);
        guest::put_bytes(data, b"0123456789abcdef");
        assert_eq!(t.status("WdfMemoryCopyFromBuffer", &[object, 8, data, 8]), NtStatus::SUCCESS);
        assert_eq!(t.status("WdfMemoryCopyFromBuffer", &[object, 9, data, 8]), NtStatus::INVALID_BUFFER_SIZE);
        assert_eq!(t.status("WdfMemoryCopyToBuffer", &[object, 8, data + 16, 8]), NtStatus::SUCCESS);
        assert_eq!(guest::bytes(data + 16, 8), b"01234567");
        assert_eq!(t.status("WdfMemoryAssignBuffer", &[object, data, 8]), NtStatus::INVALID_DEVICE_REQUEST);
    }
}
