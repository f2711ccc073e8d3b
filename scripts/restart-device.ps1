<#
.SYNOPSIS
Restarts the device again and again; that it fails to start is allowed, that the machine goes down is not.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)] [string] $Device,
    [int] $Times = 20
)
. "$PSScriptRoot\native.ps1"
Assert-Administrator
$started = 0
for ($round = 1; $round -le $Times; $round++) {
    & pnputil /restart-device $Device | Out-Null
    $state = Get-PnpDevice -InstanceId $Device -ErrorAction SilentlyContinue
    if ($state -and $state.Status -eq 'OK') { $started++ }
}
Write-Host "$started of $Times restarts ended with the device started; the others failed as they may."
