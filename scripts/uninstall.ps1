<#
.SYNOPSIS
Takes everything out again: filter registrations, device, packages. With -Signing also certificate and test signing.
#>
[CmdletBinding()]
param(
    [string] $Devgen = 'devgen.exe',
    [string] $Device = 'ROOT\DEVGEN\FERRYPIER',
    [string] $Ferryctl = 'ferryctl.exe',
    [switch] $Signing
)
. "$PSScriptRoot\native.ps1"
Assert-Administrator
$Devgen = Find-KitTool -Name $Devgen

# Devices ferry was attached to by hand list it in UpperFilters. A device that lists a service that is gone does not start.
Invoke-Native -Program $Ferryctl -Arguments @('detach', '--all') -IfItFails 'it names the device that still lists ferry; `reg query HKLM\SYSTEM\CurrentControlSet\Enum /s /f ferry /d` finds every such device, present or not'

if (Get-PnpDevice -InstanceId $Device -ErrorAction SilentlyContinue) {
    Invoke-Native -Program $Devgen -Arguments @('/remove', $Device) -IfItFails "pnputil /remove-device $Device"
}
foreach ($inf in @('ferry.inf', 'pier.inf')) {
    $packages = Get-WindowsDriver -Online | Where-Object { $_.OriginalFileName -like "*\$inf" }
    foreach ($package in $packages) {
        Invoke-Native -Program 'pnputil' -Arguments @('/delete-driver', $package.Driver, '/uninstall') -Good @(0, 3010) -IfItFails "a device still uses $inf as $($package.Driver): pnputil /enum-devices /drivers names it"
    }
}
if ($Signing) {
    & "$PSScriptRoot\certificate.ps1" -Remove
    & "$PSScriptRoot\test-signing.ps1" -Off
}
Write-Host 'ferry and pier are gone.'
