<#
.SYNOPSIS
Finishes package folders that were made on Linux: signs the images, makes the catalogues, signs them, verifies.
.DESCRIPTION
The images first: a catalogue is made over the files as they will be installed, and the images need signatures of their
own. Run it on a machine with the WDK. An existing signature is replaced, an existing catalogue made again.
.PARAMETER Package
The folder that holds pier and ferry, target\package\amd64 for instance.
.PARAMETER Architecture
amd64 or arm64.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)] [string] $Package,
    [ValidateSet('amd64', 'arm64')] [string] $Architecture = 'amd64'
)
. "$PSScriptRoot\native.ps1"

$os = if ($Architecture -eq 'arm64') { 'Server10_arm64' } else { '10_x64' }
$tools = 'open a Developer PowerShell with the WDK''s bin and tools folders in the PATH'
& "$PSScriptRoot\certificate.ps1" -Export (Join-Path $Package 'ferry-test.cer')

foreach ($name in @('pier', 'ferry')) {
    $folder = (Resolve-Path (Join-Path $Package $name)).Path
    $image = Join-Path $folder "$name.sys"
    $catalogue = Join-Path $folder "$name.cat"
    $inf = Join-Path $folder "$name.inf"
    Assert-Path -Path $image -IfItFails 'make the package folders first: cargo xtask package'
    foreach ($mode in @('/w', '/u', '/h')) {
        Invoke-Native -Program 'infverif' -Arguments @('/v', $mode, $inf) -IfItFails "InfVerif names the rule above; /h came with the WDK of Windows 11 24H2; $tools"
    }
    Invoke-Native -Program 'signtool' -Arguments @('sign', '/fd', 'SHA256', '/n', 'ferry test signing', $image) -IfItFails $tools
    Invoke-Native -Program 'inf2cat' -Arguments @("/driver:$folder", "/os:$os", '/uselocaltime') -IfItFails "Inf2Cat names the rule above; $tools"
    Invoke-Native -Program 'signtool' -Arguments @('sign', '/fd', 'SHA256', '/n', 'ferry test signing', $catalogue) -IfItFails $tools
}
Write-Host 'Both packages are signed.'
