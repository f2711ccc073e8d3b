//! Who owns a request, and the checks that a driver only uses what it owns (C.1 of the specification).

use super::super::ddi::Call;
use super::super::handle::Ref;
use super::super::queue::Key;
use super::{Request, State};
use crate::nt::status::NtStatus;
use crate::verify;

/// The one owner of a request (R-REQ-01). The driver becomes it where a callback or a call gives it the handle (R-REQ-02), and
/// is it no longer after the calls that give the request away (R-REQ-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The framework, on the way to a queue or to the driver.
    Framework,
    /// A queue, in which it waits.
    Waiting,
    /// The driver; the framework never completes the request behind its back (R-REQ-04).
    Driver,
    /// The driver, in EvtIoInCallerContext: no queue is involved.
    CallerContext,
    /// The driver is about to be given it by EvtIoCanceledOnQueue.
    CanceledOnQueue,
    /// The driver that created it.
    Creator,
    /// Nobody: it is completed, or sent and forgotten.
    Gone,
}

impl Owner {
    fn name(self) -> &'static str {
        match self {
            Self::Framework => "the framework owns it",
            Self::Waiting => "it waits in a queue",
            Self::Driver | Self::CallerContext => "the driver owns it",
            Self::CanceledOnQueue => "it was cancelled on its queue; EvtIoCanceledOnQueue is due",
            Self::Creator => "it was created by the driver",
            Self::Gone => "it is completed",
        }
    }
}

/// Registration of EvtRequestCancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelability {
    /// None.
    No,
    /// Registered; the request may be cancelled at any time.
    Marked(u64),
    /// A cancellation has won; the callback is due.
    Due(u64),
    /// The callback was called.
    Called,
}

/// What the driver has said about a request since EvtIoStop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopAnswer {
    /// It was not asked.
    None,
    /// EvtIoStop is running.
    Asked,
    /// EvtIoStop has returned without an answer.
    Pending,
    /// The driver keeps the request (R-QUE-125).
    Keep,
    /// The request goes back to its queue (R-QUE-124).
    Requeue,
}

impl State {
    /// A change of hands that also changes the place in a queue.
    pub fn enter(&mut self, owner: Owner, key: Option<Key>, what: &'static str) {
        self.found &= owner == Owner::Waiting;
        self.owner = owner;
        self.key = key;
        if owner == Owner::Waiting {
            self.cancelability = Cancelability::No;
        }
        self.history.own(owner.name());
        self.history.note(what);
    }

    /// A change of hands in place.
    pub fn enter_kept(&mut self, owner: Owner, what: &'static str) {
        self.owner = owner;
        self.history.own(owner.name());
        self.history.note(what);
    }

    /// The driver gets the handle.
    pub fn present(&mut self, what: &'static str) {
        self.presented = true;
        self.history.note(what);
    }

    /// Takes the callback that is due (R-CAN-41).
    pub fn take_cancel_callback(&mut self) -> Option<u64> {
        let Cancelability::Due(callback) = self.cancelability else {
            return None;
        };
        self.cancelability = Cancelability::Called;
        self.history.note("given to EvtRequestCancel");
        Some(callback)
    }

    /// Whether it counts as cancelable for hand-overs: registered or due, and for the verifier also once cancelled
    /// (R-CAN-46).
    pub fn is_cancelable(&self, verifier: bool) -> bool {
        match self.cancelability {
            Cancelability::No => false,
            Cancelability::Marked(_) | Cancelability::Due(_) => true,
            Cancelability::Called => verifier,
        }
    }
}

impl Ref<Request> {
    /// The calling driver must own the request: else BREAK with the verifier on (R-REQ-06), and the end of the run with it
    /// off, where the framework would not look (R-REQ-07).
    ///
    /// # Errors
    /// STATUS_INVALID_DEVICE_REQUEST.
    pub fn require_owned(&self, call: &Call) -> Result<(), NtStatus> {
        let owner = self.state().owner;
        if matches!(owner, Owner::Driver | Owner::CallerContext) {
            return Ok(());
        }
        let hint = if self.state().found {
            "; it was found, not retrieved"
        } else {
            ""
        };
        let text = format!(
            "the driver does not own the request: {}{hint}",
            owner.name()
        );
        if !call.verifier() {
            verify::violation("R-REQ-07", self.explain(&format!("{}: {text}", call.name)));
        }
        // R-CHK-10 and R-CHK-11
        call.framework_break("R-REQ-06", &self.explain(&text));
        Err(NtStatus::INVALID_DEVICE_REQUEST)
    }

    /// The request must not be completed: a getter or setter of one that is kept by a reference only (R-CHK-19); its IRP is gone
    /// (R-OBJ-71).
    ///
    /// # Errors
    /// STATUS_INTERNAL_ERROR.
    pub fn require_not_completed(
        &self,
        call: &Call,
        statement: &'static str,
    ) -> Result<(), NtStatus> {
        if self.state().owner != Owner::Gone {
            return Ok(());
        }
        let text = "the request is completed";
        if !call.verifier() {
            verify::violation("R-OBJ-70", self.explain(&format!("{}: {text}", call.name)));
        }
        call.framework_break(statement, &self.explain(text));
        Err(NtStatus::INTERNAL_ERROR)
    }
}
