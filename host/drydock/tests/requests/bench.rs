//! The bench: a KMDF driver whose callbacks are closures, with a control device or a PnP stack under it.

use drydock::kmdf::{self, callback, guest, table};
use drydock::nt::abi::{DeviceObject, DriverObject, Irp, UnicodeString, at};
use drydock::nt::app::{Completion, Handle, Op, Process};
use drydock::nt::pnp::{DevNode, DevNodeConfig};
use drydock::nt::status::NtStatus;
use drydock::nt::{driver, pool};
use drydock::sched::{Event, Lock};
use drydock::verify;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Callbacks of a queue and of requests, by the name drivers give them.
type Callback = Arc<dyn Fn(&[u64]) -> u64 + Send + Sync>;

static TABLE: AtomicU64 = AtomicU64::new(0);
static GLOBALS: AtomicU64 = AtomicU64::new(0);
static CALLBACKS: Lock<BTreeMap<&'static str, Callback>> = Lock::new(BTreeMap::new());
/// Attributes of the device; 0: none.
static DEVICE_ATTRIBUTES: AtomicU64 = AtomicU64::new(0);
/// Minor version of KMDF the driver is built for, and the entries of its table.
static VERSION: Lock<(u64, u64)> = Lock::new((15, 444));
static PREPARE: OnceLock<Box<dyn Fn(u64) + Send + Sync>> = OnceLock::new();
static ADD_DEVICE: OnceLock<Box<dyn Fn(u64, u64) + Send + Sync>> = OnceLock::new();

/// Calls a framework function by name, as a driver does through its table.
pub fn wdf(name: &str, arguments: &[u64]) -> u64 {
    static PLACES: OnceLock<BTreeMap<&str, usize>> = OnceLock::new();
    let places = PLACES.get_or_init(|| {
        let functions = table::functions().iter().enumerate();
        functions
            .map(|(at, function)| (function.name, at))
            .collect()
    });
    let Some(index) = places.get(name) else {
        panic!("{name} is no KMDF function");
    };
    let function = guest::read::<u64>(TABLE.load(Ordering::Relaxed) + 8 * *index as u64);
    let mut all = vec![GLOBALS.load(Ordering::Relaxed)];
    all.extend(arguments);
    callback::call(function, &all)
}

/// As [`wdf`], for a function that returns a status.
pub fn wdf_status(name: &str, arguments: &[u64]) -> NtStatus {
    NtStatus(wdf(name, arguments) as u32 as i32)
}

/// Zero-filled memory a driver could have, `N` words of it.
pub fn words<const N: usize>(content: [u64; N]) -> u64 {
    let block = pool::allocate_internal(8 * N, pool::Tag::new(b"Test")) as u64;
    for (slot, word) in content.into_iter().enumerate() {
        guest::write(block + 8 * slot as u64, word);
    }
    block
}

/// Says what a callback does.
pub fn on(name: &'static str, f: impl Fn(&[u64]) -> u64 + Send + Sync + 'static) {
    CALLBACKS.lock().insert(name, Arc::new(f));
}

fn run(name: &'static str, arguments: &[u64]) -> u64 {
    let callback = CALLBACKS.lock().get(name).cloned();
    callback.map_or(0, |callback| callback(arguments))
}

/// Address of a callback.
macro_rules! address {
    ($function:ident) => {
        $crate::bench::$function as *const () as u64
    };
}
pub(crate) use address;

macro_rules! callbacks {
    ($($function:ident($($argument:ident),*) = $name:literal;)*) => {$(
        pub extern "win64" fn $function($($argument: u64),*) -> u64 {
            run($name, &[$($argument),*])
        }
    )*};
}

callbacks! {
    evt_read(queue, request, length) = "EvtIoRead";
    evt_write(queue, request, length) = "EvtIoWrite";
    evt_control(queue, request, output, input, code) = "EvtIoDeviceControl";
    evt_default(queue, request) = "EvtIoDefault";
    evt_stop(queue, request, flags) = "EvtIoStop";
    evt_resume(queue, request) = "EvtIoResume";
    evt_canceled_on_queue(queue, request) = "EvtIoCanceledOnQueue";
    evt_cancel(request) = "EvtRequestCancel";
    evt_sent(request, target, params, context) = "completion routine";
    evt_caller(device, request) = "EvtIoInCallerContext";
    evt_cleanup(object) = "EvtCleanupCallback";
    evt_destroy(object) = "EvtDestroyCallback";
    evt_create(device, request, file) = "EvtDeviceFileCreate";
    evt_ready(queue, context) = "EvtIoQueueState";
    evt_flush(device) = "EvtDeviceSelfManagedIoFlush";
    evt_end_io(device) = "EvtDeviceSelfManagedIoCleanup";
    evt_surprise(device) = "EvtDeviceSurpriseRemoval";
    evt_query_remove(target) = "EvtIoTargetQueryRemove";
    evt_remove_canceled(target) = "EvtIoTargetRemoveCanceled";
    evt_remove_complete(target) = "EvtIoTargetRemoveComplete";
    evt_examine(queue, irp) = "EvtIoWdmIrpForForwardProgress";
    evt_reserve(queue, request) = "EvtIoAllocateResourcesForReservedRequest";
    evt_allocate(queue, request) = "EvtIoAllocateRequestResources";
    evt_preprocess(device, irp) = "EvtDeviceWdmIrpPreprocess";
}

/// Has `f` fill the init structure of the device before it is made.
pub fn prepare(f: impl Fn(u64) + Send + Sync + 'static) {
    assert!(PREPARE.set(Box::new(f)).is_ok());
}

/// Level and scope of the device that is made, as the attributes name them.
pub fn device_level_and_scope(level: u64, scope: u64) {
    let attributes = words([56, 0, 0, level | scope << 32, 0, 0, 0]);
    DEVICE_ATTRIBUTES.store(attributes, Ordering::Relaxed);
}

/// The driver is built for KMDF 1.9.
pub fn built_for_1_9() {
    *VERSION.lock() = (9, 396);
}

/// Calls of EvtDeviceSelfManagedIoFlush, EvtDeviceSelfManagedIoCleanup and EvtDeviceSurpriseRemoval.
pub fn pnp_callbacks(init: u64) {
    let mut callbacks = [0; 18];
    callbacks[0] = 144;
    callbacks[7] = address!(evt_end_io);
    callbacks[8] = address!(evt_flush);
    callbacks[12] = address!(evt_surprise);
    wdf(
        "WdfDeviceInitSetPnpPowerEventCallbacks",
        &[init, words(callbacks)],
    );
}

/// Creates go to EvtDeviceFileCreate; the device has file objects.
pub fn create_callback(init: u64) {
    let config = words([40, address!(evt_create), 0, 0, 4 << 32 | 2]);
    wdf("WdfDeviceInitSetFileObjectConfig", &[init, config, 0]);
}

/// The calls that are the same for every kind of device.
fn prepared(init: u64) {
    if let Some(f) = PREPARE.get() {
        f(init);
    }
    if CALLBACKS.lock().contains_key("EvtIoInCallerContext") {
        wdf(
            "WdfDeviceInitSetIoInCallerContextCallback",
            &[init, evt_caller as *const () as u64],
        );
    }
}

extern "win64" fn add_device(driver: u64, init: u64) -> u64 {
    if let Some(f) = ADD_DEVICE.get() {
        f(driver, init);
    }
    0
}

extern "win64" fn unload(_driver: u64) -> u64 {
    0
}

extern "win64" fn entry(driver: *mut DriverObject, path: *mut UnicodeString) -> NtStatus {
    let bind = kmdf::bind::lookup("WDFLDR.SYS", "WdfVersionBind").expect("the framework binds");
    // Frameworks before 1.15 have the driver keep a copy of the table, which is no longer than this.
    let table = words([0; 438]);
    let globals = words([0]);
    let (minor, entries) = *VERSION.lock();
    let info = words([48, 0, 1 | minor << 32, entries << 32, table, 0]);
    let status = callback::call(bind as u64, &[driver as u64, path as u64, info, globals]);
    assert_eq!(status, 0, "the driver binds");
    let functions = if entries > 438 {
        guest::read(table)
    } else {
        table
    };
    TABLE.store(functions, Ordering::Relaxed);
    GLOBALS.store(guest::read(globals), Ordering::Relaxed);
    let config = words([
        32,
        add_device as *const () as u64,
        unload as *const () as u64,
        0,
    ]);
    let out = words([0]);
    let status = wdf(
        "WdfDriverCreate",
        &[driver as u64, path as u64, 0, config, out],
    );
    NtStatus(status as u32 as i32)
}

/// BREAKs are counted and the run goes on, with the framework verifier on or off.
pub fn count_breaks(verifier_on: bool) {
    let mut settings = verify::settings().clone();
    settings.verifier_on = verifier_on;
    settings.break_is_fatal = false;
    verify::configure(settings);
}

/// Attributes with cleanup and destroy callbacks, this parent and this execution level (1: inherited).
pub fn attributes(parent: u64, level: u64) -> u64 {
    let (cleanup, destroy) = (address!(evt_cleanup), address!(evt_destroy));
    words([56, cleanup, destroy, level | 1 << 32, parent, 0, 0])
}

/// The run must end with a violation of this statement, or with a bug check of WDF_VIOLATION whose text names it.
pub fn must_end(statement: &'static str) {
    verify::on_end(move |report| {
        if report.statement == Some(statement) || report.text.contains(statement) {
            return 0;
        }
        eprintln!("{report}");
        1
    });
}

/// A driver with one device.
pub struct Bench {
    pub device: u64,
    node: Option<Arc<DevNode>>,
    name: String,
}

fn new_driver(name: &str) -> *mut DriverObject {
    driver::create(&format!("\\Driver\\{name}"), entry).expect("the driver loads")
}

impl Bench {
    /// A control device that `setup` gives its queues.
    pub fn control(setup: impl FnOnce(u64)) -> Self {
        new_driver("Bench");
        let driver = guest::read::<u64>(GLOBALS.load(Ordering::Relaxed));
        let sddl = driver::unicode_string("D:P(A;;GA;;;WD)") as u64;
        let init = wdf("WdfControlDeviceInitAllocate", &[driver, sddl]);
        assert_ne!(init, 0, "the init structure is allocated");
        let name = "\\Device\\Bench";
        let text = driver::unicode_string(name) as u64;
        assert_eq!(wdf("WdfDeviceInitAssignName", &[init, text]), 0);
        prepared(init);
        let (pointer, out) = (words([init]), words([0]));
        let attributes = DEVICE_ATTRIBUTES.load(Ordering::Relaxed);
        assert_eq!(wdf("WdfDeviceCreate", &[pointer, attributes, out]), 0);
        let device = guest::read::<u64>(out);
        setup(device);
        wdf("WdfControlFinishInitializing", &[device]);
        Self {
            device,
            node: None,
            name: name.to_owned(),
        }
    }

    /// A PnP device, started, that `setup` gives its queues; `lower` is below it.
    pub fn started(setup: impl Fn(u64) + Send + Sync + 'static) -> Self {
        static DEVICE: AtomicU64 = AtomicU64::new(0);
        let add = move |_driver: u64, init: u64| {
            let name = driver::unicode_string("\\Device\\Bench") as u64;
            assert_eq!(wdf("WdfDeviceInitAssignName", &[init, name]), 0);
            prepared(init);
            let (pointer, out) = (words([init]), words([0]));
            let attributes = DEVICE_ATTRIBUTES.load(Ordering::Relaxed);
            assert_eq!(wdf("WdfDeviceCreate", &[pointer, attributes, out]), 0);
            DEVICE.store(guest::read(out), Ordering::Relaxed);
            setup(guest::read(out));
        };
        assert!(ADD_DEVICE.set(Box::new(add)).is_ok());
        let driver = new_driver("Bench");
        let config = DevNodeConfig::new("ROOT\\BENCH\\0000", driver, &[]);
        let node = DevNode::create(config).expect("the device is added");
        node.start().expect("the device starts");
        Self {
            device: DEVICE.load(Ordering::Relaxed),
            node: Some(node),
            name: "\\Device\\Bench".to_owned(),
        }
    }

    /// The PnP node.
    pub fn node(&self) -> &Arc<DevNode> {
        self.node.as_ref().expect("a PnP device")
    }

    /// A program's handle of the device.
    pub fn open(&self) -> Arc<Handle> {
        Process::new("program")
            .open(&self.name, 0xC000_0000, 7)
            .expect("the device opens")
    }
}

/// Makes IRPs that arrive at the device one stack location longer, as a driver does that sends them to another stack.
pub fn deepen(device: u64) {
    let wdm = wdf("WdfDeviceWdmGetDeviceObject", &[device]) as *mut DeviceObject;
    at(wdm).stack_size.update(|size| size + 1);
}

/// Handlers of a queue under test.
#[derive(Clone, Copy, Default)]
pub struct QueueSpec {
    /// 1 sequential, 2 parallel, 3 manual.
    pub kind: u64,
    pub default: bool,
    pub limit: u64,
    pub canceled_on_queue: bool,
    pub stop: bool,
    /// Reads and writes of nothing are the framework's.
    pub no_zero_length: bool,
}

/// The default queue with all handlers.
pub const SEQUENTIAL: QueueSpec = QueueSpec {
    kind: 1,
    default: true,
    limit: 0,
    canceled_on_queue: false,
    stop: false,
    no_zero_length: false,
};
/// The default queue with all handlers.
pub const PARALLEL: QueueSpec = QueueSpec {
    kind: 2,
    limit: 0xFFFF_FFFF,
    ..SEQUENTIAL
};
/// A manual queue beside the default one.
pub const MANUAL: QueueSpec = QueueSpec {
    kind: 3,
    default: false,
    ..SEQUENTIAL
};

/// Makes a queue of the device.
pub fn queue(device: u64, spec: QueueSpec) -> u64 {
    queue_with(device, spec, 0)
}

/// Makes a queue of the device with this level and scope.
pub fn synchronized_queue(device: u64, spec: QueueSpec, level: u64, scope: u64) -> u64 {
    queue_with(
        device,
        spec,
        words([56, 0, 0, level | scope << 32, 0, 0, 0]),
    )
}

fn queue_with(device: u64, spec: QueueSpec, attributes: u64) -> u64 {
    let handler = |address: u64| if spec.kind == 3 { 0 } else { address };
    let config = words([
        96 | spec.kind << 32,
        2 | u64::from(!spec.no_zero_length) << 32 | u64::from(spec.default) << 40,
        handler(address!(evt_default)),
        handler(address!(evt_read)),
        handler(address!(evt_write)),
        handler(address!(evt_control)),
        0,
        if spec.stop { address!(evt_stop) } else { 0 },
        if spec.stop { address!(evt_resume) } else { 0 },
        if spec.canceled_on_queue {
            address!(evt_canceled_on_queue)
        } else {
            0
        },
        spec.limit,
        0,
    ]);
    let out = words([0]);
    assert_eq!(
        wdf_status("WdfIoQueueCreate", &[device, config, attributes, out]),
        NtStatus::SUCCESS
    );
    guest::read(out)
}

/// W and N of a queue.
pub fn counts(queue: u64) -> (u32, u32) {
    let out = words([0, 0]);
    wdf("WdfIoQueueGetState", &[queue, out, out + 8]);
    (guest::read(out), guest::read(out + 8))
}

/// Completes a request.
pub fn complete(request: u64, status: NtStatus, information: u64) {
    wdf(
        "WdfRequestCompleteWithInformation",
        &[request, status.0 as u32 as u64, information],
    );
}

/// The result of an operation under way.
#[derive(Clone)]
pub struct Pending {
    result: Arc<Lock<Vec<Completion>>>,
    done: Arc<Event>,
    pub id: drydock::nt::app::IoId,
}

impl Pending {
    /// The completion, if there was one; there must not be two.
    pub fn result(&self) -> Option<Completion> {
        let results = self.result.lock();
        assert!(results.len() < 2, "completed twice");
        results.first().cloned()
    }

    /// Waits for the completion.
    pub fn wait(&self) -> Completion {
        self.done.wait();
        self.result().expect("it is done")
    }

    /// Its status, once completed.
    pub fn status(&self) -> Option<NtStatus> {
        self.result().map(|completion| completion.status)
    }
}

/// Starts an operation.
pub fn start(handle: &Arc<Handle>, op: Op) -> Pending {
    let result = Arc::new(Lock::new(Vec::new()));
    let done = Arc::new(Event::new(true, false));
    let (results, event) = (result.clone(), done.clone());
    let id = handle.start(op, move |completion| {
        results.lock().push(completion);
        event.set();
    });
    Pending { result, done, id }
}

/// A read of `len` bytes at the beginning.
pub fn read(len: u32) -> Op {
    Op::Read { offset: 0, len }
}

/// A list of what happened, in order.
#[derive(Clone, Default)]
pub struct Log(Arc<Lock<Vec<String>>>);

impl Log {
    pub fn add(&self, text: impl Into<String>) {
        self.0.lock().push(text.into());
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// A cell callbacks leave handles in.
#[derive(Clone, Default)]
pub struct Cell(Arc<AtomicU64>);

impl Cell {
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::SeqCst);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A zero-filled word for an output, read after `f` was given its address.
pub fn out(f: impl FnOnce(u64) -> NtStatus) -> (NtStatus, u64) {
    let out = words([0]);
    let status = f(out);
    (status, guest::read(out))
}

/// Retrieves the next request of a manual or sequential queue.
pub fn retrieve(queue: u64) -> Result<u64, NtStatus> {
    let (status, request) = out(|out| wdf_status("WdfIoQueueRetrieveNextRequest", &[queue, out]));
    if status.is_success() {
        Ok(request)
    } else {
        Err(status)
    }
}

/// The level the calling thread runs at.
pub fn irql() -> u8 {
    drydock::nt::thread::irql()
}

/// The originator's cancel of a request, by its IRP.
pub fn irp_cancel(request: u64) {
    drydock::nt::irp::cancel(irp(request));
}

/// Every call that can fail for want of resources fails, while `f` runs.
pub fn without_resources<R>(f: impl FnOnce() -> R) -> R {
    let before = verify::settings().clone();
    verify::configure(verify::Settings {
        low_resources: verify::LowResources::Random {
            seed: 0,
            one_in: 1,
            spare: 0,
        },
        ..before.clone()
    });
    let result = f();
    verify::configure(before);
    result
}

/// The IRP of a request.
pub fn irp(request: u64) -> *mut Irp {
    wdf("WdfRequestWdmGetIrp", &[request]) as *mut Irp
}
