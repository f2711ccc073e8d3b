//! Device stacks of built images, and a program that uses them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use drydock::nt::app::{Completion, Handle, IoId, Op, Process};
use drydock::nt::status::NtStatus;
use drydock::stack::{self, Loaded, Stack};
use drydock::verify;

/// How long a test waits before it calls a request lost.
const PATIENCE: Duration = Duration::from_secs(20);

/// Transfer methods of control codes.
pub const BUFFERED: u32 = 0;
pub const IN_DIRECT: u32 = 1;
pub const OUT_DIRECT: u32 = 2;
pub const NEITHER: u32 = 3;

/// `TEST_CODE` of `drivers/codes.h`.
pub const fn code(number: u32, method: u32) -> u32 {
    0x22 << 16 | (0x800 + number) << 2 | method
}

/// Path of a built driver.
pub fn image(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/images/c")
        .join(format!("{name}.sys"));
    assert!(
        path.exists(),
        "{} is not built: run `cargo xtask c-drivers` at the top of the repository",
        path.display()
    );
    path
}

/// The framework verifier, on or off.
pub fn verifier(on: bool) {
    let mut settings = verify::settings().clone();
    settings.verifier_on = on;
    verify::configure(settings);
}

/// A started device: a function driver, and filters from the lowest up. The framework verifier is on.
pub fn start(images: &[&str]) -> Stack {
    verifier(true);
    build("TEST", images)
}

/// As [`start`], with an instance of that name, and the verifier as it is.
pub fn build(instance: &str, images: &[&str]) -> Stack {
    let paths: Vec<PathBuf> = images.iter().map(|name| image(name)).collect();
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    Stack::build(&format!(r"ROOT\{instance}\0000"), &paths).unwrap_or_else(|why| panic!("{why}"))
}

/// A driver without a PnP device.
pub fn load(name: &str) -> Loaded {
    verifier(true);
    stack::load(&image(name)).unwrap_or_else(|why| panic!("{why}"))
}

/// Removes the device, unloads the drivers, and finds that nothing is left.
pub fn end(stack: Stack) {
    stack.remove().unwrap_or_else(|why| panic!("{why}"));
    nothing_is_left();
}

/// No pool, no object, no request.
pub fn nothing_is_left() {
    let report = verify::leak_report();
    assert!(report.is_empty(), "{report}");
}

/// A process.
pub struct Program(Arc<Process>);

impl Program {
    pub fn new() -> Self {
        Self(Process::new("test.exe"))
    }

    pub fn open(&self, name: &str) -> File {
        match self.try_open(name) {
            Ok(file) => file,
            Err(status) => panic!("open {name}: {status}"),
        }
    }

    /// Opens `\\.\NAME`.
    pub fn try_open(&self, name: &str) -> Result<File, NtStatus> {
        let path = format!(r"\\.\{name}");
        self.0.open(&path, 0xc000_0000, 3).map(File)
    }

    pub fn id(&self) -> u64 {
        self.0.id()
    }

    pub fn kill(&self) {
        self.0.kill();
    }
}

/// Opens `\\.\NAME` from a process of its own.
pub fn open(name: &str) -> File {
    Program::new().open(name)
}

/// An open handle.
pub struct File(Arc<Handle>);

/// An operation under way.
pub struct Pending {
    id: IoId,
    done: Receiver<Completion>,
}

impl Pending {
    /// Waits for its end.
    pub fn wait(&self) -> Completion {
        match self.done.recv_timeout(PATIENCE) {
            Ok(completion) => completion,
            Err(_) => panic!("the request is lost: nobody completed it within {PATIENCE:?}"),
        }
    }

    /// Waits for its end, and gives the status only.
    pub fn status(&self) -> NtStatus {
        self.wait().status
    }

    /// It is still under way.
    pub fn is_pending(&self) -> bool {
        self.done.try_recv().is_err()
    }
}

impl File {
    pub fn start(&self, op: Op) -> Pending {
        let (send, done) = channel();
        let id = self.0.start(
            op,
            Box::new(move |completion| {
                // The test may have given the operation up.
                let _ = send.send(completion);
            }),
        );
        Pending { id, done }
    }

    pub fn cancel(&self, pending: &Pending) {
        self.0.cancel(pending.id);
    }

    /// Cancels all that is under way; says how many that was.
    pub fn cancel_all(&self) -> usize {
        self.0.cancel_all()
    }

    pub fn close(&self) {
        self.0.close();
    }

    pub fn start_read(&self, offset: i64, len: u32) -> Pending {
        self.start(Op::Read { offset, len })
    }

    pub fn start_write(&self, offset: i64, data: &[u8]) -> Pending {
        self.start(Op::Write {
            offset,
            data: data.to_vec(),
        })
    }

    pub fn start_control(&self, code: u32, input: &[u8], output_len: u32) -> Pending {
        self.start(Op::Ioctl {
            code,
            input: input.to_vec(),
            output_len,
        })
    }

    pub fn read(&self, offset: i64, len: u32) -> Completion {
        self.start_read(offset, len).wait()
    }

    pub fn write(&self, offset: i64, data: &[u8]) -> Completion {
        self.start_write(offset, data).wait()
    }

    pub fn control(&self, code: u32, input: &[u8], output_len: u32) -> Completion {
        self.start_control(code, input, output_len).wait()
    }

    /// A control that must succeed.
    pub fn tell(&self, code: u32, input: &[u8]) {
        assert_eq!(self.control(code, input, 0).status, NtStatus::SUCCESS);
    }

    /// The 32-bit numbers a control answers with.
    pub fn numbers<const N: usize>(&self, code: u32) -> [u32; N] {
        let done = self.control(code, &[], (4 * N) as u32);
        assert_eq!(done.status, NtStatus::SUCCESS);
        assert_eq!(done.data.len(), 4 * N);
        std::array::from_fn(|i| {
            let bytes = &done.data[4 * i..4 * i + 4];
            u32::from_le_bytes(bytes.try_into().expect("four bytes"))
        })
    }
}

/// Waits until something another thread does is done.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(
            begin.elapsed() < PATIENCE,
            "waited {PATIENCE:?} until {what}"
        );
        std::thread::yield_now();
    }
}

/// The run must end with a report that contains all of `parts`.
pub fn expect_end(parts: &'static [&'static str]) {
    verify::on_end(move |report| {
        let text = report.to_string();
        if parts.iter().all(|part| text.contains(part)) {
            return 0;
        }
        eprintln!("expected {parts:?} in:\n{text}");
        1
    });
}

/// Collects what drivers print from now on.
pub fn capture() -> Arc<parking_lot::Mutex<Vec<String>>> {
    let lines = Arc::new(parking_lot::Mutex::new(Vec::new()));
    verify::set_debug_output(verify::DebugOutput::Capture(Arc::clone(&lines)));
    lines
}
