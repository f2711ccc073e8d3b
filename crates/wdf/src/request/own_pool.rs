//! Requests of the driver's own, made in advance.

use super::{OwnRequest, RequestContext};
use crate::{
    Status,
    cx::{Cx, Passive, Place},
    lock::SpinLock,
    target::Target,
};

/// `N` idle requests of the driver's own, made when a device is set up, so that none is made while it works.
///
/// `Send + Sync`; lives in the device's context, whose end deletes what is in it.
pub struct OwnPool<const N: usize, T: RequestContext = ()> {
    idle: SpinLock<[Option<OwnRequest<T>>; N]>,
}

impl<const N: usize, T: RequestContext> OwnPool<N, T> {
    /// Makes all `N` for `target`, each able to carry parts of up to `largest` bytes ([`OwnRequest::with_room`]).
    ///
    /// # Errors
    /// As there.
    pub fn new(
        _cx: &Cx<'_, impl Passive>,
        target: &Target,
        largest: usize,
    ) -> Result<Self, Status> {
        let mut idle = [const { None }; N];
        for place in &mut idle {
            *place = Some(OwnRequest::with_room(target, largest)?);
        }
        Ok(Self {
            idle: SpinLock::new(idle)?,
        })
    }

    /// Takes one; none if all are out. IRQL <= `DISPATCH_LEVEL`.
    #[must_use]
    pub fn take(&self, cx: &mut Cx<'_, impl Place>) -> Option<OwnRequest<T>> {
        self.idle
            .with(cx, |idle| idle.iter_mut().find_map(Option::take))
    }

    /// Puts one back. IRQL <= `DISPATCH_LEVEL`.
    ///
    /// # Errors
    /// The request comes back if the pool is full: it is none of its own.
    pub fn put(
        &self,
        cx: &mut Cx<'_, impl Place>,
        request: OwnRequest<T>,
    ) -> Result<(), OwnRequest<T>> {
        self.idle
            .with(cx, |idle| match idle.iter_mut().find(|p| p.is_none()) {
                Some(place) => {
                    *place = Some(request);
                    Ok(())
                }
                None => Err(request),
            })
    }
}
