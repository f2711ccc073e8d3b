//! References, deletion, and the order of cleanup and destroy (R-OBJ-10 to R-OBJ-40).
//!
//! Deletion has three steps. *Begin*: the object leaves its parent; nothing can be created below it any more.
//! *Dispose*: bottom-up, bodies end their activity and cleanup callbacks run. *Release*: bottom-up again, the
//! framework's references are dropped; what has no other reference is destroyed.

use std::sync::atomic::Ordering;

use super::ddi;
use super::handle::{self, WDF_VIOLATION};
use super::kind::Kind;
use super::object::{Disposed, ObjRef, Object, Stage};
use crate::nt;
use crate::verify;

/// `WdfObjectReference`: adds one reference.
pub fn reference(object: &Object) {
    object.references.fetch_add(1, Ordering::AcqRel);
}

/// `WdfObjectDereference`: takes one reference away, and destroys the object if it was the last.
pub fn dereference(object: &ObjRef) {
    let before = object.references.fetch_sub(1, Ordering::AcqRel);
    if before > 1 {
        if before == 2 {
            object.any_body().one_reference_left(object);
        }
        return;
    }
    let (stage, attached) = {
        let tree = object.tree.lock();
        (
            tree.stage,
            tree.parent.is_some() || !tree.children.is_empty(),
        )
    };
    if stage == Stage::Alive {
        if object.kind() == Kind::Request && !attached {
            // R-OBJ-14: the framework would free a request whose IRP is outstanding.
            verify::violation(
                "R-OBJ-14",
                format!(
                    "{} was dereferenced more often than referenced",
                    object.name()
                ),
            );
        }
        verify::bug_check(
            WDF_VIOLATION,
            [7, object.handle().0, 0, 0],
            format!(
                "the last reference of {} was dropped without deleting it (R-OBJ-13)",
                object.name()
            ),
        );
    }
    if object.passive_dispose.load(Ordering::Relaxed) && nt::thread::current().irql() > 0 {
        let object = object.clone();
        later(move || destroy(&object));
    } else {
        destroy(object);
    }
}

/// A counted reference of the framework itself; dropping it dereferences.
pub struct Hold(ObjRef);

impl Hold {
    /// References `object` until the hold is dropped.
    pub fn new(object: &ObjRef) -> Self {
        reference(object);
        Self(object.clone())
    }

    /// The object held.
    pub fn object(&self) -> &ObjRef {
        &self.0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        dereference(&self.0);
    }
}

/// Deletes an object: the framework's own way, or what `WdfObjectDelete` does after its checks.
///
/// Disposal moves to a work item if the object or a descendant needs PASSIVE_LEVEL and the caller is above it
/// (R-OBJ-18). A second deletion has no effect (R-OBJ-15).
pub fn delete(object: &ObjRef) {
    if !begin(object) {
        return;
    }
    if needs_passive(object) && nt::thread::current().irql() > 0 {
        let object = object.clone();
        later(move || finish(&object));
    } else {
        finish(object);
    }
}

/// Deletes an object that was never handed out: no callback runs.
pub fn discard(object: &ObjRef) {
    object.suppress_callbacks(true);
    delete(object);
}

/// Disposes an object's children and itself ahead of its deletion, and destroys the children: the object serves on
/// until [`delete`] (completion of a request, R-REQ-20 step 4, R-OBJ-39).
///
/// Returns false if the work had to be left to a work item because a child needs PASSIVE_LEVEL (R-OBJ-76); the object's
/// deletion then happens there too.
pub fn dispose_early(object: &ObjRef) -> bool {
    if !has_children(object) {
        begin(object);
        dispose_self(object);
        return true;
    }
    let here = !needs_passive(object) || nt::thread::current().irql() == 0;
    begin(object);
    if here {
        dispose(object);
        release_children(object);
    } else {
        let object = object.clone();
        later(move || {
            dispose(&object);
            release_children(&object);
        });
    }
    here
}

/// Drops the framework's reference of an object disposed early.
pub fn release_disposed(object: &ObjRef) {
    dereference(object);
}

/// Calls the cleanup callbacks of an object, once (R-OBJ-33); they may give back references (R-OBJ-35).
pub fn run_cleanup(object: &ObjRef) {
    if object.cleanup_done.swap(true, Ordering::AcqRel)
        || object.callbacks_off.load(Ordering::Relaxed)
    {
        return;
    }
    object.contexts.call_cleanup(object.handle());
}

/// Runs `f` at PASSIVE_LEVEL on a work item.
fn later(f: impl FnOnce() + Send + 'static) {
    nt::workitem::queue(nt::workitem::Queue::Delayed, move || {
        ddi::guard("deferred disposal", f);
    });
}

fn has_children(object: &Object) -> bool {
    !object.tree.lock().children.is_empty()
}

/// Marks deletion begun and takes the object away from its parent. False if someone else has begun, or will: a parent
/// being deleted disposes its children itself.
fn begin(object: &ObjRef) -> bool {
    let parent = {
        let tree = object.tree.lock();
        if tree.stage != Stage::Alive {
            return false;
        }
        tree.parent.clone()
    };
    if let Some((parent, place)) = parent
        && let Some(parent) = parent.upgrade()
    {
        let mut tree = parent.tree.lock();
        if tree.stage != Stage::Alive || tree.children.remove(&place).is_none() {
            return false;
        }
    }
    let mut tree = object.tree.lock();
    if tree.stage != Stage::Alive {
        return false;
    }
    tree.stage = Stage::Deleting;
    true
}

fn needs_passive(object: &Object) -> bool {
    if object.passive_dispose.load(Ordering::Relaxed) {
        return true;
    }
    object.children().iter().any(|child| needs_passive(child))
}

fn finish(object: &ObjRef) {
    dispose(object);
    release(object);
}

/// R-OBJ-30, R-OBJ-31: children first, in creation order, then the object itself.
fn dispose(object: &ObjRef) {
    for child in object.children() {
        child.tree.lock().stage = Stage::Deleting;
        dispose(&child);
    }
    dispose_self(object);
}

fn dispose_self(object: &ObjRef) {
    if object.any_body().dispose(object) == Disposed::CallCleanup {
        run_cleanup(object);
    }
    // Callbacks that ran until now could still ask for the parent.
    let mut tree = object.tree.lock();
    tree.stage = Stage::Disposed;
    tree.parent = None;
}

/// R-OBJ-32: the framework's references of the children are dropped before the parent's.
fn release(object: &ObjRef) {
    release_children(object);
    dereference(object);
}

fn release_children(object: &ObjRef) {
    let children = std::mem::take(&mut object.tree.lock().children);
    for child in children.into_values() {
        release(&child);
    }
}

fn destroy(object: &ObjRef) {
    object.tree.lock().stage = Stage::Destroyed;
    // R-OBJ-33: cleanup precedes destroy even where deletion did not call it.
    run_cleanup(object);
    if !object.callbacks_off.load(Ordering::Relaxed) {
        object.contexts.call_destroy(object.handle());
    }
    object.any_body().destroyed(object);
    object.contexts.free();
    handle::retire(object.handle(), ddi::current_name());
}
