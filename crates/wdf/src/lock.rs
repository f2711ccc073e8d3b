//! Spin and wait locks, by closure.
//!
//! There is no guard to forget or to release in the wrong order (R-DEV-72): the lock is held exactly while the closure
//! runs, and the closure cannot complete, send or unpark anything because those need the [`Cx`] the lock has borrowed.

use core::{cell::UnsafeCell, ptr::NonNull};

use wdk_sys::{
    WDFSPINLOCK, WDFSPINLOCK__, WDFWAITLOCK, WDFWAITLOCK__, call_unsafe_wdf_function_binding,
};

use crate::{
    Status,
    clock::Span,
    context,
    cx::{self, CanWait, Cx, Locked, Place},
    driver,
};

/// Data behind a `WDFSPINLOCK`.
///
/// `RANK` is its place in the driver's order of locks: [`with2`] takes two of them, the lower rank first, and nothing else takes two, so that no
/// two threads wait for each other's.
///
/// Invariant: `lock` is a spin lock this value alone owns; it is deleted when the value is dropped.
/// `data` is touched only while it is held.
pub struct SpinLock<T, const RANK: u8 = 0> {
    lock: NonNull<WDFSPINLOCK__>,
    data: UnsafeCell<T>,
}

// SAFETY: the lock handle may be used from any thread; the data moves along.
unsafe impl<T: Send, const RANK: u8> Send for SpinLock<T, RANK> {}
// SAFETY: `with` is the only access and holds the lock: one thread at a time sees `&mut T`.
unsafe impl<T: Send, const RANK: u8> Sync for SpinLock<T, RANK> {}

impl<T, const RANK: u8> SpinLock<T, RANK> {
    /// `WdfSpinLockCreate`. IRQL <= `DISPATCH_LEVEL`. The lock lives as long as this value.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new(data: T) -> Result<Self, Status> {
        let mut attributes = context::plain_attributes();
        // It outlives the value, whatever object that is in the context of (R-OBJ-36).
        attributes.ParentObject = driver::handle().cast();
        let mut lock: WDFSPINLOCK = core::ptr::null_mut();
        // SAFETY: both pointers are to locals; the parent is the driver object.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(WdfSpinLockCreate, &raw mut attributes, &raw mut lock)
        };
        Status::from_raw(status).ok()?;
        // INVARIANT: just created, known to nobody else.
        let lock = NonNull::new(lock).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        Ok(Self {
            lock,
            data: UnsafeCell::new(data),
        })
    }

    /// Runs `f` with the lock held. Stands for `WdfSpinLockAcquire` and `WdfSpinLockRelease`. `f` runs at `DISPATCH_LEVEL`.
    ///
    /// Not recursive (R-DEV-70); `cx` being borrowed keeps this token from taking a second lock.
    pub fn with<R, P: Place>(&self, _cx: &mut Cx<'_, P>, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: no lock is held (the token), and every place is at IRQL <= DISPATCH_LEVEL.
        unsafe { self.hold(f) }
    }

    /// # Safety
    /// IRQL <= `DISPATCH_LEVEL`; this thread does not hold this lock, and holds others of lower rank only.
    unsafe fn hold<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: the lock is live by the type's invariant; not held by this thread (contract).
        unsafe { call_unsafe_wdf_function_binding!(WdfSpinLockAcquire, self.lock.as_ptr()) };
        // SAFETY: held: no other reference to the data exists (type invariant).
        let data = unsafe { &mut *self.data.get() };
        let result = f(data);
        // SAFETY: acquired above by this thread.
        unsafe { call_unsafe_wdf_function_binding!(WdfSpinLockRelease, self.lock.as_ptr()) };
        result
    }

    /// The data of a lock nobody else can reach.
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    /// An opaque value no other live lock has.
    pub(crate) fn identity(&self) -> usize {
        self.lock.as_ptr().addr()
    }
}

impl<T, const RANK: u8> Drop for SpinLock<T, RANK> {
    fn drop(&mut self) {
        // SAFETY: owned by the type's invariant; deleting is legal at IRQL <= DISPATCH_LEVEL (R-OBJ-17).
        unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, self.lock.as_ptr().cast()) };
    }
}

/// Runs `f` with both locks held, `first` taken before `second` and given back after it (R-DEV-72). `f` runs at `DISPATCH_LEVEL`.
///
/// The order is declared by the ranks: `A` must be the lower one, or the program does not compile. So the two are never one lock, and never taken in
/// two orders.
pub fn with2<T, U, R, P: Place, const A: u8, const B: u8>(
    _cx: &mut Cx<'_, P>,
    first: &SpinLock<T, A>,
    second: &SpinLock<U, B>,
    f: impl FnOnce(&mut T, &mut U) -> R,
) -> R {
    const {
        assert!(A < B, "two locks are taken in the order of their ranks");
    };
    let inner = |data: &mut T| {
        // SAFETY: held is `first` alone, of lower rank (asserted), and so another lock.
        unsafe { second.hold(|more| f(data, more)) }
    };
    // SAFETY: no lock is held (the token).
    unsafe { first.hold(inner) }
}

/// Data behind a `WDFWAITLOCK`: for code at `PASSIVE_LEVEL` that calls into the framework while it holds the lock.
///
/// Invariant: as [`SpinLock`].
pub struct WaitLock<T> {
    lock: NonNull<WDFWAITLOCK__>,
    data: UnsafeCell<T>,
}

// SAFETY: as for SpinLock.
unsafe impl<T: Send> Send for WaitLock<T> {}
// SAFETY: as for SpinLock.
unsafe impl<T: Send> Sync for WaitLock<T> {}

impl<T> WaitLock<T> {
    /// `WdfWaitLockCreate`. IRQL <= `DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new(data: T) -> Result<Self, Status> {
        let mut attributes = context::plain_attributes();
        // It outlives the value, whatever object that is in the context of (R-OBJ-36).
        attributes.ParentObject = driver::handle().cast();
        let mut lock: WDFWAITLOCK = core::ptr::null_mut();
        // SAFETY: both pointers are to locals; the parent is the driver object.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(WdfWaitLockCreate, &raw mut attributes, &raw mut lock)
        };
        Status::from_raw(status).ok()?;
        let lock = NonNull::new(lock).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        Ok(Self {
            lock,
            data: UnsafeCell::new(data),
        })
    }

    /// Waits for the lock without limit and runs `f` with it. Stands for `WdfWaitLockAcquire(lock, NULL)` and `WdfWaitLockRelease`.
    ///
    /// `f` gets a token of its own, for framework calls that are fine under the lock. No wait lock can be taken with it: this one would wait
    /// for itself (R-DEV-75), another one for whoever takes the two in the other order.
    pub fn with<R, P: CanWait>(
        &self,
        _cx: &mut Cx<'_, P>,
        f: impl FnOnce(&mut T, &mut Cx<'_, Locked>) -> R,
    ) -> R {
        // SAFETY: live by the type's invariant; PASSIVE_LEVEL by `P`. Without a timeout the only result is success (R-DEV-74).
        let _ = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfWaitLockAcquire,
                self.lock.as_ptr(),
                core::ptr::null_mut()
            )
        };
        // SAFETY: acquired.
        unsafe { self.held(f) }
    }

    /// Waits for the lock for `at_most` and runs `f` with it, or returns nothing. Stands for `WdfWaitLockAcquire` with a timeout, whose
    /// `STATUS_TIMEOUT` passes for success and is none (R-DEV-74).
    pub fn try_with<R, P: CanWait>(
        &self,
        _cx: &mut Cx<'_, P>,
        at_most: Span,
        f: impl FnOnce(&mut T, &mut Cx<'_, Locked>) -> R,
    ) -> Option<R> {
        let mut timeout = at_most.relative_or_now();
        // SAFETY: live by the type's invariant; PASSIVE_LEVEL by `P`; the timeout is a local.
        let status = unsafe {
            call_unsafe_wdf_function_binding!(
                WdfWaitLockAcquire,
                self.lock.as_ptr(),
                &raw mut timeout
            )
        };
        // SAFETY: acquired: any other status than success says that it was not.
        (Status::from_raw(status) == Status::SUCCESS).then(|| unsafe { self.held(f) })
    }

    /// Runs `f` and releases the lock.
    ///
    /// # Safety
    /// This thread has just acquired the lock.
    unsafe fn held<R>(&self, f: impl FnOnce(&mut T, &mut Cx<'_, Locked>) -> R) -> R {
        // SAFETY: held: no other reference to the data exists (type invariant).
        let data = unsafe { &mut *self.data.get() };
        let result = cx::enter::<Locked, _>(|cx| f(data, cx));
        // SAFETY: acquired above by this thread.
        unsafe { call_unsafe_wdf_function_binding!(WdfWaitLockRelease, self.lock.as_ptr()) };
        result
    }
}

impl<T> Drop for WaitLock<T> {
    fn drop(&mut self) {
        // SAFETY: owned by the type's invariant.
        unsafe { call_unsafe_wdf_function_binding!(WdfObjectDelete, self.lock.as_ptr().cast()) };
    }
}
