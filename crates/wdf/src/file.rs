//! Framework file objects: open handles of a device that asks for them.

use core::{marker::PhantomData, num::NonZeroUsize};

use wdk_sys::{
    _WDF_FILEOBJECT_CLASS::WdfFileObjectWdfCannotUseFsContexts, _WDF_TRI_STATE::WdfUseDefault,
    WDF_FILEOBJECT_CONFIG, WDFDEVICE, WDFFILEOBJECT, WDFREQUEST, call_unsafe_wdf_function_binding,
};

use crate::{
    Status, context,
    context::Context,
    cx::{self, Cx, FileEvent},
    device::{self, Device, DeviceContext, DeviceInit, Role},
    handler::{self, Stateless},
    object::ObjectRef,
    request::{Create, Disposition, FileKey, Kind, Request, finish},
};

/// What a device does with opens and closes; every file object carries an `F`. Stands for `WDF_FILEOBJECT_CONFIG`.
pub struct Files<D, F> {
    raw: WDF_FILEOBJECT_CONFIG,
    of: PhantomData<fn() -> (D, F)>,
}

/// A file object whose open has just begun.
///
/// Invariant: holds a reference: an open that fails destroys the object inside the completing call (R-DEV-45), and this value may still be there.
pub struct NewFile<'a, F> {
    object: ObjectRef,
    scope: PhantomData<&'a ()>,
    of: PhantomData<fn() -> F>,
}

impl<F: Context> NewFile<'_, F> {
    fn handle(&self) -> WDFFILEOBJECT {
        self.object.raw().cast()
    }

    /// Whether the device itself is opened, not a name below it. Stands for `WdfFileObjectGetFileName`.
    #[must_use]
    pub fn is_device_itself(&self) -> bool {
        // SAFETY: referenced.
        let name =
            unsafe { call_unsafe_wdf_function_binding!(WdfFileObjectGetFileName, self.handle()) };
        // SAFETY: null, or a string that lives as long as the file object.
        unsafe { name.as_ref() }.is_none_or(|name| name.Length == 0)
    }

    /// The open instance, as the requests that will come through it name it. Stands for `WdfFileObjectWdmGetFileObject`.
    #[must_use]
    pub fn key(&self) -> Option<FileKey> {
        // SAFETY: live during its create callback.
        let file = unsafe {
            call_unsafe_wdf_function_binding!(WdfFileObjectWdmGetFileObject, self.handle())
        };
        NonZeroUsize::new(file.addr()).map(FileKey)
    }

    /// Puts the context in.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_STATE` if it has one already.
    pub fn install(self, file: F) -> Result<(), Status> {
        // SAFETY: referenced; only this value, which is consumed, installs.
        unsafe { context::install(self.object.raw(), file) }
            .map(|_| ())
            .map_err(|_| Status::INVALID_DEVICE_STATE)
    }
}

impl<D: DeviceContext, F: Context> Files<D, F> {
    /// `EvtDeviceFileCreate`. Every open is answered by this handler.
    #[must_use]
    pub fn new<H>(create: H) -> Self
    where
        H: for<'r> Fn(
                &mut Cx<'_, FileEvent>,
                &Device<D>,
                Request<'r, Create>,
                NewFile<'_, F>,
            ) -> Disposition<'r>
            + Stateless,
    {
        handler::hand_in(create);
        let raw = WDF_FILEOBJECT_CONFIG {
            Size: context::size_u32::<WDF_FILEOBJECT_CONFIG>(),
            EvtDeviceFileCreate: Some(evt_create::<D, F, H>),
            AutoForwardCleanupClose: WdfUseDefault,
            FileObjectClass: WdfFileObjectWdfCannotUseFsContexts,
            ..WDF_FILEOBJECT_CONFIG::default()
        };
        Self {
            raw,
            of: PhantomData,
        }
    }

    /// `EvtFileCleanup`: the last handle was closed; requests may still be around (R-CAN-60, R-CAN-61).
    #[must_use]
    pub fn cleanup<H>(mut self, cleanup: H) -> Self
    where
        H: Fn(&mut Cx<'_, FileEvent>, &Device<D>, &F) + Stateless,
    {
        handler::hand_in(cleanup);
        self.raw.EvtFileCleanup = Some(evt_file::<D, F, H>);
        self
    }

    /// `EvtFileClose`: all requests of the handle are gone (R-CAN-62).
    #[must_use]
    pub fn close<H>(mut self, close: H) -> Self
    where
        H: Fn(&mut Cx<'_, FileEvent>, &Device<D>, &F) + Stateless,
    {
        handler::hand_in(close);
        self.raw.EvtFileClose = Some(evt_file::<D, F, H>);
        self
    }
}

impl<R: Role> DeviceInit<'_, R> {
    /// `WdfDeviceInitSetFileObjectConfig`. The device must be created with context `D`.
    pub fn files<D: DeviceContext, F: Context>(&mut self, mut files: Files<D, F>) {
        let mut attributes = context::attributes::<F>();
        // SAFETY: valid and not consumed (invariant of DeviceInit); the framework copies both structures.
        unsafe {
            call_unsafe_wdf_function_binding!(
                WdfDeviceInitSetFileObjectConfig,
                self.raw(),
                &raw mut files.raw,
                &raw mut attributes
            );
        }
    }
}

impl<K: Kind> Request<'_, K> {
    /// The context of the file object the request came through. Stands for `WdfRequestGetFileObject`.
    #[must_use]
    pub fn file<F: Context>(&self) -> Option<&F> {
        // SAFETY: owned.
        let file =
            unsafe { call_unsafe_wdf_function_binding!(WdfRequestGetFileObject, self.handle()) };
        if file.is_null() {
            return None;
        }
        // SAFETY: the file object outlives the requests that came through it (R-CAN-62).
        let context = unsafe { context::get::<F>(file.cast()) }?;
        // SAFETY: installed; lives as long as the file object, longer than the borrow of `self`.
        Some(unsafe { context.as_ref() })
    }
}

unsafe extern "C" fn evt_create<D: DeviceContext, F: Context, H>(
    device: WDFDEVICE,
    request: WDFREQUEST,
    file: WDFFILEOBJECT,
) where
    H: for<'r> Fn(
            &mut Cx<'_, FileEvent>,
            &Device<D>,
            Request<'r, Create>,
            NewFile<'_, F>,
        ) -> Disposition<'r>
        + Stateless,
{
    // SAFETY: the device exists during its callbacks.
    let device = unsafe { device::borrow::<D>(device) };
    // SAFETY: live during its create callback.
    let object = unsafe { ObjectRef::acquire(file.cast()) };
    let (Some(device), Some(object)) = (device, object) else {
        // SAFETY: owned since this callback (R-REQ-02).
        unsafe { finish(request, Status::DEVICE_NOT_READY) };
        return;
    };
    // SAFETY: handed in by `Files::new`.
    let create: H = unsafe { handler::recall() };
    cx::enter::<FileEvent, _>(|cx| {
        // SAFETY: owned, presented once, a create; 'r is minted by `create`.
        let request = unsafe { Request::present(request) };
        let _gone = create(
            cx,
            &device,
            request,
            NewFile {
                object,
                scope: PhantomData,
                of: PhantomData,
            },
        );
    });
}

unsafe extern "C" fn evt_file<D: DeviceContext, F: Context, H>(file: WDFFILEOBJECT)
where
    H: Fn(&mut Cx<'_, FileEvent>, &Device<D>, &F) + Stateless,
{
    // SAFETY: the file object is live during its callbacks.
    let device = unsafe { call_unsafe_wdf_function_binding!(WdfFileObjectGetDevice, file) };
    // SAFETY: the device outlives its file objects.
    let Some(device) = (unsafe { device::borrow::<D>(device) }) else {
        return;
    };
    // SAFETY: live.
    let Some(context) = (unsafe { context::get::<F>(file.cast()) }) else {
        return;
    };
    // SAFETY: installed; dropped only after the close callback has returned (R-DEV-46).
    let context = unsafe { context.as_ref() };
    // SAFETY: handed in by the setter.
    let handler: H = unsafe { handler::recall() };
    cx::enter::<FileEvent, _>(|cx| handler(cx, &device, context));
}
