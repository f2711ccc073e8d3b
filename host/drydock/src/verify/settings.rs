//! What a run checks, chosen before it starts.

use super::resources::LowResources;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

/// What a run checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The framework verifier (`VerifierOn` = 1): the behavior marked VF in the specification instead of FREE.
    pub verifier_on: bool,
    /// A BREAK of the framework ends the run (`DbgBreakOnError` = 1).
    pub break_is_fatal: bool,
    /// Down-level verification: the framework verifier treats the driver as one built for an older framework.
    pub down_level: bool,
    /// `KMDF` minor version of the function table an image binds to: 15 for 1.15.
    pub kmdf_minor: u32,
    /// Loading an image with an import drydock does not have fails, instead of stopping the run at the call.
    pub strict_imports: bool,
    /// Every completion by a lower driver reaches the driver above later, from another thread: `IoCallDriver` gives
    /// STATUS_PENDING (Driver Verifier's forced pending of I/O requests).
    pub force_pending: bool,
    /// IRPs are kept track of: one that is still with a driver of a stack when that is removed is a violation, and the
    /// watchdog says who has which.
    pub track_requests: bool,
    /// Which calls that may fail are made to.
    pub low_resources: LowResources,
    /// How long the exit of a process waits for canceled requests, in seconds: what Windows waits.
    pub exit_patience: u32,
    /// After how long, in 100 ns units, and again and again, the framework reports a wait of its own (R-QUE-84).
    pub long_wait: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            verifier_on: false,
            break_is_fatal: true,
            down_level: false,
            kmdf_minor: 33,
            strict_imports: false,
            force_pending: false,
            track_requests: false,
            low_resources: LowResources::Never,
            exit_patience: 300,
            long_wait: 60 * 10_000_000,
        }
    }
}

static CURRENT: AtomicPtr<Settings> = AtomicPtr::new(std::ptr::null_mut());

/// The settings of this machine. Cheap: read it in every call of an image.
#[expect(
    unsafe_code,
    reason = "a read without a lock on the path of every call"
)]
pub fn settings() -> &'static Settings {
    static DEFAULT: OnceLock<Settings> = OnceLock::new();
    let current = CURRENT.load(Ordering::Acquire);
    // SAFETY: `configure` stores only pointers to leaked settings, which are never changed or freed.
    match unsafe { current.as_ref() } {
        Some(settings) => settings,
        None => DEFAULT.get_or_init(Settings::default),
    }
}

/// Sets what this machine checks. The previous settings stay readable for whoever holds them.
pub fn configure(settings: Settings) {
    CURRENT.store(Box::into_raw(Box::new(settings)), Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusty_fork::rusty_fork_test;

    rusty_fork_test! {
        #[test]
        fn what_is_configured_is_what_is_read() {
            let mut wanted = settings().clone();
            wanted.kmdf_minor = 15;
            configure(wanted.clone());
            assert_eq!(*settings(), wanted);
        }
    }
}
