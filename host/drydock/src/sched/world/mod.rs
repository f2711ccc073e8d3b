//! Explored machines: all threads on one OS thread, every choice of who runs next made by a [`Chooser`], time that is
//! counted instead of measured, and a way back to a moment to try another choice.
//!
//! A *world* is the machine with everything that belongs to it: its heap ([`heap`]), the statics of the program, the memory of
//! the layers above, and the stacks of its threads. The *explorer* is outside. It lets the world run until the world stands
//! still for a reason ([`Pause`]); once it has [captured](Explorer::capture) the world, it can
//! [rewind](Explorer::rewind) it as often as it likes. Nothing is unwound and nothing is dropped: a world is abandoned in the middle of
//! whatever it does, with locks held and image code on its stacks, and is whole again after the copy.
//!
//! A thread runs until a [`super::point`], a wait or its end. There, the chooser is asked if there is more than one way
//! to go on; before the world says [`explore`], the way is always the same. A timer that is due within a *slack* can go
//! off at any such place: threads can be slow, so a clock is fast.

mod coroutine;
mod heap;
mod snapshot;

pub use heap::inside;

use super::thread::{self, Record};
use super::{ThreadId, Time100ns, clock, lock};
use crate::verify;
use parking_lot::Mutex;
use snapshot::Snapshot;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// Who decides which thread runs next.
pub trait Chooser {
    /// Gives the index of one of `ways`, of which there are two or more. `current` is the thread that ran until now, if it
    /// can go on; then it is the first of them.
    fn choose(&mut self, ways: &[ThreadId], current: Option<ThreadId>) -> usize;

    /// Something an observer may want to know happened on a thread; see [`observe`].
    fn observe(&mut self, event: &Observation<'_>);
}

/// What [`Chooser::observe`] is told.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The thread on which it happened.
    pub thread: ThreadId,
    /// When, on the world's clock.
    pub at: Time100ns,
    /// What happened.
    pub what: What<'a>,
}

/// What can be observed.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// The thread made a call of this name into the model.
    Call(&'a str),
    /// Something happened to the request with this number; who owns it now, and what it was.
    Hands(u64, &'a str, &'a str),
    /// The thread is about to execute the instruction of an image at this address, which touches memory.
    Access(usize),
    /// How the schedule ended, in the scenario's words.
    Outcome(&'a str),
    /// A thread began; its name.
    Begin(&'a str),
}

/// Why a world stands still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pause {
    /// It called [`explore`]: from here on, choices count.
    Ready,
    /// Its first thread has ended.
    Finished,
    /// It called [`stop`], with this text.
    Stopped(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    Blocked,
    /// The clock thread, waiting for something to be due.
    Clock,
    Ended,
}

struct Task {
    record: Arc<Record>,
    state: State,
    stack: usize,
    /// The stack pointer, while it does not run.
    pointer: usize,
    /// What the layer above keeps per thread ([`Hooks`]).
    context: usize,
    body: Option<Box<dyn FnOnce() + Send>>,
}

struct World {
    tasks: Vec<Task>,
    /// Stacks whose threads have ended.
    stacks: Vec<usize>,
    /// Scratch for a choice: thread ids, and their indices in `tasks`.
    ways: Vec<ThreadId>,
    indices: Vec<usize>,
}

static WORLD: Mutex<World> = Mutex::new(World {
    tasks: Vec::new(),
    stacks: Vec::new(),
    ways: Vec::new(),
    indices: Vec::new(),
});
/// The index of the running task, and its thread id.
static CURRENT: AtomicUsize = AtomicUsize::new(0);
static CURRENT_ID: AtomicU32 = AtomicU32::new(0);
static NOW: AtomicI64 = AtomicI64::new(0);
/// The choices count.
static EXPLORING: AtomicBool = AtomicBool::new(false);
/// How far in the future a timer may be that goes off now.
static SLACK: AtomicI64 = AtomicI64::new(0);
/// Places where another thread could have run, since the world said [`explore`].
static STEPS: AtomicU32 = AtomicU32::new(0);
/// Steps after which a schedule is thought to have no end.
const STEP_LIMIT: u32 = 200_000;

/// What lies outside the world and is reached from inside: leaked, and never moved.
struct Outside {
    pointer: usize,
    pause: Option<Pause>,
    chooser: Option<*mut dyn Chooser>,
    /// Mappings that schedules have closed since the world was captured.
    closed: Vec<Range<usize>>,
}

static OUTSIDE: AtomicPtr<Outside> = AtomicPtr::new(std::ptr::null_mut());

/// What a layer above keeps for each thread and needs at every switch.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// Gives what belongs to the thread that stops running.
    pub save: fn() -> usize,
    /// Makes it valid for the thread that runs now; 0 for one that has nothing yet.
    pub load: fn(usize),
    /// The thread has ended; what was saved for it is not needed any more.
    pub end: fn(usize),
}

static HOOKS: Mutex<Option<Hooks>> = Mutex::new(None);

/// Says what is to be done at every switch between threads of a world.
pub fn set_switch_hooks(hooks: Hooks) {
    *HOOKS.lock() = Some(hooks);
}

/// Turns from exploring to a single way of running and back.
///
/// The first call with `slack` stands still until the explorer has captured the world; it returns once per schedule.
pub fn explore(slack: Time100ns) {
    SLACK.store(slack, Ordering::Relaxed);
    STEPS.store(0, Ordering::Relaxed);
    pause(Pause::Ready);
    EXPLORING.store(true, Ordering::Relaxed);
}

/// From here on, the way to go on is always the same again.
pub fn stop_exploring() {
    EXPLORING.store(false, Ordering::Relaxed);
}

/// True while choices count.
pub fn is_exploring() -> bool {
    EXPLORING.load(Ordering::Relaxed)
}

/// Ends the schedule in the middle of whatever happens.
pub fn stop(why: String) -> ! {
    pause(Pause::Stopped(why));
    unreachable!("a stopped world was continued without a rewind")
}

/// A mapping was closed: nothing may be there any more in this schedule.
#[expect(unsafe_code, reason = "the explorer is reached by address")]
pub fn mapping_closed(range: Range<usize>) {
    heap::outside(|| {
        // SAFETY: leaked; the explorer does not run while the world does.
        if let Some(outside) = unsafe { OUTSIDE.load(Ordering::Relaxed).as_mut() } {
            outside.closed.push(range);
        }
    });
}

/// True if a mapping there was closed since the world was captured: what was in it is needed again.
#[expect(unsafe_code, reason = "the explorer is reached by address")]
pub fn is_needed_again(range: &Range<usize>) -> bool {
    // SAFETY: leaked; the explorer does not run while the world does.
    let outside = unsafe { OUTSIDE.load(Ordering::Relaxed).as_ref() };
    outside.is_some_and(|outside| {
        let closed = &outside.closed;
        closed
            .iter()
            .any(|other| other.start < range.end && range.start < other.end)
    })
}

/// Tells the explorer of something that happened.
#[inline]
pub fn observe(what: What<'_>) {
    if heap::inside() && EXPLORING.load(Ordering::Relaxed) {
        tell(what);
    }
}

/// Says how the schedule ended, so that the explorer can count.
pub fn outcome(text: &str) {
    tell(What::Outcome(text));
}

fn tell(what: What<'_>) {
    let event = Observation {
        thread: current_id(),
        at: NOW.load(Ordering::Relaxed),
        what,
    };
    with_chooser(|chooser| chooser.observe(&event));
}

#[expect(unsafe_code, reason = "the explorer is reached by address")]
fn with_chooser<R>(f: impl FnOnce(&mut dyn Chooser) -> R) -> Option<R> {
    heap::outside(|| {
        // SAFETY: leaked; the explorer does not run while the world does.
        let outside = unsafe { OUTSIDE.load(Ordering::Relaxed).as_mut() }?;
        let chooser = outside.chooser?;
        // SAFETY: `Explorer::run` put it there, and it has not returned.
        Some(f(unsafe { &mut *chooser }))
    })
}

/// The running thread's record.
pub(super) fn current_record() -> Arc<Record> {
    let index = CURRENT.load(Ordering::Relaxed);
    Arc::clone(&WORLD.lock().tasks[index].record)
}

/// The running thread.
#[inline]
pub(super) fn current_id() -> ThreadId {
    ThreadId(CURRENT_ID.load(Ordering::Relaxed))
}

/// The world's time. It goes on a little whenever somebody asks, so that loops that wait for it end.
pub(super) fn now() -> Time100ns {
    NOW.fetch_add(1, Ordering::Relaxed)
}

/// Makes a thread; it can run from the next place on where threads change.
pub(super) fn spawn(record: Arc<Record>, body: Box<dyn FnOnce() + Send>) {
    {
        let mut world = WORLD.lock();
        let used = world
            .tasks
            .iter()
            .filter(|task| task.state != State::Ended)
            .count();
        let stack = world.stacks.pop().unwrap_or(used);
        if stack >= coroutine::LIMIT {
            drop(world);
            verify::model_error(format!(
                "an explored machine has more than {} threads",
                coroutine::LIMIT
            ));
        }
        world.tasks.push(Task {
            record: Arc::clone(&record),
            state: State::Ready,
            stack,
            pointer: coroutine::prepare(stack, run_task),
            context: 0,
            body: Some(body),
        });
    }
    if EXPLORING.load(Ordering::Relaxed) {
        let event = Observation {
            thread: record.id,
            at: NOW.load(Ordering::Relaxed),
            what: What::Begin(&record.name),
        };
        with_chooser(|chooser| chooser.observe(&event));
    }
}

/// Makes the clock's thread, with a body that calls [`wait_for_clock`].
pub(super) fn spawn_clock(record: Arc<Record>, body: Box<dyn FnOnce() + Send>) {
    spawn(record, body);
    if let Some(clock) = WORLD.lock().tasks.last_mut() {
        clock.state = State::Clock;
    }
}

/// Where every thread begins.
extern "sysv64" fn run_task() -> ! {
    let index = CURRENT.load(Ordering::Relaxed);
    let body = WORLD.lock().tasks[index].body.take();
    if let Some(body) = body {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        if let Err(panic) = result {
            let noted = PANIC.lock().take();
            stop(noted.unwrap_or_else(|| panic_text(&*panic)));
        }
    }
    let context = saved_context();
    if let Some(hooks) = *HOOKS.lock() {
        (hooks.end)(context);
    }
    if index == 0 {
        pause(Pause::Finished);
    }
    {
        let mut world = WORLD.lock();
        let stack = world.tasks[index].stack;
        world.tasks[index].state = State::Ended;
        world.stacks.push(stack);
    }
    go_on();
    unreachable!("a thread that has ended was chosen")
}

/// What the panic that is about to end a schedule said.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Keeps what a panic says, and where, for the report of the schedule it ends.
pub fn note_panic(text: String) {
    *PANIC.lock() = Some(text);
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// A place where another thread may run.
pub(super) fn point() {
    NOW.fetch_add(1, Ordering::Relaxed);
    if EXPLORING.load(Ordering::Relaxed) {
        go_on();
    }
}

/// The running thread waits until [`ready`] is called for it.
pub(super) fn block() {
    set_state(State::Blocked);
    go_on();
}

/// The clock's thread waits until something is due.
pub(super) fn wait_for_clock() {
    set_state(State::Clock);
    go_on();
}

fn set_state(state: State) {
    let index = CURRENT.load(Ordering::Relaxed);
    WORLD.lock().tasks[index].state = state;
}

/// A thread need not wait any more.
pub(super) fn ready(record: &Record) {
    let mut world = WORLD.lock();
    let task = world
        .tasks
        .iter_mut()
        .find(|task| task.record.id == record.id);
    if let Some(task) = task
        && task.state == State::Blocked
    {
        task.state = State::Ready;
    }
}

/// Lets the thread go on that the chooser chooses, which can be the running one.
fn go_on() {
    let from = CURRENT.load(Ordering::Relaxed);
    let Some(to) = choose(from) else {
        no_way_to_go_on();
    };
    if to != from {
        switch(from, to);
    }
}

/// The index of the task to go on with; none if all wait for each other.
fn choose(from: usize) -> Option<usize> {
    let exploring = EXPLORING.load(Ordering::Relaxed);
    if exploring && STEPS.fetch_add(1, Ordering::Relaxed) >= STEP_LIMIT {
        verify::violation(
            "NT-PROGRESS-02",
            format!("the threads are not done after {STEP_LIMIT} steps: they go round in circles"),
        );
    }
    let mut world = WORLD.lock();
    let World {
        tasks,
        ways,
        indices,
        ..
    } = &mut *world;
    ways.clear();
    indices.clear();
    let mut add = |index: usize, task: &Task| {
        ways.push(task.record.id);
        indices.push(index);
    };
    let goes_on = tasks[from].state == State::Ready;
    if goes_on {
        add(from, &tasks[from]);
        if !exploring {
            return Some(from);
        }
    }
    let mut clock = None;
    for (index, task) in tasks.iter().enumerate() {
        match task.state {
            State::Ready if index != from => add(index, task),
            State::Clock => clock = Some(index),
            _ => {}
        }
    }
    let nobody = indices_is_empty(goes_on, tasks, from);
    if let Some(clock) = clock
        && let Some(due) = clock::first_due()
    {
        let soon = due <= NOW.load(Ordering::Relaxed) + SLACK.load(Ordering::Relaxed);
        if nobody || exploring && soon {
            add(clock, &tasks[clock]);
        }
    }
    let chosen = match ways.len() {
        0 => return None,
        1 => 0,
        _ if !exploring => 0,
        _ => {
            let current = goes_on.then(|| ways[0]);
            with_chooser(|chooser| chooser.choose(ways, current)).unwrap_or(0)
        }
    };
    let to = indices[chosen];
    if tasks[to].state == State::Clock {
        tasks[to].state = State::Ready;
        if let Some(due) = clock::first_due() {
            NOW.fetch_max(due, Ordering::Relaxed);
        }
    }
    Some(to)
}

/// True if no thread but the clock's can run.
fn indices_is_empty(goes_on: bool, tasks: &[Task], from: usize) -> bool {
    !goes_on
        && !tasks
            .iter()
            .enumerate()
            .any(|(index, task)| index != from && task.state == State::Ready)
}

fn saved_context() -> usize {
    HOOKS.lock().map_or(0, |hooks| (hooks.save)())
}

#[expect(unsafe_code, reason = "switches stacks")]
fn switch(from: usize, to: usize) {
    lock::assert_none_held("a switch between threads");
    let context = saved_context();
    let (save, next) = {
        let mut world = WORLD.lock();
        world.tasks[from].context = context;
        let save = &raw mut world.tasks[from].pointer;
        // The table may move while the thread does not run; its stack pointer must be stored before that.
        let next = &world.tasks[to];
        CURRENT.store(to, Ordering::Relaxed);
        CURRENT_ID.store(next.record.id.0, Ordering::Relaxed);
        (save, (next.pointer, next.context))
    };
    if let Some(hooks) = *HOOKS.lock() {
        (hooks.load)(next.1);
    }
    // SAFETY: `next` does not run, so its pointer was stored when it was switched away from, or prepared. `save` lies in the
    // table of tasks, which nobody changes before the store.
    unsafe { coroutine::switch(save, next.0) };
}

/// Goes back to the explorer, which says why the world stands still.
#[expect(unsafe_code, reason = "switches stacks")]
fn pause(why: Pause) {
    let index = CURRENT.load(Ordering::Relaxed);
    let context = saved_context();
    let save = {
        let mut world = WORLD.lock();
        world.tasks[index].context = context;
        &raw mut world.tasks[index].pointer
    };
    // SAFETY: leaked; the explorer does not run while the world does.
    let Some(outside) = (unsafe { OUTSIDE.load(Ordering::Relaxed).as_mut() }) else {
        verify::model_error("a thread that is no part of an explored machine stops it");
    };
    outside.pause = Some(why);
    heap::set_inside(false);
    // SAFETY: the explorer stored its pointer when it let the world run. `save` lies in the table of tasks.
    unsafe { coroutine::switch(save, outside.pointer) };
    // After a rewind, possibly: everything is as it was.
    if let Some(hooks) = *HOOKS.lock() {
        (hooks.load)(context);
    }
}

fn no_way_to_go_on() -> ! {
    let lines: Vec<_> = WORLD
        .lock()
        .tasks
        .iter()
        .filter(|task| task.state == State::Blocked)
        .map(|task| (task.record.id, task.record.name.clone()))
        .collect();
    let describe = *DESCRIBE.lock();
    let mut text = "no thread can go on, and no timer is set:".to_owned();
    for (id, name) in lines {
        let words = describe.map_or(String::new(), |describe| describe(id));
        text.push_str(&format!("\n    thread {} {name} waits {words}", id.0));
    }
    verify::violation("NT-PROGRESS-01", text)
}

type Describe = fn(ThreadId) -> String;

static DESCRIBE: Mutex<Option<Describe>> = Mutex::new(None);

/// Says how a waiting thread is described when no thread can go on.
pub fn set_wait_describer(describe: fn(ThreadId) -> String) {
    *DESCRIBE.lock() = Some(describe);
}

/// The side that lets a world run, and rewinds it.
pub struct Explorer {
    outside: *mut Outside,
    captured: Option<Captured>,
}

struct Captured {
    snapshot: &'static mut Snapshot,
    /// Of each stack in use: where its live part begins, and what is there.
    stacks: Vec<(usize, Vec<u8>)>,
    fixed: Vec<(Range<usize>, i32)>,
}

impl Explorer {
    /// Makes the world of this process. `main` becomes its first thread; nothing runs yet. Until the world is rewound for the last
    /// time the calling thread is the only one of this process that uses drydock.
    pub fn new(main: impl FnOnce() + Send + 'static) -> Self {
        heap::map();
        coroutine::map();
        snapshot::use_own_signal_stack();
        let outside = Box::into_raw(Box::new(Outside {
            pointer: 0,
            pause: None,
            chooser: None,
            closed: Vec::new(),
        }));
        OUTSIDE.store(outside, Ordering::SeqCst);
        heap::set_inside(true);
        spawn(thread::new_record("main"), Box::new(main));
        heap::set_inside(false);
        Self {
            outside,
            captured: None,
        }
    }

    /// Lets the world run until it stands still. `chooser` is asked for the choices that count.
    #[expect(unsafe_code, reason = "switches stacks")]
    pub fn run(&mut self, chooser: &mut (dyn Chooser + 'static)) -> Pause {
        let (next, id) = {
            let world = WORLD.lock();
            let task = &world.tasks[CURRENT.load(Ordering::Relaxed)];
            (task.pointer, task.record.id)
        };
        CURRENT_ID.store(id.0, Ordering::Relaxed);
        // SAFETY: leaked, and the world does not run.
        let save = unsafe {
            (*self.outside).chooser = Some(chooser);
            (*self.outside).pause = None;
            &raw mut (*self.outside).pointer
        };
        heap::set_inside(true);
        // SAFETY: the running task's pointer was stored when the world stood still, or prepared.
        unsafe { coroutine::switch(save, next) };
        // SAFETY: as above.
        let outside = unsafe { &mut *self.outside };
        outside.chooser = None;
        // The text lies in the world's heap, which is going to be rewound.
        outside.pause.clone().unwrap_or(Pause::Finished)
    }

    /// Remembers the world as it stands. `ranges` is the memory of layers above: readable and writable pages.
    /// `fixed` is memory that is not written to, with its protection.
    #[expect(unsafe_code, reason = "the explorer is reached by address")]
    pub fn capture(&mut self, ranges: &[Range<usize>], fixed: Vec<(Range<usize>, i32)>) {
        // SAFETY: leaked, and the world does not run.
        unsafe { (*self.outside).closed.clear() };
        let mut stacks = Vec::new();
        for task in &WORLD.lock().tasks {
            if task.state != State::Ended {
                let live = coroutine::live(task.stack, task.pointer);
                stacks.push((live.start, peek(live)));
            }
        }
        let mut all = vec![heap::used(), snapshot::statics()];
        all.extend_from_slice(ranges);
        let snapshot = Snapshot::take(&all);
        self.captured = Some(Captured {
            snapshot,
            stacks,
            fixed,
        });
    }

    /// Makes the world as it was when it was captured.
    #[expect(unsafe_code, reason = "the explorer is reached by address")]
    pub fn rewind(&mut self) {
        let Some(captured) = &mut self.captured else {
            return;
        };
        // SAFETY: leaked, and the world does not run.
        let closed = unsafe { &mut (*self.outside).closed };
        for range in closed.drain(..) {
            captured.snapshot.reopen(&range);
            for (fixed, access) in &captured.fixed {
                if range.contains(&fixed.start) {
                    snapshot::protect(fixed.start, fixed.len(), *access);
                }
            }
        }
        captured.snapshot.rewind();
        for (start, bytes) in &captured.stacks {
            poke(*start, bytes);
        }
        lock::forget_held();
    }

    /// How many bytes were captured, and how many pages schedules write to.
    pub fn size(&self) -> (usize, usize) {
        self.captured.as_ref().map_or((0, 0), |captured| {
            (captured.snapshot.bytes(), captured.snapshot.written_pages())
        })
    }
}

#[expect(unsafe_code, reason = "reads a stack")]
fn peek(range: Range<usize>) -> Vec<u8> {
    // SAFETY: the live part of the stack of a thread that does not run.
    unsafe { std::slice::from_raw_parts(range.start as *const u8, range.len()) }.to_vec()
}

#[expect(unsafe_code, reason = "writes a stack")]
fn poke(start: usize, bytes: &[u8]) {
    // SAFETY: as in `peek`; the world is being rewound, so that nothing of it runs.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start as *mut u8, bytes.len()) };
}
