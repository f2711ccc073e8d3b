//! WDFCMRESLIST: the hardware resources of a device, of which this machine assigns none.

use super::attributes::Attributes;
use super::ddi::{Call, DISPATCH, export};
use super::device::Device;
use super::handle::{self, Ref, Typed};
use super::kind::Kind;
use super::lifetime;
use super::object::{self, Body};

export! {
    "WdfCmResourceListGetCount" => get_count[list: u64] -> u32, DISPATCH;
    "WdfCmResourceListGetDescriptor" => get_descriptor[list: u64, index: u32] -> u64, DISPATCH;
}

/// The body of a WDFCMRESLIST.
pub struct ResourceList;

impl Body for ResourceList {
    fn kind(&self) -> Kind {
        Kind::ResourceList
    }
}

impl Typed for ResourceList {
    const KIND: Kind = Kind::ResourceList;
}

/// The raw and the translated list, for the duration of a callback.
pub(super) struct Assigned([Option<Ref<ResourceList>>; 2]);

/// Makes the lists EvtDevicePrepareHardware and EvtDeviceReleaseHardware get.
pub(super) fn assigned(device: &Ref<Device>) -> Assigned {
    let make = || {
        object::create(
            device.object().binding(),
            &Attributes::default(),
            Some(device.object()),
            ResourceList,
        )
        .ok()
        .inspect(|list| list.object().set_undeletable(true))
    };
    Assigned([make(), make()])
}

impl Assigned {
    /// Raw and translated list.
    pub(super) fn handles(&self) -> [u64; 2] {
        [&self.0[0], &self.0[1]].map(|list| list.as_ref().map_or(0, Ref::handle))
    }
}

impl Drop for Assigned {
    fn drop(&mut self) {
        for list in self.0.iter().flatten() {
            lifetime::delete(list.object());
        }
    }
}

/// `WdfCmResourceListGetCount`: number of descriptors.
fn get_count(_call: &Call, list: u64) -> u32 {
    handle::resolve::<ResourceList>(list);
    0
}

/// `WdfCmResourceListGetDescriptor`: null, as there is no descriptor at any index.
fn get_descriptor(_call: &Call, list: u64, _index: u32) -> u64 {
    handle::resolve::<ResourceList>(list);
    0
}
