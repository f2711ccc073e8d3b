<#
.SYNOPSIS
Puts ferry above a device of yours, and shows how to take it off again.
.PARAMETER Device
Instance id, as pnputil /enum-devices shows it.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)] [string] $Device,
    [string] $Ferryctl = 'ferryctl.exe'
)
. "$PSScriptRoot\native.ps1"
Assert-Administrator
if (-not (Get-Service -Name ferry -ErrorAction SilentlyContinue)) {
    throw 'The service ferry is not installed. What to do: scripts\install.ps1 first; its package owns the service.'
}
Invoke-Native -Program $Ferryctl -Arguments @('attach', $Device) -IfItFails 'ferryctl names the reason and has put everything back; classes that carry the system are refused on purpose (docs\filter-rules.md, 12)'
Write-Host "To take it off again: $Ferryctl detach $Device"
