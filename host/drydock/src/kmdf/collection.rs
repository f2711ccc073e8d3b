//! WDFCOLLECTION: an ordered list of referenced objects (R-DEV-90, R-DEV-91).

use super::attributes::{Attributes, Rules};
use super::ddi::{Call, DISPATCH, export};
use super::guest;
use super::handle::{self, Typed};
use super::kind::Kind;
use super::lifetime::Hold;
use super::object::{self, Body, Disposed, ObjRef};
use super::parent_or_driver;
use crate::nt::status::NtStatus;
use crate::sched::Lock;

export! {
    "WdfCollectionCreate" => create[attributes: u64, out: u64] -> NtStatus, DISPATCH;
    "WdfCollectionGetCount" => get_count[collection: u64] -> u32, DISPATCH;
    "WdfCollectionAdd" => add[collection: u64, object: u64] -> NtStatus, DISPATCH;
    "WdfCollectionRemove" => remove[collection: u64, object: u64], DISPATCH;
    "WdfCollectionRemoveItem" => remove_item[collection: u64, index: u32], DISPATCH;
    "WdfCollectionGetItem" => get_item[collection: u64, index: u32] -> u64, DISPATCH;
    "WdfCollectionGetFirstItem" => get_first_item[collection: u64] -> u64, DISPATCH;
    "WdfCollectionGetLastItem" => get_last_item[collection: u64] -> u64, DISPATCH;
}

/// The body of a WDFCOLLECTION; its holds are references (R-DEV-90), which keep a completed request's object, never its IRP (R-DEV-91).
#[derive(Default)]
pub struct Collection(Lock<Vec<Hold>>);

impl Collection {
    /// Adds an object, with a reference on it.
    pub(super) fn push(&self, object: &ObjRef) {
        let hold = Hold::new(object);
        self.0.lock().push(hold);
    }

    /// The members, in order.
    pub(super) fn members(&self) -> Vec<ObjRef> {
        let items = self.0.lock();
        items.iter().map(|hold| hold.object().clone()).collect()
    }

    fn take(&self, index: usize) -> Option<Hold> {
        let mut items = self.0.lock();
        (index < items.len()).then(|| items.remove(index))
    }

    fn get(&self, index: usize) -> u64 {
        self.0
            .lock()
            .get(index)
            .map_or(0, |hold| hold.object().handle().0)
    }

    fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl Body for Collection {
    fn kind(&self) -> Kind {
        Kind::Collection
    }

    fn dispose(&self, _me: &ObjRef) -> Disposed {
        let items = std::mem::take(&mut *self.0.lock());
        drop(items);
        Disposed::CallCleanup
    }
}

impl Typed for Collection {
    const KIND: Kind = Kind::Collection;
}

/// `WdfCollectionCreate`: an empty collection; parent: the driver by default.
fn create(call: &Call, attributes: u64, out: u64) -> NtStatus {
    call.require(out, "Collection");
    guest::write(out, 0_u64);
    let attributes = match Attributes::read(attributes, Rules::PLAIN) {
        Ok(attributes) => attributes,
        Err(status) => return status,
    };
    let parent = parent_or_driver(call, &attributes);
    match object::create(
        call.binding,
        &attributes,
        parent.as_ref(),
        Collection::default(),
    ) {
        Ok(collection) => {
            guest::write(out, collection.handle());
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// `WdfCollectionGetCount`: number of members.
fn get_count(_call: &Call, collection: u64) -> u32 {
    handle::resolve::<Collection>(collection).len() as u32
}

/// `WdfCollectionAdd`: adds a member at the end, with a reference on it; duplicates are allowed.
fn add(call: &Call, collection: u64, object: u64) -> NtStatus {
    let collection = handle::resolve::<Collection>(collection);
    call.require(object, "Object");
    collection.push(&handle::resolve_any(object));
    NtStatus::SUCCESS
}

/// `WdfCollectionRemove`: removes the first occurrence of a member.
fn remove(call: &Call, collection: u64, object: u64) {
    let collection = handle::resolve::<Collection>(collection);
    call.require(object, "Item");
    let item = handle::resolve_any(object);
    let index = collection
        .0
        .lock()
        .iter()
        .position(|hold| hold.object().handle() == item.handle());
    match index.and_then(|index| collection.take(index)) {
        Some(hold) => drop(hold),
        None => call.framework_break(
            "R-CHK-38",
            &format!("{} is not in the collection", item.name()),
        ),
    }
}

/// `WdfCollectionRemoveItem`: removes the member at an index.
fn remove_item(call: &Call, collection: u64, index: u32) {
    let collection = handle::resolve::<Collection>(collection);
    match collection.take(index as usize) {
        Some(hold) => drop(hold),
        None => call.framework_break("R-CHK-38", &format!("there is no item {index}")),
    }
}

/// `WdfCollectionGetItem`: the member at an index; null if there is none.
fn get_item(_call: &Call, collection: u64, index: u32) -> u64 {
    handle::resolve::<Collection>(collection).get(index as usize)
}

/// `WdfCollectionGetFirstItem`: the first member; null if there is none.
fn get_first_item(_call: &Call, collection: u64) -> u64 {
    handle::resolve::<Collection>(collection).get(0)
}

/// `WdfCollectionGetLastItem`: the last member; null if there is none.
fn get_last_item(_call: &Call, collection: u64) -> u64 {
    let collection = handle::resolve::<Collection>(collection);
    collection.get(collection.len().wrapping_sub(1))
}
