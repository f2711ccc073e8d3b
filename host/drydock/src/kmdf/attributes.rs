//! `WDF_OBJECT_ATTRIBUTES`: reading and judging it (R-OBJ-50 to R-OBJ-54).

use super::guest;
use super::handle;
use super::kind::{ExecutionLevel, Scope};
use super::object::ObjRef;
use crate::nt::status::NtStatus;

const SIZE: u32 = 56;
/// Sizes of `WDF_OBJECT_CONTEXT_TYPE_INFO`: the 1.0 layout and the current one.
const TYPE_INFO_SIZES: [u32; 2] = [32, 40];

/// What a type of object says about the parent in its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentRule {
    /// May be given.
    Optional,
    /// Must be given (R-OBJ-36).
    Required,
    /// Must not be given (R-OBJ-53).
    Forbidden,
}

/// What a type of object accepts in its attributes (R-OBJ-53).
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// About the parent.
    pub parent: ParentRule,
    /// An execution level may be set.
    pub level: bool,
    /// A synchronization scope may be set.
    pub scope: bool,
}

impl Rules {
    /// A parent may be given; neither level nor scope.
    pub const PLAIN: Self = Self {
        parent: ParentRule::Optional,
        level: false,
        scope: false,
    };
    /// A parent must be given; neither level nor scope.
    pub const PARENT_REQUIRED: Self = Self {
        parent: ParentRule::Required,
        level: false,
        scope: false,
    };
    /// Neither parent nor level nor scope.
    pub const NO_PARENT: Self = Self {
        parent: ParentRule::Forbidden,
        level: false,
        scope: false,
    };
    /// These rules, and level and scope may be set.
    pub const fn with_level_and_scope(self) -> Self {
        Self {
            level: true,
            scope: true,
            ..self
        }
    }
    /// These rules, and the level may be set.
    pub const fn with_level(self) -> Self {
        Self {
            level: true,
            ..self
        }
    }
}

/// A judged copy of `WDF_OBJECT_ATTRIBUTES`.
#[derive(Clone)]
pub struct Attributes {
    /// EvtCleanupCallback, 0 if none.
    pub cleanup: u64,
    /// EvtDestroyCallback, 0 if none.
    pub destroy: u64,
    /// Execution level.
    pub level: ExecutionLevel,
    /// Synchronization scope.
    pub scope: Scope,
    /// Parent given by the driver.
    pub parent: Option<ObjRef>,
    /// Address of the context type record, 0 if none: contexts are found by it (R-OBJ-60).
    pub type_info: u64,
    /// Bytes of context.
    pub context_size: usize,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            cleanup: 0,
            destroy: 0,
            level: ExecutionLevel::Inherit,
            scope: Scope::Inherit,
            parent: None,
            type_info: 0,
            context_size: 0,
        }
    }
}

impl Attributes {
    /// Reads the structure at `address` (null: no attributes) and judges it by `rules`.
    ///
    /// # Errors
    /// The statuses of R-OBJ-50 to R-OBJ-53.
    pub fn read(address: u64, rules: Rules) -> Result<Self, NtStatus> {
        if address == 0 {
            return match rules.parent {
                ParentRule::Required => Err(NtStatus::WDF_PARENT_NOT_SPECIFIED),
                _ => Ok(Self::default()),
            };
        }
        if guest::read::<u32>(address) != SIZE {
            return Err(NtStatus::INFO_LENGTH_MISMATCH);
        }
        let size_override = guest::read::<u64>(address + 40) as usize;
        let type_info = guest::read::<u64>(address + 48);
        let context_size = context_size(type_info, size_override)?;
        let parent = guest::read::<u64>(address + 32);
        match rules.parent {
            ParentRule::Forbidden if parent != 0 => {
                return Err(NtStatus::WDF_PARENT_ASSIGNMENT_NOT_ALLOWED);
            }
            ParentRule::Required if parent == 0 => return Err(NtStatus::WDF_PARENT_NOT_SPECIFIED),
            _ => {}
        }
        let level = ExecutionLevel::from_raw(guest::read::<u32>(address + 24))
            .ok_or(NtStatus::WDF_OBJECT_ATTRIBUTES_INVALID)?;
        let scope = Scope::from_raw(guest::read::<u32>(address + 28))
            .ok_or(NtStatus::WDF_OBJECT_ATTRIBUTES_INVALID)?;
        if !rules.level && level != ExecutionLevel::Inherit {
            return Err(NtStatus::WDF_EXECUTION_LEVEL_INVALID);
        }
        if !rules.scope && scope != Scope::Inherit {
            return Err(NtStatus::WDF_SYNCHRONIZATION_SCOPE_INVALID);
        }
        Ok(Self {
            cleanup: guest::read(address + 8),
            destroy: guest::read(address + 16),
            level,
            scope,
            parent: (parent != 0).then(|| handle::resolve_any(parent)),
            type_info,
            context_size,
        })
    }
}

/// R-OBJ-51 and R-OBJ-52.
fn context_size(type_info: u64, size_override: usize) -> Result<usize, NtStatus> {
    if type_info == 0 {
        return if size_override == 0 {
            Ok(0)
        } else {
            Err(NtStatus::WDF_OBJECT_ATTRIBUTES_INVALID)
        };
    }
    if !TYPE_INFO_SIZES.contains(&guest::read::<u32>(type_info)) {
        return Err(NtStatus::INFO_LENGTH_MISMATCH);
    }
    let name = guest::read::<u64>(type_info + 8);
    let size = guest::read::<u64>(type_info + 16) as usize;
    if size > 0 && name == 0 || size_override != 0 && size_override < size {
        return Err(NtStatus::WDF_OBJECT_ATTRIBUTES_INVALID);
    }
    Ok(size.max(size_override))
}
