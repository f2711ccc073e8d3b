//! Where the debug output of images goes.

use parking_lot::Mutex;
use std::io::Write;
use std::sync::Arc;

/// Where the lines of `DbgPrint` go.
#[derive(Clone, Debug, Default)]
pub enum DebugOutput {
    /// Standard output, each line behind a prefix.
    Stdout(String),
    /// Standard error.
    Stderr,
    /// Nowhere.
    #[default]
    Discard,
    /// Kept, for a test to look at.
    Capture(Arc<Mutex<Vec<String>>>),
}

struct Sink {
    output: DebugOutput,
    /// Text without its line end yet: `DbgPrint` need not print whole lines.
    partial: String,
}

static SINK: Mutex<Sink> = Mutex::new(Sink {
    output: DebugOutput::Stdout(String::new()),
    partial: String::new(),
});

/// Chooses where debug output goes from now on.
pub fn set_debug_output(output: DebugOutput) {
    SINK.lock().output = output;
}

/// Prints what an image gave to `DbgPrint`. Lines appear when they are complete.
pub fn print(text: &str) {
    let mut sink = SINK.lock();
    let Sink { output, partial } = &mut *sink;
    partial.push_str(text);
    while let Some(end) = partial.find('\n') {
        let line: String = partial.drain(..=end).collect();
        emit(output, line.trim_end_matches(['\n', '\r']));
    }
}

/// Prints what is left of an unfinished line: the run ends.
pub(super) fn flush() {
    // A report can come from inside `print`; then the partial line is lost.
    if let Some(mut sink) = SINK.try_lock() {
        let Sink { output, partial } = &mut *sink;
        if !partial.is_empty() {
            emit(output, &std::mem::take(partial));
        }
    }
    // A closed standard output is no reason to hide a report.
    let _ = std::io::stdout().flush();
}

fn emit(output: &DebugOutput, line: &str) {
    match output {
        DebugOutput::Stdout(prefix) => {
            // A reader that went away does not stop the machine.
            let _ = writeln!(std::io::stdout().lock(), "{prefix}{line}");
        }
        DebugOutput::Stderr => eprintln!("{line}"),
        DebugOutput::Discard => {}
        DebugOutput::Capture(lines) => lines.lock().push(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_appear_when_they_are_complete() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        set_debug_output(DebugOutput::Capture(Arc::clone(&lines)));
        print("one ");
        assert!(lines.lock().is_empty());
        print("line\r\nand another\nand ");
        assert_eq!(*lines.lock(), ["one line", "and another"]);
        flush();
        assert_eq!(lines.lock().len(), 3);
    }
}
