//! Devices and their filters by SetupAPI and the configuration manager.
//!
//! What carries the system is found by going up from the disks of its volumes: a disk, the adapter it hangs on, the bus of that.
//! Whatever cannot be found out counts as carrying.
#![expect(unsafe_code, reason = "SetupAPI and the configuration manager")]

use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::ptr::{null, null_mut};

use anyhow::{Context, bail};
use windows_sys::Win32::Devices::DeviceAndDriverInstallation::{
    CM_Get_DevNode_Status, CM_Get_Device_IDW, CM_Get_Parent, CM_LOCATE_DEVNODE_NORMAL,
    CM_Locate_DevNodeW, CR_SUCCESS, DI_NEEDREBOOT, DI_NEEDRESTART, DICS_FLAG_GLOBAL,
    DICS_PROPCHANGE, DIF_PROPERTYCHANGE, DIGCF_ALLCLASSES, DN_HAS_PROBLEM, HDEVINFO,
    SETUP_DI_REGISTRY_PROPERTY, SP_CLASSINSTALL_HEADER, SP_DEVINFO_DATA, SP_DEVINSTALL_PARAMS_W,
    SP_PROPCHANGE_PARAMS, SPDRP_CLASSGUID, SPDRP_DEVICEDESC, SPDRP_FRIENDLYNAME, SPDRP_SERVICE,
    SPDRP_UPPERFILTERS, SetupDiCallClassInstaller, SetupDiCreateDeviceInfoList,
    SetupDiDestroyDeviceInfoList, SetupDiEnumDeviceInfo, SetupDiGetClassDevsW,
    SetupDiGetDeviceInstallParamsW, SetupDiGetDeviceInstanceIdW, SetupDiGetDeviceRegistryPropertyW,
    SetupDiOpenDeviceInfoW, SetupDiSetClassInstallParamsW, SetupDiSetDeviceRegistryPropertyW,
};
use windows_sys::Win32::Foundation::{ERROR_INVALID_DATA, GetLastError, INVALID_HANDLE_VALUE};
use windows_sys::Win32::System::IO::DeviceIoControl;

use super::machine::{service_start, text, wide};
use crate::install::{Facts, Machine, Restart, from_multi_sz, to_multi_sz};
use crate::platform::Result;

/// Longest instance id, in UTF-16 units (`MAX_DEVICE_ID_LEN`).
const MAX_ID: usize = 200;
/// `IOCTL_VOLUME_GET_VOLUME_DISK_EXTENTS`.
const VOLUME_DISK_EXTENTS: u32 = 0x0056_0000;
/// `IOCTL_STORAGE_GET_DEVICE_NUMBER`.
const STORAGE_DEVICE_NUMBER: u32 = 0x002D_1080;
/// `GUID_DEVINTERFACE_DISK`.
const DISK_INTERFACE: ferry_abi::guid::Guid = ferry_abi::guid::Guid {
    data1: 0x53f5_6307,
    data2: 0xb6bf,
    data3: 0x11d0,
    data4: [0x94, 0xf2, 0x00, 0xa0, 0xc9, 0x1e, 0xfb, 0x8b],
};

fn last_error(what: &str) -> anyhow::Error {
    anyhow::Error::new(std::io::Error::last_os_error()).context(format!("cannot {what}"))
}

/// A device information set with one device in it, or all. Destroyed when dropped.
struct Set(HDEVINFO);

impl Drop for Set {
    fn drop(&mut self) {
        // SAFETY: created by the constructors below and destroyed once.
        unsafe { SetupDiDestroyDeviceInfoList(self.0) };
    }
}

/// A device of a set.
struct Node {
    set: Set,
    data: SP_DEVINFO_DATA,
}

fn empty_data() -> SP_DEVINFO_DATA {
    SP_DEVINFO_DATA {
        cbSize: size_of::<SP_DEVINFO_DATA>() as u32,
        ..SP_DEVINFO_DATA::default()
    }
}

impl Node {
    fn open(instance: &str) -> Result<Self> {
        // SAFETY: no class, no window: an empty set.
        let set = unsafe { SetupDiCreateDeviceInfoList(null(), null_mut()) };
        if set == INVALID_HANDLE_VALUE as isize {
            return Err(last_error("make a device information set"));
        }
        let set = Set(set);
        let mut data = empty_data();
        let id = wide(instance);
        // SAFETY: the set is open, the id ends with a zero, `data` states its size.
        if unsafe { SetupDiOpenDeviceInfoW(set.0, id.as_ptr(), null_mut(), 0, &raw mut data) } == 0
        {
            return Err(last_error(&format!(
                "open the device {instance}: is that its instance id?"
            )));
        }
        Ok(Self { set, data })
    }

    /// A property as the bytes it is stored in; `None`: it has none.
    fn property(&self, property: SETUP_DI_REGISTRY_PROPERTY) -> Result<Option<Vec<u16>>> {
        let mut units = vec![0_u16; 8 << 10];
        let size = (units.len() * 2) as u32;
        // SAFETY: the device is of the set; `units` has room for `size` bytes; type and length are not asked back.
        let read = unsafe {
            SetupDiGetDeviceRegistryPropertyW(
                self.set.0,
                &raw const self.data,
                property,
                null_mut(),
                units.as_mut_ptr().cast(),
                size,
                null_mut(),
            )
        };
        if read != 0 {
            return Ok(Some(units));
        }
        // SAFETY: reads a field of the thread's own environment block.
        match unsafe { GetLastError() } {
            ERROR_INVALID_DATA => Ok(None),
            _ => Err(last_error("read a property of the device")),
        }
    }

    fn string(&self, property: SETUP_DI_REGISTRY_PROPERTY) -> Result<Option<String>> {
        let units = self.property(property)?;
        Ok(units.map(|units| {
            String::from_utf16_lossy(&units)
                .split('\0')
                .next()
                .unwrap_or_default()
                .to_owned()
        }))
    }

    /// Runs the class installer for a change of properties, and says whether it wants a reboot.
    fn restart(&self) -> Result<Restart> {
        let params = SP_PROPCHANGE_PARAMS {
            ClassInstallHeader: SP_CLASSINSTALL_HEADER {
                cbSize: size_of::<SP_CLASSINSTALL_HEADER>() as u32,
                InstallFunction: DIF_PROPERTYCHANGE,
            },
            StateChange: DICS_PROPCHANGE,
            Scope: DICS_FLAG_GLOBAL,
            HwProfile: 0,
        };
        let size = size_of::<SP_PROPCHANGE_PARAMS>() as u32;
        // SAFETY: the device is of the set; the structure begins with a header that states its size.
        let set = unsafe {
            SetupDiSetClassInstallParamsW(
                self.set.0,
                &raw const self.data,
                (&raw const params).cast(),
                size,
            )
        };
        if set == 0 {
            return Err(last_error("prepare the restart of the device"));
        }
        // SAFETY: as above.
        if unsafe {
            SetupDiCallClassInstaller(DIF_PROPERTYCHANGE, self.set.0, &raw const self.data)
        } == 0
        {
            return Err(last_error("restart the device"));
        }
        let mut install = SP_DEVINSTALL_PARAMS_W {
            cbSize: size_of::<SP_DEVINSTALL_PARAMS_W>() as u32,
            ..SP_DEVINSTALL_PARAMS_W::default()
        };
        // SAFETY: as above; `install` states its size.
        if unsafe {
            SetupDiGetDeviceInstallParamsW(self.set.0, &raw const self.data, &raw mut install)
        } == 0
        {
            return Err(last_error("learn what came of the restart"));
        }
        let reboot = install.Flags & (DI_NEEDREBOOT | DI_NEEDRESTART) != 0;
        Ok(if reboot {
            Restart::RebootNeeded
        } else {
            Restart::Restarted
        })
    }
}

/// The device node of an instance that is plugged in.
fn node(instance: &str) -> Option<u32> {
    let id = wide(instance);
    let mut node = 0;
    // SAFETY: the id ends with a zero; `node` is a local.
    let code = unsafe { CM_Locate_DevNodeW(&raw mut node, id.as_ptr(), CM_LOCATE_DEVNODE_NORMAL) };
    (code == CR_SUCCESS).then_some(node)
}

fn problem_of(node: u32) -> Option<(u32, u32)> {
    let (mut status, mut problem) = (0, 0);
    // SAFETY: both results are locals.
    let code = unsafe { CM_Get_DevNode_Status(&raw mut status, &raw mut problem, node, 0) };
    (code == CR_SUCCESS).then_some((status, problem))
}

/// The instance and everything it hangs on, up to the root.
fn with_parents(instance: &str) -> Vec<String> {
    let mut chain = vec![instance.to_owned()];
    let mut at = node(instance);
    while let Some(node) = at {
        let mut parent = 0;
        // SAFETY: the result is a local.
        if unsafe { CM_Get_Parent(&raw mut parent, node, 0) } != CR_SUCCESS {
            break;
        }
        let mut id = [0_u16; MAX_ID + 1];
        // SAFETY: `id` has room for the longest id.
        if unsafe { CM_Get_Device_IDW(parent, id.as_mut_ptr(), id.len() as u32, 0) } == CR_SUCCESS {
            chain.push(
                String::from_utf16_lossy(&id)
                    .split('\0')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
        at = Some(parent);
    }
    chain
}

/// A control without input on a path opened for no access, and its output.
fn ask(path: &str, code: u32, output: &mut [u8]) -> Result<usize> {
    let file = std::fs::OpenOptions::new()
        .access_mode(0)
        .share_mode(7)
        .open(path)
        .with_context(|| format!("cannot open {path}"))?;
    let mut got = 0;
    // SAFETY: the file is open and not overlapped; `output` has the room that is told.
    let done = unsafe {
        DeviceIoControl(
            file.as_raw_handle(),
            code,
            null(),
            0,
            output.as_mut_ptr().cast(),
            output.len() as u32,
            &raw mut got,
            null_mut(),
        )
    };
    if done == 0 {
        Err(last_error(&format!("ask {path}")))
    } else {
        Ok(got as usize)
    }
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_le_bytes)
}

/// Numbers of the disks a volume is on.
fn disks_of(volume: &str) -> Result<Vec<u32>> {
    let mut answer = [0; 4096];
    let got = ask(volume, VOLUME_DISK_EXTENTS, &mut answer)?;
    let answer = &answer[..got];
    let count = number_at(answer, 0).context("a volume gave no extents")?;
    // VOLUME_DISK_EXTENTS: a count, then DISK_EXTENT of 24 bytes each, aligned to 8.
    let disk = |extent: u32| {
        number_at(answer, 8 + 24 * extent as usize).context("a volume gave too few extents")
    };
    (0..count).map(disk).collect()
}

/// What the machine runs from: volumes, by what they carry.
fn precious_volumes() -> Vec<(&'static str, String)> {
    const MEMORY: &str = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management";
    let drive = |path: &str| {
        let letter = path
            .trim_start_matches(r"\??\")
            .chars()
            .next()
            .filter(char::is_ascii_alphabetic);
        letter.map(|letter| format!(r"\\.\{letter}:"))
    };
    let mut volumes = Vec::new();
    let windows = std::env::var("SystemRoot").unwrap_or_else(|_| r"C:\Windows".to_owned());
    if let Some(volume) = drive(&windows) {
        // The hibernation file, and a crash dump that has no page file to go to, are on it too.
        volumes.push(("the boot volume, with hibernation and crash dump", volume));
    }
    if let Some(partition) = text(r"SYSTEM\Setup", "SystemPartition") {
        volumes.push(("the system volume", format!(r"\\?\GLOBALROOT{partition}")));
    }
    for file in text(MEMORY, "ExistingPageFiles")
        .unwrap_or_default()
        .split('\0')
    {
        volumes.extend(drive(file).map(|volume| ("a page file", volume)));
    }
    volumes
}

/// Devices the machine runs from, and why: the disks of its volumes and everything they hang on.
fn precious(interfaces: &[String]) -> Result<Vec<(&'static str, Vec<String>)>> {
    let mut disks = Vec::new();
    for path in interfaces {
        let mut answer = [0; 12];
        if let Ok(12) = ask(path, STORAGE_DEVICE_NUMBER, &mut answer)
            && let Some(number) = number_at(&answer, 4)
        {
            // \\?\SCSI#Disk&Ven_X#5&1234#{guid} is SCSI\Disk&Ven_X\5&1234.
            let parts: Vec<_> = path.trim_start_matches(r"\\?\").split('#').collect();
            if let [bus, device, instance, _] = parts[..] {
                disks.push((number, format!(r"{bus}\{device}\{instance}")));
            }
        }
    }
    let mut found = Vec::new();
    for (why, volume) in precious_volumes() {
        for number in disks_of(&volume)
            .with_context(|| format!("cannot find out which disk carries {why}"))?
        {
            let disk = disks.iter().find(|(known, _)| *known == number);
            let (_, instance) =
                disk.with_context(|| format!("cannot find disk {number}, which carries {why}"))?;
            found.push((why, with_parents(instance)));
        }
    }
    Ok(found)
}

/// This machine.
pub struct Windows {
    precious: Vec<(&'static str, Vec<String>)>,
}

impl Windows {
    /// Finds out what the machine runs from.
    pub fn new() -> Result<Self> {
        let disks = super::connect(None)?.interfaces(&DISK_INTERFACE)?;
        Ok(Self {
            precious: precious(&disks)?,
        })
    }
}

impl Machine for Windows {
    fn facts(&mut self, instance: &str) -> Result<Facts> {
        let device = Node::open(instance)?;
        let name = match device.string(SPDRP_FRIENDLYNAME)? {
            Some(name) => name,
            None => device
                .string(SPDRP_DEVICEDESC)?
                .unwrap_or_else(|| "a device without a name".to_owned()),
        };
        let start_type = match device.string(SPDRP_SERVICE)? {
            Some(service) => service_start(&service)
                .with_context(|| format!("cannot read how {service} starts"))?,
            None => None,
        };
        let carries = self
            .precious
            .iter()
            .filter(|(_, chain)| chain.iter().any(|id| id.eq_ignore_ascii_case(instance)));
        let mut carries: Vec<_> = carries.map(|(why, _)| *why).collect();
        carries.dedup();
        Ok(Facts {
            instance: instance.to_owned(),
            description: name,
            class_guid: device.string(SPDRP_CLASSGUID)?.unwrap_or_default(),
            start_type,
            carries,
            present: node(instance).is_some(),
            filters: device
                .property(SPDRP_UPPERFILTERS)?
                .map(|units| from_multi_sz(&units))
                .unwrap_or_default(),
        })
    }

    fn is_installed(&mut self) -> Result<bool> {
        let start = service_start(crate::install::FERRY)
            .context("cannot look for the service \"ferry\"")?;
        Ok(start.is_some())
    }

    fn set_filters(&mut self, instance: &str, filters: &[String]) -> Result<()> {
        let device = Node::open(instance)?;
        let value = to_multi_sz(filters);
        let (bytes, size) = value.as_ref().map_or((null(), 0), |units| {
            (units.as_ptr().cast(), (units.len() * 2) as u32)
        });
        // SAFETY: the device is of the set; the value ends with two zeros and has the size that is told, or is null: deleted.
        let set = unsafe {
            SetupDiSetDeviceRegistryPropertyW(
                device.set.0,
                &raw const device.data as *mut _,
                SPDRP_UPPERFILTERS,
                bytes,
                size,
            )
        };
        if set == 0 {
            Err(last_error(
                "set the upper filters: is this prompt elevated?",
            ))
        } else {
            Ok(())
        }
    }

    fn restart(&mut self, instance: &str) -> Result<Restart> {
        Node::open(instance)?.restart()
    }

    fn problem(&mut self, instance: &str) -> Result<Option<u32>> {
        let Some(node) = node(instance) else {
            bail!("{instance} is not there any more");
        };
        let (status, problem) = problem_of(node).context("cannot read the state of the device")?;
        Ok((status & DN_HAS_PROBLEM != 0).then_some(problem))
    }

    fn instances(&mut self) -> Result<Vec<String>> {
        // Without DIGCF_PRESENT: also those that are not plugged in.
        // SAFETY: no class, no enumerator, no window.
        let set = unsafe { SetupDiGetClassDevsW(null(), null(), null_mut(), DIGCF_ALLCLASSES) };
        if set == INVALID_HANDLE_VALUE as isize {
            return Err(last_error("list the devices"));
        }
        let set = Set(set);
        let mut instances = Vec::new();
        for index in 0.. {
            let mut data = empty_data();
            // SAFETY: the set is open; `data` states its size.
            if unsafe { SetupDiEnumDeviceInfo(set.0, index, &raw mut data) } == 0 {
                break;
            }
            let mut id = [0_u16; MAX_ID + 1];
            // SAFETY: the device is of the set; `id` has the room that is told.
            let read = unsafe {
                SetupDiGetDeviceInstanceIdW(
                    set.0,
                    &raw const data,
                    id.as_mut_ptr(),
                    id.len() as u32,
                    null_mut(),
                )
            };
            if read != 0 {
                instances.push(
                    String::from_utf16_lossy(&id)
                        .split('\0')
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                );
            }
        }
        Ok(instances)
    }
}
