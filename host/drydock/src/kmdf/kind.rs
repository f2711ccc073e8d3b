//! The types of framework objects and the names reports use for them.

/// Type of a framework object.
///
/// The number is the one the framework reports as the expected type in
/// `BUGCHECK(0x5, handle, type)` (R-OBJ-03, R-OBJ-04).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Kind {
    /// Any object; also what `WdfObjectCreate` makes.
    Object = 0x1000,
    /// WDFDRIVER.
    Driver = 0x1001,
    /// WDFDEVICE.
    Device = 0x1002,
    /// WDFQUEUE.
    Queue = 0x1003,
    /// WDFKEY.
    Key = 0x1006,
    /// WDFSTRING.
    String = 0x1007,
    /// WDFREQUEST.
    Request = 0x1008,
    /// WDFLOOKASIDE.
    Lookaside = 0x1009,
    /// WDFMEMORY.
    Memory = 0x100A,
    /// WDFCOLLECTION.
    Collection = 0x100E,
    /// WDFDPC.
    Dpc = 0x1015,
    /// WDFFILEOBJECT.
    FileObject = 0x1018,
    /// WDFWAITLOCK.
    WaitLock = 0x1023,
    /// WDFSPINLOCK.
    SpinLock = 0x1024,
    /// WDFWORKITEM.
    WorkItem = 0x1025,
    /// WDFTIMER.
    Timer = 0x1028,
    /// WDFCMRESLIST.
    ResourceList = 0x1036,
    /// WDFIOTARGET.
    Target = 0x1200,
}

impl Kind {
    /// One more than the highest [`Kind::code`].
    pub const CODES: usize = Kind::Target.code() + 1;

    /// The type's number, counted from the first.
    pub const fn code(self) -> usize {
        self as usize - Kind::Object as usize
    }

    /// Handle type name as drivers write it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Object => "WDFOBJECT",
            Kind::Driver => "WDFDRIVER",
            Kind::Device => "WDFDEVICE",
            Kind::Queue => "WDFQUEUE",
            Kind::Key => "WDFKEY",
            Kind::String => "WDFSTRING",
            Kind::Request => "WDFREQUEST",
            Kind::Lookaside => "WDFLOOKASIDE",
            Kind::Memory => "WDFMEMORY",
            Kind::Collection => "WDFCOLLECTION",
            Kind::Dpc => "WDFDPC",
            Kind::FileObject => "WDFFILEOBJECT",
            Kind::WaitLock => "WDFWAITLOCK",
            Kind::SpinLock => "WDFSPINLOCK",
            Kind::WorkItem => "WDFWORKITEM",
            Kind::Timer => "WDFTIMER",
            Kind::ResourceList => "WDFCMRESLIST",
            Kind::Target => "WDFIOTARGET",
        }
    }
}

/// `WDF_EXECUTION_LEVEL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionLevel {
    /// The parent's level applies.
    Inherit,
    /// Callbacks run at PASSIVE_LEVEL.
    Passive,
    /// Callbacks run at or below DISPATCH_LEVEL.
    Dispatch,
}

impl ExecutionLevel {
    /// The level of a numeric `WDF_EXECUTION_LEVEL`, `None` for values out of range; zero is one (R-OBJ-54).
    pub fn from_raw(raw: u32) -> Option<Self> {
        match raw {
            1 => Some(Self::Inherit),
            2 => Some(Self::Passive),
            3 => Some(Self::Dispatch),
            _ => None,
        }
    }

    /// This level, or `parent` where it says inherit.
    pub fn or(self, parent: Self) -> Self {
        if self == Self::Inherit { parent } else { self }
    }
}

/// `WDF_SYNCHRONIZATION_SCOPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The parent's scope applies.
    Inherit,
    /// One callback of the device at a time.
    Device,
    /// One callback of the queue at a time.
    Queue,
    /// No synchronisation.
    None,
}

impl Scope {
    /// The scope of a numeric `WDF_SYNCHRONIZATION_SCOPE`, `None` for values out of range; zero is one (R-OBJ-54).
    pub fn from_raw(raw: u32) -> Option<Self> {
        match raw {
            1 => Some(Self::Inherit),
            2 => Some(Self::Device),
            3 => Some(Self::Queue),
            4 => Some(Self::None),
            _ => None,
        }
    }

    /// This scope, or `parent` where it says inherit.
    pub fn or(self, parent: Self) -> Self {
        if self == Self::Inherit { parent } else { self }
    }
}
