//! Framework objects: what all of them share, and how one comes to life.
//!
//! An object is a head (handle, references, parent and children, contexts, callbacks) and a body, which a type of
//! object brings. [`ObjRef`] keeps the memory; the count a driver sees is another one ([`lifetime`](super::lifetime)).

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::attributes::Attributes;
use super::bind::Binding;
use super::context::Contexts;
use super::ddi;
use super::handle::{self, Handle, Part, Ref};
use super::kind::{ExecutionLevel, Kind, Scope};
use crate::nt::status::NtStatus;
use crate::sched::Lock;
use crate::verify;

/// Keeps an object's memory; says nothing about the driver's reference count.
pub type ObjRef = Arc<Object>;

/// What `Body::dispose` left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposed {
    /// The cleanup callbacks are to be called now.
    CallCleanup,
    /// The body has already called them, by [`lifetime::run_cleanup`](super::lifetime::run_cleanup).
    CleanupDone,
}

/// What a type of object brings: its state, and its part in the object's end.
pub trait Body: Any + Send + Sync {
    /// The type its handles have.
    fn kind(&self) -> Kind;

    /// Ends the object's activity, before its cleanup callbacks (unless it calls them itself). All its children have
    /// been disposed. Runs at PASSIVE_LEVEL if the object was made so ([`Object::set_passive_dispose`]).
    fn dispose(&self, _me: &ObjRef) -> Disposed {
        Disposed::CallCleanup
    }

    /// Last action, after the destroy callbacks.
    fn destroyed(&self, _me: &Object) {}

    /// The driver calls `WdfObjectDelete`: true lets deletion go on.
    fn driver_deletes(&self, _me: &ObjRef) -> bool {
        true
    }

    /// Buffer address and length of memory embedded in this object (R-OBJ-07).
    fn embedded_memory(&self, _part: Part) -> Option<(u64, usize)> {
        None
    }

    /// A reference was dropped, and one is left.
    fn one_reference_left(&self, _me: &ObjRef) {}

    /// Adds `change` to the references on memory embedded in this object.
    fn reference_embedded(&self, _part: Part, _change: i32) {}
}

/// Where an object is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// In use.
    Alive,
    /// Deletion has begun; children may still run their callbacks.
    Deleting,
    /// It and its children are cleaned up; references may keep it.
    Disposed,
    /// Destroy callbacks are running or have run.
    Destroyed,
}

/// Parent, children and stage: everything about the tree an object stands in.
pub(super) struct Tree {
    pub stage: Stage,
    pub parent: Option<(Weak<Object>, u64)>,
    pub children: BTreeMap<u64, ObjRef>,
    next_child: u64,
}

/// A framework object with its body.
pub struct Object<B: ?Sized + 'static = dyn Body> {
    handle: Handle,
    kind: Kind,
    serial: u64,
    created_by: &'static str,
    binding: &'static Binding,
    level: ExecutionLevel,
    scope: Scope,
    pub(super) references: AtomicU32,
    pub(super) passive_dispose: AtomicBool,
    undeletable: AtomicBool,
    pub(super) cleanup_done: AtomicBool,
    pub(super) callbacks_off: AtomicBool,
    pub(super) contexts: Contexts,
    pub(super) tree: Lock<Tree>,
    body: B,
}

impl Object {
    /// How many references it has, the framework's own included.
    pub(super) fn references(&self) -> u32 {
        self.references.load(Ordering::Acquire)
    }

    /// The handle drivers know it by.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its number among the objects of its type.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The DDI that made it.
    pub fn created_by(&self) -> &'static str {
        self.created_by
    }

    /// The client driver it belongs to.
    pub fn binding(&self) -> &'static Binding {
        self.binding
    }

    /// Execution level its attributes asked for.
    pub fn level(&self) -> ExecutionLevel {
        self.level
    }

    /// Synchronization scope its attributes asked for.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Name for reports, such as `WDFREQUEST #12`.
    pub fn name(&self) -> String {
        format!("{} #{}", self.kind.name(), self.serial)
    }

    /// Whether its body is a `B`.
    pub fn is<B: Body>(&self) -> bool {
        let body: &dyn Any = &self.body;
        body.is::<B>()
    }

    /// Its body, if that is a `B`.
    pub fn body<B: Body>(&self) -> Option<&B> {
        let body: &dyn Any = &self.body;
        body.downcast_ref()
    }

    /// Its body, of whatever type.
    pub fn any_body(&self) -> &dyn Body {
        &self.body
    }

    /// Where it is in its life.
    pub fn stage(&self) -> Stage {
        self.tree.lock().stage
    }

    /// Its parent, while it has one.
    pub fn parent(&self) -> Option<ObjRef> {
        self.tree
            .lock()
            .parent
            .as_ref()
            .and_then(|(parent, _)| parent.upgrade())
    }

    /// This object or the nearest ancestor whose body is a `B`.
    pub fn nearest<B: Body>(self: &Arc<Self>) -> Option<Ref<B>> {
        let mut at = self.clone();
        loop {
            if let Some(found) = Ref::of(at.clone()) {
                return Some(found);
            }
            at = at.parent()?;
        }
    }

    /// Its children, in creation order.
    pub fn children(&self) -> Vec<ObjRef> {
        self.tree.lock().children.values().cloned().collect()
    }

    /// Disposal of this object must happen at PASSIVE_LEVEL (R-OBJ-19).
    pub fn set_passive_dispose(&self) {
        self.passive_dispose.store(true, Ordering::Relaxed);
    }

    /// `WdfObjectDelete` is refused from now on, or allowed again (R-OBJ-20).
    pub fn set_undeletable(&self, undeletable: bool) {
        self.undeletable.store(undeletable, Ordering::Relaxed);
    }

    /// Whether `WdfObjectDelete` is refused (R-OBJ-20).
    pub fn is_undeletable(&self) -> bool {
        self.undeletable.load(Ordering::Relaxed)
    }

    /// Neither cleanup nor destroy callbacks are called from now on (R-OBJ-74), or they are again.
    pub fn suppress_callbacks(&self, suppress: bool) {
        self.callbacks_off.store(suppress, Ordering::Relaxed);
    }

    /// Allows the cleanup callbacks to run once more: for an object that serves a new request (reuse of a reserved
    /// request object, R-OBJ-68).
    pub fn revive(&self) {
        self.tree.lock().stage = Stage::Alive;
        self.cleanup_done.store(false, Ordering::Relaxed);
    }
}

/// The next number among the objects of a type.
fn next_serial(kind: Kind) -> u64 {
    static SERIALS: [AtomicU64; Kind::CODES] = [const { AtomicU64::new(0) }; Kind::CODES];
    SERIALS[kind.code()].fetch_add(1, Ordering::Relaxed) + 1
}

/// Makes an object with the context its attributes ask for, zero-filled (R-OBJ-63), and one reference, which belongs to
/// the framework (R-OBJ-10).
///
/// # Errors
/// STATUS_INSUFFICIENT_RESOURCES if there is no memory for the context; STATUS_DELETE_PENDING if deletion of the parent
/// has begun (R-OBJ-38).
pub fn create<B: Body>(
    binding: &'static Binding,
    attributes: &Attributes,
    parent: Option<&ObjRef>,
    body: B,
) -> Result<Ref<B>, NtStatus> {
    let kind = body.kind();
    let created_by = ddi::current_name();
    if verify::failable(created_by) {
        return Err(NtStatus::INSUFFICIENT_RESOURCES);
    }
    let reserved = handle::reserve();
    let contexts = match Contexts::new(binding, reserved.handle(), attributes) {
        Ok(contexts) => contexts,
        Err(status) => {
            reserved.release();
            return Err(status);
        }
    };
    let object: ObjRef = Arc::new(Object {
        handle: reserved.handle(),
        kind,
        serial: next_serial(kind),
        created_by,
        binding,
        level: attributes.level,
        scope: attributes.scope,
        references: AtomicU32::new(1),
        passive_dispose: AtomicBool::new(attributes.level == ExecutionLevel::Passive),
        undeletable: AtomicBool::new(false),
        cleanup_done: AtomicBool::new(false),
        callbacks_off: AtomicBool::new(false),
        contexts,
        tree: Lock::new(Tree {
            stage: Stage::Alive,
            parent: None,
            children: BTreeMap::new(),
            next_child: 0,
        }),
        body,
    });
    if let Some(parent) = parent
        && let Err(status) = adopt(parent, &object)
    {
        object.contexts.free();
        reserved.release();
        return Err(status);
    }
    reserved.publish(object.clone());
    match Ref::of(object) {
        Some(typed) => Ok(typed),
        None => unreachable!("the body was stored with its own type"),
    }
}

/// Puts `child` below `parent`, unless deletion of the parent has begun (R-OBJ-38).
pub(super) fn adopt(parent: &ObjRef, child: &ObjRef) -> Result<(), NtStatus> {
    let place = {
        let mut tree = parent.tree.lock();
        if tree.stage != Stage::Alive {
            return Err(NtStatus::DELETE_PENDING);
        }
        let place = tree.next_child;
        tree.next_child += 1;
        tree.children.insert(place, child.clone());
        place
    };
    child.tree.lock().parent = Some((Arc::downgrade(parent), place));
    Ok(())
}

/// A body without state: what `WdfObjectCreate` makes.
pub struct General;

impl Body for General {
    fn kind(&self) -> Kind {
        Kind::Object
    }
}
