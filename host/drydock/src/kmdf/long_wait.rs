//! Waits of the framework for what only drivers can bring about: the end of requests. One that takes long is reported.

use super::object::ObjRef;
use crate::sched::Event;
use crate::verify;

/// Waits for `event` on behalf of `object`. Each time [`Settings::long_wait`](verify::Settings) has passed, it prints a
/// warning, and with the verifier on, which turns break-on-error on, BREAKs (R-QUE-84, R-CHK-40).
pub(super) fn wait(object: &ObjRef, event: &Event) {
    let limit = verify::settings().long_wait;
    let mut times: i64 = 0;
    let name = object.name();
    let _waiting = verify::waiting(move || format!("requests that {name} has given out or sent"));
    while !event.wait_timeout(limit) {
        times += 1;
        let text = format!(
            "{} has been waiting for {} s for requests that are not completed",
            object.name(),
            times * limit / 10_000_000
        );
        verify::print(&format!("WARNING {text}\n"));
        if object.binding().verifier() {
            verify::framework_break("R-QUE-84", text);
        }
    }
}
