//! A stand-in for the parts of Microsoft's `wdk-build` 0.6.0 that the build
//! scripts of `wdk-sys`, `wdk`, `wdk-alloc` and `wdk-panic` call, able to run
//! on a host that is not Windows. Everything it does is: find the driver model
//! in a manifest, find a WDK-shaped content root, and print cargo directives.
//!
//! Environment:
//! * `WDKContentRoot`      the WDK-shaped tree (same variable as the eWDK uses)
//! * `Version_Number`      SDK version folder, else the highest one present
//! * `WDK_MANIFEST`        Cargo.toml holding `metadata.wdk.driver-model`,
//!   else the one beside the Cargo.lock above OUT_DIR
//! * `MINGW_W64_INCLUDE`   extra header root searched last
//!   (default /usr/share/mingw-w64/include)

use std::{
    borrow::Borrow,
    env,
    error::Error,
    fmt, fs, io,
    path::{Path, PathBuf},
};

const DRIVER_TYPE_CFG: &str = "driver_model__driver_type";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CpuArchitecture {
    Amd64,
    Arm64,
}

impl CpuArchitecture {
    pub const fn as_windows_str(&self) -> &'static str {
        match self {
            Self::Amd64 => "x64",
            Self::Arm64 => "ARM64",
        }
    }
    pub fn try_from_cargo_str<S: AsRef<str>>(s: S) -> Option<Self> {
        match s.as_ref() {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KmdfConfig {
    pub kmdf_version_major: u8,
    pub target_kmdf_version_minor: u8,
    pub minimum_kmdf_version_minor: Option<u8>,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UmdfConfig {
    pub umdf_version_major: u8,
    pub target_umdf_version_minor: u8,
    pub minimum_umdf_version_minor: Option<u8>,
}
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DriverConfig {
    Wdm,
    Kmdf(KmdfConfig),
    Umdf(UmdfConfig),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiSubset {
    Base,
    Wdf,
    Gpio,
    Hid,
    ParallelPorts,
    Spb,
    Storage,
    Usb,
}

#[derive(Debug)]
pub struct IoError {
    path: PathBuf,
    source: io::Error,
}
impl IoError {
    pub fn with_path(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self {
            path: path.into(),
            source,
        }
    }
}
impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.source)
    }
}
impl Error for IoError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

#[derive(Debug)]
pub enum ConfigError {
    Io(IoError),
    Message(String),
}
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => e.fmt(f),
            Self::Message(m) => f.write_str(m),
        }
    }
}
impl Error for ConfigError {}
impl From<IoError> for ConfigError {
    fn from(e: IoError) -> Self {
        Self::Io(e)
    }
}
fn err<T>(m: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Message(m.into()))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    wdk_content_root: PathBuf,
    cpu_architecture: CpuArchitecture,
    pub driver_config: DriverConfig,
}

fn env_path(key: &str) -> Option<PathBuf> {
    println!("cargo::rerun-if-env-changed={key}");
    env::var_os(key)
        .filter(|v| !v.is_empty())
        .map(PathBuf::from)
}

pub fn find_top_level_cargo_manifest() -> PathBuf {
    if let Some(p) = env_path("WDK_MANIFEST") {
        return p;
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("OUT_DIR"));
    out.ancestors()
        .find(|d| d.join("Cargo.lock").exists())
        .expect("no Cargo.lock above OUT_DIR; set WDK_MANIFEST")
        .join("Cargo.toml")
}

/// The `key = value` lines of the first `*.metadata.wdk.driver-model` table.
fn driver_model(manifest: &str) -> Option<Vec<(&str, &str)>> {
    let mut lines = manifest.lines().map(str::trim);
    lines.find(|l| {
        matches!(
            *l,
            "[workspace.metadata.wdk.driver-model]" | "[package.metadata.wdk.driver-model]"
        )
    })?;
    Some(
        lines
            .take_while(|l| !l.starts_with('['))
            .filter_map(|l| l.split('#').next()?.split_once('='))
            .map(|(k, v)| (k.trim(), v.trim().trim_matches('"')))
            .collect(),
    )
}

impl Config {
    /// `Ok(None)`: no manifest configures a driver model.
    fn from_env() -> Result<Option<Self>, ConfigError> {
        let manifest = find_top_level_cargo_manifest();
        println!("cargo::rerun-if-changed={}", manifest.display());
        let text = fs::read_to_string(&manifest).map_err(|e| IoError::with_path(&manifest, e))?;
        let Some(model) = driver_model(&text) else {
            return Ok(None);
        };
        let get = |k: &str| model.iter().find(|(key, _)| *key == k).map(|(_, v)| *v);
        let int = |k: &str| get(k).and_then(|v| v.parse::<u8>().ok());
        let need = |k: &str| {
            int(k).ok_or_else(|| ConfigError::Message(format!("driver-model.{k} is missing")))
        };
        let driver_config = match get("driver-type") {
            Some("WDM") => DriverConfig::Wdm,
            Some("KMDF") => DriverConfig::Kmdf(KmdfConfig {
                kmdf_version_major: need("kmdf-version-major")?,
                target_kmdf_version_minor: need("target-kmdf-version-minor")?,
                minimum_kmdf_version_minor: int("minimum-kmdf-version-minor"),
            }),
            other => {
                return err(format!(
                    "driver-type {other:?} is not supported by the cross build"
                ));
            }
        };
        let Some(root) = env_path("WDKContentRoot") else {
            return err("WDKContentRoot is not set");
        };
        let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
        let Some(cpu_architecture) = CpuArchitecture::try_from_cargo_str(&arch) else {
            return err(format!("unsupported target architecture {arch}"));
        };
        Ok(Some(Self {
            wdk_content_root: root,
            cpu_architecture,
            driver_config,
        }))
    }

    pub fn from_env_auto() -> Result<Self, ConfigError> {
        Self::from_env()?.map_or_else(|| err("no metadata.wdk.driver-model found"), Ok)
    }

    pub fn emit_check_cfg_settings() {
        println!(r#"cargo::rustc-check-cfg=cfg({DRIVER_TYPE_CFG}, values("WDM","KMDF","UMDF"))"#);
    }

    pub fn configure_library_build(&self) -> Result<(), ConfigError> {
        Self::emit_check_cfg_settings();
        let t = match self.driver_config {
            DriverConfig::Wdm => "WDM",
            DriverConfig::Kmdf(_) => "KMDF",
            DriverConfig::Umdf(_) => "UMDF",
        };
        println!(r#"cargo::rustc-cfg={DRIVER_TYPE_CFG}="{t}""#);
        Ok(())
    }

    fn sdk_version(&self) -> Result<String, ConfigError> {
        if let Some(v) = env_path("Version_Number") {
            return Ok(v.to_string_lossy().into_owned());
        }
        let dir = self.wdk_content_root.join("Include");
        let mut all: Vec<Vec<u32>> = fs::read_dir(&dir)
            .map_err(|e| IoError::with_path(&dir, e))?
            .filter_map(|e| {
                e.ok()?
                    .file_name()
                    .to_str()?
                    .split('.')
                    .map(|p| p.parse().ok())
                    .collect()
            })
            .filter(|v: &Vec<u32>| v.len() == 4)
            .collect();
        all.sort();
        all.pop().map_or_else(
            || err(format!("no SDK version folder in {}", dir.display())),
            |v| {
                Ok(v.iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("."))
            },
        )
    }

    pub fn include_paths(&self) -> Result<impl Iterator<Item = PathBuf> + use<>, ConfigError> {
        let inc = self.wdk_content_root.join("Include");
        let sdk = inc.join(self.sdk_version()?);
        let mut v = vec![sdk.join("km/crt"), sdk.join("km"), sdk.join("shared")];
        if let DriverConfig::Kmdf(k) = self.driver_config {
            v.push(inc.join(format!(
                "wdf/kmdf/{}.{}",
                k.kmdf_version_major, k.target_kmdf_version_minor
            )));
        }
        let mingw =
            env_path("MINGW_W64_INCLUDE").unwrap_or_else(|| "/usr/share/mingw-w64/include".into());
        v.push(mingw.join("ddk"));
        v.push(mingw);
        must_exist(&v)?;
        Ok(v.into_iter())
    }

    pub fn library_paths(&self) -> Result<impl Iterator<Item = PathBuf> + use<>, ConfigError> {
        let (lib, arch) = (
            self.wdk_content_root.join("Lib"),
            self.cpu_architecture.as_windows_str(),
        );
        let mut v = vec![lib.join(self.sdk_version()?).join("km").join(arch)];
        if let DriverConfig::Kmdf(k) = self.driver_config {
            v.insert(
                0,
                lib.join(format!(
                    "wdf/kmdf/{arch}/{}.{}",
                    k.kmdf_version_major, k.target_kmdf_version_minor
                )),
            );
        }
        must_exist(&v)?;
        Ok(v.into_iter())
    }

    pub fn preprocessor_definitions(
        &self,
    ) -> impl Iterator<Item = (String, Option<String>)> + use<> {
        let mut v: Vec<(&str, Option<u8>)> = match self.cpu_architecture {
            CpuArchitecture::Amd64 => vec![("_WIN64", None), ("_AMD64_", None), ("AMD64", None)],
            CpuArchitecture::Arm64 => vec![("_WIN64", None), ("_ARM64_", None), ("ARM64", None)],
        };
        v.push(("_KERNEL_MODE", None));
        if let DriverConfig::Kmdf(k) = self.driver_config {
            v.push(("KMDF_VERSION_MAJOR", Some(k.kmdf_version_major)));
            v.push(("KMDF_VERSION_MINOR", Some(k.target_kmdf_version_minor)));
            if let Some(m) = k.minimum_kmdf_version_minor {
                v.push(("KMDF_MINIMUM_VERSION_REQUIRED", Some(m)));
            }
        }
        v.into_iter()
            .map(|(k, n)| (k.to_string(), n.map(|n| n.to_string())))
    }

    pub fn wdk_bindgen_compiler_flags() -> impl Iterator<Item = String> {
        [
            "-fms-compatibility",
            "-fms-extensions",
            "-fdelayed-template-parsing",
            "-Wno-everything",
        ]
        .into_iter()
        .map(String::from)
    }

    pub fn headers(
        &self,
        s: ApiSubset,
    ) -> Result<impl Iterator<Item = String> + use<>, ConfigError> {
        let v: &[&str] = match (s, &self.driver_config) {
            (ApiSubset::Base, _) => &["ntifs.h", "ntddk.h", "ntstrsafe.h"],
            (ApiSubset::Wdf, DriverConfig::Wdm) => &[],
            (ApiSubset::Wdf, _) => &["wdf.h"],
            (other, _) => {
                return err(format!(
                    "API subset {other:?} is not supported by the cross build"
                ));
            }
        };
        Ok(v.iter().map(|h| h.to_string()))
    }

    pub fn bindgen_header_contents(
        &self,
        subsets: impl IntoIterator<Item = ApiSubset> + fmt::Debug,
    ) -> Result<String, ConfigError> {
        let mut out = String::new();
        for s in subsets {
            for h in self.headers(s)? {
                out += &format!("#include \"{h}\"\n");
            }
        }
        Ok(out)
    }

    pub fn bindgen_library_link_raw_lines(&self, s: ApiSubset) -> Option<String> {
        if s != ApiSubset::Base {
            return None;
        }
        let mut libs = vec!["BufferOverflowFastFailK", "ntoskrnl", "hal", "wmilib"];
        if matches!(self.driver_config, DriverConfig::Kmdf(_)) {
            libs.extend(["WdfLdr", "WdfDriverEntry"]);
        }
        Some(
            libs.iter()
                .map(|l| {
                    format!(
                        "#[cfg(not(any(test, feature = \"suppress-wdk-linking\")))]\n\
             #[link(name = \"{l}\", kind = \"static\", modifiers = \"-bundle\")]\n\
             unsafe extern \"C\" {{}}\n"
                    )
                })
                .collect(),
        )
    }

    pub fn compute_wdffunctions_symbol_name(&self) -> Option<String> {
        match self.driver_config {
            DriverConfig::Kmdf(k) => Some(format!(
                "WdfFunctions_{:02}0{:02}",
                k.kmdf_version_major, k.target_kmdf_version_minor
            )),
            DriverConfig::Umdf(k) => Some(format!(
                "WdfFunctions_{:02}0{:02}",
                k.umdf_version_major, k.target_umdf_version_minor
            )),
            DriverConfig::Wdm => None,
        }
    }

    /// lld-link's answer to what the genuine crate asks of link.exe.
    pub fn configure_binary_build(&self) -> Result<(), ConfigError> {
        if !env::var("CARGO_CFG_TARGET_FEATURE")
            .unwrap_or_default()
            .contains("crt-static")
        {
            return err("drivers need -C target-feature=+crt-static");
        }
        for p in self.library_paths()? {
            println!("cargo::rustc-link-search={}", p.display());
            // Cargo itself does not look at native libraries again.
            for library in fs::read_dir(&p)
                .map_err(|e| IoError::with_path(&p, e))?
                .flatten()
            {
                println!("cargo::rerun-if-changed={}", library.path().display());
            }
        }
        let entry = match self.driver_config {
            DriverConfig::Kmdf(_) => "FxDriverEntry",
            _ => "DriverEntry",
        };
        for a in [
            "/DRIVER",
            "/NODEFAULTLIB",
            "/SUBSYSTEM:NATIVE,10.00",
            &format!("/ENTRY:{entry}"),
            "/NXCOMPAT",
            "/DYNAMICBASE",
            "/OPT:REF,ICF",
            "/INTEGRITYCHECK",
            "/MANIFEST:NO",
            "/MAP",
            "/RELEASE",
            "/Brepro",
        ] {
            println!("cargo::rustc-cdylib-link-arg={a}");
        }
        self.configure_library_build()
    }
}

fn must_exist(dirs: &[PathBuf]) -> Result<(), ConfigError> {
    match dirs.iter().find(|d: &&PathBuf| !Path::is_dir(d)) {
        Some(d) => err(format!("cannot find directory: {}", d.display())),
        None => Ok(()),
    }
}

pub fn configure_wdk_library_build() -> Result<(), ConfigError> {
    configure_wdk_library_build_and_then(|_| Ok(()))
}

pub fn configure_wdk_library_build_and_then<F, E>(mut f: F) -> Result<(), E>
where
    F: FnMut(Config) -> Result<(), E>,
    E: From<ConfigError>,
{
    match Config::from_env()? {
        Some(c) => {
            c.configure_library_build()?;
            f(c)
        }
        None => {
            Config::emit_check_cfg_settings();
            Ok(())
        }
    }
}

pub fn configure_wdk_binary_build() -> Result<(), ConfigError> {
    Config::from_env_auto()?.configure_binary_build()
}

pub trait BuilderExt {
    fn wdk_default(
        config: impl Borrow<Config> + fmt::Debug,
    ) -> Result<bindgen::Builder, ConfigError>;
}

#[derive(Debug)]
struct NameWdfFunctions(Option<String>);
impl bindgen::callbacks::ParseCallbacks for NameWdfFunctions {
    fn generated_name_override(&self, i: bindgen::callbacks::ItemInfo<'_>) -> Option<String> {
        (matches!(i.kind, bindgen::callbacks::ItemKind::Var) && self.0.as_deref() == Some(i.name))
            .then(|| "WdfFunctions".to_string())
    }
}

impl BuilderExt for bindgen::Builder {
    fn wdk_default(config: impl Borrow<Config> + fmt::Debug) -> Result<Self, ConfigError> {
        let c = config.borrow();
        let mut b = Self::default()
            .use_core()
            .derive_default(true)
            .generate_cstr(true)
            .detect_include_paths(false)
            .clang_arg("-fno-builtin")
            .clang_args(
                c.include_paths()?
                    .map(|p| format!("--include-directory={}", p.display())),
            )
            .clang_args(c.preprocessor_definitions().map(|(k, v)| {
                format!(
                    "--define-macro={k}{}",
                    v.map(|v| format!("={v}")).unwrap_or_default()
                )
            }))
            .clang_args(Config::wdk_bindgen_compiler_flags())
            .must_use_type("NTSTATUS")
            .must_use_type("HRESULT")
            .default_enum_style(bindgen::EnumVariation::ModuleConsts)
            .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
            .parse_callbacks(Box::new(NameWdfFunctions(
                c.compute_wdffunctions_symbol_name(),
            )))
            .formatter(bindgen::Formatter::Prettyplease)
            .rust_target(
                bindgen::RustTarget::stable(91, 0)
                    .map_err(|e| ConfigError::Message(e.to_string()))?,
            )
            .rust_edition(bindgen::RustEdition::Edition2024);
        for d in [
            "ExAllocatePoolWithTag",
            "ExAllocatePoolWithQuotaTag",
            "ExAllocatePoolWithTagPriority",
            "ExAllocatePool",
        ] {
            b = b.blocklist_item(d);
        }
        for o in ["_KGDTENTRY64", "_KIDTENTRY64"] {
            b = b.opaque_type(o);
        }
        Ok(b)
    }
}
