//! The rules: what each is called, where it comes from, and what to do when it is broken.

use std::fmt;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The package must not ship like this.
    Error,
    /// Worth knowing; does not fail the run.
    Note,
}

/// Something found in one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that was broken.
    pub rule: Rule,
    /// Line in the file. For something missing, the line of the section it is missing from.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl Finding {
    /// A finding of `rule` at `line`.
    pub fn new(rule: Rule, line: usize, message: impl Into<String>) -> Self {
        Self {
            rule,
            line,
            message: message.into(),
        }
    }
}

/// Makes the enum, its names and the list of all rules from one table, so that none can be forgotten.
macro_rules! rules {
    ($($name:ident $weight:ident $id:literal, $source:literal, $help:literal;)*) => {
        /// A rule of this linter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $(#[doc = $help] $name,)*
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What the rule is called in messages.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// Where the rule comes from.
            pub const fn source(self) -> &'static str {
                match self { $(Self::$name => $source,)* }
            }

            /// What to do when it is broken.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)* }
            }

            /// How much a finding weighs.
            pub const fn weight(self) -> Weight {
                match self { $(Self::$name => Weight::$weight,)* }
            }
        }
    };
}

rules! {
    // Text and syntax.
    Syntax Error "syntax", "INF syntax rules",
        "correct the line; Windows would skip or misread it";
    Encoding Error "encoding", "practice 3",
        "write the file in ASCII; without a UTF-16 mark other bytes mean what the code page of each machine says";
    Utf16 Note "utf-16", "practice 3",
        "ASCII works with every tool and shows in diffs; keep UTF-16 only for strings that need it";
    StampToken Error "stamp-token", "stampinf options",
        "an .inx may use $ARCH$ and $KMDFVERSION$; an .inf must have gone through stampinf, which leaves no $TOKEN$";
    DuplicateEntry Error "duplicate-entry", "own rule",
        "keep one of the two: which one Windows takes is not promised";

    // [Version].
    VersionSection Error "version-section", "INF Version section",
        "begin the file with a [Version] section";
    Signature Error "signature", "practice 3",
        "write Signature = \"$WINDOWS NT$\"";
    Class Error "class", "practice 3",
        "name the setup class: System for a software device, Extension for an extension package";
    ClassGuid Error "class-guid", "practice 3",
        "give the GUID that belongs to Class, as {8-4-4-4-12} hexadecimal digits";
    ClassReserved Error "class-reserved", "practice 3; InfVerif 1284/1285/1293",
        "use System or a class of your own; Windows keeps this one for itself";
    DefaultInstall Error "default-install", "InfVerif 1212",
        "remove the section: a device's package is installed through [Manufacturer]";
    ClassInstall Error "class-install", "universal INF",
        "remove the section: a class is not this package's to install";
    Provider Error "provider", "practice 3",
        "write Provider = %Name% and define the name in [Strings]";
    ProviderMicrosoft Error "provider-microsoft", "practice 3; InfVerif 1204",
        "name who really provides the package";
    CatalogFile Error "catalog-file", "practice 3; InfVerif 1233",
        "write CatalogFile = <package>.cat; without a catalogue the package cannot be signed";
    DriverVer Error "driver-ver", "INF DriverVer directive; InfVerif 1217",
        "write DriverVer = mm/dd/yyyy,w.x.y.z, each part below 65535 and not all 0; an .inx may leave the value to stampinf";
    PnpLockdown Error "pnp-lockdown", "practice 3",
        "write PnpLockdown = 1, so that no program replaces the files in place";
    ExtensionId Error "extension-id", "filter-rules 19",
        "an Extension package needs ExtensionId = {its own GUID}, kept for ever; no other class may have one";
    DirectiveUnknown Error "directive-unknown", "INF reference",
        "correct the spelling or remove the line: Windows ignores what it does not know";
    DirectiveLegacy Error "directive-legacy", "universal INF; InfVerif 1300-1302",
        "remove it: a package may only add, and only to itself";
    DeviceInterface Error "device-interface", "practice 3",
        "remove it: the driver registers its device interface itself, when the device starts";

    // [Manufacturer] and models.
    Manufacturer Error "manufacturer", "INF Manufacturer section; InfVerif 1297",
        "list at least one models section in [Manufacturer]";
    ModelsUndecorated Error "models-undecorated", "filter-rules 19",
        "write NT$ARCH$.10.0...19041 after the name of the models section, and in the section's own name";
    ModelsArchitecture Error "models-architecture", "filter-rules 19",
        "name the architecture: $ARCH$ in an .inx, amd64 or arm64 in an .inf";
    ModelsBuild Error "models-build", "filter-rules 19",
        "require 10.0...19041 or later: older builds lack ExAllocatePool2, so the driver would install and then not load";
    ModelsSuite Error "models-suite", "universal INF",
        "leave product type and suite mask empty";
    ModelsEntry Error "models-entry", "INF Models section; InfVerif 1297",
        "write %description% = install-section, hardware-id";

    // References.
    SectionUndefined Error "section-undefined", "InfVerif 1203",
        "define the section or correct the name; to copy a single file write CopyFiles = @file";
    SectionUnreferenced Error "section-unreferenced", "InfVerif 2083",
        "refer to the section or remove it; a part of an install section must repeat its decoration, as in X.NT.Services";
    SectionShared Error "section-shared", "InfVerif 1205",
        "give each directive a section of its own: the lines mean something else to each";
    StringUndefined Error "string-undefined", "InfVerif 1235",
        "define it in [Strings]; for an environment variable write %%name%%";
    IncludeNotFollowed Error "include-not-followed", "limit of this linter",
        "write the sections out: this linter does not read other INF files";

    // Files.
    DirId Error "dirid", "filter-rules 19",
        "use DIRID 13: the package runs from the driver store and copies nothing to system folders";
    DestinationDirs Error "destination-dirs", "practice 3",
        "write DefaultDestDir = 13 in [DestinationDirs]";
    SourceMissing Error "source-missing", "InfVerif 1230",
        "list the file in [SourceDisksFiles]";
    SourceUnused Error "source-unused", "InfVerif 2083",
        "copy the file in an install section or take it out of the package";
    DiskUndefined Error "disk-undefined", "INF SourceDisksNames section",
        "define the disk in [SourceDisksNames], as in 1 = %Disk%";
    CopyRelocates Error "copy-relocates", "InfVerif 1100",
        "copy the file under its own name, to the folder it has in the package: the driver store keeps the layout";

    // Services.
    ServicesMissing Error "services-missing", "InfVerif 1296",
        "add a section [install-section.Services]";
    ServiceFlagMissing Error "service-flag-missing", "filter-rules 19",
        "a base package has exactly one function service: AddService = name, 0x00000002, section";
    ServiceFlagExtension Error "service-flag-extension", "filter-rules 19",
        "leave the flags empty: the function driver belongs to the base package";
    ServiceFlags Error "service-flags", "INF AddService directive",
        "write the flags as a number, decimal or 0x hexadecimal, or leave them empty";
    ServiceUnused Error "service-unused", "INF AddService directive",
        "name the service in an AddFilter: nothing else will ever start it";
    ServiceType Error "service-type", "practice 3",
        "write ServiceType = 1 (SERVICE_KERNEL_DRIVER)";
    StartType Error "start-type", "practice 3",
        "write StartType = 3 (SERVICE_DEMAND_START): PnP starts the driver";
    ErrorControl Error "error-control", "practice 3",
        "write ErrorControl = 1 (SERVICE_ERROR_NORMAL)";
    ServiceBinary Error "service-binary", "practice 3",
        "write ServiceBinary = %13%\\name.sys";
    ServiceBinaryNotCopied Error "service-binary-not-copied", "practice 3",
        "add the file to the CopyFiles of the install section";
    ServiceShared Error "service-shared", "filter-rules 19",
        "let one package own the service; the other package adds its hardware ids to that one";
    ExtensionIdShared Error "extension-id-shared", "filter-rules 19",
        "generate a new GUID: of two packages with one ExtensionId Windows applies only the newer";

    // Registry.
    HkrOnly Error "hkr-only", "filter-rules 19; InfVerif 1221/1304",
        "write HKR: the package may only change keys of its own device and service";
    FiltersByRegistry Error "filters-by-registry", "filter-rules 19",
        "use AddFilter in [install-section.Filters]: a list in the registry is overwritten and never cleaned up";
    RegistryAppend Error "registry-append", "universal INF; InfVerif 1305",
        "write the whole value: appending depends on what was there before";
    RegistryConflict Error "registry-conflict", "InfVerif 133x",
        "keep one of the two: the service has the value once";
    CoInstallers Error "co-installers", "universal INF; InfVerif 1303",
        "remove it: KMDF is part of Windows and nothing may run at install time";
    ServiceParameters Error "service-parameters", "practice 3",
        "write HKR,Parameters,...: a driver's values belong under the Parameters key of its service";

    // Filters.
    FilterService Error "filter-service", "filter-rules 19",
        "name a service that this package adds, with empty flags: AddFilter = service, , section";
    FilterPlace Error "filter-place", "filter-rules 19",
        "write FilterPosition = Upper or Lower, or FilterLevel = a level of the base package";
    FilterLevelAndPosition Error "filter-level-and-position", "filter-rules 19",
        "keep one of FilterLevel and FilterPosition";

    // KMDF.
    WdfSection Error "wdf-section", "practice 3",
        "add [install-section.Wdf] with KmdfService = service, section";
    WdfService Error "wdf-service", "practice 3",
        "write KmdfService = service, section with the name AddService gives the service";
    KmdfLibraryVersion Error "kmdf-library-version", "practice 3",
        "write KmdfLibraryVersion = $KMDFVERSION$ in an .inx, major.minor in an .inf";
    KmdfVersion Error "kmdf-version", "filter-rules 19",
        "stamp the INF with the KMDF version the image was built for";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
