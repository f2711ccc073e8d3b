//! Calls of a driver's callbacks.
#![expect(unsafe_code, reason = "callbacks are known by address only")]

use super::handle::WDF_VIOLATION;
use crate::loader::call;
use crate::nt;
use crate::verify;

/// Calls the callback at `address` with `arguments` (at most eight) and gives what it returned.
///
/// The driver registered the address for this use, so it takes these arguments; a wrong one faults and is reported.
pub fn call(address: u64, arguments: &[u64]) -> u64 {
    let f = address as usize;
    // SAFETY (all calls): the driver vouches for the address and the signature by registering it.
    match *arguments {
        // SAFETY: see above.
        [] => unsafe { call::call0(f) },
        // SAFETY: see above.
        [a] => unsafe { call::call1(f, a) },
        // SAFETY: see above.
        [a, b] => unsafe { call::call2(f, a, b) },
        // SAFETY: see above.
        [a, b, c] => unsafe { call::call3(f, a, b, c) },
        // SAFETY: see above.
        [a, b, c, d] => unsafe { call::call4(f, a, b, c, d) },
        // SAFETY: see above.
        [a, b, c, d, e] => unsafe { call::call5(f, a, b, c, d, e) },
        // SAFETY: see above.
        [a, b, c, d, e, g] => unsafe { call::call6(f, a, b, c, d, e, g) },
        // SAFETY: see above.
        [a, b, c, d, e, g, h] => unsafe { call::call7(f, a, b, c, d, e, g, h) },
        // SAFETY: see above.
        [a, b, c, d, e, g, h, i] => unsafe { call::call8(f, a, b, c, d, e, g, h, i) },
        _ => unreachable!("no framework callback has more than eight arguments"),
    }
}

/// As [`call`], for a callback the verifier hooks: with `verifier`, returning at another IRQL or with another number of
/// critical regions entered is a bug check (R-CHK-04).
pub fn call_hooked(verifier: bool, name: &str, address: u64, arguments: &[u64]) -> u64 {
    let thread = nt::thread::current();
    let (before, depth) = (thread.irql(), thread.critical_depth());
    let result = call(address, arguments);
    let (after, left) = (thread.irql(), thread.critical_depth());
    if verifier && before != after {
        verify::bug_check(
            WDF_VIOLATION,
            [0xE, u64::from(before), u64::from(after), 0],
            format!("{name} was called at IRQL {before} and returned at IRQL {after} (R-CHK-04)"),
        );
    }
    if verifier && depth != left {
        verify::bug_check(
            WDF_VIOLATION,
            [0xF, address, 0, 0],
            format!(
                "{name} was called {depth} critical regions deep and returned {left} deep (R-CHK-04)"
            ),
        );
    }
    result
}
