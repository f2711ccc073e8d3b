<#
.SYNOPSIS
Sets Driver Verifier and the KMDF verifier for one pass. Needs a restart to take effect.
.PARAMETER Pass
standard: the standard set, WDF. force-pending: also requests that pend by force. low-resources: also failing allocations.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory = $true)] [ValidateSet('standard', 'force-pending', 'low-resources')] [string] $Pass
)
. "$PSScriptRoot\native.ps1"
Assert-Administrator

$drivers = @('/driver', 'ferry.sys', 'pier.sys', 'wdf01000.sys')
# @(): a list of one would come out of the switch as a plain string, and + would join strings.
$settings = @(switch ($Pass) {
    'standard' { @('/standard') }
    'force-pending' { @('/ruleclasses', '1', '2', '4', '5', '6', '9', '10', '12', '18', '34') }
    # One allocation in about sixteen fails, from eight minutes after the start on.
    'low-resources' { @('/ruleclasses', '1', '2', '3', '4', '5', '6', '9', '12', '18', '34', '/faults', '600') }
})
# 2: set, a restart is needed.
Invoke-Native -Program 'verifier' -Arguments ($settings + $drivers) -Good @(0, 2) -IfItFails 'verifier /? shows whether this Windows knows the rule classes'

# The KMDF verifier of each driver. VerifyDownLevel: the drivers ask for KMDF 1.15 and are to be held to the newest rules.
foreach ($service in @('ferry', 'pier')) {
    $key = "HKLM:\SYSTEM\CurrentControlSet\Services\$service"
    Assert-Path -Path $key -IfItFails 'install the packages first: scripts\install.ps1'
    $wdf = "$key\Parameters\Wdf"
    # The framework's own values are in this key: -Force on one that exists would empty it.
    if (-not (Test-Path -LiteralPath $wdf)) {
        New-Item -Path $wdf -Force | Out-Null
    }
    foreach ($value in @('VerifierOn', 'VerifyOn', 'VerifyDownLevel', 'ForceLogsInMiniDump')) {
        New-ItemProperty -Path $wdf -Name $value -PropertyType DWord -Value 1 -Force | Out-Null
    }
    New-ItemProperty -Path $wdf -Name 'LogPages' -PropertyType DWord -Value 5 -Force | Out-Null
    New-ItemProperty -Path $wdf -Name 'TrackHandles' -PropertyType MultiString -Value @('*') -Force | Out-Null
}
Write-Host "Driver Verifier is set for the pass $Pass. Restart, then verifier /query shows it at work."
