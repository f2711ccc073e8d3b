//! How many instructions of images run, and which calls they make: with the processor's trap flag, instruction by instruction.
//!
//! A thread that enters an image while counting has the flag set, and so has one that comes back from a call; the first
//! instruction outside takes it away. The trap before each instruction is counted where the instruction is. A repeated string
//! instruction is one, however often it repeats. The model is not counted.
#![expect(unsafe_code, reason = "reads an instruction that is about to run")]

use super::image;
use super::layout;
use super::thunk;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// What stubs and entries look at: 1 while instructions are counted.
pub(super) static STEPPING: AtomicU8 = AtomicU8::new(0);

/// Images and stubs beyond these are not told apart: they are many more than a measurement has.
const IMAGES: usize = 64;
const STUBS: usize = layout::THUNKS_SIZE / thunk::STUB;

struct Counters {
    instructions: [AtomicU64; IMAGES],
    /// By image and stub.
    calls: Vec<AtomicU32>,
}

static COUNTERS: OnceLock<Counters> = OnceLock::new();

thread_local! {
    /// The instruction before this one.
    static LAST: Cell<usize> = const { Cell::new(0) };
}

/// What one image did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageCount {
    /// Instructions executed.
    pub instructions: u64,
    /// Calls into the framework and the kernel, by name. Those of the kernel have the module's name before a `!`.
    pub calls: BTreeMap<String, u64>,
}

/// Runs `f`, and gives what every image that ran meanwhile did, on all threads, by the image's name. One at a time.
pub fn count<R>(f: impl FnOnce() -> R) -> (R, BTreeMap<String, ImageCount>) {
    super::fault::install();
    let counters = COUNTERS.get_or_init(|| Counters {
        instructions: [const { AtomicU64::new(0) }; IMAGES],
        calls: (0..IMAGES * STUBS).map(|_| AtomicU32::new(0)).collect(),
    });
    for counter in &counters.instructions {
        counter.store(0, Ordering::Relaxed);
    }
    for counter in &counters.calls {
        counter.store(0, Ordering::Relaxed);
    }
    STEPPING.store(1, Ordering::SeqCst);
    let result = f();
    STEPPING.store(0, Ordering::SeqCst);
    let mut counts = BTreeMap::new();
    for (slot, instructions) in counters.instructions.iter().enumerate() {
        let instructions = instructions.load(Ordering::Relaxed);
        let Some((details, _)) = image::in_slot(slot).filter(|_| instructions != 0) else {
            continue;
        };
        let calls = counters.calls[slot * STUBS..][..STUBS].iter().enumerate();
        let calls = calls
            .map(|(stub, calls)| (stub, u64::from(calls.load(Ordering::Relaxed))))
            .filter(|(_, calls)| *calls != 0)
            .map(|(stub, calls)| (thunk::name(stub as u64), calls))
            .collect();
        let count = ImageCount {
            instructions,
            calls,
        };
        counts.insert(details.name.clone(), count);
    }
    (result, counts)
}

/// The place of an image in the counters.
fn slot_of(address: usize) -> Option<usize> {
    let slot = address.checked_sub(layout::IMAGES)? / layout::IMAGE_SLOT;
    (slot < IMAGES).then_some(slot)
}

/// A trap before the instruction at `address`. True if the next one is to be trapped too.
pub(super) fn stepped(address: usize) -> bool {
    if STEPPING.load(Ordering::Relaxed) == 0 {
        return false;
    }
    let Some(counters) = COUNTERS.get() else {
        return false;
    };
    let last = LAST.replace(address);
    if layout::is_image_address(address) {
        if (address != last || !repeats(address))
            && let Some(slot) = slot_of(address)
        {
            counters.instructions[slot].fetch_add(1, Ordering::Relaxed);
        }
        return true;
    }
    if layout::is_stub_address(address) {
        let stub = (address - layout::THUNKS) / thunk::STUB;
        if let Some(slot) = slot_of(last) {
            counters.calls[slot * STUBS + stub].fetch_add(1, Ordering::Relaxed);
        }
        return false;
    }
    // What an image calls and is not through a stub comes back to it by itself.
    thunk::runs_on_the_callers_stack(address) || super::emulate::is_writing_level(address)
}

/// True for a repeated string instruction.
fn repeats(address: usize) -> bool {
    // SAFETY: the processor is about to execute this byte.
    let prefix = unsafe { (address as *const u8).read_volatile() };
    matches!(prefix, 0xF2 | 0xF3)
}
